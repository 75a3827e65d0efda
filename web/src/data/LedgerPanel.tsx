import { useMediaQuery } from "@mantine/hooks";
import { useMemo } from "react";

import { Legend } from "../charts/Legend.tsx";
import { SeriesChart } from "../charts/SeriesChart.tsx";
import type { ChartLook } from "../charts/option.ts";
import { momentLabel } from "../charts/time.ts";
import { fullNumber } from "../format.ts";
import { useNow } from "../ui/useNow.ts";
import { type LedgerAnswer, ledgerChart, minuteAge, partOf, unaccounted } from "./ledger.ts";
import { wallClock } from "./wallClock.ts";

/** Received is stored, duplicate and rejected: each sign between the figures is text. */
function Equation({ ledger }: { ledger: LedgerAnswer }) {
  const { totals } = ledger;
  const { received, stored, duplicate, rejected } = totals;
  const part = (count: number) => (received === 0 ? "\u00a0" : partOf(count, received));
  const terms = [
    { sign: "", name: "Received", count: received, note: "\u00a0" },
    { sign: "=", name: "Stored", count: stored, note: part(stored) },
    { sign: "+", name: "Duplicate", count: duplicate, note: part(duplicate) },
    { sign: "+", name: "Rejected", count: rejected, note: part(rejected) },
  ];
  const missing = unaccounted(totals);
  return (
    <>
      <div className="equation tabular" role="group" aria-label="Where received events went">
        {terms.map(({ sign, name, count, note }) => (
          <div key={name} className="equation-term" data-bad={name === "Rejected" && count > 0}>
            {sign !== "" && <span className="equation-sign">{sign}</span>}
            <div>
              <span className="tally-name">{name}</span>
              <strong data-figure={name}>{fullNumber(count)}</strong>
              <span className="small quiet">{note}</span>
            </div>
          </div>
        ))}
      </div>
      {missing !== 0 && (
        <p className="data-warning" role="alert">
          {fullNumber(missing)} received events are in none of the three. The server has a fault: please look into its log.
        </p>
      )}
    </>
  );
}

interface LedgerPanelProps {
  ledger: LedgerAnswer;
  bucketMs: number;
  zone: string;
  /** The last minute in which anything came in, in the range or before it; null where none is known. */
  lastMs: number | null;
  /** False while what was before the range is still asked for. */
  knowsLast: boolean;
}

/** What came in and where it went. */
export function LedgerPanel({ ledger, bucketMs, zone, lastMs, knowsLast }: LedgerPanelProps) {
  const narrow = useMediaQuery("(max-width: 640px)", false, { getInitialValueInEffect: false });
  const now = useNow(10_000);
  const data = useMemo(() => ledgerChart(ledger, bucketMs, zone), [ledger, bucketMs, zone]);
  const look = useMemo<ChartLook>(() => ({ kind: "bar", interval: "minute", stacks: true, narrow }), [narrow]);
  return (
    <section className="panel data-ledger" aria-label="Ledger">
      <Equation ledger={ledger} />
      <p className="data-last">
        {lastMs === null ? (
          knowsLast ? "Nothing came in during the last 30 days." : "\u00a0"
        ) : (
          <span title={`${momentLabel(wallClock(zone)(lastMs))} ${zone}, the minute`}>The last event came in {minuteAge(lastMs, now)}.</span>
        )}
      </p>
      {ledger.totals.received > 0 && (
        <>
          <Legend series={data.series} />
          <div className="data-chart">
            <SeriesChart data={data} look={look} fills label="Stored, duplicate and rejected events over time. The sums are above." />
          </div>
          <p className="facts small quiet tabular">
            <span>By time of receipt</span>
            <span>{zone}</span>
          </p>
        </>
      )}
    </section>
  );
}
