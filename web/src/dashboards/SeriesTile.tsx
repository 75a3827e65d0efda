import { use, useMemo } from "react";

import { Legend } from "../charts/Legend.tsx";
import { SeriesChart } from "../charts/SeriesChart.tsx";
import type { ChartData } from "../charts/data.ts";
import { type ChartLook, labelsDirectly } from "../charts/option.ts";
import { AnnotationsContext } from "./annotations.ts";

/** A chart as large as its tile, its names above it where they are not in it. */
export function SeriesTile({ data, look, label }: { data: ChartData; look: ChartLook; label: string }) {
  const marks = use(AnnotationsContext);
  const marked = useMemo<ChartLook>(() => (marks.length === 0 ? look : { ...look, marks }), [look, marks]);
  const named = data.times.length > 0 && data.series.length > 1;
  return (
    <div className="tile-chart">
      {named && !labelsDirectly(data, look) && <Legend series={data.series} />}
      <div className="tile-canvas">
        <SeriesChart data={data} look={marked} label={label} fills />
      </div>
    </div>
  );
}
