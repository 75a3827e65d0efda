import { expect, test } from "vitest";

import { rowsOf } from "./tileRows.ts";

const place = { x: 0, y: 0, w: 4, h: 2 };

test("every kind of answer has rows", () => {
  const query = { results: [{ time: "t", events: 3, previous: { events: 2 } }, { time: "u", events: 4 }] };
  expect(rowsOf({ ...place, call: "query" }, query)).toEqual({ names: ["time", "events", "previous_events"], rows: [["t", 3, 2], ["u", 4, null]] });
  const retention = { retention: [{ time: "t", size: 2, returned: [2, 1], finished_periods: 1 }] };
  expect(rowsOf({ ...place, call: "retention" }, retention)).toEqual({ names: ["time", "size", "returned_0", "returned_1", "finished_periods"], rows: [["t", 2, 2, 1, 1]] });
  expect(rowsOf({ ...place, call: "paths" }, { paths: [{ path: ["a", "b"], users: 1 }] }).rows).toEqual([["a > b", 1]]);
  expect(rowsOf({ ...place, call: "sql" }, { columns: [{ name: "n" }], rows: [[1]] })).toEqual({ names: ["n"], rows: [[1]] });
  expect(rowsOf({ ...place, call: "new_call" }, {})).toEqual({ names: [], rows: [] });
});
