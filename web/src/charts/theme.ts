import { OTHER_COLOUR, SERIES_COLOURS, type Scheme } from "./palette.ts";

/** Colours of the style sheet as a canvas needs them. */
export interface ChartTheme {
  text: string;
  quiet: string;
  line: string;
  surface: string;
  accent: string;
  font: string;
  still: boolean;
  scheme: Scheme;
}

export function readTheme(scheme: Scheme): ChartTheme {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string) => style.getPropertyValue(name).trim();
  return {
    text: token("--text"),
    quiet: token("--quiet"),
    line: token("--line"),
    surface: token("--surface"),
    accent: token("--accent"),
    font: token("--mantine-font-family"),
    still: window.matchMedia("(prefers-reduced-motion: reduce)").matches,
    scheme,
  };
}

/** The colour of a series: its place in the palette, grey for the rest, the accent for a lone series. */
export function seriesColour(theme: ChartTheme, { place, other }: { place: number | null; other: boolean }): string {
  if (other) return OTHER_COLOUR[theme.scheme];
  return place === null ? theme.accent : (SERIES_COLOURS[theme.scheme][place] ?? theme.accent);
}
