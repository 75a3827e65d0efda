import type { AnswerFacts, Value } from "../api/types.ts";

/** What is told of some sessions; ratios and lengths of no session are null. */
export interface SessionNumbers {
  sessions: number;
  users: number;
  events: number;
  events_per_session: number | null;
  avg_length_ms: number | null;
  median_length_ms: number | null;
  p90_length_ms: number | null;
  bounces: number;
  bounce_rate: number | null;
}

export interface PageRow {
  page: Value;
  sessions: number;
  share: number | null;
  bounces: number;
  bounce_rate: number | null;
}

export interface LengthBin {
  from_ms: number;
  /** Null for the last bin. */
  to_ms: number | null;
  sessions: number;
  share: number | null;
}

/** The answer of `/sessions`: a row a bucket with `time`, or a row a group with its keys. */
export interface SessionsAnswer extends AnswerFacts {
  sessions: (SessionNumbers & { time?: string } & Record<string, unknown>)[];
  total: SessionNumbers;
  with_page?: number;
  entry_pages?: PageRow[];
  exit_pages?: PageRow[];
  lengths: LengthBin[];
  semantics: {
    session: { idle_ms: number; max_length_ms: number | null };
    bounce: { max_events: number; max_length_ms: number | null };
    pages?: { property: string } | null;
  };
}

/** A day of `/active_users`. */
export interface ActiveDay {
  time: string;
  dau: number;
  wau: number;
  mau: number;
  dau_wau: number | null;
  dau_mau: number | null;
  wau_mau: number | null;
  finished: boolean;
}

/** The answer of `/active_users`; with a group, `all` has the days of everybody. */
export interface ActiveUsersAnswer extends AnswerFacts {
  active_users: (ActiveDay & Record<string, unknown>)[];
  all?: ActiveDay[];
  semantics: { events: string[] | null; windows_days: { dau: number; wau: number; mau: number } };
}
