import { expect, test } from "vitest";

import type { PathsAnswer } from "./answer.ts";
import { flowOf } from "./flow.ts";
import { bandPath, layoutOf } from "./layout.ts";
import { type PathsQuestion, START, readPaths, writePaths } from "./question.ts";
import { pathsRequest } from "./request.ts";
import { headsOf, ruleInWords } from "./rule.ts";

const FULL: PathsQuestion = {
  anchor: "end",
  event: "purchase & pay",
  value: "/cart?x=1",
  occurrence: "every",
  steps: 7,
  by: "url",
  collapse: false,
  full: true,
  only: ["page_view"],
  without: ["click", '<img src=x onerror="1">'],
  gap: "1h",
  conditions: [{ property: "country", op: "is", values: ["US"] }],
  range: "2026-02-01..2026-02-28",
};
const typesOf = () => ["string"];

test("the address holds the whole question and leaves out what is as at the start", () => {
  expect(readPaths(writePaths(FULL))).toEqual(FULL);
  expect(readPaths(writePaths(START))).toEqual(START);
  expect(writePaths(START)).toBe("");
  for (const value of [null, 3, true, "x"]) expect(readPaths(writePaths({ ...FULL, value })).value).toBe(value);
});

test("an address that somebody wrote by hand falls back where it is wrong", () => {
  expect(readPaths("?steps=99&occurrence=never&gap=-1&at={broken&by=&range=yesterday&where=[1]&only=")).toEqual(START);
  expect(readPaths("?start=&at=[1]")).toEqual({ ...START, anchor: "start" });
});

test("the request says only what is not the API's own default", () => {
  expect(pathsRequest(START, typesOf)).toEqual({ steps: 4, collapse_repeats: true, range: "7d", limit: 500 });
  expect(pathsRequest(FULL, typesOf)).toEqual({
    end: { event: "purchase & pay", filters: [{ property: "url", op: "eq", value: "/cart?x=1" }] },
    occurrence: "every",
    steps: 7,
    step_by: "url",
    events: ["page_view"],
    exclude: [{ event: "click" }, { event: '<img src=x onerror="1">' }],
    gap: "1h",
    full_length_only: true,
    filters: [{ property: "country", op: "eq", value: "US" }],
    from: "2026-02-01",
    to: "2026-03-01",
    limit: 500,
  });
  expect(pathsRequest({ ...START, anchor: "start" }, typesOf)["start"]).toEqual({ event: null });
  expect(pathsRequest({ ...START, anchor: "start", by: "url", value: null }, typesOf)["start"]).toEqual({ event: null, filters: [{ property: "url", op: "is_not_set" }] });
});

/** The worked example of `docs/analyses/paths.md`. */
const WORKED = {
  paths: [
    { path: ["home", "search"], sequences: 2, users: 2, share: 0.4 },
    { path: ["home", "item"], sequences: 1, users: 1, share: 0.2 },
    { path: ["home", "search", "item"], sequences: 1, users: 1, share: 0.2 },
    { path: ["home", "search", "search"], sequences: 1, users: 1, share: 0.2 },
  ],
  sequences: 5,
  users: 4,
  distinct_paths: 4,
  places: [{ place: 0, sequences: 5, users: 4 }, { place: 1, sequences: 5, users: 4 }, { place: 2, sequences: 2, users: 2 }],
  edges: [
    { from_place: 0, from: "home", to_place: 1, to: "search", sequences: 4, users: 4 },
    { from_place: 0, from: "home", to_place: 1, to: "item", sequences: 1, users: 1 },
    { from_place: 1, from: "search", to_place: 2, to: "item", sequences: 1, users: 1 },
    { from_place: 1, from: "search", to_place: 2, to: "search", sequences: 1, users: 1 },
  ],
  semantics: { steps: 2, step_by: "event", collapse_repeats: false, full_length_only: false, within: "session", anchor: "start", occurrence: "first" },
} as unknown as PathsAnswer;

const sizes = (answer: PathsAnswer, most: number) => flowOf(answer, most).columns.map((nodes) => nodes.map(({ label, sequences, leaving }) => [label, sequences, leaving]));

test("a box is as high as its name is frequent, and what no band leaves ended there", () => {
  expect(sizes(WORKED, 8)).toEqual([[["home", 5, 5]], [["search", 4, 2], ["item", 1, 0]], [["item", 1, 0], ["search", 1, 0]]]);
  expect(flowOf(WORKED, 8).folded).toBe(false);
});

test("rare names of a place are one node, with the ways in and out of them", () => {
  const flow = flowOf(WORKED, 1);
  expect(sizes(WORKED, 1)).toEqual([[["home", 5, 5]], [["search", 4, 2], ["Other", 1, 0]], [["item", 1, 0], ["Other", 1, 0]]]);
  expect(flow.folded).toBe(true);
  expect(flow.bands).toHaveLength(4);
});

test("paths of one step count where they hang", () => {
  const lone = { ...WORKED, paths: [{ path: ["home"], sequences: 3, users: 3, share: 0.5 }, { path: ["search"], sequences: 1, users: 1, share: 0.2 }], edges: [], places: [{ place: 1, sequences: 6, users: 4 }], semantics: { ...WORKED.semantics, anchor: undefined } };
  expect(sizes(lone as unknown as PathsAnswer, 8)).toEqual([[["home", 3, 0], ["search", 1, 0], ["Other", 2, 0]]]);
});

test("nodes do not overlap, bands stay inside their nodes", () => {
  const { nodes, bands, columns, height } = layoutOf(flowOf(WORKED, 8));
  expect(columns).toBe(3);
  for (const band of bands) {
    const [from, to] = [nodes.find((node) => node.key === band.from), nodes.find((node) => node.key === band.to)];
    expect(band.start + band.thickness).toBeLessThanOrEqual((from?.top ?? 0) + (from?.height ?? 0) + 0.001);
    expect(band.end + band.thickness).toBeLessThanOrEqual((to?.top ?? 0) + (to?.height ?? 0) + 0.001);
  }
  const second = nodes.filter((node) => node.column === 1);
  expect(second[1]?.top).toBeGreaterThanOrEqual((second[0]?.top ?? 0) + (second[0]?.height ?? 0));
  expect(height).toBeGreaterThan(300);
  expect(bandPath({ from: "a", to: "b", sequences: 1, column: 0, start: 0, end: 10, thickness: 5 })).toMatch(/^M0 0\.00C0\.5 .*Z$/);
});

test("an answer without a path is an empty picture", () => {
  const none = { ...WORKED, paths: [], places: [], edges: [], sequences: 0 };
  expect(layoutOf(flowOf(none as unknown as PathsAnswer, 8))).toEqual({ nodes: [], bands: [], columns: 0, height: 0 });
});

test("the rule is told from the answer, and columns by their place", () => {
  const rule = { ...WORKED.semantics, session_idle_ms: 1_800_000 };
  expect(ruleInWords(rule)).toBe("a path is the first matching event and up to 2 steps after it within a session (cut at pauses longer than 30 minutes); repeats count each time; paths that end early count");
  expect(ruleInWords({ ...rule, anchor: "end", occurrence: "every", within: "gap", gap_ms: null })).toMatch(/^a path is up to 2 steps before every matching event, and the event within all events of a person/);
  expect(headsOf(WORKED)).toEqual(["Start", "1 after", "2 after"]);
  expect(headsOf({ ...WORKED, places: [{ place: -1, sequences: 1, users: 1 }, { place: 0, sequences: 1, users: 1 }], semantics: { ...rule, anchor: "end" } })).toEqual(["1 before", "End"]);
});
