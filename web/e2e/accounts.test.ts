import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { HOSTILE, expectOnlyText, launch } from "./browser.ts";
import { type App, Throng } from "./throng.ts";

const PASSWORD = "four words of mine";

let server: Throng;
let browser: Browser;
let app: App;

beforeAll(async () => {
  server = await Throng.start();
  browser = await launch();
  app = server.createApp("Shop");
});

afterAll(async () => {
  await browser.close();
  await server.stop();
});

interface Tab {
  context: BrowserContext;
  page: Page;
  complaints: string[];
}

/** A browser of its own, on an address of the app; refusals that a test provokes are no complaints. */
async function visit(path: string): Promise<Tab> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    const refused = message.text().includes("the server responded with a status of 4");
    if ((message.type() === "error" && !refused) || message.text().includes("Content Security Policy")) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(server.url + path);
  return { context, page, complaints };
}

async function fillAccount(page: Page, email: string, name: string): Promise<void> {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Name").fill(name);
  await page.getByRole("textbox", { name: "Password", exact: true }).fill(PASSWORD);
}

async function logIn(page: Page, email: string): Promise<void> {
  await page.getByLabel("E-mail").fill(email);
  await page.getByRole("textbox", { name: "Password", exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Log in", exact: true }).click();
}

test("set-up, an invitation, roles, and logging out", async () => {
  const { context, page, complaints } = await visit(`/setup#token=${server.setUpToken()}`);
  await page.getByRole("heading", { name: "Make the first account" }).waitFor();
  expect(new URL(page.url()).hash, "the token leaves the address").toBe("");
  await fillAccount(page, "ann@example.org", "Ann");
  await page.getByRole("button", { name: "Make the account" }).click();
  await page.getByRole("button", { name: "Throng: app Shop" }).waitFor();

  // A new tab of the same browser is logged in, and the live numbers come.
  await server.send(app, [{ name: "page_view", user_id: "U1" }]);
  const tab = await context.newPage();
  await tab.goto(server.url);
  await tab.locator('[data-figure="Active users now"]', { hasText: "1" }).waitFor({ timeout: 10_000 });
  expect(await tab.evaluate(() => document.cookie), "no script reads the cookie").toBe("");
  expect(await tab.evaluate(() => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)]))).not.toContain("ls_");
  await tab.close();

  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("Name").fill(`Shop ${HOSTILE}`);
  await page.getByRole("combobox", { name: "Time zone" }).fill("Europe/Berlin");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved", { exact: true }).waitFor();
  await page.getByRole("button", { name: `Throng: app Shop ${HOSTILE}` }).waitFor();

  await page.getByRole("link", { name: "Members" }).click();
  await page.getByLabel("Invite").fill("Bob");
  await page.getByRole("button", { name: "Make a link" }).click();
  const link = (await page.getByLabel("The invitation's link").textContent()) ?? "";
  expect(link).toContain(`${server.url}/invitation#token=iv_`);

  const bob = await visit(new URL(link).pathname + new URL(link).hash);
  await bob.page.getByText("invites you to").waitFor();
  await fillAccount(bob.page, "bob@example.org", "Bob");
  await bob.page.getByRole("button", { name: "Make an account and join" }).click();
  await bob.page.getByRole("button", { name: `Throng: app Shop ${HOSTILE}` }).waitFor();
  await bob.page.goto(`${server.url}/settings?side=keys`);
  await bob.page.getByText("your role is viewer").waitFor();
  expect(await bob.page.getByRole("link", { name: "Keys" }).count(), "keys are for owners").toBe(0);
  await bob.page.goto(`${server.url}/cohorts?new=list`);
  await bob.page.getByText("Your role on this app is viewer").waitFor();

  // An owner makes an editor of the viewer, who then saves without any key.
  await page.reload();
  await page.getByLabel("Role of Bob").selectOption("editor");
  await expect.poll(async () => (await bob.page.request.get(`${server.url}/api/v1/me`)).text()).toContain('"role":"editor"');
  await bob.page.reload();
  await bob.page.getByLabel("Name").fill("By Bob");
  await bob.page.getByLabel("Ids of persons").fill("U1");
  expect(await bob.page.getByLabel("Admin key").count()).toBe(0);
  await bob.page.getByRole("button", { name: "Save", exact: true }).click();
  await bob.page.getByRole("heading", { name: "By Bob" }).waitFor();

  // Who has lost the role is told so, and the live stream is over.
  await bob.page.goto(server.url);
  await bob.page.locator('[data-figure="Active users now"]').waitFor();
  await page.getByRole("row", { name: /Bob/ }).getByRole("button", { name: "Remove" }).click();
  await page.getByRole("button", { name: "Remove it" }).click();
  await bob.page.getByText("you have no role on an app of this id").waitFor({ timeout: 10_000 });

  await expectOnlyText(page);
  await page.getByRole("button", { name: /^Throng: app/ }).click();
  await page.getByRole("menuitem", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await page.reload();
  await logIn(page, "ann@example.org");
  await page.getByRole("button", { name: /^Throng: app/ }).waitFor();
  expect([...complaints, ...bob.complaints]).toEqual([]);
  await bob.context.close();
  await context.close();
});

