import type { ChartData } from "../charts/data.ts";
import { coloured } from "../charts/palette.ts";
import { partialBuckets } from "../charts/time.ts";
import { lengthInWords } from "../format.ts";
import type { ActiveDay, LengthBin, SessionNumbers, SessionsAnswer } from "./answer.ts";

const number = (value: unknown) => (typeof value === "number" ? value : null);

/** One figure of the sessions that began in each bucket, up to now. */
export function sessionSeries(answer: Pick<SessionsAnswer, "sessions" | "range">, measure: string, name: string, nowMs: number): ChartData {
  const rows = answer.sessions.filter(({ time }) => time !== undefined && Date.parse(time) <= nowMs);
  const times = rows.map(({ time }) => time ?? "");
  const values = rows.map((row) => number(row[measure as keyof SessionNumbers]));
  return { metric: name, times, previousTimes: times.map(() => ""), partial: partialBuckets(times, answer.range, nowMs), series: [{ name, group: [], other: false, place: null, values, previous: null }] };
}

/** Lines of persons over the days, one for each window or ratio. */
export function activeSeries(days: readonly ActiveDay[], lines: readonly { name: string; of: (day: ActiveDay) => number | null }[]): ChartData {
  const times = days.map(({ time }) => time);
  const series = lines.map(({ name, of }) => ({ name, group: lines.length === 1 ? [] : [name], other: false, place: null, values: days.map(of), previous: null }));
  return { metric: "", times, previousTimes: times.map(() => ""), partial: days.map(({ finished }) => !finished), series: series.length === 1 ? series : coloured(series) };
}

/** Days up to now: those that have not begun say nothing. */
export function daysSoFar<T extends ActiveDay>(days: readonly T[], nowMs: number): T[] {
  return days.filter(({ time }) => Date.parse(time) <= nowMs);
}

/** The day whose numbers are told: the last that is over, or today where none is. */
export function lastWhole<T extends ActiveDay>(days: readonly T[]): T | undefined {
  return days.findLast(({ finished }) => finished) ?? days.at(-1);
}

/** A bin as `1 second to 10 seconds`. */
export function binName({ from_ms, to_ms }: Pick<LengthBin, "from_ms" | "to_ms">): string {
  if (to_ms === null) return `${lengthInWords(from_ms)} and longer`;
  return from_ms === 0 ? `under ${lengthInWords(to_ms)}` : `${lengthInWords(from_ms)} to ${lengthInWords(to_ms)}`;
}
