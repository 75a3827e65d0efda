//! Distinct persons and values by cell: collected by each thread, joined, and counted in the places of a layout.
//!
//! Persons with ordinals are bitmaps while these are small enough, else 64-bit keys in sorted lists; both count the same.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::Array;
use event::{PersonHash, UniqueSketch};
use event_store::{QueryContext, QueryError};

use super::batch::{Batch, Persons};
use super::cells::group_and_bucket;
use super::column::Column;
use super::column_scan::Reading;
use super::layout::Layout;
use super::pairs::{self, PairList, SortedPairs};
use super::reach::{Covered, Reach};
use super::rows::Selection;
use super::scan::{Query, Reserved};
use super::sets::{SetTable, SetsFull, count_persons, numbers};
use super::tally::Sums;
use super::text::Text;
use crate::decoded::{NO_PERSON, SharedText, TextCodes};

/// Distinct persons of one thread.
pub(super) struct PersonCells {
    /// As long as there is room for bitmaps of ordinals.
    sets: Option<SetTable>,
    /// By key, with the key of the cell.
    pairs: PairList,
}

/// Distinct persons or values of a query.
pub(super) enum Distinct {
    /// By cell of the query.
    Sets(SetTable),
    /// With the key of the cell.
    Pairs(SortedPairs),
}

impl PersonCells {
    pub(super) fn new(reading: &Reading, context: &QueryContext) -> Self {
        Self { sets: reading.has_ordinals().then(|| SetTable::new(context)), pairs: PairList::distinct(context) }
    }

    /// Adds the persons of selected rows; `cell_keys` has the key of each cell the thread knows.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    pub(super) fn add(&mut self, batch: &Batch, selection: Selection<'_>, cell_keys: &[u64], reading: &Reading) -> Result<(), QueryError> {
        let ordinals = match batch.persons() {
            Persons::None => return Ok(()),
            Persons::Keys(keys) => {
                return selection.try_for_each(|row, cell| match keys.is_valid(row) {
                    true => self.pairs.push(keys.value(row), cell_keys[cell]),
                    false => Ok(()),
                });
            }
            Persons::Ordinals(ordinals) => ordinals,
        };
        if let Some(sets) = &mut self.sets {
            match sets.add_rows(&ordinals.values, ordinals.largest, selection, cell_keys.len()) {
                Ok(()) => return Ok(()),
                Err(SetsFull) => self.drain(cell_keys, reading)?,
            }
        }
        reading.space.persons().with_keys(|keys| {
            selection.try_for_each(|row, cell| match ordinals.values[row] {
                NO_PERSON => Ok(()),
                ordinal => self.pairs.push(keys[ordinal as usize], cell_keys[cell]),
            })
        })
    }

    /// Turns bitmaps into pairs.
    fn drain(&mut self, cell_keys: &[u64], reading: &Reading) -> Result<(), QueryError> {
        let Some(mut sets) = self.sets.take() else { return Ok(()) };
        reading.space.persons().with_keys(|keys| {
            sets.drain(|cell, ordinal| match ordinal {
                NO_PERSON => Ok(()),
                ordinal => self.pairs.push(keys[ordinal as usize], cell_keys[cell]),
            })
        })
    }

    /// Joins what the threads collected.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; limits of the query.
    pub(super) fn merge(
        mut threads: Vec<Self>,
        cells: &ThreadCells<'_>,
        reading: &Reading,
        query: &Query<'_>,
    ) -> Result<Distinct, QueryError> {
        if threads.iter().all(|thread| thread.sets.is_some()) {
            let sets = threads.into_iter().filter_map(|thread| thread.sets);
            return Ok(Distinct::Sets(merge_sets(sets, cells, query.context)));
        }
        for (thread, keys) in threads.iter_mut().zip(&cells.keys) {
            thread.drain(keys, reading)?;
        }
        Ok(Distinct::Pairs(PairList::merge(threads.into_iter().map(|thread| thread.pairs).collect(), query)?))
    }
}

