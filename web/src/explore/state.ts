/** What the sentence says; every part of it is in the address, so that a reload or a link shows the same. */
export interface Question {
  metric: string;
  event: string;
  groupBy: string;
  interval: string;
  range: string;
  filters: Filter[];
}

export interface Filter {
  property: string;
  op: string;
  value: string;
}

export const METRICS = [
  { value: "events", label: "Events" },
  { value: "unique_users", label: "Unique users" },
  { value: "sessions", label: "Sessions" },
  { value: "events_per_user", label: "Events per user" },
];

export const INTERVALS = [
  { value: "", label: "in total" },
  { value: "minute", label: "by minute" },
  { value: "hour", label: "hourly" },
  { value: "day", label: "daily" },
  { value: "week", label: "weekly" },
  { value: "month", label: "monthly" },
];

export const RANGES = [
  { value: "1h", label: "last hour" },
  { value: "24h", label: "last 24 hours" },
  { value: "7d", label: "last 7 days" },
  { value: "30d", label: "last 30 days" },
  { value: "90d", label: "last 90 days" },
];

export const OPS = [
  { value: "eq", label: "is" },
  { value: "neq", label: "is not" },
  { value: "contains", label: "contains" },
  { value: "starts_with", label: "starts with" },
  { value: "gt", label: "is above" },
  { value: "lt", label: "is below" },
  { value: "is_set", label: "is set" },
  { value: "is_not_set", label: "is not set" },
];

const DEFAULT: Question = { metric: "events", event: "", groupBy: "event", interval: "day", range: "30d", filters: [] };

/** Reads the address; whatever is missing or unknown falls back to the default. */
export function readQuestion(search: string): Question {
  const parameters = new URLSearchParams(search);
  const known = (name: string, choices: { value: string }[], otherwise: string) => {
    const value = parameters.get(name);
    return value !== null && choices.some((choice) => choice.value === value) ? value : otherwise;
  };
  const filters = parameters.getAll("filter").flatMap((text) => {
    const [property, op, ...rest] = text.split("~");
    return property !== undefined && op !== undefined && OPS.some((choice) => choice.value === op) ? [{ property, op, value: rest.join("~") }] : [];
  });
  return {
    metric: known("metric", METRICS, DEFAULT.metric),
    event: parameters.get("event") ?? DEFAULT.event,
    groupBy: parameters.get("by") ?? DEFAULT.groupBy,
    interval: known("interval", INTERVALS, DEFAULT.interval),
    range: known("range", RANGES, DEFAULT.range),
    filters,
  };
}

/** The inverse of `readQuestion`. */
export function writeQuestion(question: Question): string {
  const parameters = new URLSearchParams({ metric: question.metric, event: question.event, by: question.groupBy, interval: question.interval, range: question.range });
  for (const { property, op, value } of question.filters) parameters.append("filter", [property, op, value].join("~"));
  return `?${parameters.toString()}`;
}

/** True for a comparison that has nothing to compare with. */
export function needsNoValue(op: string): boolean {
  return op === "is_set" || op === "is_not_set";
}

/** A typed value: text that is a number or a boolean in the schema is sent as one. */
function typed(value: string, types: string[]): string | number | boolean {
  if (types.includes("number") && value.trim() !== "" && Number.isFinite(Number(value))) return Number(value);
  if (types.includes("boolean") && (value === "true" || value === "false")) return value === "true";
  return value;
}

/** The request of `/query`; a filter that is not finished is left out. */
export function toRequest(question: Question, typesOf: (property: string) => string[]): Record<string, unknown> {
  const finished = question.filters.filter(({ property, op, value }) => property !== "" && (needsNoValue(op) || value !== ""));
  return {
    metric: question.metric,
    range: question.range,
    limit: 8,
    ...(question.event === "" ? {} : { event: question.event }),
    ...(question.groupBy === "" ? {} : { group_by: question.groupBy }),
    ...(question.interval === "" ? {} : { interval: question.interval }),
    filters: finished.map(({ property, op, value }) => {
      if (needsNoValue(op)) return { property, op };
      return { property, op, value: op === "gt" || op === "lt" ? Number(value) : typed(value, typesOf(property)) };
    }),
  };
}
