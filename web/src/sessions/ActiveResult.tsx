import { useMediaQuery } from "@mantine/hooks";
import { type ReactNode, useMemo } from "react";

import { Facts } from "../builder/Facts.tsx";
import type { Asked } from "../builder/useAnswer.ts";
import { Legend } from "../charts/Legend.tsx";
import { SeriesChart } from "../charts/SeriesChart.tsx";
import { type ChartLook, labelsDirectly } from "../charts/option.ts";
import { timeLabel } from "../charts/time.ts";
import { fullNumber, percent, shortNumber, valueLabel } from "../format.ts";
import { BarTable } from "../ui/BarTable.tsx";
import { Message } from "../ui/Message.tsx";
import { Tally } from "../ui/Tally.tsx";
import type { ActiveDay, ActiveUsersAnswer } from "./answer.ts";
import { activeSeries, daysSoFar, lastWhole } from "./series.ts";

const WINDOWS = [
  { name: "Daily", of: ({ dau }: ActiveDay) => dau },
  { name: "Weekly", of: ({ wau }: ActiveDay) => wau },
  { name: "Monthly", of: ({ mau }: ActiveDay) => mau },
];
const RATIO = [{ name: "Daily of monthly", of: ({ dau_mau }: ActiveDay) => dau_mau }];

function Figures({ day }: { day: ActiveDay }) {
  const date = timeLabel(day.time, "day", true);
  const note = day.finished ? `on ${date}` : `on ${date}, so far`;
  const figure = (name: string, count: number, days: string) => ({ name, value: shortNumber(count), full: fullNumber(count), note: days });
  return (
    <Tally
      label="Active persons"
      figures={[
        figure("Daily active", day.dau, note),
        figure("Weekly active", day.wau, `in 7 days to ${date}`),
        figure("Monthly active", day.mau, `in 30 days to ${date}`),
        { name: "Daily of monthly", value: percent(day.dau_mau), note: "come on a given day" },
        { name: "Daily of weekly", value: percent(day.dau_wau), note: "come on a given day" },
      ]}
    />
  );
}

function Groups({ by, answer, day }: { by: string; answer: ActiveUsersAnswer; day: ActiveDay }) {
  const rows = answer.active_users.filter(({ time }) => time === day.time);
  const largest = Math.max(...rows.map(({ mau, [by]: value }) => (value === "$other" ? 0 : mau)), 1);
  return (
    <section className="panel bar-panel" aria-label={`By ${by}`}>
      <header>
        <h2 className="cut">
          By {by}, {timeLabel(day.time, "day", true)}
        </h2>
      </header>
      <BarTable
        label={`Active persons by ${by}`}
        heads={[by, "Daily", "Weekly", "Monthly", "Daily of monthly"]}
        rows={rows.map((row) => ({
          key: JSON.stringify(row[by]),
          label: valueLabel(row[by]),
          title: valueLabel(row[by]),
          part: row[by] === "$other" ? 0 : row.mau / largest,
          cells: [fullNumber(row.dau), fullNumber(row.wau), fullNumber(row.mau), percent(row.dau_mau)],
        }))}
      />
      <p className="small quiet">A person counts in the group of every value it was active with, so groups do not add up to everybody.</p>
    </section>
  );
}

interface ActiveResultProps {
  /** The property that splits the answer; empty for none. */
  by: string;
  asked: Asked<ActiveUsersAnswer>;
  answer: ActiveUsersAnswer;
  request: ReactNode;
}

/** How many persons come on a day, in a week and in a month, and how many of a month come on a day. */
export function ActiveResult({ by, asked, answer, request }: ActiveResultProps) {
  const narrow = useMediaQuery("(max-width: 640px)", false, { getInitialValueInEffect: false });
  const days = useMemo(() => daysSoFar(answer.all ?? answer.active_users, asked.answeredAt), [answer, asked.answeredAt]);
  const windows = useMemo(() => activeSeries(days, WINDOWS), [days]);
  const ratio = useMemo(() => activeSeries(days, RATIO), [days]);
  const look = useMemo<ChartLook>(() => ({ kind: "line", interval: "day", stacks: false, narrow }), [narrow]);
  const ratioLook = useMemo<ChartLook>(() => ({ ...look, format: percent }), [look]);
  const day = lastWhole(days);
  if (day === undefined || days.every(({ mau }) => mau === 0)) {
    return (
      <Message title="Nobody was active">
        <p className="quiet">No person did this in the range or the 30 days before it. Try another event or fewer conditions.</p>
      </Message>
    );
  }
  // The answer on show may be to the question before this one, which may have had no groups.
  const grouped = by !== "" && answer.active_users.some((row) => by in row);
  return (
    <>
      <Figures day={day} />
      <section className="panel chart-panel" aria-label="Chart">
        <header>
          <h2 className="cut">Active persons</h2>
        </header>
        {!labelsDirectly(windows, look) && <Legend series={windows.series} />}
        <SeriesChart data={windows} look={look} label="Daily, weekly and monthly active persons by day." />
        <p className="small quiet">Persons with such an event on the calendar day, and in the 7 and 30 days up to it, each counted once. Windows look back before the range.</p>
        <Facts answer={answer} />
        {request}
      </section>
      <section className="panel chart-panel" aria-label="Chart of stickiness">
        <header>
          <h2 className="cut">Daily of monthly</h2>
        </header>
        <SeriesChart data={ratio} look={ratioLook} label="Daily active persons over monthly ones, by day." />
        <p className="small quiet">Near 100%, whoever comes in a month comes every day.</p>
      </section>
      {grouped && <Groups by={by} answer={answer} day={day} />}
    </>
  );
}
