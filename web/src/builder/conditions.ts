import { type Named, named } from "./named.ts";

/** A field, a comparison, and what it compares with, as texts. */
export interface Condition {
  property: string;
  op: string;
  values: string[];
}

interface Operator extends Named {
  /** How many values it compares with. */
  takes: "none" | "one" | "many" | "number";
}

export const OPERATORS: Operator[] = [
  { value: "is", label: "is", takes: "many" },
  { value: "is_not", label: "is not", takes: "many" },
  { value: "contains", label: "contains", takes: "one" },
  { value: "not_contains", label: "does not contain", takes: "one" },
  { value: "starts_with", label: "starts with", takes: "one" },
  { value: "ends_with", label: "ends with", takes: "one" },
  { value: "matches", label: "matches the pattern", takes: "one" },
  { value: "gt", label: "is above", takes: "number" },
  { value: "gte", label: "is at least", takes: "number" },
  { value: "lt", label: "is below", takes: "number" },
  { value: "lte", label: "is at most", takes: "number" },
  { value: "is_set", label: "is set", takes: "none" },
  { value: "is_not_set", label: "is not set", takes: "none" },
];

/** For fields `cohort:ID`, which ask whether the person is in a cohort. */
const COHORT_OPERATORS: Operator[] = [
  { value: "in_cohort", label: "is true", takes: "none" },
  { value: "not_in_cohort", label: "is false", takes: "none" },
];
const ALL_OPERATORS = [...OPERATORS, ...COHORT_OPERATORS];

const isCohort = (property: string) => property.startsWith("cohort:");

/** What a field can be compared by. */
export function operatorsOf(property: string): Operator[] {
  return isCohort(property) ? COHORT_OPERATORS : OPERATORS;
}

/** A condition on another field; what it compares with belongs to the one before. */
export function withProperty(condition: Condition, property: string): Condition {
  if (property === condition.property) return condition;
  const { op } = isCohort(property) === isCohort(condition.property) ? condition : { op: operatorsOf(property)[0]?.value ?? condition.op };
  return { property, op, values: [] };
}

/** What a condition is before anything is picked. */
export const NEW_CONDITION: Condition = { property: "", op: "is", values: [] };

/** What the schema knows of a property's values: `string`, `number`, `boolean`, ... */
export type TypesOf = (property: string) => readonly string[];

/** A condition as the API takes it. */
export interface Filter {
  property: string;
  op: string;
  value?: unknown;
}

/** What an operator compares with; an unknown one never comes out of `readCondition`. */
export function takes(op: string): Operator["takes"] {
  return ALL_OPERATORS.find((operator) => operator.value === op)?.takes ?? "none";
}

/** The parts of a condition, as an address keeps them. */
export function conditionParts({ property, op, values }: Condition): string[] {
  return [property, op, ...values];
}

/** The inverse of `conditionParts`; nothing where they are not those of a condition. */
export function conditionOf(parts: unknown): Condition[] {
  if (!Array.isArray(parts) || !parts.every((part) => typeof part === "string")) return [];
  const [property, op, ...values] = parts;
  const known = property !== undefined && op !== undefined && operatorsOf(property).some((operator) => operator.value === op);
  return known ? [{ property, op, values }] : [];
}

/** The conditions of an address, one to each `where`. */
export function readConditions(parameters: URLSearchParams): Condition[] {
  return parameters.getAll("where").flatMap((text) => conditionOf(parsed(text)));
}

export function writeConditions(parameters: URLSearchParams, conditions: readonly Condition[]): void {
  for (const condition of conditions) parameters.append("where", JSON.stringify(conditionParts(condition)));
}

/** JSON that somebody may have written by hand. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

export function conditionInWords({ property, op, values }: Condition): string {
  return `${property} ${named(ALL_OPERATORS, op)} ${values.join(" or ")}`.trim();
}

/** True when the condition has all its parts; others are left out until they have. */
export function isFinished({ property, op, values }: Condition): boolean {
  if (property === "") return false;
  const wanted = takes(op);
  if (wanted === "none") return true;
  if (wanted === "number") return values[0] !== undefined && values[0].trim() !== "" && Number.isFinite(Number(values[0]));
  return values.length > 0;
}

/** Text that may stand for a number or a boolean of the property is sent as such, and as text where the property holds text too. */
function meanings(text: string, types: readonly string[]): (string | number | boolean)[] {
  const meant: (string | number | boolean)[] = [];
  if (types.includes("number") && text.trim() !== "" && Number.isFinite(Number(text))) meant.push(Number(text));
  if (types.includes("boolean") && (text === "true" || text === "false")) meant.push(text === "true");
  if (meant.length === 0 || types.includes("string")) meant.push(text);
  return meant;
}

function filterOf({ property, op, values }: Condition, types: readonly string[]): Filter {
  switch (takes(op)) {
    case "none":
      return { property, op: op.replace(/_cohort$/, "") };
    case "number":
      return { property, op, value: Number(values[0]) };
    case "one":
      return { property, op, value: values[0] };
    case "many": {
      const meant = values.flatMap((value) => meanings(value, types));
      const negated = op === "is_not";
      if (meant.length === 1) return { property, op: negated ? "neq" : "eq", value: meant[0] };
      return { property, op: negated ? "not_in" : "in", value: meant };
    }
  }
}

/** The conditions that are finished, as the API takes them. */
export function filtersOf(conditions: readonly Condition[], typesOf: TypesOf): Filter[] {
  return conditions.filter(isFinished).map((condition) => filterOf(condition, typesOf(condition.property)));
}
