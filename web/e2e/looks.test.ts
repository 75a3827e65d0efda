import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import type { AxeResults } from "axe-core";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { TEMPLATES } from "../src/dashboards/templates.ts";
import { launch, open } from "./browser.ts";
import { type App, Throng } from "./throng.ts";

const FUNNELS = ["/funnels", "/funnels?step=page_view&step=purchase&interval=hour&by=country&not=refund&range=24h", "/funnels?step=page_view&step=purchase&people=2-dropped&range=24h", `/funnels?range=24h${"&step=page_view".repeat(9)}`];
const RETENTIONS = ["/retention?start=page_view&period=day&range=30d&by=country", "/retention?start=page_view&period=hour&range=24h&people=0"];
const SQL = ["/sql", `/sql?q=${encodeURIComponent("SELECT properties['country'] AS country, count(*) AS n, NULL AS nothing FROM events GROUP BY country")}`, "/sql?q=SELECT%20nothing"];
const FLOWS = ["/paths?by=country&steps=6", "/paths?start=page_view"];
const PERSONS = ["/sessions?by=country", "/sessions?side=active&by=country", "/lifecycle", "/lifecycle?side=stickiness", "/cohorts", "/cohorts?new=rule", "/cohorts?new=list"];
const DATA = ["/data", "/data?side=properties&range=7d", "/data?side=rejected&open=missing_id", "/data?side=rejected&open=invalid_type", "/data?open=page_view&range=1h"];
const BOARDS = ["/dashboards", "/dashboards?id=board", "/dashboards?id=board&edit=1", "/dashboards?id=board&wall=1"];
const PEOPLE = ["/people", "/people?search=0-1", "/people?id=0-1", "/people?id=nobody", "/people?id=0-1&beside=delete", "/people?deletion=del_1"];
const PATHS = ["/", ...BOARDS, "/explore?metric=events&by=country&interval=hour&range=24h&compare=1", "/explore?metric=events&by=country&interval=&range=24h", ...FUNNELS, ...RETENTIONS, ...SQL, ...FLOWS, ...PERSONS, ...PEOPLE, ...DATA];
/** What a page shows once it has its numbers, or knows that it has none to show. */
const READY = ".spark, .chart canvas, .persons, .flow-step, .cohort-editor, .table, .state, .board-card, .tile-number, .person-table, .visit, .person-deletion, .receipt, .data-list";
const WIDTHS = [390, 768, 1024, 1440, 2560];
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let server: Throng;
let browser: Browser;
let app: App;

beforeAll(async () => {
  server = await Throng.start();
  browser = await launch();
  app = server.createApp("looks");
  const long = "a_name_that_somebody_made_much_longer_than_anybody_would_like_to_read_in_a_list_".repeat(3);
  const countries = ["US", "DE", "GB", "FR", "JP", "IN", "BR", "ES", "IT", "CA", "NL", long.slice(0, 200)];
  const events = countries.flatMap((country, rank) =>
    Array.from({ length: 20 - rank }, (_, user) => ({ name: "page_view", user_id: `${rank}-${user}`, properties: { url: `/${country}`, country } })),
  );
  await server.saveInApp(app, server.createKey(app, "admin"), "dashboards", { id: "board", ...TEMPLATES[1]?.content, description: long });
  await server.send(app, [...events, { name: long.slice(0, 240), user_id: "U", properties: { [long.slice(0, 240)]: long } }, { name: "page_view", properties: { url: long } }, { name: "page_view", user_id: "U", properties: [long] }]);
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

test.each(WIDTHS)("nothing scrolls sideways at %i pixels", async (width) => {
  for (const path of PATHS) {
    const { context, page } = await open(browser, server, app, path, { viewport: { width, height: 900 } });
    await page.locator(READY).first().waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(width);
    await context.close();
  }
});

test.each(["light", "dark"] as const)("%s: no finding of axe, contrast included", async (colorScheme) => {
  for (const path of PATHS) {
    const { context, page } = await open(browser, server, app, path, { colorScheme, reducedMotion: "reduce" });
    await page.locator(READY).first().waitFor();
    await page.waitForTimeout(300);
    await page.evaluate(axe);
    const results = await page.evaluate(() => (window as unknown as { axe: { run: () => Promise<AxeResults> } }).axe.run());
    expect(results.violations.map(({ id, nodes }) => `${path} ${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(" ")}`)).toEqual([]);
    await context.close();
  }
});

test("the chosen colours stay after a reload", async () => {
  const { context, page, complaints } = await open(browser, server, app, "/", { colorScheme: "light" });
  await page.getByRole("button", { name: "Use dark colours" }).click();
  await page.getByRole("button", { name: "Use light colours" }).waitFor();
  await page.reload();
  expect(await page.locator("html").getAttribute("data-mantine-color-scheme")).toBe("dark");
  await page.getByRole("button", { name: "Use light colours" }).waitFor();
  expect(complaints).toEqual([]);
  await context.close();
});

test("a page needs nothing from anywhere else, and little before it shows", async () => {
  const { context, page } = await open(browser, server, app, "/");
  await page.locator(".spark").first().waitFor();
  const loaded = await page.evaluate(() => performance.getEntriesByType("resource").map((entry) => entry.name));
  expect(loaded.filter((name) => !name.startsWith(server.url))).toEqual([]);
  expect(loaded.filter((name) => name.includes("/Chart-"))).toEqual([]);
  await context.close();
});
