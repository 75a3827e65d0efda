import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { HOSTILE, expectOnlyText, launch, open } from "./browser.ts";
import { type App, Throng } from "./throng.ts";

let server: Throng;
let browser: Browser;
let app: App;

const MINUTE = 60_000;

beforeAll(async () => {
  server = await Throng.start();
  browser = await launch();
  app = server.createApp("persons");
  const yesterday = Date.now() - 24 * 60 * MINUTE;
  const walk = (user_id: string, start: number, steps: string[]) => steps.map((name, at) => ({ name, user_id, timestamp: new Date(start + at * MINUTE).toISOString(), properties: { url: `/${name}`, country: user_id === "A" ? HOSTILE : "DE" } }));
  await server.send(app, [
    ...walk("A", yesterday, ["home", "search", "item", "buy"]),
    ...walk("B", yesterday, ["home", "search", HOSTILE]),
    ...walk("C", yesterday, ["home"]),
    ...walk("A", Date.now() - 5 * MINUTE, ["home", "buy"]),
  ]);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

const figure = (page: Page, name: string, text: string) => page.locator(`[data-figure="${name}"]`, { hasText: text });

test("paths: a step is a button that starts anew from it, and the address keeps it", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/paths?range=7d");
  const flow = page.getByRole("group", { name: "Steps of paths" });
  await flow.getByRole("button", { name: /^home 4 · 100.0% of all paths, 1 ended here/ }).waitFor();
  expect(await page.getByRole("table", { name: "Most frequent paths" }).getByRole("row").count()).toBe(5);
  await flow.getByRole("button", { name: /^search 2 · / }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("menuitem", { name: "Paths that start here" }).focus();
  await page.keyboard.press("Enter");
  await flow.getByRole("button", { name: /^search 2 · 100.0% of all paths/ }).waitFor();
  await flow.getByText("Start", { exact: true }).waitFor();
  expect(new URL(page.url()).searchParams.get("start")).toBe("search");
  await page.getByText("the first matching event and up to 4 steps after it").waitFor();
  await page.reload();
  await flow.getByText(HOSTILE).first().waitFor();
  await page.goBack();
  await flow.getByRole("button", { name: /^home 4 · / }).waitFor();
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("sessions: a figure is drawn when it is chosen; pages, lengths and groups stand below", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/sessions?range=7d");
  await figure(page, "Sessions", "4").waitFor();
  await figure(page, "Bounce rate", "25.0%").waitFor();
  await page.locator(".chart canvas").waitFor();
  await page.getByRole("button", { name: /^Bounce rate/ }).click();
  await page.getByRole("heading", { name: "Bounce rate" }).waitFor();
  expect(page.url()).toContain("measure=bounce_rate");
  expect(await page.getByRole("table", { name: "First pages" }).getByRole("row").allTextContents()).toEqual(["PageSessionsShareBounced", "/home4100.0%25.0%"]);
  await page.getByRole("button", { name: "Split" }).click();
  await page.getByRole("table", { name: "Sessions by country" }).getByRole("rowheader", { name: HOSTILE }).waitFor();
  await page.getByRole("link", { name: "Active users" }).click();
  await figure(page, "Monthly active", "3").waitFor();
  await page.getByRole("table", { name: "Active persons by country" }).getByRole("rowheader", { name: HOSTILE }).waitFor();
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("lifecycle and stickiness say who came back and on how many days", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/lifecycle?range=7d");
  await page.locator(".chart canvas").waitFor();
  await figure(page, "New", "3").waitFor();
  await page.getByRole("region", { name: "Table" }).getByText("not over").waitFor();
  await page.getByRole("link", { name: "Stickiness" }).click();
  const table = page.getByRole("table", { name: "Persons by active days" });
  await table.waitFor();
  expect((await table.getByRole("row").allTextContents()).slice(1, 3)).toEqual(["1 day266.7%100.0%", "2 days133.3%33.3%"]);
  expect(complaints).toEqual([]);
  await context.close();
});

test("a cohort is built, counted, saved with an admin key, used as a filter and as a group, changed and deleted", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/cohorts");
  await page.getByText("No cohorts yet").first().waitFor();
  await page.getByRole("link", { name: "New rule" }).click();
  await figure(page, "Size", "3").waitFor();
  await page.getByRole("button", { name: /^Events:/ }).click();
  await page.getByRole("option", { name: /^buy/ }).click();
  await page.keyboard.press("Escape");
  await figure(page, "Size", "1").waitFor();
  await page.getByLabel("Name").fill(HOSTILE);
  await page.getByText("Who did buy in the last 30 days.").waitFor();
  await page.reload();
  await figure(page, "Size", "1").waitFor();
  await page.getByRole("textbox", { name: "Admin key" }).fill(app.read_key);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("this takes an admin key").waitFor();
  complaints.length = 0; // The browser tells of the refusal.
  await page.getByRole("textbox", { name: "Admin key" }).fill(server.createKey(app, "admin"));
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("region", { name: "Who is in it" }).getByText("A", { exact: true }).waitFor();
  const id = new URL(page.url()).searchParams.get("id") ?? "";
  await page.getByRole("link", { name: "Explore only these persons" }).click();
  await page.getByRole("button", { name: `Property: in cohort ${HOSTILE}` }).waitFor();
  await page.getByText("Exact").waitFor();
  await page.goto(`${server.url}/explore?metric=events&interval=&range=7d&by=${encodeURIComponent(`cohort:${id}`)}`);
  await page.getByRole("row", { name: "true 6" }).waitFor();

  await page.goto(`${server.url}/cohorts?id=${id}`);
  await page.getByRole("link", { name: "Edit" }).click();
  await page.getByRole("spinbutton", { name: "Times" }).fill("5");
  await figure(page, "Size", "0").waitFor();
  await page.getByRole("textbox", { name: "Admin key" }).fill(server.createKey(app, "admin"));
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Nobody now.").waitFor();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("form", { name: `Delete ${HOSTILE}` }).getByRole("button", { name: "Delete" }).click();
  await page.getByText("No cohorts yet").first().waitFor();
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("a list of pasted ids says how many of them are known", async () => {
  const { context, page } = await open(browser, server, app, "/cohorts?new=list");
  await page.getByLabel("Ids of persons").fill("A\nB\nnobody\nA");
  await page.getByText("3 of at most 10,000").waitFor();
  await figure(page, "Size", "2").waitFor();
  await page.getByText("of 3 ids have a stored event").waitFor();
  await context.close();
});
