import type { QueryAnswer, Row, Value } from "../api/types.ts";
import type { ChartData, ChartSeries } from "../charts/data.ts";
import { coloured } from "../charts/palette.ts";
import { partialBuckets } from "../charts/time.ts";
import { valueLabel } from "../format.ts";

const number = (value: unknown): number | null => (typeof value === "number" ? value : null);
const scalar = (value: Row[string] | undefined): Value => (typeof value === "object" || value === undefined ? null : value);
const text = (value: unknown): string => (typeof value === "string" ? value : "");

function previousOf(row: Row): Record<string, Value> | null {
  const previous = row["previous"];
  return typeof previous === "object" ? previous : null;
}

function nameOf(metric: string, group: Value[]): string {
  return group.length === 0 ? metric : group.map(valueLabel).join(" · ");
}

/** Buckets by time, up to now: those that have not begun are not zero, they are not there. */
function bucketsOf(answer: QueryAnswer, nowMs: number): string[] {
  const times = new Set(answer.results.map((row) => text(row["time"])).filter((time) => time !== ""));
  return [...times].filter((time) => Date.parse(time) <= nowMs).sort((a, b) => Date.parse(a) - Date.parse(b));
}

/** Turns the rows of an answer into series: largest first as the API orders them, the rest last. */
export function chartData(answer: QueryAnswer, nowMs: number): ChartData {
  const metric = answer.metrics[0] ?? "";
  const times = bucketsOf(answer, nowMs);
  const places = new Map(times.map((time, place) => [time, place]));
  const compared = answer.previous_range !== undefined;
  const empty = () => (times.length === 0 ? [null] : times.map(() => null));
  const previousTimes = times.map(() => "");
  const bySeries = new Map<string, ChartSeries>();
  for (const row of answer.results) {
    const time = text(row["time"]);
    const at = time === "" ? 0 : places.get(time);
    if (at === undefined) continue;
    const group = answer.group_by.map((key) => scalar(row[key]));
    const key = JSON.stringify(group);
    const series = bySeries.get(key) ?? { name: nameOf(metric, group), group, other: group.includes("$other"), place: null, values: empty(), previous: compared ? empty() : null };
    bySeries.set(key, series);
    series.values[at] = number(row[metric]);
    const previous = previousOf(row);
    if (series.previous !== null) series.previous[at] = number(previous?.[metric]);
    if (previous !== null) previousTimes[at] = text(previous["time"]);
  }
  const total = (series: ChartSeries) => series.values.reduce((sum: number, value) => sum + (value ?? 0), 0);
  const series = [...bySeries.values()].sort((a, b) => Number(a.other) - Number(b.other) || total(b) - total(a));
  return { metric, times, previousTimes, partial: partialBuckets(times, answer.range, nowMs), series: answer.group_by.length > 0 && times.length > 0 ? coloured(series) : series };
}
