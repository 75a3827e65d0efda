import type { ChartData, ChartSeries } from "../charts/data.ts";
import { coloured } from "../charts/palette.ts";
import { valueLabel } from "../format.ts";
import type { FunnelAnswer, TrendPoint } from "./answer.ts";

/** Conversion over time, a line a group. Periods whose windows are still open are marked: they can only rise. */
export function trendData(answer: FunnelAnswer, nowMs: number): ChartData {
  const points = (answer.trend ?? []).filter((point) => Date.parse(point.time) <= nowMs);
  const times = points.map((point) => point.time);
  const window = answer.semantics.window_ms ?? 0;
  const from = Date.parse(answer.range.from);
  const partial = times.map((time, at) => Date.parse(time) < from || Date.parse(times[at + 1] ?? answer.range.to) + window > nowMs);
  const line = (trend: readonly TrendPoint[] = []) => {
    const byTime = new Map(trend.map((point) => [point.time, point.conversion]));
    return times.map((time) => byTime.get(time) ?? null);
  };
  const groups: ChartSeries[] = (answer.breakdown ?? []).map(({ value, trend }) => ({ name: valueLabel(value), group: [value], other: value === "$other", place: null, values: line(trend), previous: null }));
  const all: ChartSeries = { name: "Conversion", group: [], other: false, place: null, values: line(answer.trend), previous: null };
  return { metric: "Conversion", times, previousTimes: times.map(() => ""), partial, series: groups.length === 0 ? [all] : coloured(groups) };
}
