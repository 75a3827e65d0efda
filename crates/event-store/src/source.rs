use std::sync::Arc;

use event::{AppId, TimestampMs, UniqueSketch};

use crate::context::{QueryContext, QueryError};
use crate::explain::Work;
use crate::funnel_plan::{FunnelPersonPlan, FunnelPersonsPage, FunnelPersonsPlan, FunnelPlan, FunnelStory, FunnelTable};
use crate::paths_plan::{PathsPlan, PathsTable};
use crate::plan::{AggregatePlan, EventsPlan, Scan, Value};
use crate::retention_plan::{ActivityPlan, ActivityTable, RetentionPlan, RetentionTable};
use crate::rows::RowSource;
use crate::segment::{SegmentPersonsPage, SegmentPersonsPlan, SegmentRead};
use crate::sessions_plan::{SessionsPlan, SessionsTable};

/// How an answer came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanStats {
    /// Events read after pruning, those for segments left out.
    pub scanned_events: u64,
    /// The segments of the question, each evaluated once, and what they took.
    pub segments: Vec<SegmentRead>,
    /// Why the answer lacks events (a quarantined segment, ...); empty when complete.
    pub missing: Vec<String>,
    /// What was read, why, and where the time went.
    pub work: Work,
}

impl ScanStats {
    /// Adds a pass over events, but for its `scanned_events`: what they count as is the caller's to know.
    pub fn add_pass(&mut self, pass: Self) {
        self.work.add(&pass.work);
        self.segments.extend(pass.segments);
        pass.missing.into_iter().for_each(|reason| self.miss(reason));
    }

    /// Notes why the answer lacks events.
    pub fn miss(&mut self, reason: String) {
        if !self.missing.contains(&reason) {
            self.missing.push(reason);
        }
    }
}

/// A measure's result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measured {
    /// A count.
    Count(u64),
    /// A number, or `None` where nothing was measured or the divisor is zero.
    Number(Option<f64>),
    /// An integer of at least 2^53 in magnitude: a float would not tell it from its neighbours.
    Integer(i128),
}

/// One group in one bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateRow {
    /// Index into `Buckets::starts`, 0 without buckets.
    pub bucket: u32,
    /// One value per `group_by`; all [`Value::Other`] for the folded rest.
    pub group: Vec<Value>,
    /// One result per measure.
    pub measures: Vec<Measured>,
}

/// The answer to an [`AggregatePlan`].
///
/// Rows come by bucket, then by group rank. Only groups with at least one matching event in the range are there, and of those only
/// the buckets that have one, with a measure that reaches back all buckets: the caller fills with zeros. `totals` has one row per kept group over the whole range, in rank order.
#[derive(Clone, Debug, Default)]
pub struct AggregateTable {
    /// Per bucket and group; equal to `totals` without buckets.
    pub rows: Vec<AggregateRow>,
    /// Per group over the whole range, `Other` last.
    pub totals: Vec<AggregateRow>,
    /// The first and the last bucket with a matching event.
    pub used: Option<(u32, u32)>,
    /// How it came to be.
    pub stats: ScanStats,
}

/// One raw event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// The event name.
    pub name: String,
    /// Corrected time.
    pub time_ms: TimestampMs,
    /// The client's own timestamp.
    pub client_time_ms: TimestampMs,
    /// When the gateway received it.
    pub received_at_ms: TimestampMs,
    /// The known user.
    pub user_id: Option<String>,
    /// The device or browser.
    pub anonymous_id: Option<String>,
    /// The dedupe key.
    pub insert_id: Option<String>,
    /// The client's session.
    pub session_id: Option<String>,
    /// A JSON object.
    pub properties_json: String,
}

/// The answer to an [`EventsPlan`].
#[derive(Clone, Debug, Default)]
pub struct EventsPage {
    /// Newest first; at one millisecond in a fixed order.
    pub rows: Vec<EventRow>,
    /// True when older rows remain.
    pub more: bool,
    /// How it came to be.
    pub stats: ScanStats,
}

/// An event name seen in an app.
#[derive(Clone, Debug, PartialEq)]
pub struct EventNameInfo {
    /// The name.
    pub name: String,
    /// Stored events, from rollups.
    pub events: u64,
    /// Start of the first hour with one.
    pub first_hour_ms: TimestampMs,
    /// Start of the last hour with one.
    pub last_hour_ms: TimestampMs,
}

/// A property seen in an app.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyInfo {
    /// The name.
    pub name: String,
    /// Types seen: `string`, `number`, `boolean`, `timestamp`, `list`, `object`.
    pub types: Vec<&'static str>,
    /// Events with it, among the sampled ones.
    pub events: u64,
    /// Up to ten frequent values as JSON.
    pub sample_values: Vec<String>,
}

/// What an app sends.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Names, most frequent first.
    pub events: Vec<EventNameInfo>,
    /// Properties, most frequent first.
    pub properties: Vec<PropertyInfo>,
}

/// Which rollup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RollupSize {
    /// One hour.
    Hour,
    /// One UTC day.
    Day,
}

/// One event name (`None`: all events of the app) in one period; kept for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupRow {
    /// The name, or `None` for the app's total.
    pub event: Option<String>,
    /// First millisecond of the period.
    pub start_ms: TimestampMs,
    /// Exact count.
    pub events: u64,
    /// Distinct persons.
    pub users: UniqueSketch,
}

