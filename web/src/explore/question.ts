/** What the sentence says; every part of it is in the address, so that a reload or a link shows the same. */
export interface Question {
  measure: string;
  /** What a measure such as `avg` looks at; empty for counts. */
  property: string;
  /** Empty for any event. */
  event: string;
  conditions: Condition[];
  groupBy: string[];
  /** Empty for one number over the whole range. */
  interval: string;
  /** `30d`, or `FROM..TO` with both days in. */
  range: string;
  compare: boolean;
  chart: "line" | "bar";
}

export interface Condition {
  property: string;
  op: string;
  values: string[];
}

export interface Named {
  value: string;
  label: string;
}

interface Measure extends Named {
  /** Stands between the measure and the event. */
  joint: string;
  ofProperty?: boolean;
}

export const MEASURES: Measure[] = [
  { value: "events", label: "Events", joint: "named" },
  { value: "unique_users", label: "Unique users", joint: "who did" },
  { value: "sessions", label: "Sessions", joint: "with" },
  { value: "events_per_user", label: "Events per user", joint: "of" },
  { value: "sum", label: "Sum", joint: "over", ofProperty: true },
  { value: "avg", label: "Average", joint: "over", ofProperty: true },
  { value: "avg_per_user", label: "Average per user", joint: "over", ofProperty: true },
  { value: "median", label: "Median", joint: "over", ofProperty: true },
  { value: "p95", label: "95th percentile", joint: "over", ofProperty: true },
  { value: "min", label: "Minimum", joint: "over", ofProperty: true },
  { value: "max", label: "Maximum", joint: "over", ofProperty: true },
  { value: "count_distinct", label: "Distinct values", joint: "over", ofProperty: true },
];

export const INTERVALS: Named[] = [
  { value: "", label: "in total" },
  { value: "minute", label: "by minute" },
  { value: "hour", label: "hourly" },
  { value: "day", label: "daily" },
  { value: "week", label: "weekly" },
  { value: "month", label: "monthly" },
];

export const CUSTOM_RANGE = "custom";

export const RANGES: Named[] = [
  { value: "30m", label: "last 30 minutes" },
  { value: "1h", label: "last hour" },
  { value: "24h", label: "last 24 hours" },
  { value: "1d", label: "today" },
  { value: "7d", label: "last 7 days" },
  { value: "30d", label: "last 30 days" },
  { value: "90d", label: "last 90 days" },
  { value: "365d", label: "last 365 days" },
  { value: "all", label: "all time" },
  { value: CUSTOM_RANGE, label: "between two days" },
];

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

/** As many as the API takes. */
export const MAX_GROUP_KEYS = 4;
/** Series of a chart over time: as many as there are colours. */
export const MAX_SERIES = 8;
/** Rows without an interval. */
export const MAX_GROUPS = 25;

export const START: Question = { measure: "unique_users", property: "", event: "", conditions: [], groupBy: [], interval: "day", range: "30d", compare: false, chart: "line" };

/** What an operator compares with; an unknown one never comes out of `readQuestion`. */
export function takes(op: string): Operator["takes"] {
  return OPERATORS.find((operator) => operator.value === op)?.takes ?? "none";
}

/** The label of one of a list of named values, or the value itself. */
export function named(list: readonly Named[], value: string): string {
  return list.find((one) => one.value === value)?.label ?? value;
}

/** The two days of a range `FROM..TO`. */
export function daysOf(range: string): { from: string; to: string } | null {
  const match = /^(\d{4}-\d{2}-\d{2})\.\.(\d{4}-\d{2}-\d{2})$/.exec(range);
  return match?.[1] === undefined || match[2] === undefined ? null : { from: match[1], to: match[2] };
}

export function rangeInWords(range: string): string {
  const days = daysOf(range);
  return days === null ? named(RANGES, range) : `${days.from} to ${days.to}`;
}

function readCondition(text: string): Condition[] {
  try {
    const parts: unknown = JSON.parse(text);
    if (!Array.isArray(parts) || !parts.every((part) => typeof part === "string")) return [];
    const [property, op, ...values] = parts;
    const known = property !== undefined && op !== undefined && OPERATORS.some((operator) => operator.value === op);
    return known ? [{ property, op, values }] : [];
  } catch {
    return [];
  }
}

/** Reads the address; whatever is missing or unknown falls back to the start. */
export function readQuestion(search: string): Question {
  const parameters = new URLSearchParams(search);
  const known = (name: string, list: readonly Named[], otherwise: string) => {
    const value = parameters.get(name);
    return value !== null && list.some((one) => one.value === value) ? value : otherwise;
  };
  const [measure = "", ...property] = (parameters.get("metric") ?? START.measure).split(":");
  const found = MEASURES.find((one) => one.value === measure);
  const range = parameters.get("range") ?? "";
  return {
    measure: found?.value ?? START.measure,
    property: found?.ofProperty === true ? property.join(":") : "",
    event: parameters.get("event") ?? START.event,
    conditions: parameters.getAll("where").flatMap(readCondition),
    groupBy: [...new Set(parameters.getAll("by").filter((key) => key !== ""))].slice(0, MAX_GROUP_KEYS),
    interval: known("interval", INTERVALS, START.interval),
    range: daysOf(range) === null ? known("range", RANGES, START.range) : range,
    compare: parameters.get("compare") === "1",
    chart: parameters.get("chart") === "bar" ? "bar" : "line",
  };
}

/** The inverse of `readQuestion`. */
export function writeQuestion(question: Question): string {
  const { measure, property, event, conditions, groupBy, interval, range, compare, chart } = question;
  const parameters = new URLSearchParams({ metric: property === "" ? measure : `${measure}:${property}`, interval, range });
  if (event !== "") parameters.set("event", event);
  for (const condition of conditions) parameters.append("where", JSON.stringify([condition.property, condition.op, ...condition.values]));
  for (const key of groupBy) parameters.append("by", key);
  if (compare) parameters.set("compare", "1");
  if (chart === "bar") parameters.set("chart", "bar");
  return `?${parameters.toString()}`;
}

/** The question in words, for titles and screen readers. */
export function inWords(question: Question): string {
  const measure = MEASURES.find((one) => one.value === question.measure);
  const what = question.property === "" ? (measure?.label ?? question.measure) : `${measure?.label ?? question.measure} of ${question.property}`;
  const where = question.conditions.map(({ property, op, values }) => `${property} ${named(OPERATORS, op)} ${values.join(" or ")}`.trim());
  return [
    `${what} ${measure?.joint ?? "of"} ${question.event === "" ? "any event" : question.event}`,
    ...(where.length === 0 ? [] : [`where ${where.join(" and ")}`]),
    ...(question.groupBy.length === 0 ? [] : [`by ${question.groupBy.join(" and ")}`]),
    `${named(INTERVALS, question.interval)}, ${rangeInWords(question.range)}`,
  ].join(" ");
}
