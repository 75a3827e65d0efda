import { Suspense, lazy, useCallback } from "react";

import type { ChartData } from "./data.ts";
import { type ChartLook, chartHeight, chartOption } from "./option.ts";
import type { ChartTheme } from "./theme.ts";

const Chart = lazy(() => import("./Chart.tsx"));

interface SeriesChartProps {
  data: ChartData;
  /** The same object as long as it says the same: a new one draws anew. */
  look: ChartLook;
  label: string;
  /** Takes the room there is in place of the height that it asks for. */
  fills?: boolean;
}

/** Lines or bars of series; their place is kept while the charts load. */
export function SeriesChart({ data, look, label, fills = false }: SeriesChartProps) {
  const draw = useCallback((theme: ChartTheme) => chartOption(data, look, theme), [data, look]);
  const height = fills ? "100%" : chartHeight(data, look.narrow);
  return (
    <Suspense fallback={<div style={{ height }} />}>
      <Chart draw={draw} height={height} label={label} />
    </Suspense>
  );
}
