import { useMediaQuery } from "@mantine/hooks";
import { type ReactNode, useMemo } from "react";

import { Facts } from "../builder/Facts.tsx";
import type { Asked } from "../builder/useAnswer.ts";
import { Legend } from "../charts/Legend.tsx";
import { SeriesChart } from "../charts/SeriesChart.tsx";
import { type ChartLook, labelsDirectly } from "../charts/option.ts";
import { duration, fullNumber, percent } from "../format.ts";
import { Message } from "../ui/Message.tsx";
import { Bars } from "./Bars.tsx";
import { GroupTable } from "./GroupTable.tsx";
import { type FunnelAnswer, countOf } from "./answer.ts";
import { barsOf, groupBars, lastRequired } from "./bars.ts";
import type { Funnel, Shown } from "./funnel.ts";
import { histogramData } from "./histogram.ts";
import { MAX_GROUPS } from "./request.ts";
import { trendData } from "./trend.ts";

interface ResultProps {
  funnel: Funnel;
  asked: Asked<FunnelAnswer>;
  answer: FunnelAnswer;
  request: ReactNode;
  onShow: (shown: Shown) => void;
}

function Trend({ funnel, answer, answeredAt, narrow }: { funnel: Funnel; answer: FunnelAnswer; answeredAt: number; narrow: boolean }) {
  const data = useMemo(() => trendData(answer, answeredAt), [answer, answeredAt]);
  const look = useMemo<ChartLook>(() => ({ kind: "line", interval: funnel.interval, stacks: false, narrow, format: percent, whole: 1 }), [funnel.interval, narrow]);
  return (
    <section className="panel chart-panel" aria-label="Conversion over time">
      <header>
        <h2>Conversion over time</h2>
      </header>
      {data.series.length > 1 && !labelsDirectly(data, look) && <Legend series={data.series} />}
      <SeriesChart data={data} look={look} label="Share of those who entered in each period and converted" />
      {data.partial.includes(true) && <p className="small quiet">Dashed: their window is still open, or the range cuts them, so the share may rise.</p>}
    </section>
  );
}

function TimeToConvert({ answer, unit, narrow }: { answer: FunnelAnswer; unit: string; narrow: boolean }) {
  const times = answer.time_to_convert;
  const data = useMemo(() => (times === undefined ? null : histogramData(times, unit)), [times, unit]);
  const look = useMemo<ChartLook>(() => ({ kind: "bar", interval: "", stacks: false, narrow }), [narrow]);
  if (times === undefined || data === null || times.count === 0 || times.median_ms === null || times.avg_ms === null) return null;
  return (
    <section className="panel chart-panel" aria-label="Time to convert">
      <header>
        <h2>Time to convert</h2>
        <span className="quiet small tabular">
          median {duration(times.median_ms)}, mean {duration(times.avg_ms)}
        </span>
      </header>
      <SeriesChart data={data} look={look} label="How many converted in how much time" />
      {data.times.length > 1 && <p className="small quiet">Bars of equal width up to four times the median; all that took longer is in the last.</p>}
    </section>
  );
}

/** Steps as bars, conversion over time, and how long it took. */
export function Result({ funnel, asked, answer, request, onShow }: ResultProps) {
  const narrow = useMediaQuery("(max-width: 640px)", false, { getInitialValueInEffect: false });
  const bars = useMemo(() => barsOf(answer.funnel), [answer]);
  const groups = useMemo(() => groupBars(answer), [answer]);
  const unit = answer.semantics.counting === "totals" ? "attempts" : "persons";
  const entered = answer.funnel[0] === undefined ? 0 : countOf(answer.funnel[0]);
  const last = lastRequired(bars);
  if (entered === 0 || last === undefined) {
    return (
      <Message title="Nobody entered">
        <p className="quiet">No event of this range is the first step. Try a longer range, another first step or fewer conditions.</p>
      </Message>
    );
  }
  const median = answer.time_to_convert?.median_ms ?? null;
  return (
    <>
      <section className="panel chart-panel" aria-label="Funnel">
        <header className="headline">
          <h2 className="unseen">Funnel</h2>
          <p>
            <strong className="headline-number tabular">{percent(last.share)}</strong> <span>converted</span>
          </p>
          <p className="quiet tabular headline-about">
            {fullNumber(last.count)} of {fullNumber(entered)} {unit}
            {median !== null && `, half of them within ${duration(median)}`}
          </p>
        </header>
        {groups.length > 0 && <Legend series={groups} />}
        <Bars bars={bars} groups={groups} unit={unit} onShow={onShow} />
        {groups.some((group) => group.other) && <p className="small quiet">The {MAX_GROUPS} largest by {funnel.breakdown}; the rest is Other.</p>}
        <Facts answer={answer} />
        {request}
      </section>
      {groups.length > 0 && <GroupTable breakdown={funnel.breakdown} bars={bars} groups={groups} />}
      <div className="funnel-more">
        {answer.trend !== undefined && <Trend funnel={funnel} answer={answer} answeredAt={asked.answeredAt} narrow={narrow} />}
        <TimeToConvert answer={answer} unit={unit} narrow={narrow} />
      </div>
    </>
  );
}
