import { useComputedColorScheme } from "@mantine/core";

import { OTHER_COLOUR, SERIES_COLOURS } from "./palette.ts";

/** The colour of a series beside its name. */
export function Swatch({ series }: { series: { place: number | null; other: boolean } }) {
  const scheme = useComputedColorScheme("light");
  const colour = series.other ? OTHER_COLOUR[scheme] : SERIES_COLOURS[scheme][series.place ?? 0];
  return <span className="swatch" style={{ color: colour }} aria-hidden="true" />;
}
