//! Rows that were appended and not flushed yet.

use std::sync::{Arc, OnceLock};

use arrow::array::{AsArray, BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Schema, TimestampMillisecondType};
use event_store::QueryError;

use crate::columns::{self, OverflowNames};
use crate::decoded::{GROUP_ROWS, Residence, Shape};
use crate::hidden::HiddenRows;
use crate::part::{PartColumns, RowCheck, RowRange, SCAN_BATCH_ROWS, ScanRequest, batch_bytes, plan_ranges};
use crate::runs::{Run, RunIndex};

/// One sorted batch in memory. Invariant: sorted by (app, event, person, time); the values of each dictionary are distinct.
pub struct MemoryPart {
    batch: RecordBatch,
    runs: RunIndex,
    overflow: OverflowNames,
    bytes: usize,
    shape: OnceLock<Arc<Shape>>,
    residence: Residence,
}

impl MemoryPart {
    /// Takes rows that are already sorted.
    pub fn new(batch: RecordBatch, overflow: OverflowNames) -> Self {
        let mut runs = RunIndex::default();
        for run in RunCutter::default().cut(&batch) {
            runs.push(run);
        }
        let bytes = batch_bytes(&batch);
        Self { batch, runs: runs.finish(), overflow, bytes, shape: OnceLock::new(), residence: Residence::default() }
    }

    /// All rows.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Where each app's and event's rows are.
    pub fn runs(&self) -> &RunIndex {
        &self.runs
    }

    /// Names that may be in the overflow.
    pub fn overflow(&self) -> &OverflowNames {
        &self.overflow
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Earliest and latest event time, ms.
    pub fn time_range(&self) -> (i64, i64) {
        let min_ms = self.runs.runs().iter().map(|run| run.min_ms).min().unwrap_or(i64::MAX);
        let max_ms = self.runs.runs().iter().map(|run| run.max_ms).max().unwrap_or(i64::MIN);
        (min_ms, max_ms)
    }

    /// The part without some rows; `None` when none is left.
    pub(crate) fn without(&self, rows: &HiddenRows) -> Option<Self> {
        let mut kept = BooleanBufferBuilder::new(self.batch.num_rows());
        kept.append_n(self.batch.num_rows(), true);
        rows.ranges().iter().cloned().flatten().for_each(|row| kept.set_bit(row, false));
        #[expect(clippy::expect_used, reason = "filtering fails only for a mask of another length")]
        let batch = filter_record_batch(&self.batch, &BooleanArray::new(kept.finish(), None)).expect("a mask as long as the batch");
        (batch.num_rows() > 0).then(|| Self::new(batch, self.overflow.clone()))
    }

    /// What names its decoded columns.
    pub(crate) fn residence(&self) -> &Residence {
        &self.residence
    }

    /// What a scan is planned by.
    pub(crate) fn shape(&self) -> &Arc<Shape> {
        self.shape.get_or_init(|| {
            let rows = self.batch.num_rows();
            let group_starts = (0..rows).step_by(GROUP_ROWS).chain([rows]).collect();
            let fields = self.batch.schema().fields().iter().cloned().collect();
            Arc::new(Shape { runs: self.runs.clone(), group_starts, fields, overflow: self.overflow.clone() })
        })
    }

    pub(crate) fn columns(&self) -> PartColumns {
        PartColumns { fields: self.batch.schema().fields().iter().cloned().collect(), overflow: self.overflow.clone() }
    }
}

/// Cuts sorted batches into runs; remembers how many rows came before.
#[derive(Default)]
pub(crate) struct RunCutter {
    rows_before: usize,
}

impl RunCutter {
    /// The runs of the next batch, numbered from the first row of the first batch.
    pub(crate) fn cut(&mut self, batch: &RecordBatch) -> Vec<Run> {
        let rows = batch.num_rows();
        let text = |name: &str| batch.column_by_name(name).map(|column| column.as_dictionary::<Int32Type>());
        let (Some(apps), Some(events), Some(times)) = (text(columns::APP), text(columns::EVENT), batch.column_by_name(columns::TIME))
        else {
            return Vec::new();
        };
        let (app_keys, event_keys) = (apps.keys().values(), events.keys().values());
        let times = times.as_primitive::<TimestampMillisecondType>().values();
        let text_of = |array: &arrow::array::DictionaryArray<Int32Type>, key: i32| -> Arc<str> {
            Arc::from(array.values().as_string::<i32>().value(key as usize))
        };
        let mut runs = Vec::new();
        let mut app: Option<(i32, Arc<str>)> = None;
        let mut start = 0;
        while start < rows {
            let key = (app_keys[start], event_keys[start]);
            let end = (start + 1..rows).find(|&i| (app_keys[i], event_keys[i]) != key).unwrap_or(rows);
            let run_app = match &app {
                Some((last, name)) if *last == key.0 => name.clone(),
                _ => text_of(apps, key.0),
            };
            app = Some((key.0, run_app.clone()));
            let event = text_of(events, key.1);
            let of_run = &times[start..end];
            runs.push(Run {
                app: run_app,
                first_event: event.clone(),
                last_event: event,
                rows: self.rows_before + start..self.rows_before + end,
                min_ms: of_run.iter().copied().min().unwrap_or(i64::MAX),
                max_ms: of_run.iter().copied().max().unwrap_or(i64::MIN),
            });
            start = end;
        }
        self.rows_before += rows;
        runs
    }
}

/// A scan of a [`MemoryPart`]: slices, no copies but where rows must be left out.
pub(crate) struct MemoryScan {
    schema: Arc<Schema>,
    ranges: std::vec::IntoIter<RowRange>,
    current: Option<RowRange>,
    check: RowCheck,
}

impl MemoryScan {
    pub(crate) fn new(part: &MemoryPart, request: &ScanRequest<'_>) -> Self {
        let fields: Vec<_> = part.batch.schema().fields().iter().cloned().collect();
        let wanted: Vec<_> = columns::resolve(request.columns, &fields, &part.overflow).into_iter().map(|i| fields[i].clone()).collect();
        Self {
            schema: Arc::new(Schema::new(wanted)),
            ranges: plan_ranges(&part.runs, request).into_iter(),
            current: None,
            check: RowCheck::new(request),
        }
    }

    pub(crate) fn next(&mut self, part: &MemoryPart) -> Option<Result<RecordBatch, QueryError>> {
        loop {
            let mut range = self.current.take().or_else(|| self.ranges.next())?;
            let end = range.end.min(range.start + SCAN_BATCH_ROWS);
            let rows = part.batch.slice(range.start, end - range.start);
            let batch = self.check.apply(&rows, &self.schema, &range);
            range.start = end;
            self.current = (range.start < range.end).then_some(range);
            match batch {
                Ok(batch) if batch.num_rows() == 0 => {}
                other => return Some(other),
            }
        }
    }
}
