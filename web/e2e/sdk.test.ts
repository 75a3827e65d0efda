import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { launch, open } from "./browser.ts";
import { Site, pageWithSnippet } from "./site.ts";
import { type App, Throng } from "./throng.ts";

let server: Throng;
let browser: Browser;
const sites: Site[] = [];

beforeAll(async () => {
  server = await Throng.start();
  browser = await launch();
});

afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
  await Promise.all(sites.splice(0).map((site) => site.stop()));
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

interface Sdk {
  track: (name: string, properties?: object) => void;
  identify: (userId: string, traits?: object) => void;
  flush: () => Promise<boolean>;
  optOut: () => void;
  optIn: () => void;
  stats: () => { queued: number; dropped: number };
}

async function siteOf(app: App, options: object = {}): Promise<Site> {
  const site = await Site.start(() => pageWithSnippet(server.url, app.write_key, { flushIntervalMs: 100, pageViews: false, ...options }));
  sites.push(site);
  return site;
}

async function visit(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  await loaded(page);
  return page;
}

const loaded = (page: Page): Promise<unknown> => page.waitForFunction(() => "stats" in ((window as Window & { throng?: object }).throng ?? {}));
const sdk = <T>(page: Page, use: (throng: Sdk) => T): Promise<T> => page.evaluate(`(${use.toString()})(window.throng)`);
const trackMany = (page: Page, from: number, to: number): Promise<unknown> =>
  page.evaluate(([from, to]) => {
    for (let n = from; n < to; n += 1) (window as unknown as { throng: Sdk }).throng.track("numbered", { n });
  }, [from, to] as const);
const allSent = (page: Page): Promise<void> => expect.poll(() => sdk(page, (throng) => throng.stats().queued), { timeout: 60_000 }).toBe(0);

/** One row of a SELECT. */
async function ask(app: App, sql: string): Promise<unknown[]> {
  const response = await fetch(`${server.url}/api/v1/analytics/${app.app_id}/sql`, {
    method: "POST",
    headers: { authorization: `Bearer ${app.read_key}`, "content-type": "application/json" },
    body: JSON.stringify({ sql }),
  });
  const answer = (await response.json()) as { rows?: unknown[][] };
  if (answer.rows?.[0] === undefined) throw new Error(JSON.stringify(answer));
  return answer.rows[0];
}

/** How many events an answer of `/query` counts. */
async function count(app: App, question: object = {}): Promise<number> {
  const response = await fetch(`${server.url}/api/v1/analytics/${app.app_id}/query`, {
    method: "POST",
    headers: { authorization: `Bearer ${app.read_key}`, "content-type": "application/json" },
    body: JSON.stringify({ metric: "events", range: "1d", ...question }),
  });
  const answer = (await response.json()) as { results: { events: number }[] };
  return answer.results[0]?.events ?? 0;
}

/** Each of so many events is there once: by the count of `/query`, by their ids, and by what they hold. */
async function expectExactly(app: App, events: number): Promise<void> {
  await expect.poll(() => count(app, { event: "numbered" }), { timeout: 10_000 }).toBe(events);
  expect(await ask(app, "SELECT count(*), count(DISTINCT insert_id), count(DISTINCT properties['n']) FROM events WHERE event = 'numbered'")).toEqual([events, events, events]);
}

test("offline, reloaded, offline in another tab, and back: nothing is lost and nothing doubled", async () => {
  const app = server.createApp("offline");
  const site = await siteOf(app);
  const context = await browser.newContext();
  const page = await visit(context, site.url);
  await page.evaluate(async () => {
    await navigator.serviceWorker.register("/offline.js");
    await new Promise((resolve) => { navigator.serviceWorker.addEventListener("controllerchange", resolve); });
  });
  for (const path of ["/other", "/next", "/"]) {
    await page.goto(site.url + path);
    await loaded(page);
  }
  await trackMany(page, 0, 5);
  await allSent(page);
  await context.setOffline(true);
  await trackMany(page, 5, 50);
  await page.reload();
  await loaded(page);
  await trackMany(page, 50, 60);
  const tab = await visit(context, `${site.url}/other`);
  await trackMany(tab, 60, 75);
  await page.goto(`${site.url}/next`);
  await loaded(page);
  expect(await sdk(page, (throng) => throng.stats())).toEqual({ queued: 70, dropped: 0 });
  expect(await count(app, { event: "numbered" })).toBe(5);
  await context.setOffline(false);
  await allSent(page);
  await expectExactly(app, 75);
});

