import { expect, test } from "vitest";

import type { QueryAnswer } from "../api/types.ts";
import { chartData } from "./series.ts";

const answer = (results: QueryAnswer["results"], group_by: string[]): QueryAnswer => ({
  results,
  metrics: ["events"],
  group_by,
  query_time_ms: 1,
  exact: true,
  complete: true,
  scanned_events: 0,
  cached: false,
  timezone: "UTC",
});

test("groups become series, largest first, the rest last", () => {
  const rows = [
    { time: "2026-01-01T00:00:00Z", c: "$other", events: 90 },
    { time: "2026-01-01T00:00:00Z", c: "US", events: 1 },
    { time: "2026-01-02T00:00:00Z", c: "US", events: 2 },
    { time: "2026-01-02T00:00:00Z", c: null, events: 5 },
  ];
  expect(chartData(answer(rows, ["c"]))).toEqual({
    times: ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"],
    series: [
      { name: "(not set)", other: false, values: [null, 5] },
      { name: "US", other: false, values: [1, 2] },
      { name: "Other", other: true, values: [90, null] },
    ],
  });
});

test("without an interval each group is one value", () => {
  expect(chartData(answer([{ c: "US", events: 3 }], ["c"]))).toEqual({ times: [], series: [{ name: "US", other: false, values: [3] }] });
  expect(chartData(answer([{ events: 3 }], []))).toEqual({ times: [], series: [{ name: "events", other: false, values: [3] }] });
});
