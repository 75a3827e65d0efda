import { afterEach, beforeEach, expect, test } from "vitest";

import { Endpoint, type Surroundings, listen, pageAt, refusal, start, until } from "./support.js";

let endpoint: Endpoint;
let here: Surroundings;

beforeEach(async () => {
  endpoint = await Endpoint.start();
  here = pageAt("https://shop.example/");
});

afterEach(() => endpoint.stop());

const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `e${index}`);

test("twenty events go at once, fewer after ten seconds", async () => {
  const client = start(here.env, endpoint);
  for (const name of numbered(19)) client.track(name);
  expect([here.clock.pending, endpoint.received.length]).toEqual([[10_000], 0]);
  client.track("e19");
  await until(() => client.stats().queued === 0);
  expect(endpoint.names()).toEqual([numbered(20)]);
  here.clock.advance(10_000);
  client.track("late");
  here.clock.advance(9_999);
  expect(client.stats().queued).toBe(1);
  here.clock.advance(1);
  await until(() => client.stats().queued === 0);
  expect(endpoint.names()[1]).toEqual(["late"]);
});

test("a request needs no leave of the browser: text, and the key in the body before the events", async () => {
  const client = start(here.env, endpoint);
  client.track("a");
  expect(await client.flush()).toBe(true);
  const [request] = endpoint.received;
  expect(request?.headers["content-type"]).toBe("text/plain;charset=UTF-8");
  expect(request?.headers.authorization).toBeUndefined();
  expect(request?.target).toBe("/api/v1/events/batch");
  expect(Object.keys(request?.body ?? {})).toEqual(["write_key", "sent_at", "events"]);
});

test("each try has the same insert ids and its own sent_at; pauses grow, with jitter, up to five minutes", async () => {
  const { warnings } = listen();
  const client = start(here.env, endpoint);
  client.track("a");
  const pauses: number[] = [];
  for (let tries = 0; tries < 12; tries += 1) {
    endpoint.replies.push(tries % 2 === 0 ? "cut" : refusal(503, "log_unavailable"));
    expect(await client.flush()).toBe(false);
    pauses.push(...here.clock.pending);
    here.clock.now += pauses.at(-1) ?? 0;
  }
  expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 150_000, 150_000, 150_000]);
  expect(await client.flush()).toBe(true);
  expect(new Set(endpoint.events.map(({ insert_id }) => insert_id)).size).toBe(1);
  expect(new Set(endpoint.events.map(({ timestamp }) => timestamp)).size).toBe(1);
  expect(new Set(endpoint.received.map(({ body }) => body.sent_at)).size).toBe(13);
  expect(warnings()).toHaveLength(1);
  expect(warnings()[0]).toContain("events cannot be sent and wait");
});

test("no try comes before the server said, and one that says a date is understood", async () => {
  const client = start(here.env, endpoint);
  client.track("a");
  endpoint.replies.push(refusal(429, "over_quota", { "retry-after": "7" }));
  await client.flush();
  here.clock.advance(6_999);
  here.window.dispatchEvent(new here.window.Event("online"));
  for (const name of numbered(20)) client.track(name);
  expect(await client.flush()).toBe(false);
  expect(endpoint.received).toHaveLength(1);
  endpoint.replies.push(refusal(503, "log_full", { "retry-after": new Date(here.clock.now + 61_000).toUTCString() }));
  here.clock.advance(501);
  await until(() => endpoint.received.length === 2);
  await until(() => here.clock.pending.length === 1);
  expect(here.clock.pending[0]).toBeGreaterThan(59_000);
  here.clock.advance(62_000);
  await until(() => client.stats().queued === 0);
  expect(new Set(endpoint.events.map(({ insert_id }) => insert_id)).size).toBe(21);
});

test("a refusal drops the batch with the server's reason, once for each code", async () => {
  const { warnings } = listen();
  const client = start(here.env, endpoint);
  for (const name of ["a", "b"]) {
    client.track(name);
    endpoint.replies.push(refusal(400, "invalid_type"));
    expect(await client.flush()).toBe(true);
  }
  expect(warnings()).toEqual(["Throng: the server refused events, which are dropped (invalid_type): the reason for invalid_type"]);
  expect(endpoint.received).toHaveLength(2);
});

test("events that are refused one by one are told once for each code, and the others are stored", async () => {
  const { warnings } = listen();
  const client = start(here.env, endpoint);
  const rejected = ["missing_name", "too_old", "missing_name"].map((code, index) => ({ index, code, message: `the reason for ${code}` }));
  endpoint.replies.push({ status: 200, body: JSON.stringify({ accepted: 1, rejected }) }, { status: 400, body: JSON.stringify({ accepted: 0, rejected }) });
  for (const name of numbered(4)) client.track(name);
  expect(await client.flush()).toBe(true);
  client.track("");
  expect(await client.flush()).toBe(true);
  expect(warnings().map((text) => /\((\w+)\)/.exec(text)?.[1])).toEqual(["missing_name", "too_old"]);
});

