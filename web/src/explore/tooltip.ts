import { type ChartTheme, seriesColour } from "../charts/theme.ts";
import { fullNumber } from "../format.ts";
import { type ChartData, timeLabel } from "./series.ts";

const MAX_ROWS = 12;

function element(kind: string, className: string, text?: string): HTMLElement {
  const made = document.createElement(kind);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function row(colour: string, name: string, value: string, dashed: boolean): HTMLElement {
  const line = element("div", "tip-row");
  const swatch = element("span", dashed ? "swatch swatch-dashed" : "swatch");
  swatch.style.color = colour;
  line.append(swatch, element("span", "tip-name cut", name), element("span", "tip-value tabular", value));
  return line;
}

const shown = (value: number | null | undefined) => (value === null || value === undefined ? "–" : fullNumber(value));

/**
 * Every series at one place of the axis, largest first. Built as elements whose names are text nodes: what was ingested is shown,
 * never read as markup.
 */
export function tooltip(data: ChartData, interval: string, at: number, theme: ChartTheme): HTMLElement {
  const tip = element("div", "tip");
  const time = data.times[at];
  if (time !== undefined) {
    const head = timeLabel(time, interval, true) + (data.partial[at] === true ? " (incomplete)" : "");
    tip.append(element("div", "tip-head", head));
  }
  const valueAt = (values: (number | null)[]) => values[time === undefined ? 0 : at];
  const here = time === undefined ? data.series.slice(at, at + 1) : data.series;
  const ranked = [...here].sort((a, b) => (valueAt(b.values) ?? -Infinity) - (valueAt(a.values) ?? -Infinity));
  for (const series of ranked.slice(0, MAX_ROWS)) {
    const colour = seriesColour(theme, series);
    tip.append(row(colour, series.name, shown(valueAt(series.values)), false));
    if (series.previous === null) continue;
    const before = time === undefined ? "period before" : timeLabel(data.previousTimes[at] ?? "", interval);
    tip.append(row(colour, before, shown(valueAt(series.previous)), true));
  }
  if (ranked.length > MAX_ROWS) tip.append(element("div", "tip-more", `and ${ranked.length - MAX_ROWS} more`));
  return tip;
}
