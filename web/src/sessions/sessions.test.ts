import { expect, test } from "vitest";

import type { ActiveDay } from "./answer.ts";
import { type SessionsQuestion, START, readSessions, writeSessions } from "./question.ts";
import { activeUsersRequest, breakdownRequest, sessionsRequest } from "./request.ts";
import { activeSeries, binName, daysSoFar, lastWhole, sessionSeries } from "./series.ts";

const FULL: SessionsQuestion = {
  side: "active",
  event: "a&b=c",
  conditions: [{ property: "country", op: "is", values: ["US", '<img src=x onerror="1">'] }],
  by: "device_type",
  range: "2026-02-01..2026-02-28",
  interval: "week",
  measure: "bounce_rate",
  page: "screen",
  idle: "15m",
  bounceEvents: "2",
  bounceLength: "10s",
};
const typesOf = () => ["string"];

test("the address holds the whole question and leaves out what is as at the start", () => {
  expect(readSessions(writeSessions(FULL))).toEqual(FULL);
  expect(writeSessions(START)).toBe("");
  expect(readSessions("")).toEqual(START);
  expect(readSessions("?side=up&interval=eon&measure=__proto__&idle=-1&bounce=99&within=x&page=&range=..&where={")).toEqual(START);
});

test("requests say only what is not the API's own default", () => {
  expect(sessionsRequest(START, typesOf)).toEqual({ interval: "day", range: "30d", pages: { property: "url", limit: 10 } });
  expect(breakdownRequest(FULL, typesOf)).toEqual({
    group_by: "device_type",
    limit: 10,
    event: "a&b=c",
    filters: [{ property: "country", op: "in", value: ["US", '<img src=x onerror="1">'] }],
    from: "2026-02-01",
    to: "2026-03-01",
    session: { idle: "15m" },
    bounce: { max_events: 2, max_length: "10s" },
  });
  expect(activeUsersRequest(START, typesOf)).toEqual({ range: "30d" });
  expect(activeUsersRequest(FULL, typesOf)).toMatchObject({ group_by: "device_type", event: "a&b=c" });
});

test("buckets that have not begun are not there, and the one of now is not whole", () => {
  const numbers = { sessions: 5, users: 3, events: 9, events_per_session: 1.8, avg_length_ms: 1, median_length_ms: 1, p90_length_ms: 1, bounces: 2, bounce_rate: null };
  const rows = ["2026-03-09T00:00:00Z", "2026-03-10T00:00:00Z", "2026-03-11T00:00:00Z"].map((time) => ({ ...numbers, time }));
  const answer = { sessions: rows, range: { from: "2026-03-09T00:00:00Z", to: "2026-03-12T00:00:00Z" } };
  const data = sessionSeries(answer, "sessions", "Sessions", Date.parse("2026-03-10T12:00:00Z"));
  expect(data.series[0]?.values).toEqual([5, 5]);
  expect(data.partial).toEqual([false, true]);
  expect(sessionSeries(answer, "bounce_rate", "Bounce rate", Date.now()).series[0]?.values).toEqual([null, null, null]);
});

test("the day whose numbers are told is over", () => {
  const day = (time: string, dau: number, finished: boolean): ActiveDay => ({ time, dau, wau: 2, mau: 4, dau_wau: 0.5, dau_mau: 0.25, wau_mau: 0.5, finished });
  const days = [day("2026-03-09T00:00:00Z", 1, true), day("2026-03-10T00:00:00Z", 2, false), day("2026-03-11T00:00:00Z", 0, false)];
  const known = daysSoFar(days, Date.parse("2026-03-10T12:00:00Z"));
  expect(known).toHaveLength(2);
  expect(lastWhole(known)?.dau).toBe(1);
  expect(lastWhole(known.slice(1))?.dau).toBe(2);
  expect(lastWhole<ActiveDay>([])).toBeUndefined();
  const data = activeSeries(known, [{ name: "Daily", of: ({ dau }) => dau }, { name: "Monthly", of: ({ mau }) => mau }]);
  expect(data.series.map(({ name, values }) => [name, values])).toEqual([["Daily", [1, 2]], ["Monthly", [4, 4]]]);
  expect(new Set(data.series.map(({ place }) => place)).size).toBe(2);
  expect(data.partial).toEqual([false, true]);
});

test("bins are named by their ends", () => {
  expect(binName({ from_ms: 0, to_ms: 1_000 })).toBe("under 1 second");
  expect(binName({ from_ms: 30_000, to_ms: 60_000 })).toBe("30 seconds to 1 minute");
  expect(binName({ from_ms: 3_600_000, to_ms: null })).toBe("1 hour and longer");
});
