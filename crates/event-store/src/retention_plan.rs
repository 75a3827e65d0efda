//! Retention, lifecycle and stickiness as a store is asked them, and what it answers. `docs/semantics.md` says what each means.

use event::TimestampMs;

use crate::funnel_plan::Selection;
use crate::plan::{Buckets, Field, Scan, Value};
use crate::source::ScanStats;

/// Lengths of the windows of active users, in periods: with days, those of DAU, WAU and MAU.
pub const ACTIVE_WINDOWS: [usize; 3] = [1, 7, 30];
/// Periods before the range that the longest of [`ACTIVE_WINDOWS`] looks back to.
pub const ACTIVE_LOOK_BACK: usize = ACTIVE_WINDOWS[2] - 1;

/// Most periods of one such question, in either direction.
pub const MAX_PERIODS: usize = 1_000;

/// Which start events of a person open a cohort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetentionEntry {
    /// The first one ever, where it lies in the range.
    #[default]
    FirstTime,
    /// The first one in the range.
    FirstInRange,
    /// The first one in each period: a person is in the cohort of every period with one.
    Recurring,
}

/// When a person counts as returned in period N.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetentionMode {
    /// A return event in period N.
    #[default]
    On,
    /// A return event in period N or a later one.
    OnOrAfter,
}

/// A retention table.
#[derive(Clone, Debug, PartialEq)]
pub struct RetentionPlan {
    /// Events of both kinds; `from_ms..to_ms` is the range of the start events.
    pub scan: Scan,
    /// A start event matches one of these.
    pub start: Vec<Selection>,
    /// A return event matches one of these.
    pub returns: Vec<Selection>,
    /// End of the return events, at or after `scan.to_ms`; they begin with the range.
    pub returns_to_ms: TimestampMs,
    /// The periods, from the one in which the range begins on; the first begins at `scan.from_ms`, the last ends at `returns_to_ms`.
    /// At most [`MAX_PERIODS`].
    pub periods: Buckets,
    /// So many of them may hold a start event.
    pub cohorts: usize,
    /// The largest N; later returns count on-or-after only. Below [`MAX_PERIODS`].
    pub max_period: usize,
    /// Which start events count.
    pub entry: RetentionEntry,
    /// When a person has returned.
    pub mode: RetentionMode,
    /// Period N begins so long times N after the start event itself, and is so long, in milliseconds; `None`: it is the N-th period of
    /// `periods` after that of the start event, and period 0 is all of that one.
    pub rolling_ms: Option<i64>,
    /// Split by this field's value on the start event.
    pub breakdown: Option<Field>,
    /// Groups of the breakdown by size, largest first; the rest is folded.
    pub fold_keep: usize,
}

impl RetentionPlan {
    /// Whether events before the range are looked at: the first ever may be one of them.
    pub fn looks_back(&self) -> bool {
        self.entry == RetentionEntry::FirstTime
    }
}

/// Persons whose start event lies in one period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionCohort {
    /// How many.
    pub size: u64,
    /// By N: how many returned; `max_period + 1` of them.
    pub returned: Vec<u64>,
}

/// One value of the breakdown.
#[derive(Clone, Debug, PartialEq)]
pub struct RetentionGroup {
    /// The value on the start event.
    pub value: Value,
    /// One per period that may hold a start event.
    pub cohorts: Vec<RetentionCohort>,
}

/// The answer to a [`RetentionPlan`].
#[derive(Clone, Debug, Default)]
pub struct RetentionTable {
    /// All persons, one per period that may hold a start event.
    pub total: Vec<RetentionCohort>,
    /// Per value of the breakdown, largest first, then `Other`; empty without a breakdown.
    pub groups: Vec<RetentionGroup>,
    /// How it came to be.
    pub stats: ScanStats,
}

/// What is told of the periods in which a person is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityKind {
    /// Per period: new, returning, resurrected, dormant. The first period of the plan is the one before the range, and everything
    /// before it is read too.
    Lifecycle,
    /// How many persons are active in how many periods.
    Stickiness,
    /// Per period: how many persons are active in one of the last periods, for each of [`ACTIVE_WINDOWS`]. The first [`ACTIVE_LOOK_BACK`]
    /// periods of the plan are those before the range.
    ActiveUsers,
}

/// A question about the periods in which persons are active.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityPlan {
    /// Events; `from_ms` is the beginning of the first of `periods`.
    pub scan: Scan,
    /// An event is activity where it matches one of these.
    pub any_of: Vec<Selection>,
    /// At most [`MAX_PERIODS`], and for a lifecycle one more, for active users [`ACTIVE_LOOK_BACK`] more: those before the range come first.
    pub periods: Buckets,
    /// What is told.
    pub kind: ActivityKind,
    /// Activity with each value of this field on its own; a person may be in several groups.
    pub breakdown: Option<Field>,
    /// Groups by persons, largest first; the rest is one group, in which each person is once.
    pub fold_keep: usize,
}

impl ActivityPlan {
    /// Whether events before the first period are looked at: they tell who is new.
    pub fn looks_back(&self) -> bool {
        self.kind == ActivityKind::Lifecycle
    }
}

/// Persons of one period by what they were before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LifecycleCounts {
    /// Active for the first time ever.
    pub new: u64,
    /// Active here and in the period before.
    pub returning: u64,
    /// Active here, not in the period before, and earlier.
    pub resurrected: u64,
    /// Active in the period before and not here.
    pub dormant: u64,
}

/// The persons of one group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ActivityGroup {
    /// The value; `None` for all persons.
    pub value: Option<Value>,
    /// Persons active in one of the plan's periods.
    pub users: u64,
    /// Of a lifecycle: one per period of the range.
    pub lifecycle: Vec<LifecycleCounts>,
    /// Of stickiness: by number of active periods, from 1 on, one per period.
    pub stickiness: Vec<u64>,
    /// Of active users: one per period of the range, in it persons by window.
    pub active: Vec<[u64; ACTIVE_WINDOWS.len()]>,
}

/// The answer to an [`ActivityPlan`].
#[derive(Clone, Debug, Default)]
pub struct ActivityTable {
    /// All persons.
    pub total: ActivityGroup,
    /// Per value of the breakdown, largest first, then `Other`; empty without a breakdown.
    pub groups: Vec<ActivityGroup>,
    /// How it came to be.
    pub stats: ScanStats,
}
