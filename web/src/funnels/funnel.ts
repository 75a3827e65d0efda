import { type Condition, readConditions, writeConditions } from "../builder/conditions.ts";
import { type Named, readChoice } from "../builder/named.ts";
import { readRange } from "../builder/range.ts";
import { type Subject, subjectOf, subjectText } from "../builder/subject.ts";

export interface Step extends Subject {
  /** May be left out. */
  optional: boolean;
}

/** Events that make an attempt void where they lie between two steps, which are counted from 1. */
export interface Exclusion extends Subject {
  /** 0 for the first step, whichever that is. */
  from: number;
  /** 0 for the last step. */
  to: number;
}

/** Whose list is open: those who reached a step, or who were lost before it. */
export interface Shown {
  step: number;
  outcome: "reached" | "dropped";
}

/** What the page asks; all of it is in the address. */
export interface Funnel {
  steps: Step[];
  mode: string;
  /** `7d`, `12h`, or `none`. */
  window: string;
  entry: string;
  applies: string;
  counting: string;
  exclusions: Exclusion[];
  hold: string[];
  /** Empty for none. */
  breakdown: string;
  /** `first`, `last`, or `step:2`. */
  attribution: string;
  conditions: Condition[];
  range: string;
  /** Of the trend; empty for none. */
  interval: string;
  shown: Shown | null;
}

export const MODES: Named[] = [
  { value: "ordered", label: "in this order" },
  { value: "strict", label: "in this order, nothing between" },
  { value: "unordered", label: "in any order" },
];

export const WINDOWS: Named[] = [
  { value: "30m", label: "30 minutes" },
  { value: "1h", label: "1 hour" },
  { value: "1d", label: "1 day" },
  { value: "7d", label: "7 days" },
  { value: "14d", label: "14 days" },
  { value: "30d", label: "30 days" },
  { value: "90d", label: "90 days" },
  { value: "none", label: "any time" },
];

export const ENTRIES: Named[] = [
  { value: "any", label: "any first step" },
  { value: "first", label: "a person's first in the range" },
];

export const APPLIES: Named[] = [
  { value: "entry", label: "the first step" },
  { value: "all", label: "every step" },
];

export const COUNTINGS: Named[] = [
  { value: "users", label: "persons" },
  { value: "totals", label: "attempts" },
];

export const TRENDS: Named[] = [
  { value: "", label: "not shown" },
  { value: "hour", label: "hourly" },
  { value: "day", label: "daily" },
  { value: "week", label: "weekly" },
  { value: "month", label: "monthly" },
];

/** As many as the API takes. */
export const MAX_STEPS = 50;
export const MAX_EXCLUSIONS = 10;
export const MAX_HELD = 3;

export const START: Funnel = {
  steps: [],
  mode: "ordered",
  window: "7d",
  entry: "any",
  applies: "entry",
  counting: "users",
  exclusions: [],
  hold: [],
  breakdown: "",
  attribution: "first",
  conditions: [],
  range: "30d",
  interval: "day",
  shown: null,
};

const WINDOW = /^(none|\d{1,6}[dhms])$/;

/** True for what the API reads as a length of time. */
export const isWindow = (text: string) => WINDOW.test(text);

const place = (value: unknown) => (typeof value === "number" && Number.isInteger(value) && value > 0 && value <= MAX_STEPS ? value : 0);

function readStep(text: string): Step {
  const { subject, more } = subjectOf(text);
  return { ...subject, optional: more["optional"] === true };
}

function readExclusion(text: string): Exclusion {
  const { subject, more } = subjectOf(text);
  return { ...subject, from: place(more["from"]), to: place(more["to"]) };
}

function readShown(text: string | null): Shown | null {
  const [, step, outcome] = /^(\d{1,2})-(reached|dropped)$/.exec(text ?? "") ?? [];
  return step === undefined || Number(step) === 0 || outcome === undefined ? null : { step: Number(step), outcome: outcome === "reached" ? "reached" : "dropped" };
}

/** Reads the address; whatever is missing or unknown falls back to the start. */
export function readFunnel(search: string): Funnel {
  const parameters = new URLSearchParams(search);
  const window = parameters.get("window") ?? "";
  const attribution = parameters.get("attribution") ?? "";
  return {
    steps: parameters.getAll("step").slice(0, MAX_STEPS).map(readStep),
    mode: readChoice(parameters, "mode", MODES, START.mode),
    window: isWindow(window) ? window : START.window,
    entry: readChoice(parameters, "entry", ENTRIES, START.entry),
    applies: readChoice(parameters, "applies", APPLIES, START.applies),
    counting: readChoice(parameters, "counting", COUNTINGS, START.counting),
    exclusions: parameters.getAll("not").slice(0, MAX_EXCLUSIONS).map(readExclusion),
    hold: [...new Set(parameters.getAll("hold").filter((name) => name !== ""))].slice(0, MAX_HELD),
    breakdown: parameters.get("by") ?? "",
    attribution: /^(last|step:[1-9]\d?)$/.test(attribution) ? attribution : START.attribution,
    conditions: readConditions(parameters),
    range: readRange(parameters, START.range),
    interval: readChoice(parameters, "interval", TRENDS, START.interval),
    shown: readShown(parameters.get("people")),
  };
}

/** The inverse of `readFunnel`; what is as at the start is left out. */
export function writeFunnel(funnel: Funnel): string {
  const parameters = new URLSearchParams();
  for (const { optional, ...subject } of funnel.steps) parameters.append("step", subjectText(subject, optional ? { optional } : {}));
  const plain = { mode: funnel.mode, window: funnel.window, entry: funnel.entry, applies: funnel.applies, counting: funnel.counting, attribution: funnel.attribution, range: funnel.range, interval: funnel.interval };
  for (const [name, value] of Object.entries(plain)) if (value !== START[name as keyof typeof plain]) parameters.set(name, value);
  for (const { from, to, ...subject } of funnel.exclusions) parameters.append("not", subjectText(subject, { ...(from > 0 && { from }), ...(to > 0 && { to }) }));
  for (const name of funnel.hold) parameters.append("hold", name);
  if (funnel.breakdown !== "") parameters.set("by", funnel.breakdown);
  writeConditions(parameters, funnel.conditions);
  if (funnel.shown !== null) parameters.set("people", `${funnel.shown.step}-${funnel.shown.outcome}`);
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}
