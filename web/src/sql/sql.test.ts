import { expect, test } from "vitest";

import type { SqlAnswer, SqlColumn } from "./answer.ts";
import { toCsv } from "./csv.ts";
import { MAX_REMEMBERED, readStatements, withStatement } from "./history.ts";
import { indent, outdent } from "./indent.ts";
import { lineAt, offsetOf, positionIn } from "./problem.ts";
import { NO_CHART, REPEATED, type SqlChart, intervalOf, sqlChart } from "./sqlChart.ts";
import { readStatement, writeStatement } from "./statement.ts";
import { propertyInSql } from "./tables.ts";

const answer = (columns: SqlColumn[], rows: SqlAnswer["rows"]): SqlAnswer => ({ columns, rows, query_time_ms: 1, exact: true, complete: true, scanned_events: 1, cached: false });
const DAY: SqlColumn = { name: "day", type: "time" };
const EVENTS: SqlColumn = { name: "events", type: "integer" };
const COUNTRY: SqlColumn = { name: "country", type: "text" };

test("the address holds the statement, whatever is in it", () => {
  const statement = { sql: "SELECT '&q=#%' AS x\nFROM events", view: "chart" } as const;
  expect(readStatement(writeStatement(statement))).toEqual(statement);
  expect(writeStatement({ sql: "", view: "table" })).toBe("");
  expect(readStatement("?view=pie&q=%E0%A4%A")).toMatchObject({ view: "table" });
});

test("a CSV quotes what must be quoted and nothing in it runs", () => {
  expect(toCsv(["a", "b,c"], [["x\"y", 1.5], [null, true], ["=1+1", -2], ["'q", "two\nlines"]])).toBe('a,"b,c"\r\n"x""y",1.5\r\n,true\r\n\'=1+1,-2\r\n\'\'q,"two\nlines"\r\n');
});

test("history keeps each statement once, newest first, and no more than it should", () => {
  expect(withStatement(["a", "b"], "b")).toEqual(["b", "a"]);
  expect(withStatement(Array.from({ length: 30 }, (_, at) => String(at)), "new")).toHaveLength(MAX_REMEMBERED);
  expect(readStatements("{broken")).toEqual([]);
  expect(readStatements('["a", 1]')).toEqual(["a"]);
});

test("Tab indents and takes it back", () => {
  expect(indent({ text: "ab", start: 1, end: 1 })).toEqual({ text: "a  b", start: 3, end: 3 });
  const two = { text: "one\ntwo\nthree", start: 1, end: 5 };
  const moved = { text: "  one\n  two\nthree", start: 3, end: 9 };
  expect(indent(two)).toEqual(moved);
  expect(outdent(moved)).toEqual(two);
  expect(outdent({ text: " a", start: 2, end: 2 })).toEqual({ text: "a", start: 1, end: 1 });
  expect(outdent({ text: "a", start: 0, end: 0 })).toEqual({ text: "a", start: 0, end: 0 });
});

test("the place of a problem is found in the text", () => {
  const sql = "SELECT event\nWHERE event = = 1";
  const position = positionIn("this is not SQL that can be read: Expected: an expression, found: = at Line: 2, Column: 15");
  expect(position).toEqual({ line: 2, column: 15 });
  expect(position !== null && sql.slice(offsetOf(sql, position))).toBe("= 1");
  expect(position !== null && lineAt(sql, position)).toEqual({ before: "WHERE event = ", after: "= 1" });
  expect(positionIn("there is no column x")).toBeNull();
  expect(offsetOf("a", { line: 9, column: 9 })).toBe(1);
});

function drawn(given: SqlAnswer): SqlChart {
  const chart = sqlChart(given);
  if (typeof chart === "string") throw new Error(chart);
  return chart;
}

test("times and numbers are lines, a text beside them names the lines", () => {
  const rows: SqlAnswer["rows"] = [["2026-03-02T00:00:00Z", "DE", 2], ["2026-03-01T00:00:00Z", "US", 1], ["2026-03-01T00:00:00Z", "DE", null]];
  const chart = drawn(answer([DAY, COUNTRY, EVENTS], rows));
  expect(chart.data.times).toEqual(["2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"]);
  expect(chart.data.series.map(({ name, values }) => [name, values])).toEqual([["DE", [null, 2]], ["US", [1, null]]]);
  const wide = drawn(answer([{ name: "d", type: "date" }, EVENTS, { name: "x", type: "number" }], [["2026-03-01", 1, 0.5]]));
  expect(wide.data.series.map((series) => series.name)).toEqual(["events", "x"]);
  expect(wide.interval).toBe("day");
});

test("text and numbers are bars; what suggests no chart has none", () => {
  expect(drawn(answer([COUNTRY, EVENTS], [[null, 3], ["US", 1]])).data.series.map(({ name, values }) => [name, values[0]])).toEqual([["(not set)", 3], ["US", 1]]);
  expect(sqlChart(answer([COUNTRY], [["US"]]))).toBe(NO_CHART);
  expect(sqlChart(answer([EVENTS, EVENTS], [[1, 2]]))).toBe(NO_CHART);
  expect(sqlChart(answer([DAY, EVENTS], []))).toBe(NO_CHART);
  // By device as well: two rows of one day and country.
  expect(sqlChart(answer([DAY, COUNTRY, EVENTS], [["2026-03-01", "US", 3], ["2026-03-01", "US", 4]]))).toBe(REPEATED);
  expect(sqlChart(answer([DAY, EVENTS], [["2026-03-01", null], ["2026-03-01", 4]]))).toBe(REPEATED);
  expect(sqlChart(answer([DAY, COUNTRY, EVENTS], [["2026-03-01", null, 3], ["2026-03-01", "(not set)", 4]]))).toMatchObject({ data: { series: [{ group: [null], values: [3] }, { group: ["(not set)"], values: [4] }] } });
  expect(intervalOf(["2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"])).toBe("month");
  expect(intervalOf(["2026-03-01T10:00:00Z"])).toBe("minute");
});

test("a property is read by the type that it has", () => {
  expect(propertyInSql({ name: "price", types: ["number"] })).toBe("number(properties['price'])");
  expect(propertyInSql({ name: "it's", types: ["string"] })).toBe("properties['it''s']");
  expect(propertyInSql({ name: "zip", types: ["number", "string"] })).toBe("properties['zip']");
});