test("a connection that is cut after the server has kept the events doubles none", async () => {
  const app = server.createApp("cut");
  const site = await siteOf(app);
  const context = await browser.newContext();
  let cut = 0;
  await context.route("**/api/v1/events/batch", async (route) => {
    if (cut >= 2) {
      await route.continue();
      return;
    }
    cut += 1;
    await route.fetch();
    await route.abort("connectionreset");
  });
  const page = await visit(context, site.url);
  await trackMany(page, 0, 30);
  await allSent(page);
  expect(cut).toBe(2);
  await expectExactly(app, 30);
  // The control: the server did receive some of them more than once.
  const response = await fetch(`${server.url}/api/v1/analytics/${app.app_id}/ledger`, { headers: { authorization: `Bearer ${app.read_key}` } });
  const { totals } = (await response.json()) as { totals: { stored: number; duplicate: number } };
  expect(totals.stored).toBe(30);
  expect(totals.duplicate).toBeGreaterThanOrEqual(20);
});

test("while the server is away events wait, and it has them when it is back", async () => {
  const app = server.createApp("restart");
  const site = await siteOf(app);
  const page = await visit(await browser.newContext(), site.url);
  await server.halt();
  try {
    await trackMany(page, 0, 25);
    expect(await sdk(page, (throng) => throng.flush())).toBe(false);
  } finally {
    await server.run();
  }
  await allSent(page);
  await expectExactly(app, 25);
});

test("two tabs that send at once neither double nor lose", async () => {
  const app = server.createApp("tabs");
  const site = await siteOf(app, { batchSize: 7 });
  const context = await browser.newContext();
  const ids: string[] = [];
  context.on("request", (request) => {
    if (!request.url().endsWith("/events/batch")) return;
    ids.push(...(JSON.parse(request.postData() ?? "{}") as { events: { insert_id: string }[] }).events.map(({ insert_id }) => insert_id));
  });
  const first = await visit(context, site.url);
  await trackMany(first, 200, 201);
  const tabs = [first, await visit(context, site.url)];
  for (let round = 0; round < 10; round += 1) {
    await Promise.all(tabs.map((tab, index) => trackMany(tab, (2 * round + index) * 10, (2 * round + index) * 10 + 10)));
  }
  await Promise.all(tabs.map(allSent));
  expect(new Set(ids).size).toBe(201);
  // They take turns; but a browser tells one tab of what another removed a moment late.
  expect(ids.length, "events on the wire").toBeLessThan(240);
  await expectExactly(app, 201);
  expect(await ask(app, "SELECT count(DISTINCT session_id), count(DISTINCT person) FROM events")).toEqual([1, 1]);
});

test("a page that is left or closed has told everything", async () => {
  const app = server.createApp("leave");
  const site = await siteOf(app, { flushIntervalMs: 3_600_000, batchSize: 500 });
  const context = await browser.newContext();
  const page = await visit(context, site.url);
  await trackMany(page, 0, 30);
  await page.goto("about:blank");
  await expectExactly(app, 30);
  const closed = await visit(context, site.url);
  await trackMany(closed, 30, 40);
  await closed.close({ runBeforeUnload: true });
  await expectExactly(app, 40);
  // The next page does not know that the last request was answered: it makes sure, and nothing counts twice.
  const next = await visit(context, site.url);
  await allSent(next);
  await expectExactly(app, 40);
});

test("the live page moves within a second of a call", async () => {
  const app = server.createApp("live");
  const site = await siteOf(app, { pageViews: true });
  const live = await open(browser, server, app, "/");
  await live.page.getByText("No events in the last 30 minutes").waitFor();
  await visit(await browser.newContext(), site.url);
  const active = (figure: string) => live.page.locator('[data-figure="Active users now"]', { hasText: figure });
  await active("1").waitFor({ timeout: 5_000 });
  const second = await visit(await browser.newContext(), site.url);
  await active("2").waitFor({ timeout: 5_000 });
  const events = live.page.getByRole("region", { name: "Top events" });
  const took: number[] = [];
  for (const name of ["search", "product_view", "add_to_cart", "checkout", "purchase"]) {
    const started = Date.now();
    await second.evaluate((name) => { (window as unknown as { throng: Sdk }).throng.track(name, { price: 19.5 }); }, name);
    await events.getByText(name, { exact: true }).waitFor({ timeout: 5_000 });
    took.push(Date.now() - started);
  }
  console.log(`from the call to the live page: ${took.join(", ")} ms`);
  const median = took.sort((a, b) => a - b)[2];
  expect(median, "milliseconds from the call to the screen").toBeLessThan(1_000);
});

