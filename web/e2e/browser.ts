import { type Browser, type BrowserContext, type BrowserContextOptions, type Page, chromium } from "playwright-core";
import { expect } from "vitest";

import type { App, Throng } from "./throng.ts";

/** A name that runs a script wherever it is taken for markup. */
export const HOSTILE = "<img src=x onerror=\"document.title='run'\">";

const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ARGUMENTS });
}

export interface Opened {
  context: BrowserContext;
  page: Page;
  /** Errors and breaches of the content security policy, as the browser told them. */
  complaints: string[];
}

/** Opens a page as a person who was given the link. */
export async function open(browser: Browser, server: Throng, app: Pick<App, "app_id" | "read_key">, path: string, options: BrowserContextOptions = {}): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.text().includes("Content Security Policy")) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  const response = await page.goto(`${server.url}${path}#app=${app.app_id}&key=${app.read_key}`);
  const policy = response?.headers()["content-security-policy"] ?? "";
  expect(policy).toContain("default-src 'self'");
  expect(policy).toContain("style-src 'self'");
  expect(policy).not.toContain("unsafe");
  await page.waitForURL((url) => url.hash === "", { timeout: 5_000 });
  return { context, page, complaints };
}

/** Nothing that was ingested became markup or ran. */
export async function expectOnlyText(page: Page): Promise<void> {
  expect(await page.locator("img[src=x]").count()).toBe(0);
  expect(await page.title()).not.toBe("run");
}
