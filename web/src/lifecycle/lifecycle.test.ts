import { expect, test } from "vitest";

import type { LifecyclePeriod } from "./answer.ts";
import { type LifecycleQuestion, START, lifecycleRequest, periodName, readLifecycle, writeLifecycle } from "./question.ts";
import { lastFinished, lifecycleSeries, meanPeriods, quickRatio, stickinessSeries } from "./series.ts";

const FULL: LifecycleQuestion = { side: "stickiness", event: "a&b", conditions: [{ property: "plan", op: "is_set", values: [] }], period: "week", range: "2026-02-01..2026-02-28" };

test("the address holds the whole question and leaves out what is as at the start", () => {
  expect(readLifecycle(writeLifecycle(FULL))).toEqual(FULL);
  expect(writeLifecycle(START)).toBe("");
  expect(readLifecycle("?side=dark&period=eon&range=soon&where=1")).toEqual(START);
});

test("the request has the event only where one is asked for", () => {
  expect(lifecycleRequest(START, () => ["string"])).toEqual({ period: "day", range: "30d" });
  expect(lifecycleRequest(FULL, () => ["string"])).toEqual({ event: "a&b", filters: [{ property: "plan", op: "is_set" }], period: "week", from: "2026-02-01", to: "2026-03-01" });
  expect([periodName("week", 1), periodName("week", 2)]).toEqual(["week", "weeks"]);
});

/** The worked example of `docs/analyses/retention.md`. */
const period = (time: string, fresh: number, returning: number, resurrected: number, dormant: number, finished: boolean): LifecyclePeriod => ({ time: `2026-03-${time}T00:00:00Z`, new: fresh, returning, resurrected, dormant, finished });
const WEEKS = [period("02", 1, 0, 1, -1, true), period("09", 2, 1, 1, -1, true), period("16", 0, 1, 0, -3, true), period("23", 0, 0, 1, -1, false), period("30", 0, 0, 0, -1, false)];
const NOW = Date.parse("2026-03-25T00:00:00Z");

test("those who fell away stand below zero, a period that is not over is not whole, later ones are not there", () => {
  const data = lifecycleSeries(WEEKS, NOW);
  expect(data.series.map(({ name, values }) => [name, values])).toEqual([
    ["Returning", [0, 1, 1, 0]],
    ["New", [1, 2, 0, 0]],
    ["Resurrected", [1, 1, 0, 1]],
    ["Dormant", [-1, -1, -3, -1]],
  ]);
  expect(data.partial).toEqual([false, false, false, true]);
  expect(lastFinished(WEEKS, NOW)?.time).toBe("2026-03-16T00:00:00Z");
  expect(lastFinished([], NOW)).toBeUndefined();
});

test("the quick ratio is of those who came over those who fell away", () => {
  expect(WEEKS.slice(0, 3).map(quickRatio)).toEqual([2, 3, 0]);
  expect(quickRatio(period("02", 1, 0, 0, 0, true))).toBeNull();
});

test("stickiness counts exactly so many periods, or so many and more", () => {
  const rows = [{ periods: 1, users: 3, fraction: 0.6, users_at_least: 5 }, { periods: 2, users: 1, fraction: 0.2, users_at_least: 2 }, { periods: 3, users: 1, fraction: 0.2, users_at_least: 1 }];
  expect(stickinessSeries(rows, false).series[0]?.values).toEqual([3, 1, 1]);
  expect(stickinessSeries(rows, true).series[0]?.values).toEqual([5, 2, 1]);
  expect(stickinessSeries(rows, true).times).toEqual(["1", "2", "3"]);
  expect(meanPeriods(rows)).toBe(1.6);
  expect(meanPeriods([])).toBeNull();
});
