import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import type { QueryAnswer } from "../api/types.ts";
import { jsonLines } from "./jsonText.ts";
import { type LedgerAnswer, lastReceivedMs, ledgerChart, minuteAge, partOf, unaccounted } from "./ledger.ts";
import { barsByName, hourAge, isMixed, matching, namedEvents, seenProperties } from "./names.ts";
import { ADVICE, type Refused, eventToCorrect, examplesOf, fieldOf, refusedCodes, shownLines } from "./rejects.ts";
import { MAX_ROWS, START, type View, readView, writeView } from "./view.ts";
import { wallClock } from "./wallClock.ts";

test("the address holds the whole view and leaves out what is as at the start", () => {
  const full: View = { range: "7d", side: "rejected", find: "a&b=c", only: "quiet", open: '<img src=x onerror="1">', rows: 100 };
  expect(readView(writeView(full))).toEqual(full);
  expect(writeView(START)).toBe("");
  expect(readView("?range=eon&side=__proto__&only=old&rows=-1")).toEqual(START);
  expect(readView("?rows=1e9").rows).toBe(MAX_ROWS);
});

const account = (stored: number, duplicate: number, rejected: number) => ({ received: stored + duplicate + rejected, stored, duplicate, rejected, rejected_by_code: {} });

const LEDGER: LedgerAnswer = {
  from: "2026-03-10T11:50:00Z",
  to: "2026-03-10T12:20:30Z",
  totals: account(7, 2, 1),
  minutes: [
    { time: "2026-03-10T11:59:00Z", ...account(3, 0, 0) },
    { time: "2026-03-10T12:00:00Z", ...account(4, 2, 0) },
    { time: "2026-03-10T12:20:00Z", ...account(0, 0, 1) },
  ],
};

test("the ledger's buckets hold every event of its minutes, on the app's clock", () => {
  const data = ledgerChart(LEDGER, 900_000, "Asia/Tokyo");
  expect(data.times).toEqual(["2026-03-10T20:45:00", "2026-03-10T21:00:00", "2026-03-10T21:15:00"]);
  expect(data.series.map(({ name, values }) => [name, values])).toEqual([
    ["Stored", [3, 4, 0]],
    ["Duplicate", [0, 2, 0]],
    ["Rejected", [0, 0, 1]],
  ]);
  expect(data.partial).toEqual([true, false, true]);
  expect(wallClock("UTC")(Date.parse("2026-03-10T12:00:00Z"))).toBe("2026-03-10T12:00:00");
});

test("what adds up is told, and what does not", () => {
  expect(unaccounted(LEDGER.totals)).toBe(0);
  expect(unaccounted({ ...LEDGER.totals, received: 12 })).toBe(2);
  expect([partOf(0, 9), partOf(1, 9_999), partOf(1, 2), partOf(9_998, 9_999), partOf(9, 9)]).toEqual(["0.0%", "under 0.1%", "50.0%", "over 99.9%", "100.0%"]);
  expect(lastReceivedMs(LEDGER)).toBe(Date.parse("2026-03-10T12:20:00Z"));
  expect(lastReceivedMs(undefined)).toBeNull();
  expect([0, 119, 180, 7_200, 172_800].map((seconds) => minuteAge(0, seconds * 1_000))).toEqual(["within the last two minutes", "within the last two minutes", "3 minutes ago", "2 hours ago", "2 days ago"]);
});

const volume = (event: string | null, events: number, before: number) => ({ event, events, previous: { events: before } });
const VOLUMES: QueryAnswer = {
  results: [volume("page_view", 60, 50), volume("signup", 10, 0), volume("again", 10, 0), volume("refund", 0, 4), volume("$other", 20, 0)],
  metrics: ["events"],
  group_by: ["event"],
  range: { from: "2026-03-09T12:30:00Z", to: "2026-03-10T12:30:00Z" },
  query_time_ms: 1,
  exact: true,
  complete: true,
  scanned_events: 1,
  cached: false,
  timezone: "UTC",
};
const hours = (first_hour: string, last_hour: string) => ({ events: 1, first_hour, last_hour });
const SCHEMA = [
  { name: "signup", ...hours("2026-03-09T12:00:00Z", "2026-03-10T11:00:00Z") },
  { name: "again", ...hours("2026-01-01T00:00:00Z", "2026-03-10T11:00:00Z") },
  { name: "ancient", ...hours("2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z") },
];

test("names are new or gone by the two periods and by when they were first seen", () => {
  const rows = namedEvents(VOLUMES, SCHEMA);
  expect(rows.map(({ name, mark, share }) => [name, mark, share])).toEqual([
    ["page_view", null, 0.6],
    ["again", null, 0.1],
    ["signup", "new", 0.1],
    ["refund", "quiet", 0],
    ["ancient", null, 0],
  ]);
  expect(matching(rows, " SIGN ").map(({ name }) => name)).toEqual(["signup"]);
  expect(matching(rows, "", "quiet").map(({ name }) => name)).toEqual(["refund"]);
  expect(namedEvents({ ...VOLUMES, results: [] }, SCHEMA).every(({ share, mark }) => share === null && mark === null)).toBe(true);
});

