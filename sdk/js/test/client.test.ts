import { afterEach, beforeEach, expect, test } from "vitest";

import { Clock, Endpoint, type SentEvent, listen, pageAt, program, start } from "./support.js";

let endpoint: Endpoint;

beforeEach(async () => {
  endpoint = await Endpoint.start();
});

afterEach(() => endpoint.stop());

const last = (): SentEvent => endpoint.events.at(-1) as SentEvent;
const storageOf = (here: ReturnType<typeof pageAt>): Storage => here.window.localStorage;

test("a visitor keeps an id, and a user theirs, from page to page and tab to tab", async () => {
  const here = pageAt("https://shop.example/");
  const client = start(here.env, endpoint);
  client.track("before");
  client.identify("U1", { plan: "pro" });
  client.track("after");
  await client.flush();
  const [before, identify, after] = endpoint.events as [SentEvent, SentEvent, SentEvent];
  expect(before.anonymous_id).toMatch(/^[0-9a-z]{22}$/);
  expect(before).not.toHaveProperty("user_id");
  expect(identify).toMatchObject({ name: "$identify", user_id: "U1", anonymous_id: before.anonymous_id, properties: { $set: { plan: "pro" } } });
  expect(Object.keys(identify.properties), "what else it held would be properties of the user").toEqual(["$set"]);
  expect(after).toMatchObject({ user_id: "U1", anonymous_id: before.anonymous_id });
  const next = start(pageAt("https://shop.example/next", { storage: storageOf(here), seed: "n" }).env, endpoint);
  next.track("next");
  await next.flush();
  expect(last()).toMatchObject({ user_id: "U1", anonymous_id: before.anonymous_id, session_id: before.session_id });
  next.reset();
  client.track("somebody else");
  await client.flush();
  expect(last()).not.toHaveProperty("user_id");
  expect(last().anonymous_id).not.toBe(before.anonymous_id);
  expect(last().session_id).not.toBe(before.session_id);
});

test("alias names another id of the user, and needs one", async () => {
  const { warnings } = listen();
  const client = start(pageAt("https://shop.example/").env, endpoint);
  client.alias("old-id");
  client.identify("U1");
  client.alias("old-id");
  client.alias(undefined as unknown as string);
  client.identify(7 as unknown as string);
  client.identify(null as unknown as string);
  await client.flush();
  expect(endpoint.events.map(({ name, user_id, properties }) => [name, user_id, properties])).toEqual([
    ["$identify", "U1", {}],
    ["$alias", "U1", { alias: "old-id" }],
    ["$identify", "7", {}],
  ]);
  expect(warnings()).toEqual(["Throng: alias has no effect without an id: give it the user's", "Throng: identify has no effect without an id: give it the user's"]);
});

test("a session goes on for thirty minutes after its last event, and not a millisecond longer", async () => {
  const here = pageAt("https://shop.example/");
  const client = start(here.env, endpoint);
  for (const pause of [0, 1_800_000, 1_800_001]) {
    here.clock.now += pause;
    client.track("a");
  }
  await client.flush();
  const sessions = endpoint.events.map(({ session_id }) => session_id);
  expect([sessions[0] === sessions[1], sessions[1] === sessions[2]]).toEqual([true, false]);
  for (const { insert_id, session_id } of endpoint.events) expect(insert_id.startsWith(`${session_id}-`), insert_id).toBe(true);
});

test("damaged entries of the device begin a new session", async () => {
  const here = pageAt("https://shop.example/");
  const client = start(here.env, endpoint);
  for (const kept of ["{", "7", "null", '{"id":7}', '{"id":"x"}']) {
    storageOf(here).setItem("throng._example.session", kept);
    client.track("a");
  }
  await client.flush();
  expect(new Set(endpoint.events.map(({ session_id }) => session_id)).size).toBe(5);
});

