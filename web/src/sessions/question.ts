import { type Condition, readConditions, writeConditions } from "../builder/conditions.ts";
import { type Named, readChoice } from "../builder/named.ts";
import { readRange } from "../builder/range.ts";

/** What both sides of the page ask; every part of it is in the address. */
export interface SessionsQuestion {
  side: "sessions" | "active";
  /** Empty for any event. */
  event: string;
  conditions: Condition[];
  /** The property that splits the answer; empty for none. */
  by: string;
  range: string;
  interval: string;
  /** The figure that is drawn. */
  measure: string;
  /** The property that names pages. */
  page: string;
  /** The pause that ends a session; empty for the app's own. */
  idle: string;
  /** A session bounces with at most so many events. */
  bounceEvents: string;
  /** And, where this is not empty, when it is no longer than this. */
  bounceLength: string;
}

export const INTERVALS: Named[] = [
  { value: "hour", label: "hourly" },
  { value: "day", label: "daily" },
  { value: "week", label: "weekly" },
  { value: "month", label: "monthly" },
];

export interface Measure extends Named {
  kind: "bar" | "line";
}

export const MEASURES: Measure[] = [
  { value: "sessions", label: "Sessions", kind: "bar" },
  { value: "users", label: "Persons", kind: "bar" },
  { value: "events_per_session", label: "Events per session", kind: "line" },
  { value: "avg_length_ms", label: "Average length", kind: "line" },
  { value: "median_length_ms", label: "Median length", kind: "line" },
  { value: "bounce_rate", label: "Bounce rate", kind: "line" },
];

export const IDLES: Named[] = [
  { value: "", label: "the app's own pause" },
  { value: "5m", label: "pauses of 5 minutes" },
  { value: "15m", label: "pauses of 15 minutes" },
  { value: "30m", label: "pauses of 30 minutes" },
  { value: "1h", label: "pauses of 1 hour" },
  { value: "4h", label: "pauses of 4 hours" },
];

export const BOUNCE_EVENTS: Named[] = [1, 2, 3, 4, 5].map((count) => ({ value: String(count), label: count === 1 ? "one event" : `at most ${count} events` }));

export const BOUNCE_LENGTHS: Named[] = [
  { value: "", label: "however long" },
  { value: "10s", label: "within 10 seconds" },
  { value: "30s", label: "within 30 seconds" },
  { value: "1m", label: "within a minute" },
];

export const START: SessionsQuestion = {
  side: "sessions",
  event: "",
  conditions: [],
  by: "",
  range: "30d",
  interval: "day",
  measure: "sessions",
  page: "url",
  idle: "",
  bounceEvents: "1",
  bounceLength: "",
};

/** Reads the address; whatever is missing or unknown falls back to the start. */
export function readSessions(search: string): SessionsQuestion {
  const parameters = new URLSearchParams(search);
  const page = parameters.get("page") ?? "";
  return {
    side: parameters.get("side") === "active" ? "active" : "sessions",
    event: parameters.get("event") ?? "",
    conditions: readConditions(parameters),
    by: parameters.get("by") ?? "",
    range: readRange(parameters, START.range),
    interval: readChoice(parameters, "interval", INTERVALS, START.interval),
    measure: readChoice(parameters, "measure", MEASURES, START.measure),
    page: page === "" ? START.page : page,
    idle: readChoice(parameters, "idle", IDLES, START.idle),
    bounceEvents: readChoice(parameters, "bounce", BOUNCE_EVENTS, START.bounceEvents),
    bounceLength: readChoice(parameters, "within", BOUNCE_LENGTHS, START.bounceLength),
  };
}

/** The inverse of `readSessions`; what is as at the start is left out. */
export function writeSessions(question: SessionsQuestion): string {
  const { side, event, by, range, interval, measure, page, idle, bounceEvents, bounceLength } = question;
  const written = { side, event, by, range, interval, measure, page, idle, bounce: bounceEvents, within: bounceLength };
  const start: Record<string, unknown> = { ...START, bounce: START.bounceEvents, within: START.bounceLength };
  const parameters = new URLSearchParams(Object.entries(written).filter(([name, value]) => value !== start[name]));
  writeConditions(parameters, question.conditions);
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}
