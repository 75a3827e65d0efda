import { Suspense, lazy, useCallback } from "react";

import { Swatch } from "./Swatch.tsx";
import type { ChartData } from "./chartData.ts";
import { type ChartLook, chartHeight, chartOption, labelsDirectly } from "./chartOption.ts";
import type { ChartTheme } from "./theme.ts";

const Chart = lazy(() => import("./Chart.tsx"));

function Legend({ data }: { data: ChartData }) {
  return (
    <ul className="legend small" aria-label="Series">
      {data.series.map((series) => (
        <li key={JSON.stringify(series.group)}>
          <Swatch series={series} />
          <span className="cut" title={series.name}>
            {series.name}
          </span>
        </li>
      ))}
    </ul>
  );
}

interface SeriesChartProps {
  data: ChartData;
  look: ChartLook;
  /** What it shows and where its values are as text, for screen readers. */
  label: string;
  height?: number;
}

/** Lines or bars over time, or a bar a group, with the names of their series; loads when it is first shown. */
export function SeriesChart({ data, look, label, height = chartHeight(data, look.narrow) }: SeriesChartProps) {
  const draw = useCallback((theme: ChartTheme) => chartOption(data, look, theme), [data, look]);
  return (
    <>
      {data.times.length > 0 && data.series.length > 1 && !labelsDirectly(data, look) && <Legend data={data} />}
      <Suspense fallback={<div style={{ height }} />}>
        <Chart draw={draw} height={height} label={label} />
      </Suspense>
    </>
  );
}
