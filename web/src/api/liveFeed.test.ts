import { expect, test } from "vitest";

import { FIRST_RETRY_MS, MAX_RETRY_MS, SILENCE_MS, retryPause } from "./feed.ts";
import { TestWorld, settle } from "./feed.testWorld.ts";
import { LiveFeed } from "./liveFeed.ts";

test("a stream is followed, and followed again after it ended", async () => {
  const world = new TestWorld();
  const feed = new LiveFeed(world, "q");
  feed.resume();
  await settle();
  expect(feed.snapshot().phase).toBe("connecting");
  world.clock = 7;
  await world.send('data: {"active_users":3}\n\n');
  expect(feed.snapshot()).toMatchObject({ phase: "live", heardAt: 7, live: { active_users: 3 } });
  await world.end();
  expect(feed.snapshot()).toMatchObject({ phase: "stale", live: { active_users: 3 } });
  await world.pass(FIRST_RETRY_MS - 1);
  expect(world.opened).toHaveLength(1);
  await world.pass(1);
  expect(world.opened).toHaveLength(2);
});

test("pauses grow, have a bound, and obey the server", async () => {
  expect([0, 1, 2, 20].map((failures) => retryPause(failures, 1))).toEqual([500, 1000, 2000, MAX_RETRY_MS]);
  expect(retryPause(0, 0)).toBe(250);
  expect(retryPause(0, 0, 3_000)).toBe(3_000);
  const world = new TestWorld();
  world.status = 0;
  const feed = new LiveFeed(world, "q");
  feed.resume();
  await settle();
  expect(feed.snapshot()).toMatchObject({ phase: "connecting", error: { code: "unreachable" } });
  await world.pass(500);
  await world.pass(999);
  expect(world.opened).toHaveLength(2);
  await world.pass(1);
  expect(world.opened).toHaveLength(3);
});

test("a refused key is not tried again", async () => {
  const world = new TestWorld();
  world.status = 403;
  const feed = new LiveFeed(world, "q");
  feed.resume();
  await settle();
  expect(feed.snapshot()).toMatchObject({ phase: "refused", error: { status: 403 } });
  await world.pass(MAX_RETRY_MS * 10);
  feed.resume();
  expect(world.opened).toHaveLength(1);
});

test("a silent stream is given up; heartbeats keep it", async () => {
  const world = new TestWorld();
  const feed = new LiveFeed(world, "q");
  feed.resume();
  await settle();
  await world.send('data: {"active_users":3}\n\n');
  await world.pass(SILENCE_MS - 1);
  await world.send(":\n\n");
  await world.pass(SILENCE_MS - 1);
  expect(feed.snapshot().phase).toBe("live");
  await world.pass(1);
  expect(feed.snapshot().phase).toBe("stale");
  expect(world.hungUp).toBe(1);
});

test("a pause hangs up and connects to nothing until it ends", async () => {
  const world = new TestWorld();
  const feed = new LiveFeed(world, "q");
  feed.resume();
  await settle();
  await world.send('data: {"active_users":3}\n\n');
  feed.pause();
  await world.pass(MAX_RETRY_MS);
  expect(feed.snapshot().phase).toBe("stale");
  expect([world.hungUp, world.opened.length]).toEqual([1, 1]);
  feed.resume();
  await settle();
  await world.send('data: {"active_users":4}\n\n');
  expect(feed.snapshot()).toMatchObject({ phase: "live", live: { active_users: 4 } });
});

test("another question keeps the last answer until its own comes", async () => {
  const world = new TestWorld();
  const feed = new LiveFeed(world, "q");
  feed.resume();
  await settle();
  await world.send('data: {"active_users":3}\n\n');
  feed.askFor("r");
  await settle();
  expect(world.opened).toEqual(["q", "r"]);
  expect(feed.snapshot().live?.active_users).toBe(3);
});
