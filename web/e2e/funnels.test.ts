import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { HOSTILE, expectOnlyText, launch, open } from "./browser.ts";
import { type App, Throng } from "./throng.ts";

let server: Throng;
let browser: Browser;
let app: App;

const MINUTE = 60_000;
const did = (user_id: string, name: string, minutes: number, properties: object = {}) => ({ name, user_id, timestamp: Date.now() - 3_600_000 + minutes * MINUTE, properties });

/** Ten persons view, six put something into the cart, three of them buy; U9 buys without a cart. */
const EVENTS = [
  ...Array.from({ length: 10 }, (_, user) => did(`U${user}`, "page_view", 0, { country: user % 2 === 0 ? "DE" : HOSTILE })),
  ...Array.from({ length: 6 }, (_, user) => did(`U${user}`, "add_to_cart", 2)),
  ...Array.from({ length: 3 }, (_, user) => did(`U${user}`, "purchase", 5)),
  did("U9", "purchase", 5),
  did("U3", HOSTILE, 3),
];

beforeAll(async () => {
  server = await Throng.start();
  browser = await launch();
  app = server.createApp("funnels");
  await server.send(app, EVENTS);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

const bar = (page: Page, place: number) => page.locator(".bars > li").nth(place - 1);
const words = async (page: Page, place: number) => (await bar(page, place).locator(".bar-words p").allTextContents()).map((text) => text.trim());

async function addStep(page: Page, place: number, name: string): Promise<void> {
  await page.getByRole("button", { name: "Step", exact: true }).click();
  // The list of what was just added is open.
  await page.getByRole("listbox", { name: `Step ${place}` }).waitFor();
  await page.getByRole("option", { name: new RegExp(`^${name}`) }).click();
}

test("a funnel is built by clicking, answered, and kept in the address", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/funnels");
  await page.getByText("How many go all the way?").waitFor();
  await addStep(page, 1, "page_view");
  await addStep(page, 2, "add_to_cart");
  await addStep(page, 3, "purchase");
  await page.getByText("3 of 10 persons, half of them within 5 min 0 s").waitFor();
  expect(await words(page, 1)).toEqual(["1 page_view", "100.0% 10 persons"]);
  expect(await words(page, 2)).toEqual(["2 add_to_cart", "60.0% 6 persons", "→ from the step before: 60.0% in 2 min 0 s", "4 lost"]);
  expect(await words(page, 3)).toEqual(["3 purchase", "30.0% 3 persons", "→ from the step before: 50.0% in 3 min 0 s", "3 lost"]);
  await page.getByText("within 7 days of the first").waitFor();
  expect(new URL(page.url()).search).toBe("?step=page_view&step=add_to_cart&step=purchase");
  await page.locator(".chart canvas").first().waitFor();

  await page.getByRole("button", { name: "Step 2: optional, it may be left out" }).click();
  await page.getByText("4 of 10 persons").waitFor();
  await page.getByText("4 went without").waitFor();
  await page.reload();
  await page.getByText("4 of 10 persons").waitFor();
  await page.goBack();
  await page.getByText("3 of 10 persons").waitFor();
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("steps move by keyboard, and the focus goes with them", async () => {
  const { context, page } = await open(browser, server, app, "/funnels?step=page_view&step=purchase&step=add_to_cart");
  const up = page.getByRole("button", { name: "Move step 3 up" });
  await up.focus();
  await page.keyboard.press("Enter");
  await page.getByText("3 of 10 persons").waitFor();
  await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Move step 2 up");
  await page.keyboard.press("Enter");
  await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Move step 1 down");
  await page.getByRole("button", { name: "Remove step 1" }).click();
  await expect.poll(() => new URL(page.url()).search).toBe("?step=page_view&step=purchase");
  await context.close();
});

test("a split has a bar and a row for each value; hostile ones stay text", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/funnels?step=page_view&step=purchase&by=country");
  const table = page.getByRole("region", { name: "Table" });
  await table.getByRole("row", { name: HOSTILE }).waitFor();
  expect(await table.getByRole("row").allTextContents()).toEqual(["countryConverted1 page_view2 purchase", "All40.0%104 40.0%", `${HOSTILE}40.0%52 40.0%`, "DE40.0%52 40.0%"]);
  expect(await bar(page, 1).locator(".bar-group").count()).toBe(2);
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("those who were lost are listed with the reason, and saved with a key that may", async () => {
  const { context, page } = await open(browser, server, app, "/funnels?step=page_view&step=add_to_cart&step=purchase");
  await bar(page, 3).getByRole("button", { name: "3 lost" }).click();
  const drawer = page.getByRole("dialog", { name: "Lost before purchase" });
  await drawer.getByText("3 persons").waitFor();
  await drawer.getByText("U3", { exact: true }).click();
  await drawer.getByText('no further event is "purchase" (step 3).').waitFor();
  await drawer.getByText("not reached").waitFor();
  expect(new URL(page.url()).searchParams.get("people")).toBe("3-dropped");

  await drawer.getByText("Save as a cohort").click();
  await drawer.getByLabel("Name").fill("Left the cart");
  await drawer.getByRole("button", { name: "Save" }).click();
  await drawer.getByText("reads and cannot change anything").waitFor();
  await drawer.getByRole("textbox", { name: "Admin key" }).fill("ak_wrong");
  await drawer.getByRole("button", { name: "Save" }).click();
  await drawer.getByText("this key is unknown").waitFor();
  await drawer.getByRole("textbox", { name: "Admin key" }).fill(server.createKey(app, "admin"));
  await drawer.getByRole("button", { name: "Save" }).click();
  await drawer.getByText("Saved as Left the cart").waitFor();

  await page.keyboard.press("Escape");
  await drawer.waitFor({ state: "detached" });
  expect(new URL(page.url()).searchParams.get("people")).toBeNull();
  await context.close();
});

test("a slow answer says so, can be stopped, and asked again; the one before stays", async () => {
  const { context, page } = await open(browser, server, app, "/funnels?step=page_view&step=purchase");
  await page.getByText("4 of 10 persons").waitFor();
  await page.route("**/funnel", async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    await route.continue().catch(() => undefined);
  });
  await page.getByRole("button", { name: /^Order:/ }).click();
  await page.getByRole("option", { name: "in any order" }).click();
  await page.getByText(/^Asking for \d/).waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("heading", { name: "Stopped" }).waitFor();
  await page.locator('.result[data-stale="true"]').getByText("4 of 10 persons").waitFor();
  await page.unroute("**/funnel");
  await page.getByRole("button", { name: "Ask again" }).click();
  await page.getByText("any 2 of 2").waitFor();
  await page.getByRole("heading", { name: "Stopped" }).waitFor({ state: "detached" });
  await context.close();
});

test("options that exclude one another cannot be asked; what the server refuses is told with its field", async () => {
  const { context, page } = await open(browser, server, app, "/funnels?step=page_view&step=purchase&mode=strict&not=refund&entry=first&counting=totals");
  await page.getByText("with no other event of the person in between").waitFor();
  await page.getByText("so there is nothing to exclude").waitFor();
  await page.goto(`${server.url}/funnels?step=page_view&step=purchase&where=${encodeURIComponent(JSON.stringify(["plan", "matches", "("]))}`);
  await page.getByRole("alert").getByText("filters[0].value").waitFor();
  await page.goto(`${server.url}/no-such-page`);
  await page.getByRole("link", { name: "Go to Live" }).click();
  await page.getByRole("heading", { name: "Live" }).waitFor();
  await context.close();
});
