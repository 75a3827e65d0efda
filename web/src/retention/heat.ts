import { timeLabel } from "../charts/time.ts";
import { valueLabel } from "../format.ts";
import type { Average, CohortRow, RetentionGroup } from "./answer.ts";
import { MAX_COLUMNS, MAX_ROWS } from "./retention.ts";

/** One cell; null where its period has not begun. */
export interface Cell {
  count: number;
  /** Null where there is nobody to come back. */
  share: number | null;
  size: number;
  /** It may still grow. */
  growing: boolean;
}

export interface HeatRow {
  /** Place in the answer; null for a row that adds up others. */
  cohort: number | null;
  name: string;
  size: number;
  cells: (Cell | null)[];
}

export interface Heat {
  rows: HeatRow[];
  /** The number of periods shown. */
  columns: number;
  /** The share that has the full colour: the largest after the first period, which is often everybody. */
  top: number;
  /** Cohorts and periods that are not shown: too many, or before anybody began. */
  hidden: { rows: number; columns: number; empty: number };
}

function cells({ returned, fractions, size, finished_periods }: CohortRow): (Cell | null)[] {
  return returned.map((count, at) => (count === null ? null : { count, share: fractions[at] ?? null, size, growing: at >= finished_periods }));
}

function averageRow(name: string, size: number, average: Average): HeatRow {
  return { cohort: null, name, size, cells: average.returned.map((count, at) => ({ count, share: average.fractions[at] ?? null, size: average.size[at] ?? 0, growing: false })) };
}

function cutDown(rows: HeatRow[]): Heat {
  const shown = rows.slice(-MAX_ROWS).map((row) => ({ ...row, cells: row.cells.slice(0, MAX_COLUMNS) }));
  const all = Math.max(0, ...rows.map((row) => row.cells.length));
  const shares = shown.flatMap((row) => row.cells.slice(1).map((cell) => cell?.share ?? 0));
  return { rows: shown, columns: Math.min(all, MAX_COLUMNS), top: Math.max(0.01, ...shares), hidden: { rows: rows.length - shown.length, columns: Math.max(0, all - MAX_COLUMNS), empty: 0 } };
}

/** Cohorts by time, under all of them together. */
export function cohortHeat(cohorts: readonly CohortRow[], average: Average, period: string): Heat {
  const rows = cohorts.map((row, cohort) => ({ cohort, name: timeLabel(row.time, period), size: row.size, cells: cells(row) }));
  const empty = Math.max(0, rows.findIndex((row) => row.size > 0));
  const heat = cutDown(rows.slice(empty));
  const whole = averageRow("All cohorts", cohorts.reduce((sum, row) => sum + row.size, 0), average);
  return { ...heat, hidden: { ...heat.hidden, empty }, rows: [{ ...whole, cells: whole.cells.slice(0, heat.columns) }, ...heat.rows] };
}

/** The averages of each value of a breakdown. */
export function groupHeat(groups: readonly RetentionGroup[]): Heat {
  return cutDown(groups.map(({ value, size, average }) => averageRow(valueLabel(value), size, average)));
}
