//! Where each group and cell stands in the answer: which groups are kept, their ranks, and the rest as one.

use std::cmp::Ordering;
use std::ops::Range;

use event_store::{Fold, Measured, Value};

use super::cells::{CellTable, cell_key, group_and_bucket};
use super::value::{Number, compare_groups};

/// The places of an answer. Ranks `0..kept` are groups of their own; with a rest, it has the last rank.
pub(super) struct Layout {
    ranks: Vec<u32>,
    kept: u32,
    rank_count: usize,
    /// Cells in the answer by (rank, bucket), ascending.
    cells: Vec<(u32, u32)>,
    /// Place in `cells` of each cell of the query.
    places: Vec<u32>,
    table: CellTable,
}

impl Layout {
    /// Every group on its own, in order of its number.
    pub(super) fn unfolded(groups: usize, cells: &CellTable, buckets: usize) -> Self {
        let order: Vec<u32> = (0..groups as u32).collect();
        Self::new(&order, groups, cells, buckets)
    }

    /// The same, with a place for every rank in every bucket.
    pub(super) fn filled(order: &[u32], keep: usize, cells: &CellTable, buckets: usize) -> Self {
        let ranks = keep.min(order.len()) + usize::from(order.len() > keep);
        let all = (0..ranks as u32).flat_map(|rank| (0..buckets as u32).map(move |bucket| cell_key(rank, bucket)));
        Self::with(order, keep, cells, buckets, all.collect())
    }

    /// The first `keep` of `order` (group numbers, best first) on their own, the others as one.
    pub(super) fn new(order: &[u32], keep: usize, cells: &CellTable, buckets: usize) -> Self {
        Self::with(order, keep, cells, buckets, Vec::new())
    }

    /// With these places beside those of the cells.
    fn with(order: &[u32], keep: usize, cells: &CellTable, buckets: usize, places: Vec<u64>) -> Self {
        let kept = keep.min(order.len());
        let mut ranks = vec![0; order.len()];
        for (rank, &group) in order.iter().enumerate() {
            ranks[group as usize] = rank.min(kept) as u32;
        }
        let place = |&key: &u64| {
            let (group, bucket) = group_and_bucket(key);
            cell_key(ranks[group as usize], bucket)
        };
        let mut in_answer = places;
        in_answer.extend(cells.keys().iter().map(place));
        in_answer.sort_unstable();
        in_answer.dedup();
        let mut table = CellTable::new(buckets);
        for &key in &in_answer {
            let (rank, bucket) = group_and_bucket(key);
            table.intern(rank, bucket);
        }
        let places = cells.keys().iter().map(|key| in_answer.partition_point(|known| *known < place(key)) as u32).collect();
        let rank_count = kept + usize::from(order.len() > kept);
        Self { ranks, kept: kept as u32, rank_count, cells: in_answer.into_iter().map(group_and_bucket).collect(), places, table }
    }

    /// The rank of a group.
    pub(super) fn rank(&self, group: u32) -> u32 {
        self.ranks[group as usize]
    }

    /// True for the rank of the folded rest.
    pub(super) fn is_rest(&self, rank: u32) -> bool {
        rank == self.kept
    }

    /// Number of ranks, the rest included.
    pub(super) fn rank_count(&self) -> usize {
        self.rank_count
    }

    /// The cells of the answer as (rank, bucket), ascending.
    pub(super) fn cells(&self) -> &[(u32, u32)] {
        &self.cells
    }

    /// The places of a rank: they lie side by side.
    pub(super) fn places_of(&self, rank: usize) -> Range<usize> {
        let begin = |rank: usize| self.cells.partition_point(|&(of_cell, _)| (of_cell as usize) < rank);
        begin(rank)..begin(rank + 1)
    }

    /// The cells of the query by place.
    pub(super) fn cells_by_place(&self) -> CellsByPlace {
        let mut starts = vec![0u32; self.cells.len() + 1];
        self.places.iter().for_each(|&place| starts[place as usize + 1] += 1);
        (1..starts.len()).for_each(|place| starts[place] += starts[place - 1]);
        let mut next = starts.clone();
        let mut cells = vec![0; self.places.len()];
        for (cell, &place) in self.places.iter().enumerate() {
            cells[next[place as usize] as usize] = cell as u32;
            next[place as usize] += 1;
        }
        CellsByPlace { starts, cells }
    }

    /// The place in the answer of a cell of the query.
    pub(super) fn place(&self, cell: usize) -> usize {
        self.places[cell] as usize
    }

    /// The place of a rank in a bucket; every cell that a measure has seen has one.
    pub(super) fn place_of(&self, rank: u32, bucket: u32) -> Option<usize> {
        self.table.get(rank, bucket)
    }
}

/// The cells of each place of a [`Layout`].
pub(super) struct CellsByPlace {
    starts: Vec<u32>,
    cells: Vec<u32>,
}

impl CellsByPlace {
    /// The cells of a place.
    pub(super) fn cells(&self, place: usize) -> &[u32] {
        &self.cells[self.starts[place] as usize..self.starts[place + 1] as usize]
    }
}

/// The group numbers, best first.
pub(super) fn ranked(groups: &[Vec<Value>], totals: &[Measured], fold: &Fold) -> Vec<u32> {
    let mut order: Vec<u32> = (0..groups.len() as u32).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (a as usize, b as usize);
        compare_measured(totals[a], totals[b], fold.descending).then_with(|| compare_groups(&groups[a], &groups[b]))
    });
    order
}

/// `null` last in either direction.
fn compare_measured(a: Measured, b: Measured, descending: bool) -> Ordering {
    let directed = |order: Ordering| if descending { order.reverse() } else { order };
    let size = |measured| match measured {
        Measured::Count(count) => Some(Number::Int(i128::from(count))),
        Measured::Integer(integer) => Some(Number::Int(integer)),
        Measured::Number(number) => number.map(Number::Float),
    };
    match (size(a), size(b)) {
        (Some(a), Some(b)) => directed(a.compare(b)),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}
