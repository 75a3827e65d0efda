//! One bit a period for each person with an ordinal, set by all threads of a scan.
//!
//! Rows of a person lie one after the other, so a thread sets a bit once for many rows, and two threads seldom meet at a word.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event::AppId;
use event_store::{QueryContext, QueryError, ScanStats};

use super::{Matcher, Periods, words_of};
use crate::decoded::NO_PERSON;
use crate::exec::aggregate::add_stats;
use crate::exec::batch::{Batch, Persons};
use crate::exec::by_ordinal::{PARTITION_PERSONS, partition_of};
use crate::exec::column_scan::{ColumnScan, Reading, TimeUse};
use crate::exec::filter::Memos;
use crate::exec::mask::Mask;
use crate::exec::scan::{Query, Reserved};

/// The words of the persons of one partition.
type Partition = Arc<[AtomicU64]>;

/// What is done with the words of one person in the state of the thread; the second are those of the same person in other bits.
type EachPerson<'e, W> = dyn Fn(&mut W, &[u64], &[u64]) -> Result<(), QueryError> + Sync + 'e;

/// The events that become bits.
pub(in crate::exec) struct Pass<'p> {
    pub(in crate::exec) query: &'p Query<'p>,
    pub(in crate::exec) app: &'p AppId,
    /// First millisecond in, and first one out.
    pub(in crate::exec) range: (i64, i64),
    pub(in crate::exec) matcher: &'p Matcher,
    pub(in crate::exec) periods: &'p Periods,
    pub(in crate::exec) reading: &'p Reading,
}

/// The bits of all persons.
pub(in crate::exec) struct PeriodBits {
    /// Words of one person.
    pub(in crate::exec) words: usize,
    partitions: Mutex<Partitions>,
}

struct Partitions {
    /// Made when the first of their persons matches.
    made: Vec<Option<Partition>>,
    memory: Reserved,
}

/// What one thread needs of its own.
struct Setter {
    memos: Memos,
    known: Vec<Option<Partition>>,
    last: (u32, u32),
}

impl PeriodBits {
    /// Reads the events that match.
    ///
    /// # Errors
    /// As for [`event_store::EventSource::aggregate`].
    pub(in crate::exec) fn gather(pass: &Pass<'_>, stats: &mut ScanStats) -> Result<Self, QueryError> {
        let Pass { query, app, range: (from_ms, to_ms), matcher, periods, reading } = *pass;
        let bits = Self::new(periods.count(), query.context);
        let columns = ColumnScan {
            app,
            from_ms,
            to_ms,
            events: matcher.names.as_deref(),
            fields: &matcher.fields,
            persons: true,
            times: TimeUse::Buckets(&periods.finder),
            narrowing: None,
            reading,
        };
        let make = || Setter { memos: matcher.memos(query.context), known: Vec::new(), last: (NO_PERSON, 0) };
        let each = |setter: &mut Setter, batch: &Batch, wanted: Option<&Mask>| {
            let Persons::Ordinals(ordinals) = batch.persons() else { return Ok(()) };
            let matching = matcher.matches(batch, wanted, &mut setter.memos);
            let of_all = periods.of_all(batch, from_ms, to_ms);
            matching.iter().try_for_each(|row| {
                let period = of_all.unwrap_or_else(|| periods.finder.find(batch.time(row as usize)));
                bits.set(setter, ordinals.values[row as usize], period)
            })
        };
        let (_, scanned) = query.scan_columns(&columns, &make, &each)?;
        add_stats(stats, scanned);
        Ok(bits)
    }

    fn new(periods: usize, context: &QueryContext) -> Self {
        let partitions = Partitions { made: Vec::new(), memory: Reserved::new(context) };
        Self { words: words_of(periods), partitions: Mutex::new(partitions) }
    }

    fn partitions(&self) -> MutexGuard<'_, Partitions> {
        // A thread that panicked has ended its query; a partition is made whole or not at all.
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn set(&self, setter: &mut Setter, ordinal: u32, period: u32) -> Result<(), QueryError> {
        if ordinal == NO_PERSON || setter.last == (ordinal, period) {
            return Ok(());
        }
        setter.last = (ordinal, period);
        let (partition, place) = partition_of(ordinal);
        let known = match setter.known.get(partition) {
            Some(Some(known)) => known,
            _ => self.learn(&mut setter.known, partition)?,
        };
        let word = &known[place * self.words + period as usize / 64];
        let bit = 1 << (period % 64);
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(())
    }

    #[cold]
    fn learn<'k>(&self, known: &'k mut Vec<Option<Partition>>, partition: usize) -> Result<&'k Partition, QueryError> {
        let mut partitions = self.partitions();
        let Partitions { made, memory } = &mut *partitions;
        if made.len() <= partition {
            made.resize(partition + 1, None);
        }
        let words = PARTITION_PERSONS * self.words;
        if made[partition].is_none() {
            memory.grow(words * size_of::<AtomicU64>())?;
        }
        let found = made[partition].get_or_insert_with(|| (0..words).map(|_| AtomicU64::new(0)).collect()).clone();
        drop(partitions);
        if known.len() <= partition {
            known.resize(partition + 1, None);
        }
        Ok(known[partition].insert(found))
    }

    /// Calls `each` with the words of every person that has a bit, and with those of the same person in `beside`: all zero where there
    /// are none.
    ///
    /// # Errors
    /// The first of `each`; limits of the query.
    pub(in crate::exec) fn for_each<W: Send>(
        &self,
        beside: Option<&Self>,
        query: &Query<'_>,
        make: &(dyn Fn() -> W + Sync),
        each: &EachPerson<'_, W>,
    ) -> Result<Vec<W>, QueryError> {
        /// Persons between two looks at the query's limits.
        const PERSONS_PER_CHECK: usize = 512;
        let copy = |bits: &Self| bits.partitions().made.clone();
        let (own, others) = (copy(self), beside.map(copy).unwrap_or_default());
        let beside_words = beside.map_or(0, |beside| beside.words);
        let make = || (make(), vec![0; self.words], vec![0; beside_words]);
        let states = query.parallel(own.len(), &make, &|(state, words, of_other): &mut (W, Vec<u64>, Vec<u64>), partition| {
            let Some(own) = &own[partition] else { return Ok(()) };
            let other = others.get(partition).and_then(Option::as_ref);
            for place in 0..PARTITION_PERSONS {
                if place % PERSONS_PER_CHECK == 0 {
                    query.context.check()?;
                }
                if read(own, place, words) {
                    if let Some(other) = other {
                        read(other, place, of_other);
                    }
                    each(state, words, of_other)?;
                    of_other.fill(0);
                }
            }
            Ok(())
        })?;
        Ok(states.into_iter().map(|(state, ..)| state).collect())
    }
}

/// Copies the words of the person at a place; true where a bit is set.
fn read(partition: &[AtomicU64], place: usize, words: &mut [u64]) -> bool {
    let own = &partition[place * words.len()..][..words.len()];
    words.iter_mut().zip(own).for_each(|(word, own)| *word = own.load(Ordering::Relaxed));
    words.iter().any(|&word| word != 0)
}
