import { expect, test } from "vitest";

import { LIST, type View, openedLink, readView, streamQuery, writeView } from "./view.ts";

const SHOP: View = { ...LIST, id: "shop" };
const US = { property: "country", op: "is", values: ["US"] };

test("what is shown is in the address", () => {
  const views: View[] = [LIST, SHOP, { ...SHOP, range: "7d" }, { ...SHOP, range: "2026-03-01..2026-03-02", conditions: [US], edit: true }, { ...SHOP, conditions: [], wall: true }];
  for (const view of views) expect(readView(writeView(view).split("?")[1] ?? "")).toEqual(view);
});

test("only what differs from the dashboard is asked", () => {
  const typesOf = () => ["string"];
  expect(streamQuery(SHOP, typesOf)).toBe("");
  expect(streamQuery({ ...SHOP, conditions: [] }, typesOf)).toBe("filters=%5B%5D");
  const asked = new URLSearchParams(streamQuery({ ...SHOP, range: "2026-03-01..2026-03-02", conditions: [US] }, typesOf));
  expect([asked.get("from"), asked.get("to"), asked.get("filters")]).toEqual(["2026-03-01", "2026-03-03", '[{"property":"country","op":"eq","value":"US"}]']);
});

test("a tile opens with what holds on its dashboard", () => {
  expect(openedLink("/explore?metric=events&range=30d", "7d", [US])).toBe("/explore?metric=events&range=7d&where=%5B%22country%22%2C%22is%22%2C%22US%22%5D");
  expect(openedLink("/sql?q=SELECT+1", "7d", [US])).toBe("/sql?q=SELECT+1");
});
