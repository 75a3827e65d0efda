import type { Cohort, Schema } from "../api/types.ts";
import { shortNumber } from "../format.ts";
import type { Choice } from "../ui/Picker.tsx";
import type { TypesOf } from "./conditions.ts";

/** Fields that every event has, or may have, whatever its properties are called. */
const SYSTEM_FIELDS = ["event", "user_id", "anonymous_id", "session_id"];
/** Words that a request would read as something else than the property of that name. */
const RESERVED = new Set([...SYSTEM_FIELDS, "insert_id", "time", "timestamp", "received_at"]);

/** A property's name as a request must write it. */
export function written(name: string): string {
  const ambiguous = RESERVED.has(name) || ["properties.", "user.", "cohort:"].some((prefix) => name.startsWith(prefix));
  return ambiguous ? `properties.${name}` : name;
}

/** Of a property that the schema does not tell, such as one of the person, any value may be of any type. */
const ANY_TYPE = ["string", "number", "boolean"];

/** An event's name with how many of it there are. */
export interface EventChoice extends Choice {
  count: number;
}

/** What the pickers offer, from the app's schema. */
export interface Vocabulary {
  /** The schema is there, or will not come: types are as well known as they will be. */
  settled: boolean;
  events: EventChoice[];
  /** Properties, system fields and cohorts, for conditions and groups. */
  fields: Choice[];
  /** Properties that hold numbers. */
  numbers: Choice[];
  /** Every property, for distinct values. */
  properties: Choice[];
  typesOf: TypesOf;
  valuesOf: (field: string) => Choice[];
}

/**
 * A request as JSON text, or `null` while it would be another one once the types of its properties are known: "10" of a property that
 * may turn out to hold numbers is not asked for as text first.
 */
export function requestOnceKnown({ settled, typesOf }: Pick<Vocabulary, "settled" | "typesOf">, build: (typesOf: TypesOf) => unknown): string | null {
  const request = JSON.stringify(build(typesOf));
  return settled || request === JSON.stringify(build(() => ["string"])) ? request : null;
}

const asText = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

export function vocabulary(schema: Schema | undefined, cohorts: readonly Cohort[] = [], settled = schema !== undefined): Vocabulary {
  const events = (schema?.events ?? []).map(({ name, events }) => ({ value: name, label: name, hint: shortNumber(events), count: events }));
  const byField = new Map((schema?.properties ?? []).map((property) => [written(property.name), property]));
  const properties = [...byField].map(([value, { name, types }]) => ({ value, label: name, hint: types.join(", "), group: "Properties" }));
  const system = SYSTEM_FIELDS.map((name) => ({ value: name, label: name, group: "Every event" }));
  const members = cohorts.map(({ id, name }) => ({ value: `cohort:${id}`, label: `in cohort ${name}`, group: "Cohorts" }));
  const typesOf = (field: string) => byField.get(field)?.types ?? (SYSTEM_FIELDS.includes(field) ? ["string"] : ANY_TYPE);
  return {
    settled,
    events,
    fields: [...properties, ...system, ...members],
    numbers: properties.filter(({ value }) => typesOf(value).includes("number")),
    properties,
    typesOf,
    valuesOf: (field) => {
      if (field === "event") return events;
      const values = (byField.get(field)?.sample_values ?? []).map(asText);
      return [...new Set(values)].filter((value) => value !== "").map((value) => ({ value, label: value }));
    },
  };
}
