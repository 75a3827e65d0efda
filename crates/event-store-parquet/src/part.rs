//! A part: an immutable set of rows sorted by (app, event, person, time), in memory or in a Parquet segment, and how it is read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{FieldRef, Int32Type, Schema, TimestampMillisecondType};
use event::AppId;
use event_store::{QueryError, Table};

use crate::columns::{self, ColumnRequest, OverflowNames};
use crate::decoded::{DecodedCache, Residence, Shape};
use crate::hidden::HiddenRows;
use crate::memory::{MemoryPart, MemoryScan};
use crate::runs::{Run, RunIndex};
use crate::segment::{Segment, SegmentScan};

/// Most rows of one batch of a scan.
pub const SCAN_BATCH_ROWS: usize = 16_384;

/// Which rows and columns to read.
#[derive(Clone, Copy, Debug)]
pub struct ScanRequest<'a> {
    /// The app: no row of another app ever comes out.
    pub app: &'a AppId,
    /// First millisecond in.
    pub from_ms: i64,
    /// First millisecond out.
    pub to_ms: i64,
    /// Only these event names; `None` reads all.
    pub events: Option<&'a [String]>,
    /// The columns of the batches.
    pub columns: &'a [ColumnRequest],
}

impl ScanRequest<'_> {
    /// False when surely no row of the run is wanted; its app is not looked at.
    pub(crate) fn wants(&self, run: &Run) -> bool {
        run.may_hold(self.from_ms, self.to_ms, self.events)
    }
}

/// What a part has beside its rows.
#[derive(Clone, Debug)]
pub struct PartColumns {
    /// All stored columns, in stored order.
    pub fields: Vec<FieldRef>,
    /// Names that may be in the overflow.
    pub overflow: OverflowNames,
}

/// An immutable set of rows.
pub enum Part {
    /// Rows that are not flushed yet.
    Memory(MemoryPart),
    /// A Parquet file that the manifest names.
    Segment(Segment),
}

impl Part {
    /// Number of rows, of all apps.
    pub fn rows(&self) -> u64 {
        match self {
            Self::Memory(part) => part.batch().num_rows() as u64,
            Self::Segment(segment) => segment.info().rows,
        }
    }

    /// What an explanation calls it.
    pub fn table(&self) -> Table {
        match self {
            Self::Memory(_) => Table::Unflushed,
            Self::Segment(_) => Table::RawSegments,
        }
    }

    /// Earliest and latest event time, ms.
    pub fn time_range(&self) -> (i64, i64) {
        match self {
            Self::Memory(part) => part.time_range(),
            Self::Segment(segment) => (segment.info().min_ms, segment.info().max_ms),
        }
    }

    /// False when the part surely has no row of this app in `[from_ms, to_ms)`; reads no file.
    pub fn may_hold(&self, app: &AppId, from_ms: i64, to_ms: i64) -> bool {
        match self {
            Self::Memory(part) => part.runs().select(app.as_str(), from_ms, to_ms, None).next().is_some(),
            Self::Segment(segment) => segment.info().may_hold(app.as_str(), from_ms, to_ms),
        }
    }

    /// A time that no row of this app is before; `None` where it surely has no row.
    pub(crate) fn first_ms(&self, app: &AppId) -> Option<i64> {
        match self {
            Self::Memory(part) => part.runs().select(app.as_str(), i64::MIN, i64::MAX, None).map(|run| run.min_ms).min(),
            Self::Segment(segment) => segment.info().first_ms(app.as_str()),
        }
    }

    /// The rows that no reader may see.
    pub(crate) fn hidden(&self) -> HiddenRows {
        match self {
            Self::Memory(_) => HiddenRows::default(),
            Self::Segment(segment) => segment.hidden().clone(),
        }
    }

    /// What names its decoded columns.
    pub(crate) fn residence(&self) -> &Residence {
        match self {
            Self::Memory(part) => part.residence(),
            Self::Segment(segment) => segment.residence(),
        }
    }

