import { valueLabel } from "../format.ts";
import type { RawEvent } from "./timeline.ts";

/** Events that set properties of their person. */
export const SETTING = ["$identify", "$set"];
/** What is told of where and with what somebody is, in the order it is shown. */
const CONTEXT = ["country", "region", "city", "device_type", "browser", "os", "language", "screen_width", "referrer", "utm_source", "utm_medium", "utm_campaign", "$lib"];

export interface Shown {
  name: string;
  value: string;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const isSet = (value: unknown) => value !== null && value !== undefined;

/** A value as text, objects and lists as JSON. */
const shown = (name: string, value: unknown): Shown => ({ name, value: valueLabel(value) });

/** Latest first: by time, then by receipt. */
function latestFirst(events: readonly RawEvent[]): RawEvent[] {
  const of = (time: string) => Date.parse(time);
  return [...events].sort((a, b) => of(b.timestamp) - of(a.timestamp) || of(b.received_at) - of(a.received_at));
}

/** The properties of a person: of each, the value of the latest event that sets it, a member of its `$set` before its own property. What every event brings of its own accord is left to `contextOf`. */
export function userProperties(setting: readonly RawEvent[]): Shown[] {
  const values = new Map<string, unknown>();
  const take = (name: string, value: unknown) => {
    if (isSet(value) && !values.has(name)) values.set(name, value);
  };
  for (const { properties } of latestFirst(setting)) {
    const { $set: members, ...own } = properties;
    if (isObject(members)) for (const [name, value] of Object.entries(members)) take(name, value);
    for (const [name, value] of Object.entries(own)) if (!CONTEXT.includes(name) && !name.startsWith("$")) take(name, value);
  }
  return [...values].map(([name, value]) => shown(name, value)).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Country, device and the like, of each the value of the latest event that has it. */
export function contextOf(events: readonly RawEvent[]): Shown[] {
  const latest = latestFirst(events);
  return CONTEXT.flatMap((name) => {
    const value = latest.find(({ properties }) => isSet(properties[name]))?.properties[name];
    return isSet(value) ? [shown(name, value)] : [];
  });
}

/** As many properties as a line bears, and those that tell most before others. */
const MAX_HINTS = 3;
const TELLING = ["url", "path", "page", "title", "term", "query", "product", "price", "value", "amount"];

function place(name: string): number {
  const at = TELLING.indexOf(name);
  return at < 0 ? TELLING.length : at;
}

/** What tells an event from others of its name, in one line. */
export function hintOf({ properties }: RawEvent): string {
  const own = Object.entries(properties).filter(([name, value]) => isSet(value) && value !== "" && !isObject(value) && !CONTEXT.includes(name) && !name.startsWith("$"));
  return own
    .sort(([a], [b]) => place(a) - place(b))
    .slice(0, MAX_HINTS)
    .map(([name, value]) => `${name}: ${valueLabel(value)}`)
    .join(" · ");
}
