import { Window } from "happy-dom";
import { expect, test } from "vitest";

import { type Queue, queueIn } from "../src/queue.js";
import { type Store, deviceStore, memoryStore } from "../src/store.js";

const DAY_MS = 86_400_000;
const MANY = 1_000;
const LARGE = 1_000_000;

const json = (name: string): string => JSON.stringify({ name });
const names = (queue: Queue, now = 0, maxEvents = MANY, maxBytes = LARGE, ownOnly = false): string[] =>
  queue.next(maxEvents, maxBytes, now, ownOnly).map((queued) => (JSON.parse(queued.json) as { name: string }).name);

function filled(store: Store, count: number, maxEvents = MANY): Queue {
  const queue = queueIn(store, maxEvents);
  for (let index = 0; index < count; index += 1) queue.add(`i${index}`, json(`e${index}`), 5);
  return queue;
}

test("events come in the order they were added, also those of one millisecond and beyond ten", () => {
  expect(names(filled(memoryStore(), 12))).toEqual(Array.from({ length: 12 }, (_, index) => `e${index}`));
});

test("a full queue drops the oldest and counts them", () => {
  const queue = filled(memoryStore(), 8, 5);
  expect(names(queue)).toEqual(["e3", "e4", "e5", "e6", "e7"]);
  expect(queue.dropped()).toBe(3);
});

test("a batch ends before it is too large, and one that never fits comes alone", () => {
  const queue = filled(memoryStore(), 3);
  const each = json("e0").length + 1;
  expect(names(queue, 0, MANY, 2 * each)).toEqual(["e0", "e1"]);
  expect(names(queue, 0, 2)).toEqual(["e0", "e1"]);
  expect(names(queue, 0, MANY, 3)).toEqual(["e0"]);
  expect(names(queue, 0, MANY, 3, true)).toEqual([]);
  const wide = queueIn(memoryStore(), MANY);
  wide.add("a", json("é"), 1);
  wide.add("b", json("b"), 1);
  expect(names(wide, 0, MANY, 2 * json("b").length + 2), "bytes count, not letters").toEqual(["é"]);
});

test("tabs share what waits, and none loses another's events", () => {
  const store = memoryStore();
  const [first, second] = [queueIn(store, MANY), queueIn(store, MANY)];
  first.add("a", json("a"), 1);
  second.add("b", json("b"), 2);
  first.add("c", json("c"), 3);
  expect(names(second)).toEqual(["a", "b", "c"]);
  expect(names(second, 0, MANY, LARGE, true)).toEqual(["b"]);
  first.remove(first.next(2, LARGE, 0, false));
  expect(names(second)).toEqual(["c"]);
});

test("what is being sent is not given again until it ended", () => {
  const queue = filled(memoryStore(), 3);
  const batch = queue.next(2, LARGE, 0, false);
  queue.begin(batch, 100);
  expect(names(queue)).toEqual(["e2"]);
  queue.end(batch, true);
  expect(names(queue)).toEqual(["e0", "e1", "e2"]);
});

test("what may have arrived a week ago is not sent again; what surely did not is", () => {
  const store = memoryStore();
  const queue = filled(store, 2);
  const [doubtful, known] = [queue.next(1, LARGE, 0, false), queue.next(2, LARGE, 0, false).slice(1)];
  queue.begin(doubtful, 100);
  queue.end(doubtful, true);
  queue.begin(known, 100);
  queue.end(known, false);
  // A page of a later day reads what this one left.
  const later = queueIn(store, MANY);
  expect(names(later, 6 * DAY_MS)).toEqual(["e0", "e1"]);
  expect(names(later, 6 * DAY_MS + 101)).toEqual(["e1"]);
  expect(later.dropped()).toBe(1);
});

test("a first try that is in doubt stays in doubt after one that is not", () => {
  const store = memoryStore();
  const queue = filled(store, 1);
  for (const inDoubt of [true, false]) {
    const batch = queue.next(1, LARGE, 0, false);
    queue.begin(batch, 100);
    queue.end(batch, inDoubt);
  }
  expect(names(queueIn(store, MANY), 7 * DAY_MS)).toEqual([]);
});

test("entries that another script damaged cost no other event", () => {
  const store = memoryStore();
  const queue = filled(store, 2);
  for (const [index, value] of ["", "0", "0 {", "no space", "0 7"].entries()) store.set(`event.00000000${index}.x`, value);
  expect(names(queue)).toEqual(["e0", "e1"]);
  expect(queue.dropped()).toBe(5);
});

test("on a device whose storage is full or forbidden, events wait in memory", () => {
  const { localStorage } = new Window({ url: "https://shop.example" });
  const store = deviceStore(localStorage, "throng.key.");
  const queue = queueIn(store, MANY);
  queue.add("a", json("a"), 1);
  Object.defineProperty(localStorage, "setItem", { value: () => { throw new Error("QuotaExceededError"); } });
  queue.add("b", json("b"), 2);
  expect(names(queue)).toEqual(["a", "b"]);
  expect(Object.keys(localStorage)).toEqual(["throng.key.event.000000001.a"]);
  queue.clear();
  expect([queue.size(), localStorage.length]).toEqual([0, 0]);
  const forbidden = new Proxy({} as Storage, { get: () => { throw new Error("SecurityError"); }, ownKeys: () => { throw new Error("SecurityError"); } });
  const inMemory = filled(deviceStore(forbidden, "x."), 2);
  expect(names(inMemory)).toEqual(["e0", "e1"]);
});