test("set-up is over, a wrong password is told, and a read key still opens an app", async () => {
  const { context, page } = await visit("/setup#token=st_0000000000000000000000000000000000000000000");
  await page.getByRole("heading", { name: "Set-up is done" }).waitFor();
  await page.getByRole("link", { name: "Log in" }).click();
  await page.getByLabel("E-mail").fill("ann@example.org");
  await page.getByRole("textbox", { name: "Password", exact: true }).fill("not the password");
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await page.getByText("the e-mail address or the password is wrong").waitFor();
  await page.getByRole("button", { name: "Use a read key" }).click();
  await page.getByLabel("App id").fill(app.app_id);
  await page.getByRole("textbox", { name: "Read key" }).fill(app.read_key);
  await page.getByRole("button", { name: "Open" }).click();
  await page.getByRole("button", { name: `Throng: app ${app.app_id}` }).waitFor();
  await context.close();
});

test("an administrator makes an app, rotates its key, and ends other logins", async () => {
  const { context, page, complaints } = await visit("/");
  await logIn(page, "ann@example.org");
  await page.getByRole("button", { name: /^Throng: app/ }).click();
  await page.getByRole("menuitem", { name: "Make an app" }).click();
  await page.getByLabel("Name").fill("Second");
  await page.getByRole("button", { name: "Make the app" }).click();
  expect(await page.getByLabel("The write key").textContent()).toMatch(/^\s*wk_\w{43}\s*$/);
  await page.getByRole("button", { name: "Open it" }).click();
  await page.getByRole("button", { name: "Throng: app Second" }).waitFor();

  await page.goto(`${server.url}/settings?side=keys`);
  const row = page.getByRole("row", { name: /read, made/ });
  await row.getByRole("button", { name: "Rotate" }).click();
  await page.getByRole("button", { name: "Rotate it" }).click();
  expect(await page.getByLabel("The read key").textContent()).toMatch(/^\s*rk_\w{43}\s*$/);
  await page.getByText(/· ends /).waitFor();

  const other = await visit("/");
  await logIn(other.page, "ann@example.org");
  await other.page.getByRole("button", { name: /^Throng: app/ }).waitFor();
  await page.goto(`${server.url}/settings?side=you`);
  await page.getByRole("row").filter({ hasNotText: "(this one)" }).first().getByRole("button", { name: "End" }).click();
  await page.getByRole("button", { name: "End it" }).click();
  await page.getByRole("textbox", { name: "Current password" }).fill(PASSWORD);
  await page.getByRole("textbox", { name: "New password" }).fill("four other words");
  await page.getByRole("button", { name: "Change the password" }).click();
  await page.getByText("Changed", { exact: true }).waitFor();
  await other.page.goto(`${server.url}/`);
  await other.page.getByRole("heading", { name: "Log in" }).waitFor();
  await page.reload();
  await page.getByText("(this one)").waitFor();
  expect([...complaints, ...other.complaints]).toEqual([]);
  await other.context.close();
  await context.close();
});
