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
/** Why there is no chart. */
export const NO_CHART = "A chart needs a first column of times or texts, and numbers beside it.";
export const REPEATED = "Several rows have the same time and name, so they are no lines: group by these two alone, or leave the others out.";
const number = (value: Value | undefined) => (typeof value === "number" ? value : null);
const instant = (value: Value | undefined) => (typeof value === "string" ? (value.length === 10 ? `${value}T00:00:00Z` : value) : "");

/** The coarsest interval that all times begin: days at midnight, months on the first. */
export function intervalOf(times: readonly string[]): string {
  if (!times.every((time) => time.slice(11, 16) === "00:00")) return "minute";
  return times.length > 1 && times.every((time) => time.slice(8, 10) === "01") ? "month" : "day";
}

function overTime(answer: SqlAnswer, nameColumn: number | null, numberColumns: number[]): SqlChart | string {
  const times = [...new Set(answer.rows.map((row) => instant(row[0])))].filter((time) => !Number.isNaN(Date.parse(time)));
  times.sort((a, b) => Date.parse(a) - Date.parse(b));
  const places = new Map(times.map((time, place) => [time, place]));
  // By the value: a text may read as what is not set does.
  const lines = new Map<string, { name: string; value: Value; values: (number | null)[] }>();
  const taken = new Set<string>();
  for (const row of answer.rows) {
    const at = places.get(instant(row[0]));
    if (at === undefined) continue;
    for (const column of numberColumns) {
      const value = nameColumn === null ? column : (row[nameColumn] ?? null);
      const key = JSON.stringify(value);
      // Rows that differ in something else than time and name are no line.
      if (taken.has(`${at} ${key}`)) return REPEATED;
      taken.add(`${at} ${key}`);
      const name = nameColumn === null ? (answer.columns[column]?.name ?? "") : valueLabel(value);
      const line = lines.get(key) ?? { name, value: nameColumn === null ? name : value, values: times.map(() => null) };
      line.values[at] = number(row[column]);
      lines.set(key, line);
    }
  }
  const series = [...lines.values()].slice(0, MAX_LINES).map(({ name, value, values }) => ({ name, group: [value], other: false, place: null, values, previous: null }));
  if (times.length === 0) return NO_CHART;
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
 * column of text beside one of numbers), or a bar for each row where the first column is text. In words why there is none, else.
 */
export function sqlChart(answer: SqlAnswer): SqlChart | string {
  const [first, second] = answer.columns;
  if (first === undefined || answer.rows.length === 0) return NO_CHART;
  const numbers = answer.columns.flatMap((column, at) => (at > 0 && isNumeric(column) ? [at] : []));
  const [firstNumber] = numbers;
  if (firstNumber === undefined) return NO_CHART;
  if (!isTime(first)) return isNumeric(first) ? NO_CHART : byName(answer, firstNumber);
  const named = second !== undefined && !isNumeric(second) && !isTime(second);
  return named ? overTime(answer, 1, [firstNumber]) : overTime(answer, null, numbers);
}
