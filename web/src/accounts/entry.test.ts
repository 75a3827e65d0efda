import { beforeEach, expect, test } from "vitest";

import { credentials, mayEdit } from "../session.ts";
import { ago, browserName } from "../settings/time.ts";
import type { Me } from "./calls.ts";
import { takeToken } from "./token.ts";
import { appToShow } from "./useEntry.ts";

const me = (...apps: string[]): Me => ({
  account: { account_id: "acc_1", email: "ann@example.org", name: "Ann", administrator: false },
  apps: apps.map((app_id) => ({ app_id, name: app_id, timezone: "UTC", role: "viewer" })),
});

beforeEach(() => {
  window.history.replaceState(null, "", "/");
});

test("the app that was shown last is shown again while one may open it", () => {
  expect(appToShow(me("a", "b"), "b")).toEqual({ app: "b", key: null, role: "viewer" });
  expect(appToShow(me("a", "b"), "gone")?.app).toBe("a");
  expect(appToShow(me("a"), null)?.app).toBe("a");
  expect(appToShow(me(), "a")).toBeNull();
});

test("a login sends no key, and a viewer changes nothing", () => {
  expect(credentials({ app: "a", key: null, role: "owner" })).toEqual({});
  expect(credentials({ app: "a", key: "rk_1" })).toEqual({ authorization: "Bearer rk_1" });
  expect([mayEdit({ app: "a", key: null, role: "viewer" }), mayEdit({ app: "a", key: null, role: "editor" }), mayEdit({ app: "a", key: "rk_1" })]).toEqual([false, true, false]);
});

test("a token is taken out of the address and kept for its page", () => {
  window.history.replaceState(null, "", "/setup#token=st_1");
  expect(takeToken()).toBe("st_1");
  expect(window.location.hash).toBe("");
  expect(takeToken()).toBe("st_1");
  window.history.replaceState(null, "", "/invitation");
  expect(takeToken()).toBeNull();
});

test("times and browsers in words", () => {
  const now = Date.parse("2026-03-10T12:30:00Z");
  expect(ago("2026-03-10T12:00:00Z", now)).toBe("in the last hour");
  expect(ago("2026-03-10T11:00:00Z", now)).toBe("1 hour ago");
  expect(ago("2026-03-01T12:00:00Z", now)).toBe("9 days ago");
  expect(browserName("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36")).toBe("Chrome on Linux");
  expect(browserName("")).toBe("A program");
  expect(browserName("curl/8.0")).toBe("curl/8.0");
});
