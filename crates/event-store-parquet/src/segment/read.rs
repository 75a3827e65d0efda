//! Reading a segment: only the row groups, rows and columns that a request needs, never bytes that are not what was written.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use bytes::{Buf, Bytes};
use event_store::QueryError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;

use super::failure::SegmentFailure;
use super::file::VerifiedFile;
use super::persons::{self, PERSON_NUMBER, SegmentPersons};
use super::{Footer, PersonPlace, Segment};
use crate::columns::{self, OverflowNames};
use crate::decoded::Shape;
use crate::hidden::HiddenRows;
use crate::part::{RowCheck, RowRange, SCAN_BATCH_ROWS, ScanRequest, plan_ranges, visible_ranges};
use crate::runs::RunIndex;

/// Length of a Parquet file's end: the footer's length and `PAR1`.
const TAIL_BYTES: u64 = 8;

/// A segment with its footer parsed.
pub(crate) struct OpenSegment {
    file: VerifiedFile,
    metadata: ArrowReaderMetadata,
    /// As rows are given out: with the persons' keys, also where the file has numbers.
    shape: Arc<Shape>,
    persons: Option<PersonPlace>,
}

impl OpenSegment {
    pub(crate) fn open(file: VerifiedFile) -> Result<Self, SegmentFailure> {
        let opened = catch_unwind(AssertUnwindSafe(|| Self::parse(file)));
        opened.unwrap_or_else(|_| Err("its footer cannot be parsed".into()))
    }

