import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import type { RetentionAnswer } from "../src/retention/answer.ts";
import { membersRule } from "../src/retention/members.ts";
import { toRequest } from "../src/retention/request.ts";
import { type Retention, START } from "../src/retention/retention.ts";
import { HOSTILE, expectOnlyText, launch, open } from "./browser.ts";
import { type App, Throng } from "./throng.ts";

let server: Throng;
let browser: Browser;
let app: App;

const DAY = 86_400_000;
const did = (user_id: string, name: string, daysAgo: number, properties: object = {}) => ({ name, user_id, timestamp: Date.now() - daysAgo * DAY, properties });

/** Eight sign up three weeks ago; six of them view a week later and two more two weeks later; three sign up last week. */
const EVENTS = [
  ...Array.from({ length: 8 }, (_, user) => did(`A${user}`, "signup", 21, { country: user < 4 ? "DE" : HOSTILE })),
  ...Array.from({ length: 6 }, (_, user) => did(`A${user}`, "view", 14)),
  ...Array.from({ length: 2 }, (_, user) => did(`A${user}`, "view", 7)),
  ...Array.from({ length: 3 }, (_, user) => did(`B${user}`, "signup", 7, { country: "DE" })),
  ...Array.from({ length: 3 }, (_, user) => did(`B${user}`, "signup", 0.01)),
  did("A7", "signup", 7),
  did("B0", "view", 0.01),
];

beforeAll(async () => {
  server = await Throng.start();
  browser = await launch();
  app = server.createApp("retention");
  await server.send(app, EVENTS);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

test("a weekly retention is built by clicking, answered, and kept in the address", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/retention");
  await page.getByText("Who comes back?").waitFor();
  await page.getByRole("button", { name: "Start event: an event" }).click();
  await page.getByRole("option", { name: /^signup/ }).click();
  await page.getByRole("button", { name: "Return event: any event" }).click();
  await page.getByRole("option", { name: /^view/ }).click();
  await page.getByText("6 of 8 persons").waitFor();
  const table = page.getByRole("region", { name: "Cohorts by period" });
  const cohort = async () => (await table.getByRole("row").allTextContents())[2];
  expect(await table.getByRole("columnheader").allTextContents()).toEqual(["weeks from", "Persons", "week 0", "1", "2", "3"]);
  expect(await cohort()).toMatch(/80\.0%75\.0%25\.0%0\.0%$/);
  await page.locator(".mantine-SegmentedControl-label", { hasText: "Persons" }).click();
  await expect.poll(cohort).toMatch(/80620$/);
  expect(new URL(page.url()).search).toBe("?start=signup&back=view&show=count");
  await page.reload();
  await expect.poll(cohort).toMatch(/80620$/);
  await page.goBack();
  await expect.poll(cohort).toMatch(/75\.0%/);
  expect(complaints).toEqual([]);
  await context.close();
});

test("cells are reached by arrows, and open their persons as a rule that can be saved", async () => {
  const { context, page } = await open(browser, server, app, "/retention?start=signup&back=view");
  await page.locator('[data-cell="1,0"]').focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toMatch(/^75\.0%: 6 of 8 of .* in week 1$/);
  await page.keyboard.press("Enter");
  const drawer = page.getByRole("dialog", { name: /back in week 1$/ });
  await drawer.getByText("6 persons").waitFor();
  expect(await drawer.getByRole("listitem").count()).toBe(6);
  await drawer.getByText("Save as a cohort").click();
  await drawer.getByRole("button", { name: "Save" }).click();
  await drawer.getByRole("textbox", { name: "Admin key" }).fill(server.createKey(app, "admin"));
  await drawer.getByRole("button", { name: "Save" }).click();
  await drawer.getByText(/^Saved as Cohort of/).waitFor();
  await page.keyboard.press("Escape");
  await drawer.waitFor({ state: "detached" });
  await context.close();
});

test("a split has a line and a row for each value; hostile ones stay text, and their cohorts can be picked", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/retention?start=signup&back=view&by=country");
  const averages = page.getByRole("region", { name: "Averages of each value" });
  await averages.getByRole("rowheader", { name: HOSTILE }).waitFor();
  await page.getByRole("button", { name: "Cohorts of: All" }).click();
  await page.getByRole("option", { name: HOSTILE }).click();
  await expect.poll(async () => (await page.getByRole("region", { name: "Cohorts by period" }).getByRole("row").allTextContents())[1]).toMatch(/^All cohorts4/);
  await expectOnlyText(page);
  expect(complaints).toEqual([]);
  await context.close();
});

async function ask<T>(call: string, body: unknown): Promise<T> {
  const response = await fetch(`${server.url}/api/v1/analytics/${app.app_id}/${call}`, { method: "POST", headers: { authorization: `Bearer ${app.read_key}`, "content-type": "application/json" }, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as T;
}

const variants = ["first_time", "first_in_range", "recurring"].flatMap((entry) => ["on", "on_or_after"].flatMap((mode) => [0, 3].map((periods): Partial<Retention> => ({ entry, mode, periods }))));

test.each(variants)("every cell has as many persons as its number says: %o", async (variant) => {
  const retention: Retention = { ...START, start: { events: ["signup"], conditions: [] }, back: { events: ["view", "signup"], conditions: [] }, range: "30d", ...variant };
  const typesOf = () => ["string"];
  const answer = await ask<RetentionAnswer>("retention", toRequest(retention, typesOf));
  for (const [cohort, row] of answer.retention.entries()) {
    for (const [period, count] of [[null, row.size] as const, ...row.returned.entries()]) {
      const segment = membersRule(retention, answer, { cohort, period }, typesOf);
      expect(segment === null, `${row.time} ${period ?? "all"}`).toBe(count === null);
      if (segment === null) continue;
      const { count: listed } = await ask<{ count: number }>("cohorts/preview", { segment, limit: 0 });
      expect(listed, `${row.time} ${period ?? "all"}`).toBe(count);
    }
  }
});
