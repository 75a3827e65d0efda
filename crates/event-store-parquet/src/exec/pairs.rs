//! Large collections of `(key, payload)` pairs by key: the exact sets behind distinct counts, and each person's events.
//!
//! Rows come from parts sorted by person, so the lists are concatenations of few sorted runs: a merging sort of them is much
//! cheaper than a hash table. Keys are hashes, so their upper bits cut the lists into partitions of like size, which are sorted
//! and walked in parallel.

use std::sync::Mutex;

use event_store::{QueryContext, QueryError};

use super::scan::{Query, Reserved};
use super::timeline::Timeline;

const PARTITION_BITS: u32 = 6;
const PARTITIONS: usize = 1 << PARTITION_BITS;
const PAIR_BYTES: usize = size_of::<u128>();
/// A shorter list is not worth looking for repeated pairs in.
const MIN_DISTINCT_PAIRS: usize = 4_096;
/// No pair: payloads stay below it.
const NO_PAIR: u128 = u128::MAX;

/// A pair as one number: the key above the payload.
pub(super) fn pair(key: u64, payload: u64) -> u128 {
    u128::from(key) << 64 | u128::from(payload)
}

/// The key of a pair.
pub(super) fn key(pair: u128) -> u64 {
    (pair >> 64) as u64
}

/// The payload of a pair.
pub(super) fn payload(pair: u128) -> u64 {
    pair as u64
}

/// Which pairs of a key matter; the others are removed before more memory is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// All, repeated ones too.
    All,
    /// Each pair once.
    Distinct,
    /// Of moments (see [`Timeline`]): the earliest, and of those with a label the earliest, all of them where several have one time.
    Leading,
}

/// Pairs one thread collects.
pub(super) struct PairList {
    partitions: Vec<Partition>,
    last: u128,
    keep: Keep,
    memory: Reserved,
}

#[derive(Default)]
struct Partition {
    pairs: Vec<u128>,
    /// Length after the last removal of pairs that do not matter.
    kept_length: usize,
}

impl PairList {
    /// A set: a pair counts once, and repeated ones are removed before more memory is taken.
    pub(super) fn distinct(context: &QueryContext) -> Self {
        Self::new(context, Keep::Distinct)
    }

    /// Moments by key, of which only where a key begins and its first match count: memory grows with the keys, not with the events.
    pub(super) fn leading(context: &QueryContext) -> Self {
        Self::new(context, Keep::Leading)
    }

    fn new(context: &QueryContext, keep: Keep) -> Self {
        let partitions = (0..PARTITIONS).map(|_| Partition::default()).collect();
        Self { partitions, last: NO_PAIR, keep, memory: Reserved::new(context) }
    }

    /// Adds a pair; the payload is below `u64::MAX`.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    #[inline]
    pub(super) fn push(&mut self, key: u64, payload: u64) -> Result<(), QueryError> {
        let pair = pair(key, payload);
        if self.keep != Keep::All && pair == self.last || self.keep == Keep::Leading && is_led(self.last, pair) {
            return Ok(());
        }
        self.last = pair;
        let partition = &mut self.partitions[(key >> (64 - PARTITION_BITS)) as usize];
        if partition.pairs.len() == partition.pairs.capacity() {
            partition.make_room(self.keep, &mut self.memory)?;
        }
        partition.pairs.push(pair);
        Ok(())
    }

