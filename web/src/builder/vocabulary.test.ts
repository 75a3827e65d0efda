import { expect, test } from "vitest";

import { filtersOf } from "./conditions.ts";
import { requestOnceKnown, vocabulary } from "./vocabulary.ts";

const property = (name: string, types: string[], sample_values: unknown[] = []) => ({ name, types, events: 1, sample_values });

test("a property that is called like a system field is written so that it is not mistaken for it", () => {
  const words = vocabulary({ events: [], properties: [property("event", ["string"]), property("user.plan", ["string"]), property("price", ["number"], [1.5, 1.5, ""])] });
  expect(words.properties.map((choice) => choice.value)).toEqual(["properties.event", "properties.user.plan", "price"]);
  expect(words.numbers.map((choice) => choice.value)).toEqual(["price"]);
  expect(words.valuesOf("price")).toEqual([{ value: "1.5", label: "1.5" }]);
  expect(words.typesOf("user_id")).toEqual(["string"]);
  expect(words.typesOf("user.age")).toEqual(["string", "number", "boolean"]);
});

test("nothing is known before the schema is", () => {
  expect(vocabulary(undefined).events).toEqual([]);
});

test("a cohort is a field by its name", () => {
  const words = vocabulary(undefined, [{ id: "twice", name: "Bought twice", kind: "dynamic", version: 1, updated_at: "" }]);
  expect(words.fields.find(({ group }) => group === "Cohorts")).toMatchObject({ value: "cohort:twice", label: "in cohort Bought twice" });
});

test("a question waits for types only where they decide what is asked", () => {
  const asked = (words: ReturnType<typeof vocabulary>, values: string[], op = "is") => requestOnceKnown(words, (typesOf) => filtersOf([{ property: "amount", op, values }], typesOf));
  const unknown = vocabulary(undefined);
  expect(asked(unknown, ["10"])).toBeNull();
  expect(asked(unknown, ["true"])).toBeNull();
  expect(asked(unknown, ["10"], "gt")).toBe('[{"property":"amount","op":"gt","value":10}]');
  expect(asked(unknown, ["pro"])).toBe('[{"property":"amount","op":"eq","value":"pro"}]');
  expect(asked(vocabulary({ events: [], properties: [property("amount", ["number"])] }), ["10"])).toBe('[{"property":"amount","op":"eq","value":10}]');
  // It will not come: both are asked for.
  expect(asked(vocabulary(undefined, [], true), ["10"])).toBe('[{"property":"amount","op":"in","value":[10,"10"]}]');
});
