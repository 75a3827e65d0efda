import { type Condition, type TypesOf, conditionInWords, conditionOf, conditionParts, filtersOf, isFinished, parsed } from "./conditions.ts";

/** Which events are meant: any of some names, where conditions hold. */
export interface Subject {
  /** Nothing while none is picked yet; `ANY_EVENT` alone for whatever name. */
  events: string[];
  conditions: Condition[];
}

export const ANY_EVENT = "";

/** What a subject is before an event is picked. */
export const NEW_SUBJECT: Subject = { events: [], conditions: [] };

export const isPicked = (subject: Subject) => subject.events.length > 0;

/** A subject as an address keeps it: the bare name where that says all, else JSON. */
export function subjectText({ events, conditions }: Subject, more: Record<string, unknown> = {}): string {
  const [name] = events;
  const bare = name !== undefined && events.length === 1 && conditions.length === 0 && Object.keys(more).length === 0 && !name.startsWith("{");
  if (bare) return name;
  return JSON.stringify({ events, ...(conditions.length === 0 ? {} : { where: conditions.map(conditionParts) }), ...more });
}

/** The inverse of `subjectText`, with all other members in `more`. */
export function subjectOf(text: string): { subject: Subject; more: Record<string, unknown> } {
  if (!text.startsWith("{")) return { subject: { events: [text], conditions: [] }, more: {} };
  const value = parsed(text);
  if (typeof value !== "object" || value === null) return { subject: NEW_SUBJECT, more: {} };
  const { events, where, ...more } = value as Record<string, unknown>;
  const names = Array.isArray(events) ? events.filter((name) => typeof name === "string") : [];
  const conditions = Array.isArray(where) ? where.flatMap(conditionOf) : [];
  return { subject: { events: names.includes(ANY_EVENT) ? [ANY_EVENT] : [...new Set(names)], conditions }, more };
}

/** A subject as a step of a request: a name where that says all. */
export function subjectRequest({ events, conditions }: Subject, typesOf: TypesOf, label?: string): unknown {
  const filters = filtersOf(conditions, typesOf);
  const one = (name: string) => ({ event: name === ANY_EVENT ? null : name, ...(filters.length === 0 ? {} : { filters }) });
  const labelled = label === undefined ? {} : { label };
  const [name] = events;
  if (events.length > 1) return { any_of: filters.length === 0 ? events : events.map(one), ...labelled };
  return filters.length === 0 && name !== undefined && name !== ANY_EVENT && label === undefined ? name : { ...one(name ?? ANY_EVENT), ...labelled };
}

/** A subject in words, as `page_view or search where country is US`. */
export function subjectInWords({ events, conditions }: Subject): string {
  const names = events.map((name) => (name === ANY_EVENT ? "any event" : name)).join(" or ");
  const where = conditions.filter(isFinished).map(conditionInWords).join(" and ");
  return where === "" ? names : `${names} where ${where}`;
}