    fn parse(file: VerifiedFile) -> Result<Self, SegmentFailure> {
        let tail_at = file.len().checked_sub(TAIL_BYTES).ok_or("too short for a Parquet file")?;
        let tail = file.read(tail_at, TAIL_BYTES as usize)?;
        let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
        let start = tail_at.checked_sub(length).filter(|_| tail.ends_with(b"PAR1")).ok_or("not a Parquet file")?;
        let bytes = file.read(start, length as usize)?;
        let parsed = ParquetMetaDataReader::decode_metadata(&bytes).map_err(|error| error.to_string())?;
        let pairs = parsed.file_metadata().key_value_metadata().cloned().unwrap_or_default();
        let footer = Footer::decode(|key| pairs.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.clone()))?;
        let names = parsed.file_metadata().schema_descr().root_schema().get_fields();
        let stored_field = |name: &str| if name == PERSON_NUMBER { persons::number_field() } else { columns::field(name) };
        let stored: Vec<FieldRef> = names.iter().map(|field| stored_field(field.name())).collect();
        let has_numbers = stored.iter().any(|field| field.name() == PERSON_NUMBER);
        if has_numbers != footer.persons.is_some() {
            return Err("its persons' numbers and their table are not together".into());
        }
        // So memory for the table is not what a damaged footer asks for.
        if footer.persons.is_some_and(|place| place.persons > footer.runs.rows()) {
            return Err("it has more persons than rows".into());
        }
        let mut group_starts = vec![0];
        for group in parsed.row_groups() {
            group_starts.push(group_starts[group_starts.len() - 1] + group.num_rows() as usize);
        }
        if group_starts.last() != Some(&footer.runs.rows()) {
            return Err("its run index and its row groups disagree".into());
        }
        let stored = Arc::new(Schema::new(stored));
        let fields = persons::with_keys(&stored).fields().iter().cloned().collect();
        let options = ArrowReaderOptions::new().with_schema(stored);
        let metadata = ArrowReaderMetadata::try_new(Arc::new(parsed), options).map_err(|error| error.to_string())?;
        let Footer { runs, overflow, persons } = footer;
        Ok(Self { file, metadata, shape: Arc::new(Shape { runs, group_starts, fields, overflow }), persons })
    }

    /// The table of its persons, read anew; `None` where its rows have keys.
    pub(crate) fn persons(&self) -> Result<Option<SegmentPersons>, SegmentFailure> {
        let Some(place) = &self.persons else { return Ok(None) };
        let bytes = self.file.read(place.start, place.bytes)?;
        Ok(Some(SegmentPersons::decode(&bytes, place.persons)?))
    }

    /// As [`OpenSegment::persons`], where one of the columns is that of persons.
    pub(super) fn persons_for(&self, columns: &[usize]) -> Result<Option<SegmentPersons>, SegmentFailure> {
        let is_person = |&column: &usize| self.shape.fields[column].name() == columns::PERSON;
        if columns.iter().any(is_person) { self.persons() } else { Ok(None) }
    }

    pub(crate) fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// True when its file should be opened again.
    pub(crate) fn is_stale(&self) -> bool {
        self.file.is_stale()
    }

    pub(crate) fn fields(&self) -> &[FieldRef] {
        &self.shape.fields
    }

    pub(crate) fn overflow(&self) -> &OverflowNames {
        &self.shape.overflow
    }

    pub(crate) fn runs(&self) -> &RunIndex {
        &self.shape.runs
    }

    pub(super) fn group_starts(&self) -> &[usize] {
        &self.shape.group_starts
    }

    pub(super) fn column_statistics(&self, group: usize, column: usize) -> Option<&Statistics> {
        self.metadata.metadata().row_group(group).column(column).statistics()
    }

    /// Rows in which each column is not null, in stored order.
    pub(crate) fn values_per_column(&self) -> Vec<u64> {
        let mut counts = vec![0; self.shape.fields.len()];
        for group in self.metadata.metadata().row_groups() {
            for (count, column) in counts.iter_mut().zip(group.columns()) {
                let nulls = column.statistics().and_then(|statistics| statistics.null_count_opt()).unwrap_or(0);
                *count += (group.num_rows() as u64).saturating_sub(nulls);
            }
        }
        counts
    }

    /// When the newest row was received, where the footer tells.
    pub(crate) fn latest_received_ms(&self) -> Option<i64> {
        let column = self.shape.fields.iter().position(|field| field.name() == columns::RECEIVED_AT)?;
        let groups = self.metadata.metadata().row_groups().iter();
        let latest = groups.map(|group| match group.column(column).statistics() {
            Some(Statistics::Int64(values)) => values.max_opt().copied(),
            _ => None,
        });
        latest.collect::<Option<Vec<i64>>>()?.into_iter().max()
    }

    /// Reads every block, so that each is verified.
    pub(crate) fn verify_all(&self) -> Result<(), SegmentFailure> {
        let step = 16 * super::file::BLOCK_BYTES as u64;
        let mut at = 0;
        while at < self.file.len() {
            let length = step.min(self.file.len() - at);
            self.file.read(at, length as usize)?;
            at += length;
        }
        Ok(())
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.metadata.metadata().memory_size() + self.file.memory_bytes() + self.shape.bytes()
    }

    /// Decodes `columns` (in stored order, at least one) of rows of one row group: one array per column with the rows one after the other, and the
    /// compressed bytes of the column chunks. `rows` are rows of the segment, ascending and apart. Persons are numbers of the table where the
    /// segment has one.
    pub(super) fn read_rows(&self, group: usize, rows: &[Range<usize>], columns: &[usize]) -> Result<(Vec<ArrayRef>, u64), SegmentFailure> {
        let first = self.shape.group_starts[group];
        let group_rows = self.shape.group_rows(group);
        let wanted: usize = rows.iter().map(Range::len).sum();
        let selection = (wanted < group_rows)
            .then(|| RowSelection::from_consecutive_ranges(rows.iter().map(|rows| rows.start - first..rows.end - first), group_rows));
        let mut reader = self.read_group(group, columns, selection, wanted, None)?;
        let mut batches = Vec::new();
        while let Some(batch) = reader.next_batch() {
            batches.push(batch?);
        }
        let column = |column: usize| match &batches[..] {
            [batch] => Ok(batch.column(column).clone()),
            batches => {
                let pieces: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(column).as_ref()).collect();
                arrow::compute::concat(&pieces).map_err(|error| error.to_string().into())
            }
        };
        let arrays = (0..columns.len()).map(column).collect::<Result<_, SegmentFailure>>()?;
        Ok((arrays, columns.iter().map(|&column| self.chunk_bytes(group, column)).sum()))
    }

    /// Compressed bytes of one column of one row group.
    fn chunk_bytes(&self, group: usize, column: usize) -> u64 {
        self.metadata.metadata().row_group(group).column(column).byte_range().1
    }

    /// Decodes `columns` (in stored order, at least one) of the selected rows of one row group. Numbers of persons become keys by `persons`.
    pub(super) fn read_group(
        &self,
        group: usize,
        columns: &[usize],
        selection: Option<RowSelection>,
        batch_rows: usize,
        persons: Option<SegmentPersons>,
    ) -> Result<GroupReader, SegmentFailure> {
        let begin = || self.begin_group(group, columns, selection, batch_rows);
        let reader = catch_unwind(AssertUnwindSafe(begin)).unwrap_or_else(|_| Err("its column chunks are nowhere in it".into()))?;
        Ok(GroupReader { reader, persons })
    }

    fn begin_group(
        &self,
        group: usize,
        columns: &[usize],
        selection: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader, SegmentFailure> {
        let chunks = columns.iter().map(|&column| {
            let (start, length) = self.metadata.metadata().row_group(group).column(column).byte_range();
            Ok((start, self.file.read(start, length as usize)?))
        });
        let chunks = Chunks { chunks: chunks.collect::<Result<_, SegmentFailure>>()?, file_bytes: self.file.len() };
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), columns.iter().copied());
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, self.metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(mask)
            .with_batch_size(batch_rows);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        builder.build().map_err(|error| error.to_string().into())
    }
}

