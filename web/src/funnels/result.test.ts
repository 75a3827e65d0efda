import { expect, test } from "vitest";

import type { FunnelAnswer, TimeToConvert } from "./answer.ts";
import { barsOf, groupBars, lastRequired } from "./bars.ts";
import { histogramBars } from "./histogram.ts";
import { ruleInWords } from "./rule.ts";
import { trendData } from "./trend.ts";

const DAY = 86_400_000;
const FUNNEL = [
  { step: "a", users: 10 },
  { step: "o", users: 3, optional: true, conversion: 0.3, dropped: 7, median_time_ms: 5 },
  { step: "b", users: 4, conversion: 0.4, dropped: 6, median_time_ms: null },
];
const SEMANTICS = { mode: "ordered", window_ms: 7 * DAY, entry: "any", range_applies_to: "entry", counting: "users" };

function answer(more: Partial<FunnelAnswer>): FunnelAnswer {
  const facts = { query_time_ms: 1, exact: true, complete: true, scanned_events: 0, cached: false, timezone: "UTC" };
  return { ...facts, range: { from: "2026-03-01T00:00:00Z", to: "2026-03-05T00:00:00Z" }, funnel: FUNNEL, semantics: SEMANTICS, ...more };
}

test("bars are shares of those who entered", () => {
  const bars = barsOf(FUNNEL);
  expect(bars.map((bar) => bar.share)).toEqual([1, 0.3, 0.4]);
  expect(bars[2]?.change).toEqual({ lost: 6, lostShare: 0.6, conversion: 0.4, medianMs: null });
  expect(lastRequired(bars)?.name).toBe("b");
  expect(barsOf([{ step: "a", attempts: 0 }]).map((bar) => bar.share)).toEqual([0]);
});

test("groups keep their colours, the rest is grey", () => {
  const groups = groupBars(answer({ breakdown: [{ value: "US", funnel: FUNNEL }, { value: "$other", funnel: FUNNEL }] }));
  expect(groups.map(({ name, place, other }) => [name, place !== null, other])).toEqual([["US", true, false], ["Other", false, true]]);
});

test("a period counts as open while its windows are", () => {
  const point = (day: number) => ({ time: `2026-03-0${day}T00:00:00Z`, entered: 2, converted: 1, conversion: 0.5 });
  const trend = [1, 2, 3, 4].map(point);
  const now = Date.parse("2026-03-03T12:00:00Z");
  expect(trendData(answer({ trend, semantics: { ...SEMANTICS, window_ms: DAY } }), now)).toMatchObject({ times: trend.slice(0, 3).map(({ time }) => time), partial: [false, true, true], series: [{ values: [0.5, 0.5, 0.5] }] });
  expect(trendData(answer({ trend: [], breakdown: [{ value: null, funnel: FUNNEL }] }), now).series.map(({ name }) => name)).toEqual(["(not set)"]);
});

test("a few long times do not press the others into one bar", () => {
  const bins = Array.from({ length: 1_000 }, (_, at) => ({ from_ms: at * 10, to_ms: at * 10 + 10, count: at < 50 ? 20 : at === 999 ? 40 : 0 }));
  const times: TimeToConvert = { count: 1_040, median_ms: 250, avg_ms: 1, min_ms: 0, max_ms: 1, bins };
  const bars = histogramBars(times);
  expect(bars).toHaveLength(21);
  expect(bars[0]).toEqual({ from_ms: 0, to_ms: 50, count: 100 });
  expect(bars.at(-1)).toEqual({ from_ms: 1_000, to_ms: 10_000, count: 40 });
  expect(histogramBars({ ...times, bins: bins.slice(0, 3) })).toHaveLength(3);
  expect(histogramBars({ ...times, bins: [] })).toEqual([]);
});

test("the rule is told in sentences", () => {
  expect(ruleInWords(SEMANTICS)).toBe("Each step comes after the one before, within 7 days of the first. Any first step in the range may begin an attempt. Later steps may come after the range ends. Each person counts once, by the attempt that goes furthest.");
  const words = ruleInWords({ mode: "unordered", window_ms: null, entry: "first", range_applies_to: "all", counting: "totals", optional_steps: [2], exclusions: [{ from_step: 1, to_step: 2 }], hold_constant: ["a", "b"], attribution: "step:2" });
  for (const part of ["any order, at any time", "first entry", "All steps lie in the range", "Every attempt", "Step 2 may be left out", "between steps 1 and 2", "same a and b", "on step 2"]) expect(words).toContain(part);
});