    /// What a scan is planned by, or why the part cannot be read.
    pub(crate) fn shape(&self, cache: &Arc<DecodedCache>) -> Result<Arc<Shape>, String> {
        match self {
            Self::Memory(part) => Ok(part.shape().clone()),
            Self::Segment(segment) => segment.shape(cache),
        }
    }

    /// The columns, or `None` with a reason for a damaged segment.
    ///
    /// # Errors
    /// Why the part cannot be read; it belongs into [`event_store::ScanStats::missing`].
    pub fn columns(&self) -> Result<PartColumns, String> {
        match self {
            Self::Memory(part) => Ok(part.columns()),
            Self::Segment(segment) => segment.columns(),
        }
    }

    /// Begins a scan: batches of exactly the requested rows in stored order, so that the rows of one event name come by (person, time).
    ///
    /// All batches have the same schema: the requested columns that the part has, in stored order. A batch without columns still
    /// has its number of rows. Text is dictionary-encoded wherever it is stored so; batches of one row group share one dictionary
    /// (`Arc::ptr_eq` of its values tells), and a dictionary may hold values that no row of the batch has.
    pub fn scan(self: &Arc<Self>, request: &ScanRequest<'_>) -> PartScan {
        let scan = match &**self {
            Self::Memory(part) => Scan::Memory(MemoryScan::new(part, request)),
            Self::Segment(segment) => Scan::Segment(Box::new(SegmentScan::new(segment, request))),
        };
        PartScan { part: self.clone(), scan, scanned_rows: 0 }
    }
}

enum Scan {
    Memory(MemoryScan),
    Segment(Box<SegmentScan>),
}

/// The batches of one scan of one part. Check the query's context between batches.
pub struct PartScan {
    part: Arc<Part>,
    scan: Scan,
    scanned_rows: u64,
}

impl PartScan {
    /// Rows given out so far.
    pub fn scanned_rows(&self) -> u64 {
        self.scanned_rows
    }

    /// What an explanation calls the part.
    pub fn table(&self) -> Table {
        self.part.table()
    }

    /// Compressed bytes of the column chunks that were read so far; `None` for a part in memory.
    pub fn read_bytes(&self) -> Option<u64> {
        match &self.scan {
            Scan::Memory(_) => None,
            Scan::Segment(scan) => Some(scan.read_bytes()),
        }
    }

    /// Why the scan ended before its last row: a segment that is damaged or cannot be read. Belongs into [`event_store::ScanStats::missing`].
    pub fn missing(&self) -> Option<&str> {
        match &self.scan {
            Scan::Memory(_) => None,
            Scan::Segment(scan) => scan.missing(),
        }
    }
}

impl Iterator for PartScan {
    type Item = Result<RecordBatch, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match (&mut self.scan, &*self.part) {
            (Scan::Memory(scan), Part::Memory(part)) => scan.next(part),
            (Scan::Segment(scan), Part::Segment(segment)) => scan.next(segment),
            _ => None,
        };
        if let Some(Ok(batch)) = &next {
            self.scanned_rows += batch.num_rows() as u64;
        }
        next
    }
}

/// Rows of a part that a scan wants, and what it still has to check in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowRange {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) check_time: bool,
    pub(crate) check_event: bool,
}

/// The selected rows as few, ascending ranges.
pub(crate) fn plan_ranges(runs: &RunIndex, request: &ScanRequest<'_>) -> Vec<RowRange> {
    let mut ranges: Vec<RowRange> = Vec::new();
    for run in runs.select(request.app.as_str(), request.from_ms, request.to_ms, request.events) {
        let range = RowRange {
            start: run.rows.start,
            end: run.rows.end,
            check_time: run.min_ms < request.from_ms || run.max_ms >= request.to_ms,
            check_event: request.events.is_some() && !run.is_one_event(),
        };
        match ranges.last_mut() {
            Some(last) if last.end == range.start => {
                last.end = range.end;
                last.check_time |= range.check_time;
                last.check_event |= range.check_event;
            }
            _ => ranges.push(range),
        }
    }
    ranges
}

