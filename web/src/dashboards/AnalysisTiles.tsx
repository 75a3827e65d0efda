import { useMemo } from "react";

import type { ChartLook } from "../charts/option.ts";
import { duration, fullNumber, percent, shortNumber } from "../format.ts";
import { Bars } from "../funnels/Bars.tsx";
import { type FunnelAnswer, countOf } from "../funnels/answer.ts";
import { barsOf, groupBars, lastRequired } from "../funnels/bars.ts";
import { trendData } from "../funnels/trend.ts";
import { Legend } from "../charts/Legend.tsx";
import type { LifecycleAnswer, StickinessAnswer } from "../lifecycle/answer.ts";
import { periodName } from "../lifecycle/question.ts";
import { lifecycleSeries, stickinessSeries } from "../lifecycle/series.ts";
import { FlowChart } from "../paths/FlowChart.tsx";
import type { PathsAnswer } from "../paths/answer.ts";
import { flowOf } from "../paths/flow.ts";
import { headsOf } from "../paths/rule.ts";
import { HeatTable } from "../retention/HeatTable.tsx";
import type { RetentionAnswer } from "../retention/answer.ts";
import { curveData } from "../retention/curve.ts";
import { cohortHeat } from "../retention/heat.ts";
import type { ActiveUsersAnswer, SessionsAnswer } from "../sessions/answer.ts";
import { MEASURES } from "../sessions/question.ts";
import { activeSeries, daysSoFar, lastWhole, sessionSeries } from "../sessions/series.ts";
import { SqlTable } from "../sql/SqlTable.tsx";
import type { SqlAnswer } from "../sql/answer.ts";
import { sqlChart } from "../sql/sqlChart.ts";
import { SeriesTile } from "./SeriesTile.tsx";
import { type DrawnProps, intervalOf } from "./drawn.ts";

const Nobody = ({ children }: { children: string }) => <p className="tile-empty quiet">{children}</p>;

export function FunnelTile({ tile, answer, answeredAt, narrow }: DrawnProps<FunnelAnswer>) {
  const bars = useMemo(() => barsOf(answer.funnel), [answer]);
  const groups = useMemo(() => groupBars(answer), [answer]);
  const data = useMemo(() => trendData(answer, answeredAt), [answer, answeredAt]);
  const look = useMemo<ChartLook>(() => ({ kind: "line", interval: intervalOf(tile), stacks: false, narrow, format: percent, whole: 1 }), [tile, narrow]);
  const entered = answer.funnel[0] === undefined ? 0 : countOf(answer.funnel[0]);
  const last = lastRequired(bars);
  if (entered === 0 || last === undefined) return <Nobody>Nobody entered in this range.</Nobody>;
  if (tile.view === "trend" && answer.trend !== undefined) return <SeriesTile data={data} look={look} label="Conversion over time" />;
  const unit = answer.semantics.counting === "totals" ? "attempts" : "persons";
  return (
    <div className="tile-funnel">
      <p className="tile-lead tabular">
        <strong>{percent(last.share)}</strong>{" "}
        <span className="quiet">
          {shortNumber(last.count)} of {shortNumber(entered)} {unit}
        </span>
      </p>
      {groups.length > 0 && <Legend series={groups} />}
      <Bars bars={bars} groups={groups} unit={unit} />
    </div>
  );
}

export function RetentionTile({ tile, answer, narrow }: DrawnProps<RetentionAnswer>) {
  const { period } = answer.semantics;
  const heat = useMemo(() => cohortHeat(answer.retention, answer.average, period), [answer, period]);
  const data = useMemo(() => curveData(answer), [answer]);
  const look = useMemo<ChartLook>(() => ({ kind: "line", interval: "", stacks: false, narrow, format: percent, whole: 1 }), [narrow]);
  if (answer.retention.every((row) => row.size === 0)) return <Nobody>Nobody began in this range.</Nobody>;
  if (tile.view === "curve") return <SeriesTile data={data} look={look} label={`Average share that came back in each ${period}`} />;
  return <HeatTable heat={heat} head={`${period}s from`} period={period} show="share" label="Cohorts by period" />;
}

/** Names at each place; a tile has less room than a page. */
const MOST_NAMES = 6;

export function PathsTile({ answer }: DrawnProps<PathsAnswer>) {
  const flow = useMemo(() => flowOf(answer, MOST_NAMES), [answer]);
  if (answer.sequences === 0) return <Nobody>No paths in this range.</Nobody>;
  return (
    <div className="tile-scroll">
      <FlowChart flow={flow} total={answer.sequences} heads={headsOf(answer)} />
    </div>
  );
}

