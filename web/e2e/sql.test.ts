import { readFileSync } from "node:fs";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { HOSTILE, expectOnlyText, launch, open } from "./browser.ts";
import { type App, Throng } from "./throng.ts";

let server: Throng;
let browser: Browser;
let app: App;

beforeAll(async () => {
  server = await Throng.start();
  browser = await launch();
  app = server.createApp("sql");
  const plans = ["free", "free", "pro", HOSTILE];
  await server.send(app, plans.map((plan, user) => ({ name: "signup", user_id: `U${user}`, properties: { plan, price: user + 0.5 } })));
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

const STATEMENT = "SELECT properties['plan'] AS plan, count(*) AS n, CAST(NULL AS TEXT) AS nothing FROM events GROUP BY plan ORDER BY n DESC, plan";
const rows = (page: Page) => page.getByRole("region", { name: "Rows" }).getByRole("row").allTextContents();
const area = (page: Page) => page.getByRole("textbox", { name: "SQL" });

test("a statement is run from the keyboard, kept in the address and the history, shown and saved", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/sql");
  await page.getByText("Nothing asked yet").waitFor();
  await area(page).fill(STATEMENT);
  await page.keyboard.press("Control+Enter");
  await page.getByRole("region", { name: "Rows" }).waitFor();
  expect((await rows(page)).slice(1)).toEqual(["free2NULL", `${HOSTILE}1NULL`, "pro1NULL"]);
  expect(new URL(page.url()).searchParams.get("q")).toBe(STATEMENT);
  await page.getByRole("region", { name: "History" }).getByText("SELECT properties").waitFor();
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download CSV" }).click()]);
  expect(readFileSync(await file.path(), "utf8")).toBe(`plan,n,nothing\r\nfree,2,\r\n"${HOSTILE.replaceAll('"', '""')}",1,\r\npro,1,\r\n`);
  await page.getByText("Chart", { exact: true }).click();
  await page.locator(".chart canvas").waitFor();
  await page.reload();
  await page.locator(".chart canvas").waitFor();
  expect(await area(page).inputValue()).toBe(STATEMENT);
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("Tab indents, Escape lets it leave, undo takes it back", async () => {
  const { context, page } = await open(browser, server, app, "/sql");
  await area(page).fill("SELECT 1");
  await page.keyboard.press("Home");
  await page.keyboard.press("Tab");
  expect(await area(page).inputValue()).toBe("  SELECT 1");
  await page.keyboard.press("Shift+Tab");
  expect(await area(page).inputValue()).toBe("SELECT 1");
  await page.keyboard.press("Control+z");
  expect(await area(page).inputValue()).toBe("  SELECT 1");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Tab");
  expect(await area(page).evaluate((element) => element === document.activeElement)).toBe(false);
  await context.close();
});

test("a statement that cannot be read shows where", async () => {
  const { context, page } = await open(browser, server, app, `/sql?q=${encodeURIComponent("SELECT event\nFROM events\nWHERE event = = 1")}`);
  await page.getByRole("alert").locator("mark", { hasText: "= 1" }).waitFor();
  await page.getByRole("button", { name: "Go there" }).click();
  expect(await area(page).evaluate((element) => (element as HTMLTextAreaElement).selectionStart)).toBe("SELECT event\nFROM events\nWHERE event = ".length);
  await page.getByRole("region", { name: "Examples" }).getByRole("button", { name: "Events and persons by name" }).click();
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByRole("cell", { name: "signup" }).waitFor();
  await page.goBack();
  await page.getByRole("alert").locator("mark").waitFor();
  await context.close();
});
