import { expect, test } from "vitest";

import { rootFrom, ruleFrom, ruleOf } from "./readRule.ts";
import { type GroupRule, NEW_COHORT, NEW_DID, NEW_PROPERTY, START, ruleInWords, ruleRequest } from "./rule.ts";
import { type View, personsIn, readView, writeView } from "./view.ts";

const typesOf = (property: string) => (property === "price" ? ["number"] : ["string"]);
const named = (id: string) => `“${id}”`;

const FULL: GroupRule = {
  kind: "group",
  negated: false,
  all: true,
  rules: [
    { ...NEW_DID, events: ["purchase"], conditions: [{ property: "price", op: "gte", values: ["10"] }], count: 2 },
    { ...NEW_DID, negated: true, events: ["refund"], range: "" },
    { ...NEW_DID, events: ["signup", '<img src=x onerror="1">'], range: "2026-02-01..2026-02-28", occurrence: "first" },
    { kind: "property", condition: { property: "user.plan", op: "is", values: ["pro"] } },
    { kind: "group", negated: true, all: false, rules: [{ kind: "cohort", negated: false, id: "testers" }, { ...NEW_DID, events: [], times: "exactly", count: 0, range: "7d" }] },
    { kind: "cohort", negated: true, id: "staff" },
  ],
};
const JSON_OF_FULL = {
  and: [
    { did: "purchase", filters: [{ property: "price", op: "gte", value: 10 }], range: "30d", at_least: 2 },
    { did_not: "refund" },
    { did: ["signup", '<img src=x onerror="1">'], from: "2026-02-01", to: "2026-03-01", occurrence: "first" },
    { property: "user.plan", op: "eq", value: "pro" },
    { not: { or: [{ cohort: "testers" }, { did: null, range: "7d", exactly: 0 }] } },
    { not: { cohort: "staff" } },
  ],
};

test("a rule is what the API takes, and comes back as it was", () => {
  expect(ruleRequest(FULL, typesOf)).toEqual(JSON_OF_FULL);
  expect(rootFrom(JSON_OF_FULL)).toEqual(FULL);
});

test("parts that are not finished are left out", () => {
  expect(ruleRequest({ ...START, rules: [NEW_COHORT, NEW_PROPERTY] }, typesOf)).toBeUndefined();
  expect(ruleRequest({ ...START, rules: [NEW_COHORT, { ...NEW_DID, events: ["a"] }] }, typesOf)).toEqual({ did: "a", range: "30d" });
});

test("what the editor has no words for is kept as it is", () => {
  const strange = [
    { did: "a", as_of: "2026-03-20" },
    { did: "a", at_least: 1, at_most: 3 },
    { did: "a", from: "2026-03-01T10:00:00Z", to: "2026-03-02" },
    { did: "a", filters: [{ or: [] }] },
    { property: "user.x", op: "between", value: [1, 2] },
    { property: "user.x", op: "eq", value: null },
    { persons: ["U1"] },
    42,
  ];
  for (const json of strange) {
    expect(ruleFrom(json)).toEqual({ kind: "other", json });
    expect(ruleRequest(ruleFrom(json), typesOf)).toEqual(json);
  }
  expect(ruleRequest(rootFrom({ and: [{ did: "b" }, strange[0]] }), typesOf)).toEqual({ and: [{ did: "b" }, strange[0]] });
  expect(ruleRequest(ruleFrom({ not: { not: { cohort: "c" } } }), typesOf)).toEqual({ not: { not: { cohort: "c" } } });
});

test("a rule reads as a sentence", () => {
  expect(ruleInWords(FULL, named)).toBe(
    'did purchase where price is at least 10 at least 2 times in the last 30 days and did not do refund ever and did signup or <img src=x onerror="1"> for the first time ever between 2026-02-01 and 2026-02-28 and has a plan that is pro and not (is in “testers” or did any event exactly 0 times in the last 7 days) and is not in “staff”',
  );
});

test("what is not finished is in no sentence", () => {
  expect(ruleInWords({ ...START, rules: [NEW_COHORT, NEW_PROPERTY, { ...NEW_DID, events: ["a"] }] }, named)).toBe("did a in the last 30 days");
});

test("the address holds what is shown and what is being edited", () => {
  const views: View[] = [
    { show: "list" },
    { show: "one", id: "a b&c" },
    { show: "edit", id: null, form: "list", name: "Testers", rule: null, version: null },
    { show: "edit", id: "twice", form: "rule", name: null, rule: FULL, version: 3 },
  ];
  for (const view of views) expect(readView(writeView(view))).toEqual(view);
});

test("an address that somebody wrote by hand falls back where it is wrong", () => {
  const wrong = ['{"kind":"group","rules":[{"kind":"drop"}]}', '{"kind":"did"}', "[1", '{"kind":"group","rules":7}', '{"kind":"did","events":["a"],"conditions":[],"times":"often","count":1,"range":"","occurrence":"any"}'];
  for (const rule of wrong) expect(readView(`?new=rule&rule=${encodeURIComponent(rule)}`)).toEqual({ show: "edit", id: null, form: "rule", name: null, rule: null, version: null });
  expect(ruleOf(JSON.parse(JSON.stringify(FULL)))).toEqual(FULL);
});

test("ids are taken out of a pasted text, each once", () => {
  expect(personsIn(" U1\r\nU2, U3\n\nU1;U4")).toEqual(["U1", "U2", "U3", "U4"]);
});

test("a filter that the editor would lose is kept as it is", () => {
  const lost = [
    { property: "expires", op: "lt", value: "2026-06-01" },
    { property: "expires", op: "lt", value: null },
    { property: "plan", op: "in", value: [] },
    { property: "plan", op: "eq", value: ["pro", "team"] },
    { property: "code", op: "contains", value: 5 },
    { property: "code", op: "contains", value: ["a", "b"] },
    { property: "code", op: "is_set", value: false },
    { property: "plan", op: "eq", value: "pro", case_sensitive: false },
    { property: "cohort:a", op: "in", value: true },
  ];
  for (const filter of lost) {
    const rule = { did: "purchase", filters: [filter], range: "30d" };
    expect(ruleRequest(rootFrom(rule), typesOf)).toEqual(rule);
  }
});

test("a number that is asked for as a text too is one value of the editor", () => {
  const rule = { property: "user.age", op: "in", value: [30, "30"] };
  expect(ruleFrom(rule)).toEqual({ kind: "property", condition: { property: "user.age", op: "is", values: ["30"] } });
  expect(ruleRequest(ruleFrom(rule), () => ["string", "number", "boolean"])).toEqual(rule);
});
