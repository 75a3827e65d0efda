import type { ChartData } from "../charts/data.ts";
import { percent } from "../format.ts";
import { wallClock } from "./wallClock.ts";

/** Where every received event went. */
export interface Account {
  received: number;
  stored: number;
  duplicate: number;
  rejected: number;
  rejected_by_code: Record<string, number>;
}

export interface LedgerAnswer {
  from: string;
  to: string;
  totals: Account;
  /** Minutes that received anything, ascending. */
  minutes: (Account & { time: string })[];
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Places in the palette: blue, grey, red. */
const PARTS = [
  { name: "Stored", place: 4, other: false, of: ({ stored }: Account) => stored },
  { name: "Duplicate", place: null, other: true, of: ({ duplicate }: Account) => duplicate },
  { name: "Rejected", place: 1, other: false, of: ({ rejected }: Account) => rejected },
];

/** Received events that are in none of the three: 0, or the server has a fault. */
export function unaccounted({ received, stored, duplicate, rejected }: Account): number {
  return received - stored - duplicate - rejected;
}

/** A part in percent that is 0 or 100 only where it is nothing or everything. */
export function partOf(count: number, whole: number): string {
  const shown = percent(count / whole);
  if (count > 0 && shown === "0.0%") return "under 0.1%";
  return count < whole && shown === "100.0%" ? "over 99.9%" : shown;
}

/** The start of the last minute in which anything came in. */
export function lastReceivedMs(ledger: LedgerAnswer | undefined): number | null {
  const time = ledger?.minutes.at(-1)?.time;
  return time === undefined ? null : Date.parse(time);
}

/** A minute of receipt as its age: no more exact than the ledger is. */
export function minuteAge(minuteMs: number, nowMs: number): string {
  const minutes = Math.floor((nowMs - minuteMs) / MINUTE_MS);
  if (minutes < 2) return "within the last two minutes";
  if (minutes < 120) return `${minutes} minutes ago`;
  return minutes < 2_880 ? `${Math.round(minutes / 60)} hours ago` : `${Math.round(minutes / 1_440)} days ago`;
}

/** What came in, in buckets of absolute time on the wall clock of `zone`; those at the ends are not whole. */
export function ledgerChart({ from, to, minutes }: LedgerAnswer, bucketMs: number, zone: string): ChartData {
  const [fromMs, toMs] = [Date.parse(from), Date.parse(to)];
  const first = Math.floor(fromMs / bucketMs);
  const count = Math.max(1, Math.ceil(toMs / bucketMs) - first);
  const starts = Array.from({ length: count }, (_, at) => (first + at) * bucketMs);
  const series = PARTS.map(({ of, name, place, other }) => {
    const values = starts.map(() => 0);
    for (const minute of minutes) {
      const at = Math.floor(Date.parse(minute.time) / bucketMs) - first;
      if (at in values) values[at] = (values[at] ?? 0) + of(minute);
    }
    return { name, group: [name], other, place, values, previous: null };
  });
  const times = starts.map(wallClock(zone));
  return {
    metric: "Events",
    times,
    ...(toMs - fromMs < 2 * DAY_MS && { ticks: times.map((time) => time.slice(11, 16)) }),
    previousTimes: starts.map(() => ""),
    partial: starts.map((start) => start < fromMs || start + bucketMs > toMs),
    series,
  };
}
