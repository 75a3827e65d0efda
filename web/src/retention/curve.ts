import type { ChartData, ChartSeries } from "../charts/data.ts";
import { coloured } from "../charts/palette.ts";
import { valueLabel } from "../format.ts";
import type { Average, RetentionAnswer } from "./answer.ts";

/** `week 3`, as it is said. */
export const periodName = (period: string, place: number) => `${period} ${place}`;

export const inPeriod = (period: string, place: number) => `${period === "day" ? "on" : "in"} ${periodName(period, place)}`;

/** The average share that came back in each period, a line a group. */
export function curveData({ average, breakdown = [], semantics }: RetentionAnswer): ChartData {
  const known = average.fractions.findLastIndex((fraction) => fraction !== null);
  const places = average.fractions.slice(0, known + 1).map((_, place) => place);
  const values = ({ fractions }: Average) => places.map((place) => fractions[place] ?? null);
  const all: ChartSeries = { name: "All", group: [], other: false, place: null, values: values(average), previous: null };
  const groups: ChartSeries[] = breakdown.map(({ value, average }) => ({ name: valueLabel(value), group: [value], other: value === "$other", place: null, values: values(average), previous: null }));
  return {
    metric: "Came back",
    times: places.map((place) => periodName(semantics.period, place)),
    ticks: places.map(String),
    previousTimes: places.map(() => ""),
    partial: places.map(() => false),
    series: groups.length === 0 ? [all] : coloured(groups),
  };
}
