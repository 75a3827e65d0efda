import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { HOSTILE, expectOnlyText, launch, open } from "./browser.ts";
import { type App, Throng } from "./throng.ts";

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

const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString();

/** Three good events, one of them twice, three bad ones, and a name of the day before. */
async function send(app: App): Promise<void> {
  const signup = { name: "signup", user_id: "U1", insert_id: "once", properties: { plan: "pro", price: 9.5 } };
  await server.send(app, [
    signup,
    signup,
    { name: "signup", user_id: "U2", properties: { plan: 7, page: HOSTILE } },
    { name: HOSTILE, user_id: "U2", properties: { plan: "free" } },
    { name: "retired", user_id: "U3", timestamp: hoursAgo(30) },
    { name: HOSTILE, user_id: 5 },
    { name: "signup", user_id: "undefined", timestamp: hoursAgo(1) },
    { user_id: "U4", properties: { note: "it's" } },
  ]);
}

const figures = (page: Page) => page.getByRole("group", { name: "Where received events went" }).locator("strong").allTextContents();
const list = (page: Page, name: string) => page.getByRole("region", { name, exact: true });

async function openWithEvents(name: string, path: string) {
  const app = server.createApp(name);
  await send(app);
  const opened = await open(browser, server, app, path);
  await expect.poll(() => figures(opened.page), { timeout: 15_000 }).toEqual(["8", "4", "1", "3"]);
  return { app, ...opened };
}

test("the ledger adds up and tells when the last event came in", async () => {
  const { context, page, complaints } = await openWithEvents("ledger", "/data");
  expect((await page.getByRole("group", { name: "Where received events went" }).innerText()).replace(/[^=+]/g, "")).toBe("=++");
  await page.getByText("The last event came in within the last two minutes.").waitFor();
  await list(page, "Ledger").locator(".chart canvas").waitFor();
  await page.getByText("Last hour", { exact: true }).click();
  await expect.poll(() => new URL(page.url()).searchParams.get("range")).toBe("1h");
  await expect.poll(() => figures(page)).toEqual(["8", "4", "1", "3"]);
  await page.reload();
  await expect.poll(() => figures(page)).toEqual(["8", "4", "1", "3"]);
  expect(complaints).toEqual([]);
  await context.close();
});

test("names are searched, marked, opened with their properties, and lead to Explore", async () => {
  const { context, page, complaints } = await openWithEvents("names", "/data");
  const rows = list(page, "Events").locator("tbody tr");
  await expect.poll(() => rows.count()).toBe(3);
  expect(await rows.filter({ hasText: "signup" }).locator(".data-mark").allTextContents()).toEqual(["New"]);
  expect(await rows.filter({ hasText: "retired" }).locator(".data-mark").allTextContents()).toEqual(["Gone quiet"]);
  await page.getByText("Gone quiet 1", { exact: true }).click();
  await expect.poll(() => rows.count()).toBe(1);
  await page.goBack();
  await page.getByRole("searchbox", { name: "Search event names" }).fill("SIGN");
  await expect.poll(() => rows.count()).toBe(1);
  expect(new URL(page.url()).searchParams.get("find")).toBe("SIGN");
  await page.getByRole("button", { name: "signup", exact: true }).press("Enter");
  const details = page.getByRole("dialog", { name: "signup" });
  const plan = details.getByRole("listitem").filter({ hasText: "plan" });
  await plan.getByText("Mixed").waitFor();
  expect(await plan.locator("code").allTextContents()).toEqual(expect.arrayContaining(["pro", "7"]));
  await page.keyboard.press("Escape");
  await details.waitFor({ state: "detached" });
  await page.getByRole("link", { name: "Explore signup" }).click();
  await page.waitForURL(/\/explore\?.*event=signup/);
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("properties have types, counts and samples", async () => {
  const { context, page, complaints } = await openWithEvents("properties", "/data?side=properties");
  const plan = list(page, "Properties").locator("tbody tr").filter({ hasText: "plan" });
  await plan.locator("td").first().getByText("Mixed").waitFor();
  expect(await plan.locator("td").nth(1).textContent()).toBe("3");
  await plan.getByRole("button", { name: "plan" }).click();
  await page.getByRole("dialog", { name: "plan" }).getByText("free", { exact: true }).waitFor();
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("refused events say why, which field, and how to send them again", async () => {
  const { context, page, complaints } = await openWithEvents("refused", "/data");
  await page.getByRole("link", { name: "Rejected 3" }).click();
  const codes = list(page, "Rejected").locator(".data-code");
  await expect.poll(() => codes.locator("button code").allTextContents()).toEqual(["invalid_type", "missing_name", "placeholder_id"]);
  await page.getByRole("button", { name: /^invalid_type/ }).press("Enter");
  const example = page.getByRole("list", { name: "Examples of invalid_type, newest first" });
  await example.getByText("user_id must be a string, not a number").waitFor();
  expect((await example.locator("mark").allTextContents()).map((text) => text.trim())).toEqual(['"user_id": 5']);
  await page.getByRole("button", { name: /^missing_name/ }).click();
  expect(new URL(page.url()).searchParams.get("open")).toBe("missing_name");
  await page.reload();
  await page.getByText("Send it again, corrected").click();
  const command = await page.getByLabel("A command that sends the event, to be corrected").innerText();
  expect(command).toContain(`/api/v1/events/batch`);
  expect(command).toContain(`"note": "it'\\''s"`);
  expect(command).toMatch(/"timestamp": "\d{4}-/);
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("without an event it says what to send, and shows the first as it comes", async () => {
  const app = server.createApp("empty");
  const { context, page, complaints } = await open(browser, server, app, "/data?range=1h");
  await page.getByText("No events yet").waitFor();
  expect(await page.getByLabel("A command that sends one event").innerText()).toContain("/api/v1/events/batch");
  await server.send(app, [{ name: "first", user_id: "U1" }]);
  await expect.poll(() => figures(page), { timeout: 20_000 }).toEqual(["1", "1", "0", "0"]);
  await page.getByRole("link", { name: "Rejected" }).click();
  await page.getByText("Nothing was rejected").waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test("a key that is not known is said so", async () => {
  const app = server.createApp("refused-key");
  const { context, page } = await open(browser, server, { ...app, read_key: "rk_nobody" }, "/data");
  await page.getByRole("alert").getByText("This key is not known").waitFor();
  await context.close();
});
