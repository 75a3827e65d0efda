//! Funnels as a store is asked them, and what it answers. `docs/semantics.md` section 7 says what each option means.

use event::TimestampMs;

use crate::plan::{Buckets, Field, Filter, Scan, Value};
use crate::source::ScanStats;

/// Most steps of a funnel.
pub const MAX_FUNNEL_STEPS: usize = 50;
/// Most exclusions of a funnel.
pub const MAX_FUNNEL_EXCLUSIONS: usize = 10;

/// Events by name (`None`: any) and by what holds for them.
pub type Selection = (Option<Vec<String>>, Filter);

/// One step of a funnel: any of several selections.
#[derive(Clone, Debug, PartialEq)]
pub struct FunnelStep {
    /// An event matches the step when it matches one of these.
    pub any_of: Vec<Selection>,
    /// It may be left out, and is counted where it was done between the steps around it. Not the first step.
    pub optional: bool,
}

impl FunnelStep {
    /// A step that cannot be left out.
    pub fn required(any_of: Vec<Selection>) -> Self {
        Self { any_of, optional: false }
    }
}

/// In which order the steps are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FunnelMode {
    /// One after the other, whatever comes between.
    #[default]
    Ordered,
    /// One after the other, and no other event of the person between them.
    Strict,
    /// In any order. Step k of the result is k different steps done.
    Unordered,
}

/// Events that make an attempt void when they come between two steps.
#[derive(Clone, Debug, PartialEq)]
pub struct FunnelExclusion {
    /// An event matches when it matches one of these.
    pub any_of: Vec<Selection>,
    /// After this step (counted from 0, not an optional one), ...
    pub from_step: usize,
    /// ... and before this one, a later one that is not optional.
    pub to_step: usize,
}

/// Which event of the attempt shown gives the value of the breakdown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attribution {
    /// That of the first step.
    #[default]
    First,
    /// That of the last step reached.
    Last,
    /// That of this step, counted from 0; persons who did not reach it have no value.
    Step(usize),
}

/// Asks for the times from one step to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversionTime {
    /// From this step (counted from 0), ...
    pub from_step: usize,
    /// ... to this later one.
    pub to_step: usize,
    /// Bins of equal width; `None`: the cube root of the number of times, rounded up.
    pub bins: Option<usize>,
}

/// A funnel.
#[derive(Clone, Debug, PartialEq)]
pub struct FunnelPlan {
    /// Events of all steps; `from_ms..to_ms` is the range of the entry event. The store reads `window_ms` further for later steps.
    pub scan: Scan,
    /// 1 to [`MAX_FUNNEL_STEPS`] steps.
    pub steps: Vec<FunnelStep>,
    /// In which order.
    pub mode: FunnelMode,
    /// Longest time from entry to the last step, inclusive; `None` has no bound.
    pub window_ms: Option<i64>,
    /// True: later steps must lie in the range as well.
    pub range_applies_to_all: bool,
    /// True: only the person's first entry in range opens an attempt.
    pub first_entry_only: bool,
    /// At most [`MAX_FUNNEL_EXCLUSIONS`]; none with [`FunnelMode::Strict`], from the first to the last step with [`FunnelMode::Unordered`].
    pub exclusions: Vec<FunnelExclusion>,
    /// All events of an attempt have the same values of these; an event without one of them takes no part.
    pub hold_constant: Vec<Field>,
    /// True: counts attempts, a new one beginning when the last has converted or timed out; false: counts persons.
    pub counts_attempts: bool,
    /// Split by this field's value on an event of the attempt shown. A person counts in one group only.
    pub breakdown: Option<Field>,
    /// On which event.
    pub attribution: Attribution,
    /// Groups of the breakdown by users of step 1, largest first.
    pub fold_keep: usize,
    /// The same funnel for the entries of each bucket.
    pub buckets: Option<Buckets>,
    /// Also the times between two steps.
    pub conversion_time: Option<ConversionTime>,
}

impl FunnelPlan {
    /// An ordered funnel of persons without a window or any other option.
    pub fn ordered(scan: Scan, steps: Vec<FunnelStep>) -> Self {
        Self {
            scan,
            steps,
            mode: FunnelMode::Ordered,
            window_ms: None,
            range_applies_to_all: false,
            first_entry_only: false,
            exclusions: Vec::new(),
            hold_constant: Vec::new(),
            counts_attempts: false,
            breakdown: None,
            attribution: Attribution::First,
            fold_keep: 0,
            buckets: None,
            conversion_time: None,
        }
    }
}

/// Persons (or attempts) at one step, with the time from the step before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FunnelStepResult {
    /// Persons who reached it; attempts where those are counted.
    pub users: u64,
    /// Median time from the previous step that is not optional, in the attempts shown.
    pub median_time_ms: Option<f64>,
    /// Mean of the same times.
    pub avg_time_ms: Option<f64>,
}

/// One value of the breakdown.
#[derive(Clone, Debug, PartialEq)]
pub struct FunnelGroup {
    /// The value on the entry event; `None` without a breakdown.
    pub value: Option<Value>,
    /// One per step.
    pub steps: Vec<FunnelStepResult>,
    /// One per bucket, then per step.
    pub buckets: Vec<Vec<FunnelStepResult>>,
}

