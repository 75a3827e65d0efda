//! The columns of a task: what is kept, and what is read for it.

use std::ops::Range;
use std::sync::{Arc, PoisonError};

use arrow::array::{Array, ArrayRef, UInt32Array, UInt64Array};
use arrow::error::ArrowError;
use thiserror::Error;

use super::block::ScanTask;
use super::cache::{ColumnId, DecodedCache, Place, Residence};
use super::column::{Decoded, SegmentTable};
use super::decode::{Decoder, ordinals};
use super::space::AppSpace;
use crate::columns;
use crate::part::Part;
use crate::segment::SegmentSessions;

/// What persons are to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PersonForm {
    /// Ordinals of the app's [`super::PersonIndex`].
    Ordinals,
    /// Their 64-bit keys: an app that has too many of them.
    Keys,
}

/// Why a task has no columns.
#[derive(Debug, Error)]
pub(crate) enum LoadFailure {
    /// The part cannot be read; the reason is for [`event_store::ScanStats::missing`].
    #[error("{0}")]
    Missing(String),
    /// The app has more persons than ordinals: ask again with keys.
    #[error("there are more persons than ordinals")]
    PersonsFull,
    /// The part's file is not what was written.
    #[error("{0}")]
    Damaged(&'static str),
    /// Arrays are not what they are said to be.
    #[error("a column could not be decoded: {0}")]
    Column(String),
}

impl LoadFailure {
    pub(super) fn column(reason: &str) -> Self {
        Self::Column(reason.to_string())
    }
}

impl From<ArrowError> for LoadFailure {
    fn from(error: ArrowError) -> Self {
        Self::Column(error.to_string())
    }
}

/// Gives columns of one app's rows, kept or read.
pub(crate) struct Loader<'l> {
    pub(crate) cache: &'l Arc<DecodedCache>,
    pub(crate) space: &'l AppSpace,
    pub(crate) persons: PersonForm,
}

/// What a task wants.
pub(crate) struct Loaded {
    /// Block by block, the columns.
    pub(crate) blocks: Vec<Vec<Decoded>>,
    /// Compressed bytes of the column chunks that had to be read.
    pub(crate) read_bytes: u64,
}

/// Blocks of a task, by position, that lack the same columns.
struct Gap {
    blocks: Vec<usize>,
    columns: Vec<usize>,
}

