//! Large collections of `(key, payload)` pairs by key: the exact sets behind distinct counts, and each person's events.
//!
//! Rows come from parts sorted by person, so the lists are concatenations of few sorted runs: a merging sort of them is much
//! cheaper than a hash table. Keys are hashes, so their upper bits cut the lists into partitions of like size, which are sorted
//! and walked in parallel.

use std::sync::Mutex;

use event_store::{QueryContext, QueryError};

use super::scan::{Query, Reserved};

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

/// Pairs one thread collects.
pub(super) struct PairList {
    partitions: Vec<Partition>,
    last: u128,
    distinct: bool,
    memory: Reserved,
}

#[derive(Default)]
struct Partition {
    pairs: Vec<u128>,
    /// Length after the last removal of repeated pairs.
    distinct_length: usize,
}

impl PairList {
    /// A set: a pair counts once, and repeated ones are removed before more memory is taken.
    pub(super) fn distinct(context: &QueryContext) -> Self {
        Self::new(context, true)
    }

    /// A list that keeps repeated pairs.
    pub(super) fn repeating(context: &QueryContext) -> Self {
        Self::new(context, false)
    }

    fn new(context: &QueryContext, distinct: bool) -> Self {
        let partitions = (0..PARTITIONS).map(|_| Partition::default()).collect();
        Self { partitions, last: NO_PAIR, distinct, memory: Reserved::new(context) }
    }

    /// Adds a pair; the payload is below `u64::MAX`.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    #[inline]
    pub(super) fn push(&mut self, key: u64, payload: u64) -> Result<(), QueryError> {
        let pair = pair(key, payload);
        if self.distinct && pair == self.last {
            return Ok(());
        }
        self.last = pair;
        let partition = &mut self.partitions[(key >> (64 - PARTITION_BITS)) as usize];
        if partition.pairs.len() == partition.pairs.capacity() {
            partition.make_room(self.distinct, &mut self.memory)?;
        }
        partition.pairs.push(pair);
        Ok(())
    }

    /// Joins what the threads collected.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; limits of the query.
    pub(super) fn merge(lists: Vec<Self>, query: &Query<'_>) -> Result<SortedPairs, QueryError> {
        let distinct = lists.iter().any(|list| list.distinct);
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
            // Stable on purpose: it finds the sorted runs and merges them.
            pairs.sort();
            if distinct {
                pairs.dedup();
            }
            *lists = vec![pairs];
            Ok(())
        })?;
        let sorted = partitions.into_iter().map(|lists| lists.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()));
        Ok(SortedPairs { partitions: sorted.map(|mut lists| lists.pop().unwrap_or_default()).collect(), _memory: memory })
    }
}

impl Partition {
    #[cold]
    fn make_room(&mut self, distinct: bool, memory: &mut Reserved) -> Result<(), QueryError> {
        if distinct && self.pairs.len() >= MIN_DISTINCT_PAIRS.max(2 * self.distinct_length) {
            self.pairs.sort();
            self.pairs.dedup();
            self.distinct_length = self.pairs.len();
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
    use std::time::{Duration, Instant};

    use event_store::MemoryBudget;

    use super::*;
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
    fn sets_and_lists_are_complete_and_bounded() {
        let context = context(64 << 20);
        let snapshot = Snapshot::default();
        let query = Query { snapshot: &snapshot, context: &context, threads: 2 };
        for distinct in [true, false] {
            let fill = |offset: u64| {
                let mut list = PairList::new(&context, distinct);
                for i in 0..300_000u64 {
                    list.push((offset + i % 50_000).wrapping_mul(0x9e37_79b9_7f4a_7c15), i % 3).unwrap();
                }
                list
            };
            let merged = PairList::merge(vec![fill(0), fill(25_000)], &query).unwrap();
            assert_eq!(merged.len(), if distinct { 3 * 75_000 } else { 600_000 });
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
