import { type Named, named } from "./named.ts";

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

/** The two days of a range `FROM..TO`. */
export function daysOf(range: string): { from: string; to: string } | null {
  const match = /^(\d{4}-\d{2}-\d{2})\.\.(\d{4}-\d{2}-\d{2})$/.exec(range);
  return match?.[1] === undefined || match[2] === undefined || !isDay(match[1]) || !isDay(match[2]) ? null : { from: match[1], to: match[2] };
}

/** False for the 31st of February, and for what no calendar has at all. */
function isDay(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

export function rangeInWords(range: string): string {
  const days = daysOf(range);
  return days === null ? named(RANGES, range) : `${days.from} to ${days.to}`;
}

/** The range of an address: `30d`, or `FROM..TO` with both days in. */
export function readRange(parameters: URLSearchParams, otherwise: string): string {
  const range = parameters.get("range") ?? "";
  const known = range !== CUSTOM_RANGE && RANGES.some((one) => one.value === range);
  return known || daysOf(range) !== null ? range : otherwise;
}

/** The day after, as `2026-03-01`: the API's ranges do not include their end. */
function dayAfter(day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + 1);
  return date.toISOString().slice(0, 10);
}

/** The range as the fields of a request. */
export function rangeRequest(range: string): { range: string } | { from: string; to: string } {
  const days = daysOf(range);
  return days === null ? { range } : { from: days.from, to: dayAfter(days.to) };
}
