import type { EChartsCoreOption } from "echarts/core";

import { shortNumber } from "../format.ts";
import type { ChartData, ChartSeries } from "./data.ts";
import { axes, frame, hatch } from "./frame.ts";
import { type ChartTheme, seriesColour } from "./theme.ts";
import { timeLabel } from "./time.ts";
import { tooltip } from "./tooltip.ts";

/** Up to so many series are named at their ends; more are named above the chart. */
export const MAX_DIRECT_LABELS = 4;
const MAX_LABEL_PX = 160;
/** A generous mean for 12 pixel text. */
const LETTER_PX = 7;
const ROW_PX = 28;
const AXIS_PX = 40;
/** Bars by group; the table has the rest. */
export const MAX_BARS = 12;

export interface ChartLook {
  kind: "line" | "bar";
  interval: string;
  /** Bars of a bucket add up to its whole; those of unique users do not. */
  stacks: boolean;
  /** Little room: names above, fewer ticks. */
  narrow: boolean;
  /** How values read, where they are no counts. */
  format?: (value: number) => string;
  /** What happened when, as lines across a chart over time. */
  marks?: readonly { time: string; text: string }[];
  /** What values never exceed, 1 for shares: an axis that comes near it ends there. */
  whole?: number;
}

/** Height that a chart needs, pixels: bars by group grow with their number. */
export function chartHeight(data: ChartData, narrow: boolean): number {
  if (data.times.length === 0) return Math.max(3, Math.min(MAX_BARS, data.series.length)) * ROW_PX + AXIS_PX;
  return narrow ? 260 : 340;
}

/** True when lines are named at their ends rather than in a list. */
export function labelsDirectly(data: ChartData, look: ChartLook): boolean {
  return look.kind === "line" && !look.narrow && data.series.length <= MAX_DIRECT_LABELS && data.series.some((series) => series.group.length > 0);
}

/** Room at the right for names at the ends of lines. */
function labelRoom(data: ChartData): number {
  return Math.min(MAX_LABEL_PX, 20 + LETTER_PX * Math.max(0, ...data.series.map((series) => series.name.length)));
}

/** A line in up to three pieces: solid where buckets are whole, dashed into partial ones, and the period before, dashed and paler. */
function lines(series: ChartSeries, data: ChartData, theme: ChartTheme, direct: boolean): object[] {
  const colour = seriesColour(theme, series);
  const touches = (at: number) => data.partial[at] === true || data.partial[at + 1] === true || data.partial[at - 1] === true;
  const lone = data.times.length === 1;
  const style = { type: "line", color: colour, symbol: "circle", symbolSize: 6, showSymbol: lone, emphasis: { disabled: true }, z: series.other ? 2 : 3 };
  const label = direct && { show: true, formatter: () => series.name, color: theme.text, fontSize: 12, fontFamily: theme.font, width: labelRoom(data) - 12, overflow: "truncate", distance: 8 };
  const endsPartial = data.partial.at(-1) === true;
  const solid = { ...style, name: series.name, data: series.values.map((value, at) => (data.partial[at] === true && !lone ? null : value)), lineStyle: { width: 2 } };
  const dashed = { ...style, name: series.name, data: series.values.map((value, at) => (touches(at) ? value : null)), lineStyle: { width: 2, type: [4, 4] } };
  const before = { ...style, name: `${series.name} before`, data: series.previous ?? [], z: 1, lineStyle: { width: 1.5, type: [2, 4], opacity: 0.6 }, showSymbol: false };
  const labelled = <T extends object>(line: T, here: boolean) => (here && label !== false ? { ...line, endLabel: label, labelLayout: { moveOverlap: "shiftY" } } : line);
  return [
    ...(series.previous === null ? [] : [before]),
    labelled(solid, !endsPartial),
    ...(data.partial.includes(true) && !lone ? [labelled(dashed, endsPartial)] : []),
  ];
}

function bars(series: ChartSeries, data: ChartData, theme: ChartTheme, look: ChartLook): object[] {
  const colour = seriesColour(theme, series);
  const stack = look.stacks && data.series.length > 1;
  const value = (point: number | null, at: number) => (data.partial[at] === true ? { value: point, itemStyle: { decal: hatch(theme) } } : point);
  const style = { type: "bar", color: colour, barMaxWidth: 40, emphasis: { disabled: true } };
  const edge = stack ? { borderColor: theme.surface, borderWidth: 0.5 } : { borderRadius: [2, 2, 0, 0] };
  const now = { ...style, name: series.name, data: series.values.map(value), itemStyle: edge, ...(stack ? { stack: "now" } : {}) };
  const before = { ...style, name: `${series.name} before`, data: series.previous ?? [], itemStyle: { ...edge, opacity: 0.35 }, ...(stack ? { stack: "before" } : {}) };
  return series.previous === null ? [now] : [before, now];
}

