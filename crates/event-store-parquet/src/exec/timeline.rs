//! A time and a label in one 64-bit payload that sorts by time.

use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use event::limits::EARLIEST_TIME_MS;
use event_store::QueryError;
use rustc_hash::FxHashMap;

const LABEL_BITS: u32 = 20;
/// Largest label, and so one less than the most distinct labels of a query.
pub(super) const MAX_LABEL: u32 = (1 << LABEL_BITS) - 2;
/// 44 bits of milliseconds: 557 years.
const MAX_OFFSET: u64 = (1 << (64 - LABEL_BITS)) - 1;

/// Where the offsets of a query's payloads begin.
#[derive(Clone, Copy)]
pub(super) struct Timeline {
    base_ms: i64,
}

/// One event as far as a sequence operator looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) time_ms: i64,
    pub(super) label: u32,
}

impl Timeline {
    /// For events at or after `from_ms`; none is older than [`EARLIEST_TIME_MS`].
    pub(super) fn from(from_ms: i64) -> Self {
        Self { base_ms: from_ms.max(EARLIEST_TIME_MS) }
    }

    /// A payload; labels are at most [`MAX_LABEL`], so a payload is below `u64::MAX`.
    #[inline]
    pub(super) fn payload(self, time_ms: i64, label: u32) -> u64 {
        self.offset(time_ms) << LABEL_BITS | u64::from(label)
    }

    /// Milliseconds from where the timeline begins, 44 bits.
    #[inline]
    pub(super) fn offset(self, time_ms: i64) -> u64 {
        (time_ms.saturating_sub(self.base_ms).max(0) as u64).min(MAX_OFFSET)
    }

    /// The time at an offset.
    pub(super) fn time_of(self, offset: u64) -> i64 {
        self.base_ms + offset as i64
    }

    /// Time and label of a payload, the time counted from wherever its timeline begins.
    pub(super) fn parts(payload: u64) -> (u64, u32) {
        (payload >> LABEL_BITS, payload as u32 & ((1 << LABEL_BITS) - 1))
    }

    /// What [`Timeline::payload`] packed.
    pub(super) fn moment(self, payload: u64) -> Moment {
        let (offset, label) = Self::parts(payload);
        Moment { time_ms: self.time_of(offset), label }
    }
}

/// Distinct things numbered as labels, the same in every thread of a query.
pub(super) struct Labels<K> {
    numbers: FxHashMap<K, u32>,
    list: Vec<K>,
}

impl<K> Default for Labels<K> {
    fn default() -> Self {
        Self { numbers: FxHashMap::default(), list: Vec::new() }
    }
}

impl<K: Copy + Eq + Hash> Labels<K> {
    /// The label of a thing: the one the thread knows, else the shared one.
    ///
    /// # Errors
    /// [`QueryError::Groups`] when there are more things than labels.
    pub(super) fn find(shared: &Mutex<Self>, known: &mut FxHashMap<K, u32>, thing: K) -> Result<u32, QueryError> {
        if let Some(&label) = known.get(&thing) {
            return Ok(label);
        }
        let mut labels = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let next = labels.list.len() as u32;
        if next >= MAX_LABEL {
            return Err(QueryError::Groups { limit: MAX_LABEL as usize });
        }
        let label = *labels.numbers.entry(thing).or_insert(next);
        if label == next {
            labels.list.push(thing);
        }
        known.insert(thing, label);
        Ok(label)
    }

    /// The things by label, so far.
    pub(super) fn list(&self) -> &[K] {
        &self.list
    }

    /// The things by label.
    pub(super) fn into_list(self) -> Vec<K> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_sort_by_time_and_come_back() {
        let timeline = Timeline::from(1_700_000_000_000);
        let moments = [(1_700_000_000_000, 7), (1_700_000_000_001, 0), (4_000_000_000_000, MAX_LABEL)];
        let payloads: Vec<u64> = moments.iter().map(|&(time_ms, label)| timeline.payload(time_ms, label)).collect();
        assert!(payloads.is_sorted());
        for (&(time_ms, label), &payload) in moments.iter().zip(&payloads) {
            assert_eq!(timeline.moment(payload), Moment { time_ms, label });
        }
    }
}