/// The cells of the threads among those of the query.
pub(super) struct ThreadCells<'c> {
    /// By thread: the key of each of its cells.
    pub(super) keys: Vec<&'c [u64]>,
    /// By thread: each of its cells as a cell of the query.
    pub(super) maps: Vec<Vec<u32>>,
    /// Cells of the query.
    pub(super) count: usize,
}

fn merge_sets(threads: impl Iterator<Item = SetTable>, cells: &ThreadCells<'_>, context: &QueryContext) -> SetTable {
    let mut all: Option<SetTable> = None;
    for (sets, map) in threads.zip(&cells.maps) {
        match &mut all {
            None => all = Some(sets.renumbered(map, cells.count)),
            Some(all) => all.merge(sets, map, cells.count),
        }
    }
    all.unwrap_or_else(|| SetTable::new(context))
}

/// Sketches of the persons of one thread.
pub(super) struct SketchCells {
    /// As long as there is room: a person then goes into a sketch once.
    sets: Option<SetTable>,
    sketches: Vec<UniqueSketch>,
    memory: Reserved,
}

impl SketchCells {
    pub(super) fn new(reading: &Reading, context: &QueryContext) -> Self {
        let sets = reading.has_ordinals().then(|| SetTable::new(context));
        Self { sets, sketches: Vec::new(), memory: Reserved::new(context) }
    }

    /// As [`PersonCells::add`], `cells` being how many the thread knows.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    pub(super) fn add(&mut self, batch: &Batch, selection: Selection<'_>, cells: usize, reading: &Reading) -> Result<(), QueryError> {
        if let (Some(sets), Persons::Ordinals(ordinals)) = (&mut self.sets, batch.persons()) {
            match sets.add_rows(&ordinals.values, ordinals.largest, selection, cells) {
                Ok(()) => return Ok(()),
                Err(SetsFull) => self.drain(reading)?,
            }
        }
        self.sketches.resize(self.sketches.len().max(cells), UniqueSketch::default());
        let (sketches, memory) = (&mut self.sketches, &mut self.memory);
        let mut last = None;
        let mut insert = |person: u64, cell: usize| {
            if last.replace((person, cell)) == Some((person, cell)) {
                return Ok(());
            }
            insert(&mut sketches[cell], person, memory)
        };
        match batch.persons() {
            Persons::None => Ok(()),
            Persons::Keys(keys) => {
                selection.try_for_each(|row, cell| if keys.is_valid(row) { insert(keys.value(row), cell) } else { Ok(()) })
            }
            Persons::Ordinals(ordinals) => reading.space.persons().with_keys(|keys| {
                selection.try_for_each(|row, cell| match ordinals.values[row] {
                    NO_PERSON => Ok(()),
                    ordinal => insert(keys[ordinal as usize], cell),
                })
            }),
        }
    }

    /// Turns bitmaps into sketches.
    fn drain(&mut self, reading: &Reading) -> Result<(), QueryError> {
        let Some(mut sets) = self.sets.take() else { return Ok(()) };
        reading.space.persons().with_keys(|keys| {
            sets.drain(|cell, ordinal| {
                if ordinal == NO_PERSON {
                    return Ok(());
                }
                self.sketches.resize(self.sketches.len().max(cell + 1), UniqueSketch::default());
                insert(&mut self.sketches[cell], keys[ordinal as usize], &mut self.memory)
            })
        })
    }

    /// Joins what the threads collected: a sketch per cell of the query, and the memory they take.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; limits of the query.
    pub(super) fn merge(
        mut threads: Vec<Self>,
        cells: &ThreadCells<'_>,
        reading: &Reading,
        query: &Query<'_>,
    ) -> Result<(Vec<UniqueSketch>, Reserved), QueryError> {
        if threads.iter().all(|thread| thread.sets.is_some()) {
            let sets = merge_sets(threads.into_iter().filter_map(|thread| thread.sets), cells, query.context);
            return sketches_of(&sets, cells.count, reading, query);
        }
        let mut memory = Reserved::new(query.context);
        let mut all = vec![UniqueSketch::default(); cells.count];
        for (thread, map) in threads.iter_mut().zip(&cells.maps) {
            thread.drain(reading)?;
            memory.grow(thread.sketches.iter().map(UniqueSketch::memory_bytes).sum())?;
            thread.sketches.iter().zip(map).for_each(|(sketch, &cell)| all[cell as usize].merge(sketch));
        }
        Ok((all, memory))
    }
}

