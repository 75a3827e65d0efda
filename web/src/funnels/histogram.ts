import type { ChartData } from "../charts/data.ts";
import { duration } from "../format.ts";
import type { Bin, TimeToConvert } from "./answer.ts";

const MAX_BARS = 20;
/** Bars reach to so many medians. The few times beyond, which would press the others into one bar, are together in the last. */
const MEDIANS = 4;

/** Neighbouring bins joined to about twenty bars around the median, and one bar for what took longer. */
export function histogramBars({ bins, median_ms }: TimeToConvert): Bin[] {
  const end = (median_ms ?? 0) * MEDIANS;
  const reached = bins.findIndex((bin) => bin.to_ms >= end);
  const wanted = bins.length <= MAX_BARS || reached === -1 ? bins.length : reached + 1;
  const size = Math.max(1, Math.ceil(wanted / MAX_BARS));
  const cut = Math.min(bins.length, Math.ceil(wanted / size) * size);
  const bars: Bin[] = [];
  for (let at = 0; at < cut; at += size) bars.push(joined(bins.slice(at, Math.min(at + size, cut))));
  const rest = joined(bins.slice(cut));
  return rest.count === 0 ? bars : [...bars, rest];
}

function joined(bins: readonly Bin[]): Bin {
  return { from_ms: bins[0]?.from_ms ?? 0, to_ms: bins.at(-1)?.to_ms ?? 0, count: bins.reduce((sum, bin) => sum + bin.count, 0) };
}

/** The bars as a chart; on the axis stands where they begin. */
export function histogramData(times: TimeToConvert, unit: string): ChartData {
  const bars = histogramBars(times);
  const [first, last] = [bars[0], bars.at(-1)];
  const longer = first !== undefined && last !== undefined && last.to_ms - last.from_ms > first.to_ms - first.from_ms;
  const ticks = bars.map(({ from_ms }, at) => (longer && at === bars.length - 1 ? "longer" : duration(from_ms)));
  const names = bars.map(({ from_ms, to_ms }) => `${duration(from_ms)} to ${duration(to_ms)}`);
  const series = { name: unit, group: [], other: false, place: null, values: bars.map((bar) => bar.count), previous: null };
  return { metric: unit, times: names, ticks, previousTimes: names.map(() => ""), partial: names.map(() => false), series: [series] };
}
