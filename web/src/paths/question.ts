import { type Condition, parsed, readConditions, writeConditions } from "../builder/conditions.ts";
import { type Named, readChoice } from "../builder/named.ts";
import { readRange } from "../builder/range.ts";
import type { Value } from "../api/types.ts";

/** What the sentence says; every part of it is in the address. */
export interface PathsQuestion {
  /** Where paths hang: at the beginning of sessions, or before or after an event. */
  anchor: "session" | "start" | "end";
  /** The event at which they hang; empty for any. */
  event: string;
  /** The name of the step at which they hang, where steps are named by a property; `undefined` for any. */
  value: Value | undefined;
  occurrence: string;
  steps: number;
  /** `event`, or the property by which steps are named. */
  by: string;
  collapse: boolean;
  /** Paths with fewer steps do not count. */
  full: boolean;
  /** Only these events are steps; none for all. */
  only: string[];
  /** These events are no steps. */
  without: string[];
  /** The longest pause between two steps; empty for sessions. */
  gap: string;
  conditions: Condition[];
  range: string;
}

export const BY_EVENT = "event";
export const MAX_STEPS = 10;
/** As many as the API takes. */
export const MAX_WITHOUT = 20;

export const ANCHORS: Named[] = [
  { value: "session", label: "from the beginning of sessions" },
  { value: "start", label: "that start with" },
  { value: "end", label: "that end with" },
];

export const OCCURRENCES: Named[] = [
  { value: "first", label: "the first of a session" },
  { value: "last", label: "the last of a session" },
  { value: "every", label: "every one of a session" },
];

export const GAPS: Named[] = [
  { value: "", label: "within a session" },
  { value: "5m", label: "with pauses up to 5 min" },
  { value: "30m", label: "with pauses up to 30 min" },
  { value: "1h", label: "with pauses up to 1 h" },
  { value: "24h", label: "with pauses up to 24 h" },
  { value: "7d", label: "with pauses up to 7 days" },
  { value: "none", label: "with pauses of any length" },
];

export const STEPS: Named[] = Array.from({ length: MAX_STEPS }, (_, at) => ({ value: String(at + 1), label: at === 0 ? "1 step" : `${at + 1} steps` }));

export const START: PathsQuestion = {
  anchor: "session",
  event: "",
  value: undefined,
  occurrence: "first",
  steps: 4,
  by: BY_EVENT,
  collapse: true,
  full: false,
  only: [],
  without: [],
  gap: "",
  conditions: [],
  range: "7d",
};

function scalar(text: string | null): Value | undefined {
  if (text === null) return undefined;
  const value = parsed(text);
  return typeof value === "object" && text !== "null" ? undefined : (value as Value);
}

const names = (parameters: URLSearchParams, name: string) => [...new Set(parameters.getAll(name).filter((value) => value !== ""))];

/** Reads the address; whatever is missing or unknown falls back to the start. */
export function readPaths(search: string): PathsQuestion {
  const parameters = new URLSearchParams(search);
  const anchor = parameters.has("end") ? "end" : parameters.has("start") ? "start" : "session";
  const by = parameters.get("by") ?? "";
  return {
    anchor,
    event: (anchor === "session" ? null : parameters.get(anchor)) ?? "",
    value: anchor === "session" ? undefined : scalar(parameters.get("at")),
    occurrence: readChoice(parameters, "occurrence", OCCURRENCES, START.occurrence),
    steps: Number(readChoice(parameters, "steps", STEPS, String(START.steps))),
    by: by === "" ? START.by : by,
    collapse: parameters.get("collapse") !== "0",
    full: parameters.get("full") === "1",
    only: names(parameters, "only"),
    without: names(parameters, "without").slice(0, MAX_WITHOUT),
    gap: readChoice(parameters, "gap", GAPS, START.gap),
    conditions: readConditions(parameters),
    range: readRange(parameters, START.range),
  };
}

/** The inverse of `readPaths`; what is as at the start is left out. */
export function writePaths(question: PathsQuestion): string {
  const { anchor, event, value, occurrence, steps, by, collapse, full, only, without, gap, conditions, range } = question;
  const parameters = new URLSearchParams();
  if (anchor !== "session") {
    parameters.set(anchor, event);
    if (value !== undefined) parameters.set("at", JSON.stringify(value));
  }
  const changed = { occurrence, steps: String(steps), by, gap, range };
  const start = { ...START, steps: String(START.steps) };
  for (const [name, text] of Object.entries(changed)) if (text !== start[name as keyof typeof changed]) parameters.set(name, text);
  if (!collapse) parameters.set("collapse", "0");
  if (full) parameters.set("full", "1");
  for (const name of only) parameters.append("only", name);
  for (const name of without) parameters.append("without", name);
  writeConditions(parameters, conditions);
  const written = parameters.toString();
  return written === "" ? "" : `?${written}`;
}
