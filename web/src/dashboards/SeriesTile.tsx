import { Legend } from "../charts/Legend.tsx";
import { SeriesChart } from "../charts/SeriesChart.tsx";
import type { ChartData } from "../charts/data.ts";
import { type ChartLook, labelsDirectly } from "../charts/option.ts";

/** A chart as large as its tile, its names above it where they are not in it. */
export function SeriesTile({ data, look, label }: { data: ChartData; look: ChartLook; label: string }) {
  const named = data.times.length > 0 && data.series.length > 1;
  return (
    <div className="tile-chart">
      {named && !labelsDirectly(data, look) && <Legend series={data.series} />}
      <div className="tile-canvas">
        <SeriesChart data={data} look={look} label={label} fills />
      </div>
    </div>
  );
}
