import type { Value } from "../api/types.ts";

/** A spreadsheet runs a cell of text that begins with one of these; a quote in front stops it, and is itself quoted. */
const RUNS = /^[=+\-@\t\r']/;

function cell(value: Value): string {
  if (value === null) return "";
  if (typeof value !== "string") return String(value);
  const safe = RUNS.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** RFC 4180, guarded as the export of events is; NULL is the empty cell. */
export function toCsv(names: readonly string[], rows: readonly (readonly Value[])[]): string {
  return [names, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}
