import type { Value } from "../api/types.ts";
import type { Tile } from "./board.ts";

export interface Rows {
  names: string[];
  rows: Value[][];
}

const isScalar = (value: unknown): value is Value => value === null || ["string", "number", "boolean"].includes(typeof value);

/** Lists spread to a column each, names of inner values joined to those of outer ones. */
function flat(row: object): Record<string, Value> {
  const cells: Record<string, Value> = {};
  for (const [name, value] of Object.entries(row) as [string, unknown][]) {
    if (isScalar(value)) cells[name] = value;
    else if (name === "path" && Array.isArray(value)) cells[name] = value.map(String).join(" > ");
    else if (typeof value === "object") for (const [inner, one] of Object.entries(flat(value))) cells[`${name}_${inner}`] = one;
  }
  return cells;
}

function ofObjects(objects: readonly object[]): Rows {
  const rows = objects.map(flat);
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return { names, rows: rows.map((row) => names.map((name) => row[name] ?? null)) };
}

/** The list of an answer that its tile shows. */
const LISTS: Record<string, string> = { query: "results", funnel: "funnel", retention: "retention", paths: "paths", sessions: "sessions", active_users: "active_users", lifecycle: "lifecycle", stickiness: "stickiness" };

/** What a tile shows, as the rows of a table. */
export function rowsOf({ call = "" }: Tile, answer: object): Rows {
  const members = answer as Record<string, unknown>;
  if (call === "sql") {
    const { columns, rows } = members as { columns: { name: string }[]; rows: Value[][] };
    return { names: columns.map(({ name }) => name), rows };
  }
  const list = members[LISTS[call] ?? ""];
  return ofObjects(Array.isArray(list) ? (list as object[]) : []);
}
