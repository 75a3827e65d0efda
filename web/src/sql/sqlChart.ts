import type { Value } from "../api/types.ts";
import type { ChartData } from "../charts/data.ts";
import { coloured } from "../charts/palette.ts";
import { valueLabel } from "../format.ts";
import { type SqlAnswer, isNumeric, isTime } from "./answer.ts";

/** What a chart of an answer is made of. */
export interface SqlChart {
  data: ChartData;
  /** How finely its times are told. */
  interval: string;
  /** Why the chart does not hold all of the table, where it does not. */
  note: string | null;
}

/** As many as there are colours. */
const MAX_LINES = 8;
const number = (value: Value | undefined) => (typeof value === "number" ? value : null);
const instant = (value: Value | undefined) => (typeof value === "string" ? (value.length === 10 ? `${value}T00:00:00Z` : value) : "");

/** The coarsest interval that all times begin: days at midnight, months on the first. */
export function intervalOf(times: readonly string[]): string {
  if (!times.every((time) => time.slice(11, 16) === "00:00")) return "minute";
  return times.length > 1 && times.every((time) => time.slice(8, 10) === "01") ? "month" : "day";
}

function overTime(answer: SqlAnswer, nameColumn: number | null, numberColumns: number[]): SqlChart | null {
  const times = [...new Set(answer.rows.map((row) => instant(row[0])))].filter((time) => !Number.isNaN(Date.parse(time)));
  times.sort((a, b) => Date.parse(a) - Date.parse(b));
  const places = new Map(times.map((time, place) => [time, place]));
  const lines = new Map<string, (number | null)[]>();
  for (const row of answer.rows) {
    const at = places.get(instant(row[0]));
    if (at === undefined) continue;
    for (const column of numberColumns) {
      const name = nameColumn === null ? (answer.columns[column]?.name ?? "") : valueLabel(row[nameColumn]);
      const values = lines.get(name) ?? times.map(() => null);
      // Rows that differ in something else than time and name are no line.
      if (values[at] !== null) return null;
      values[at] = number(row[column]);
      lines.set(name, values);
    }
  }
  const series = [...lines].slice(0, MAX_LINES).map(([name, values]) => ({ name, group: [name], other: false, place: null, values, previous: null }));
  if (times.length === 0) return null;
  const data: ChartData = { metric: series[0]?.name ?? "", times, previousTimes: times.map(() => ""), partial: times.map(() => false), series: series.length === 1 ? series : coloured(series) };
  const note = lines.size > MAX_LINES ? `The first ${MAX_LINES} of ${lines.size} lines; the table has all.` : null;
  return { data, interval: intervalOf(times), note };
}

function byName(answer: SqlAnswer, column: number): SqlChart {
  const series = answer.rows.map((row) => ({ name: valueLabel(row[0]), group: [row[0] ?? null], other: false, place: null, values: [number(row[column])], previous: null }));
  const metric = answer.columns[column]?.name ?? "";
  return { data: { metric, times: [], previousTimes: [], partial: [], series }, interval: "", note: null };
}

/**
 * The chart that an answer suggests: lines over a first column of times (a line for each column of numbers, or for each value of a
 * column of text beside one of numbers), or a bar for each row where the first column is text. Nothing where it suggests none.
 */
export function sqlChart(answer: SqlAnswer): SqlChart | null {
  const [first, second] = answer.columns;
  if (first === undefined || answer.rows.length === 0) return null;
  const numbers = answer.columns.flatMap((column, at) => (at > 0 && isNumeric(column) ? [at] : []));
  const [firstNumber] = numbers;
  if (firstNumber === undefined) return null;
  if (!isTime(first)) return isNumeric(first) ? null : byName(answer, firstNumber);
  const named = second !== undefined && !isNumeric(second) && !isTime(second);
  return named ? overTime(answer, 1, [firstNumber]) : overTime(answer, null, numbers);
}
