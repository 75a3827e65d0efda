import { expect, test } from "vitest";

import { takeEvents } from "./api/live.ts";
import { age, label, percent, shortNumber } from "./format.ts";

test("numbers are short and never lie about their size", () => {
  expect([0, 7, 3.14159, 1234, 9999, 14_249, 142_000, 999_999, 1_400_000, -15_000].map(shortNumber)).toEqual(["0", "7", "3.1", "1,234", "9,999", "14.2k", "142k", "1.0M", "1.4M", "-15.0k"]);
});

test("fractions and ages", () => {
  expect([percent(null), percent(0), percent(0.1234), percent(1)]).toEqual(["–", "0.0 %", "12.3 %", "100.0 %"]);
  expect([age(0), age(1400), age(12_000), age(180_000)]).toEqual(["now", "now", "12 s ago", "3 min ago"]);
});

test("values of groups are text", () => {
  expect([label(null), label("$other"), label(""), label("<img>"), label(3), label(true)]).toEqual(["(not set)", "Other", "(empty)", "<img>", "3", "true"]);
});

test("a stream is cut into events wherever the network cut it", () => {
  const stream = ': hello\n\nevent: live\ndata: {"a":1}\n\ndata: {"a":\ndata: 2}\r\n\r\n:\n\ndata: {"a":3}\n\n';
  for (let cut = 0; cut <= stream.length; cut += 1) {
    const first = takeEvents(stream.slice(0, cut));
    const second = takeEvents(first.rest + stream.slice(cut));
    expect([...first.data, ...second.data].map((data) => (JSON.parse(data) as { a: number }).a)).toEqual([1, 2, 3]);
    expect(second.rest).toBe("");
  }
});
