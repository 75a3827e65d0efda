import { fullNumber } from "../format.ts";
import type { ChartData } from "./data.ts";
import { type ChartTheme, seriesColour } from "./theme.ts";
import { timeLabel } from "./time.ts";
import { tipElement, tipRow } from "./tip.ts";

const MAX_ROWS = 12;

/**
 * Every series at one place of the axis, largest first. Built as elements whose names are text nodes: what was ingested is shown,
 * never read as markup.
 */
export function tooltip(data: ChartData, interval: string, at: number, theme: ChartTheme, format: (value: number) => string = fullNumber): HTMLElement {
  const shown = (value: number | null | undefined) => (value === null || value === undefined ? "–" : format(value));
  const tip = tipElement("div", "tip");
  const time = data.times[at];
  if (time !== undefined) {
    const head = timeLabel(time, interval, true) + (data.partial[at] === true ? " (incomplete)" : "");
    tip.append(tipElement("div", "tip-head", head));
  }
  const valueAt = (values: (number | null)[]) => values[time === undefined ? 0 : at];
  const here = time === undefined ? data.series.slice(at, at + 1) : data.series;
  const ranked = [...here].sort((a, b) => (valueAt(b.values) ?? -Infinity) - (valueAt(a.values) ?? -Infinity));
  for (const series of ranked.slice(0, MAX_ROWS)) {
    const colour = seriesColour(theme, series);
    tip.append(tipRow(colour, series.name, shown(valueAt(series.values)), false));
    if (series.previous === null) continue;
    const before = time === undefined ? "period before" : timeLabel(data.previousTimes[at] ?? "", interval);
    tip.append(tipRow(colour, before, shown(valueAt(series.previous)), true));
  }
  if (ranked.length > MAX_ROWS) tip.append(tipElement("div", "tip-more", `and ${ranked.length - MAX_ROWS} more`));
  return tip;
}
