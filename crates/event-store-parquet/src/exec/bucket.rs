//! Which bucket a time lies in.

/// Most entries of the look-up table.
const MAX_SLOTS: i64 = 1 << 16;

/// Finds buckets of any widths (days of 23 hours, months) in constant time: a table of equal slots names the bucket at each slot's
/// start, and the right one is that or one of the few that begin inside the slot.
pub(super) struct BucketFinder {
    starts: Vec<i64>,
    base_ms: i64,
    slot_bits: u32,
    slots: Vec<u32>,
}

impl BucketFinder {
    /// Buckets that begin at `starts` (ascending, not empty); times up to `to_ms` will be asked for.
    pub(super) fn new(starts: &[i64], to_ms: i64) -> Self {
        let base_ms = starts.first().copied().unwrap_or(0);
        let span = starts.last().copied().unwrap_or(base_ms).min(to_ms).saturating_sub(base_ms).max(0);
        let mut slot_bits = 0;
        while span >> slot_bits >= MAX_SLOTS {
            slot_bits += 1;
        }
        let slot_start = |slot: i64| base_ms + (slot << slot_bits);
        let bucket_at = |time: i64| starts.partition_point(|&start| start <= time).saturating_sub(1) as u32;
        let slots = (0..=(span >> slot_bits)).map(|slot| bucket_at(slot_start(slot))).collect();
        Self { starts: starts.to_vec(), base_ms, slot_bits, slots }
    }

    /// Number of buckets.
    pub(super) fn count(&self) -> usize {
        self.starts.len()
    }

    /// The bucket of a time at or after the first start.
    pub(super) fn find(&self, time_ms: i64) -> u32 {
        let slot = (time_ms.saturating_sub(self.base_ms).max(0) >> self.slot_bits) as usize;
        let mut bucket = self.slots[slot.min(self.slots.len() - 1)];
        while self.starts.get(bucket as usize + 1).is_some_and(|&start| start <= time_ms) {
            bucket += 1;
        }
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_search_at_every_edge() {
        let uneven: Vec<i64> = (0..500).scan(1_700_000_000_000, |t, i| Some(std::mem::replace(t, *t + 3_600_000 * (1 + i % 37)))).collect();
        for starts in [vec![0], vec![-5], vec![i64::MIN / 4, 0, 7], uneven, (0..5000).map(|i| i * 60_000).collect()] {
            let last = starts[starts.len() - 1];
            let finder = BucketFinder::new(&starts, last + 1_000_000);
            for edge in starts.iter().copied().chain([last + 999_999]) {
                for time in [edge - 1, edge, edge + 1].into_iter().filter(|&time| time >= starts[0]) {
                    let expected = starts.partition_point(|&start| start <= time) - 1;
                    assert_eq!(finder.find(time) as usize, expected, "{time}");
                }
            }
        }
    }
}
