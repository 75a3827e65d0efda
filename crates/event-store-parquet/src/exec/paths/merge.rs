//! The paths of all threads as one.

use std::cmp::Reverse;
use std::sync::{Mutex, PoisonError};

use event_store::QueryError;

use super::tally::{PARTS, PathTable, Row, Tally, number_of, part_of};
use crate::exec::scan::{Query, Reserved};

/// Distinct paths, and where those of each thread are among them.
pub(super) struct Merged {
    parts: Vec<Part>,
    /// Paths of all parts.
    len: usize,
    _memory: Vec<Reserved>,
}

/// The paths of one table.
#[derive(Default)]
struct Part {
    table: PathTable,
    /// By thread, its places among all; `None` where these are its own.
    places: Vec<Option<Vec<u32>>>,
}

impl Merged {
    /// Takes the paths out of `tallies`.
    pub(super) fn of(query: &Query<'_>, tallies: &mut [Tally]) -> Result<Self, QueryError> {
        let mut tables: Vec<Vec<PathTable>> = (0..PARTS).map(|_| Vec::new()).collect();
        for tally in tallies.iter_mut() {
            tables.iter_mut().zip(&mut tally.tables).for_each(|(all, table)| all.push(std::mem::take(table)));
        }
        let slots: Vec<Mutex<(Vec<PathTable>, Part)>> = tables.into_iter().map(|tables| Mutex::new((tables, Part::default()))).collect();
        let memory = query.parallel(PARTS, &|| Reserved::new(query.context), &|memory: &mut Reserved, at| {
            let (tables, part) = &mut *slots[at].lock().unwrap_or_else(PoisonError::into_inner);
            *part = Part::of(std::mem::take(tables), memory)?;
            Ok(())
        })?;
        let parts: Vec<Part> = slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner).1).collect();
        let len = parts.iter().map(|part| part.table.rows.len()).sum();
        Ok(Self { parts, len, _memory: memory })
    }

    /// Number of distinct paths.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All of them.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.parts.iter().flat_map(|part| &part.table.rows)
    }

    #[inline]
    pub(super) fn row(&self, number: u32) -> &Row {
        let (part, place) = part_of(number);
        &self.parts[part].table.rows[place]
    }

    /// The number here of a path that has `number` in a thread.
    #[inline]
    pub(super) fn number(&self, thread: usize, number: u32) -> u32 {
        let (part, place) = part_of(number);
        match &self.parts[part].places[thread] {
            Some(places) => number_of(part, places[place] as usize),
            None => number,
        }
    }

    /// Marks the most frequent paths and gives their numbers, the first one first; of equally frequent ones the smaller path comes first.
    pub(super) fn keep_most_frequent(&mut self, query: &Query<'_>, keep: usize) -> Result<Vec<u32>, QueryError> {
        let mut memory = Reserved::new(query.context);
        memory.grow(query.threads * self.parts.iter().map(|part| part.table.rows.len()).max().unwrap_or(0) * size_of::<u32>())?;
        let rank = |&number: &u32| {
            let row = self.row(number);
            (Reverse(row.count.sequences), row.path)
        };
        let candidates = query.parallel(PARTS, &Vec::new, &|candidates: &mut Vec<u32>, part| {
            let numbers = (0..self.parts[part].table.rows.len()).map(|place| number_of(part, place));
            candidates.extend(first_of(numbers.collect(), keep, rank));
            Ok(())
        })?;
        let most_frequent = first_of(candidates.concat(), keep, rank);
        for &number in &most_frequent {
            let (part, place) = part_of(number);
            self.parts[part].table.rows[place].is_kept = true;
        }
        Ok(most_frequent)
    }
}

impl Part {
    /// The largest table takes in the paths of the others.
    fn of(mut tables: Vec<PathTable>, memory: &mut Reserved) -> Result<Self, QueryError> {
        let largest = (0..tables.len()).max_by_key(|&at| tables[at].rows.len());
        let mut table = largest.map(|at| std::mem::take(&mut tables[at])).unwrap_or_default();
        let mut places = Vec::with_capacity(tables.len());
        for (at, of_thread) in tables.into_iter().enumerate() {
            if Some(at) == largest {
                places.push(None);
                continue;
            }
            memory.grow(of_thread.rows.len() * size_of::<u32>())?;
            let mut of_rows = Vec::with_capacity(of_thread.rows.len());
            for row in of_thread.rows {
                let place = table.intern(row.path, memory)?;
                table.rows[place].count.add(row.count);
                of_rows.push(place as u32);
            }
            places.push(Some(of_rows));
        }
        Ok(Self { table, places })
    }
}

/// The first of some things in an order, without ordering the others.
pub(super) fn first_of<T, K: Ord>(mut all: Vec<T>, keep: usize, key: impl Fn(&T) -> K) -> Vec<T> {
    if keep < all.len() {
        all.select_nth_unstable_by_key(keep, &key);
        all.truncate(keep);
    }
    all.sort_unstable_by_key(key);
    all
}
