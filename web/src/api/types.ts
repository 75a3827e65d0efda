/** The parts of the HTTP API that the app uses, as `/api/v1/openapi.json` describes them. */

export interface Series {
  /** Start of the first window, ISO 8601. */
  start: string;
  /** Length of a window in milliseconds. */
  step_ms: number;
  events: number[];
  users: number[];
}

/** One state of an app's last minutes. Counts of events are exact, of users and sessions from sketches. */
export interface Live {
  active_users: number;
  active_users_30m: number;
  active_sessions: number;
  events_per_second: number;
  minutes: number;
  series: Series;
  top_events: { event: string; events: number }[];
  top_pages: { page: string; views: number }[];
  conversion: { from: string; to: string; from_users: number; to_users: number; rate: number | null };
  relative_standard_error: number;
}

/** A value of a group, or of a raw property. */
export type Value = string | number | boolean | null;

export interface QueryAnswer {
  results: Record<string, Value>[];
  metrics: string[];
  group_by: string[];
  query_time_ms: number;
  exact: boolean;
  complete: boolean;
  missing?: string[];
  scanned_events: number;
  cached: boolean;
  relative_standard_error?: number;
  timezone: string;
}

export interface Schema {
  events: { name: string; events: number }[];
  properties: { name: string; types: string[]; sample_values: unknown[] }[];
}

/** The error form of every call. */
export interface ErrorForm {
  error: { code: string; message: string; field?: string; request_id?: string };
}
