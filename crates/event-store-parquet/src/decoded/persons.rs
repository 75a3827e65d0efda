//! Dense numbers for the persons of an app.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use arrow::array::{Array, UInt64Array};

/// The ordinal of events without a person; persons follow from 1.
pub(crate) const NO_PERSON: u32 = 0;

/// A row whose person had no ordinal yet when it was looked up.
const UNKNOWN: u32 = u32::MAX;
/// The upper bits of a key choose its shard.
const SHARD_BITS: u32 = 8;
const FIRST_SLOT_BITS: u32 = 3;
/// Longest way from a key's own slot. Keys are hashes, so that only a crowd of chosen ids is longer; it counts as full.
const MAX_DISTANCE: usize = 512;

/// Person keys of one app as ordinals, in the order of first sight: a set of persons is a bitmap, and what is known of each an array.
///
/// Slots are in the order of the keys, which are hashes and spread evenly: the ascending keys of a segment's table, or of a run, meet
/// shards and slots one after the other, so that each look-up finds its slot in the processor's cache. Nothing is ever removed.
pub(crate) struct PersonIndex {
    max_persons: usize,
    table: RwLock<Table>,
    full: AtomicBool,
    bytes: AtomicUsize,
}

struct Table {
    /// None before the first person.
    shards: Vec<Shard>,
    /// By ordinal; the first is nobody's.
    keys: Vec<u64>,
}

/// Keys and ordinals by slot. Invariant: half of the slots are free, and each key is reachable from its own slot within [`MAX_DISTANCE`].
#[derive(Clone)]
struct Shard {
    slot_bits: u32,
    persons: usize,
    slot_keys: Vec<u64>,
    /// [`NO_PERSON`] where the slot is free.
    slot_ordinals: Vec<u32>,
}

