import type { AnswerFacts, Value } from "../api/types.ts";

export interface PathRow {
  /** Names of the steps, or `$other` for the folded rest. */
  path: Value[] | "$other";
  sequences: number;
  users: number;
  share: number | null;
}

export interface Edge {
  from_place: number;
  from: Value;
  to_place: number;
  to: Value;
  sequences: number;
  users: number;
}

export interface PathsSemantics {
  steps: number;
  step_by: string;
  collapse_repeats: boolean;
  full_length_only: boolean;
  /** `session`, or `gap`. */
  within: string;
  session_idle_ms?: number;
  gap_ms?: number | null;
  anchor?: "start" | "end";
  occurrence?: string;
}

/** The answer of `/paths`. */
export interface PathsAnswer extends AnswerFacts {
  paths: PathRow[];
  sequences: number;
  users: number;
  distinct_paths: number;
  places: { place: number; sequences: number; users: number }[];
  edges: Edge[];
  semantics: PathsSemantics;
}
