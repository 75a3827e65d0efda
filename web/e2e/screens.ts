import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { TEMPLATES } from "../src/dashboards/templates.ts";
import { launch, open } from "./browser.ts";
import { type App, Throng } from "./throng.ts";

const FOLDER = fileURLToPath(new URL("../../docs/screens", import.meta.url));
const SHAPES = [
  { shape: "wide", viewport: { width: 1440, height: 900 } },
  { shape: "phone", viewport: { width: 390, height: 844 } },
];
const SEEDS_FUNNEL = "step=page_view&step=add_to_cart&step=purchase";
const BUYERS = { id: "buyers", name: "Bought twice this month", rule: { did: "purchase", at_least: 2, range: "30d" } };

/** Each page with a question that shows what it is for. */
const PAGES = {
  live: "/",
  explore: "/explore?metric=unique_users&event=page_view&by=device_type&interval=day&range=30d",
  funnels: `/funnels?${SEEDS_FUNNEL}&range=30d`,
  retention: "/retention?start=page_view&range=30d",
  paths: "/paths?start=page_view&range=30d",
  sessions: "/sessions?range=30d",
  lifecycle: "/lifecycle?range=30d",
  cohorts: "/cohorts?id=buyers",
  people: "/people",
  person: `/people?id=user-1&beside=cohorts&from=${encodeURIComponent(`/funnels?${SEEDS_FUNNEL}&range=30d`)}`,
  dashboards: "/dashboards?id=shop",
  "dashboards-list": "/dashboards",
  "dashboards-edit": "/dashboards?id=product&edit=1",
  "dashboards-wall": "/dashboards?id=web&wall=1",
  data: "/data?range=7d",
  "data-rejected": "/data?side=rejected&open=missing_id",
  sql: `/sql?q=${encodeURIComponent("SELECT event, count(*) AS events, count(DISTINCT person) AS persons FROM events GROUP BY event ORDER BY events DESC")}`,
};

let server: Throng;
let browser: Browser;
let app: App;

beforeAll(async () => {
  mkdirSync(FOLDER, { recursive: true });
  server = await Throng.start();
  browser = await launch();
  app = server.createApp("shop");
  await server.simulate(app, ["--events", "400000", "--days", "45", "--users", "5000", "--rate", "1"]);
  await server.save(app, "cohorts", BUYERS);
  const adminKey = server.createKey(app, "admin");
  for (const [at, id] of ["web", "product", "shop"].entries()) await server.saveInApp(app, adminKey, "dashboards", { id, ...TEMPLATES[at + 1]?.content });
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** Until nothing on the page waits for an answer. */
async function settled(page: Page): Promise<void> {
  await page.waitForTimeout(1_500);
  await expect.poll(() => page.locator("[aria-busy=true]").count(), { timeout: 20_000 }).toBe(0);
  await page.waitForTimeout(500);
}

/** Pages of somebody who is logged in, and those before that. */
const SETTINGS = { settings: "/settings", keys: "/settings?side=keys", members: "/settings?side=members", you: "/settings?side=you" };

test("accounts", async () => {
  const account = { email: "ann@example.org", name: "Ann", password: "four words of mine" };
  const owner = await browser.newContext();
  const headers = { "sec-fetch-site": "same-origin" };
  await owner.request.post(`${server.url}/api/v1/setup`, { headers, data: { token: server.setUpToken(), account } });
  const invited = await owner.request.post(`${server.url}/api/v1/apps/${app.app_id}/invitations`, { headers, data: { role: "editor", note: "Bob" } });
  const { token } = (await invited.json()) as { token: string };
  const storageState = await owner.storageState();
  for (const { shape, viewport } of SHAPES) {
    for (const colorScheme of ["light", "dark"] as const) {
      const shown = { viewport, colorScheme, reducedMotion: "reduce" as const };
      const context = await browser.newContext({ ...shown, storageState });
      const page = await context.newPage();
      for (const [name, path] of Object.entries(SETTINGS)) {
        await page.goto(server.url + path);
        await settled(page);
        await page.screenshot({ path: `${FOLDER}/${name}-${shape}-${colorScheme}.png` });
      }
      await context.close();
      const stranger = await browser.newContext(shown);
      const before = await stranger.newPage();
      for (const [name, path] of Object.entries({ login: "/", invitation: `/invitation#token=${token}` })) {
        await before.goto(server.url + path);
        await settled(before);
        await before.screenshot({ path: `${FOLDER}/${name}-${shape}-${colorScheme}.png` });
      }
      await stranger.close();
    }
  }
  await owner.close();
});

test.each(Object.entries(PAGES))("%s", async (name, path) => {
  for (const { shape, viewport } of SHAPES) {
    for (const colorScheme of ["light", "dark"] as const) {
      const { context, page, complaints } = await open(browser, server, app, path, { viewport, colorScheme, reducedMotion: "reduce" });
      await settled(page);
      await page.screenshot({ path: `${FOLDER}/${name}-${shape}-${colorScheme}.png` });
      expect(complaints).toEqual([]);
      await context.close();
    }
  }
});
