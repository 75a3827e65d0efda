//! Sessions as a store is asked about them, and what it answers. `docs/semantics.md` section 17 says what each number means.

use crate::funnel_plan::Selection;
use crate::plan::{Buckets, Field, Scan, Value};
use crate::session::SessionRule;
use crate::source::ScanStats;

/// Most upper ends of bins of a distribution of lengths.
pub const MAX_LENGTH_BINS: usize = 100;

/// Which sessions bounce.
#[derive(Clone, Debug, PartialEq)]
pub struct BounceRule {
    /// Sessions with at most so many events that count.
    pub max_events: u64,
    /// An event counts when it matches one of these; empty: every event counts.
    pub any_of: Vec<Selection>,
    /// And, where given, that are no longer than this.
    pub max_length_ms: Option<i64>,
}

/// What a page is.
#[derive(Clone, Debug, PartialEq)]
pub struct PageRule {
    /// An event shows a page when it matches one of these and has the property; empty: every event with the property does.
    pub any_of: Vec<Selection>,
    /// The name of the page.
    pub property: Field,
    /// Entry pages, and exit pages, that stay; the rest of each is one.
    pub keep: usize,
}

/// A question about the sessions that begin in a range and have an event that matches.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionsPlan {
    /// The events that match, and the range in which sessions begin. What is told of a session is told of all its events.
    pub scan: Scan,
    /// Time buckets of the beginnings, or one for the whole range.
    pub buckets: Option<Buckets>,
    /// Up to four group keys: the values of the session's first event that matches.
    pub group_by: Vec<Field>,
    /// Where sessions begin.
    pub rule: SessionRule,
    /// Which sessions bounce.
    pub bounce: BounceRule,
    /// What a page is, where pages are asked for.
    pub pages: Option<PageRule>,
    /// Upper ends of the bins of the distribution of lengths, ascending, at most [`MAX_LENGTH_BINS`]; a length at an end is beyond it.
    pub bins: Vec<i64>,
    /// Groups by sessions, most first, ties by value; the rest is one.
    pub fold_keep: usize,
}

/// What is told of some sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SessionFigures {
    /// How many.
    pub sessions: u64,
    /// Distinct persons whose they are.
    pub users: u64,
    /// Events in them.
    pub events: u64,
    /// Pages shown in them; 0 where pages are not asked for.
    pub pages: u64,
    /// How many bounced.
    pub bounces: u64,
    /// The sum of their lengths.
    pub length_sum_ms: u128,
    /// The median length; `None` of no sessions.
    pub median_length_ms: Option<f64>,
    /// The length that nine in ten do not pass.
    pub p90_length_ms: Option<f64>,
}

/// The sessions of one group in one bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionsRow {
    /// Index into `Buckets::starts`, 0 without buckets.
    pub bucket: u32,
    /// One value per `group_by`; all [`Value::Other`] for the folded rest.
    pub group: Vec<Value>,
    /// What is told of them.
    pub figures: SessionFigures,
}

/// Sessions that begin, or end, with a page.
#[derive(Clone, Debug, PartialEq)]
pub struct PageRow {
    /// The page; [`Value::Other`] for the rest.
    pub page: Value,
    /// How many.
    pub sessions: u64,
    /// How many of them bounced.
    pub bounces: u64,
}

/// The answer to a [`SessionsPlan`].
#[derive(Clone, Debug, Default)]
pub struct SessionsTable {
    /// By bucket, then by rank; only where there are sessions.
    pub rows: Vec<SessionsRow>,
    /// Per group over the whole range, by rank, the rest last.
    pub totals: Vec<SessionsRow>,
    /// Everything.
    pub total: SessionFigures,
    /// Sessions in which a page was shown.
    pub with_page: u64,
    /// First pages of sessions by sessions, ties by value, the rest last.
    pub entry_pages: Vec<PageRow>,
    /// Last pages of sessions in the same order.
    pub exit_pages: Vec<PageRow>,
    /// Sessions by bin, one more than the plan has ends.
    pub lengths: Vec<u64>,
    /// How it came to be.
    pub stats: ScanStats,
}
