import { SegmentedControl } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { type ReactNode, useMemo } from "react";

import { Facts } from "../builder/Facts.tsx";
import { Legend } from "../charts/Legend.tsx";
import { SeriesChart } from "../charts/SeriesChart.tsx";
import { type ChartLook, labelsDirectly } from "../charts/option.ts";
import { fullNumber, percent, valueLabel } from "../format.ts";
import { Message } from "../ui/Message.tsx";
import { Picker } from "../ui/Picker.tsx";
import { HeatTable } from "./HeatTable.tsx";
import type { RetentionAnswer } from "./answer.ts";
import { curveData, inPeriod } from "./curve.ts";
import { type Heat, cohortHeat, groupHeat } from "./heat.ts";
import { hasMembers } from "./members.ts";
import { MAX_GROUPS } from "./request.ts";
import { type Retention, SHOWS, type Shown } from "./retention.ts";

interface ResultProps {
  retention: Retention;
  answer: RetentionAnswer;
  request: ReactNode;
  onChange: (changed: Partial<Retention>) => void;
  onShow: (shown: Shown) => void;
}

/** How many came back after the first period: the number one looks for. */
function Headline({ answer }: { answer: RetentionAnswer }) {
  const { average, semantics } = answer;
  const share = average.fractions[1] ?? null;
  const when = `${inPeriod(semantics.period, 1)}${semantics.mode === "on_or_after" ? " or later" : ""}`;
  return (
    <>
      <h2 className="unseen">Average of all cohorts</h2>
      <p>
        <strong className="headline-number tabular">{percent(share)}</strong> <span>came back {when}</span>
      </p>
      <p className="quiet tabular headline-about">
        {share === null ? `No ${semantics.period} 1 is over yet` : `${fullNumber(average.returned[1] ?? 0)} of ${fullNumber(average.size[1] ?? 0)} persons in cohorts that had the time`}
      </p>
    </>
  );
}

/** What the table leaves out, in words. */
function leftOut({ hidden, columns, rows }: Heat, period: string): string {
  const parts = [...(hidden.rows > 0 ? [`the newest ${fullNumber(rows.length - 1)} of ${fullNumber(rows.length - 1 + hidden.rows)} cohorts`] : []), ...(hidden.columns > 0 ? [`the first ${columns} of ${columns + hidden.columns} ${period}s`] : [])];
  const before = hidden.empty === 0 ? "" : `Nobody began in the ${hidden.empty === 1 ? period : `${hidden.empty} ${period}s`} before. `;
  return parts.length === 0 ? before : `${before}Shown are ${parts.join(" and ")}: a longer period has all at once, the answer has every one. `;
}

/** The triangle of all cohorts, or of those with one value. */
function Cohorts({ retention, answer, onChange, onShow }: Omit<ResultProps, "request">) {
  const { period } = answer.semantics;
  const groups = answer.breakdown ?? [];
  const group = groups.find(({ value }) => JSON.stringify(value) === retention.group);
  const heat = useMemo(() => cohortHeat(group?.retention ?? answer.retention, group?.average ?? answer.average, period), [answer, group, period]);
  const note = leftOut(heat, period);
  const opens = hasMembers(retention);
  return (
    <section className="panel chart-panel" aria-label="Cohorts">
      <header>
        <h2>Cohorts</h2>
        {groups.length > 0 && (
          <Picker
            label="Cohorts of"
            choices={[{ value: "", label: "All" }, ...groups.map(({ value }) => ({ value: JSON.stringify(value), label: valueLabel(value) }))]}
            value={group === undefined ? "" : retention.group}
            onChange={(picked) => {
              onChange({ group: picked });
            }}
          />
        )}
        <SegmentedControl
          size="xs"
          aria-label="Cells show"
          data={SHOWS}
          value={retention.show}
          onChange={(show) => {
            onChange({ show });
          }}
        />
      </header>
      <HeatTable heat={heat} head={`${period}s from`} period={period} show={retention.show} label="Cohorts by period" {...(opens && { onShow })} />
      <p className="small quiet">
        {note}Hatched: not over, may still grow.{opens ? " A number opens its persons." : " Persons can be listed for all cohorts, by the calendar."}
      </p>
    </section>
  );
}

/** The average curve, the table of cohorts under it, and how it came about. */
export function Result(props: ResultProps) {
  const { retention, answer, request } = props;
  const narrow = useMediaQuery("(max-width: 640px)", false, { getInitialValueInEffect: false });
  const data = useMemo(() => curveData(answer), [answer]);
  const look = useMemo<ChartLook>(() => ({ kind: "line", interval: "", stacks: false, narrow, format: percent, whole: 1 }), [narrow]);
  const groups = useMemo(() => groupHeat(answer.breakdown ?? []), [answer]);
  if (answer.retention.every((row) => row.size === 0)) {
    return (
      <Message title="Nobody began">
        <p className="quiet">No start event of this range makes a cohort. Try a longer range, another event, or starts that need not be the first ever.</p>
      </Message>
    );
  }
  return (
    <>
      <section className="panel chart-panel" aria-label="Retention">
        <header className="headline">
          <Headline answer={answer} />
        </header>
        {data.series.length > 1 && !labelsDirectly(data, look) && <Legend series={data.series} />}
        <SeriesChart data={data} look={look} label={`Average share that came back in each ${answer.semantics.period}. The table below has every value.`} />
        {data.series.some((series) => series.other) && (
          <p className="small quiet">
            The {MAX_GROUPS} largest by {retention.breakdown}; the rest is Other.
          </p>
        )}
        <Facts answer={answer} />
        {request}
      </section>
      {groups.rows.length > 0 && (
        <section className="panel chart-panel" aria-label={`Averages by ${retention.breakdown}`}>
          <header>
            <h2 className="cut">Averages by {retention.breakdown}</h2>
          </header>
          <HeatTable heat={groups} head={retention.breakdown} period={answer.semantics.period} show={retention.show} label="Averages of each value" />
        </section>
      )}
      <Cohorts {...props} />
    </>
  );
}
