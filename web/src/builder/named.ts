/** Something that is chosen from a list. */
export interface Named {
  value: string;
  label: string;
}

/** The label of one of a list of named values, or the value itself. */
export function named(list: readonly Named[], value: string): string {
  return list.find((one) => one.value === value)?.label ?? value;
}

/** A parameter of the address where it is one of a list; whatever is missing or unknown falls back. */
export function readChoice(parameters: URLSearchParams, name: string, list: readonly Named[], otherwise: string): string {
  const value = parameters.get(name);
  return value !== null && list.some((one) => one.value === value) ? value : otherwise;
}