fn insert(sketch: &mut UniqueSketch, person: u64, memory: &mut Reserved) -> Result<(), QueryError> {
    let before = sketch.memory_bytes();
    sketch.insert(PersonHash(person));
    let after = sketch.memory_bytes();
    if after > before { memory.grow(after - before) } else { Ok(()) }
}

/// The sketches of sets, a share of them by each thread.
fn sketches_of(sets: &SetTable, cells: usize, reading: &Reading, query: &Query<'_>) -> Result<(Vec<UniqueSketch>, Reserved), QueryError> {
    /// Words of a bitmap that are one task.
    const TASK_WORDS: usize = 2_048;
    let tasks: Vec<(usize, usize)> =
        (0..cells).flat_map(|cell| (0..sets.set(cell).len()).step_by(TASK_WORDS).map(move |word| (cell, word))).collect();
    let all = Mutex::new((vec![UniqueSketch::default(); cells], Reserved::new(query.context)));
    query.parallel(tasks.len(), &|| (), &|(), task| {
        let (cell, first) = tasks[task];
        let set = sets.set(cell);
        let words = &set[first..set.len().min(first + TASK_WORDS)];
        let mut sketch = UniqueSketch::default();
        reading.space.persons().with_keys(|keys| {
            let ordinals = numbers(words).map(|number| number + (first * 64) as u32).filter(|&ordinal| ordinal != NO_PERSON);
            ordinals.for_each(|ordinal| sketch.insert(PersonHash(keys[ordinal as usize])));
        });
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.0[cell].memory_bytes();
        all.0[cell].merge(&sketch);
        let after = all.0[cell].memory_bytes();
        all.1.grow(after.saturating_sub(before))
    })?;
    Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Distinct values of one thread, told apart by their hashes.
pub(super) struct ValueCells {
    /// Texts of a shared dictionary by code, as long as there is room: a text is then hashed once.
    sets: Option<(Arc<TextCodes>, SetTable)>,
    pairs: PairList,
}

impl ValueCells {
    pub(super) fn new(context: &QueryContext) -> Self {
        Self { sets: None, pairs: PairList::distinct(context) }
    }

    /// Adds the values of selected rows; `cell_keys` has the key of each cell the thread knows.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    pub(super) fn add(
        &mut self,
        column: &Column,
        selection: Selection<'_>,
        cell_keys: &[u64],
        context: &QueryContext,
    ) -> Result<(), QueryError> {
        if let Column::Text(Text::Shared(text)) = column
            && self.add_codes(text, selection, cell_keys, context)?
        {
            return Ok(());
        }
        selection.try_for_each(|row, cell| match column.get(row).distinct_hash() {
            Some(hash) => self.pairs.push(hash, cell_keys[cell]),
            None => Ok(()),
        })
    }

    /// False where there is no room for sets: nothing was added.
    fn add_codes(
        &mut self,
        text: &SharedText,
        selection: Selection<'_>,
        cell_keys: &[u64],
        context: &QueryContext,
    ) -> Result<bool, QueryError> {
        if self.sets.as_ref().is_some_and(|(texts, _)| !Arc::ptr_eq(texts, &text.texts)) {
            self.drain(cell_keys)?;
        }
        let (_, sets) = self.sets.get_or_insert_with(|| (text.texts.clone(), SetTable::new(context)));
        let largest = text.texts.code_count() as u32;
        match sets.add_codes(&text.codes, largest, selection, cell_keys.len()) {
            Ok(()) => Ok(true),
            Err(SetsFull) => {
                self.drain(cell_keys)?;
                Ok(false)
            }
        }
    }

    /// Turns bitmaps into pairs.
    fn drain(&mut self, cell_keys: &[u64]) -> Result<(), QueryError> {
        let Some((texts, mut sets)) = self.sets.take() else { return Ok(()) };
        sets.drain(|cell, code| match code {
            0 => Ok(()),
            code => match super::value::Scalar::Str(texts.text(code)).distinct_hash() {
                Some(hash) => self.pairs.push(hash, cell_keys[cell]),
                None => Ok(()),
            },
        })
    }

    /// Joins what the threads collected.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; limits of the query.
    pub(super) fn merge(mut threads: Vec<Self>, cells: &ThreadCells<'_>, query: &Query<'_>) -> Result<Distinct, QueryError> {
        for (thread, keys) in threads.iter_mut().zip(&cells.keys) {
            thread.drain(keys)?;
        }
        Ok(Distinct::Pairs(PairList::merge(threads.into_iter().map(|thread| thread.pairs).collect(), query)?))
    }
}

