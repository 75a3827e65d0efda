import { expect, test } from "vitest";

import { ANY_EVENT } from "../builder/subject.ts";
import type { RetentionAnswer } from "./answer.ts";
import { curveData } from "./curve.ts";
import { cohortHeat, groupHeat } from "./heat.ts";
import { hasMembers, laterPeriod, membersRule } from "./members.ts";
import { missingPart, toRequest } from "./request.ts";
import { type Retention, START, readRetention, writeRetention } from "./retention.ts";
import { ruleInWords } from "./rule.ts";

const typesOf = () => ["string"];
const SIGNUP: Retention = { ...START, start: { events: ["signup"], conditions: [] } };
const FULL: Retention = {
  start: { events: ["signup", "{odd"], conditions: [{ property: "plan", op: "is", values: ["pro"] }] },
  back: { events: ["view"], conditions: [] },
  period: "day",
  bucketing: "rolling",
  entry: "recurring",
  mode: "on_or_after",
  periods: 7,
  breakdown: "country",
  group: '"US"',
  conditions: [{ property: "country", op: "is", values: ["US"] }],
  range: "2026-02-01..2026-02-28",
  show: "count",
  shown: { cohort: 2, period: 1 },
};

/** The first two cohorts of the worked example of the docs, with a range that begins inside a week. */
const ANSWER: RetentionAnswer = {
  retention: [
    { time: "2026-03-02T00:00:00+01:00", size: 2, returned: [1, 2], fractions: [0.5, 1], finished_periods: 1 },
    { time: "2026-03-09T00:00:00+01:00", size: 0, returned: [0], fractions: [null], finished_periods: 0 },
  ],
  average: { size: [2], returned: [1], fractions: [0.5] },
  semantics: { start_event: "signup", return_event: "view", period: "week", bucketing: "calendar", entry: "first_time", mode: "on" },
  range: { from: "2026-03-03T00:00:00+01:00", to: "2026-03-12T00:00:00+01:00" },
  query_time_ms: 1,
  exact: true,
  complete: true,
  scanned_events: 1,
  cached: false,
  timezone: "Europe/Berlin",
};

test("the address holds the whole question, and nothing that goes without saying", () => {
  expect(readRetention(writeRetention(FULL))).toEqual(FULL);
  expect(writeRetention(START)).toBe("");
  expect(writeRetention({ ...SIGNUP, shown: { cohort: 3, period: null } })).toBe("?start=signup&people=3");
  expect(readRetention("?period=eon&mode=&entry=never&bucketing=x&periods=5000&range=9&show=pie&people=x&where=[")).toEqual(START);
});

test("what is missing is told, and what is asked has the types of the properties", () => {
  expect(missingPart(START)).toMatch(/begins/);
  expect(missingPart({ ...SIGNUP, back: { events: [], conditions: [] } })).toMatch(/come back/);
  expect(toRequest(SIGNUP, typesOf)).toEqual({ start_event: "signup", return_event: { event: null }, period: "week", bucketing: "calendar", entry: "first_time", mode: "on", range: "90d" });
  expect(toRequest(FULL, typesOf)).toMatchObject({ periods: 7, breakdown: "country", limit: 8, from: "2026-02-01", to: "2026-03-01", filters: [{ property: "country", op: "eq", value: "US" }] });
});

test("a table has all cohorts first, and marks what may grow", () => {
  const heat = cohortHeat(ANSWER.retention, ANSWER.average, "week");
  expect(heat.rows.map(({ name, size, cohort }) => [name, size, cohort])).toEqual([["All cohorts", 2, null], ["2 Mar", 2, 0], ["9 Mar", 0, 1]]);
  expect(heat.rows[1]?.cells).toEqual([{ count: 1, share: 0.5, size: 2, growing: false }, { count: 2, share: 1, size: 2, growing: true }]);
  expect(heat).toMatchObject({ columns: 2, top: 1, hidden: { rows: 0, columns: 0, empty: 0 } });
});

test("a table of hundreds shows the newest cohorts and says what it leaves out", () => {
  const many = Array.from({ length: 200 }, (_, at) => ({ time: `t${at}`, size: 1, returned: Array.from({ length: 200 - at }, () => 1), fractions: [], finished_periods: 0 }));
  const heat = cohortHeat(many, ANSWER.average, "hour");
  expect(heat).toMatchObject({ columns: 31, hidden: { rows: 140, columns: 169, empty: 0 } });
  expect(heat.rows.at(-1)?.cohort).toBe(199);
});

