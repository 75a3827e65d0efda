import { expect, test } from "vitest";

import { sparkPoints, trailingRatio } from "./spark.ts";

test("points are means by absolute time, without the open window", () => {
  expect(sparkPoints([1, 2, 3, 4, 5, 6, 99], 0, 5_000)).toEqual([
    { at: 0, value: 2 },
    { at: 15_000, value: 5 },
  ]);
  expect(sparkPoints([], 0, 5_000)).toEqual([]);
});

test("a point that is complete stays as windows move on", () => {
  const early = sparkPoints([9, 9, 1, 2, 3, 0], 5_000, 5_000);
  const later = sparkPoints([9, 1, 2, 3, 7, 7, 0], 10_000, 5_000);
  expect(early[1]).toEqual({ at: 15_000, value: 2 });
  expect(later[1]).toEqual(early[1]);
});

test("a ratio looks back over the windows before it", () => {
  expect(trailingRatio([0, 1, 1, 0], [0, 4, 0, 2], 2)).toEqual([0, 0.25, 0.5, 0.5]);
  expect(trailingRatio([3, 1], [2, 2], 2)).toEqual([1, 1]);
});
