import type { AnswerFacts, Value } from "../api/types.ts";

/** A step of the answer; the members after `optional` are not on the first. */
export interface StepAnswer {
  step: string;
  users?: number;
  /** In place of `users` where attempts are counted. */
  attempts?: number;
  optional?: boolean;
  conversion?: number | null;
  conversion_from_start?: number | null;
  dropped?: number;
  median_time_ms?: number | null;
  avg_time_ms?: number | null;
}

export interface TrendPoint {
  time: string;
  entered: number;
  converted: number;
  conversion: number | null;
}

export interface Bin {
  from_ms: number;
  to_ms: number;
  count: number;
}

export interface TimeToConvert {
  count: number;
  median_ms: number | null;
  avg_ms: number | null;
  min_ms: number | null;
  max_ms: number | null;
  bins: Bin[];
}

export interface FunnelSemantics {
  mode: string;
  /** Null where there is no window. */
  window_ms?: number | null;
  entry: string;
  range_applies_to: string;
  counting: string;
  optional_steps?: number[];
  exclusions?: { from_step?: number; to_step?: number }[];
  hold_constant?: string[];
  attribution?: string;
}

export interface FunnelGroup {
  value: Value;
  funnel: StepAnswer[];
  trend?: TrendPoint[];
}

export interface FunnelAnswer extends AnswerFacts {
  funnel: StepAnswer[];
  trend?: TrendPoint[];
  breakdown?: FunnelGroup[];
  time_to_convert?: TimeToConvert;
  semantics: FunnelSemantics;
}

export interface PersonRow {
  person: string;
  entered_at: string;
  last_step: number;
  last_step_name: string;
  last_step_at: string;
}

export interface PersonsAnswer extends AnswerFacts {
  persons: PersonRow[];
  /** Of all pages. */
  count: number;
  next_cursor: string | null;
}

export interface PersonAnswer extends AnswerFacts {
  person: string;
  reached: number;
  attempts: number;
  attempt: { step: string; time: string | null }[] | null;
  stopped: { rule: string; words: string };
  events: { name: string; timestamp: string; steps?: number[] }[];
  more_events: boolean;
}

/** How many reached a step: persons, or attempts where those are counted. */
export function countOf(step: StepAnswer): number {
  return step.users ?? step.attempts ?? 0;
}
