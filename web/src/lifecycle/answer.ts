import type { AnswerFacts } from "../api/types.ts";

export interface LifecyclePeriod {
  time: string;
  new: number;
  returning: number;
  resurrected: number;
  /** Zero or less. */
  dormant: number;
  finished: boolean;
}

/** The answer of `/lifecycle`. */
export interface LifecycleAnswer extends AnswerFacts {
  lifecycle: LifecyclePeriod[];
  semantics: { events: string[] | null; period: string };
}

export interface StickinessRow {
  periods: number;
  users: number;
  fraction: number | null;
  users_at_least: number;
}

/** The answer of `/stickiness`. */
export interface StickinessAnswer extends AnswerFacts {
  stickiness: StickinessRow[];
  users: number;
  finished: boolean;
  semantics: { events: string[] | null; period: string };
}
