import { Swatch } from "./Swatch.tsx";
import type { ChartSeries } from "./data.ts";

/** Names and colours of series, above a chart that has no room for them. */
export function Legend({ series }: { series: readonly Pick<ChartSeries, "name" | "group" | "place" | "other">[] }) {
  return (
    <ul className="legend small" aria-label="Series">
      {series.map((one) => (
        <li key={JSON.stringify(one.group)}>
          <Swatch series={one} />
          <span className="cut" title={one.name}>
            {one.name}
          </span>
        </li>
      ))}
    </ul>
  );
}
