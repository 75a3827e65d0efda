import { type Browser, type BrowserContext, type Page, chromium } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { type App, Throng } from "./throng.ts";

const HOSTILE = "<img src=x onerror=\"document.title='run'\">";
const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

let server: Throng;
let browser: Browser;
let app: App;

beforeAll(async () => {
  server = await Throng.start();
  app = server.createApp("web");
  browser = await chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ARGUMENTS });
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** Opens a page as a person who was given the link, and collects what the browser complains about. */
async function open(path: string, width: number, height = 900): Promise<{ context: BrowserContext; page: Page; complaints: string[] }> {
  const context = await browser.newContext({ viewport: { width, height } });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.text().includes("Content Security Policy")) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  const response = await page.goto(`${server.url}${path}#app=${app.app_id}&key=${app.read_key}`);
  expect(response?.headers()["content-security-policy"]).toContain("default-src 'self'");
  return { context, page, complaints };
}

test("numbers move as events arrive, and hostile names stay text", async () => {
  const { context, page, complaints } = await open("/", 1280);
  await page.getByText("No events in the last 30 minutes").waitFor();
  expect(page.url(), "the key does not stay in the address").not.toContain("rk_");

  await server.send(app, [
    { name: "page_view", user_id: "U1", properties: { url: "/home" } },
    { name: "page_view", user_id: "U2", properties: { url: HOSTILE } },
    { name: "purchase", user_id: "U1" },
    { name: HOSTILE, user_id: "U3" },
  ]);
  await page.locator('[data-figure="Active users"]', { hasText: "3" }).waitFor({ timeout: 5_000 });
  await page.locator('[data-figure="Conversion"]', { hasText: "50.0 %" }).waitFor();
  await server.send(app, [{ name: "page_view", user_id: "U4", properties: { url: "/home" } }]);
  await page.locator('[data-figure="Active users"]', { hasText: "4" }).waitFor({ timeout: 5_000 });

  const events = page.getByRole("region", { name: "Top events" });
  expect(await events.getByRole("listitem").first().textContent()).toBe("page_view3");
  expect(await events.getByText(HOSTILE, { exact: true }).count()).toBe(1);
  expect(await page.getByRole("region", { name: "Top pages" }).getByText(HOSTILE, { exact: true }).count()).toBe(1);
  expect(await page.locator("img[src=x]").count()).toBe(0);
  expect(await page.title()).toBe("Throng");
  expect(complaints).toEqual([]);
  await context.close();
});

test("a question is edited, answered, and kept in the address", async () => {
  await server.send(app, [{ name: "signup", user_id: "U1", properties: { plan: HOSTILE } }]);
  const { context, page, complaints } = await open("/explore?by=plan&event=signup&interval=&range=24h", 1280);
  await page.getByRole("cell", { name: HOSTILE }).waitFor({ timeout: 10_000 });
  await page.locator(".chart svg").waitFor();
  await page.getByRole("combobox", { name: "Metric" }).click();
  await page.getByRole("option", { name: "Unique users" }).click();
  await page.getByRole("columnheader", { name: "unique_users" }).waitFor();
  expect(page.url()).toContain("metric=unique_users");
  await page.reload();
  await page.getByRole("columnheader", { name: "unique_users" }).waitFor();
  expect(await page.locator("img[src=x]").count()).toBe(0);
  expect(complaints).toEqual([]);
  await context.close();
});

test("nothing scrolls sideways on a phone", async () => {
  for (const path of ["/", "/explore"]) {
    const { context, page } = await open(path, 390, 844);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.waitForTimeout(500);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    await context.close();
  }
});

test("a refused key is told, with the way out", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${server.url}/#app=${app.app_id}&key=${app.write_key}`);
  await page.getByRole("button", { name: "Use another key" }).click();
  await page.getByRole("heading", { name: "Open an app" }).waitFor();
  await context.close();
});