test("campaign and referrer are on all events of the session they led to, and on no other", async () => {
  const clock = new Clock();
  const here = pageAt("https://shop.example/sale?utm_source=news&utm_medium=mail&utm_id=7&secret=s", { referrer: "https://search.example/find?q=private#x", clock });
  const client = start(here.env, endpoint);
  client.track("a");
  const next = start(pageAt("https://shop.example/cart", { storage: storageOf(here), referrer: "https://shop.example/sale", clock, seed: "n" }).env, endpoint);
  next.track("b", { utm_source: "own" });
  clock.now += 3_600_000;
  next.track("c");
  const again = start(pageAt("https://shop.example/?utm_source=ads", { storage: storageOf(here), clock, seed: "o" }).env, endpoint);
  again.track("d");
  await client.flush();
  const found = Object.fromEntries(endpoint.events.map(({ name, properties }) => [name, properties]));
  const campaign = { utm_source: "news", utm_medium: "mail", referrer: "https://search.example/find" };
  expect(found["a"]).toEqual({ url: "/sale", host: "shop.example", ...campaign });
  expect(found["b"]).toEqual({ url: "/cart", host: "shop.example", ...campaign, utm_source: "own" });
  expect(found["c"]).toEqual({ url: "/cart", host: "shop.example" });
  expect(found["d"]).toEqual({ url: "/", host: "shop.example", utm_source: "ads" });
  expect(endpoint.received.map(({ text }) => text).join()).not.toMatch(/secret|private/);
});

test("page views come by themselves, one for each page a visitor sees", async () => {
  const here = pageAt("https://shop.example/?a=1");
  const client = start(here.env, endpoint, { pageViews: true });
  const { history } = here.window;
  const settled = (): Promise<void> => new Promise((resolve) => { setTimeout(resolve, 20); });
  history.pushState({}, "", "/item/1");
  here.window.document.title = "Item 1";
  await settled();
  history.replaceState({}, "", "/item/1?color=red");
  await settled();
  history.pushState({}, "", "/old");
  history.replaceState({}, "", "/new");
  await settled();
  history.pushState({}, "", "/new#reviews");
  await settled();
  here.window.dispatchEvent(Object.assign(new here.window.Event("pageshow"), { persisted: false }));
  here.window.dispatchEvent(Object.assign(new here.window.Event("pageshow"), { persisted: true }));
  await client.flush();
  expect(endpoint.events.map(({ name, properties }) => [name, properties["url"], properties["title"]])).toEqual([
    ["page_view", "/", undefined],
    ["page_view", "/item/1", "Item 1"],
    ["page_view", "/new", "Item 1"],
    ["page_view", "/new", "Item 1"],
  ]);
});

test("where pages are told apart behind #, they are", async () => {
  const here = pageAt("https://shop.example/#/home");
  const client = start(here.env, endpoint, { pageViews: "hash" });
  here.window.history.pushState({}, "", "#/cart");
  await new Promise((resolve) => { setTimeout(resolve, 20); });
  await client.flush();
  expect(endpoint.events.map(({ properties }) => properties["url"])).toEqual(["/#/home", "/#/cart"]);
});

test("a page made ready before it is seen is seen when it is shown", async () => {
  const here = pageAt("https://shop.example/");
  Object.assign(here.window.document, { prerendering: true });
  const client = start(here.env, endpoint, { pageViews: true });
  expect(client.stats().queued).toBe(0);
  here.window.document.dispatchEvent(new here.window.Event("prerenderingchange"));
  expect(client.stats().queued).toBe(1);
  await client.flush();
});

test("properties of the site are on every event, and those of a call win", async () => {
  const client = start(pageAt("https://shop.example/").env, endpoint, { properties: { version: "1.2", url: "own" } });
  client.track("a", { version: "2", nothing: undefined, deep: { date: new Date(0) }, not: Number.NaN });
  await client.flush();
  expect(last().properties).toEqual({ host: "shop.example", url: "own", version: "2", deep: { date: "1970-01-01T00:00:00.000Z" }, not: null });
});

test("properties that JSON cannot write cost one event and a warning, never an exception", async () => {
  const { warnings } = listen();
  const client = start(pageAt("https://shop.example/").env, endpoint);
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  client.track("circle", circle);
  client.track("big", { n: 10n });
  client.track("good");
  await client.flush();
  expect(endpoint.names()).toEqual([["good"]]);
  expect(warnings()).toHaveLength(1);
});

test("whoever opts out is tracked no more, in no tab, and nothing of them is left but the choice", async () => {
  const here = pageAt("https://shop.example/");
  const client = start(here.env, endpoint);
  client.identify("U1");
  client.track("unsent");
  client.optOut();
  client.track("a");
  client.identify("U2");
  expect(await client.flush()).toBe(true);
  expect(endpoint.received).toHaveLength(0);
  expect(Object.entries(storageOf(here))).toEqual([["throng._example.consent", "out"]]);
  const tab = start(pageAt("https://shop.example/", { storage: storageOf(here), seed: "t" }).env, endpoint, { pageViews: true });
  expect(tab.stats().queued).toBe(0);
  tab.optIn();
  client.track("again");
  await client.flush();
  expect(last()).toMatchObject({ name: "again" });
  expect(last()).not.toHaveProperty("user_id");
});

