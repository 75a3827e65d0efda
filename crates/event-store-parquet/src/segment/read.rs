//! Reading a segment: only the row groups, rows and columns that a request needs, never bytes that are not what was written.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
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
use super::persons::SegmentPersons;
use super::sessions::SegmentSessions;
use super::stored::{IS_USER, PERSON_NUMBER, SESSION_NUMBER, Stored, Tables};
use super::texts::{self, TextsPlace};
use super::{Footer, Segment, TablePlaces};
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
    /// As rows are given out: with ids and persons' keys, also where the file has numbers.
    shape: Arc<Shape>,
    stored: Arc<Stored>,
    tables: TablePlaces,
    /// Tables of ids, while somebody uses them.
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    person_ids: Weak<StringArray>,
    sessions: Weak<SegmentSessions>,
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
        let stored = Stored::of_file(names.iter().map(|field| field.name())).ok_or("its columns are in another order")?;
        let stored = Arc::new(stored);
        let TablePlaces { persons, person_ids, sessions } = &footer.tables;
        let has = [PERSON_NUMBER, IS_USER, SESSION_NUMBER].map(|name| stored.has(name));
        if has != [persons.is_some(), person_ids.is_some(), sessions.is_some()] {
            return Err("its numbers and their tables are not together".into());
        }
        // So memory for a table is not what a damaged footer asks for.
        let entries = [persons.map(|place| place.persons), person_ids.map(|place| place.texts), sessions.map(|place| place.texts)];
        if entries.into_iter().flatten().any(|entries| entries > footer.runs.rows()) {
            return Err("it has more persons or sessions than rows".into());
        }
        let mut group_starts = vec![0];
        for group in parsed.row_groups() {
            group_starts.push(group_starts[group_starts.len() - 1] + group.num_rows() as usize);
        }
        if group_starts.last() != Some(&footer.runs.rows()) {
            return Err("its run index and its row groups disagree".into());
        }
        let fields = stored.given().to_vec();
        let options = ArrowReaderOptions::new().with_schema(stored.schema());
        let metadata = ArrowReaderMetadata::try_new(Arc::new(parsed), options).map_err(|error| error.to_string())?;
        let Footer { runs, overflow, tables } = footer;
        let shape = Arc::new(Shape { runs, group_starts, fields, overflow });
        Ok(Self { file, metadata, shape, stored, tables, shared: Mutex::default() })
    }

    /// The table of its persons, read anew; `None` where its rows have keys.
    pub(crate) fn persons(&self) -> Result<Option<SegmentPersons>, SegmentFailure> {
        let Some(place) = &self.tables.persons else { return Ok(None) };
        Ok(Some(SegmentPersons::decode(&self.file.read(place.start, place.bytes)?, place.persons)?))
    }

    /// The ids of its persons by number, read anew where nobody has them; `None` where its rows have ids.
    pub(crate) fn person_ids(&self) -> Result<Option<Arc<StringArray>>, SegmentFailure> {
        let Some(place) = &self.tables.person_ids else { return Ok(None) };
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ids) = shared.person_ids.upgrade() {
            return Ok(Some(ids));
        }
        let ids = Arc::new(self.texts(place)?);
        shared.person_ids = Arc::downgrade(&ids);
        Ok(Some(ids))
    }

    /// The table of its session ids, read anew where nobody has it; `None` where its rows have ids.
    pub(crate) fn sessions(&self) -> Result<Option<Arc<SegmentSessions>>, SegmentFailure> {
        let Some(place) = &self.tables.sessions else { return Ok(None) };
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sessions) = shared.sessions.upgrade() {
            return Ok(Some(sessions));
        }
        let sessions = Arc::new(SegmentSessions::new(self.texts(place)?));
        shared.sessions = Arc::downgrade(&sessions);
        Ok(Some(sessions))
    }

    fn texts(&self, place: &TextsPlace) -> Result<StringArray, SegmentFailure> {
        Ok(texts::decode(&self.file.read(place.start, place.bytes)?, place)?)
    }

    /// The tables that columns need to be given out; persons and sessions themselves as numbers, if so wanted.
    pub(super) fn tables_for(&self, columns: &[usize], with_numbers: bool) -> Result<Tables, SegmentFailure> {
        let needed = self.stored.needed_tables(columns, with_numbers);
        Ok(Tables {
            persons: if needed.persons { self.persons()? } else { None },
            person_ids: if needed.person_ids { self.person_ids()? } else { None },
            sessions: if needed.sessions { self.sessions()? } else { None },
        })
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
    /// compressed bytes of the column chunks. `rows` are rows of the segment, ascending and apart. Persons and session ids are numbers of
    /// tables where the segment has these.
    pub(super) fn read_rows(&self, group: usize, rows: &[Range<usize>], columns: &[usize]) -> Result<(Vec<ArrayRef>, u64), SegmentFailure> {
        let first = self.shape.group_starts[group];
        let group_rows = self.shape.group_rows(group);
        let wanted: usize = rows.iter().map(Range::len).sum();
        let selection = (wanted < group_rows)
            .then(|| RowSelection::from_consecutive_ranges(rows.iter().map(|rows| rows.start - first..rows.end - first), group_rows));
        let needed = self.stored.needed(columns);
        let mut reader = self.begin_group(group, &needed, selection, wanted)?;
        let mut batches = Vec::new();
        while let Some(batch) = next_batch(&mut reader) {
            batches.push(batch?);
        }
        let column = |column: usize| match &batches[..] {
            [batch] => Ok(batch.column(column).clone()),
            batches => {
                let pieces: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(column).as_ref()).collect();
                arrow::compute::concat(&pieces).map_err(|error| error.to_string().into())
            }
        };
        let read = (0..needed.len()).map(column).collect::<Result<Vec<ArrayRef>, SegmentFailure>>()?;
        let arrays = self.stored.with_numbers(columns, &read, &self.tables_for(columns, true)?)?;
        Ok((arrays, self.chunk_bytes(group, columns)))
    }

    /// Compressed bytes of what columns of one row group are made of.
    fn chunk_bytes(&self, group: usize, columns: &[usize]) -> u64 {
        let group = self.metadata.metadata().row_group(group);
        self.stored.needed(columns).into_iter().map(|column| group.column(column).byte_range().1).sum()
    }

    /// Decodes `columns` (in stored order, at least one) of the selected rows of one row group. Numbers become what `tables` have of them.
    pub(super) fn read_group(
        &self,
        group: usize,
        columns: &[usize],
        selection: Option<RowSelection>,
        batch_rows: usize,
        tables: Tables,
    ) -> Result<GroupReader, SegmentFailure> {
        let reader = self.begin_group(group, &self.stored.needed(columns), selection, batch_rows)?;
        let schema = Arc::new(Schema::new(columns.iter().map(|&column| self.shape.fields[column].clone()).collect::<Vec<_>>()));
        Ok(GroupReader { stored: self.stored.clone(), reader, columns: columns.to_vec(), schema, tables })
    }

    /// Begins to decode columns of the file.
    fn begin_group(
        &self,
        group: usize,
        columns: &[usize],
        selection: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader, SegmentFailure> {
        let begin = || self.find_group(group, columns, selection, batch_rows);
        catch_unwind(AssertUnwindSafe(begin)).unwrap_or_else(|_| Err("its column chunks are nowhere in it".into()))
    }

    fn find_group(
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
    stored: Arc<Stored>,
    reader: ParquetRecordBatchReader,
    columns: Vec<usize>,
    /// Of what is given out.
    schema: SchemaRef,
    tables: Tables,
}

impl GroupReader {
    pub(super) fn next_batch(&mut self) -> Option<Result<RecordBatch, SegmentFailure>> {
        let give = |read: RecordBatch| {
            let arrays = self.stored.give(&self.columns, read.columns(), &self.tables)?;
            let options = RecordBatchOptions::new().with_row_count(Some(read.num_rows()));
            let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options);
            batch.map_err(|error| SegmentFailure::from(error.to_string()))
        };
        next_batch(&mut self.reader).map(|read| read.and_then(give))
    }
}

