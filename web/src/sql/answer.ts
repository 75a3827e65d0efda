import type { Value } from "../api/types.ts";

export interface SqlColumn {
  name: string;
  type: "text" | "integer" | "number" | "boolean" | "time" | "date";
}

/** The answer of `/sql`. */
export interface SqlAnswer {
  columns: SqlColumn[];
  rows: Value[][];
  query_time_ms: number;
  exact: boolean;
  complete: boolean;
  missing?: string[];
  scanned_events: number;
  cached: boolean;
}

export const isNumeric = ({ type }: SqlColumn) => type === "integer" || type === "number";
export const isTime = ({ type }: SqlColumn) => type === "time" || type === "date";
