import { SegmentedControl } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { type ReactNode, useMemo } from "react";

import type { QueryAnswer } from "../api/types.ts";
import { Facts } from "../builder/Facts.tsx";
import { named } from "../builder/named.ts";
import type { Asked } from "../builder/useAnswer.ts";
import { Legend } from "../charts/Legend.tsx";
import { SeriesChart } from "../charts/SeriesChart.tsx";
import type { ChartData } from "../charts/data.ts";
import { type ChartLook, MAX_BARS, labelsDirectly } from "../charts/option.ts";
import { change, fullNumber, shortNumber } from "../format.ts";
import { Message } from "../ui/Message.tsx";
import { ResultTable } from "./ResultTable.tsx";
import { MAX_GROUPS, MAX_SERIES, MEASURES, type Question, inWords } from "./question.ts";
import { chartData } from "./series.ts";

const CHART_KINDS = [
  { value: "line", label: "Lines" },
  { value: "bar", label: "Bars" },
];

/** One number, where nothing splits it. */
function LoneNumber({ data }: { data: ChartData }) {
  const series = data.series[0];
  const value = series?.values[0] ?? null;
  const before = series?.previous?.[0] ?? null;
  const changed = value !== null && before !== null ? change(value, before) : null;
  return (
    <div className="lone">
      <strong title={value === null ? "no value" : fullNumber(value)}>{value === null ? "–" : shortNumber(value)}</strong>
      {before !== null && (
        <span className="quiet tabular">
          {changed === null ? "" : `${changed}, `}
          {fullNumber(before)} in the period before
        </span>
      )}
    </div>
  );
}

/** What the chart leaves out, in words. */
function leftOut(data: ChartData, answer: QueryAnswer): string | null {
  const keys = answer.group_by.join(" and ");
  const overTime = data.times.length > 0;
  const folded = data.series.some((series) => series.other);
  if (!overTime && data.series.length > MAX_BARS) return `The ${MAX_BARS} largest by ${keys}; the table has ${folded ? `${MAX_GROUPS} and the rest as Other` : "all"}.`;
  return folded ? `The ${overTime ? MAX_SERIES : MAX_GROUPS} largest by ${keys}; the rest is Other.` : null;
}

interface ResultProps {
  question: Question;
  asked: Asked<QueryAnswer>;
  answer: QueryAnswer;
  /** The request, to be copied. */
  request: ReactNode;
  onChart: (chart: Question["chart"]) => void;
}

/** The answer as a chart and a table. */
export function Result({ question, asked, answer, request, onChart }: ResultProps) {
  const narrow = useMediaQuery("(max-width: 640px)", false, { getInitialValueInEffect: false });
  const data = useMemo(() => chartData(answer, asked.answeredAt), [answer, asked.answeredAt]);
  // The answer on show may be to the question before this one: its own rows say what it holds.
  const overTime = data.times.length > 0;
  const stacks = answer.metrics[0] === "events" || answer.metrics[0]?.startsWith("sum:") === true;
  const look = useMemo<ChartLook>(() => ({ kind: question.chart, interval: question.interval, stacks, narrow }), [question.chart, question.interval, stacks, narrow]);
  const measure = question.property === "" ? named(MEASURES, question.measure) : `${named(MEASURES, question.measure)} of ${question.property}`;
  if (data.series.length === 0) {
    return (
      <Message title="Nothing matches">
        <p className="quiet">No event of this range fits the question. Try a longer range or fewer conditions.</p>
      </Message>
    );
  }
  const note = leftOut(data, answer);
  const lone = !overTime && answer.group_by.length === 0;
  return (
    <>
      <section className="panel chart-panel" aria-label="Chart">
        <header>
          <h2 className="cut">{measure}</h2>
          {overTime && (
            <SegmentedControl
              size="xs"
              aria-label="Kind of chart"
              data={CHART_KINDS}
              value={question.chart}
              onChange={(kind) => {
                onChart(kind === "bar" ? "bar" : "line");
              }}
            />
          )}
        </header>
        {overTime && data.series.length > 1 && !labelsDirectly(data, look) && <Legend series={data.series} />}
        {lone ? (
          <LoneNumber data={data} />
        ) : (
          <SeriesChart data={data} look={look} label={`${inWords(question)}. The table below has every value.`} />
        )}
        {note !== null && <p className="small quiet">{note}</p>}
        <Facts answer={answer} />
        {request}
      </section>
      {!lone && <ResultTable data={data} keys={answer.group_by} interval={question.interval} measure={measure} />}
    </>
  );
}
