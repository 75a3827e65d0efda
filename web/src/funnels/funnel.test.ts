import { expect, test } from "vitest";

import { type Funnel, START, type Step, readFunnel, writeFunnel } from "./funnel.ts";
import { withStepMoved, withoutStep } from "./places.ts";
import { cutLabel, missingPart, toRequest } from "./request.ts";

const step = (name: string, more: Partial<Step> = {}): Step => ({ events: [name], conditions: [], optional: false, ...more });
const typesOf = () => ["string"];

const FULL: Funnel = {
  steps: [step("page_view"), step("search", { optional: true }), { events: ["purchase", "{odd"], conditions: [{ property: "plan", op: "is", values: ["pro"] }], optional: false }, { events: [], conditions: [], optional: false }],
  mode: "unordered",
  window: "12h",
  entry: "first",
  applies: "all",
  counting: "totals",
  exclusions: [{ events: ["refund"], conditions: [], from: 1, to: 3 }],
  hold: ["session_id", "url"],
  breakdown: "country",
  attribution: "step:2",
  conditions: [{ property: "country", op: "is_not", values: ["US", "DE"] }],
  range: "2026-02-01..2026-02-28",
  interval: "week",
  shown: { step: 2, outcome: "dropped" },
};

test("the address holds the whole funnel, and nothing that goes without saying", () => {
  expect(readFunnel(writeFunnel(FULL))).toEqual(FULL);
  expect(writeFunnel(START)).toBe("");
  expect(writeFunnel({ ...START, steps: [step("page_view"), step("purchase")] })).toBe("?step=page_view&step=purchase");
});

test("an address that somebody wrote by hand falls back where it is wrong", () => {
  expect(readFunnel("?mode=__proto__&window=9y&entry=&attribution=step:0&range=2026&interval=eon&not=&people=0-dropped&where=x&hold=").exclusions).toEqual([{ events: [""], conditions: [], from: 0, to: 0 }]);
  expect({ ...readFunnel("?mode=__proto__&window=9y&entry=&attribution=step:0&range=2026&interval=eon&people=0-dropped&where=x&hold="), exclusions: [] }).toEqual(START);
  expect(readFunnel("?step={%22optional%22:1}").steps).toEqual([{ events: [], conditions: [], optional: false }]);
});

test("steps without an event are left out, and places move with them", () => {
  const steps = [step("a"), { ...step("x"), events: [] }, step("b"), step("c")];
  const request = toRequest({ ...START, steps, breakdown: "country", attribution: "step:3", exclusions: [{ events: ["refund"], conditions: [], from: 3, to: 4 }] }, typesOf);
  expect(request).toMatchObject({ steps: ["a", "b", "c"], attribution: "step:2", exclusions: [{ event: "refund", from_step: 2, to_step: 3 }] });
  expect(missingPart({ ...START, steps: [{ ...step("x"), events: [] }] })).not.toBeNull();
});

test("options that exclude one another are not sent together", () => {
  const optional = [step("a", { optional: true }), step("b", { optional: true })];
  expect(toRequest({ ...START, steps: optional }, typesOf)["steps"]).toEqual(["a", { event: "b", optional: true }]);
  expect(toRequest({ ...START, steps: optional, mode: "strict", exclusions: FULL.exclusions }, typesOf)).not.toHaveProperty("exclusions");
  expect(toRequest({ ...START, steps: optional, mode: "unordered" }, typesOf)["steps"]).toEqual(["a", "b"]);
  expect(toRequest(FULL, typesOf)).toMatchObject({ counting: "users", attribution: "first" });
  expect(toRequest({ ...START, steps: [step("a")] }, typesOf)).not.toHaveProperty("time_to_convert");
});

test("a step with conditions is named by them", () => {
  const conditions = [{ property: "plan", op: "is", values: ["pro"] }];
  expect(toRequest({ ...START, steps: [step("a", { conditions })] }, typesOf)["steps"]).toEqual([{ event: "a", filters: [{ property: "plan", op: "eq", value: "pro" }], label: "a where plan is pro" }]);
});

test("a label is cut to what the API takes, between characters", () => {
  expect(cutLabel("short")).toBe("short");
  for (const letter of ["a", "é", "漢", "😀"]) {
    const cut = cutLabel(letter.repeat(300));
    expect(new TextEncoder().encode(cut).length).toBeLessThanOrEqual(255);
    expect(cut).toMatch(new RegExp(`^(${letter})+…$`, "u"));
  }
});

test("what is said of a step moves and goes with it", () => {
  const between = (from: number, to: number) => ({ events: ["refund"], conditions: [], from, to });
  const funnel = { ...START, steps: ["a", "b", "c", "d"].map((name) => step(name)), attribution: "step:3", exclusions: [between(3, 4), between(0, 2), between(2, 3)] };
  const check = (changed: Funnel, names: string, attribution: string, places: number[][]) => {
    expect(changed.steps.flatMap(({ events }) => events).join("")).toBe(names);
    expect(changed.attribution).toBe(attribution);
    expect(changed.exclusions.map(({ from, to }) => [from, to])).toEqual(places);
  };
  check(withStepMoved(funnel, 2, 1), "acbd", "step:2", [[2, 4], [0, 3], [2, 3]]);
  check(withoutStep(funnel, 0), "bcd", "step:2", [[2, 3], [1, 2]]);
  check(withoutStep(funnel, 2), "abd", "first", [[0, 2]]);
  check(withoutStep({ ...funnel, attribution: "last" }, 3), "abc", "last", [[0, 2], [2, 3]]);
});