test("a batch that is too large is halved until it passes, and an event that never does is dropped", async () => {
  const { warnings } = listen();
  const client = start(here.env, endpoint);
  for (const name of numbered(8)) client.track(name);
  // A proxy's own page says as much as an answer of the gateway.
  endpoint.replies.push(refusal(413, "body_too_large"), { status: 413, body: "<html>" }, { status: 413, body: "<html>" });
  expect(await client.flush()).toBe(true);
  expect(endpoint.names().map((names) => names.length)).toEqual([8, 4, 2, 1, 7].slice(0, 3).concat([1, 7]));
  expect(new Set(endpoint.events.map(({ name }) => name))).toEqual(new Set(numbered(8)));
  expect(warnings()).toEqual([]);
  client.track("huge");
  endpoint.replies.push(refusal(413, "body_too_large"));
  expect(await client.flush()).toBe(true);
  expect(warnings()).toEqual(["Throng: the server refused events, which are dropped (body_too_large): the reason for body_too_large"]);
});

test("with a wrong key events wait, and it is told once", async () => {
  const { warnings } = listen();
  const client = start(here.env, endpoint);
  client.track("a");
  endpoint.replies.push(refusal(401, "unknown_key"), refusal(403, "not_a_write_key"));
  expect(await client.flush()).toBe(false);
  expect(here.clock.pending).toEqual([300_000]);
  here.clock.advance(300_000);
  await until(() => endpoint.received.length === 2);
  await until(() => here.clock.pending[0] === 300_000);
  here.clock.advance(300_000);
  await until(() => client.stats().queued === 0);
  expect(warnings().map((text) => /\((\w+)\)/.exec(text)?.[1])).toEqual(["unknown_key", "not_a_write_key"]);
});

test("what answers in the server's place says nothing of the events", async () => {
  const client = start(here.env, endpoint);
  client.track("a");
  for (const status of [200, 302, 403, 404, 502, 511]) {
    endpoint.replies.push({ status, body: "<html>Log in to the network</html>" });
    expect(await client.flush()).toBe(false);
    here.clock.now += here.clock.pending[0] ?? 0;
  }
  expect(await client.flush()).toBe(true);
  expect(endpoint.received).toHaveLength(7);
});

test("without a network nothing is tried, and what waited goes when it is back", async () => {
  const client = start(here.env, endpoint);
  here.navigator.onLine = false;
  for (const name of numbered(25)) client.track(name);
  expect(await client.flush()).toBe(false);
  here.window.dispatchEvent(new here.window.Event("pagehide"));
  expect(endpoint.received).toHaveLength(0);
  here.navigator.onLine = true;
  here.window.dispatchEvent(new here.window.Event("online"));
  await until(() => client.stats().queued === 0);
  expect(endpoint.names()).toEqual([numbered(20), numbered(25).slice(20)]);
});

test("a new page sends what an earlier one left", async () => {
  const storage = here.window.localStorage as unknown as Storage;
  here.navigator.onLine = false;
  const client = start(here.env, endpoint);
  for (const name of numbered(3)) client.track(name);
  const next = pageAt("https://shop.example/next", { storage, clock: here.clock, seed: "n" });
  start(next.env, endpoint);
  await until(() => endpoint.received.length === 1);
  expect(endpoint.names()).toEqual([numbered(3)]);
  await until(() => client.stats().queued === 0);
});

test("a page that is left hands over its own events, as many as browsers allow, and those of other tabs stay", async () => {
  const storage = here.window.localStorage as unknown as Storage;
  const other = start(pageAt("https://shop.example/", { storage, clock: here.clock, seed: "o" }).env, endpoint);
  const client = start(here.env, endpoint, { batchSize: 500 });
  other.track("other");
  for (const name of numbered(30)) client.track(name, { text: "x".repeat(4_000) });
  here.window.dispatchEvent(new here.window.Event("pagehide"));
  here.window.dispatchEvent(new here.window.Event("pagehide"));
  await until(() => client.stats().queued === 17);
  expect(endpoint.names()).toEqual([numbered(14)]);
  expect(endpoint.received[0]?.text.length).toBeLessThan(61_000);
  expect(await other.flush()).toBe(true);
  expect(new Set(endpoint.names().flat())).toEqual(new Set(["other", ...numbered(30)]));
});

test("a browser whose fetch ends with the page sends a beacon, and the next page makes sure", async () => {
  const keepalive = Object.getOwnPropertyDescriptor(Request.prototype, "keepalive") as PropertyDescriptor;
  Reflect.deleteProperty(Request.prototype, "keepalive");
  try {
    const beacons: string[] = [];
    here.navigator.sendBeacon = (url, body) => beacons.push(`${url} ${body}`) > 0;
    const client = start(here.env, endpoint);
    client.track("a");
    Object.defineProperty(here.window.document, "visibilityState", { value: "hidden" });
    here.window.document.dispatchEvent(new here.window.Event("visibilitychange"));
    expect(beacons).toHaveLength(1);
    expect(beacons[0]).toContain(`${endpoint.url}/api/v1/events/batch {"write_key":"wk_example","sent_at":1780000000000,"events":[{"name":"a"`);
    expect(client.stats().queued).toBe(1);
    expect(await client.flush()).toBe(true);
    expect(beacons[0]).toContain(endpoint.events[0]?.insert_id);
  } finally {
    Object.defineProperty(Request.prototype, "keepalive", keepalive);
  }
});
