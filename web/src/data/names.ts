import type { QueryAnswer, SchemaEvent, SchemaProperty } from "../api/types.ts";

export type Mark = "new" | "quiet" | null;

/** An event's name with what came under it. */
export interface NamedEvents {
  name: string;
  /** In the range, by the time of the event. */
  now: number;
  /** In the period before it. */
  before: number;
  /** Of the range's events; null where there are none. */
  share: number | null;
  mark: Mark;
  /** The hours of its first and last event, where the server knows them. */
  firstHour: string | null;
  lastHour: string | null;
}

const HOUR_MS = 3_600_000;
const number = (value: unknown): number => (typeof value === "number" ? value : 0);

/**
 * New: the first event ever is in the range. Gone quiet: there were some in the period before, and none in the range. The first hour alone
 * does not tell when the range begins within it; the period before does.
 */
function markOf(now: number, before: number, firstHour: string | null, fromMs: number): Mark {
  if (now === 0) return before > 0 ? "quiet" : null;
  if (before > 0) return null;
  return firstHour === null || Date.parse(firstHour) >= Math.floor(fromMs / HOUR_MS) * HOUR_MS ? "new" : null;
}

/** All names that the app has, largest in the range first; `volumes` is by event, compared with the period before. */
export function namedEvents(volumes: QueryAnswer, schema: readonly SchemaEvent[]): NamedEvents[] {
  const known = new Map(schema.map((event) => [event.name, event]));
  const fromMs = Date.parse(volumes.range.from);
  const counted = new Map<string, { now: number; before: number }>();
  let total = 0;
  for (const { event, events, previous } of volumes.results) {
    total += number(events);
    if (typeof event !== "string" || event === "$other") continue;
    counted.set(event, { now: number(events), before: typeof previous === "object" && previous !== null ? number(previous["events"]) : 0 });
  }
  const rows = [...new Set([...counted.keys(), ...known.keys()])].map((name) => {
    const { now, before } = counted.get(name) ?? { now: 0, before: 0 };
    const { first_hour: firstHour = null, last_hour: lastHour = null } = known.get(name) ?? {};
    return { name, now, before, share: total === 0 ? null : now / total, mark: markOf(now, before, firstHour, fromMs), firstHour, lastHour };
  });
  return rows.sort((a, b) => b.now - a.now || b.before - a.before || (a.name < b.name ? -1 : 1));
}

/** What the search and the choice leave. */
export function matching<T extends { name: string; mark?: Mark }>(rows: readonly T[], find: string, only = ""): T[] {
  const wanted = find.trim().toLowerCase();
  return rows.filter(({ name, mark }) => name.toLowerCase().includes(wanted) && (only === "" || mark === only));
}

/** A small chart: a bar a bucket, up to now. */
export interface Bar {
  time: string;
  events: number;
}

/** The bars of each name. */
export function barsByName(answer: QueryAnswer, nowMs: number): Map<string, Bar[]> {
  const bars = new Map<string, Bar[]>();
  for (const { event, time, events } of answer.results) {
    if (typeof event !== "string" || typeof time !== "string" || Date.parse(time) > nowMs) continue;
    bars.set(event, [...(bars.get(event) ?? []), { time, events: number(events) }]);
  }
  return bars;
}

/** The age of an event of which only the hour is known. */
export function hourAge(hour: string | null, nowMs: number): string {
  if (hour === null) return "–";
  const hours = Math.floor((nowMs - Date.parse(hour)) / HOUR_MS);
  if (hours < 0) return "ahead of now";
  if (hours === 0) return "this hour";
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} d ago`;
}

/** True where a property holds several types of values: often two senders that disagree. */
export function isMixed(types: readonly string[]): boolean {
  return types.filter((type) => type !== "null").length > 1;
}

/** A property as the newest events of one name have it. */
export interface SeenProperty {
  name: string;
  /** Events that have it. */
  events: number;
  types: string[];
  /** Different values, newest first. */
  samples: unknown[];
}

const MAX_SAMPLES = 5;

function typeOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "list" : typeof value;
}

/** The properties of some events, those that most have first. */
export function seenProperties(events: readonly { properties: Record<string, unknown> }[]): SeenProperty[] {
  const seen = new Map<string, SeenProperty & { texts: Set<string> }>();
  for (const { properties } of events) {
    for (const [name, value] of Object.entries(properties)) {
      const property = seen.get(name) ?? { name, events: 0, types: [], samples: [], texts: new Set<string>() };
      seen.set(name, property);
      property.events += 1;
      if (!property.types.includes(typeOf(value))) property.types.push(typeOf(value));
      const text = JSON.stringify(value);
      if (property.samples.length === MAX_SAMPLES || property.texts.has(text)) continue;
      property.texts.add(text);
      property.samples.push(value);
    }
  }
  return [...seen.values()].map(({ name, events: count, types, samples }) => ({ name, events: count, types, samples })).sort((a, b) => b.events - a.events || (a.name < b.name ? -1 : 1));
}

/** A property's part of all stored events. */
export function propertyShare({ events }: SchemaProperty, schema: readonly SchemaEvent[]): number | null {
  const total = schema.reduce((sum, event) => sum + event.events, 0);
  return total === 0 ? null : Math.min(1, events / total);
}