impl Distinct {
    /// How many there are per place and rank; what is in several folded groups, or in several buckets that a value reaches, counts once in it.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; limits of the query.
    pub(super) fn count(&self, layout: &Layout, reach: Option<&Reach<'_>>, query: &Query<'_>) -> Result<Sums<u64>, QueryError> {
        let sums = match self {
            Self::Sets(sets) => count_sets(sets, layout, query)?,
            Self::Pairs(pairs) => count_pairs(pairs, layout, query)?,
        };
        let Some(reach) = reach else { return Ok(sums) };
        let rows = match self {
            Self::Sets(sets) => cover_sets(sets, layout, reach, query)?,
            Self::Pairs(pairs) => cover_pairs(pairs, layout, reach, query)?,
        };
        Ok(Sums { rows, ..sums })
    }
}

fn count_sets(sets: &SetTable, layout: &Layout, query: &Query<'_>) -> Result<Sums<u64>, QueryError> {
    let by_place = layout.cells_by_place();
    let count_rank = |rank: usize| -> (u64, Vec<u64>) {
        let places = layout.places_of(rank);
        let mut total: Vec<u64> = Vec::new();
        let mut union: Vec<u64> = Vec::new();
        let mut rows = Vec::with_capacity(places.len());
        let is_one_place = places.len() <= 1;
        for place in places {
            let cells = by_place.cells(place);
            let set = match cells {
                [cell] => sets.set(*cell as usize),
                cells => {
                    union.clear();
                    cells.iter().for_each(|&cell| unite(&mut union, sets.set(cell as usize)));
                    &union
                }
            };
            rows.push(count_persons(set));
            if !is_one_place {
                unite(&mut total, set);
            }
        }
        (if is_one_place { rows.first().copied().unwrap_or(0) } else { count_persons(&total) }, rows)
    };
    let counted = query.parallel(layout.rank_count(), &Vec::new, &|counted: &mut Vec<_>, rank| {
        counted.push((rank, count_rank(rank)));
        Ok(())
    })?;
    let mut sums = Sums::new(layout, 0u64);
    for (rank, (total, rows)) in counted.into_iter().flatten() {
        sums.totals[rank] = total;
        sums.rows[layout.places_of(rank)].copy_from_slice(&rows);
    }
    Ok(sums)
}

