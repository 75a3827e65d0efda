import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { HOSTILE, expectOnlyText, launch, open } from "./browser.ts";
import { Throng } from "./throng.ts";

let server: Throng;
let browser: Browser;

beforeAll(async () => {
  server = await Throng.start();
  browser = await launch();
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

const figure = (page: Page, name: string, text: string) => page.locator(`[data-figure="${name}"]`, { hasText: text });
const pageView = (user_id: string, url: string) => ({ name: "page_view", user_id, properties: { url } });

test("numbers move as events arrive, and hostile names stay text", async () => {
  const app = server.createApp("live");
  const { context, page, complaints } = await open(browser, server, app, "/");
  await page.getByText("No events in the last 30 minutes").waitFor();
  await server.send(app, [pageView("U1", "/home"), pageView("U2", HOSTILE), { name: "purchase", user_id: "U1" }, { name: HOSTILE, user_id: "U3" }]);
  await figure(page, "Active users now", "3").waitFor({ timeout: 5_000 });
  await figure(page, "Active sessions", "3").waitFor();
  await figure(page, "Conversion", "50.0%").waitFor();
  const started = Date.now();
  await server.send(app, [pageView("U4", "/home")]);
  await figure(page, "Active users now", "4").waitFor({ timeout: 5_000 });
  expect(Date.now() - started, "milliseconds from sending to the screen").toBeLessThan(2_000);
  await figure(page, "Events per second", "0.5").waitFor({ timeout: 12_000 });

  const events = page.getByRole("region", { name: "Top events" });
  expect(await events.getByRole("listitem").first().textContent()).toBe("page_view3");
  expect(await events.getByText(HOSTILE, { exact: true }).count()).toBe(1);
  expect(await page.getByRole("region", { name: "Top pages" }).getByText(HOSTILE, { exact: true }).count()).toBe(1);
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("the conversion lies between any two events, and the address keeps them", async () => {
  const app = server.createApp("conversion");
  await server.send(app, [{ name: "signup", user_id: "A" }, { name: HOSTILE, user_id: "A" }, pageView("A", "/"), pageView("B", "/")]);
  const { context, page, complaints } = await open(browser, server, app, "/?from=page_view&to=signup");
  await figure(page, "Conversion", "50.0%").waitFor();
  await page.getByRole("button", { name: /^Conversion from/ }).click();
  await page.getByRole("option", { name: HOSTILE }).click();
  await figure(page, "Conversion", "100.0%").waitFor();
  expect(new URL(page.url()).searchParams.get("from")).toBe(HOSTILE);
  await page.goBack();
  await figure(page, "Conversion", "50.0%").waitFor();
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("nothing shifts while numbers move and places change", async () => {
  const app = server.createApp("still");
  await server.send(app, [pageView("A", "/first"), pageView("B", "/first"), pageView("C", "/second")]);
  const { context, page } = await open(browser, server, app, "/");
  const pages = page.getByRole("region", { name: "Top pages" }).getByRole("listitem");
  await pages.first().filter({ hasText: "/first" }).waitFor();
  await page.evaluate(() => {
    const shifts: number[] = [];
    Object.assign(window, { shifts });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) shifts.push((entry as PerformanceEntry & { value: number }).value);
    }).observe({ type: "layout-shift" });
  });
  await server.send(app, Array.from({ length: 300 }, (_, user) => pageView(`U${user}`, user % 3 === 0 ? "/third" : "/second")));
  await pages.first().filter({ hasText: "/second" }).waitFor();
  expect(await pages.allTextContents()).toEqual(["/second201", "/third100", "/first2"]);
  await page.waitForTimeout(400);
  const total = await page.evaluate(() => (window as Window & { shifts?: number[] }).shifts?.reduce((sum, shift) => sum + shift, 0));
  expect(total).toBeLessThan(0.001);
  await context.close();
});

test("a hidden tab hangs up, and follows again when it is seen", async () => {
  const app = server.createApp("hidden");
  await server.send(app, [pageView("A", "/")]);
  const { context, page } = await open(browser, server, app, "/");
  await figure(page, "Active users now", "1").waitFor();
  expect(await server.metric("throng_api_live_streams")).toBe(1);
  const hide = (hidden: boolean) =>
    page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  await hide(true);
  await expect.poll(() => server.metric("throng_api_live_streams"), { timeout: 5_000 }).toBe(0);
  await server.send(app, [pageView("B", "/")]);
  await page.waitForTimeout(600);
  expect(await page.locator('[data-figure="Active users now"]').textContent()).toBe("1");
  await hide(false);
  await figure(page, "Active users now", "2").waitFor({ timeout: 5_000 });
  await context.close();
});

test("without a server the numbers stay, with their age, until it is back", async () => {
  const app = server.createApp("restart");
  await server.send(app, [pageView("A", "/")]);
  const { context, page } = await open(browser, server, app, "/");
  await figure(page, "Active users now", "1").waitFor();
  await server.halt();
  await page.getByText(/Reconnecting · \d+ s ago/).waitFor({ timeout: 10_000 });
  await figure(page, "Active users now", "1").waitFor();
  await server.run();
  await page.locator('.dot[data-state="live"]').waitFor({ timeout: 20_000 });
  await server.send(app, [pageView("B", "/")]);
  await figure(page, "Active users now", "2").waitFor({ timeout: 5_000 });
  await context.close();
});

test("a refused key is told, with the way out", async () => {
  const app = server.createApp("refused");
  for (const key of [app.write_key, "rk_unknown"]) {
    const { context, page } = await open(browser, server, { app_id: app.app_id, read_key: key }, "/");
    await page.getByRole("alert").waitFor();
    await page.getByRole("button", { name: "Use another key" }).click();
    await page.getByLabel("App id").fill(app.app_id);
    await page.getByRole("textbox", { name: "Read key" }).fill("rk_wrong");
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByText("this key is unknown").waitFor();
    await page.getByRole("textbox", { name: "Read key" }).fill(app.read_key);
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByText("No events in the last 30 minutes").waitFor();
    await page.reload();
    await page.getByText("No events in the last 30 minutes").waitFor();
    await context.close();
  }
});
