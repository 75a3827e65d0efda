import type { AnswerFacts, Value } from "../api/types.ts";

/** Persons whose start event lies in the period that begins at `time`, and how many of them came back in each period. */
export interface CohortRow {
  time: string;
  size: number;
  /** Null where the period has not begun. */
  returned: (number | null)[];
  fractions: (number | null)[];
  /** So many of the first periods are over; the others may grow. */
  finished_periods: number;
}

/** All cohorts whose period is over, added up. */
export interface Average {
  size: number[];
  returned: number[];
  fractions: (number | null)[];
}

export interface RetentionGroup {
  value: Value;
  size: number;
  retention: CohortRow[];
  average: Average;
}

export interface RetentionSemantics {
  start_event: string;
  return_event: string;
  period: string;
  bucketing: string;
  entry: string;
  mode: string;
}

export interface RetentionAnswer extends AnswerFacts {
  retention: CohortRow[];
  average: Average;
  breakdown?: RetentionGroup[];
  semantics: RetentionSemantics;
}
