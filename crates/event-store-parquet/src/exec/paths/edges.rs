//! The edges between the steps of paths: at each place the most frequent, and the rest as one.

use std::cmp::Reverse;

use event_store::{PathSide, QueryError};
use rustc_hash::FxHashMap;

use super::merge::{Merged, first_of};
use super::path::{CODE_BITS, Path};
use super::sequence::PathRule;
use crate::exec::scan::{Query, Reserved};

/// Bytes of an edge while edges are counted: the map has up to twice the places that are taken.
const EDGE_BYTES: usize = 2 * size_of::<(u64, u64)>() + size_of::<(u64, u64)>();
/// Paths between two looks at the query's limits.
const PATHS_PER_CHECK: usize = 16_384;

/// What is counted: an edge that stays, or the rest of a place.
pub(super) struct Cell {
    pub(super) slot: usize,
    /// From which name to which; `None` for the rest.
    pub(super) names: Option<(u32, u32)>,
    pub(super) sequences: u64,
}

/// The cells, in order of their slots, and which edge is in which.
pub(super) struct Edges {
    pub(super) cells: Vec<Cell>,
    /// By slot and names.
    kept: FxHashMap<u64, u32>,
    /// By slot: the cell of the rest, where there is any.
    rest: Vec<u32>,
}

/// The edges of one slot that stay, by packed names, and the sequences of the rest.
#[derive(Default)]
struct Slot {
    number: usize,
    kept: Vec<(u64, u64)>,
    rest: u64,
}

impl Edges {
    /// Counts them, each slot by itself.
    pub(super) fn of(query: &Query<'_>, merged: &Merged, rule: PathRule, keep: usize) -> Result<Self, QueryError> {
        let slots = rule.most_names().saturating_sub(1);
        let counted = query.parallel(slots, &Vec::new, &|counted: &mut Vec<Slot>, slot| {
            counted.push(Slot::of(query, merged, rule, keep, slot)?);
            Ok(())
        })?;
        let mut counted: Vec<Slot> = counted.into_iter().flatten().collect();
        counted.sort_unstable_by_key(|slot| slot.number);
        let mut edges = Self { cells: Vec::new(), kept: FxHashMap::default(), rest: vec![0; slots] };
        for Slot { number: slot, kept, rest } in counted {
            for (names, sequences) in kept {
                edges.kept.insert(key(slot, names), edges.cells.len() as u32);
                edges.cells.push(Cell { slot, names: Some(unpack(names)), sequences });
            }
            if rest > 0 {
                edges.rest[slot] = edges.cells.len() as u32;
                edges.cells.push(Cell { slot, names: None, sequences: rest });
            }
        }
        Ok(edges)
    }

    /// The cell of an edge of one of the paths.
    #[inline]
    pub(super) fn cell_of(&self, slot: usize, names: (u32, u32)) -> usize {
        self.kept.get(&key(slot, pack(names))).copied().unwrap_or(self.rest[slot]) as usize
    }
}

impl Slot {
    fn of(query: &Query<'_>, merged: &Merged, rule: PathRule, keep: usize, slot: usize) -> Result<Self, QueryError> {
        let mut memory = Reserved::new(query.context);
        let mut edges: FxHashMap<u64, u64> = FxHashMap::default();
        for (at, row) in merged.rows().enumerate() {
            if at % PATHS_PER_CHECK == 0 {
                query.context.check()?;
            }
            let Some(names) = edge_at(row.path, rule, slot) else { continue };
            if edges.len() == edges.capacity() {
                let more = edges.capacity().max(64);
                memory.grow(more * EDGE_BYTES)?;
                edges.reserve(more);
            }
            *edges.entry(pack(names)).or_default() += row.count.sequences;
        }
        let all: u64 = edges.values().sum();
        let kept = first_of(edges.into_iter().collect(), keep, |&(names, sequences)| (Reverse(sequences), names));
        let rest = all - kept.iter().map(|(_, sequences)| sequences).sum::<u64>();
        Ok(Self { number: slot, kept, rest })
    }
}

/// Sorts as the names do.
fn pack((from, to): (u32, u32)) -> u64 {
    u64::from(from) << CODE_BITS | u64::from(to)
}

fn unpack(names: u64) -> (u32, u32) {
    ((names >> CODE_BITS) as u32, names as u32 & ((1 << CODE_BITS) - 1))
}

fn key(slot: usize, names: u64) -> u64 {
    (slot as u64) << (2 * CODE_BITS) | names
}

/// The slot of a path's first edge: slots are the places from the first on.
fn first_slot(path: Path, rule: PathRule) -> usize {
    match rule.side() {
        Some(PathSide::End) => rule.most_names() - path.len(),
        _ => 0,
    }
}

fn edge_at(path: Path, rule: PathRule, slot: usize) -> Option<(u32, u32)> {
    let step = slot.checked_sub(first_slot(path, rule))?;
    Some((path.name(step)?, path.name(step + 1)?))
}

/// The edges of a path with their slots.
pub(super) fn edges_of(path: Path, rule: PathRule) -> impl Iterator<Item = (usize, (u32, u32))> {
    (first_slot(path, rule)..).zip(path.names().zip(path.names().skip(1)))
}
