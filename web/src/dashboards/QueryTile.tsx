import { useMemo } from "react";

import type { QueryAnswer } from "../api/types.ts";
import type { ChartLook } from "../charts/option.ts";
import { change, fullNumber, shortNumber } from "../format.ts";
import { metricInWords } from "../explore/question.ts";
import { ResultTable } from "../explore/ResultTable.tsx";
import { chartData } from "../explore/series.ts";
import { BarTable } from "../ui/BarTable.tsx";
import { SeriesTile } from "./SeriesTile.tsx";
import { type DrawnProps, intervalOf } from "./drawn.ts";

/** One number, as large as it can be read from afar. */
function NumberTile({ value, before }: { value: number | null; before: number | null }) {
  const changed = value !== null && before !== null ? change(value, before) : null;
  const arrow = changed?.startsWith("+") === true ? "↑ " : changed?.startsWith("−") === true ? "↓ " : "";
  return (
    <div className="tile-number">
      <strong title={value === null ? "no value" : fullNumber(value)}>{value === null ? "–" : shortNumber(value)}</strong>
      {before !== null && (
        <span className="quiet tabular">
          <span aria-hidden="true">{arrow}</span>
          {changed === null ? "" : `${changed}, `}
          {shortNumber(before)} before
        </span>
      )}
    </div>
  );
}

/** Counts and measures: a number, lines or bars over time, ranked names, or a table. */
export function QueryTile({ tile, answer, answeredAt, narrow }: DrawnProps<QueryAnswer>) {
  const data = useMemo(() => chartData(answer, answeredAt), [answer, answeredAt]);
  const interval = intervalOf(tile);
  const stacks = answer.metrics[0] === "events" || answer.metrics[0]?.startsWith("sum:") === true;
  const look = useMemo<ChartLook>(() => ({ kind: tile.view === "bars" ? "bar" : "line", interval, stacks, narrow }), [tile.view, interval, stacks, narrow]);
  const measure = metricInWords(data.metric);
  const overTime = data.times.length > 0;
  if (data.series.length === 0) return <p className="tile-empty quiet">No event of this range fits.</p>;
  if (tile.view === "table") return <ResultTable data={data} keys={answer.group_by} interval={interval} measure={measure} />;
  if (overTime) return <SeriesTile data={data} look={look} label={`${measure} over time`} />;
  const [first] = data.series;
  if (answer.group_by.length === 0) return <NumberTile value={first?.values[0] ?? null} before={first?.previous?.[0] ?? null} />;
  const largest = Math.max(1, ...data.series.map((series) => (series.other ? 0 : (series.values[0] ?? 0))));
  return (
    // A region that scrolls must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex
    <div className="tile-scroll" role="group" aria-label={measure} tabIndex={0}>
      <BarTable
        label={measure}
        heads={[answer.group_by.join(" · "), measure]}
        rows={data.series.map((series) => ({ key: JSON.stringify(series.group), label: series.name, title: series.name, part: (series.values[0] ?? 0) / largest, cells: [fullNumber(series.values[0] ?? 0)] }))}
      />
    </div>
  );
}
