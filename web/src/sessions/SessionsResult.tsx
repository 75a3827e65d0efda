import { useMediaQuery } from "@mantine/hooks";
import { type ReactNode, useMemo } from "react";

import { Facts } from "../builder/Facts.tsx";
import { named } from "../builder/named.ts";
import type { Asked } from "../builder/useAnswer.ts";
import { SeriesChart } from "../charts/SeriesChart.tsx";
import type { ChartLook } from "../charts/option.ts";
import { duration, fullNumber, lengthInWords, percent, shortNumber, valueLabel } from "../format.ts";
import { BarTable } from "../ui/BarTable.tsx";
import { Message } from "../ui/Message.tsx";
import { Tally, type TallyFigure } from "../ui/Tally.tsx";
import type { LengthBin, PageRow, SessionNumbers, SessionsAnswer } from "./answer.ts";
import { MEASURES, type SessionsQuestion } from "./question.ts";
import { binName, sessionSeries } from "./series.ts";

const spell = (milliseconds: number | null) => (milliseconds === null ? "–" : duration(milliseconds));
const ratio = (value: number | null) => (value === null ? "–" : value.toFixed(1));

/** The figures, in the order of `MEASURES`. */
function figuresOf(total: SessionNumbers): TallyFigure[] {
  const values: Record<string, Omit<TallyFigure, "name">> = {
    sessions: { value: shortNumber(total.sessions), full: fullNumber(total.sessions) },
    users: { value: shortNumber(total.users), full: fullNumber(total.users) },
    events_per_session: { value: ratio(total.events_per_session), full: `${fullNumber(total.events)} events` },
    avg_length_ms: { value: spell(total.avg_length_ms) },
    median_length_ms: { value: spell(total.median_length_ms), note: `9 of 10 under ${spell(total.p90_length_ms)}` },
    bounce_rate: { value: percent(total.bounce_rate), full: `${fullNumber(total.bounces)} sessions`, note: `${shortNumber(total.bounces)} sessions` },
  };
  return MEASURES.map(({ value, label }) => ({ name: label, ...(values[value] ?? { value: "–" }) }));
}

/** What a session was in this answer, and when it bounced. */
function ruleInWords({ session, bounce }: SessionsAnswer["semantics"]): string {
  const longest = session.max_length_ms === null ? "" : `, or when it would be longer than ${lengthInWords(session.max_length_ms)}`;
  const events = bounce.max_events === 1 ? "one event" : `at most ${bounce.max_events} events`;
  const within = bounce.max_length_ms === null ? "" : ` and no more than ${lengthInWords(bounce.max_length_ms)}`;
  return `A client's session id is a session; other events are cut at pauses longer than ${lengthInWords(session.idle_ms)}${longest}. A session counts where it begins, with all its events, and bounces with ${events}${within}.`;
}

const FORMATS: Record<string, (value: number) => string> = { bounce_rate: percent, avg_length_ms: duration, median_length_ms: duration };

function OverTime({ question, asked, answer, request }: SessionsResultProps) {
  const narrow = useMediaQuery("(max-width: 640px)", false, { getInitialValueInEffect: false });
  const { measure, interval } = question;
  const name = named(MEASURES, measure);
  const data = useMemo(() => sessionSeries(answer, measure, name, asked.answeredAt), [answer, measure, name, asked.answeredAt]);
  const look = useMemo<ChartLook>(() => {
    const format = FORMATS[measure];
    return { kind: MEASURES.find(({ value }) => value === measure)?.kind ?? "bar", interval, stacks: false, narrow, ...(format === undefined ? {} : { format }) };
  }, [measure, interval, narrow]);
  return (
    <section className="panel chart-panel" aria-label="Chart">
      <header>
        <h2 className="cut">{name}</h2>
      </header>
      <SeriesChart data={data} look={look} label={`${name} ${question.interval === "day" ? "by day" : `by ${question.interval}`}.`} />
      <p className="small quiet">{ruleInWords(answer.semantics)}</p>
      <Facts answer={answer} />
      {request}
    </section>
  );
}

