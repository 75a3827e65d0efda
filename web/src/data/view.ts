import { type Named, readChoice } from "../builder/named.ts";

/** What the page shows; all of it is in the address. */
export interface View {
  range: string;
  side: string;
  /** What names must contain. */
  find: string;
  only: string;
  /** The event, property or code that is open; empty for none. */
  open: string;
  /** How many names are listed. */
  rows: number;
}

export const SIDES: Named[] = [
  { value: "events", label: "Events" },
  { value: "properties", label: "Properties" },
  { value: "rejected", label: "Rejected" },
];

export const ONLY: Named[] = [
  { value: "", label: "All" },
  { value: "new", label: "New" },
  { value: "quiet", label: "Gone quiet" },
];

interface Span extends Named {
  lengthMs: number;
  /** A bar of the chart of receipts. */
  bucketMs: number;
  /** As `/query` writes the range, to the minute rather than in whole days: the ledger beside it is cut the same. */
  query: string;
  /** A bar of the small charts. */
  interval: string;
  /** How often the ledger is asked for: a longer one is a larger answer. */
  everyMs: number;
}

export const SPANS: Span[] = [
  { value: "1h", label: "Last hour", lengthMs: 3_600_000, bucketMs: 60_000, query: "1h", interval: "minute", everyMs: 10_000 },
  { value: "24h", label: "24 hours", lengthMs: 86_400_000, bucketMs: 900_000, query: "24h", interval: "hour", everyMs: 30_000 },
  { value: "7d", label: "7 days", lengthMs: 604_800_000, bucketMs: 7_200_000, query: "168h", interval: "day", everyMs: 60_000 },
];

export const ROWS_STEP = 50;
/** More names than this are found by searching. */
export const MAX_ROWS = 200;

export const START: View = { range: "24h", side: "events", find: "", only: "", open: "", rows: ROWS_STEP };

export function spanOf(range: string): Span {
  const span = SPANS.find(({ value }) => value === range) ?? SPANS[1];
  if (span === undefined) throw new Error("there are ranges");
  return span;
}

/** Reads the address; whatever is missing or unknown falls back to the start. */
export function readView(search: string): View {
  const parameters = new URLSearchParams(search);
  const rows = Number(parameters.get("rows"));
  return {
    range: readChoice(parameters, "range", SPANS, START.range),
    side: readChoice(parameters, "side", SIDES, START.side),
    find: parameters.get("find") ?? "",
    only: readChoice(parameters, "only", ONLY, START.only),
    open: parameters.get("open") ?? "",
    rows: Number.isInteger(rows) && rows > ROWS_STEP ? Math.min(rows, MAX_ROWS) : ROWS_STEP,
  };
}

/** The inverse of `readView`; what is as at the start is left out. */
export function writeView(view: View): string {
  const start: Record<string, unknown> = { ...START };
  const changed = Object.entries(view).filter(([name, value]) => value !== start[name]);
  const text = new URLSearchParams(changed.map(([name, value]): [string, string] => [name, String(value)])).toString();
  return text === "" ? "" : `?${text}`;
}