/** True where the highest value is in the last quarter before the whole, or where there is nothing to measure an axis by. */
function showsWhole(data: ChartData, whole: number): boolean {
  const highest = Math.max(0, ...data.series.flatMap((series) => series.values.map((value) => value ?? 0)));
  return highest === 0 || highest > whole * 0.75;
}

/** Marks that fall into the buckets of the chart, by the bucket that each is in. */
export function markedBuckets(times: readonly string[], marks: NonNullable<ChartLook["marks"]>): { at: number; text: string }[] {
  const [first, second] = [Date.parse(times[0] ?? ""), Date.parse(times[1] ?? "")];
  const last = Date.parse(times.at(-1) ?? "");
  // The last bucket is taken to be as long as the first.
  const end = last + (Number.isNaN(second) ? 86_400_000 : second - first);
  return marks.flatMap(({ time, text }) => {
    const moment = Date.parse(time);
    if (!(moment >= first && moment < end)) return [];
    return [{ at: times.findLastIndex((start) => Date.parse(start) <= moment), text }];
  });
}

/** The series with the marks on the first of them, which are drawn whatever its values are. */
function withMarks(series: object[], data: ChartData, look: ChartLook, theme: ChartTheme): object[] {
  const marks = markedBuckets(data.times, look.marks ?? []);
  const [first, ...others] = series;
  if (first === undefined || marks.length === 0) return series;
  const label = { show: true, position: "insideEndTop", formatter: "{b}", color: theme.quiet, fontSize: 12, fontFamily: theme.font };
  const markLine = { silent: true, animation: false, symbol: "none", lineStyle: { color: theme.quiet, type: "dashed", width: 1 }, label, data: marks.map(({ at, text }) => ({ xAxis: at, name: text })) };
  return [{ ...first, markLine }, ...others];
}

function overTime(data: ChartData, look: ChartLook, theme: ChartTheme): EChartsCoreOption {
  const { base, label, values } = axes(theme, look.format);
  const { whole } = look;
  const direct = labelsDirectly(data, look);
  const isLine = look.kind === "line" && data.times.length > 1;
  return {
    grid: { left: 0, right: direct ? labelRoom(data) : 24, top: 12, bottom: 8, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    xAxis: {
      type: "category",
      data: data.ticks ?? data.times.map((time) => timeLabel(time, look.interval)),
      boundaryGap: !isLine,
      ...base,
      axisLabel: { ...label, hideOverlap: true, alignMinLabel: isLine ? "left" : undefined, alignMaxLabel: isLine && !direct ? "right" : undefined, margin: 12 },
    },
    yAxis: { ...values, ...(whole !== undefined && showsWhole(data, whole) && { max: whole, interval: whole / 4 }) },
    series: withMarks(data.series.flatMap((series) => (isLine ? lines(series, data, theme, direct) : bars(series, data, theme, look))), data, look, theme),
  };
}

function byGroup(data: ChartData, look: ChartLook, theme: ChartTheme): EChartsCoreOption {
  const shown = data.series.slice(0, MAX_BARS);
  const { base, label, values } = axes(theme);
  const compared = shown.some((series) => series.previous !== null);
  const bar = { type: "bar", barMaxWidth: 18, barGap: "0%", emphasis: { disabled: true } };
  const one = (value: number | null | undefined, series: ChartSeries, opacity: number) => ({ value: value ?? null, itemStyle: { color: seriesColour(theme, series), opacity, borderRadius: [0, 2, 2, 0] } });
  const valueLabel = { show: true, position: "right", color: theme.text, fontSize: 12, fontFamily: theme.font, formatter: ({ value }: { value: unknown }) => (typeof value === "number" ? shortNumber(value) : "") };
  return {
    grid: { left: 0, right: 48, top: 0, bottom: 8, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    xAxis: { ...values, axisLabel: { ...values.axisLabel, hideOverlap: true } },
    yAxis: {
      type: "category",
      inverse: true,
      data: shown.map((series) => series.name),
      ...base,
      axisLabel: { ...label, color: theme.text, interval: 0, width: look.narrow ? 96 : 200, overflow: "truncate" },
    },
    series: [
      { ...bar, name: "now", data: shown.map((series) => one(series.values[0], series, 1)), label: valueLabel },
      ...(compared ? [{ ...bar, name: "before", data: shown.map((series) => one(series.previous?.[0], series, 0.35)) }] : []),
    ],
  };
}

/** The chart of an answer: lines or bars over time, else a bar a group. */
export function chartOption(data: ChartData, look: ChartLook, theme: ChartTheme): EChartsCoreOption {
  return {
    ...frame(theme, data.times.length === 0 || look.kind === "bar" ? "shadow" : "line", (at) => tooltip(data, look.interval, at, theme, look.format)),
    ...(data.times.length === 0 ? byGroup(data, look, theme) : overTime(data, look, theme)),
  };
}
