import { useMediaQuery } from "@mantine/hooks";
import { type ReactNode, useMemo } from "react";

import { Facts } from "../builder/Facts.tsx";
import type { Asked } from "../builder/useAnswer.ts";
import { Legend } from "../charts/Legend.tsx";
import { SeriesChart } from "../charts/SeriesChart.tsx";
import { Swatch } from "../charts/Swatch.tsx";
import type { ChartLook } from "../charts/option.ts";
import { timeLabel } from "../charts/time.ts";
import { fullNumber, shortNumber } from "../format.ts";
import { Message } from "../ui/Message.tsx";
import { Tally } from "../ui/Tally.tsx";
import type { LifecycleAnswer, LifecyclePeriod } from "./answer.ts";
import { periodName } from "./question.ts";
import { PARTS, lastFinished, lifecycleSeries, quickRatio } from "./series.ts";

function Figures({ row, period }: { row: LifecyclePeriod; period: string }) {
  const ratio = quickRatio(row);
  const figures = PARTS.map(({ key, name }) => ({ name, value: shortNumber(row[key]), full: fullNumber(row[key]) }));
  const when = `${periodName(period, 1)} of ${timeLabel(row.time, period, true)}${row.finished ? "" : ", so far"}`;
  return (
    <Tally
      label={`Persons in the ${when}`}
      figures={[
        { name: "Active", value: shortNumber(row.new + row.returning + row.resurrected), full: fullNumber(row.new + row.returning + row.resurrected), note: when },
        ...figures,
        { name: "Quick ratio", value: ratio === null ? "–" : ratio.toFixed(1), note: "came for each who left" },
      ]}
    />
  );
}

function PeriodTable({ answer, nowMs }: { answer: LifecycleAnswer; nowMs: number }) {
  const { period } = answer.semantics;
  const rows = answer.lifecycle.filter(({ time }) => Date.parse(time) <= nowMs).reverse();
  return (
    // A region that scrolls must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex
    <section className="panel table tabular" aria-label="Table" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {PARTS.map((part) => (
              <th key={part.key} scope="col" className="amount" title={part.about}>
                <Swatch series={{ place: part.place, other: false }} />
                {part.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.time}>
              <th scope="row">
                {timeLabel(row.time, period, true)}
                {!row.finished && <span className="quiet"> not over</span>}
              </th>
              {PARTS.map(({ key }) => (
                <td key={key} className="amount">
                  {fullNumber(row[key])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

interface LifecycleResultProps {
  asked: Asked<LifecycleAnswer>;
  answer: LifecycleAnswer;
  request: ReactNode;
}

/** Who came, came back, came again and fell away, period by period. */
export function LifecycleResult({ asked, answer, request }: LifecycleResultProps) {
  const narrow = useMediaQuery("(max-width: 640px)", false, { getInitialValueInEffect: false });
  const data = useMemo(() => lifecycleSeries(answer.lifecycle, asked.answeredAt), [answer, asked.answeredAt]);
  const { period } = answer.semantics;
  const look = useMemo<ChartLook>(() => ({ kind: "bar", interval: period, stacks: true, narrow }), [period, narrow]);
  const row = lastFinished(answer.lifecycle, asked.answeredAt);
  if (row === undefined || data.series.every(({ values }) => values.every((value) => value === 0))) {
    return (
      <Message title="Nobody was active">
        <p className="quiet">No person did this in the range. Try a longer range, another event, or fewer conditions.</p>
      </Message>
    );
  }
  return (
    <>
      <Figures row={row} period={period} />
      <section className="panel chart-panel" aria-label="Chart">
        <header>
          <h2 className="cut">Persons by {periodName(period, 1)}</h2>
        </header>
        <Legend series={data.series} />
        <SeriesChart data={data} look={look} label={`New, returning, resurrected and dormant persons by ${periodName(period, 1)}. The table below has every value.`} />
        <p className="small quiet">
          New had their first event ever in the {periodName(period, 1)}; returning were active in it and the one before; resurrected in it, not in the one before, and earlier; dormant in the one before and not in it. A {periodName(period, 1)} that is not over is hatched: its dormant persons may still come.
        </p>
        <Facts answer={answer} />
        {request}
      </section>
      <PeriodTable answer={answer} nowMs={asked.answeredAt} />
    </>
  );
}