/// Times from one step to another, in the attempts shown that reached both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConversionTimes {
    /// How many.
    pub count: u64,
    /// Middle, mean, shortest and longest; `None` of nothing.
    pub median_ms: Option<f64>,
    /// See `median_ms`.
    pub avg_ms: Option<f64>,
    /// See `median_ms`.
    pub min_ms: Option<i64>,
    /// See `median_ms`.
    pub max_ms: Option<i64>,
    /// Width of a bin, at least 1.
    pub bin_width_ms: i64,
    /// Times in each bin; bin i holds `min_ms + i * bin_width_ms` and longer ones up to the next bin. The last one has the longest.
    pub bins: Vec<u64>,
}

/// The answer to a [`FunnelPlan`].
#[derive(Clone, Debug, Default)]
pub struct FunnelTable {
    /// All persons.
    pub total: Vec<FunnelStepResult>,
    /// All persons, one per bucket, then per step; empty without buckets.
    pub buckets: Vec<Vec<FunnelStepResult>>,
    /// Per value of the breakdown, largest first, then `Other`; empty without a breakdown.
    pub groups: Vec<FunnelGroup>,
    /// Where they were asked for.
    pub conversion_times: Option<ConversionTimes>,
    /// How it came to be.
    pub stats: ScanStats,
}

/// How a person's attempt shown ended at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// The attempt has the step.
    Reached,
    /// The attempt has the previous step that is not optional, and not this one.
    Dropped,
}

/// Asks for the persons at a step.
#[derive(Clone, Debug, PartialEq)]
pub struct FunnelPersonsPlan {
    /// The funnel; persons are counted by the attempt shown whether or not it counts attempts.
    pub funnel: FunnelPlan,
    /// Counted from 0.
    pub step: usize,
    /// Who.
    pub outcome: StepOutcome,
    /// Only persons with a larger key: the last one of the page before.
    pub after: Option<u64>,
    /// Persons at most.
    pub limit: usize,
}

/// One person's attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunnelPerson {
    /// The person's id.
    pub id: String,
    /// The place in the order of pages.
    pub key: u64,
    /// When the attempt began.
    pub entry_ms: TimestampMs,
    /// The last step it reached, counted from 0, and when.
    pub last_step: usize,
    /// See `last_step`.
    pub last_step_ms: TimestampMs,
}

/// The answer to a [`FunnelPersonsPlan`].
#[derive(Clone, Debug, Default)]
pub struct FunnelPersonsPage {
    /// By key, ascending.
    pub persons: Vec<FunnelPerson>,
    /// All persons at the step, those of other pages included.
    pub count: u64,
    /// True when persons remain after these.
    pub more: bool,
    /// How it came to be.
    pub stats: ScanStats,
}

/// Asks how a funnel sees one person.
#[derive(Clone, Debug, PartialEq)]
pub struct FunnelPersonPlan {
    /// The funnel.
    pub funnel: FunnelPlan,
    /// The person's id.
    pub person: String,
    /// Events in the answer at most.
    pub limit: usize,
}

/// An event that a funnel looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct FunnelEvent {
    /// When.
    pub time_ms: TimestampMs,
    /// Its name.
    pub name: String,
    /// The steps it matches, counted from 0.
    pub steps: Vec<usize>,
    /// The exclusions it matches, counted from 0.
    pub exclusions: Vec<usize>,
    /// The values held constant.
    pub held: Vec<Value>,
}

/// Why an attempt went no further, or why there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FunnelStop {
    /// It reached the last step that is not optional.
    Converted,
    /// No event in the range is an entry.
    #[default]
    NoEntry,
    /// Every attempt has an excluded event, such as this one.
    Excluded {
        /// The exclusion, counted from 0.
        exclusion: usize,
        /// When it came.
        at_ms: TimestampMs,
    },
    /// Another event of the person came before the step.
    Interrupted {
        /// The step that was not reached, counted from 0.
        step: usize,
    },
    /// The step came too late for the window.
    Late {
        /// The step that was not reached, counted from 0.
        step: usize,
        /// When it came.
        at_ms: TimestampMs,
        /// When the window ended.
        window_end_ms: TimestampMs,
    },
    /// The step came before the one it should follow.
    Early {
        /// The step that was not reached, counted from 0.
        step: usize,
        /// When it came last.
        at_ms: TimestampMs,
    },
    /// The step came with another value of what is held constant.
    OtherValue {
        /// The step that was not reached, counted from 0.
        step: usize,
        /// When it came first.
        at_ms: TimestampMs,
    },
    /// No event matches the step that another step does not need.
    Never {
        /// The step that was not reached, counted from 0.
        step: usize,
    },
}

/// The answer to a [`FunnelPersonPlan`].
#[derive(Clone, Debug, Default)]
pub struct FunnelStory {
    /// The person's events that match a step or an exclusion, by time.
    pub events: Vec<FunnelEvent>,
    /// True when there are more of them.
    pub more: bool,
    /// The time of each step of the attempt shown, `None` for a step it does not have; empty without an attempt.
    pub attempt: Vec<Option<TimestampMs>>,
    /// Why it goes no further.
    pub stop: FunnelStop,
    /// Attempts, where those are counted; else 1 or 0.
    pub attempts: u64,
    /// How it came to be.
    pub stats: ScanStats,
}
