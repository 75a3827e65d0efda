import { expect, test } from "vitest";

import { timeLabel } from "./time.ts";

test("times are told on the app's clock, not the browser's", () => {
  expect(timeLabel("2026-03-29T23:30:00+14:00", "minute")).toBe("29 Mar 23:30");
  expect(timeLabel("2026-03-09T00:00:00Z", "day")).toBe("9 Mar");
  expect(timeLabel("2026-03-09T00:00:00Z", "day", true)).toBe("9 Mar 2026");
  expect(timeLabel("2026-03-01T00:00:00Z", "month")).toBe("Mar 2026");
});