impl Loader<'_> {
    /// The columns (places among the part's columns, ascending) of every block of a task.
    ///
    /// # Errors
    /// [`LoadFailure`].
    pub(crate) fn load(&self, task: &ScanTask, columns: &[usize]) -> Result<Loaded, LoadFailure> {
        let residence = task.part.residence();
        let place = |block: usize, column: usize| self.place(task, residence, block, column);
        let mut loaded: Vec<Vec<Option<Decoded>>> = vec![vec![None; columns.len()]; task.blocks.len()];
        for (block, of_block) in loaded.iter_mut().enumerate() {
            for (slot, &column) in of_block.iter_mut().zip(columns) {
                *slot = self.cache.column(&place(block, column));
            }
        }
        let mut read_bytes = 0;
        for gap in gaps(&loaded) {
            let stored: Vec<usize> = gap.columns.iter().map(|&at| columns[at]).collect();
            let (read, bytes) = self.read(task, &gap.blocks, &stored)?;
            read_bytes += bytes;
            for (&at, of_column) in gap.columns.iter().zip(read) {
                for (&block, column) in gap.blocks.iter().zip(of_column) {
                    self.cache.keep_column(&place(block, columns[at]), &column);
                    loaded[block][at] = Some(column);
                }
            }
        }
        let complete = |columns: Vec<Option<Decoded>>| columns.into_iter().map(|column| column.unwrap_or(Decoded::Absent)).collect();
        Ok(Loaded { blocks: loaded.into_iter().map(complete).collect(), read_bytes })
    }

    /// Whether these columns of every block of a task are kept.
    pub(crate) fn keeps(&self, task: &ScanTask, columns: &[usize]) -> bool {
        let residence = task.part.residence();
        let keeps_all = |block: usize| columns.iter().all(|&column| self.cache.keeps(&self.place(task, residence, block, column)));
        (0..task.blocks.len()).all(keeps_all)
    }

    /// True every other time this is asked about the row group of a task: after it was read for a few rows, it is read whole and kept, and when
    /// it is not kept any more, that begins anew.
    pub(crate) fn reads_few_rows_now(&self, task: &ScanTask) -> bool {
        let mut narrow = task.part.residence().narrow_groups.lock().unwrap_or_else(PoisonError::into_inner);
        let (app, group) = (self.space.id(), task.group as u32);
        narrow.insert((app, group)) || !narrow.remove(&(app, group))
    }

    /// Columns of some rows of every block of a task: of those in `rows`, by block. They are not kept.
    ///
    /// # Errors
    /// [`LoadFailure`].
    pub(crate) fn load_rows(&self, task: &ScanTask, columns: &[usize], rows: &[Vec<u32>]) -> Result<Loaded, LoadFailure> {
        let with_rows: Vec<usize> = (0..rows.len()).filter(|&block| !rows[block].is_empty()).collect();
        let mut loaded = vec![vec![Decoded::Absent; columns.len()]; rows.len()];
        if with_rows.is_empty() {
            return Ok(Loaded { blocks: loaded, read_bytes: 0 });
        }
        let ranges: Vec<Range<usize>> = with_rows.iter().map(|&block| task.blocks[block].0.rows.clone()).collect();
        let (arrays, read_bytes) = read_part(task, &ranges, columns)?;
        let (mut taken, mut of_blocks, mut start) = (Vec::new(), Vec::new(), 0);
        for (&block, range) in with_rows.iter().zip(&ranges) {
            of_blocks.push(taken.len()..taken.len() + rows[block].len());
            taken.extend(rows[block].iter().map(|&row| start + row));
            start += range.len() as u32;
        }
        let taken = UInt32Array::from(taken);
        if let Some(array) = arrays.iter().find(|array| array.len() != start as usize) {
            return Err(LoadFailure::Column(format!("{} rows instead of {start}", array.len())));
        }
        let decoder = self.decoder(task, columns, taken.len())?;
        for (at, (&column, array)) in columns.iter().zip(&arrays).enumerate() {
            let array = arrow::compute::take(array, &taken, None)?;
            let decoded = decoder.decode(&task.shape.fields[column], &array, &of_blocks).map_err(|failure| quarantined(task, failure))?;
            with_rows.iter().zip(decoded).for_each(|(&block, decoded)| loaded[block][at] = decoded);
        }
        Ok(Loaded { blocks: loaded, read_bytes })
    }

    fn place<'p>(&'p self, task: &ScanTask, residence: &'p Residence, block: usize, column: usize) -> Place<'p> {
        let is_person = task.shape.fields[column].name() == columns::PERSON;
        let id = if is_person && self.persons == PersonForm::Ordinals { ColumnId::Ordinals } else { ColumnId::Stored(column) };
        Place { residence, space: self.space, row: task.blocks[block].0.rows.start, column: id }
    }

    /// What stands for each person of the part's table; `None` where its rows have keys. For few rows it is the table also where ordinals
    /// are wanted: theirs alone are looked up then.
    fn person_table(&self, task: &ScanTask, rows: usize) -> Result<Option<Decoded>, LoadFailure> {
        /// Persons of a table for each row, from which on the rows are few.
        const PERSONS_PER_ROW: usize = 4;
        let Part::Segment(segment) = &*task.part else { return Ok(None) };
        let residence = task.part.residence();
        let place = |form| Place { residence, space: self.space, row: 0, column: ColumnId::SegmentPersons(form) };
        let _only_one = residence.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = self.cache.column(&place(self.persons)) {
            return Ok(Some(kept));
        }
        let keys = match self.cache.column(&place(PersonForm::Keys)) {
            Some(Decoded::Table(SegmentTable::Persons(keys))) => keys,
            _ => {
                let Some(keys) = segment.persons().map_err(LoadFailure::Missing)? else { return Ok(None) };
                self.cache.keep_column(&place(PersonForm::Keys), &Decoded::Table(SegmentTable::Persons(keys.clone())));
                keys
            }
        };
        if self.persons == PersonForm::Keys || rows * PERSONS_PER_ROW < keys.keys().len() {
            return Ok(Some(Decoded::Table(SegmentTable::Persons(keys))));
        }
        let ordinals = Decoded::Persons(ordinals(self.space, &UInt64Array::from(keys.keys().to_vec()))?);
        self.cache.keep_column(&place(PersonForm::Ordinals), &ordinals);
        Ok(Some(ordinals))
    }

    /// The table of the part's session ids; `None` where its rows have ids.
    fn session_table(&self, task: &ScanTask) -> Result<Option<Arc<SegmentSessions>>, LoadFailure> {
        let Part::Segment(segment) = &*task.part else { return Ok(None) };
        let residence = task.part.residence();
        let place = Place { residence, space: self.space, row: 0, column: ColumnId::SegmentSessions };
        let _only_one = residence.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Decoded::Table(SegmentTable::Sessions(kept))) = self.cache.column(&place) {
            return Ok(Some(kept));
        }
        let table = segment.sessions().map_err(LoadFailure::Missing)?;
        if let Some(table) = &table {
            self.cache.keep_column(&place, &Decoded::Table(SegmentTable::Sessions(table.clone())));
        }
        Ok(table)
    }

    /// What makes columns of so many rows of a task.
    fn decoder(&self, task: &ScanTask, stored: &[usize], rows: usize) -> Result<Decoder<'_>, LoadFailure> {
        let has = |name: &str| stored.iter().any(|&column| task.shape.fields[column].name() == name);
        Ok(Decoder {
            space: self.space,
            persons: self.persons,
            person_table: if has(columns::PERSON) { self.person_table(task, rows)? } else { None },
            session_table: if has(columns::SESSION_ID) { self.session_table(task)? } else { None },
            group_rows: task.shape.group_rows(task.group),
        })
    }

    /// Reads columns of blocks: by column, then by block.
    fn read(&self, task: &ScanTask, blocks: &[usize], stored: &[usize]) -> Result<(Vec<Vec<Decoded>>, u64), LoadFailure> {
        let rows: Vec<Range<usize>> = blocks.iter().map(|&block| task.blocks[block].0.rows.clone()).collect();
        let (arrays, bytes) = read_part(task, &rows, stored)?;
        let mut ranges = Vec::with_capacity(rows.len());
        let mut start = 0;
        for rows in &rows {
            ranges.push(start..start + rows.len());
            start += rows.len();
        }
        let decoder = self.decoder(task, stored, start)?;
        let each = |(&column, array): (&usize, &ArrayRef)| {
            if array.len() != start {
                return Err(LoadFailure::Column(format!("{} rows instead of {start}", array.len())));
            }
            decoder.decode(&task.shape.fields[column], array, &ranges).map_err(|failure| quarantined(task, failure))
        };
        Ok((stored.iter().zip(&arrays).map(each).collect::<Result<_, _>>()?, bytes))
    }
}

