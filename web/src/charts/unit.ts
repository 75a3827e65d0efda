import { duration, fullNumber, percent, shortNumber } from "../format.ts";

/** What the values of a chart are, where they are no plain numbers. */
export type Unit = "percent" | "duration";

/** For axes and labels. */
export function shortValue(value: number, unit?: Unit): string {
  if (unit === "percent") return percent(value);
  return unit === "duration" ? duration(value) : shortNumber(value);
}

/** For tables and tooltips; a dash where there is none. */
export function fullValue(value: number | null | undefined, unit?: Unit): string {
  if (value === null || value === undefined) return "–";
  return unit === undefined ? fullNumber(value) : shortValue(value, unit);
}