function Pages({ title, rows, picker }: { title: string; rows: readonly PageRow[]; picker?: ReactNode }) {
  const sizes = rows.map(({ page, sessions }) => (page === "$other" ? 0 : sessions));
  const largest = Math.max(...sizes, 1);
  return (
    <section className="panel bar-panel" aria-label={title}>
      <header>
        <h2>{title}</h2>
        {picker}
      </header>
      {rows.length === 0 ? (
        <p className="quiet">No event of these sessions has this property.</p>
      ) : (
        <BarTable
          label={title}
          heads={["Page", "Sessions", "Share", "Bounced"]}
          rows={rows.map(({ page, sessions, share, bounce_rate }, at) => ({
            key: JSON.stringify(page),
            label: valueLabel(page),
            title: valueLabel(page),
            part: (sizes[at] ?? 0) / largest,
            cells: [fullNumber(sessions), percent(share), percent(bounce_rate)],
          }))}
        />
      )}
    </section>
  );
}

function Lengths({ bins }: { bins: readonly LengthBin[] }) {
  const largest = Math.max(...bins.map(({ sessions }) => sessions), 1);
  return (
    <section className="panel bar-panel" aria-label="Lengths">
      <header>
        <h2>How long sessions are</h2>
      </header>
      <BarTable
        label="Lengths of sessions"
        heads={["Length", "Sessions", "Share"]}
        rows={bins.map((bin) => ({ key: String(bin.from_ms), label: binName(bin), part: bin.sessions / largest, cells: [fullNumber(bin.sessions), percent(bin.share)] }))}
      />
    </section>
  );
}

/** A row a group, over the whole range. */
export function Groups({ by, answer }: { by: string; answer: SessionsAnswer }) {
  const sizes = answer.sessions.map(({ sessions, [by]: value }) => (value === "$other" ? 0 : sessions));
  const largest = Math.max(...sizes, 1);
  return (
    <section className="panel bar-panel" aria-label={`By ${by}`}>
      <header>
        <h2 className="cut">By {by}</h2>
      </header>
      <BarTable
        label={`Sessions by ${by}`}
        heads={[by, "Sessions", "Persons", "Median length", "Bounced"]}
        rows={answer.sessions.map((row, at) => ({
          key: JSON.stringify(row[by]),
          label: valueLabel(row[by]),
          title: valueLabel(row[by]),
          part: (sizes[at] ?? 0) / largest,
          cells: [fullNumber(row.sessions), fullNumber(row.users), spell(row.median_length_ms), percent(row.bounce_rate)],
        }))}
      />
      <Facts answer={answer} />
    </section>
  );
}

interface SessionsResultProps {
  question: SessionsQuestion;
  asked: Asked<SessionsAnswer>;
  answer: SessionsAnswer;
  /** The request, to be copied. */
  request: ReactNode;
}

interface ResultProps extends SessionsResultProps {
  groups: ReactNode;
  /** Which property names pages. */
  pagePicker: ReactNode;
  onMeasure: (measure: string) => void;
}

/** Figures of which one is drawn over time, and what sessions begin with, end with, and how long they are. */
export function SessionsResult({ groups, pagePicker, onMeasure, ...rest }: ResultProps) {
  const { question, answer } = rest;
  if (answer.total.sessions === 0) {
    return (
      <Message title="No sessions">
        <p className="quiet">No session that begins in this range fits the question. Try a longer range or fewer conditions.</p>
      </Message>
    );
  }
  return (
    <>
      <Tally
        label="Figures"
        figures={figuresOf(answer.total)}
        chosen={named(MEASURES, question.measure)}
        onChoose={(name) => {
          onMeasure(MEASURES.find(({ label }) => label === name)?.value ?? question.measure);
        }}
      />
      <OverTime {...rest} />
      {groups}
      <div className="halves">
        <Pages title="First pages" rows={answer.entry_pages ?? []} picker={pagePicker} />
        <Pages title="Last pages" rows={answer.exit_pages ?? []} />
        <Lengths bins={answer.lengths} />
      </div>
    </>
  );
}
