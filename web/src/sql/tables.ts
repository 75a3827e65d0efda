import type { SchemaProperty } from "../api/types.ts";

export interface TableColumn {
  name: string;
  type: string;
  about?: string;
}

export interface Table {
  name: string;
  /** What one row is. */
  row: string;
  columns: TableColumn[];
}

/** The tables of `docs/sql.md`: they are the same for every app. */
export const TABLES: readonly Table[] = [
  {
    name: "events",
    row: "an event",
    columns: [
      { name: "event", type: "text", about: "The event's name" },
      { name: "time", type: "time", about: "When it happened, in the app's zone" },
      { name: "person", type: "text", about: "Who did it: one id for each person, whatever ids are linked" },
      { name: "user_id", type: "text", about: "As sent" },
      { name: "anonymous_id", type: "text", about: "As sent" },
      { name: "session_id", type: "text", about: "The client's own session, as sent" },
      { name: "insert_id", type: "text", about: "The key by which duplicates are known" },
      { name: "received_at", type: "time", about: "When the server took it" },
      { name: "client_time", type: "time", about: "The client's own time" },
      { name: "properties", type: "text", about: "All properties as JSON; name those you need, which is quicker" },
    ],
  },
  {
    name: "sessions",
    row: "a session",
    columns: [
      { name: "person", type: "text", about: "Whose" },
      { name: "session_id", type: "text", about: "The client's; NULL where pauses cut the session" },
      { name: "started_at", type: "time", about: "Its first event" },
      { name: "ended_at", type: "time", about: "Its last event" },
      { name: "duration_ms", type: "integer", about: "The time between" },
      { name: "events", type: "integer", about: "How many" },
    ],
  },
  {
    name: "persons",
    row: "a person",
    columns: [
      { name: "person", type: "text", about: "The id that stands for the person" },
      { name: "user_id", type: "text" },
      { name: "anonymous_id", type: "text" },
      { name: "first_seen", type: "time", about: "Over all stored events" },
      { name: "last_seen", type: "time", about: "Over all stored events" },
      { name: "events", type: "integer", about: "How many" },
      { name: "properties", type: "text", about: "User properties, each with its latest value" },
    ],
  },
];

const READERS: Record<string, string> = { number: "number", boolean: "boolean" };

/** A property as a statement reads it: by the type its values have, as text where they have several. */
export function propertyInSql({ name, types }: Pick<SchemaProperty, "name" | "types">): string {
  const read = `properties['${name.replaceAll("'", "''")}']`;
  const [type, ...others] = types;
  const reader = type === undefined || others.length > 0 ? undefined : READERS[type];
  return reader === undefined ? read : `${reader}(${read})`;
}