/// The verified column chunks of one row group, as a file that has only those.
struct Chunks {
    chunks: Vec<(u64, Bytes)>,
    file_bytes: u64,
}

impl Chunks {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        // Chunks lie side by side: the end of one is the start of the next.
        let chunk = self.chunks.iter().find(|(at, bytes)| *at <= start && start < at + bytes.len() as u64);
        chunk
            .map(|(at, bytes)| bytes.slice((start - at) as usize..))
            .ok_or_else(|| ParquetError::General(format!("byte {start} is in no column chunk that was read")))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.file_bytes
    }
}

impl ChunkReader for Chunks {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        if length > bytes.len() {
            return Err(ParquetError::EOF(format!("{length} bytes from {start} are not in one column chunk")));
        }
        Ok(bytes.slice(..length))
    }
}

/// The rows of one row group.
pub(super) struct GroupReader {
    reader: ParquetRecordBatchReader,
    persons: Option<SegmentPersons>,
}

impl GroupReader {
    /// The next batch; a panic in the decoder is damage like any other.
    pub(super) fn next_batch(&mut self) -> Option<Result<RecordBatch, SegmentFailure>> {
        let next = catch_unwind(AssertUnwindSafe(|| self.reader.next()));
        let batch = match next {
            Ok(next) => next?.map_err(|error| error.to_string().into()),
            Err(_) => Err("its data cannot be decoded".into()),
        };
        Some(match &self.persons {
            Some(persons) => batch.and_then(|batch| Ok(persons.batch_with_keys(&batch)?)),
            None => batch,
        })
    }
}

/// Ranges of one row group, numbered from the group's first row.
struct GroupTask {
    group: usize,
    ranges: Vec<RowRange>,
}

impl GroupTask {
    /// What has to be checked in any of the ranges.
    fn check(&self) -> RowRange {
        RowRange {
            start: 0,
            end: 0,
            check_time: self.ranges.iter().any(|range| range.check_time),
            check_event: self.ranges.iter().any(|range| range.check_event),
        }
    }
}

/// A scan of one app's rows.
pub(crate) struct SegmentScan {
    open: Option<Arc<OpenSegment>>,
    schema: SchemaRef,
    columns: Vec<usize>,
    check: RowCheck,
    tasks: VecDeque<GroupTask>,
    current: Option<(GroupReader, RowRange)>,
    /// Once it was read, the table of the persons.
    persons: Option<SegmentPersons>,
    /// Rows to give out as batches without columns.
    bare_rows: usize,
    read_bytes: u64,
    missing: Option<String>,
}

impl SegmentScan {
    pub(crate) fn new(segment: &Segment, request: &ScanRequest<'_>) -> Self {
        let check = RowCheck::new(request);
        let empty = Arc::new(Schema::empty());
        let mut scan = Self {
            open: None,
            schema: empty,
            columns: Vec::new(),
            check,
            tasks: VecDeque::new(),
            current: None,
            persons: None,
            bare_rows: 0,
            read_bytes: 0,
            missing: None,
        };
        match segment.open() {
            Ok(open) => {
                scan.columns = columns::resolve(request.columns, open.fields(), open.overflow());
                scan.schema = Arc::new(Schema::new(scan.columns.iter().map(|&i| open.fields()[i].clone()).collect::<Vec<_>>()));
                let ranges = visible_ranges(plan_ranges(open.runs(), request), segment.hidden());
                scan.tasks = group_tasks(&ranges, &open.shape.group_starts);
                scan.open = Some(open);
            }
            Err(failure) => scan.missing = Some(failure.to_string()),
        }
        scan
    }

    /// Compressed bytes of the column chunks read so far.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Why rows are missing from what was given out.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    /// The next batch; `None` at the end, also where it came early: [`SegmentScan::missing`] says why.
    pub(crate) fn next(&mut self, segment: &Segment) -> Option<Result<RecordBatch, QueryError>> {
        loop {
            if self.bare_rows > 0 {
                return Some(self.bare_batch());
            }
            if let Some((reader, range)) = &mut self.current {
                match reader.next_batch() {
                    Some(Ok(batch)) => match self.check.apply(&batch, &self.schema, range) {
                        Ok(batch) if batch.num_rows() == 0 => continue,
                        other => return Some(other),
                    },
                    Some(Err(reason)) => return self.give_up(segment, reason),
                    None => self.current = None,
                }
            }
            let (Some(open), Some(task)) = (self.open.clone(), self.tasks.pop_front()) else { return None };
            if let Err(reason) = self.begin(&open, &task) {
                return self.give_up(segment, reason);
            }
        }
    }

