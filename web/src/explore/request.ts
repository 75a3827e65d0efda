import { type Condition, MAX_GROUPS, MAX_SERIES, MEASURES, type Question, daysOf, takes } from "./question.ts";

/** What the schema knows of a property's values: `string`, `number`, `boolean`, ... */
export type TypesOf = (property: string) => readonly string[];

export interface Filter {
  property: string;
  op: string;
  value?: unknown;
}

/** What is still missing before the question can be asked, or nothing. */
export function missingPart(question: Question): string | null {
  const measure = MEASURES.find((one) => one.value === question.measure);
  if (measure?.ofProperty === true && question.property === "") return "Pick the property to measure.";
  return null;
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
      return { property, op };
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

/** The day after, as `2026-03-01`: the API's ranges do not include their end. */
function dayAfter(day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + 1);
  return date.toISOString().slice(0, 10);
}

/** The body of `/query`. */
export function toRequest(question: Question, typesOf: TypesOf): Record<string, unknown> {
  const days = daysOf(question.range);
  const filters = question.conditions.filter(isFinished).map((condition) => filterOf(condition, typesOf(condition.property)));
  return {
    metric: question.property === "" ? question.measure : `${question.measure}:${question.property}`,
    ...(question.event === "" ? {} : { event: question.event }),
    ...(filters.length === 0 ? {} : { filters }),
    ...(question.groupBy.length === 0 ? {} : { group_by: question.groupBy }),
    ...(question.interval === "" ? {} : { interval: question.interval }),
    ...(days === null ? { range: question.range } : { from: days.from, to: dayAfter(days.to) }),
    ...(question.compare && question.range !== "all" ? { compare: "previous_period" } : {}),
    limit: question.interval === "" ? MAX_GROUPS : MAX_SERIES,
  };
}
