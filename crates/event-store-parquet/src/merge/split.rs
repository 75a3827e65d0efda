//! Writing merged rows: large apps into segments of their own, all others into a shared one.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;

use crate::columns;
use crate::compaction::Failure;
use crate::runs::RunIndex;
use crate::segment::{SegmentInfo, SegmentWriter};

/// Apps that get segments of their own: those with at least `least_rows` rows, where there are others.
pub(crate) fn large_apps<'r>(inputs: impl Iterator<Item = &'r RunIndex>, least_rows: u64) -> HashSet<Arc<str>> {
    let mut rows_by_app: BTreeMap<&Arc<str>, u64> = BTreeMap::new();
    for run in inputs.flat_map(RunIndex::runs) {
        *rows_by_app.entry(&run.app).or_default() += run.rows.len() as u64;
    }
    if rows_by_app.len() < 2 {
        return HashSet::new();
    }
    rows_by_app.into_iter().filter(|(_, rows)| *rows >= least_rows).map(|(app, _)| app.clone()).collect()
}

/// The segments that a merge writes.
pub(crate) struct SplitWriter<F> {
    create: F,
    large: HashSet<Arc<str>>,
    shared: Option<SegmentWriter>,
    /// The large app that the rows are at.
    own: Option<(Arc<str>, SegmentWriter)>,
    finished: Vec<SegmentInfo>,
}

impl<F: FnMut(Option<&str>) -> Result<SegmentWriter, Failure>> SplitWriter<F> {
    /// `create` begins a segment, for one large app or the shared one.
    pub(crate) fn new(large: HashSet<Arc<str>>, create: F) -> Self {
        Self { create, large, shared: None, own: None, finished: Vec::new() }
    }

    /// Appends rows that sort after those before.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        if self.large.is_empty() {
            return self.write_shared(batch);
        }
        let Some(apps) = batch.column_by_name(columns::APP) else { return self.write_shared(batch) };
        let apps = apps.as_dictionary::<Int32Type>();
        let names = apps.values().as_string::<i32>();
        let codes = apps.keys().values();
        // Neighbouring small apps go together.
        let large = |row: usize| self.large.get(names.value(codes[row] as usize)).cloned();
        let mut pieces: Vec<(Option<Arc<str>>, usize)> = Vec::new();
        for row in 0..codes.len() {
            if row > 0 && codes[row] == codes[row - 1] {
                continue;
            }
            let app = large(row);
            if pieces.last().is_none_or(|(last, _)| *last != app) {
                pieces.push((app, row));
            }
        }
        let ends: Vec<usize> = pieces.iter().skip(1).map(|(_, row)| *row).chain([codes.len()]).collect();
        for ((app, start), end) in pieces.into_iter().zip(ends) {
            let rows = batch.slice(start, end - start);
            match app {
                Some(app) => self.write_own(app, &rows)?,
                None => self.write_shared(&rows)?,
            }
        }
        Ok(())
    }

    fn write_shared(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let writer = match &mut self.shared {
            Some(writer) => writer,
            none => none.insert((self.create)(None)?),
        };
        Ok(writer.write(rows)?)
    }

    fn write_own(&mut self, app: Arc<str>, rows: &RecordBatch) -> Result<(), Failure> {
        if let Some((current, writer)) = &mut self.own
            && *current == app
        {
            return Ok(writer.write(rows)?);
        }
        if let Some((_, complete)) = self.own.take() {
            self.finished.push(complete.finish()?);
        }
        let mut writer = (self.create)(Some(&app))?;
        writer.write(rows)?;
        self.own = Some((app, writer));
        Ok(())
    }

    /// Completes and syncs all segments.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let open = self.own.take().map(|(_, writer)| writer).into_iter().chain(self.shared.take());
        for writer in open {
            self.finished.push(writer.finish()?);
        }
        Ok(())
    }

    /// The segments that are complete: all of them, or after an error those to delete.
    pub(crate) fn take_finished(&mut self) -> Vec<SegmentInfo> {
        std::mem::take(&mut self.finished)
    }
}
