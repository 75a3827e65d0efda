/** The parts of the HTTP API that the app uses, as `/api/v1/openapi.json` describes them. */

/** One entry a window, oldest first; the last window is still open. */
export interface LiveSeries {
  /** Start of the first window, ISO 8601. */
  start: string;
  /** Length of a window in milliseconds. */
  step_ms: number;
  events: number[];
  users: number[];
  sessions: number[];
  from_users: number[];
  to_users: number[];
}

export interface LiveConversion {
  from: string;
  to: string;
  from_users: number;
  to_users: number;
  /** `to_users / from_users`, at most 1; null without users to start from. */
  rate: number | null;
}

/** One state of an app's last minutes. Counts of events are exact, of users and sessions from sketches. */
export interface Live {
  /** Persons with an event in the last 5 minutes. */
  active_users: number;
  active_users_30m: number;
  active_sessions: number;
  events_per_second: number;
  minutes: number;
  series: LiveSeries;
  top_events: { event: string; events: number }[];
  top_pages: { page: string; views: number }[];
  conversion: LiveConversion;
  relative_standard_error: number;
}

/** A value of a group. */
export type Value = string | number | boolean | null;

/** One row: `time` where there is an interval, the group keys, the metrics, and `previous` where periods are compared. */
export type Row = Record<string, Value | Record<string, Value>>;

/** A name of the question that the app does not have. The server says so where something asked for is nowhere in the answer. */
export interface Hint {
  message: string;
}

/** How an answer came about; every analysis says so. */
export interface AnswerFacts {
  query_time_ms: number;
  exact: boolean;
  complete: boolean;
  /** Why it is not complete. */
  missing?: string[];
  scanned_events: number;
  cached: boolean;
  relative_standard_error?: number;
  /** IANA name of the zone in which days are cut. */
  timezone: string;
  range: { from: string; to: string };
  hints?: Hint[];
}

export interface QueryAnswer extends AnswerFacts {
  results: Row[];
  metrics: string[];
  group_by: string[];
  previous_range?: { from: string; to: string };
}

export interface SchemaEvent {
  name: string;
  events: number;
  /** The hours of its first and last event, by the time of the event. */
  first_hour?: string;
  last_hour?: string;
}

export interface SchemaProperty {
  name: string;
  types: string[];
  events: number;
  sample_values: unknown[];
}

export interface Schema {
  events: SchemaEvent[];
  properties: SchemaProperty[];
}

/** A saved set of persons: a rule, or a list. */
export interface Cohort {
  id: string;
  name: string;
  kind: "dynamic" | "static";
  version: number;
  updated_at: string;
}

/** The error form of every call. */
export interface ErrorForm {
  error: { code: string; message: string; field?: string; request_id?: string };
}
