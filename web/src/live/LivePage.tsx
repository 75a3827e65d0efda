import { useEffect, useState } from "react";

import { useLive } from "../api/live.ts";
import type { Live } from "../api/types.ts";
import { age, fullNumber, percent, shortNumber } from "../format.ts";
import type { Session } from "../session.ts";
import { ErrorMessage, Skeleton, StateMessage } from "../ui/states.tsx";
import { Figure } from "./Figure.tsx";
import { RankedBars } from "./RankedBars.tsx";

const QUESTION = "minutes=30&from=page_view&to=purchase";
/** The age of the numbers is told anew this often. */
const TICK_MS = 1_000;

function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => {
      setNow(Date.now());
    }, TICK_MS);
    return () => {
      window.clearInterval(timer);
    };
  }, []);
  return now;
}

function LiveDot({ connected, receivedAt }: { connected: boolean; receivedAt: number | null }) {
  const now = useNow();
  const when = receivedAt === null ? "" : `, ${age(now - receivedAt)}`;
  const [state, text] = connected ? ["live", "Live"] : [receivedAt === null ? "off" : "stale", "Reconnecting"];
  return (
    <span className="dot" data-state={state} role="status" aria-live="off">
      {text}
      {when}
    </span>
  );
}

const EXAMPLE = `curl http://127.0.0.1:7070/api/v1/events/batch \\
  -H "Authorization: Bearer WRITE_KEY" -H "Content-Type: application/json" \\
  -d '{"events":[{"name":"page_view","user_id":"U1","properties":{"url":"/home"}}]}'`;

/** The four large figures and the ranked bars. */
function Numbers({ live }: { live: Live }) {
  const error = live.relative_standard_error;
  const { conversion, series } = live;
  return (
    <>
      <div className="figures">
        <Figure name="Active users" note={`${shortNumber(live.active_users_30m)} in the last 30 minutes`} value={shortNumber(live.active_users)} full={fullNumber(live.active_users)} error={error} points={series.users} stepMs={series.step_ms} />
        <Figure name="Events per second" note="last 10 seconds" value={shortNumber(live.events_per_second)} full={fullNumber(live.events_per_second)} points={series.events.map((count) => (count * 1000) / series.step_ms)} stepMs={series.step_ms} />
        <Figure name="Active sessions" note="last 30 minutes" value={shortNumber(live.active_sessions)} full={fullNumber(live.active_sessions)} error={error} points={[]} stepMs={series.step_ms} />
        <Figure
          name="Conversion"
          note={`${shortNumber(conversion.to_users)} of ${shortNumber(conversion.from_users)} users: ${conversion.from} to ${conversion.to}`}
          value={percent(conversion.rate)}
          full={`${fullNumber(conversion.to_users)} of ${fullNumber(conversion.from_users)}`}
          error={error}
          points={[]}
          stepMs={series.step_ms}
        />
      </div>
      <div className="columns">
        <RankedBars title="Top events" unit="events" rows={live.top_events.map(({ event, events }) => ({ name: event, count: events }))} />
        <RankedBars title="Top pages" unit="views" rows={live.top_pages.map(({ page, views }) => ({ name: page, count: views }))} />
      </div>
    </>
  );
}

/** The last 30 minutes of an app, moving as events arrive. */
export function LivePage({ session, onDisconnect }: { session: Session; onDisconnect: () => void }) {
  const { live, receivedAt, connected, error } = useLive(session, QUESTION);
  const refused = error !== null && (error.status === 401 || error.status === 403);
  const empty = live !== null && live.top_events.length === 0;
  return (
    <>
      <header className="top">
        <h1>Live</h1>
        <span className="quiet">last 30 minutes</span>
        <span className="push">
          <LiveDot connected={connected} receivedAt={receivedAt} />
        </span>
      </header>
      {refused && <ErrorMessage error={error} onDisconnect={onDisconnect} />}
      {!refused && live === null && error !== null && <ErrorMessage error={error} onDisconnect={onDisconnect} />}
      {live === null && error === null && (
        <>
          <Skeleton height={132} />
          <Skeleton height={380} />
        </>
      )}
      {empty && (
        <StateMessage title="No events in the last 30 minutes">
          <p>Send one and see it arrive here within a second:</p>
          <pre>{EXAMPLE}</pre>
        </StateMessage>
      )}
      {!refused && live !== null && <Numbers live={live} />}
    </>
  );
}
