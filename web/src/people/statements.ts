import type { Value } from "../api/types.ts";
import type { SqlAnswer } from "../sql/answer.ts";

/** Ids and names of events that are read of one person. */
const MAX_NAMES = 1_000;
/** Sessions that are read of one person, the newest. */
export const MAX_SESSIONS = 1_000;

/** A text as a statement has it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The persons seen last; one more than are shown tells that there are more. */
export function recentStatement(shown: number): string {
  return `SELECT person, user_id, anonymous_id, first_seen, last_seen, events
FROM persons
ORDER BY last_seen DESC, person
LIMIT ${shown + 1}`;
}

/** Persons with an event whose user id or anonymous id begins with a text; `found` is such an id. */
export function searchStatement(text: string, shown: number): string {
  const begins = (field: string) => `starts_with(${field}, ${quoted(text)})`;
  return `SELECT p.person, p.user_id, p.anonymous_id, p.first_seen, p.last_seen, p.events, f.found
FROM persons p
JOIN (
    SELECT person, min(CASE WHEN ${begins("user_id")} THEN user_id ELSE anonymous_id END) AS found
    FROM events
    WHERE ${begins("user_id")} OR ${begins("anonymous_id")}
    GROUP BY person
) f ON f.person = p.person
ORDER BY p.last_seen DESC, p.person
LIMIT ${shown + 1}`;
}

/** The ids that events of a person came with, and the names of these events, from one pass over them. */
export function aboutStatement(person: string): string {
  return `SELECT grouping(event) AS of_ids, event, user_id, anonymous_id, count(*) AS events, min(time) AS first_seen, max(time) AS last_seen
FROM events
WHERE person = ${quoted(person)}
GROUP BY GROUPING SETS ((event), (user_id, anonymous_id))
ORDER BY events DESC
LIMIT ${MAX_NAMES}`;
}

export function sessionsStatement(person: string): string {
  return `SELECT session_id, started_at, ended_at, events, count(*) OVER () AS sessions
FROM sessions
WHERE person = ${quoted(person)}
ORDER BY started_at DESC
LIMIT ${MAX_SESSIONS}`;
}

/** Rows by the names of their columns. */
function named(answer: SqlAnswer): Record<string, Value>[] {
  return answer.rows.map((row) => Object.fromEntries(answer.columns.map(({ name }, at) => [name, row[at] ?? null])));
}

const text = (value: Value | undefined) => (typeof value === "string" ? value : null);
const count = (value: Value | undefined) => (typeof value === "number" ? value : 0);

export interface ListedPerson {
  person: string;
  userId: string | null;
  anonymousId: string | null;
  firstSeen: string;
  lastSeen: string;
  events: number;
  /** The id that the search found, where there was one. */
  found: string | null;
}

/** The rows of both lists. */
export function listedPersons(answer: SqlAnswer): ListedPerson[] {
  return named(answer).map((row) => ({
    person: text(row["person"]) ?? "",
    userId: text(row["user_id"]),
    anonymousId: text(row["anonymous_id"]),
    firstSeen: text(row["first_seen"]) ?? "",
    lastSeen: text(row["last_seen"]) ?? "",
    events: count(row["events"]),
    found: text(row["found"]),
  }));
}

export interface KnownId {
  id: string;
  kind: "user" | "anonymous";
  /**
   * Events that it is the id of. None of an anonymous id that was only ever beside a user id: it may be a device
   * that somebody else used first, and then it is theirs.
   */
  events: number;
}

export interface About {
  ids: KnownId[];
  names: { name: string; events: number }[];
  events: number;
  firstSeen: string | null;
  lastSeen: string | null;
  /** More ids and names than were read: the numbers are of those that were. */
  cut: boolean;
}

const earlier = (a: string | null, b: string | null) => (a === null || (b !== null && Date.parse(b) < Date.parse(a)) ? b : a);
const later = (a: string | null, b: string | null) => (a === null || (b !== null && Date.parse(b) > Date.parse(a)) ? b : a);

export function aboutOf(answer: SqlAnswer): About {
  const about: About = { ids: [], names: [], events: 0, firstSeen: null, lastSeen: null, cut: answer.rows.length >= MAX_NAMES };
  const ids = new Map<string, KnownId>();
  const add = (id: string | null, kind: KnownId["kind"], events: number) => {
    if (id === null) return;
    const known = ids.get(id);
    ids.set(id, { id, kind: known?.kind ?? kind, events: (known?.events ?? 0) + events });
  };
  for (const row of named(answer)) {
    const events = count(row["events"]);
    if (row["of_ids"] === 0) {
      about.names.push({ name: text(row["event"]) ?? "", events });
      continue;
    }
    const user = text(row["user_id"]);
    add(user, "user", events);
    add(text(row["anonymous_id"]), "anonymous", user === null ? events : 0);
    about.events += events;
    about.firstSeen = earlier(about.firstSeen, text(row["first_seen"]));
    about.lastSeen = later(about.lastSeen, text(row["last_seen"]));
  }
  about.ids = [...ids.values()].sort((a, b) => b.events - a.events || (a.id < b.id ? -1 : 1));
  return about;
}

export interface KnownSession {
  /** The client's; null where the session was cut by pauses. */
  id: string | null;
  startedAt: string;
  endedAt: string;
  events: number;
}

/** The newest sessions of a person, and how many there are. */
export function sessionsOf(answer: SqlAnswer): { sessions: KnownSession[]; count: number } {
  const rows = named(answer);
  const sessions = rows.map((row) => ({ id: text(row["session_id"]), startedAt: text(row["started_at"]) ?? "", endedAt: text(row["ended_at"]) ?? "", events: count(row["events"]) }));
  return { sessions, count: count(rows[0]?.["sessions"]) };
}
