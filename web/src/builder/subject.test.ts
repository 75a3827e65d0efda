import { expect, test } from "vitest";

import { ANY_EVENT, NEW_SUBJECT, type Subject, subjectInWords, subjectOf, subjectRequest, subjectText } from "./subject.ts";

const typesOf = () => ["string"];
const ONE: Subject = { events: ["page_view"], conditions: [] };
const MANY: Subject = { events: ["a", "{b"], conditions: [{ property: "plan", op: "is", values: ["pro"] }] };

test("an address has the bare name where that says all", () => {
  expect(subjectText(ONE)).toBe("page_view");
  expect(subjectText({ events: [ANY_EVENT], conditions: [] })).toBe("");
  for (const subject of [ONE, MANY, NEW_SUBJECT, { events: ["{odd"], conditions: [] }, { events: [ANY_EVENT], conditions: [] }]) {
    expect(subjectOf(subjectText(subject)).subject).toEqual(subject);
  }
  expect(subjectOf(subjectText(ONE, { optional: true }))).toEqual({ subject: ONE, more: { optional: true } });
});

test("what nobody wrote like this is nothing picked yet", () => {
  for (const text of ["{", "{}", '{"events":7,"where":[1,["a"],["a","eats"]]}', '{"events":[1]}']) expect(subjectOf(text).subject).toEqual(NEW_SUBJECT);
});

test("a request has a name, a step, or any of several", () => {
  const filters = [{ property: "plan", op: "eq", value: "pro" }];
  expect(subjectRequest(ONE, typesOf)).toBe("page_view");
  expect(subjectRequest({ events: [ANY_EVENT], conditions: [] }, typesOf)).toEqual({ event: null });
  expect(subjectRequest(MANY, typesOf)).toEqual({ any_of: [{ event: "a", filters }, { event: "{b", filters }] });
  expect(subjectRequest({ ...ONE, conditions: MANY.conditions }, typesOf)).toEqual({ event: "page_view", filters });
});

test("a subject reads as words", () => {
  expect(subjectInWords(MANY)).toBe("a or {b where plan is pro");
  expect(subjectInWords({ events: [ANY_EVENT], conditions: [{ property: "", op: "is", values: [] }] })).toBe("any event");
});
