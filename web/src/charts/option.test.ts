import { expect, test } from "vitest";

import { markedBuckets } from "./option.ts";

test("a mark stands in the bucket of its moment, and nowhere else", () => {
  const days = ["2026-03-01T00:00:00+01:00", "2026-03-02T00:00:00+01:00", "2026-03-03T00:00:00+01:00"];
  const at = (time: string) => markedBuckets(days, [{ time, text: "a" }]).map((mark) => mark.at);
  expect([at("2026-02-28T12:00:00Z"), at("2026-02-28T23:30:00Z"), at("2026-03-02T12:00:00Z"), at("2026-03-03T12:00:00Z"), at("2026-03-04T12:00:00Z")]).toEqual([[], [0], [1], [2], []]);
  expect(markedBuckets([], [{ time: "2026-03-01T00:00:00Z", text: "a" }])).toEqual([]);
  expect(markedBuckets(["week 0", "week 1"], [{ time: "2026-03-01T00:00:00Z", text: "a" }])).toEqual([]);
});
