import { expect, test } from "vitest";

import { age, change, duration, lengthInWords, percent, shortNumber, valueLabel } from "./format.ts";

test("numbers are short and never lie about their size", () => {
  const numbers = [0, 7, 3.14159, 99.96, 1234, 9999, 9999.6, 14_249, 142_000, 999_400, 999_999, 1_400_000, -15_000];
  expect(numbers.map(shortNumber)).toEqual(["0", "7", "3.1", "100", "1,234", "9,999", "10.0k", "14.2k", "142k", "999k", "1.0M", "1.4M", "-15.0k"]);
});

test("fractions, ages, lengths of time", () => {
  expect([percent(null), percent(0), percent(0.1234), percent(1)]).toEqual(["–", "0.0%", "12.3%", "100.0%"]);
  expect([age(0), age(1400), age(12_000), age(180_000), age(7_300_000)]).toEqual(["now", "now", "12 s ago", "3 min ago", "2 h ago"]);
  expect([850, 2_400, 59_960, 125_000, 3_900_000, 273_600_000].map(duration)).toEqual(["850 ms", "2.4 s", "1 min 0 s", "2 min 5 s", "1 h 5 min", "3 d 4 h"]);
});

test("a chosen length keeps its unit", () => {
  expect([604_800_000, 3_600_000, 5_400_000, 45_000, 1_500].map(lengthInWords)).toEqual(["7 days", "1 hour", "90 minutes", "45 seconds", "1,500 milliseconds"]);
});

test("changes carry their sign", () => {
  expect([change(112.3, 100), change(90, 100), change(100, 100), change(2_000, 100), change(5, 0)]).toEqual(["+12.3%", "−10.0%", "±0.0%", "+1,900.0%", null]);
});

test("values of groups are text", () => {
  expect([null, "$other", "", "<img>", 3, true].map(valueLabel)).toEqual(["(not set)", "Other", "(empty)", "<img>", "3", "true"]);
});