test("a table begins with the first cohort that has somebody", () => {
  const empty = { time: "2026-02-23T00:00:00+01:00", size: 0, returned: [0, 0, 0], fractions: [null, null, null], finished_periods: 2 };
  const heat = cohortHeat([empty, ...ANSWER.retention], ANSWER.average, "week");
  expect(heat.rows.map(({ cohort }) => cohort)).toEqual([null, 1, 2]);
  expect(heat).toMatchObject({ columns: 2, hidden: { empty: 1 } });
});

test("groups have a line and a row each", () => {
  const breakdown = [{ value: "US", size: 2, retention: ANSWER.retention, average: ANSWER.average }];
  expect(curveData({ ...ANSWER, breakdown })).toMatchObject({ times: ["week 0"], series: [{ name: "US", values: [0.5] }] });
  expect(curveData(ANSWER).series).toMatchObject([{ name: "All", values: [0.5] }]);
  expect(groupHeat(breakdown).rows).toMatchObject([{ name: "US", size: 2, cells: [{ count: 1 }] }]);
});

test("a cell is a rule: the start in the cohort's part of the range, the return in the period", () => {
  const first = { did: "signup", from: ANSWER.range.from, to: "2026-03-09T00:00:00+01:00", occurrence: "first" };
  expect(membersRule(SIGNUP, ANSWER, { cohort: 0, period: null }, typesOf)).toEqual(first);
  expect(membersRule(SIGNUP, ANSWER, { cohort: 0, period: 1 }, typesOf)).toEqual({ and: [first, { did: null, from: "2026-03-09T00:00:00+01:00", to: ANSWER.range.to }] });
  expect(membersRule({ ...SIGNUP, mode: "on_or_after" }, ANSWER, { cohort: 0, period: 0 }, typesOf)).toEqual({ and: [first, { did: null, from: ANSWER.range.from, to: ANSWER.range.to }] });
  const later = { did: "signup", from: "2026-03-09T00:00:00+01:00", to: ANSWER.range.to };
  expect(membersRule({ ...SIGNUP, entry: "first_in_range" }, ANSWER, { cohort: 1, period: null }, typesOf)).toEqual({ and: [later, { did_not: "signup", from: ANSWER.range.from, to: later.from }] });
  expect(membersRule({ ...SIGNUP, entry: "recurring" }, ANSWER, { cohort: 1, period: null }, typesOf)).toEqual(later);
  expect(membersRule(SIGNUP, ANSWER, { cohort: 7, period: null }, typesOf)).toBeNull();
});

test("periods behind the range begin on the wall clock", () => {
  expect([laterPeriod("2026-03-28T00:00:00+01:00", "day", 2), laterPeriod("2026-03-01T00:00:00Z", "month", 11), laterPeriod("2026-03-02T00:00:00Z", "week", 1), laterPeriod("2026-03-02T23:00:00Z", "hour", 2)]).toEqual([
    "2026-03-30T00:00:00",
    "2027-02-01T00:00:00",
    "2026-03-09T00:00:00",
    "2026-03-03T01:00:00",
  ]);
  const asked = { ...SIGNUP, periods: 3, back: { events: ["view", "buy"], conditions: [] } };
  const longer = { ...ANSWER, retention: ANSWER.retention.map((row) => ({ ...row, returned: [0, 0, 0, 0] })) };
  expect(membersRule(asked, longer, { cohort: 1, period: 2 }, typesOf)).toMatchObject({ and: [{}, { did: ["view", "buy"], from: "2026-03-23T00:00:00", to: "2026-03-30T00:00:00" }] });
});

test("persons are told where a rule can tell them", () => {
  expect([hasMembers(SIGNUP), hasMembers({ ...SIGNUP, bucketing: "rolling" }), hasMembers({ ...SIGNUP, breakdown: "country" }), hasMembers({ ...SIGNUP, breakdown: "country", group: '"US"' })]).toEqual([true, false, true, false]);
});

test("the rule is told in sentences", () => {
  expect(ruleInWords(ANSWER.semantics)).toContain("A person is in the cohort of the week of the first ever “signup”. They came back with “view” in week N.");
  expect(ruleInWords({ ...ANSWER.semantics, entry: "recurring", bucketing: "rolling", mode: "on_or_after", period: "day", start_event: ANY_EVENT })).toMatch(/every day with .* on day N or later\. Periods are 24 hours each/);
});