/// The counts of values that reach back, by place: every place is filled, so that ranks and buckets follow one another.
fn cover_sets(sets: &SetTable, layout: &Layout, reach: &Reach<'_>, query: &Query<'_>) -> Result<Vec<u64>, QueryError> {
    let by_place = layout.cells_by_place();
    let make = || (Covered::new(reach, layout.rank_count()), Vec::new(), Reserved::new(query.context));
    let covered = query.parallel(layout.rank_count(), &make, &|(covered, until, memory): &mut (Covered<'_>, Vec<u32>, Reserved),
                                                                rank| {
        let places = layout.places_of(rank);
        let words = places.clone().flat_map(|place| by_place.cells(place)).map(|&cell| sets.set(cell as usize).len()).max().unwrap_or(0);
        memory.set(Covered::bytes(reach, layout.rank_count()) + words * 64 * size_of::<u32>())?;
        until.clear();
        until.resize(words * 64, 0u32);
        for (bucket, place) in (0..).zip(places) {
            query.context.check()?;
            for &cell in by_place.cells(place) {
                for person in numbers(sets.set(cell as usize)).filter(|&ordinal| ordinal != NO_PERSON) {
                    let until = &mut until[person as usize];
                    *until = covered.add(rank, bucket, *until);
                }
            }
        }
        Ok(())
    })?;
    Ok(merged_counts(covered.into_iter().map(|(covered, ..)| covered), reach, layout))
}

fn cover_pairs(pairs: &SortedPairs, layout: &Layout, reach: &Reach<'_>, query: &Query<'_>) -> Result<Vec<u64>, QueryError> {
    let mut memory = Reserved::new(query.context);
    memory.grow(query.threads * Covered::bytes(reach, layout.rank_count()))?;
    let make = || (Covered::new(reach, layout.rank_count()), Vec::new());
    let covered = pairs.for_each_key(query, &make, &|(covered, cells): &mut (Covered<'_>, Vec<(u32, u32)>), pairs| {
        cells.clear();
        cells.extend(pairs.iter().map(|&pair| group_and_bucket(pairs::payload(pair))).map(|(group, bucket)| (layout.rank(group), bucket)));
        // Folded groups are one, and their buckets come in no order.
        cells.sort_unstable();
        for of_rank in cells.chunk_by(|a, b| a.0 == b.0) {
            let mut until = 0;
            of_rank.iter().for_each(|&(rank, bucket)| until = covered.add(rank as usize, bucket, until));
        }
        Ok(())
    })?;
    Ok(merged_counts(covered.into_iter().map(|(covered, _)| covered), reach, layout))
}

fn merged_counts<'r>(mut threads: impl Iterator<Item = Covered<'r>>, reach: &'r Reach<'r>, layout: &Layout) -> Vec<u64> {
    let mut all = threads.next().unwrap_or_else(|| Covered::new(reach, layout.rank_count()));
    threads.for_each(|covered| all.merge(&covered));
    all.counts()
}

fn unite(all: &mut Vec<u64>, set: &[u64]) {
    all.resize(all.len().max(set.len()), 0);
    all.iter_mut().zip(set).for_each(|(all, word)| *all |= word);
}

fn count_pairs(set: &SortedPairs, layout: &Layout, query: &Query<'_>) -> Result<Sums<u64>, QueryError> {
    let make = || (Sums::new(layout, 0u64), Vec::new());
    let counted = set.for_each_key(query, &make, &|(sums, rest_buckets): &mut (Sums<u64>, Vec<u32>), pairs| {
        let mut last_group = None;
        for &pair in pairs {
            let (group, bucket) = group_and_bucket(pairs::payload(pair));
            let rank = layout.rank(group);
            if layout.is_rest(rank) {
                rest_buckets.push(bucket);
                continue;
            }
            if let Some(place) = layout.place_of(rank, bucket) {
                sums.rows[place] += 1;
            }
            if last_group != Some(group) {
                last_group = Some(group);
                sums.totals[rank as usize] += 1;
            }
        }
        if !rest_buckets.is_empty() {
            let rest = layout.rank_count() - 1;
            sums.totals[rest] += 1;
            rest_buckets.sort_unstable();
            rest_buckets.dedup();
            for bucket in rest_buckets.drain(..) {
                if let Some(place) = layout.place_of(rest as u32, bucket) {
                    sums.rows[place] += 1;
                }
            }
        }
        Ok(())
    })?;
    let mut all = Sums::new(layout, 0);
    for (sums, _) in counted {
        all.rows.iter_mut().zip(sums.rows).for_each(|(all, count)| *all += count);
        all.totals.iter_mut().zip(sums.totals).for_each(|(all, count)| *all += count);
    }
    Ok(all)
}
