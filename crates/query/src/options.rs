use std::time::Duration;

use event::AppId;
use jiff::civil::Weekday;

use crate::cohorts::Cohorts;
use crate::metrics::Metrics;

/// What the meaning of a question depends on besides its text.
#[derive(Clone, Debug)]
pub struct AppSettings {
    /// The app, from the credential alone.
    pub app: AppId,
    /// IANA name of the zone in which days begin, such as `Europe/Berlin`.
    pub timezone: String,
    /// First day of a week; Monday unless the app says otherwise.
    pub week_start: Weekday,
    /// A longer pause than this begins a new session, in milliseconds; 30 minutes unless the app says otherwise.
    pub session_idle_ms: i64,
    /// The saved cohorts that the question uses; the service looks them up where there are none here.
    pub cohorts: Cohorts,
    /// The saved metrics that the question uses, as the cohorts.
    pub metrics: Metrics,
    /// Where the app's events begin, for questions about all time; the service looks it up for these. Later than now where there are none.
    pub first_event_ms: Option<i64>,
}

impl AppSettings {
    /// The settings of a new app: UTC, weeks from Monday, sessions cut after 30 idle minutes.
    pub fn new(app: AppId) -> Self {
        Self {
            app,
            timezone: "UTC".to_owned(),
            week_start: Weekday::Monday,
            session_idle_ms: 30 * 60_000,
            cohorts: Cohorts::default(),
            metrics: Metrics::default(),
            first_event_ms: None,
        }
    }
}

/// The bounds of asking.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// How long an answer is given again to the same question.
    pub cache_ttl: Duration,
    /// Memory of kept answers; 0 keeps none.
    pub cache_bytes: usize,
    /// Longest run of one query.
    pub time_limit: Duration,
    /// Longest wait for a turn before the answer is "busy".
    pub max_queue_wait: Duration,
    /// Working memory of one query.
    pub memory_bytes_per_query: usize,
    /// Working memory of all running queries together.
    pub memory_bytes_total: usize,
    /// Most groups one query may hold before folding.
    pub max_groups: usize,
    /// Most rows in one answer, zero-filled ones included.
    pub max_result_rows: usize,
    /// Queries that run at the same time; each has a thread of its own.
    pub max_concurrent: usize,
    /// By how much the threads of queries stand back behind everything else in the process: 0 (not at all) to 19, as of nice(1).
    pub niceness: i32,
    /// Queries that wait for their turn; one more is answered "busy" at once.
    pub max_queued: usize,
    /// Exports that run at the same time, each with a thread of its own; one more is answered "busy" at once.
    pub max_concurrent_exports: usize,
    /// A client that takes no piece of its file for so long loses it.
    pub export_stall_limit: Duration,
}

impl Default for QueryOptions {
    fn default() -> Self {
        Self {
            cache_ttl: Duration::from_secs(5),
            cache_bytes: 32 << 20,
            time_limit: Duration::from_secs(10),
            max_queue_wait: Duration::from_secs(10),
            memory_bytes_per_query: 1 << 30,
            memory_bytes_total: 2 << 30,
            max_groups: 1_000_000,
            max_result_rows: 100_000,
            max_concurrent: 4,
            niceness: 10,
            max_queued: 64,
            max_concurrent_exports: 2,
            export_stall_limit: Duration::from_secs(60),
        }
    }
}
