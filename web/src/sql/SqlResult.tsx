import { Button, SegmentedControl } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { type ReactNode, useMemo } from "react";

import { Facts } from "../builder/Facts.tsx";
import { Legend } from "../charts/Legend.tsx";
import { SeriesChart } from "../charts/SeriesChart.tsx";
import { type ChartLook, MAX_BARS, labelsDirectly } from "../charts/option.ts";
import { fullNumber } from "../format.ts";
import { Message } from "../ui/Message.tsx";
import { download } from "../ui/download.ts";
import { MAX_ROWS_SHOWN, SqlTable } from "./SqlTable.tsx";
import type { SqlAnswer } from "./answer.ts";
import { toCsv } from "./csv.ts";
import { sqlChart } from "./sqlChart.ts";
import type { Statement } from "./statement.ts";

const VIEWS = [
  { value: "table", label: "Table" },
  { value: "chart", label: "Chart" },
];

interface SqlResultProps {
  answer: SqlAnswer;
  view: Statement["view"];
  request: ReactNode;
  onView: (view: Statement["view"]) => void;
}

/** The rows as a table, or as the chart that they suggest. */
export function SqlResult({ answer, view, request, onView }: SqlResultProps) {
  const narrow = useMediaQuery("(max-width: 640px)", false, { getInitialValueInEffect: false });
  const suggested = useMemo(() => sqlChart(answer), [answer]);
  const chart = typeof suggested === "string" ? null : suggested;
  const look = useMemo<ChartLook>(() => ({ kind: "line", interval: chart?.interval ?? "", stacks: false, narrow }), [chart, narrow]);
  const { rows, columns } = answer;
  const save = () => {
    download("throng.csv", "text/csv", toCsv(columns.map((column) => column.name), rows));
  };
  const bars = chart?.data.times.length === 0 && rows.length > MAX_BARS ? `The first ${MAX_BARS} rows; the table has all.` : null;
  const note = view === "chart" ? (chart?.note ?? bars) : rows.length > MAX_ROWS_SHOWN ? `The first ${fullNumber(MAX_ROWS_SHOWN)} rows; the CSV has all ${fullNumber(rows.length)}.` : null;
  return (
    <>
      <section className="panel chart-panel" aria-label="Result">
        <header>
          <h2 className="cut tabular">{rows.length === 1 ? "1 row" : `${fullNumber(rows.length)} rows`}</h2>
          <SegmentedControl
            size="xs"
            aria-label="Shown as"
            data={VIEWS}
            value={view}
            onChange={(picked) => {
              onView(picked === "chart" ? "chart" : "table");
            }}
          />
          <Button variant="default" size="xs" onClick={save}>
            Download CSV
          </Button>
        </header>
        {view === "chart" && chart !== null && (
          <>
            {chart.data.times.length > 0 && chart.data.series.length > 1 && !labelsDirectly(chart.data, look) && <Legend series={chart.data.series} />}
            <SeriesChart data={chart.data} look={look} label="Chart of the rows. The table has every value." />
          </>
        )}
        {view === "chart" && typeof suggested === "string" && <p className="quiet">{suggested}</p>}
        {note !== null && <p className="small quiet">{note}</p>}
        <Facts answer={answer} />
        {request}
      </section>
      {view === "table" && rows.length > 0 && <SqlTable answer={answer} />}
      {rows.length === 0 && (
        <Message title="No rows">
          <p className="quiet">The statement can be read, and nothing fits it.</p>
        </Message>
      )}
    </>
  );
}