test("whoever opts out sends nothing more, whatever happens", async () => {
  const app = server.createApp("opt-out");
  const site = await siteOf(app, { pageViews: true });
  const context = await browser.newContext();
  const page = await visit(context, site.url);
  await allSent(page);
  let requests = 0;
  context.on("request", (request) => {
    if (request.url().endsWith("/events/batch")) requests += 1;
  });
  await sdk(page, (throng) => { throng.optOut(); });
  await trackMany(page, 0, 30);
  await page.goto(`${site.url}/next`);
  await loaded(page);
  await trackMany(page, 30, 60);
  await page.goto("about:blank");
  await page.waitForTimeout(500);
  expect(requests).toBe(0);
  const back = await visit(context, site.url);
  await sdk(back, (throng) => { throng.optIn(); });
  await trackMany(back, 0, 3);
  await allSent(back);
  await expectExactly(app, 3);
});

test("cookieless visitors leave nothing behind and are still one person a day and browser, also after a restart", async () => {
  const app = server.createApp("cookieless");
  const site = await siteOf(app, { cookieless: true, pageViews: true });
  const kept: unknown[] = [];
  for (const userAgent of ["Mozilla/5.0 one", "Mozilla/5.0 one", "Mozilla/5.0 two", "restart", "Mozilla/5.0 one"]) {
    if (userAgent === "restart") {
      await server.halt();
      await server.run();
      continue;
    }
    const context = await browser.newContext({ userAgent });
    const page = await visit(context, site.url);
    // A request that outlives its page would have the browser's own user agent, not the one that is played here.
    await allSent(page);
    await page.goto(`${site.url}/second`);
    await loaded(page);
    await allSent(page);
    kept.push(await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]), await context.cookies());
  }
  expect(kept).toEqual([[0, 0, ""], [], [0, 0, ""], [], [0, 0, ""], [], [0, 0, ""], []]);
  await expect.poll(() => count(app), { timeout: 5_000 }).toBe(8);
  expect(await ask(app, "SELECT count(DISTINCT person), count(DISTINCT anonymous_id), min(substr(anonymous_id, 1, 6)) FROM events")).toEqual([2, 2, "daily-"]);
});

test("who signs in was that user before", async () => {
  const app = server.createApp("identify");
  const site = await siteOf(app, { pageViews: true });
  const page = await visit(await browser.newContext(), `${site.url}/?utm_source=news`);
  await sdk(page, (throng) => { throng.identify("U1", { plan: "pro" }); });
  await sdk(page, (throng) => { throng.track("purchase", { price: 5 }); });
  await allSent(page);
  expect(await ask(app, "SELECT count(*), count(DISTINCT person), min(person) FROM events")).toEqual([3, 1, "U1"]);
  const pro = [{ property: "user.plan", op: "eq", value: "pro" }, { property: "utm_source", op: "eq", value: "news" }];
  expect(await count(app, { event: "purchase", filters: pro })).toBe(1);
});

test("the example shop tells its funnel", async () => {
  const app = server.createApp("example");
  const site = await Site.start(() => "");
  sites.push(site);
  const page = await (await browser.newContext()).newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  await page.goto(`${site.url}/index.html`);
  await page.getByLabel("Address of Throng").fill(server.url);
  await page.getByLabel("Write key").fill(app.write_key);
  await page.getByRole("button", { name: "Open the shop" }).click();
  await page.getByRole("link", { name: /Morning mug/ }).click();
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Add to cart" }).click();
  await page.getByRole("button", { name: "Check out" }).click();
  await page.getByRole("button", { name: "Pay €19.50" }).click();
  await page.getByRole("heading", { name: "Thank you!" }).waitFor();
  await expect.poll(() => sdk(page, (throng) => throng.stats().queued), { timeout: 5_000 }).toBe(0);
  const steps = ["page_view", "product_view", "add_to_cart", "purchase"];
  expect(await Promise.all(steps.map((event) => count(app, { event })))).toEqual([5, 1, 1, 1]);
  expect(await ask(app, "SELECT count(DISTINCT person), count(DISTINCT session_id) FROM events")).toEqual([1, 1]);
  expect(complaints).toEqual([]);
});
