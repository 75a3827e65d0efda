import { type Condition, type TypesOf, filtersOf, readConditions, writeConditions } from "../builder/conditions.ts";
import { type Named, readChoice } from "../builder/named.ts";
import { rangeRequest, readRange } from "../builder/range.ts";

/** What both sides of the page ask; every part of it is in the address. */
export interface LifecycleQuestion {
  side: "lifecycle" | "stickiness";
  /** Empty for any event. */
  event: string;
  conditions: Condition[];
  period: string;
  range: string;
}

export interface Period extends Named {
  one: string;
  many: string;
}

export const PERIODS: Period[] = [
  { value: "hour", label: "by hour", one: "hour", many: "hours" },
  { value: "day", label: "by day", one: "day", many: "days" },
  { value: "week", label: "by week", one: "week", many: "weeks" },
  { value: "month", label: "by month", one: "month", many: "months" },
];

export const START: LifecycleQuestion = { side: "lifecycle", event: "", conditions: [], period: "day", range: "30d" };

/** One or many of a period, in words. */
export function periodName(period: string, count: number): string {
  const found = PERIODS.find(({ value }) => value === period);
  return found === undefined ? period : count === 1 ? found.one : found.many;
}

/** Reads the address; whatever is missing or unknown falls back to the start. */
export function readLifecycle(search: string): LifecycleQuestion {
  const parameters = new URLSearchParams(search);
  return {
    side: parameters.get("side") === "stickiness" ? "stickiness" : "lifecycle",
    event: parameters.get("event") ?? "",
    conditions: readConditions(parameters),
    period: readChoice(parameters, "period", PERIODS, START.period),
    range: readRange(parameters, START.range),
  };
}

/** The inverse of `readLifecycle`; what is as at the start is left out. */
export function writeLifecycle(question: LifecycleQuestion): string {
  const { side, event, period, range } = question;
  const start: Record<string, unknown> = { ...START };
  const parameters = new URLSearchParams(Object.entries({ side, event, period, range }).filter(([name, value]) => value !== start[name]));
  writeConditions(parameters, question.conditions);
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

/** The body of `/lifecycle`, and of `/stickiness`. */
export function lifecycleRequest({ event, conditions, period, range }: LifecycleQuestion, typesOf: TypesOf): Record<string, unknown> {
  const filters = filtersOf(conditions, typesOf);
  return { ...(event === "" ? {} : { event }), ...(filters.length === 0 ? {} : { filters }), period, ...rangeRequest(range) };
}
