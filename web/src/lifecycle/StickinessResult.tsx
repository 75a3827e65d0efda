import { useMediaQuery } from "@mantine/hooks";
import { type ReactNode, useMemo } from "react";

import { Facts } from "../builder/Facts.tsx";
import { SeriesChart } from "../charts/SeriesChart.tsx";
import type { ChartLook } from "../charts/option.ts";
import { fullNumber, percent, shortNumber } from "../format.ts";
import { BarTable } from "../ui/BarTable.tsx";
import { Message } from "../ui/Message.tsx";
import { Tally } from "../ui/Tally.tsx";
import type { StickinessAnswer } from "./answer.ts";
import { periodName } from "./question.ts";
import { meanPeriods, stickinessSeries } from "./series.ts";

interface StickinessResultProps {
  answer: StickinessAnswer;
  request: ReactNode;
}

function Figures({ answer }: { answer: StickinessAnswer }) {
  const { period } = answer.semantics;
  const mean = meanPeriods(answer.stickiness);
  const twice = answer.stickiness.find(({ periods }) => periods === 2)?.users_at_least ?? 0;
  return (
    <Tally
      label="Figures"
      figures={[
        { name: "Active persons", value: shortNumber(answer.users), full: fullNumber(answer.users) },
        { name: `Mean ${periodName(period, 2)}`, value: mean === null ? "–" : mean.toFixed(1), note: "in which a person is active" },
        { name: `More than one ${periodName(period, 1)}`, value: percent(answer.users === 0 ? null : twice / answer.users), note: `${shortNumber(twice)} persons` },
      ]}
    />
  );
}

/** On how many of the periods persons are active. */
export function StickinessResult({ answer, request }: StickinessResultProps) {
  const narrow = useMediaQuery("(max-width: 640px)", false, { getInitialValueInEffect: false });
  const { period } = answer.semantics;
  const data = useMemo(() => stickinessSeries(answer.stickiness, false), [answer]);
  const look = useMemo<ChartLook>(() => ({ kind: "bar", interval: period, stacks: false, narrow }), [period, narrow]);
  if (answer.users === 0) {
    return (
      <Message title="Nobody was active">
        <p className="quiet">No person did this in the range. Try a longer range, another event, or fewer conditions.</p>
      </Message>
    );
  }
  return (
    <>
      <Figures answer={answer} />
      <section className="panel chart-panel" aria-label="Chart">
        <header>
          <h2 className="cut">Persons by the number of {periodName(period, 2)} in which they are active</h2>
        </header>
        <SeriesChart data={data} look={look} label={`Persons by active ${periodName(period, 2)}. The table below has every value.`} />
        <p className="small quiet">
          Persons who were active in exactly so many {periodName(period, 2)} of the range; who was active in none is not counted.
          {!answer.finished && ` The range is not over: persons may still move to more ${periodName(period, 2)}.`}
        </p>
        <Facts answer={answer} />
        {request}
      </section>
      <section className="panel bar-panel" aria-label="Table">
        <BarTable
          label={`Persons by active ${periodName(period, 2)}`}
          heads={["Active", "Persons", "Share", "At least"]}
          rows={answer.stickiness.map((row) => ({
            key: String(row.periods),
            label: `${row.periods} ${periodName(period, row.periods)}`,
            part: row.users_at_least / answer.users,
            cells: [fullNumber(row.users), percent(row.fraction), percent(row.users_at_least / answer.users)],
          }))}
        />
        <p className="small quiet">Bars show who is active in at least so many.</p>
      </section>
    </>
  );
}
