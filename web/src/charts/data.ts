import type { Value } from "../api/types.ts";

/** One line, or one bar of each bucket. */
export interface ChartSeries {
  name: string;
  /** Values of the group keys, in their order. */
  group: Value[];
  /** The folded rest. */
  other: boolean;
  /** Place in the palette; `null` for the accent, where position and not colour tells series apart. */
  place: number | null;
  values: (number | null)[];
  /** Of the period before, where it was asked for. */
  previous: (number | null)[] | null;
}

/** What charts and tables show: buckets of time with series, or without an interval one value a series. */
export interface ChartData {
  metric: string;
  /** Starts of the buckets, ISO 8601 in the app's zone; other texts stand on the axis as they are. */
  times: string[];
  /** In place of `times` on the axis, where those are too long for it. */
  ticks?: string[];
  previousTimes: string[];
  /** Buckets that are cut by an end of the range, or not over yet. */
  partial: boolean[];
  series: ChartSeries[];
}
