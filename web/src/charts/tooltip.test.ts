import { expect, test } from "vitest";

import type { ChartData } from "./data.ts";
import type { ChartTheme } from "./theme.ts";
import { tooltip } from "./tooltip.ts";

const THEME: ChartTheme = { text: "#000", quiet: "#555", line: "#ccc", surface: "#fff", accent: "#00f", font: "sans-serif", still: true, scheme: "light" };
const HOSTILE = '<img src=x onerror="1">{a|b}';
const series = (name: string, values: number[], previous: number[] | null = null) => ({ name, group: [name], other: false, place: 0, values, previous });

test("names are text, largest first, the period before below its series", () => {
  const data: ChartData = {
    metric: "events",
    times: ["2026-03-02T00:00:00Z"],
    previousTimes: ["2026-03-01T00:00:00Z"],
    partial: [true],
    series: [series("small", [1]), series(HOSTILE, [2000], [5])],
  };
  const tip = tooltip(data, "day", 0, THEME);
  expect(tip.querySelector("img")).toBeNull();
  expect([...tip.children].map((child) => child.textContent)).toEqual(["2 Mar 2026 (incomplete)", `${HOSTILE}2,000`, "1 Mar5", "small1"]);
});

test("many series are cut with a count", () => {
  const many = Array.from({ length: 15 }, (_, at) => series(`s${at}`, [at]));
  const tip = tooltip({ metric: "m", times: ["2026-03-02T00:00:00Z"], previousTimes: [""], partial: [false], series: many }, "day", 0, THEME);
  expect(tip.lastElementChild?.textContent).toBe("and 3 more");
});

test("without time a place is one group", () => {
  const tip = tooltip({ metric: "m", times: [], previousTimes: [], partial: [], series: [series("a", [2]), series("b", [1])] }, "", 1, THEME);
  expect(tip.textContent).toBe("b1");
});
