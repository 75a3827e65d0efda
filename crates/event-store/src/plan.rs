use std::sync::Arc;

use event::{AppId, TimestampMs};

use crate::segment::Segment;
use crate::session::SessionRule;

/// A constant in a plan, or a group's value in a result.
///
/// Values of different types are never equal, but an integer and a float of the same size are. The order is: null, booleans,
/// numbers by size, text by bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Not set.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer from 2^63 to 2^64 - 1.
    BigUint(u64),
    /// A finite number.
    Float(f64),
    /// Text.
    Str(String),
    /// The rest beyond the first N groups; only in results, last in every order.
    Other,
}

/// What a filter, group or measure reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// The event name.
    Event,
    /// The id that came with the event.
    UserId,
    /// The device id that came with the event.
    AnonymousId,
    /// The client's session id.
    SessionId,
    /// The dedupe key.
    InsertId,
    /// Event time, milliseconds.
    Time,
    /// Receive time, milliseconds.
    ReceivedAt,
    /// A property of the event, derived ones (`country`, `browser`, ...) included.
    Property(String),
    /// A property of the person: the value of the latest `$identify` or `$set` event (by time, then by receive time) that sets it.
    UserProperty(String),
    /// Whether the person is in this segment: true or false, not set for an event without a person.
    InSegment(Arc<Segment>),
}

/// A comparison. Numbers compare with numbers and text with text; a value of another type is simply no match.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Equal to any of these. A list property matches when it is equal as JSON text.
    In(Vec<Value>),
    /// Numeric or text comparison, bounds exclusive or inclusive: `(low, low_inclusive)`, `(high, high_inclusive)`.
    Range {
        /// Lower bound.
        low: Option<(Value, bool)>,
        /// Upper bound.
        high: Option<(Value, bool)>,
    },
    /// Text contains this; on a list property, the list has this element.
    Contains(String),
    /// Text starts with this.
    StartsWith(String),
    /// Text ends with this.
    EndsWith(String),
    /// Text matches this regular expression somewhere (syntax and linear time of the `regex` crate).
    Matches(String),
    /// The value is present and not null.
    IsSet,
}

/// A condition on one event. Negation is two-valued: `Not(In)` holds for an event without the property.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All hold; empty holds.
    And(Vec<Filter>),
    /// Any holds; empty does not.
    Or(Vec<Filter>),
    /// The inner one does not hold.
    Not(Box<Filter>),
    /// A comparison.
    Compare(Field, Op),
}

impl Filter {
    /// Holds for every event.
    pub fn all() -> Self {
        Self::And(Vec::new())
    }
}

/// Which events a plan reads: one app, a half-open time range, names, a filter. The app comes from the credential alone,
/// and nothing in `filter` can widen it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// The app.
    pub app: AppId,
    /// First millisecond in.
    pub from_ms: TimestampMs,
    /// First millisecond out.
    pub to_ms: TimestampMs,
    /// Only these event names; `None` reads all.
    pub events: Option<Vec<String>>,
    /// Only events for which this holds.
    pub filter: Filter,
}

/// Time buckets as their boundaries, so that a store need not know zones or calendars.
///
/// Ascending; bucket `i` is `[starts[i], starts[i + 1])`, the last one ends at `Scan::to_ms`; `starts[0] <= Scan::from_ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// First millisecond of each bucket.
    pub starts: Vec<TimestampMs>,
}

/// What is computed per group.
#[derive(Clone, Debug, PartialEq)]
pub enum MeasureFn {
    /// Events.
    Events,
    /// Distinct persons, exact.
    UniqueUsers,
    /// Distinct persons from a sketch.
    UniqueUsersApprox,
    /// Sessions with at least one matching event, in the bucket in which the session begins (a session that began before the range
    /// is in no bucket and not counted), in the group of its first matching event. Sessions are cut over all events of the person.
    Sessions(SessionRule),
    /// Sum of numeric values.
    Sum(Field),
    /// Mean of numeric values.
    Avg(Field),
    /// Smallest numeric value.
    Min(Field),
    /// Largest numeric value.
    Max(Field),
    /// Quantile in 0..=1 of numeric values, exact, linear between neighbours (numpy `linear`, SQL `percentile_cont`).
    Quantile(Field, f64),
    /// Distinct non-null values of any type.
    CountDistinct(Field),
    /// Events over distinct persons (events without a person are left out).
    EventsPerUser,
    /// Mean over persons of each person's sum; persons without a numeric value are left out.
    AvgPerUser(Field),
}

/// One measure with its own, narrower selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// What to compute.
    pub function: MeasureFn,
    /// Only these names, on top of the scan's.
    pub events: Option<Vec<String>>,
    /// Only where this holds, on top of the scan's filter.
    pub filter: Filter,
    /// For each bucket, the first of those whose events its value is of, the bucket itself being the last: ascending. `None`: each value is of
    /// its own bucket. Distinct persons and values, averages and quantiles are of all these events together.
    pub since: Option<Arc<[u32]>>,
}

impl Measure {
    /// Over all events of the scan, each value of its own bucket.
    pub fn of(function: MeasureFn) -> Self {
        Self { function, events: None, filter: Filter::all(), since: None }
    }
}

/// Keep the first groups, fold the rest into one [`Value::Other`] group per bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fold {
    /// How many groups stay.
    pub keep: usize,
    /// Index of the measure that ranks them, over the whole range, ties by group value ascending; a `null` measure ranks last.
    pub by_measure: usize,
    /// Largest first.
    pub descending: bool,
}

/// Counting, grouped.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregatePlan {
    /// The events.
    pub scan: Scan,
    /// Time buckets, or one for the whole range.
    pub buckets: Option<Buckets>,
    /// Up to four group keys; the group of an event is the tuple of their values.
    pub group_by: Vec<Field>,
    /// At least one measure.
    pub measures: Vec<Measure>,
    /// How to bound the answer; distinct counts of the rest are exact, not sums.
    pub fold: Fold,
}

/// Raw events, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct EventsPlan {
    /// The events.
    pub scan: Scan,
    /// Rows at most.
    pub limit: usize,
    /// Skip this many of the newest rows at exactly `scan.to_ms - 1`: the cursor within one millisecond.
    pub skip: usize,
}
