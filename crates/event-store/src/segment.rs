//! Segments: sets of persons, as rules over what they did and what is known of them. `docs/semantics.md` section 15 says what each
//! rule means.

use std::sync::Arc;
use std::time::Duration;

use event::{AppId, TimestampMs};

use crate::plan::{Filter, Op};
use crate::source::ScanStats;

/// Deepest rule in a rule that a store evaluates.
pub const MAX_SEGMENT_DEPTH: usize = 64;

/// A set of persons. An event without a person is of none.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// What an explanation calls it, such as `segment` or `cohort:buyers`.
    pub name: String,
    /// Who is in it.
    pub rule: SegmentRule,
}

/// Who is in a segment.
#[derive(Clone, Debug, PartialEq)]
pub enum SegmentRule {
    /// Whoever is in all of these; without any, everybody.
    All(Vec<SegmentRule>),
    /// Whoever is in any of these; without any, nobody.
    Any(Vec<SegmentRule>),
    /// Whoever is not in this.
    Not(Box<SegmentRule>),
    /// Whoever did something so many times.
    Did(DidRule),
    /// Whoever has such a property.
    Has(HasRule),
    /// The persons with these ids: the user id of their events, else the anonymous id.
    Listed(Arc<[String]>),
}

/// Persons by how many matching events they have.
#[derive(Clone, Debug, PartialEq)]
pub struct DidRule {
    /// First millisecond that counts.
    pub from_ms: TimestampMs,
    /// First millisecond that does not.
    pub to_ms: TimestampMs,
    /// Only these event names; `None` takes all.
    pub events: Option<Vec<String>>,
    /// Only events for which this holds.
    pub filter: Filter,
    /// Fewest events; with 0, whoever has none is in as well.
    pub at_least: u32,
    /// Most events; `None` has no bound.
    pub at_most: Option<u32>,
}

/// Persons by a property of theirs, as [`crate::Field::UserProperty`] reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct HasRule {
    /// The property.
    pub property: String,
    /// What must hold for its value, not set included.
    pub op: Op,
    /// Only what was set before this.
    pub before_ms: TimestampMs,
}

impl SegmentRule {
    /// Rules inside one another, this one included.
    pub fn depth(&self) -> usize {
        match self {
            Self::All(rules) | Self::Any(rules) => 1 + rules.iter().map(Self::depth).max().unwrap_or(0),
            Self::Not(rule) => 1 + rule.depth(),
            Self::Did(_) | Self::Has(_) | Self::Listed(_) => 1,
        }
    }
}

/// What a segment of a question took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRead {
    /// Its name.
    pub name: String,
    /// Events read for it.
    pub events: u64,
    /// Persons in it; `None` where it is told by who is not in it.
    pub persons: Option<u64>,
    /// First millisecond its rules look at.
    pub from_ms: TimestampMs,
    /// First millisecond they do not look at any more.
    pub to_ms: TimestampMs,
    /// How long.
    pub took: Duration,
}

/// Asks for the persons in a segment who have a stored event, page by page, in the order of their keys.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentPersonsPlan {
    /// The app.
    pub app: AppId,
    /// The segment.
    pub segment: Arc<Segment>,
    /// Only persons with a larger key.
    pub after: Option<u64>,
    /// Persons at most; 0 only counts them.
    pub limit: usize,
}

/// A person in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentPerson {
    /// The person's key.
    pub key: u64,
    /// The user id of the person's events, else the anonymous id.
    pub id: String,
}

/// The answer to a [`SegmentPersonsPlan`].
#[derive(Clone, Debug, Default)]
pub struct SegmentPersonsPage {
    /// By key.
    pub persons: Vec<SegmentPerson>,
    /// Persons of all pages.
    pub count: u64,
    /// True when more follow.
    pub more: bool,
    /// How it came to be.
    pub stats: ScanStats,
}
