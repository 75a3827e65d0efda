import { expect, test } from "vitest";

import { begin, redo, step, undo } from "./history.ts";

test("steps are taken back and done again, until another is taken", () => {
  let history = step(step(begin("a"), "b"), "c");
  history = undo(undo(undo(history)));
  expect(history.now).toBe("a");
  history = redo(history);
  expect(history.now).toBe("b");
  history = step(history, "d");
  expect([redo(history).now, undo(history).now]).toEqual(["d", "b"]);
});

test("the number of steps is bounded", () => {
  let history = begin(0);
  for (let at = 1; at <= 300; at += 1) history = step(history, at);
  expect(history.past.length).toBe(100);
});
