import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { settingsOf } from "../src/options.js";

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");

function snippet(path: string): string {
  return /```html\n([\s\S]*?)```/.exec(read(path))?.[1]?.replace(/"https?:\/\/[^"]+"/, "URL") ?? `${path} has no snippet`;
}

test("the README pastes what the documentation explains", () => {
  expect(snippet("README.md")).toBe(snippet("docs/sdk.md"));
});

test("every option is documented with its default", () => {
  const options = /## Options\n([\s\S]*?)\n## /.exec(read("docs/sdk.md"))?.[1] ?? "";
  const rows = [...options.matchAll(/^\| `(\w+)` \| (?:`([^`]*)`)?/gm)];
  const documented = new Map(rows.map(([, name, value]) => [name, value]));
  const { url, writeKey, ...defaults } = settingsOf({ url: "https://x.example", writeKey: "wk_x" }, () => undefined) ?? {};
  for (const [name, value] of Object.entries(defaults)) expect(documented.get(name), name).toBe(JSON.stringify(value));
  expect([...documented.keys()].sort()).toEqual(["url", "writeKey", ...Object.keys(defaults)].sort());
  expect([url, writeKey]).toEqual(["https://x.example", "wk_x"]);
});