const FORMATS: Record<string, (value: number) => string> = { bounce_rate: percent, avg_length_ms: duration, median_length_ms: duration, events_per_session: (value) => value.toFixed(1) };

export function SessionsTile({ tile, answer, answeredAt, narrow }: DrawnProps<SessionsAnswer>) {
  const measure = MEASURES.find(({ value }) => value === tile.view) ?? MEASURES[0];
  const { value: key = "sessions", label = "Sessions", kind = "bar" } = measure ?? {};
  const data = useMemo(() => sessionSeries(answer, key, label, answeredAt), [answer, key, label, answeredAt]);
  const interval = intervalOf(tile);
  const look = useMemo<ChartLook>(() => {
    const format = FORMATS[key];
    return { kind, interval, stacks: false, narrow, ...(format !== undefined && { format }) };
  }, [key, kind, interval, narrow]);
  const total = answer.total[key as keyof typeof answer.total];
  if (answer.total.sessions === 0) return <Nobody>No sessions in this range.</Nobody>;
  return (
    <div className="tile-chart">
      <p className="tile-lead tabular">
        <strong title={total === null ? undefined : fullNumber(total)}>{total === null ? "–" : (FORMATS[key] ?? shortNumber)(total)}</strong> <span className="quiet">{label.toLowerCase()}</span>
      </p>
      {data.times.length > 0 && <SeriesTile data={data} look={look} label={label} />}
    </div>
  );
}

const WINDOWS = [
  { name: "Daily", of: ({ dau }: { dau: number }) => dau },
  { name: "Weekly", of: ({ wau }: { wau: number }) => wau },
  { name: "Monthly", of: ({ mau }: { mau: number }) => mau },
];

export function ActiveUsersTile({ answer, answeredAt, narrow }: DrawnProps<ActiveUsersAnswer>) {
  const days = useMemo(() => daysSoFar(answer.all ?? answer.active_users, answeredAt), [answer, answeredAt]);
  const data = useMemo(() => activeSeries(days, WINDOWS), [days]);
  const look = useMemo<ChartLook>(() => ({ kind: "line", interval: "day", stacks: false, narrow }), [narrow]);
  const day = lastWhole(days);
  if (day === undefined || days.every(({ mau }) => mau === 0)) return <Nobody>Nobody was active in this range.</Nobody>;
  return <SeriesTile data={data} look={look} label="Daily, weekly and monthly active persons by day" />;
}

export function LifecycleTile({ answer, answeredAt, narrow }: DrawnProps<LifecycleAnswer>) {
  const data = useMemo(() => lifecycleSeries(answer.lifecycle, answeredAt), [answer, answeredAt]);
  const { period } = answer.semantics;
  const look = useMemo<ChartLook>(() => ({ kind: "bar", interval: period, stacks: true, narrow }), [period, narrow]);
  if (data.series.every(({ values }) => values.every((value) => value === 0))) return <Nobody>Nobody was active in this range.</Nobody>;
  return <SeriesTile data={data} look={look} label={`New, returning, resurrected and dormant persons by ${periodName(period, 1)}`} />;
}

export function StickinessTile({ answer, narrow }: DrawnProps<StickinessAnswer>) {
  const { period } = answer.semantics;
  const data = useMemo(() => stickinessSeries(answer.stickiness, false), [answer]);
  const look = useMemo<ChartLook>(() => ({ kind: "bar", interval: period, stacks: false, narrow }), [period, narrow]);
  if (answer.users === 0) return <Nobody>Nobody was active in this range.</Nobody>;
  return <SeriesTile data={data} look={look} label={`Persons by active ${periodName(period, 2)}`} />;
}

export function SqlTile({ tile, answer, narrow }: DrawnProps<SqlAnswer>) {
  const suggested = useMemo(() => sqlChart(answer), [answer]);
  const chart = typeof suggested === "string" ? null : suggested;
  const look = useMemo<ChartLook>(() => ({ kind: "line", interval: chart?.interval ?? "", stacks: false, narrow }), [chart, narrow]);
  if (answer.rows.length === 0) return <Nobody>No rows.</Nobody>;
  if (tile.view === "chart" && chart !== null) return <SeriesTile data={chart.data} look={look} label="Chart of the rows" />;
  return <SqlTable answer={answer} />;
}
