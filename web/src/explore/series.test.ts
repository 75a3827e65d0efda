import { expect, test } from "vitest";

import type { QueryAnswer } from "../api/types.ts";
import { chartData } from "./series.ts";

const NOW = Date.parse("2026-01-03T12:00:00+01:00");

function answer(results: QueryAnswer["results"], group_by: string[], compared = false): QueryAnswer {
  const range = { from: "2026-01-01T00:00:00+01:00", to: "2026-01-05T00:00:00+01:00" };
  const facts = { query_time_ms: 1, exact: true, complete: true, scanned_events: 0, cached: false, timezone: "Europe/Berlin", range };
  return { results, metrics: ["events"], group_by, ...facts, ...(compared ? { previous_range: range } : {}) };
}

const day = (date: number) => `2026-01-0${date}T00:00:00+01:00`;

test("groups become series, largest first, the rest last; buckets to come are left out", () => {
  const data = chartData(
    answer(
      [
        { time: day(1), c: "$other", events: 90 },
        { time: day(1), c: "US", events: 1 },
        { time: day(2), c: "US", events: 2 },
        { time: day(3), c: null, events: 5 },
        { time: day(4), c: "US", events: 0 },
      ],
      ["c"],
    ),
    NOW,
  );
  expect(data.times).toEqual([day(1), day(2), day(3)]);
  expect(data.partial).toEqual([false, false, true]);
  expect(data.series.map(({ name, values, other }) => ({ name, values, other }))).toEqual([
    { name: "(not set)", values: [null, null, 5], other: false },
    { name: "US", values: [1, 2, null], other: false },
    { name: "Other", values: [90, null, null], other: true },
  ]);
  expect(data.series[2]?.place).toBeNull();
});

test("a first bucket that began before the range is partial", () => {
  const early = "2025-12-31T00:00:00+01:00";
  expect(chartData(answer([{ time: early, events: 1 }, { time: day(1), events: 1 }, { time: day(2), events: 1 }], []), NOW).partial).toEqual([true, false, true]);
});

test("without an interval each group is one value, with the period before", () => {
  const data = chartData(answer([{ c: "US", events: 3, previous: { events: 2 } }, { c: 7, events: 1, previous: null }], ["c"], true), NOW);
  expect(data.times).toEqual([]);
  expect(data.series.map(({ name, values, previous }) => ({ name, values, previous }))).toEqual([
    { name: "US", values: [3], previous: [2] },
    { name: "7", values: [1], previous: [null] },
  ]);
});

test("a series keeps its colour whatever its size", () => {
  const rows = (us: number, de: number) => [{ time: day(1), c: "US", events: us }, { time: day(1), c: "DE", events: de }];
  const places = (us: number, de: number) => Object.fromEntries(chartData(answer(rows(us, de), ["c"]), NOW).series.map((one) => [one.name, one.place]));
  expect(places(1, 2)).toEqual(places(2, 1));
  expect(new Set(Object.values(places(1, 2))).size).toBe(2);
});