test("Do Not Track and Global Privacy Control count where the site says so, and the visitor's own choice is above both", () => {
  for (const signal of [{ doNotTrack: "1" }, { globalPrivacyControl: true }]) {
    const here = pageAt("https://shop.example/");
    Object.assign(here.navigator, signal);
    const tracked = (options: object): number => {
      const client = start(here.env, endpoint, options);
      client.track("a");
      const { queued } = client.stats();
      client.optOut();
      storageOf(here).clear();
      return queued;
    };
    expect([tracked({}), tracked({ respectDoNotTrack: true })], JSON.stringify(signal)).toEqual([1, 0]);
    const client = start(here.env, endpoint, { respectDoNotTrack: true });
    client.optIn();
    client.track("a");
    expect(client.stats().queued).toBe(1);
  }
});

test("a site that asks first tracks nobody before the answer", () => {
  const here = pageAt("https://shop.example/");
  const client = start(here.env, endpoint, { optedOut: true, pageViews: true });
  client.identify("U1");
  expect([client.stats().queued, storageOf(here).length]).toEqual([0, 0]);
  client.optIn();
  client.page();
  expect(client.stats().queued).toBe(1);
});

test("cookieless: nothing is on the device but a refusal, and the server makes the id", async () => {
  const here = pageAt("https://shop.example/?utm_source=news");
  const client = start(here.env, endpoint, { cookieless: true, pageViews: true });
  client.track("a");
  client.identify("U1");
  client.track("b");
  expect(storageOf(here).length).toBe(0);
  await client.flush();
  const [view, a, identify, b] = endpoint.events as [SentEvent, SentEvent, SentEvent, SentEvent];
  for (const event of [view, a]) {
    expect(event).toMatchObject({ cookieless: true, properties: { utm_source: "news" } });
    for (const field of ["anonymous_id", "user_id", "session_id"]) expect(event).not.toHaveProperty(field);
  }
  expect([identify.user_id, b.user_id, b.cookieless]).toEqual(["U1", "U1", true]);
  expect(b).not.toHaveProperty("anonymous_id");
  expect(new Set(endpoint.events.map(({ insert_id }) => insert_id)).size).toBe(4);
  expect(storageOf(here).length).toBe(0);
  client.optOut();
  expect(Object.entries(storageOf(here))).toEqual([["throng._example.consent", "out"]]);
});

test("a server program names the user of each event; without one it is an event of nobody", async () => {
  const client = start(program(), endpoint);
  client.track("job_done", { ms: 12 });
  client.track("purchase", { price: 9.5 }, { userId: "U1", timestamp: new Date(1_779_999_999_000) });
  client.track("visit", {}, { anonymousId: "A1" });
  client.identify("U2", { plan: "pro" });
  client.track("later");
  client.alias("old", { userId: "U2" });
  await client.flush();
  expect(endpoint.events.map(({ name, user_id, anonymous_id }) => [name, user_id, anonymous_id])).toEqual([
    ["job_done", null, undefined],
    ["purchase", "U1", undefined],
    ["visit", undefined, "A1"],
    ["$identify", "U2", undefined],
    ["later", null, undefined],
    ["$alias", "U2", undefined],
  ]);
  expect(endpoint.events[1]?.timestamp).toBe(1_779_999_999_000);
  expect(endpoint.events[0]?.properties).toEqual({ ms: 12 });
  expect(endpoint.received[0]?.target, "where the program runs is not where its users are").toBe("/api/v1/events/batch?enrich=false");
});

test("mistakes in the options are told with the way out", () => {
  const { warnings } = listen();
  expect(() => start(program(), { url: "events.example.com" })).toThrow();
  expect(() => start(program(), endpoint, { writeKey: "" })).toThrow();
  start(program(), endpoint, { batchSize: 0, flushIntervalMs: Number.NaN });
  expect(warnings()).toEqual([
    'Throng: url is "events.example.com": give init the address of Throng, such as https://events.example.com; nothing is sent',
    "Throng: writeKey is missing: give init the app's write key (wk_...); nothing is sent",
    "Throng: batchSize is 0, 1 to 500 are allowed: 20 is used",
    "Throng: flushIntervalMs is NaN, 100 to 3600000 are allowed: 10000 is used",
  ]);
});