    fn begin(&mut self, open: &OpenSegment, task: &GroupTask) -> Result<(), SegmentFailure> {
        let check = task.check();
        let mut columns = self.columns.clone();
        let extra = [(check.check_time, columns::TIME), (check.check_event, columns::EVENT)];
        columns.extend(
            extra.into_iter().filter(|(check, _)| *check).filter_map(|(_, name)| open.fields().iter().position(|f| f.name() == name)),
        );
        columns.sort_unstable();
        columns.dedup();
        let rows = |ranges: &[RowRange]| ranges.iter().map(|range| range.end - range.start).sum::<usize>();
        if columns.is_empty() {
            self.bare_rows = rows(&task.ranges);
            return Ok(());
        }
        let group_rows = open.shape.group_rows(task.group);
        let selection = (rows(&task.ranges) < group_rows)
            .then(|| RowSelection::from_consecutive_ranges(task.ranges.iter().map(|range| range.start..range.end), group_rows));
        self.read_bytes += columns.iter().map(|&column| open.chunk_bytes(task.group, column)).sum::<u64>();
        if self.persons.is_none() {
            self.persons = open.persons_for(&columns)?;
        }
        self.current = Some((open.read_group(task.group, &columns, selection, SCAN_BATCH_ROWS, self.persons.clone())?, check));
        Ok(())
    }

    fn bare_batch(&mut self) -> Result<RecordBatch, QueryError> {
        let rows = self.bare_rows.min(SCAN_BATCH_ROWS);
        self.bare_rows -= rows;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), Vec::new(), &options).map_err(|e| crate::part::store_error(&e))
    }

    fn give_up<T>(&mut self, segment: &Segment, failure: SegmentFailure) -> Option<T> {
        self.missing = Some(segment.failed(failure).to_string());
        self.current = None;
        self.tasks.clear();
        None
    }
}

/// Splits ranges of the part at the borders of its row groups.
fn group_tasks(ranges: &[RowRange], group_starts: &[usize]) -> VecDeque<GroupTask> {
    let mut tasks: VecDeque<GroupTask> = VecDeque::new();
    for range in ranges {
        let mut group = group_starts.partition_point(|&start| start <= range.start).saturating_sub(1);
        while group + 1 < group_starts.len() && group_starts[group] < range.end {
            let base = group_starts[group];
            let (start, end) = (range.start.max(base) - base, range.end.min(group_starts[group + 1]) - base);
            let piece = RowRange { start, end, ..range.clone() };
            match tasks.back_mut() {
                Some(task) if task.group == group => task.ranges.push(piece),
                _ => tasks.push_back(GroupTask { group, ranges: vec![piece] }),
            }
            group += 1;
        }
    }
    tasks
}

/// All rows but hidden ones, and all columns of a segment in stored order: for compaction and checking. An error is for
/// [`Segment::failed`] to judge.
pub(crate) struct WholeScan {
    open: Arc<OpenSegment>,
    hidden: HiddenRows,
    columns: Vec<usize>,
    batch_rows: usize,
    next_group: usize,
    current: Option<GroupReader>,
    /// Once it was read, the table of the persons.
    persons: Option<SegmentPersons>,
}

impl WholeScan {
    pub(crate) fn new(open: Arc<OpenSegment>, hidden: HiddenRows, batch_rows: usize) -> Self {
        let columns = (0..open.fields().len()).collect();
        Self { open, hidden, columns, batch_rows, next_group: 0, current: None, persons: None }
    }

    /// The visible rows of the next group; `None` when all are.
    fn selection(&self) -> Option<RowSelection> {
        if self.hidden.is_empty() {
            return None;
        }
        let (start, end) = (self.open.shape.group_starts[self.next_group], self.open.shape.group_starts[self.next_group + 1]);
        let visible = self.hidden.visible_in(start..end).into_iter().map(|rows| rows.start - start..rows.end - start);
        Some(RowSelection::from_consecutive_ranges(visible, end - start))
    }

    pub(crate) fn next_batch(&mut self) -> Result<Option<RecordBatch>, SegmentFailure> {
        loop {
            if let Some(reader) = &mut self.current {
                if let Some(batch) = reader.next_batch() {
                    return batch.map(Some);
                }
                self.current = None;
            }
            if self.next_group + 1 >= self.open.shape.group_starts.len() {
                return Ok(None);
            }
            if self.persons.is_none() {
                self.persons = self.open.persons()?;
            }
            let (open, persons) = (&self.open, self.persons.clone());
            self.current = Some(open.read_group(self.next_group, &self.columns, self.selection(), self.batch_rows, persons)?);
            self.next_group += 1;
        }
    }
}
