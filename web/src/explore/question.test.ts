import { expect, test } from "vitest";

import { isFinished } from "../builder/conditions.ts";
import { type Question, START, inWords, readQuestion, writeQuestion } from "./question.ts";
import { missingPart, toRequest } from "./request.ts";

const FULL: Question = {
  measure: "avg",
  property: "price:net",
  event: "a&b=c",
  conditions: [
    { property: "country", op: "is", values: ["US", "x~y", '<img src=x onerror="1">'] },
    { property: "price", op: "gte", values: ["10.5"] },
    { property: "plan", op: "is_set", values: [] },
  ],
  groupBy: ["device_type", "browser"],
  interval: "",
  range: "2026-02-01..2026-02-28",
  compare: true,
  chart: "bar",
};

test("the address holds the whole question", () => {
  expect(readQuestion(writeQuestion(FULL))).toEqual(FULL);
  expect(readQuestion(writeQuestion(START))).toEqual(START);
});

test("an address that somebody wrote by hand falls back where it is wrong", () => {
  expect(readQuestion("")).toEqual(START);
  expect(readQuestion("?metric=__proto__&interval=eon&range=2026-02-01..2026-02-30&where=nonsense&where=[1]&where=[%22p%22,%22drop%22]&chart=pie")).toEqual(START);
});

const typesOf = (property: string) => ({ price: ["number"], zip: ["number", "string"], vip: ["boolean"] })[property] ?? ["string"];

test("the request has the types of the properties", () => {
  const conditions = [
    { property: "price", op: "is", values: ["3"] },
    { property: "zip", op: "is_not", values: ["10115"] },
    { property: "vip", op: "is", values: ["true"] },
    { property: "code", op: "is", values: ["7", "8"] },
    { property: "code", op: "contains", values: ["7"] },
    { property: "price", op: "gt", values: ["2"] },
    { property: "unfinished", op: "gt", values: ["much"] },
  ];
  expect(toRequest({ ...START, conditions }, typesOf)["filters"]).toEqual([
    { property: "price", op: "eq", value: 3 },
    { property: "zip", op: "not_in", value: [10115, "10115"] },
    { property: "vip", op: "eq", value: true },
    { property: "code", op: "in", value: ["7", "8"] },
    { property: "code", op: "contains", value: "7" },
    { property: "price", op: "gt", value: 2 },
  ]);
});

test("days are named with both ends in and asked without the end", () => {
  expect(toRequest(FULL, typesOf)).toMatchObject({ metric: "avg:price:net", from: "2026-02-01", to: "2026-03-01", compare: "previous_period", limit: 25 });
  expect(toRequest({ ...START, range: "all", compare: true }, typesOf)).not.toHaveProperty("compare");
});

test("what is missing is told", () => {
  expect(missingPart({ ...START, measure: "sum" })).toMatch(/property/);
  expect(missingPart(FULL)).toBeNull();
  expect(isFinished({ property: "", op: "is_set", values: [] })).toBe(false);
  expect(isFinished({ property: "a", op: "is", values: [] })).toBe(false);
});

test("a question reads as a sentence", () => {
  expect(inWords({ ...START, event: "page_view", groupBy: ["country"] })).toBe("Unique users who did page_view by country daily, last 30 days");
});
