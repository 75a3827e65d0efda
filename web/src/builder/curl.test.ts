import { expect, test } from "vitest";

import { curl } from "./curl.ts";

test("a name with a quote stays inside the quotes of the shell, and the key stays out", () => {
  const command = curl("http://h", { app: "app_1", key: "rk_secret" }, "query", JSON.stringify({ event: "it's" }));
  expect(command).toContain("curl http://h/api/v1/analytics/app_1/query");
  expect(command).toContain(`"event": "it'\\''s"`);
  expect(command).not.toContain("rk_secret");
});