    /// Joins what the threads collected.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; limits of the query.
    pub(super) fn merge(lists: Vec<Self>, query: &Query<'_>) -> Result<SortedPairs, QueryError> {
        let keep = lists.first().map_or(Keep::All, |list| list.keep);
        let mut memory = Vec::with_capacity(lists.len());
        let mut collected: Vec<Vec<Vec<u128>>> = vec![Vec::new(); PARTITIONS];
        for list in lists {
            memory.push(list.memory);
            for (all, partition) in collected.iter_mut().zip(list.partitions) {
                all.push(partition.pairs);
            }
        }
        let partitions: Vec<Mutex<Vec<Vec<u128>>>> = collected.into_iter().map(Mutex::new).collect();
        query.parallel(PARTITIONS, &|| (), &|(), task| {
            let mut lists = partitions[task].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let mut pairs = lists.pop().unwrap_or_default();
            lists.drain(..).for_each(|list| pairs.extend_from_slice(&list));
            reduce(&mut pairs, keep);
            *lists = vec![pairs];
            Ok(())
        })?;
        let sorted = partitions.into_iter().map(|lists| lists.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()));
        Ok(SortedPairs { partitions: sorted.map(|mut lists| lists.pop().unwrap_or_default()).collect(), _memory: memory })
    }
}

impl Partition {
    #[cold]
    fn make_room(&mut self, keep: Keep, memory: &mut Reserved) -> Result<(), QueryError> {
        if keep != Keep::All && self.pairs.len() >= MIN_DISTINCT_PAIRS.max(2 * self.kept_length) {
            reduce(&mut self.pairs, keep);
            self.kept_length = self.pairs.len();
            if self.pairs.len() <= self.pairs.capacity() / 2 {
                return Ok(());
            }
        }
        let more = self.pairs.capacity().max(64);
        memory.grow(more * PAIR_BYTES)?;
        self.pairs.reserve_exact(self.pairs.capacity() - self.pairs.len() + more);
        Ok(())
    }
}

/// Sorts, and removes what does not matter.
fn reduce(pairs: &mut Vec<u128>, keep: Keep) {
    // Stable on purpose: it finds the sorted runs and merges them.
    pairs.sort();
    if keep != Keep::All {
        pairs.dedup();
    }
    if keep == Keep::Leading {
        keep_leading(pairs);
    }
}

/// True when a moment cannot matter beside an earlier one of the same key. A run has the events of a session one after the other, so this spares
/// most of them the sorting.
#[inline]
fn is_led(first: u128, pair: u128) -> bool {
    let ((first_time, first_label), (time, label)) = (Timeline::parts(payload(first)), Timeline::parts(payload(pair)));
    key(first) == key(pair) && first_time <= time && (label == 0 || (first_label != 0 && first_time < time))
}

fn keep_leading(pairs: &mut Vec<u128>) {
    let mut current = None;
    let mut match_time = None;
    pairs.retain(|&pair| {
        let (time, label) = Timeline::parts(payload(pair));
        let begins = current != Some(key(pair));
        if begins {
            current = Some(key(pair));
            match_time = None;
        }
        let matches = label != 0 && match_time.is_none_or(|first| first == time);
        if matches {
            match_time = Some(time);
        }
        begins || matches
    });
}

/// What is done with the pairs of one key, in the state of the thread.
type EachKey<'e, W> = dyn Fn(&mut W, &[u128]) -> Result<(), QueryError> + Sync + 'e;

/// All pairs of a query, each partition ascending; all pairs of one key are in one partition.
pub(super) struct SortedPairs {
    partitions: Vec<Vec<u128>>,
    _memory: Vec<Reserved>,
}

