import { type Condition, readConditions, writeConditions } from "../builder/conditions.ts";
import { type Named, readChoice } from "../builder/named.ts";
import { readRange } from "../builder/range.ts";
import { ANY_EVENT, NEW_SUBJECT, type Subject, subjectOf, subjectText } from "../builder/subject.ts";

/** Whose list is open: a cohort by its place in the answer, and the period they came back in; null for all of the cohort. */
export interface Shown {
  cohort: number;
  period: number | null;
}

/** What the page asks and shows; all of it is in the address. */
export interface Retention {
  start: Subject;
  back: Subject;
  period: string;
  bucketing: string;
  entry: string;
  mode: string;
  /** After the first; 0 for those of the range. */
  periods: number;
  /** Empty for none. */
  breakdown: string;
  /** The value whose cohorts are shown, as JSON; empty for all. */
  group: string;
  conditions: Condition[];
  range: string;
  show: string;
  shown: Shown | null;
}

export const PERIODS: Named[] = [
  { value: "hour", label: "hour" },
  { value: "day", label: "day" },
  { value: "week", label: "week" },
  { value: "month", label: "month" },
];

export const ENTRIES: Named[] = [
  { value: "first_time", label: "for the first time ever" },
  { value: "first_in_range", label: "for the first time in the range" },
  { value: "recurring", label: "at all, each period anew" },
];

export const MODES: Named[] = [
  { value: "on", label: "in that very period" },
  { value: "on_or_after", label: "in that period or later" },
];

export const BUCKETINGS: Named[] = [
  { value: "calendar", label: "the calendar" },
  { value: "rolling", label: "each person's start" },
];

export const SHOWS: Named[] = [
  { value: "share", label: "Shares" },
  { value: "count", label: "Persons" },
];

/** After the first; 0 for as many as the range has. */
export const COUNTS: Named[] = [{ value: "0", label: "those of the range" }, ...[1, 3, 4, 7, 8, 12, 14, 30].map((count) => ({ value: String(count), label: `${count} after the first` }))];

/** A table of more cannot be read, and slows every page it is on. */
export const MAX_ROWS = 60;
export const MAX_COLUMNS = 31;

export const START: Retention = {
  start: NEW_SUBJECT,
  back: { events: [ANY_EVENT], conditions: [] },
  period: "week",
  bucketing: "calendar",
  entry: "first_time",
  mode: "on",
  periods: 0,
  breakdown: "",
  group: "",
  conditions: [],
  range: "90d",
  show: "share",
  shown: null,
};

function readSubject(text: string | null, otherwise: Subject): Subject {
  return text === null ? otherwise : subjectOf(text).subject;
}

function readShown(text: string | null): Shown | null {
  const [, cohort, period] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(text ?? "") ?? [];
  return cohort === undefined ? null : { cohort: Number(cohort), period: period === undefined ? null : Number(period) };
}

/** Reads the address; whatever is missing or unknown falls back to the start. */
export function readRetention(search: string): Retention {
  const parameters = new URLSearchParams(search);
  return {
    start: readSubject(parameters.get("start"), START.start),
    back: readSubject(parameters.get("back"), START.back),
    period: readChoice(parameters, "period", PERIODS, START.period),
    bucketing: readChoice(parameters, "bucketing", BUCKETINGS, START.bucketing),
    entry: readChoice(parameters, "entry", ENTRIES, START.entry),
    mode: readChoice(parameters, "mode", MODES, START.mode),
    periods: Number(readChoice(parameters, "periods", COUNTS, "0")),
    breakdown: parameters.get("by") ?? "",
    group: parameters.get("group") ?? "",
    conditions: readConditions(parameters),
    range: readRange(parameters, START.range),
    show: readChoice(parameters, "show", SHOWS, START.show),
    shown: readShown(parameters.get("people")),
  };
}

/** The inverse of `readRetention`; what is as at the start is left out. */
export function writeRetention(retention: Retention): string {
  const { start, back, periods, shown, conditions } = retention;
  const parameters = new URLSearchParams();
  if (start.events.length > 0 || start.conditions.length > 0) parameters.set("start", subjectText(start));
  if (subjectText(back) !== subjectText(START.back)) parameters.set("back", subjectText(back));
  const plain = { period: retention.period, bucketing: retention.bucketing, entry: retention.entry, mode: retention.mode, group: retention.group, range: retention.range, show: retention.show };
  for (const [name, value] of Object.entries(plain)) if (value !== START[name as keyof typeof plain]) parameters.set(name, value);
  if (periods !== 0) parameters.set("periods", String(periods));
  if (retention.breakdown !== "") parameters.set("by", retention.breakdown);
  writeConditions(parameters, conditions);
  if (shown !== null) parameters.set("people", shown.period === null ? String(shown.cohort) : `${shown.cohort}-${shown.period}`);
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}
