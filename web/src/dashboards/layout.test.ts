import { expect, test } from "vitest";

import type { Place } from "./board.ts";
import { COLUMNS, added, clamped, compacted, nudged, put, readingOrder } from "./layout.ts";

const at = (x: number, y: number, w: number, h: number): Place => ({ x, y, w, h });

function expectWhole(tiles: readonly Place[]): void {
  const apart = (a: Place, b: Place) => a === b || a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
  const outside = tiles.filter(({ x, w, y }) => x < 0 || y < 0 || x + w > COLUMNS);
  const over = tiles.filter((a) => tiles.some((b) => !apart(a, b)));
  expect({ outside, over }).toEqual({ outside: [], over: [] });
}

test("tiles rise until something is in their way", () => {
  expect(compacted([at(0, 5, 6, 2), at(6, 1, 6, 2), at(0, 9, 12, 1)])).toEqual([at(0, 0, 6, 2), at(6, 0, 6, 2), at(0, 2, 12, 1)]);
});

test("a tile that is put on another goes before it, and the other makes room", () => {
  const tiles = [at(0, 0, 6, 2), at(6, 0, 6, 2), at(0, 2, 6, 2)];
  expect(put(tiles, 2, at(0, 0, 6, 2))).toEqual([at(0, 2, 6, 2), at(6, 0, 6, 2), at(0, 0, 6, 2)]);
  expect(put(tiles, 0, at(0, 1, 6, 2))).toEqual([at(0, 0, 6, 2), at(6, 0, 6, 2), at(0, 2, 6, 2)]);
  expect(put(tiles, 0, at(0, 3, 6, 2))).toEqual([at(0, 2, 6, 2), at(6, 0, 6, 2), at(0, 0, 6, 2)]);
});

test("a step moves a tile as far as it takes to pass the next one", () => {
  const tiles = [at(0, 0, 6, 3), at(0, 3, 6, 2)];
  const down = nudged(tiles, 0, { y: 1 });
  expect(down).toEqual([at(0, 2, 6, 3), at(0, 0, 6, 2)]);
  expect(nudged(down, 0, { y: -1 })).toEqual(tiles);
  expect(nudged(tiles, 0, { x: 1 })[0]).toEqual(at(1, 0, 6, 3));
  expect(nudged(tiles, 0, { h: 1 })).toEqual([at(0, 0, 6, 4), at(0, 4, 6, 2)]);
  expect(nudged(tiles, 1, { y: 1 })).toEqual(tiles);
});

test("no place lies outside, and nothing is too small to read", () => {
  expect(clamped(at(-3, -1, 1, 0))).toEqual(at(0, 0, 2, 1));
  expect(clamped(at(11, 2, 6, 3))).toEqual(at(6, 2, 6, 3));
  expect(clamped(at(0, 0, 40, 400))).toEqual(at(0, 0, 12, 24));
});

test("a new tile takes the first gap that has room", () => {
  const tiles = [at(0, 0, 8, 2), at(0, 2, 12, 2)];
  expect(added(tiles, at(0, 0, 4, 2)).at(-1)).toEqual(at(8, 0, 4, 2));
  expect(added(tiles, at(0, 0, 6, 2)).at(-1)).toEqual(at(0, 4, 6, 2));
  expect(added([], at(5, 7, 6, 2))).toEqual([at(0, 0, 6, 2)]);
});

test("whatever is moved, no two tiles lie over one another and nothing moves by itself", () => {
  // A small generator of numbers that are the same on every run.
  let seed = 7;
  const below = (bound: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * bound);
  };
  for (let round = 0; round < 50; round += 1) {
    let tiles = compacted(Array.from({ length: 1 + below(20) }, () => clamped(at(below(12), below(30), 1 + below(12), 1 + below(5)))));
    for (let step = 0; step < 10; step += 1) {
      tiles = put(tiles, below(tiles.length), at(below(14) - 1, below(40) - 1, below(14), below(6)));
      expectWhole(tiles);
      // Nothing lies where it could be higher.
      expect(compacted(tiles)).toEqual(tiles);
    }
  }
});

test("tiles are read from left to right and from the top", () => {
  expect(readingOrder([at(6, 0, 6, 1), at(0, 3, 1, 1), at(0, 0, 6, 1)])).toEqual([2, 0, 1]);
});