impl SortedPairs {
    /// Walks the pairs key by key, partitions in parallel: `each` gets the ascending pairs of one key.
    ///
    /// # Errors
    /// The first error of `each`; limits of the query.
    pub(super) fn for_each_key<W: Send>(
        &self,
        query: &Query<'_>,
        make: &(dyn Fn() -> W + Sync),
        each: &EachKey<'_, W>,
    ) -> Result<Vec<W>, QueryError> {
        /// Keys between two looks at the query's limits.
        const KEYS_PER_CHECK: usize = 4_096;
        query.parallel(PARTITIONS, make, &|state, task| {
            let by_key = self.partitions[task].chunk_by(|a, b| key(*a) == key(*b));
            for (i, pairs) in by_key.enumerate() {
                if i % KEYS_PER_CHECK == 0 {
                    query.context.check()?;
                }
                each(state, pairs)?;
            }
            Ok(())
        })
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.partitions.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use event_store::MemoryBudget;

    use super::*;
    use crate::decoded::DecodedCache;
    use crate::snapshot::Snapshot;

    fn context(limit_bytes: usize) -> QueryContext {
        QueryContext {
            deadline: Instant::now() + Duration::from_secs(60),
            limit_ms: 60_000,
            cancel: Default::default(),
            memory: MemoryBudget::new(limit_bytes),
            max_groups: 100,
        }
    }

    #[test]
    fn leading_moments_are_the_beginning_and_the_first_matches() {
        let timeline = Timeline::from(1_700_000_000_000);
        let at = |key: u64, time: i64, label: u32| pair(key, timeline.payload(1_700_000_000_000 + time, label));
        let mut pairs =
            vec![at(1, 9, 3), at(1, 5, 2), at(1, 5, 7), at(1, 3, 0), at(1, 4, 0), at(1, 5, 2), at(2, 1, 4), at(2, 2, 1), at(3, 8, 0)];
        reduce(&mut pairs, Keep::Leading);
        assert_eq!(pairs, [at(1, 3, 0), at(1, 5, 2), at(1, 5, 7), at(2, 1, 4), at(3, 8, 0)]);

        // Pushed one by one, in any order, the same matter.
        let unordered =
            [at(1, 3, 0), at(1, 4, 0), at(1, 5, 2), at(1, 5, 2), at(1, 5, 7), at(1, 9, 3), at(2, 2, 1), at(2, 1, 4), at(3, 8, 0)];
        let mut list = PairList::leading(&context(4 << 20));
        unordered.iter().for_each(|&pair| list.push(key(pair), payload(pair)).unwrap());
        assert_eq!(list.partitions[0].pairs.len(), 6, "{:?} and {:?} are led", at(1, 4, 0), at(1, 9, 3));
        reduce(&mut list.partitions[0].pairs, Keep::Leading);
        assert_eq!(list.partitions[0].pairs, [at(1, 3, 0), at(1, 5, 2), at(1, 5, 7), at(2, 1, 4), at(3, 8, 0)]);

        // A million events of a thousand keys fit where their list would not.
        let context = context(4 << 20);
        let mut list = PairList::leading(&context);
        (0..1_000_000u64)
            .try_for_each(|i| {
                list.push((i % 1_000).wrapping_mul(0x9e37_79b9_7f4a_7c15), timeline.payload(1_700_000_000_000 + i as i64, (i % 7) as u32))
            })
            .unwrap();
    }

    #[test]
    fn sets_and_lists_are_complete_and_bounded() {
        let context = context(64 << 20);
        let snapshot = Snapshot::default();
        let decoded = Arc::new(DecodedCache::new(0, 0));
        let query = Query { snapshot: &snapshot, context: &context, threads: 2, decoded: &decoded };
        for keep in [Keep::Distinct, Keep::All] {
            let fill = |offset: u64| {
                let mut list = PairList::new(&context, keep);
                for i in 0..300_000u64 {
                    list.push((offset + i % 50_000).wrapping_mul(0x9e37_79b9_7f4a_7c15), i % 3).unwrap();
                }
                list
            };
            let merged = PairList::merge(vec![fill(0), fill(25_000)], &query).unwrap();
            assert_eq!(merged.len(), if keep == Keep::Distinct { 3 * 75_000 } else { 600_000 });
            let keys = merged.for_each_key(&query, &|| 0, &|n, _| {
                *n += 1;
                Ok(())
            });
            assert_eq!(keys.unwrap().iter().sum::<i32>(), 75_000);
        }
        let small = self::context(1 << 20);
        let mut list = PairList::distinct(&small);
        let filled = (0..1_000_000u64).try_for_each(|i| list.push(i.wrapping_mul(0x9e37_79b9_7f4a_7c15), 0));
        assert_eq!(filled, Err(QueryError::Memory { limit_bytes: 1 << 20 }));
        drop(list);
        assert!(small.memory.grow(1 << 20).is_ok(), "a dropped list gives its memory back");
    }
}
