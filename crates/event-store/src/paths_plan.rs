//! Paths as a store is asked them, and what it answers. `docs/semantics.md` section 14 says what each option means.

use crate::funnel_plan::Selection;
use crate::plan::{Field, Scan, Value};
use crate::session::SessionRule;
use crate::source::ScanStats;

/// Most steps of a path, the anchor not counted.
pub const MAX_PATH_STEPS: usize = 10;

/// On which side of the anchor the steps are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathSide {
    /// The anchor begins the path.
    Start,
    /// The anchor ends it.
    End,
}

/// Which events of a sequence that match the anchor have a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Occurrence {
    /// The first.
    #[default]
    First,
    /// The last.
    Last,
    /// Each of them.
    Every,
}

/// The event that a path begins or ends with.
#[derive(Clone, Debug, PartialEq)]
pub struct PathAnchor {
    /// Which of both.
    pub side: PathSide,
    /// An event matches when it matches one of these and the scan's filter; it is a step then, whatever the plan says of other steps.
    pub any_of: Vec<Selection>,
    /// Which of a sequence.
    pub occurrence: Occurrence,
}

/// How far the steps of one path may lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathBound {
    /// They are of one session, cut over all events of the person in the range.
    Session(SessionRule),
    /// No pause between two steps is longer than this, in milliseconds; `None`: all steps of the person are one sequence.
    Gap(Option<i64>),
}

/// The most frequent paths.
#[derive(Clone, Debug, PartialEq)]
pub struct PathsPlan {
    /// The events that are steps; all are in the range. The names do not hold for the anchor.
    pub scan: Scan,
    /// Events that match one of these are no steps.
    pub exclude: Vec<Selection>,
    /// What a step is named by. An event without it is no step; the anchor is one without a name.
    pub step_by: Field,
    /// Where paths begin or end; without it they begin with the first step of a sequence.
    pub anchor: Option<PathAnchor>,
    /// What a sequence is.
    pub bound: PathBound,
    /// Steps of a path at most, 1 to [`MAX_PATH_STEPS`]; the anchor is one more.
    pub steps: usize,
    /// True: steps of one name that follow one another are one step.
    pub collapse_repeats: bool,
    /// True: paths with fewer steps do not count.
    pub full_length_only: bool,
    /// Paths that stay, and edges that stay between each two places; the rest of each is one.
    pub keep: usize,
}

/// How often something was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathCount {
    /// Paths that were taken.
    pub sequences: u64,
    /// Distinct persons who took them.
    pub users: u64,
}

impl PathCount {
    /// Adds what other persons did.
    pub fn add(&mut self, other: Self) {
        self.sequences += other.sequences;
        self.users += other.users;
    }
}

/// One path.
#[derive(Clone, Debug, PartialEq)]
pub struct PathRow {
    /// The names of its steps in order of time, the anchor included.
    pub names: Vec<Value>,
    /// How often.
    pub count: PathCount,
}

/// From one step to the next.
#[derive(Clone, Debug, PartialEq)]
pub struct PathEdge {
    /// The place of the earlier step: the anchor is at 0, steps after it at 1 and on, before it at -1 and back; without an anchor the
    /// first step is at 1.
    pub from_place: i32,
    /// Name of the earlier step; [`Value::Other`] in both names for the rest at this place.
    pub from: Value,
    /// Name of the later step.
    pub to: Value,
    /// How often.
    pub count: PathCount,
}

/// The answer to a [`PathsPlan`].
#[derive(Clone, Debug, Default)]
pub struct PathsTable {
    /// The most frequent paths by sequences, ties by names: at the first difference the path that has ended, then the smaller name.
    pub paths: Vec<PathRow>,
    /// All other paths, where there are any. Persons are counted once.
    pub other: Option<PathCount>,
    /// By place, ascending: how many paths have a step there.
    pub places: Vec<(i32, PathCount)>,
    /// By place, then by sequences, ties by names; the rest of a place is last.
    pub edges: Vec<PathEdge>,
    /// Everything.
    pub total: PathCount,
    /// Distinct paths.
    pub distinct_paths: u64,
    /// How it came to be.
    pub stats: ScanStats,
}
