//! Filters that few rows pass: what else is asked of these rows is read for them alone, and not kept.
//!
//! A first question about a rare value would otherwise unpack, number and keep the persons of all rows only to look at a few of them. Asked
//! a second time, a row group is read as a whole and kept: it is of use then.

use arrow::error::ArrowError;
use event_store::QueryError;

use super::batch::Places;
use super::column_scan::{Account, ColumnScan};
use super::filter::{Memos, Predicate};
use super::mask::Mask;
use super::scan::{Query, Reserved};
use crate::columns;
use crate::decoded::{Decoded, Piece, ScanTask};

/// Rows for each that passes, from which on these are few.
const ROWS_PER_PASSED: usize = if cfg!(test) { 2 } else { 16 };
/// A smaller row group is read as a whole.
const MIN_ROWS: usize = if cfg!(test) { 1 } else { 16_384 };

/// What every row has to pass that is to be of use.
pub(super) struct Narrowing<'n> {
    pub(super) filter: &'n Predicate,
    /// Its comparisons, each of which has a memo.
    pub(super) memo_count: usize,
}

/// What a thread reads tasks with.
pub(super) struct Thread<'t> {
    pub(super) query: &'t Query<'t>,
    pub(super) account: &'t Account,
    pub(super) memos: &'t mut Memos,
    pub(super) held: &'t mut Reserved,
}

/// A task after its filter.
pub(super) enum Narrowed {
    /// Too many rows pass, or what else is read is kept already.
    All,
    /// Its part cannot be read.
    Missing,
    /// Few pass.
    Few {
        /// Rows of the task that the filter was asked of.
        asked: usize,
        /// The same blocks with the rows that pass, one after the other.
        task: ScanTask,
        /// Their columns.
        blocks: Vec<Vec<Decoded>>,
    },
}

/// Rows that pass, by block.
struct Passed {
    asked: usize,
    rows: Vec<Vec<u32>>,
    /// The pieces that have some of them.
    pieces: Vec<Vec<Piece>>,
}

impl ColumnScan<'_> {
    /// Reads what the scan's filter asks of a task, and of the rows that pass the rest of `columns`, where that is less work than to read all.
    ///
    /// # Errors
    /// As [`Query::scan_columns`].
    pub(super) fn narrowed(&self, task: &ScanTask, columns: &[usize], thread: &mut Thread<'_>) -> Result<Narrowed, QueryError> {
        let Some(narrowing) = &self.narrowing else { return Ok(Narrowed::All) };
        let loader = self.loader(thread.query);
        let (first, rest) = self.first_and_rest(narrowing.filter, task, columns);
        let rows: usize = task.blocks.iter().flat_map(|(_, pieces)| pieces).map(|piece| piece.rows.len()).sum();
        if rest.is_empty() || rows < MIN_ROWS || loader.keeps(task, &rest) || !loader.reads_few_rows_now(task) {
            return Ok(Narrowed::All);
        }
        let Some(of_filter) = self.load(&loader, task, &first, thread.account)? else { return Ok(Narrowed::Missing) };
        thread.held.set(of_filter.iter().flatten().map(Decoded::bytes).sum())?;
        let passed = self.passed(narrowing.filter, task, &first, &of_filter, thread)?;
        let count: usize = passed.rows.iter().map(Vec::len).sum();
        if count * ROWS_PER_PASSED > rows {
            return Ok(Narrowed::All);
        }
        let Some(of_rest) = self.loaded(loader.load_rows(task, &rest, &passed.rows), thread.account)? else { return Ok(Narrowed::Missing) };
        let joined = |((of_filter, of_rest), rows): ((&Vec<Decoded>, Vec<Decoded>), &Vec<u32>)| {
            let mut of_filter = of_filter.iter().map(|column| column.take(rows));
            let mut of_rest = of_rest.into_iter().map(Ok);
            let next = |column| if first.contains(column) { of_filter.next() } else { of_rest.next() };
            columns.iter().filter_map(next).collect::<Result<Vec<Decoded>, ArrowError>>()
        };
        let blocks = of_filter.iter().zip(of_rest).zip(&passed.rows).map(joined).collect::<Result<Vec<_>, _>>();
        let blocks = blocks.map_err(|error| QueryError::Store(error.to_string()))?;
        thread.held.set(blocks.iter().flatten().map(Decoded::bytes).sum())?;
        let pieces = task.blocks.iter().map(|(block, _)| block.clone()).zip(passed.pieces).collect();
        let task = ScanTask { part: task.part.clone(), shape: task.shape.clone(), group: task.group, blocks: pieces };
        Ok(Narrowed::Few { asked: passed.asked, task, blocks })
    }

    /// The columns that decide which rows pass, and the others.
    fn first_and_rest(&self, filter: &Predicate, task: &ScanTask, columns: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let mut fields = Vec::new();
        filter.add_fields(&mut fields);
        let of_filter = columns::resolve(&self.fields.requests_of(&fields), &task.shape.fields, &task.shape.overflow);
        let reads_time = task.blocks.iter().flat_map(|(_, pieces)| pieces).any(|piece| self.crosses_range(piece));
        columns.iter().partition(|column| {
            let name = task.shape.fields[**column].name();
            of_filter.contains(column) || name == columns::EVENT || (reads_time && name == columns::TIME)
        })
    }

    fn passed(
        &self,
        filter: &Predicate,
        task: &ScanTask,
        columns: &[usize],
        blocks: &[Vec<Decoded>],
        thread: &mut Thread<'_>,
    ) -> Result<Passed, QueryError> {
        let fields: Vec<_> = columns.iter().map(|&column| task.shape.fields[column].clone()).collect();
        let places = Places::new(self.fields, &fields);
        let mut passed = Passed { asked: 0, rows: Vec::new(), pieces: Vec::new() };
        for ((_, pieces), columns) in task.blocks.iter().zip(blocks) {
            let (mut rows, mut kept) = (Vec::new(), Vec::new());
            for piece in pieces {
                thread.query.context.check()?;
                let before = rows.len();
                self.each_batch(piece, columns, &places, &mut |start, batch, wanted| {
                    passed.asked += wanted.map_or(batch.rows(), Mask::count);
                    rows.extend(filter.evaluate(batch, wanted, thread.memos).iter().map(|row| start as u32 + row));
                    Ok(())
                })?;
                if rows.len() > before {
                    kept.push(Piece { rows: before..rows.len(), ..piece.clone() });
                }
            }
            passed.rows.push(rows);
            passed.pieces.push(kept);
        }
        Ok(passed)
    }
}