/// Damage as the reason why the part's rows are missing.
fn quarantined(task: &ScanTask, failure: LoadFailure) -> LoadFailure {
    match (&*task.part, failure) {
        (Part::Segment(segment), LoadFailure::Damaged(reason)) => LoadFailure::Missing(segment.failed(reason.into()).to_string()),
        (_, failure) => failure,
    }
}

/// One array per column with the rows one after the other, and the compressed bytes they were in.
fn read_part(task: &ScanTask, rows: &[Range<usize>], stored: &[usize]) -> Result<(Vec<ArrayRef>, u64), LoadFailure> {
    match &*task.part {
        Part::Segment(segment) => segment.read_rows(task.group, rows, stored).map_err(LoadFailure::Missing),
        Part::Memory(part) => {
            let column = |&column: &usize| -> Result<ArrayRef, LoadFailure> {
                let slices: Vec<ArrayRef> = rows.iter().map(|rows| part.batch().column(column).slice(rows.start, rows.len())).collect();
                let slices: Vec<&dyn arrow::array::Array> = slices.iter().map(AsRef::as_ref).collect();
                Ok(arrow::compute::concat(&slices)?)
            };
            Ok((stored.iter().map(column).collect::<Result<_, _>>()?, 0))
        }
    }
}

/// What is missing, in few reads.
fn gaps(loaded: &[Vec<Option<Decoded>>]) -> Vec<Gap> {
    let columns = loaded.first().map_or(0, Vec::len);
    let mut gaps: Vec<Gap> = Vec::new();
    for column in 0..columns {
        let blocks: Vec<usize> = (0..loaded.len()).filter(|&block| loaded[block][column].is_none()).collect();
        if blocks.is_empty() {
            continue;
        }
        match gaps.iter_mut().find(|gap| gap.blocks == blocks) {
            Some(gap) => gap.columns.push(column),
            None => gaps.push(Gap { blocks, columns: vec![column] }),
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_lack_the_same_blocks_are_read_together() {
        let (some, none) = (|| Some(Decoded::Absent), || None);
        let loaded = vec![vec![none(), some(), none(), none()], vec![none(), some(), some(), none()]];
        let gaps: Vec<(Vec<usize>, Vec<usize>)> = gaps(&loaded).into_iter().map(|gap| (gap.blocks, gap.columns)).collect();
        assert_eq!(gaps, [(vec![0, 1], vec![0, 3]), (vec![0], vec![2])]);
    }
}
