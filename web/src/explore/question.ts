import { type Condition, conditionInWords, readConditions, writeConditions } from "../builder/conditions.ts";
import { type Named, named, readChoice } from "../builder/named.ts";
import { rangeInWords, readRange } from "../builder/range.ts";

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

/** As many as the API takes. */
export const MAX_GROUP_KEYS = 4;
/** Series of a chart over time: as many as there are colours. */
export const MAX_SERIES = 8;
/** Rows without an interval. */
export const MAX_GROUPS = 25;

export const START: Question = { measure: "unique_users", property: "", event: "", conditions: [], groupBy: [], interval: "day", range: "30d", compare: false, chart: "line" };

/** Reads the address; whatever is missing or unknown falls back to the start. */
export function readQuestion(search: string): Question {
  const parameters = new URLSearchParams(search);
  const [measure = "", ...property] = (parameters.get("metric") ?? START.measure).split(":");
  const found = MEASURES.find((one) => one.value === measure);
  return {
    measure: found?.value ?? START.measure,
    property: found?.ofProperty === true ? property.join(":") : "",
    event: parameters.get("event") ?? START.event,
    conditions: readConditions(parameters),
    groupBy: [...new Set(parameters.getAll("by").filter((key) => key !== ""))].slice(0, MAX_GROUP_KEYS),
    interval: readChoice(parameters, "interval", INTERVALS, START.interval),
    range: readRange(parameters, START.range),
    compare: parameters.get("compare") === "1",
    chart: parameters.get("chart") === "bar" ? "bar" : "line",
  };
}

/** The inverse of `readQuestion`. */
export function writeQuestion(question: Question): string {
  const { measure, property, event, conditions, groupBy, interval, range, compare, chart } = question;
  const parameters = new URLSearchParams({ metric: property === "" ? measure : `${measure}:${property}`, interval, range });
  if (event !== "") parameters.set("event", event);
  writeConditions(parameters, conditions);
  for (const key of groupBy) parameters.append("by", key);
  if (compare) parameters.set("compare", "1");
  if (chart === "bar") parameters.set("chart", "bar");
  return `?${parameters.toString()}`;
}

/** A metric of an answer in words: `sum:price` as `Sum of price`. */
export function metricInWords(metric: string): string {
  const [measure = "", ...property] = metric.split(":");
  const label = named(MEASURES, measure);
  return property.length === 0 ? label : `${label} of ${property.join(":")}`;
}

/** The question in words, for titles and screen readers. */
export function inWords(question: Question): string {
  const measure = MEASURES.find((one) => one.value === question.measure);
  const what = question.property === "" ? (measure?.label ?? question.measure) : `${measure?.label ?? question.measure} of ${question.property}`;
  const where = question.conditions.map(conditionInWords);
  return [
    `${what} ${measure?.joint ?? "of"} ${question.event === "" ? "any event" : question.event}`,
    ...(where.length === 0 ? [] : [`where ${where.join(" and ")}`]),
    ...(question.groupBy.length === 0 ? [] : [`by ${question.groupBy.join(" and ")}`]),
    `${named(INTERVALS, question.interval)}, ${rangeInWords(question.range)}`,
  ].join(" ");
}
