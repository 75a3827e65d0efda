import type { QueryAnswer, Value } from "../api/types.ts";
import { label } from "../format.ts";

/** One line or one set of bars. */
export interface ChartSeries {
  name: string;
  other: boolean;
  values: (number | null)[];
}

/** What a chart shows: `times` with lines, or without an interval one bar a group. */
export interface ChartData {
  times: string[];
  series: ChartSeries[];
}

const number = (value: Value | undefined): number | null => (typeof value === "number" ? value : null);

/** Turns rows into series in their order of first appearance, which is the order of size. */
export function chartData(answer: QueryAnswer): ChartData {
  const metric = answer.metrics[0] ?? "events";
  const keys = answer.group_by;
  const nameOf = (row: Record<string, Value>) => (keys.length === 0 ? metric : keys.map((key) => label(row[key])).join(" / "));
  const times = [...new Set(answer.results.map((row) => row["time"]).filter((time) => typeof time === "string"))].sort();
  const bySeries = new Map<string, ChartSeries>();
  for (const row of answer.results) {
    const name = nameOf(row);
    const other = keys.some((key) => row[key] === "$other");
    const series = bySeries.get(name) ?? { name, other, values: times.length === 0 ? [] : times.map(() => null) };
    bySeries.set(name, series);
    const time = row["time"];
    if (typeof time === "string") series.values[times.indexOf(time)] = number(row[metric]);
    else series.values.push(number(row[metric]));
  }
  const total = (series: ChartSeries) => series.values.reduce((sum: number, value) => sum + (value ?? 0), 0);
  return { times, series: [...bySeries.values()].sort((a, b) => Number(a.other) - Number(b.other) || total(b) - total(a)) };
}
