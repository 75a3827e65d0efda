import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { HOSTILE, expectOnlyText, launch, open } from "./browser.ts";
import { type App, Throng } from "./throng.ts";

let server: Throng;
let browser: Browser;
let app: App;

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const NOW = Date.now() - 10 * MINUTE;
const QUOTED = `o'hara ${HOSTILE}`;

beforeAll(async () => {
  server = await Throng.start();
  browser = await launch();
  app = server.createApp("people");
  const did = (name: string, ago: number, who: object, properties: object = {}) => ({ name, timestamp: new Date(NOW - ago).toISOString(), ...who, properties });
  await server.send(app, [
    did("landing", 4 * DAY, { anonymous_id: "d1" }, { url: "/", country: "FR" }),
    did("$identify", 4 * DAY - MINUTE, { user_id: "ann", anonymous_id: "d1" }, { $set: { plan: "free" } }),
    did("buy", DAY, { user_id: "ann", session_id: "s1" }, { price: 3, country: "DE" }),
    did(HOSTILE, DAY - 2 * MINUTE, { user_id: "ann", session_id: "s1" }, { note: HOSTILE }),
    did("$set", DAY - 3 * MINUTE, { user_id: "ann", session_id: "s1" }, { plan: "pro" }),
    did("landing", DAY, { user_id: "bob", anonymous_id: "d1" }),
    did("landing", 2 * DAY, { user_id: QUOTED }),
    ...Array.from({ length: 130 }, (_, at) => did("scroll", at * 1_000, { user_id: "busy" }, { at })),
  ]);
  await server.save(app, "cohorts", { id: "buyers", name: "Buyers", rule: { did: "buy" } });
  await server.save(app, "cohorts", { id: "others", name: "Others", rule: { did_not: "buy" } });
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

const figure = (page: Page, name: string, text: string) => page.locator(`[data-figure="${name}"]`, { hasText: text });
const listed = async (page: Page) => (await page.getByRole("table", { name: "Persons" }).getByRole("rowheader").getByRole("link").allTextContents()).map((text) => text.trim());

test("persons are listed by when they were seen last, and found by the beginning of any id", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/people");
  await page.getByText("All 4 persons").waitFor();
  expect(await listed(page)).toEqual(["busy", "ann", "bob", QUOTED]);
  await page.getByRole("searchbox", { name: "User id or anonymous id" }).fill("o'ha");
  await page.keyboard.press("Enter");
  await page.getByText("1 person, with an id").waitFor();
  expect(await listed(page)).toEqual([QUOTED]);
  expect(new URL(page.url()).search).toBe("?search=o%27ha");
  await page.getByRole("searchbox").fill("d1");
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await page.getByText("d1 is an id of").waitFor();
  await page.getByText("All 2 persons").waitFor();
  expect(await listed(page)).toEqual(["ann", "bob"]);
  await page.reload();
  await page.getByText("d1 is an id of").waitFor();
  await page.getByRole("searchbox").fill("zzz");
  await page.keyboard.press("Enter");
  await page.getByText("No id begins like this").waitFor();
  await page.goBack();
  await page.getByRole("table", { name: "Persons" }).getByRole("link", { name: "ann" }).click();
  await page.getByRole("heading", { name: "ann", exact: true }).waitFor();
  await page.getByRole("link", { name: "Back to the list" }).click();
  await page.getByText("d1 is an id of").waitFor();
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("a person under any id: sessions with gaps, events as text, properties, cohorts", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/people?id=d1");
  await page.getByText("d1 is an id of this person.").waitFor();
  await figure(page, "Events", "5").waitFor();
  await figure(page, "Sessions", "2").waitFor();
  const timeline = page.getByRole("region", { name: "Timeline" });
  await timeline.getByText("2 days later").waitFor();
  expect(await timeline.locator(".event-name").allTextContents()).toEqual(["$set", HOSTILE, "buy", "$identify", "landing"]);
  await timeline.getByText("3 min 0 s · 3 events · session s1").waitFor();
  await timeline.locator("summary", { hasText: HOSTILE }).focus();
  await page.keyboard.press("Enter");
  await timeline.locator("pre", { hasText: '"note": "<img' }).waitFor();
  await page.getByRole("region", { name: "Properties" }).getByText("pro", { exact: true }).waitFor();
  await page.getByRole("region", { name: "Seen last with" }).getByText("DE", { exact: true }).waitFor();
  await page.getByRole("region", { name: "Ids" }).getByText("d1", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Look which ones" }).click();
  await page.getByRole("list", { name: "Cohorts of this person" }).getByText("Buyers").waitFor();
  expect(await page.getByRole("list", { name: "Cohorts of this person" }).getByRole("listitem").allTextContents()).toEqual(["Buyers"]);
  await page.getByRole("button", { name: "Event: All events" }).click();
  await page.getByRole("option", { name: /^buy/ }).click();
  await timeline.getByText("1 of 3 events").waitFor();
  expect(new URL(page.url()).searchParams.get("event")).toBe("buy");
  await page.goBack();
  await timeline.getByText("2 days later").waitFor();
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("older events come page by page, and a reload keeps them", async () => {
  const { context, page } = await open(browser, server, app, "/people?id=busy");
  const rows = page.locator(".visit-events > li");
  await page.getByText("100 of 130 events").waitFor();
  expect(await rows.count()).toBe(100);
  await page.getByRole("button", { name: "Older events" }).click();
  await page.getByText("The first event that is stored").waitFor();
  expect(await rows.count()).toBe(130);
  await page.reload();
  await page.getByText("The first event that is stored").waitFor();
  expect(await rows.count()).toBe(130);
  await context.close();
});

test("from the persons of a funnel's step to one of them, with the reason, and back", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/funnels?step=landing&step=buy&range=7d&people=2-dropped");
  const drawer = page.getByRole("dialog", { name: "Lost before buy" });
  await drawer.getByText("bob", { exact: true }).click();
  await drawer.getByText("All events of this person").click();
  await page.getByRole("heading", { name: "bob", exact: true }).waitFor();
  await page.getByRole("region", { name: "In the funnel" }).getByText("not reached").waitFor();
  await page.getByRole("link", { name: "Back to the funnel" }).click();
  await drawer.getByText("bob", { exact: true }).waitFor();
  await page.goto(`${server.url}/cohorts?id=buyers`);
  await page.getByRole("region", { name: "Who is in it" }).getByRole("link", { name: "ann" }).click();
  await page.getByRole("link", { name: "Back to the cohort" }).waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test("nobody has the id: the page says why that may be", async () => {
  const { context, page } = await open(browser, server, app, `/people?id=${encodeURIComponent(HOSTILE)}`);
  await page.getByText("Nobody has this id now").waitFor();
  await expectOnlyText(page);
  await context.close();
});

test("a person is deleted after the id was typed, with an admin key, and the receipt tells how far it is", async () => {
  const { context, page, complaints } = await open(browser, server, app, `/people?id=${encodeURIComponent(QUOTED)}`);
  await page.getByRole("button", { name: "Delete this person" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete this person" });
  const confirm = dialog.getByRole("button", { name: "Delete for good" });
  await dialog.getByRole("textbox", { name: "Admin key" }).fill(app.read_key);
  expect(await confirm.isDisabled()).toBe(true);
  await dialog.getByLabel("Type the id to confirm").fill(QUOTED);
  await confirm.click();
  await dialog.getByText("this takes an admin key").waitFor();
  complaints.length = 0; // The browser tells of the refusal.
  await dialog.getByRole("textbox", { name: "Admin key" }).fill(server.createKey(app, "admin"));
  await confirm.click();
  const receipt = page.getByRole("region", { name: "Receipt" });
  await receipt.getByText("Hidden from every answer").or(receipt.getByText("Gone from every answer")).waitFor();
  expect(new URL(page.url()).searchParams.get("deletion")).not.toBeNull();
  await page.getByRole("link", { name: "All people" }).click();
  await page.getByText("All 3 persons").waitFor();
  expect(await listed(page)).not.toContain(QUOTED);
  await page.goBack();
  await receipt.waitFor();
  await page.reload();
  await page.getByRole("textbox", { name: "Admin key" }).fill(server.createKey(app, "admin"));
  await page.getByRole("button", { name: "Show it" }).click();
  await receipt.waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test("an owner who is logged in needs no key, and an editor is told who may", async () => {
  const headers = { "sec-fetch-site": "same-origin" };
  const path = "/people?id=bob&beside=delete";
  const owner = await browser.newContext();
  await owner.request.post(`${server.url}/api/v1/setup`, { headers, data: { token: server.setUpToken(), account: { email: "ann@example.org", name: "Ann", password: "four words of mine" } } });
  const invited = await owner.request.post(`${server.url}/api/v1/apps/${app.app_id}/invitations`, { headers, data: { role: "editor", note: "Bob" } });
  const { token } = (await invited.json()) as { token: string };
  const editor = await browser.newContext();
  const guest = await editor.newPage();
  await guest.goto(`${server.url}/invitation#token=${token}`);
  await guest.getByLabel("E-mail").fill("bob@example.org");
  await guest.getByLabel("Name").fill("Bob");
  await guest.getByRole("textbox", { name: "Password" }).fill("four words of mine");
  await guest.getByRole("button", { name: "Make an account and join" }).click();
  await guest.getByRole("link", { name: "People" }).waitFor();
  await guest.goto(server.url + path);
  await guest.getByText("Only an owner of this app may delete a person. Your role is editor.").waitFor();
  await guest.goto(`${server.url}/people?deletion=del_1`);
  await guest.getByText("Only an owner may see this").waitFor();
  const page = await owner.newPage();
  await page.goto(server.url + path);
  await page.getByLabel("Type the id to confirm").fill("bob");
  await page.getByRole("button", { name: "Delete for good" }).click();
  await page.getByRole("region", { name: "Receipt" }).waitFor();
  await page.goto(`${server.url}/people?id=bob`);
  await page.getByText("Nobody has this id now").waitFor();
  await editor.close();
  await owner.close();
});
