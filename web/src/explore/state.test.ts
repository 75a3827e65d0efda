import { expect, test } from "vitest";

import { readQuestion, toRequest, writeQuestion } from "./state.ts";

test("the address keeps the whole question", () => {
  const question = {
    metric: "unique_users",
    event: "page_view & <b>",
    groupBy: "country",
    interval: "",
    range: "7d",
    filters: [
      { property: "url", op: "contains", value: "a~b=c&d" },
      { property: "price", op: "gt", value: "10" },
    ],
  };
  expect(readQuestion(writeQuestion(question))).toEqual(question);
});

test("an address from elsewhere falls back to what is known", () => {
  expect(readQuestion("?metric=drop&interval=eon&filter=x&filter=a~like~b&range=7d")).toMatchObject({ metric: "events", interval: "day", range: "7d", filters: [] });
});

test("filters carry the type of their property, and unfinished ones wait", () => {
  const question = readQuestion("?filter=price~gt~10&filter=plan~eq~free&filter=code~eq~404&filter=ok~is_set~&filter=half~eq~&by=&interval=");
  const request = toRequest(question, (property) => (property === "code" ? ["number"] : ["string"]));
  expect(request).toEqual({
    metric: "events",
    range: "30d",
    limit: 8,
    filters: [
      { property: "price", op: "gt", value: 10 },
      { property: "plan", op: "eq", value: "free" },
      { property: "code", op: "eq", value: 404 },
      { property: "ok", op: "is_set" },
    ],
  });
});