/// The ranges without the rows that a deletion hides: the one place where every scan of one app's rows leaves them out.
pub(crate) fn visible_ranges(ranges: Vec<RowRange>, hidden: &HiddenRows) -> Vec<RowRange> {
    if hidden.is_empty() {
        return ranges;
    }
    let pieces = |range: RowRange| {
        let visible = hidden.visible_in(range.start..range.end);
        visible.into_iter().map(move |rows| RowRange { start: rows.start, end: rows.end, ..range.clone() })
    };
    ranges.into_iter().flat_map(pieces).collect()
}

/// The exact selection within rows that [`plan_ranges`] chose, owned by a scan.
#[derive(Clone, Debug)]
pub(crate) struct RowCheck {
    from_ms: i64,
    to_ms: i64,
    events: Option<Vec<String>>,
}

impl RowCheck {
    pub(crate) fn new(request: &ScanRequest<'_>) -> Self {
        Self { from_ms: request.from_ms, to_ms: request.to_ms, events: request.events.map(<[String]>::to_vec) }
    }

    /// Which rows stay; a column that is not given is not checked.
    fn mask(&self, time: Option<&ArrayRef>, event: Option<&ArrayRef>) -> BooleanBuffer {
        let in_time = time.map(|time| {
            let times = time.as_primitive::<TimestampMillisecondType>().values();
            BooleanBuffer::collect_bool(times.len(), |i| times[i] >= self.from_ms && times[i] < self.to_ms)
        });
        let of_event = event.zip(self.events.as_ref()).map(|(event, wanted)| {
            let event = event.as_dictionary::<Int32Type>();
            let names = event.values().as_string::<i32>();
            let kept: Vec<bool> = names.iter().map(|name| name.is_some_and(|name| wanted.iter().any(|w| w == name))).collect();
            let keys = event.keys().values();
            BooleanBuffer::collect_bool(keys.len(), |i| kept[keys[i] as usize])
        });
        match (in_time, of_event) {
            (Some(a), Some(b)) => &a & &b,
            (Some(mask), None) | (None, Some(mask)) => mask,
            (None, None) => BooleanBuffer::new_set(0),
        }
    }

    /// `batch` without the rows that do not belong to the answer, then only its first `columns` columns: those read for the check alone come last.
    pub(crate) fn apply(&self, batch: &RecordBatch, schema: &Arc<Schema>, range: &RowRange) -> Result<RecordBatch, QueryError> {
        let column = |name: &str, check: bool| check.then(|| batch.column_by_name(name)).flatten();
        let (time, event) = (column(columns::TIME, range.check_time), column(columns::EVENT, range.check_event));
        let mask = (time.is_some() || event.is_some()).then(|| self.mask(time, event));
        let batch = project(batch, schema)?;
        match mask {
            Some(mask) if mask.count_set_bits() < mask.len() => {
                filter_record_batch(&batch, &BooleanArray::new(mask, None)).map_err(|e| store_error(&e))
            }
            _ => Ok(batch),
        }
    }
}

/// The columns of `schema` out of `batch`.
fn project(batch: &RecordBatch, schema: &Arc<Schema>) -> Result<RecordBatch, QueryError> {
    let columns: Vec<ArrayRef> = schema.fields().iter().filter_map(|field| batch.column_by_name(field.name()).cloned()).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(|e| store_error(&e))
}

pub(crate) fn store_error(error: &dyn std::fmt::Display) -> QueryError {
    QueryError::Store(error.to_string())
}

/// Bytes of memory of the columns, counting a shared buffer once per column.
pub(crate) fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.get_array_memory_size()).sum()
}
