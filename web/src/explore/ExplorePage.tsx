import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Suspense, lazy, useEffect, useMemo, useState } from "react";

import { ApiError, ask } from "../api/client.ts";
import type { QueryAnswer, Schema } from "../api/types.ts";
import { fullNumber, label } from "../format.ts";
import { goTo, useAddress } from "../location.ts";
import type { Session } from "../session.ts";
import { ErrorMessage, Skeleton, StateMessage } from "../ui/states.tsx";
import { Sentence } from "./Sentence.tsx";
import { chartData } from "./series.ts";
import { INTERVALS, METRICS, type Question, RANGES, readQuestion, toRequest, writeQuestion } from "./state.ts";

const Chart = lazy(() => import("./Chart.tsx"));
/** Typing asks once one pauses for so long. */
const DEBOUNCE_MS = 250;

function useDebounced<T>(value: T): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => {
      setSettled(value);
    }, DEBOUNCE_MS);
    return () => {
      window.clearTimeout(timer);
    };
  }, [value]);
  return settled;
}

function Facts({ answer }: { answer: QueryAnswer }) {
  const error = answer.relative_standard_error;
  return (
    <div className="facts number">
      <span>{answer.exact ? "exact" : `about, ±${((error ?? 0) * 100).toFixed(1)} %`}</span>
      <span>{answer.complete ? "complete" : `incomplete: ${(answer.missing ?? []).join("; ")}`}</span>
      <span>{fullNumber(answer.scanned_events)} events read</span>
      <span>{answer.cached ? "from cache" : `${fullNumber(answer.query_time_ms)} ms`}</span>
      <span>{answer.timezone}</span>
    </div>
  );
}

function Table({ answer }: { answer: QueryAnswer }) {
  const heads = [...(answer.results[0]?.["time"] === undefined ? [] : ["time"]), ...answer.group_by];
  return (
    <section className="panel table" aria-label="Table">
      <table>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head}>{head}</th>
            ))}
            {answer.metrics.map((metric) => (
              <th key={metric} className="number">
                {metric}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {answer.results.map((row, index) => (
            <tr key={index}>
              {heads.map((head) => (
                <td key={head}>{head === "time" ? label(row[head]).slice(0, 16).replace("T", " ") : label(row[head])}</td>
              ))}
              {answer.metrics.map((metric) => (
                <td key={metric} className="number">
                  {typeof row[metric] === "number" ? fullNumber(row[metric]) : "–"}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const choice = (choices: { value: string; label: string }[], value: string) => choices.find((one) => one.value === value)?.label ?? value;

function titleOf(question: Question): string {
  const by = question.groupBy === "" ? "" : ` by ${question.groupBy}`;
  return `${choice(METRICS, question.metric)} of ${question.event === "" ? "any event" : question.event}${by}, ${choice(INTERVALS, question.interval)}, ${choice(RANGES, question.range)}`;
}

function Result({ answer, question, pending }: { answer: QueryAnswer; question: Question; pending: boolean }) {
  const data = useMemo(() => chartData(answer), [answer]);
  if (answer.results.length === 0) {
    return (
      <StateMessage title="Nothing matches">
        <p>No event of this range matches the question. Try a longer range, or fewer conditions.</p>
      </StateMessage>
    );
  }
  return (
    <div className="result" data-pending={pending} aria-busy={pending}>
      <section className="panel" aria-label="Chart">
        <Suspense fallback={<div className="chart" />}>
          <Chart data={data} title={titleOf(question)} />
        </Suspense>
        <Facts answer={answer} />
      </section>
    </div>
  );
}

/** One question, edited as a sentence, answered as a chart and a table. */
export default function ExplorePage({ session, onDisconnect }: { session: Session; onDisconnect: () => void }) {
  const address = useAddress();
  const question = useMemo(() => readQuestion(address.includes("?") ? address.slice(address.indexOf("?")) : ""), [address]);
  const schema = useQuery({ queryKey: ["schema", session.app], queryFn: ({ signal }) => ask<Schema>(session, "schema", undefined, signal), staleTime: 60_000 });
  const typesOf = (property: string) => schema.data?.properties.find((known) => known.name === property)?.types ?? [];
  const request = useDebounced(JSON.stringify(toRequest(question, typesOf)));
  const result = useQuery({
    queryKey: ["query", session.app, request],
    queryFn: ({ signal }) => ask<QueryAnswer>(session, "query", JSON.parse(request) as unknown, signal),
    placeholderData: keepPreviousData,
    retry: false,
  });
  const error = result.error === null ? null : result.error instanceof ApiError ? result.error : new ApiError(0, "unreachable", "The server cannot be reached.");
  return (
    <>
      <header className="top">
        <h1>Explore</h1>
        <span className="quiet">{titleOf(question)}</span>
      </header>
      <Sentence
        question={question}
        schema={schema.data}
        onChange={(changed) => {
          goTo(`/explore${writeQuestion(changed)}`, true);
        }}
      />
      {error !== null && <ErrorMessage error={error} onRetry={() => void result.refetch()} onDisconnect={onDisconnect} />}
      {result.data === undefined && error === null && <Skeleton height={420} />}
      {result.data !== undefined && error === null && (
        <>
          <Result answer={result.data} question={question} pending={result.isPlaceholderData} />
          <Table answer={result.data} />
        </>
      )}
    </>
  );
}
