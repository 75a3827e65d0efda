import { readFileSync } from "node:fs";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { HOSTILE, expectOnlyText, launch, open } from "./browser.ts";
import { type App, Throng } from "./throng.ts";

let server: Throng;
let browser: Browser;
let app: App;
let adminKey: string;

const did = (user_id: string, name: string, minutesAgo: number, properties: object = {}) => ({ name, user_id, timestamp: Date.now() - minutesAgo * 60_000, properties });

/** Ten persons view, four of them buy. */
const EVENTS = [
  ...Array.from({ length: 10 }, (_, user) => did(`U${user}`, "page_view", 60, { country: user % 2 === 0 ? "DE" : HOSTILE, url: "/" })),
  ...Array.from({ length: 4 }, (_, user) => did(`U${user}`, "purchase", 50, { price: 5 })),
];

beforeAll(async () => {
  server = await Throng.start();
  browser = await launch();
  app = server.createApp("dashboards");
  adminKey = server.createKey(app, "admin");
  await server.send(app, EVENTS);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

const tile = (page: Page, name: string) => page.getByRole("article", { name, exact: true });
const at = (x: number, y: number, w: number, h: number) => ({ x, y, w, h });
const places = (page: Page) => page.locator(".board-cell").evaluateAll((cells) => cells.map((cell) => ["--x", "--y", "--w", "--h"].map((name) => Number((cell as HTMLElement).style.getPropertyValue(name))).join(" ")));

async function save(definition: object): Promise<void> {
  await server.saveInApp(app, adminKey, "dashboards", definition);
}

const counts = (title: string, place: object, request: object = {}) => ({ title, ...place, call: "query", request: { metric: "events", ...request }, view: "number", link: "/explore?metric=events&interval=" });

test("a funnel that was built by clicking changes on its dashboard within five seconds of new events", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/funnels");
  for (const [at, name] of ["page_view", "purchase"].entries()) {
    await page.getByRole("button", { name: "Step", exact: true }).click();
    // The picker of what was just added is open.
    await page.getByRole("listbox", { name: `Step ${at + 1}` }).waitFor();
    await page.getByRole("option", { name: new RegExp(`^${name}`) }).click();
  }
  await page.getByText("4 of 10 persons").waitFor();
  await page.getByRole("button", { name: "Add to dashboard" }).click();
  const form = page.getByRole("dialog", { name: "Add to dashboard" });
  expect(await form.getByLabel("Title", { exact: true }).inputValue()).toBe("page_view → purchase");
  await form.getByLabel("Name of the new dashboard").fill("Sales");
  await form.getByLabel("Admin key").fill(adminKey);
  await form.getByRole("button", { name: "Add", exact: true }).click();
  await form.getByRole("link", { name: "Sales" }).click();
  const funnel = tile(page, "page_view → purchase");
  await funnel.getByText("4 of 10 persons").waitFor();
  await page.locator('.dot[data-state="live"]').waitFor();

  await server.send(app, [did("U7", "purchase", 0)]);
  const sent = Date.now();
  await funnel.getByText("5 of 10 persons").waitFor();
  expect(Date.now() - sent).toBeLessThan(5_000);

  await funnel.hover();
  await funnel.getByRole("button", { name: /^More:/ }).click();
  await page.getByRole("menuitem", { name: "Open the question" }).click();
  await page.getByText("5 of 10 persons").waitFor();
  expect(new URL(page.url()).pathname).toBe("/funnels");
  expect(complaints).toEqual([]);
  await context.close();
});

test("tiles are dragged, resized, moved by keys and taken back, and a reload keeps what was saved", async () => {
  await save({ id: "arrange", name: "Arrange", tiles: [counts("First", at(0, 0, 6, 2)), counts("Second", at(6, 0, 6, 2)), { ...at(0, 2, 12, 1), text: HOSTILE }] });
  const { context, page, complaints } = await open(browser, server, app, "/dashboards?id=arrange&edit=1");
  await tile(page, "First").getByText("15", { exact: true }).waitFor();
  const begin = ["1 1 6 2", "7 1 6 2", "1 3 12 1"];
  expect(await places(page)).toEqual(begin);

  const [first, second] = [await tile(page, "First").boundingBox(), await tile(page, "Second").boundingBox()];
  if (first === null || second === null) throw new Error("the tiles are on the page");
  await page.mouse.move(first.x + 100, first.y + 16);
  await page.mouse.down();
  await page.mouse.move(second.x + 100, second.y + 16, { steps: 8 });
  await page.mouse.up();
  expect(await places(page)).toEqual(["7 1 6 2", "7 3 6 2", "1 3 12 1"].map((place, one) => (one === 2 ? "1 5 12 1" : place)));
  await page.getByRole("button", { name: "Undo" }).click();
  expect(await places(page)).toEqual(begin);
  await page.keyboard.press("Control+Shift+z");
  expect((await places(page))[0]).toBe("7 1 6 2");
  await page.keyboard.press("Control+z");

  const corner = await tile(page, "Second").locator(".tile-corner").boundingBox();
  if (corner === null) throw new Error("the corner is on the page");
  await page.mouse.move(corner.x + 8, corner.y + 8);
  await page.mouse.down();
  await page.mouse.move(corner.x - 190, corner.y + 88, { steps: 8 });
  await page.mouse.up();
  expect((await places(page))[1]).toMatch(/^7 1 4 3$/);

  await page.getByRole("button", { name: /^Arrange First/ }).focus();
  await page.keyboard.press("Shift+ArrowDown");
  await page.keyboard.press("Shift+ArrowLeft");
  expect((await places(page))[0]).toBe("1 1 5 3");
  await page.getByText("Column 1, row 1, 5 wide, 3 high").waitFor({ state: "attached" });
  const arranged = await places(page);

  await page.reload();
  await tile(page, "First").getByText("15", { exact: true }).waitFor();
  expect(await places(page), "a draft outlives a reload").toEqual(arranged);
  await page.getByLabel("Admin key").fill(adminKey);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("button", { name: "Edit", exact: true }).waitFor();
  await page.reload();
  await tile(page, "First").getByText("15", { exact: true }).waitFor();
  expect(await places(page)).toEqual(arranged);
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("a tile that fails says why, and the others go on", async () => {
  const wrong = { title: "Wrong", ...at(0, 0, 6, 3), call: "sql", request: { sql: "SELECT nothing FROM events" } };
  await save({ id: "failing", name: "Failing", tiles: [wrong, counts("Good", at(6, 0, 3, 2))] });
  const { context, page, complaints } = await open(browser, server, app, "/dashboards?id=failing");
  await tile(page, "Good").getByText("15", { exact: true }).waitFor();
  await tile(page, "Wrong").getByRole("alert").getByText(/nothing/).first().waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test("range and filters of the whole dashboard are chosen without saving, and are in the address", async () => {
  await save({ id: "scope", name: "Scope", range: "7d", tiles: [counts("Views", at(0, 0, 4, 2), { event: "page_view" })] });
  const { context, page, complaints } = await open(browser, server, app, "/dashboards?id=scope");
  await tile(page, "Views").getByText("10", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Filter", exact: true }).click();
  await page.getByRole("option", { name: /^country/ }).click();
  await page.getByRole("button", { name: "Values: a value" }).click();
  await page.getByRole("option", { name: "DE" }).click();
  await tile(page, "Views").getByText("5", { exact: true }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Range: last 7 days" }).click();
  await page.getByRole("option", { name: "last 30 minutes" }).click();
  await tile(page, "Views").getByText("0", { exact: true }).waitFor();
  expect(new URL(page.url()).searchParams.get("range")).toBe("30m");
  await page.getByRole("button", { name: "As saved" }).click();
  await tile(page, "Views").getByText("10", { exact: true }).waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test("a template becomes a dashboard, which is exported, shown on a wall and deleted", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/dashboards");
  await page.getByRole("button", { name: "New dashboard" }).first().click();
  const form = page.getByRole("dialog", { name: "New dashboard" });
  await form.getByLabel("Web overview").check();
  await form.getByLabel("Admin key").fill(adminKey);
  await form.getByRole("button", { name: "Make it" }).click();
  await tile(page, "Visitors").getByText("10", { exact: true }).waitFor();
  await tile(page, "Visitors a day").locator("canvas").waitFor();
  await expectOnlyText(page);

  await page.getByRole("button", { name: "More of this dashboard" }).click();
  const exported = page.waitForEvent("download");
  await page.getByRole("menuitem", { name: "Export as JSON" }).click();
  const content = JSON.parse(readFileSync(await (await exported).path(), "utf8")) as { name: string; tiles: unknown[] };
  expect([content.name, content.tiles.length]).toEqual(["Web overview", 11]);

  await tile(page, "Countries").hover();
  for (const [item, ending] of [["Download CSV", ".csv"], ["Download PNG", ".png"]] as const) {
    await tile(page, "Countries").getByRole("button", { name: "More: Countries" }).click();
    const downloaded = page.waitForEvent("download");
    await page.getByRole("menuitem", { name: item }).click();
    expect((await downloaded).suggestedFilename()).toBe(`Countries${ending}`);
  }

  await page.getByRole("button", { name: "More of this dashboard" }).click();
  await page.getByRole("menuitem", { name: "Show on a wall" }).click();
  await page.locator(".wall").waitFor();
  expect(await page.getByRole("navigation").count()).toBe(0);
  await page.keyboard.press("Escape");
  await page.getByRole("navigation").first().waitFor();

  await page.getByRole("button", { name: "More of this dashboard" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByRole("heading", { name: "Dashboards" }).waitFor();
  await expect.poll(() => page.getByRole("link", { name: /^Web overview/ }).count()).toBe(0);
  expect(complaints).toEqual([]);
  await context.close();
});

test("what happened is marked on charts, and a text is only text", async () => {
  await save({ id: "marks", name: "Marks", tiles: [{ title: "Views", ...at(0, 0, 6, 4), call: "query", request: { metric: "events", interval: "day", range: "7d" }, view: "lines" }] });
  const { context, page, complaints } = await open(browser, server, app, "/dashboards?id=marks&edit=1");
  await page.getByRole("button", { name: "Marks" }).click();
  await page.getByLabel("Day of the mark").fill(new Date().toISOString().slice(0, 10));
  await page.getByLabel("What happened").fill(HOSTILE);
  await page.getByRole("dialog").getByRole("button", { name: "Add", exact: true }).click();
  await page.getByRole("button", { name: /^Remove the mark/ }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Add text" }).click();
  const text = page.getByRole("dialog", { name: "Text" });
  await text.getByLabel("Text", { exact: true }).fill(HOSTILE);
  await text.getByRole("button", { name: "Done" }).click();
  await page.getByLabel("Admin key").fill(adminKey);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("button", { name: "Edit", exact: true }).waitFor();
  await page.getByText(HOSTILE).waitFor();
  await tile(page, "Views").locator("canvas").waitFor();
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("fifty tiles are answered and stay quick", async () => {
  const tiles = Array.from({ length: 50 }, (_, one) => ({ title: `Tile ${one}`, ...at((one % 4) * 3, Math.floor(one / 4) * 3, 3, 3), call: "query", request: { metric: "events", interval: "hour", range: "7d", limit: one + 1 }, view: "lines" }));
  await save({ id: "fifty", name: "Fifty", tiles });
  const { context, page, complaints } = await open(browser, server, app, "/dashboards?id=fifty&edit=1");
  await tile(page, "Tile 0").locator("canvas").waitFor();
  const name = page.getByLabel("Name", { exact: true });
  await name.fill("");
  const started = Date.now();
  await name.pressSequentially("Fifty tiles");
  expect((Date.now() - started) / 11, "milliseconds a letter").toBeLessThan(120);
  await tile(page, "Tile 49").scrollIntoViewIfNeeded();
  await tile(page, "Tile 49").locator("canvas").waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test("a lost server and a deleted dashboard are told", async () => {
  await save({ id: "gone", name: "Gone", tiles: [counts("Events", at(0, 0, 3, 2))] });
  const { context, page } = await open(browser, server, app, "/dashboards?id=gone");
  await tile(page, "Events").getByText("15", { exact: true }).waitFor();
  await server.halt();
  await page.locator('.dot[data-state="stale"]').waitFor();
  await tile(page, "Events").getByText("15", { exact: true }).waitFor();
  await server.run();
  await page.locator('.dot[data-state="live"]').waitFor({ timeout: 30_000 });
  await server.deleteInApp(app, adminKey, "dashboards/gone");
  await page.getByText("This dashboard is not there").waitFor();
  await context.close();
});
