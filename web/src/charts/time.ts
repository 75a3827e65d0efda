const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A bucket's start on the app's wall clock, as the API wrote it: `3 Mar`, `3 Mar 14:00`, `Mar 2026`. */
export function timeLabel(time: string, interval: string, full = false): string {
  const [, year, month, day, clock] = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}:\d{2})/.exec(time) ?? [];
  if (year === undefined || month === undefined || day === undefined) return time;
  const name = MONTHS[Number(month) - 1] ?? month;
  if (interval === "month") return `${name} ${year}`;
  const date = `${Number(day)} ${name}${full ? ` ${year}` : ""}`;
  return interval === "hour" || interval === "minute" ? `${date} ${clock ?? ""}` : date;
}

/** A moment on the app's wall clock, to the second: `3 Mar 2026 14:05:09`. */
export function momentLabel(time: string): string {
  const clock = /T(\d{2}:\d{2}:\d{2})/.exec(time)?.[1];
  return `${timeLabel(time, "day", true)} ${clock ?? ""}`.trim();
}

/** Which buckets are cut by an end of the range, or not over yet. */
export function partialBuckets(times: string[], range: { from: string; to: string }, nowMs: number): boolean[] {
  const from = Date.parse(range.from);
  return times.map((time, at) => Date.parse(time) < from || Date.parse(times[at + 1] ?? range.to) > nowMs);
}
