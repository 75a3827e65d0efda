import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { HOSTILE, expectOnlyText, launch, open } from "./browser.ts";
import { type App, Throng } from "./throng.ts";

let server: Throng;
let browser: Browser;
let app: App;

beforeAll(async () => {
  server = await Throng.start();
  browser = await launch();
  app = server.createApp("explore");
  const plans = ["free", "free", "pro", HOSTILE];
  await server.send(app, [
    ...plans.map((plan, user) => ({ name: "signup", user_id: `U${user}`, properties: { plan, price: user + 0.5 } })),
    { name: HOSTILE, user_id: "U1", properties: { [HOSTILE]: HOSTILE } },
  ]);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

test("a question is edited, answered, and kept in the address", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/explore?metric=events&event=signup&by=plan&interval=&range=24h");
  const table = page.getByRole("region", { name: "Table" });
  await table.getByRole("cell", { name: HOSTILE }).waitFor({ timeout: 10_000 });
  expect(await table.getByRole("row").allTextContents()).toEqual(["planEvents", "free2", `${HOSTILE}1`, "pro1"]);
  await page.locator(".chart canvas").waitFor();
  await page.getByText(/^Exact$/).waitFor();
  await page.getByText("events scanned").waitFor();

  await page.getByRole("button", { name: /^Measure:/ }).click();
  await page.getByRole("option", { name: "Average", exact: true }).click();
  await page.getByText("One part is missing").waitFor();
  await page.getByRole("button", { name: /^Measured property:/ }).click();
  await page.getByRole("option", { name: /^price/ }).click();
  await table.getByRole("row", { name: "pro 2.5" }).waitFor();
  expect(page.url()).toContain("metric=avg%3Aprice");
  await page.reload();
  await table.getByRole("row", { name: "pro 2.5" }).waitFor();
  await page.goBack();
  await page.getByText("One part is missing").waitFor();
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("hostile names and values can be picked, grouped by and pointed at, and stay text", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/explore?metric=events&by=event&interval=hour&range=24h");
  await page.locator(".chart canvas").waitFor();
  const box = await page.locator(".chart").boundingBox();
  if (box === null) throw new Error("the chart has no place on the page");
  await expect
    .poll(async () => {
      await page.mouse.move(box.x + box.width / 2 + Math.random() * 40, box.y + box.height / 2);
      return page.locator(".tip").filter({ visible: true }).textContent({ timeout: 500 }).catch(() => "");
    })
    .toContain(HOSTILE);
  await page.getByRole("button", { name: "Condition" }).click();
  // What was just added is picked first: its list is open.
  await page.getByRole("option", { name: HOSTILE }).click();
  await page.getByRole("button", { name: /^Values:/ }).click();
  await page.getByRole("option", { name: HOSTILE }).click();
  await page.keyboard.press("Escape");
  await page.getByRole("columnheader", { name: HOSTILE }).waitFor();
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

test("the keyboard alone asks a question", async () => {
  const { context, page } = await open(browser, server, app, "/explore?metric=events&interval=&range=24h");
  await page.locator(".lone strong", { hasText: "5" }).waitFor();
  const event = page.getByRole("button", { name: /^Event:/ });
  for (let presses = 0; presses < 20; presses += 1) {
    await page.keyboard.press("Tab");
    if (await event.evaluate((element) => element === document.activeElement)) break;
  }
  await page.keyboard.press("Enter");
  await page.locator('input[aria-label="Search: Event"]:focus').waitFor();
  await page.keyboard.type("sign");
  await page.locator('[role="option"][data-combobox-selected]', { hasText: "signup" }).waitFor();
  await page.keyboard.press("Enter");
  await page.locator(".lone strong", { hasText: "4" }).waitFor();
  expect(await event.evaluate((element) => element === document.activeElement), "the focus is back where it was").toBe(true);
  await page.keyboard.press("Enter");
  await page.locator('input[aria-label="Search: Event"]:focus').waitFor();
  await page.keyboard.press("Escape");
  await expect.poll(() => event.evaluate((element) => element === document.activeElement)).toBe(true);
  await context.close();
});

test("an answer stays while the next one comes; a wrong question is told with its field", async () => {
  const { context, page } = await open(browser, server, app, "/explore?metric=events&event=signup&interval=&range=24h");
  await page.locator(".lone strong", { hasText: "4" }).waitFor();
  await page.route("**/query", async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1_600));
    await route.continue();
  });
  await page.getByRole("button", { name: /^Range:/ }).click();
  await page.getByRole("option", { name: "last 7 days" }).click();
  await page.locator('.result[data-stale="true"] .lone strong', { hasText: "4" }).waitFor();
  await page.getByRole("button", { name: "Stop" }).waitFor();
  await page.locator('.result[data-stale="false"] .lone strong', { hasText: "4" }).waitFor();
  await page.getByRole("button", { name: /^Interval:/ }).click();
  await page.getByRole("option", { name: "daily" }).click();
  const today = page.getByRole("region", { name: "Table" }).getByRole("row", { name: /incomplete/ });
  await page.locator('.result[data-stale="false"]').filter({ has: today }).waitFor();
  await page.getByRole("button", { name: /^Range:/ }).click();
  await page.getByRole("option", { name: "last 30 days" }).click();
  await page.locator('.result[data-stale="true"]').filter({ has: today }).waitFor();
  await page.locator('.result[data-stale="false"]').filter({ has: today }).waitFor();
  await page.unroute("**/query");
  await page.goto(`${server.url}/explore?where=${encodeURIComponent(JSON.stringify(["plan", "matches", "("]))}`);
  await page.getByRole("alert").getByText("filters[0].value").waitFor();
  await context.close();
});