impl PersonIndex {
    /// For at most this many persons, below 2^31.
    pub(crate) fn new(max_persons: usize) -> Self {
        Self {
            max_persons: max_persons.min(i32::MAX as usize),
            table: RwLock::new(Table { shards: Vec::new(), keys: vec![0] }),
            full: AtomicBool::new(max_persons == 0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// True once a person was seen that has no place: there are no more ordinals for this app.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The ordinal of each row, given to persons that have none; `None` when the index is full.
    pub(crate) fn number(&self, persons: &UInt64Array) -> Option<Vec<u32>> {
        if self.is_full() {
            return None;
        }
        let mut ordinals = Vec::with_capacity(persons.len());
        let any_unknown = self.read().look_up(persons, &mut ordinals);
        if !any_unknown {
            return Some(ordinals);
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let mut last = (0, UNKNOWN);
        for (row, ordinal) in ordinals.iter_mut().enumerate().filter(|(_, ordinal)| **ordinal == UNKNOWN) {
            let key = persons.value(row);
            if last.1 == UNKNOWN || last.0 != key {
                match table.insert(key, self.max_persons) {
                    Some(given) => last = (key, given),
                    None => {
                        self.full.store(true, Ordering::Relaxed);
                        return None;
                    }
                }
            }
            *ordinal = last.1;
        }
        self.bytes.store(table.bytes(), Ordering::Relaxed);
        Some(ordinals)
    }

    /// The ordinal of each key, [`NO_PERSON`] where none was given so far; gives none.
    pub(crate) fn find(&self, keys: &[u64]) -> Vec<u32> {
        let table = self.read();
        keys.iter().map(|&key| table.shards.get(shard_of(key)).and_then(|shard| shard.find(key)).unwrap_or(NO_PERSON)).collect()
    }

    /// Calls `read` with the key of every ordinal given so far; that of [`NO_PERSON`] means nothing.
    pub(crate) fn with_keys<T>(&self, read: impl FnOnce(&[u64]) -> T) -> T {
        read(&self.read().keys)
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn bytes(&self) -> usize {
        let slots: usize = self.shards.iter().map(|shard| shard.slot_keys.len()).sum();
        slots * (size_of::<u64>() + size_of::<u32>()) + self.keys.capacity() * size_of::<u64>() + self.shards.len() * size_of::<Shard>()
    }

    /// Appends the ordinal of every row, [`UNKNOWN`] where there is none; true when there was such a row.
    fn look_up(&self, persons: &UInt64Array, ordinals: &mut Vec<u32>) -> bool {
        let mut any_unknown = false;
        let mut last: Option<(u64, u32)> = None;
        let mut find = |key: u64| match last {
            Some((known, ordinal)) if known == key => ordinal,
            _ => {
                let ordinal = self.shards.get(shard_of(key)).and_then(|shard| shard.find(key)).unwrap_or(UNKNOWN);
                any_unknown |= ordinal == UNKNOWN;
                last = Some((key, ordinal));
                ordinal
            }
        };
        match persons.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => ordinals.extend(persons.values().iter().map(|&key| find(key))),
            Some(nulls) => {
                let rows = persons.values().iter().zip(nulls.iter());
                ordinals.extend(rows.map(|(&key, is_valid)| if is_valid { find(key) } else { NO_PERSON }));
            }
        }
        any_unknown
    }

    /// The ordinal of a key, new or known; `None` where it has no place.
    fn insert(&mut self, key: u64, max_persons: usize) -> Option<u32> {
        if self.shards.is_empty() {
            self.shards = vec![Shard::new(FIRST_SLOT_BITS); 1 << SHARD_BITS];
        }
        let shard = &mut self.shards[shard_of(key)];
        if let Some(ordinal) = shard.find(key) {
            return Some(ordinal);
        }
        let ordinal = self.keys.len();
        if ordinal > max_persons || !shard.insert(key, ordinal as u32) {
            return None;
        }
        self.keys.push(key);
        Some(ordinal as u32)
    }
}

fn shard_of(key: u64) -> usize {
    (key >> (64 - SHARD_BITS)) as usize
}

impl Shard {
    fn new(slot_bits: u32) -> Self {
        Self { slot_bits, persons: 0, slot_keys: vec![0; 1 << slot_bits], slot_ordinals: vec![NO_PERSON; 1 << slot_bits] }
    }

    fn slots_of(&self, key: u64) -> impl Iterator<Item = usize> + use<> {
        let (own, mask) = (((key << SHARD_BITS) >> (64 - self.slot_bits)) as usize, self.slot_keys.len() - 1);
        (0..MAX_DISTANCE).map(move |distance| (own + distance) & mask)
    }

    #[inline]
    fn find(&self, key: u64) -> Option<u32> {
        for slot in self.slots_of(key) {
            let ordinal = self.slot_ordinals[slot];
            if ordinal == NO_PERSON {
                return None;
            }
            if self.slot_keys[slot] == key {
                return Some(ordinal);
            }
        }
        None
    }

    /// Places a key that is not here; false where it has no place.
    fn insert(&mut self, key: u64, ordinal: u32) -> bool {
        if (self.persons + 1) * 2 > self.slot_keys.len() && !self.grow() {
            return false;
        }
        let free = self.slots_of(key).find(|&slot| self.slot_ordinals[slot] == NO_PERSON);
        let Some(slot) = free else { return false };
        self.slot_keys[slot] = key;
        self.slot_ordinals[slot] = ordinal;
        self.persons += 1;
        true
    }

    /// Twice the slots; false where a key has no place in them, which only a crowd of chosen ids does.
    fn grow(&mut self) -> bool {
        let smaller = std::mem::replace(self, Self::new(self.slot_bits + 1));
        let mut occupied = smaller.slot_ordinals.iter().zip(&smaller.slot_keys).filter(|(ordinal, _)| **ordinal != NO_PERSON);
        occupied.all(|(&ordinal, &key)| self.insert(key, ordinal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(i: u64) -> u64 {
        (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn ordinals_are_dense_and_stay() {
        let index = PersonIndex::new(1_000_000);
        let mut keys: Vec<u64> = (0..100_000).map(mix).collect();
        keys.sort_unstable();
        let runs =
            keys.chunks(7_000).map(|chunk| UInt64Array::from(chunk.iter().flat_map(|&key| [Some(key), Some(key)]).collect::<Vec<_>>()));
        let runs: Vec<UInt64Array> = runs.collect();
        let first: Vec<Vec<u32>> = runs.iter().map(|run| index.number(run).unwrap()).collect();
        let again: Vec<Vec<u32>> = runs.iter().map(|run| index.number(run).unwrap()).collect();
        assert_eq!(first, again);
        let mut all: Vec<u32> = first.into_iter().flatten().collect();
        all.dedup();
        assert_eq!(all, (1..=100_000).collect::<Vec<u32>>());
        index.with_keys(|by_ordinal| assert_eq!(by_ordinal[1..], keys));
        assert!(index.bytes() > 100_000 * 20);
        assert_eq!(index.find(&[keys[41], 12_345, keys[0]]), [42, NO_PERSON, 1]);
    }

    #[test]
    fn nobody_is_zero_and_key_zero_is_somebody() {
        let index = PersonIndex::new(10);
        let persons = UInt64Array::from(vec![None, None, Some(0), Some(u64::MAX), Some(u64::MAX)]);
        assert_eq!(index.number(&persons), Some(vec![0, 0, 1, 2, 2]));
    }

    #[test]
    fn one_person_too_many_and_chosen_keys_fill_it() {
        let index = PersonIndex::new(3);
        assert_eq!(index.number(&UInt64Array::from(vec![1, 2, 3])), Some(vec![1, 2, 3]));
        assert_eq!(index.number(&UInt64Array::from(vec![1, 2, 3])), Some(vec![1, 2, 3]));
        assert_eq!(index.number(&UInt64Array::from(vec![mix(4)])), None);
        assert!(index.is_full());
        assert_eq!(index.number(&UInt64Array::from(vec![1])), None);

        // Keys of one shard that all want the same slot.
        let chosen: Vec<u64> = (0..4_000).map(|i| (7 << 56) + i).collect();
        let crowded = PersonIndex::new(1_000_000);
        assert_eq!(crowded.number(&UInt64Array::from(chosen)), None);
        assert!(crowded.is_full());
    }
}