/// The next batch; a panic in the decoder is damage like any other.
fn next_batch(reader: &mut ParquetRecordBatchReader) -> Option<Result<RecordBatch, SegmentFailure>> {
    let next = catch_unwind(AssertUnwindSafe(|| reader.next()));
    Some(match next {
        Ok(next) => next?.map_err(|error| error.to_string().into()),
        Err(_) => Err("its data cannot be decoded".into()),
    })
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
    /// Once they were read.
    tables: Option<Tables>,
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
            tables: None,
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
        self.read_bytes += open.chunk_bytes(task.group, &columns);
        let tables = match &self.tables {
            Some(tables) => tables,
            // What is asked for comes with every group, times and events only with some: they need no table.
            None => self.tables.insert(open.tables_for(&columns, false)?),
        };
        self.current = Some((open.read_group(task.group, &columns, selection, SCAN_BATCH_ROWS, tables.clone())?, check));
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
    /// Once they were read.
    tables: Option<Tables>,
}

impl WholeScan {
    pub(crate) fn new(open: Arc<OpenSegment>, hidden: HiddenRows, batch_rows: usize) -> Self {
        let columns = (0..open.fields().len()).collect();
        Self { open, hidden, columns, batch_rows, next_group: 0, current: None, tables: None }
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
            let tables = match &self.tables {
                Some(tables) => tables.clone(),
                None => self.tables.insert(self.open.tables_for(&self.columns, false)?).clone(),
            };
            self.current = Some(self.open.read_group(self.next_group, &self.columns, self.selection(), self.batch_rows, tables)?);
            self.next_group += 1;
        }
    }
}
