//! In which periods persons do what matches: as bits of each person, or as lists where groups or exact times matter.

mod bits;
mod lists;

use event::limits::EARLIEST_TIME_MS;
use event_store::{Field, QueryContext, QueryError, Scan, ScanStats, Selection};

use super::aggregate::add_stats;
use super::batch::{Batch, Fields};
use super::bucket::BucketFinder;
use super::column_scan::Reading;
use super::filter::{Memos, Predicate, Preparation};
use super::group::GroupTable;
use super::mask::Mask;
use super::person_property::PersonProperty;
use super::scan::Query;

pub(super) use bits::{Pass, PeriodBits};
pub(super) use lists::{PersonMoments, Recorder};

/// What one scan matches events with, and the values it groups them by.
pub(super) struct Matcher {
    pub(super) fields: Fields,
    predicate: Predicate,
    memo_count: usize,
    pub(super) groups: GroupTable,
    /// The event names that can match, `None` when any can.
    pub(super) names: Option<Vec<String>>,
}

impl Matcher {
    /// Events of a scan that match one of some selections.
    ///
    /// # Errors
    /// As for [`event_store::EventSource::aggregate`].
    pub(super) fn new(
        query: &Query<'_>,
        scan: &Scan,
        any_of: &[Selection],
        breakdown: Option<&Field>,
        reading: &Reading,
        stats: &mut ScanStats,
    ) -> Result<Self, QueryError> {
        let mut fields = Fields::default();
        let values = breakdown.map(|field| fields.add(field)).into_iter().collect();
        let mut preparation = Preparation::new(&mut fields);
        let any = any_of.iter().map(|(names, filter)| preparation.selection(names.as_deref(), filter));
        let any = Predicate::Any(any.collect::<Result<_, QueryError>>()?);
        let filter = preparation.filter(&scan.filter)?;
        let predicate = if filter.is_always() { any } else { Predicate::All(vec![any, filter]) };
        let memo_count = preparation.memo_count();
        add_stats(stats, PersonProperty::load_all(query, &scan.app, &mut fields, Some(reading))?);
        Ok(Self { fields, predicate, memo_count, groups: GroupTable::new(values, query.context), names: names(scan, any_of) })
    }

    /// What a thread remembers of texts.
    pub(super) fn memos(&self, context: &QueryContext) -> Memos {
        Memos::new(self.memo_count, context)
    }

    /// The rows of a batch that match.
    pub(super) fn matches(&self, batch: &Batch, wanted: Option<&Mask>, memos: &mut Memos) -> Mask {
        self.predicate.evaluate(batch, wanted, memos)
    }
}

fn names(scan: &Scan, any_of: &[Selection]) -> Option<Vec<String>> {
    let names: Option<Vec<&Vec<String>>> = any_of.iter().map(|(names, _)| names.as_ref()).collect();
    let Some(names) = names else { return scan.events.clone() };
    let mut names: Vec<String> = names.into_iter().flatten().cloned().collect();
    names.sort();
    names.dedup();
    names.retain(|name| scan.events.as_ref().is_none_or(|events| events.contains(name)));
    Some(names)
}

/// The periods of a question, where asked for with one before them that holds everything earlier.
pub(super) struct Periods {
    pub(super) finder: BucketFinder,
    /// Periods before those of the plan: 1 or none.
    pub(super) earlier: usize,
    /// First millisecond that is read.
    pub(super) from_ms: i64,
}

impl Periods {
    /// Of a plan's periods; times before `to_ms` will be looked up.
    pub(super) fn new(starts: &[i64], looks_back: bool, to_ms: i64) -> Self {
        let first_ms = starts.first().copied().unwrap_or(EARLIEST_TIME_MS);
        // Nothing is older than the earliest time that is accepted; a question may ask from earlier on.
        let earliest_ms = EARLIEST_TIME_MS.min(first_ms.saturating_sub(1));
        let all: Vec<i64> = looks_back.then_some(earliest_ms).into_iter().chain(starts.iter().copied()).collect();
        Self {
            finder: BucketFinder::new(&all, to_ms),
            earlier: usize::from(looks_back),
            from_ms: if looks_back { earliest_ms } else { first_ms },
        }
    }

    /// How many, with the one before.
    pub(super) fn count(&self) -> usize {
        self.finder.count()
    }

    /// The period that all rows of a batch lie in that a scan up to `to_ms` asks for, where that is known without looking at their times.
    pub(super) fn of_all(&self, batch: &Batch, from_ms: i64, to_ms: i64) -> Option<u32> {
        let (earliest_ms, latest_ms) = batch.span_ms()?;
        let first = self.finder.find(earliest_ms.max(from_ms));
        (self.finder.find(latest_ms.min(to_ms.saturating_sub(1))) == first).then_some(first)
    }
}

/// The bits that are set, ascending.
pub(super) fn ones(words: &[u64]) -> impl Iterator<Item = usize> + '_ {
    words.iter().enumerate().flat_map(|(at, &word)| {
        std::iter::successors((word != 0).then_some(word), |word| Some(word & (word - 1)).filter(|&rest| rest != 0))
            .map(move |word| at * 64 + word.trailing_zeros() as usize)
    })
}

/// Whether a bit is set.
pub(super) fn has(words: &[u64], bit: usize) -> bool {
    words[bit / 64] >> (bit % 64) & 1 == 1
}

/// Sets a bit.
pub(super) fn set(words: &mut [u64], bit: usize) {
    words[bit / 64] |= 1 << (bit % 64);
}

/// Words for so many bits.
pub(super) fn words_of(bits: usize) -> usize {
    bits.div_ceil(64).max(1)
}
