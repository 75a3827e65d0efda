//! Cells: a group in a bucket, numbered densely as they appear.

use rustc_hash::FxHashMap;

/// Cells that are found by position instead of by hash.
const MAX_DIRECT: usize = 1 << 20;
const UNKNOWN: u32 = u32::MAX;

/// The cells seen so far.
pub(super) struct CellTable {
    buckets: usize,
    direct: Vec<u32>,
    hashed: FxHashMap<u64, u32>,
    keys: Vec<u64>,
}

/// A cell as one number that sorts by group, then bucket; below `u64::MAX`.
pub(super) fn cell_key(group: u32, bucket: u32) -> u64 {
    u64::from(group) << 32 | u64::from(bucket)
}

/// The group and the bucket of a [`cell_key`].
pub(super) fn group_and_bucket(key: u64) -> (u32, u32) {
    ((key >> 32) as u32, key as u32)
}

impl CellTable {
    /// For this many buckets.
    pub(super) fn new(buckets: usize) -> Self {
        Self { buckets, direct: Vec::new(), hashed: FxHashMap::default(), keys: Vec::new() }
    }

    /// The number of a cell, new or known.
    #[inline]
    pub(super) fn intern(&mut self, group: u32, bucket: u32) -> u32 {
        let position = group as usize * self.buckets + bucket as usize;
        let next = self.keys.len() as u32;
        let slot = if position < MAX_DIRECT {
            if position >= self.direct.len() {
                self.direct.resize((position + 1).max(2 * self.direct.len()).min(MAX_DIRECT), UNKNOWN);
            }
            &mut self.direct[position]
        } else {
            self.hashed.entry(cell_key(group, bucket)).or_insert(UNKNOWN)
        };
        if *slot == UNKNOWN {
            *slot = next;
            self.keys.push(cell_key(group, bucket));
        }
        *slot
    }

    /// Turns group numbers into the numbers of their cells in one bucket.
    pub(super) fn intern_all(&mut self, groups: &mut [u32], bucket: u32) {
        let mut last = (u32::MAX, UNKNOWN);
        for group in groups {
            if last.0 != *group || last.1 == UNKNOWN {
                last = (*group, self.intern(*group, bucket));
            }
            *group = last.1;
        }
    }

    /// The number of a known cell.
    pub(super) fn get(&self, group: u32, bucket: u32) -> Option<usize> {
        let position = group as usize * self.buckets + bucket as usize;
        let found = if position < MAX_DIRECT { self.direct.get(position) } else { self.hashed.get(&cell_key(group, bucket)) };
        found.filter(|&&cell| cell != UNKNOWN).map(|&cell| cell as usize)
    }

    /// The [`cell_key`] of each cell, by number.
    pub(super) fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// Number of cells.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far_cells_are_dense() {
        let mut cells = CellTable::new(100);
        let asked = [(0, 0), (3, 99), (0, 0), (1_000_000, 7), (20_000, 1), (1_000_000, 7)];
        let numbers: Vec<u32> = asked.iter().map(|&(group, bucket)| cells.intern(group, bucket)).collect();
        assert_eq!(numbers, [0, 1, 0, 2, 3, 2]);
        assert_eq!(cells.get(1_000_000, 7), Some(2));
        assert_eq!(cells.get(1_000_000, 8), None);
        assert_eq!(group_and_bucket(cells.keys()[1]), (3, 99));
    }
}