/// Takes the rows of an export, and the account so far.
pub type ExportVisitor<'v> = dyn FnMut(Vec<EventRow>, &ScanStats) -> Result<(), QueryError> + 'v;

/// Most rows of one call of an [`ExportVisitor`].
pub const EXPORT_ROWS: usize = 512;

/// The read side of an event store. Calls block: run them on a thread made for it.
///
/// Every call sees the rows of all appends that returned before it began, and works on one consistent set of rows.
pub trait EventSource: Send + Sync {
    /// Counts, grouped.
    ///
    /// # Errors
    /// [`QueryError`]; limits are named in it.
    fn aggregate(&self, plan: &AggregatePlan, context: &QueryContext) -> Result<AggregateTable, QueryError>;

    /// A funnel.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn funnel(&self, plan: &FunnelPlan, context: &QueryContext) -> Result<FunnelTable, QueryError>;

    /// The persons behind one number of a funnel, page by page.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn funnel_persons(&self, plan: &FunnelPersonsPlan, context: &QueryContext) -> Result<FunnelPersonsPage, QueryError>;

    /// Why a funnel counts one person as it does.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn funnel_person(&self, plan: &FunnelPersonPlan, context: &QueryContext) -> Result<FunnelStory, QueryError>;

    /// The most frequent paths.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn paths(&self, plan: &PathsPlan, context: &QueryContext) -> Result<PathsTable, QueryError>;

    /// How many sessions there are, how long, and with which pages they begin and end.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn sessions(&self, plan: &SessionsPlan, context: &QueryContext) -> Result<SessionsTable, QueryError>;

    /// A retention table.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn retention(&self, plan: &RetentionPlan, context: &QueryContext) -> Result<RetentionTable, QueryError>;

    /// Lifecycle and stickiness: what the periods tell in which persons are active.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn activity(&self, plan: &ActivityPlan, context: &QueryContext) -> Result<ActivityTable, QueryError>;

    /// The persons in a segment, page by page.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn segment_persons(&self, plan: &SegmentPersonsPlan, context: &QueryContext) -> Result<SegmentPersonsPage, QueryError>;

    /// Raw events, newest first.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn events(&self, plan: &EventsPlan, context: &QueryContext) -> Result<EventsPage, QueryError>;

    /// Every event of a scan in stored order, for an export: stored sets of rows by the time of their earliest event, within one by
    /// event name, person and time. Memory does not grow with the answer.
    ///
    /// `visit` is called once without rows, when it is known what cannot be read, and then with at most [`EXPORT_ROWS`] rows a call,
    /// each time with the account so far. It may block; the rows wait for it, and so do the files they are in. Damage that is
    /// found later ends the damaged file's rows there and is in the account from then on.
    ///
    /// # Errors
    /// Those of `visit`; else as for [`EventSource::aggregate`].
    fn export(&self, scan: &Scan, context: &QueryContext, visit: &mut ExportVisitor<'_>) -> Result<ScanStats, QueryError>;

    /// The app's rows as they are now, for one statement that may read them several times.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn rows_of(&self, app: &AppId) -> Result<Arc<dyn RowSource>, QueryError>;

    /// Where the events of an app begin: a time that none is before, and that of the earliest one or near it. `None` where it has none. Events whose raw
    /// form was dropped count as long as rollups have them.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn first_event_ms(&self, app: &AppId) -> Result<Option<TimestampMs>, QueryError>;

    /// Names, properties, types and sample values.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn schema(&self, app: &AppId, context: &QueryContext) -> Result<Schema, QueryError>;

    /// Every event name of an app with its count, most frequent first: the first part of its schema, without a look at raw events.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn event_names(&self, app: &AppId, context: &QueryContext) -> Result<Vec<EventNameInfo>, QueryError>;

    /// Rollups of the periods that begin in `[from_ms, to_ms)`, unflushed rows included, by event then start.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn rollups(&self, app: &AppId, size: RollupSize, from_ms: TimestampMs, to_ms: TimestampMs) -> Result<Vec<RollupRow>, QueryError>;

    /// Calls `visit` for each stored batch of rows `(person, session, event name, time, url)` received at or after `from_ms` of
    /// event time, for rebuilding live windows from raw events.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn scan_for_windows(&self, from_ms: TimestampMs, visit: &mut dyn FnMut(&WindowRow<'_>)) -> Result<(), QueryError>;

    /// Calls `visit` with app, insert id and receive time of every stored event that has an insert id and was received at or after
    /// `from_ms`, for rebuilding the memory of insert ids. Returns why events are missing from it; empty when none are.
    ///
    /// # Errors
    /// As for [`EventSource::aggregate`].
    fn scan_insert_ids(&self, from_ms: TimestampMs, visit: &mut dyn FnMut(&AppId, &str, TimestampMs)) -> Result<Vec<String>, QueryError>;
}

/// What a live window is made of.
#[derive(Clone, Copy, Debug)]
pub struct WindowRow<'a> {
    /// The app.
    pub app: &'a AppId,
    /// The event name.
    pub event: &'a str,
    /// Event time.
    pub time_ms: TimestampMs,
    /// The known user.
    pub user_id: Option<&'a str>,
    /// The device or browser.
    pub anonymous_id: Option<&'a str>,
    /// The client's session.
    pub session_id: Option<&'a str>,
    /// The `url` property (or `path`, where there is no `url`) when it is text.
    pub page: Option<&'a str>,
}
