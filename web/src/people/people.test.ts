import { expect, test } from "vitest";

import type { Cohort, QueryAnswer } from "../api/types.ts";
import type { SqlAnswer } from "../sql/answer.ts";
import { wantsOwner } from "./deletion.ts";
import { cohortsIn, inRequests, membershipRequest } from "./membership.ts";
import { contextOf, hintOf, userProperties } from "./properties.ts";
import { type KnownSession, aboutOf, listedPersons, searchStatement, sessionsOf } from "./statements.ts";
import { type RawEvent, gapInWords, visitsOf } from "./timeline.ts";
import { funnelOf, originName, personAddress, readView, writeView } from "./view.ts";

/** An event at a time of 9 March. */
const event = (clock: string, more: Partial<RawEvent> = {}): RawEvent => ({ name: "view", timestamp: at(clock), user_id: "ann", anonymous_id: null, session_id: null, received_at: at(clock), properties: {}, ...more });
const at = (clock: string) => `2026-03-09T${clock}:00+00:00`;
const session = (from: string, to: string, id: string | null = null, events = 1): KnownSession => ({ id, startedAt: at(from), endedAt: at(to), events });
const clocks = (visits: ReturnType<typeof visitsOf>) => visits.map(({ events }) => events.map(({ timestamp }) => timestamp.slice(11, 16)));

const answer = (names: string[], rows: SqlAnswer["rows"]): SqlAnswer => ({ columns: names.map((name) => ({ name, type: "text" })), rows, query_time_ms: 1, exact: true, complete: true, scanned_events: 1, cached: false });

test("events stand by the session they are of, known ones with their own ends", () => {
  const visits = visitsOf([event("12:20"), event("12:10"), event("09:00")], [session("12:00", "12:20", null, 3), session("09:00", "09:00")]);
  expect(clocks(visits)).toEqual([["12:20", "12:10"], ["09:00"]]);
  expect(visits[0]).toMatchObject({ startedAt: at("12:00"), endedAt: at("12:20"), sessionId: null, session: { events: 3 } });
});

test("sessions side by side stay whole, each where its newest event is", () => {
  const events = [event("12:03", { session_id: "a" }), event("12:02", { session_id: "b" }), event("12:01", { session_id: "a" }), event("12:00")];
  const visits = visitsOf(events, [session("12:01", "12:03", "a"), session("12:02", "12:02", "b"), session("12:00", "12:00")]);
  expect(clocks(visits)).toEqual([["12:03", "12:01"], ["12:02"], ["12:00"]]);
});

test("without known sessions, the client's id or a pause of more than 30 minutes decides", () => {
  const events = [event("12:00"), event("11:30"), event("10:59"), event("10:50", { session_id: "s" }), event("03:00", { session_id: "s" })];
  const visits = visitsOf(events, []);
  expect(clocks(visits)).toEqual([["12:00", "11:30"], ["10:59"], ["10:50", "03:00"]]);
  expect(visits.map(({ startedAt, endedAt }) => [startedAt, endedAt])).toEqual([
    [at("11:30"), at("12:00")],
    [at("10:59"), at("10:59")],
    [at("03:00"), at("10:50")],
  ]);
});

test("an older page only adds at the ends", () => {
  const events = ["12:20", "12:10", "12:05", "09:00", "08:59"].map((clock) => event(clock));
  const sessions = [session("12:05", "12:20"), session("08:59", "09:00")];
  const [first, all] = [visitsOf(events.slice(0, 2), sessions), visitsOf(events, sessions)];
  expect(all.slice(0, first.length).map(({ key }) => key)).toEqual(first.map(({ key }) => key));
  expect(all.map(({ key }) => key)).toHaveLength(new Set(all.map(({ key }) => key)).size);
  expect(clocks(all)[0]?.slice(0, 2)).toEqual(clocks(first)[0]);
});

test.each([
  ["2026-03-09T12:00:00+00:00", "2026-03-12T12:00:00+00:00", "3 days later"],
  ["2026-03-09T12:00:00+00:00", "2026-03-10T12:00:00+00:00", "1 day later"],
  ["2026-03-09T12:00:00+00:00", "2026-03-10T11:59:59+00:00", "23 hours later"],
  ["2026-03-09T12:00:00+01:00", "2026-03-09T12:00:00+00:00", "1 hour later"],
  ["2026-03-09T12:00:00+00:00", "2026-03-09T12:00:01.5+00:00", "1 second later"],
  ["2020-03-09T12:00:00+00:00", "2026-03-09T12:00:00+00:00", "2,191 days later"],
])("from %s to %s: %s", (ended, started, words) => {
  expect(gapInWords(ended, started)).toBe(words);
});

test("no gap between sessions that overlap or touch, or at a time nobody can read", () => {
  expect(gapInWords(at("12:00"), at("11:00"))).toBeNull();
  expect(gapInWords(at("12:00"), at("12:00"))).toBeNull();
  expect(gapInWords("", at("12:00"))).toBeNull();
});

