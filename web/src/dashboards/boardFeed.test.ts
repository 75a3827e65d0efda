import { expect, test } from "vitest";

import { TestWorld, settle } from "../api/feed.testWorld.ts";
import { BoardFeed } from "./boardFeed.ts";

const event = (name: string, data: object) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
const AS_OF = "2026-03-01T12:00:00Z";
const board = (version: number, tiles: object[]) => event("dashboard", { dashboard: { id: "b", name: "B", version, tiles }, scope: { range: "7d", filters: [] } });
const answer = (tiles: number[], value: number) => event("tile", { tiles, answer: { value }, as_of: AS_OF });
const failure = (tiles: number[], status: number) => event("tile", { tiles, status, error: { code: "c", message: "m" }, as_of: AS_OF });

async function following(text: string): Promise<{ world: TestWorld; feed: BoardFeed }> {
  const world = new TestWorld();
  const feed = new BoardFeed(world, "");
  feed.resume();
  await settle();
  await world.send(text);
  return { world, feed };
}

test("answers go to the tiles that show them", async () => {
  const { feed } = await following(board(1, [{}, {}, {}]) + answer([0, 2], 5) + event("tick", { as_of: AS_OF }));
  const { answers, phase, asOf } = feed.snapshot();
  expect([answers.get(0)?.answer, answers.get(1), answers.get(2)?.answer]).toEqual([{ value: 5 }, undefined, { value: 5 }]);
  expect([phase, asOf]).toEqual(["live", Date.parse(AS_OF)]);
});

test("an answer stays while the server is busy, and goes where the question is wrong", async () => {
  const { world, feed } = await following(board(1, [{}, {}]) + answer([0, 1], 5));
  await world.send(failure([0], 503) + failure([1], 422));
  const { answers } = feed.snapshot();
  expect([answers.get(0)?.answer, answers.get(0)?.error?.status]).toEqual([{ value: 5 }, 503]);
  expect([answers.get(1)?.answer, answers.get(1)?.error?.status]).toEqual([null, 422]);
});

test("answers of other tiles are forgotten, those of the same stay while newer ones are on their way", async () => {
  const { world, feed } = await following(board(1, [{ w: 1 }]) + answer([0], 5));
  await world.send(board(1, [{ w: 1 }]));
  expect(feed.snapshot().answers.size).toBe(1);
  await world.send(board(2, [{ w: 2 }, { w: 1 }]));
  expect(feed.snapshot().answers.size).toBe(0);
});

test("a deleted dashboard and a revoked key end it, a server that stops does not", async () => {
  for (const [reason, phase, opened] of [
    ["dashboard_deleted", "ended", 1],
    ["access_ended", "refused", 1],
    ["server_stopping", "stale", 2],
  ] as const) {
    const { world, feed } = await following(board(1, []) + event("end", { reason, message: "m" }));
    await world.end();
    expect(feed.snapshot().phase).toBe(phase);
    await world.pass(60_000);
    expect(world.opened.length).toBe(opened);
  }
});
