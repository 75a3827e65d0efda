import { fullNumber } from "../format.ts";
import type { KnownSession } from "./statements.ts";

/** An event as `/events` gives it. */
export interface RawEvent {
  name: string;
  timestamp: string;
  user_id: string | null;
  anonymous_id: string | null;
  session_id: string | null;
  received_at: string;
  properties: Record<string, unknown>;
}

/** Events of one session, newest first. */
export interface Visit {
  key: string;
  sessionId: string | null;
  /** Null where the session is not among those that were read. */
  session: KnownSession | null;
  /** Of the whole session where it is known, else of the events here. */
  startedAt: string;
  endedAt: string;
  events: RawEvent[];
}

/** Where the session of an event is not known, a longer pause begins another: as the API does unless the app says otherwise. */
const PAUSE_MS = 30 * 60_000;

const ms = (time: string) => Date.parse(time);
const holds = ({ startedAt, endedAt }: KnownSession, at: number) => ms(startedAt) <= at && at <= ms(endedAt);

/** Finds the session that an event is of, by the client's id or, without one, by time. */
function finder(sessions: readonly KnownSession[]): (event: RawEvent) => KnownSession | null {
  const byId = new Map(sessions.flatMap((session) => (session.id === null ? [] : [[session.id, session] as const])));
  const cut = sessions.filter(({ id }) => id === null);
  return ({ session_id: id, timestamp }) => (id === null ? cut.find((session) => holds(session, ms(timestamp))) : byId.get(id)) ?? null;
}

/** The visit that an event without a known session continues, which is further down the same pause. */
function continued(visits: readonly Visit[], event: RawEvent): Visit | undefined {
  const last = visits.findLast(({ session, sessionId }) => session === null && sessionId === null);
  return last !== undefined && ms(last.startedAt) - ms(event.timestamp) <= PAUSE_MS ? last : undefined;
}

function opened(event: RawEvent, session: KnownSession | null): Visit {
  const key = event.session_id === null ? `from ${session?.startedAt ?? event.timestamp}` : `id ${event.session_id}`;
  const [startedAt, endedAt] = session === null ? [event.timestamp, event.timestamp] : [session.startedAt, session.endedAt];
  return { key, sessionId: event.session_id, session, startedAt, endedAt, events: [] };
}

/**
 * Events, newest first, by the session they are of; sessions in the order of their newest event here. Sessions that run side by side,
 * as on two devices, stay whole each, so that an older page only adds at the end of a session and of the list.
 */
export function visitsOf(events: readonly RawEvent[], sessions: readonly KnownSession[]): Visit[] {
  const sessionOf = finder(sessions);
  const visits: Visit[] = [];
  const byKey = new Map<string, Visit>();
  for (const event of events) {
    const session = sessionOf(event);
    const begun = opened(event, session);
    const same = byKey.get(begun.key) ?? (session === null && event.session_id === null ? continued(visits, event) : undefined);
    const visit = same ?? begun;
    if (same === undefined) {
      visits.push(visit);
      byKey.set(visit.key, visit);
    }
    visit.events.push(event);
    if (visit.session === null) visit.startedAt = event.timestamp;
  }
  return visits;
}

const UNITS: [number, string][] = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1_000, "second"],
];

/** How much later a session began than the one before it had ended, as `3 days later`; nothing where they overlap. */
export function gapInWords(endedAt: string, startedAt: string): string | null {
  const gap = ms(startedAt) - ms(endedAt);
  if (!(gap >= 1_000)) return null;
  const [unit, name] = UNITS.find(([length]) => gap >= length) ?? [1_000, "second"];
  const whole = Math.floor(gap / unit);
  return `${fullNumber(whole)} ${name}${whole === 1 ? "" : "s"} later`;
}