test("small charts end now, and hours are as exact as they are known", () => {
  const rows = ["2026-03-10T11:00:00Z", "2026-03-10T12:00:00Z", "2026-03-10T13:00:00Z"].map((time, at) => ({ time, event: "a", events: at }));
  expect(barsByName({ ...VOLUMES, results: rows }, Date.parse("2026-03-10T12:30:00Z")).get("a")?.map(({ events }) => events)).toEqual([0, 1]);
  const now = Date.parse("2026-03-10T12:30:00Z");
  expect([null, "2026-03-10T14:00:00Z", "2026-03-10T12:00:00Z", "2026-03-10T10:00:00Z", "2026-03-01T12:00:00Z"].map((hour) => hourAge(hour, now))).toEqual(["–", "ahead of now", "this hour", "2 h ago", "9 d ago"]);
});

test("properties of some events, with types and different values", () => {
  const events: { properties: Record<string, unknown> }[] = [{ properties: { price: 1, tags: ["a"] } }, { properties: { price: "1" } }, { properties: { price: 1, toString: null } }];
  expect(seenProperties(events)).toEqual([
    { name: "price", events: 3, types: ["number", "string"], samples: [1, "1"] },
    { name: "tags", events: 1, types: ["list"], samples: [["a"]] },
    { name: "toString", events: 1, types: ["null"], samples: [null] },
  ]);
  expect([isMixed(["number", "string"]), isMixed(["number", "null"])]).toEqual([true, false]);
});

test("every code of the server has its advice, and a later one does no harm", () => {
  const source = readFileSync("../crates/event/src/reject.rs", "utf8");
  const codes = [...source.matchAll(/Self::\w+ => "(\w+)"/g)].map(([, code]) => code ?? "");
  expect(codes.length).toBeGreaterThan(10);
  expect(Object.keys(ADVICE).sort()).toEqual(codes.sort());
  expect(refusedCodes({ toString: 1, missing_id: 3, too_old: 0 })).toEqual([
    { code: "missing_id", events: 3, advice: ADVICE["missing_id"] },
    { code: "toString", events: 1, advice: null },
  ]);
});

test("JSON is laid out without a change to what was written", () => {
  expect(jsonLines('{"a":1.10,"b":[ ],"c":{"d":["x,{}\\"",-0]},"e":{}}')).toEqual(["{", '  "a": 1.10,', '  "b": [],', '  "c": {', '    "d": [', '      "x,{}\\"",', "      -0", "    ]", "  },", '  "e": {}', "}"]);
  expect(jsonLines("7")).toEqual(["7"]);
  expect(jsonLines('{"a":')).toBeNull();
  expect(jsonLines("[".repeat(9_000) + "]".repeat(9_000))).toBeNull();
});

const refused = (code: string, message: string, raw: string): Refused => ({ code, message, raw, index: 0, received_at: "2026-03-10T12:00:00Z" });
const marked = (one: Refused) => shownLines(one).flatMap(({ text, atFault }) => (atFault ? [text.trim()] : []));

test("the field at fault is marked", () => {
  expect(marked(refused("invalid_type", "user_id must be a string, not a number", '{"name":"x","user_id":5,"properties":{"user_id":7}}'))).toEqual(['"user_id": 5,']);
  expect(marked(refused("missing_name", "name is missing: give the event a name", '{"user_id":"u"}'))).toEqual([]);
  expect(marked(refused("invalid_property_name", "a property name has 0 bytes", '{"properties":{"":1,"ok":2}}'))).toEqual(['"": 1,']);
  expect(marked(refused("invalid_number", "the number at byte 3", '{"properties":{"a":1e999,"b":18446744073709551615,"c":18446744073709551616,"d":"1e999"}}'))).toEqual(['"a": 1e999,', '"c": 18446744073709551616,']);
  expect(marked(refused("invalid_text", "not UTF-8", '{"name":"a\\ud800"}'))).toEqual(['"name": "a\\ud800"']);
  expect(shownLines(refused("invalid_json", "not valid JSON", "{<b>"))).toEqual([{ text: "{<b>", atFault: false }]);
  expect([fieldOf("properties has 9 bytes"), fieldOf("a property name has 0 bytes"), fieldOf("toString is bad")]).toEqual(["properties", null, null]);
});

test("what is sent again keeps its time and its text", () => {
  const received_at = "2026-03-10T12:00:00Z";
  expect(eventToCorrect({ raw: '{"name":"x","big":12345678901234567890}', received_at })).toBe('{\n  "timestamp": "2026-03-10T12:00:00Z",\n  "name": "x",\n  "big": 12345678901234567890\n}');
  expect(eventToCorrect({ raw: '{"timestamp":1}', received_at })).toBe('{\n  "timestamp": 1\n}');
  expect(eventToCorrect({ raw: "{}", received_at })).toBe('{\n  "timestamp": "2026-03-10T12:00:00Z"\n}');
  expect(["7", "[]", "null", "{", '{"cookieless":true}'].map((raw) => eventToCorrect({ raw, received_at }))).toEqual([null, null, null, null, null]);
});

test("examples are of the code and the range", () => {
  const all = ["2026-03-10T12:00:02Z", "2026-03-10T12:00:01Z", "2026-03-09T12:00:00Z"].map((received_at) => ({ ...refused("missing_id", "m", "{}"), received_at }));
  const from = Date.parse("2026-03-10T00:00:00Z");
  expect(examplesOf(all, "missing_id", from, 5)).toHaveLength(2);
  expect(examplesOf(all, "missing_id", from, 1)).toEqual([all[0]]);
  expect(examplesOf(all, "too_old", from, 5)).toEqual([]);
});