test("of each property the latest event that sets it decides, a member of $set first", () => {
  const events = [
    event("11:00", { name: "$identify", received_at: at("11:00"), properties: { plan: "free", country: "DE", $set: { team: "a" } } }),
    event("12:00", { name: "$set", received_at: at("12:30"), properties: { plan: "old", team: null, $set: { plan: "pro", seats: 3 } } }),
    event("12:00", { name: "$set", received_at: at("12:20"), properties: { $set: { seats: 2, tags: ["x"] } } }),
  ];
  expect(userProperties(events)).toEqual([
    { name: "plan", value: "pro" },
    { name: "seats", value: "3" },
    { name: "tags", value: '["x"]' },
    { name: "team", value: "a" },
  ]);
  expect(contextOf([event("12:00", { properties: { browser: "Firefox", country: null } }), event("11:00", { properties: { country: "FR", browser: "Chrome", url: "/" } })])).toEqual([
    { name: "country", value: "FR" },
    { name: "browser", value: "Firefox" },
  ]);
  expect(hintOf(event("12:00", { properties: { country: "DE", $lib: "web", other: "x", price: 2, url: "/a", empty: "", deep: { x: 1 }, none: null, a: true, b: 1 } }))).toBe("url: /a · price: 2 · other: x");
});

test("ids that were only beside a user id are told apart, and add nothing to the numbers", () => {
  const names = ["of_ids", "event", "user_id", "anonymous_id", "events", "first_seen", "last_seen"];
  const about = aboutOf(
    answer(names, [
      [0, "view", null, null, 6, at("10:00"), at("12:00")],
      [1, null, "ann", null, 3, at("11:00"), at("12:00")],
      [1, null, "ann", "d1", 1, at("10:30"), at("10:30")],
      [1, null, null, "d1", 1, at("10:00"), at("10:00")],
      [1, null, "ann", "d2", 1, at("11:30"), at("11:30")],
    ]),
  );
  expect(about).toEqual({
    ids: [
      { id: "ann", kind: "user", events: 5 },
      { id: "d1", kind: "anonymous", events: 1 },
      { id: "d2", kind: "anonymous", events: 0 },
    ],
    names: [{ name: "view", events: 6 }],
    events: 6,
    firstSeen: at("10:00"),
    lastSeen: at("12:00"),
    cut: false,
  });
});

test("rows are read by the names of their columns; a quote in an id stays in its text", () => {
  expect(searchStatement("o'hara", 50)).toContain("starts_with(user_id, 'o''hara')");
  expect(listedPersons(answer(["events", "person", "found"], [[3, "ann", "d1"]]))[0]).toEqual({ person: "ann", userId: null, anonymousId: null, firstSeen: "", lastSeen: "", events: 3, found: "d1" });
  expect(sessionsOf(answer(["session_id", "started_at", "ended_at", "events", "sessions"], [[null, at("10:00"), at("11:00"), 4, 1_200]]))).toEqual({ sessions: [session("10:00", "11:00", null, 4)], count: 1_200 });
  expect(sessionsOf(answer([], []))).toEqual({ sessions: [], count: 0 });
});

test("cohorts are asked ten to a request, and one with events is one the person is in", () => {
  const cohorts = Array.from({ length: 23 }, (_, at): Cohort => ({ id: `c${at}`, name: `C ${at}`, kind: "dynamic", version: 1, updated_at: "" }));
  expect(inRequests(cohorts).map(({ length }) => length)).toEqual([10, 10, 3]);
  expect(inRequests([])).toEqual([]);
  const some = cohorts.slice(0, 2);
  expect(membershipRequest("ann", some)).toEqual({
    metrics: [
      { fn: "events", name: "c0", filters: [{ property: "cohort:c0", op: "in" }] },
      { fn: "events", name: "c1", filters: [{ property: "cohort:c1", op: "in" }] },
    ],
    segment: { persons: ["ann"] },
    range: "all",
  });
  expect(cohortsIn({ results: [{ c0: 0, c1: 5 }], metrics: ["c0", "c1"] } as unknown as QueryAnswer, some).map(({ id }) => id)).toEqual(["c1"]);
});

test.each([
  "",
  "?search=o%27hara&shown=500",
  "?id=ann&event=buy&shown=300&beside=cohorts&from=%2Ffunnels%3Fstep%3Da%26people%3D2-dropped",
  "?id=%3Cimg%3E&beside=delete",
  "?deletion=del_1",
])("the address %j says all of what is shown", (search) => {
  expect(writeView(readView(search))).toBe(search);
});

test("an address that was written by hand is read as far as it makes sense", () => {
  expect(readView("?id=&shown=7")).toEqual({ show: "list", search: "", shown: 50 });
  expect(readView("?id=a&shown=250&beside=x&from=//elsewhere.example/people")).toEqual({ show: "person", id: "a", event: null, shown: 300, beside: null, from: null });
  expect(readView("?id=a&shown=999999")).toMatchObject({ shown: 1_000 });
  expect(readView(`?id=a&from=${encodeURIComponent("/settings")}`)).toMatchObject({ from: null });
});

test("a person knows the way back, and the funnel they were found in", () => {
  const found = readView(personAddress("a&b", "/funnels?step=x&people=2-dropped").slice("/people".length));
  expect(found).toMatchObject({ id: "a&b", from: "/funnels?step=x&people=2-dropped" });
  expect(originName("/funnels?step=x")).toBe("the funnel");
  expect(funnelOf("/funnels?step=x")).toBe("?step=x");
  expect(funnelOf("/cohorts?id=x")).toBeNull();
});

test("a key may be one that deletes; of logins only an owner's does", () => {
  const login = { app: "a", key: null };
  expect([{ app: "a", key: "rk_1" }, { ...login, role: "owner" as const }, { ...login, role: "editor" as const }, { ...login, role: "viewer" as const }, login].map(wantsOwner)).toEqual([false, false, true, true, true]);
});
