import { Button } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { asApiError, ask } from "../api/client.ts";
import { momentLabel } from "../charts/time.ts";
import { duration, fullNumber, shortNumber } from "../format.ts";
import { Bone } from "../ui/Bone.tsx";
import { Failure } from "../ui/Failure.tsx";
import { Message } from "../ui/Message.tsx";
import { Picker } from "../ui/Picker.tsx";
import { Snippet } from "../ui/Snippet.tsx";
import type { PersonProps } from "./PersonPage.tsx";
import { hintOf } from "./properties.ts";
import type { About, KnownSession } from "./statements.ts";
import { type RawEvent, type Visit, gapInWords, visitsOf } from "./timeline.ts";
import { PAGE } from "./view.ts";

interface EventsPage {
  events: RawEvent[];
  next_cursor: string | null;
}

/** Stands for all events in the picker. */
const EVERY = "";

function EventRow({ event }: { event: RawEvent }) {
  const [open, setOpen] = useState(false);
  return (
    <details
      onToggle={(toggled) => {
        setOpen(toggled.currentTarget.open);
      }}
    >
      <summary>
        <time className="quiet tabular" dateTime={event.timestamp} title={momentLabel(event.timestamp)}>
          {/T(\d{2}:\d{2}:\d{2})/.exec(event.timestamp)?.[1] ?? event.timestamp}
        </time>
        <span className="cut event-name" title={event.name}>
          {event.name}
        </span>
        <span className="cut small quiet event-hint">{hintOf(event)}</span>
      </summary>
      {open && <Snippet text={JSON.stringify(event, null, 2)} label={`${event.name} as JSON`} />}
    </details>
  );
}

/** How long a session was and how much of it is here. */
function visitFacts({ session, startedAt, endedAt, events, sessionId }: Visit): string {
  const all = session?.events ?? events.length;
  const count = `${fullNumber(all)} ${all === 1 ? "event" : "events"}`;
  const length = Date.parse(endedAt) - Date.parse(startedAt);
  return [length > 0 ? duration(length) : null, events.length < all ? `${fullNumber(events.length)} of ${count}` : count, sessionId === null ? null : `session ${sessionId}`].filter((part) => part !== null).join(" · ");
}

function Visits({ visits }: { visits: readonly Visit[] }) {
  return (
    <ol className="visits">
      {visits.map((visit, at) => {
        const before = visits[at + 1];
        const gap = before === undefined ? null : gapInWords(before.endedAt, visit.startedAt);
        return (
          <li key={visit.key}>
            <section className="panel visit" aria-label={`Session of ${momentLabel(visit.startedAt)}`}>
              <header>
                <h3>{momentLabel(visit.startedAt)}</h3>
                <span className="small quiet tabular any-text">{visitFacts(visit)}</span>
              </header>
              <ol className="visit-events">
                {visit.events.map((event, place) => (
                  // Events have no id of their own, and only older ones are added at the end.
                  <li key={place}>
                    <EventRow event={event} />
                  </li>
                ))}
              </ol>
            </section>
            {gap !== null && <p className="visit-gap small quiet tabular">{gap}</p>}
          </li>
        );
      })}
    </ol>
  );
}

interface TimelineProps extends PersonProps {
  person: string;
  /** What the person's events are called; nothing until it is known. */
  names: About["names"] | undefined;
  /** The newest; null until they are there. */
  sessions: KnownSession[] | null;
  sessionsFailed: boolean;
}

/** What a person did, newest first, by session. */
export function Timeline({ session, onDisconnect, view, onView, person, names, sessions, sessionsFailed }: TimelineProps) {
  // What the address brought; what is loaded after it comes page by page.
  const [first] = useState(view.shown);
  const request = { segment: { persons: [person] }, ...(view.event !== null && { events: [view.event] }) };
  const pages = useInfiniteQuery({
    queryKey: ["events", session.app, session.key, JSON.stringify(request), first],
    queryFn: ({ pageParam, signal }) => ask<EventsPage>(session, "events", { ...request, limit: pageParam === null ? first : PAGE, ...(pageParam !== null && { cursor: pageParam }) }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  });
  const events = useMemo(() => pages.data?.pages.flatMap((page) => page.events), [pages.data]);
  const ready = events !== undefined && (sessions !== null || sessionsFailed);
  const visits = useMemo(() => (ready ? visitsOf(events, sessions ?? []) : []), [ready, events, sessions]);
  const chosen = view.event === null || names?.some(({ name }) => name === view.event) === true ? [] : [{ value: view.event, label: view.event }];
  const choices = [{ value: EVERY, label: "All events" }, ...chosen, ...(names ?? []).map(({ name, events: count }) => ({ value: name, label: name, hint: shortNumber(count) }))];
  const older = () => {
    onView({ ...view, shown: (events?.length ?? 0) + PAGE }, true);
    void pages.fetchNextPage();
  };
  return (
    <section className="person-timeline" aria-label="Timeline" aria-busy={!ready && pages.error === null}>
      <header>
        <h2>Timeline</h2>
        <Picker
          label="Event"
          choices={choices}
          value={view.event ?? EVERY}
          onChange={(picked) => {
            onView({ ...view, event: picked === EVERY ? null : picked, shown: PAGE });
          }}
        />
      </header>
      {pages.error !== null && <Failure error={asApiError(pages.error)} onRetry={() => void pages.refetch()} onDisconnect={onDisconnect} />}
      {!ready && pages.error === null && <Bone height={320} />}
      {ready && events.length === 0 && (
        <Message title="No such event">
          <p className="quiet">This person has no stored event of this name.</p>
        </Message>
      )}
      {ready && sessionsFailed && <p className="small facts-warning">The sessions could not be read: events without a session id are cut at pauses of more than 30 minutes.</p>}
      <Visits visits={visits} />
      {ready && pages.hasNextPage && (
        <Button variant="default" size="xs" loading={pages.isFetchingNextPage} onClick={older}>
          Older events
        </Button>
      )}
      {ready && !pages.hasNextPage && events.length > 0 && <p className="small quiet">{view.event === null ? "The first event that is stored of this person." : "The first of these events."}</p>}
    </section>
  );
}
