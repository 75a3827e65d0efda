//! Reads in order: newest records from memory, older ones from the segments.

use super::recent::Place;
use super::scan::{Scan, ScanBounds, Step};
use super::segments::{Location, segment_path};
use super::shared::Shared;
use crate::log::{LogError, LogReader, Offset, Record};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::fs::File;
use std::io;
use std::sync::Arc;
use tokio::sync::watch;

/// Least bytes read from disk at a time.
const MIN_CHUNK_BYTES: usize = 64 << 10;
/// Most bytes read from disk at a time; a larger record is read whole.
const MAX_CHUNK_BYTES: usize = 4 << 20;

/// How far a reader is.
///
/// Invariant: where `place` is known and lies in the segment of `offset`, record `offset` begins there.
#[derive(Clone)]
struct Cursor {
    offset: Offset,
    place: Option<Place>,
    /// The segment read last, by its base.
    open: Option<(Offset, Arc<File>)>,
}

/// A walk through a file log.
pub(super) struct FileReader {
    shared: Arc<Shared>,
    end: watch::Receiver<Offset>,
    cursor: Cursor,
}

impl FileReader {
    pub(super) fn new(shared: Arc<Shared>, end: watch::Receiver<Offset>, offset: Offset) -> Self {
        Self { shared, end, cursor: Cursor { offset, place: None, open: None } }
    }

    async fn next_records(&mut self, max_bytes: usize) -> Result<Vec<Record>, LogError> {
        let offset = self.cursor.offset;
        self.end.wait_for(|end| *end > offset).await.map_err(|_| LogError::Io("the log was closed".into()))?;
        let recent = self.shared.durable().recent.read(offset, max_bytes);
        if let Some((records, behind)) = recent {
            self.cursor = Cursor { offset: offset + records.len() as u64, place: Some(behind), open: None };
            return Ok(records);
        }
        // The cursor is moved only afterwards, so dropping this future loses nothing.
        let (shared, cursor) = (Arc::clone(&self.shared), self.cursor.clone());
        let read = tokio::task::spawn_blocking(move || read_segments(&shared, cursor, max_bytes));
        let (cursor, outcome) = read.await.map_err(|error| LogError::Io(error.to_string()))?;
        self.cursor = cursor;
        outcome
    }
}

impl LogReader for FileReader {
    fn next(&mut self, max_bytes: usize) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        self.next_records(max_bytes).boxed()
    }
}

/// Reads from disk what follows `cursor`, which lies before the end of the log.
fn read_segments(shared: &Shared, mut cursor: Cursor, max_bytes: usize) -> (Cursor, Result<Vec<Record>, LogError>) {
    loop {
        let offset = cursor.offset;
        let (location, start, end) = {
            let durable = shared.durable();
            (durable.locate(offset), durable.start, durable.end)
        };
        let outcome = match location {
            Some(location) if offset < end => read_segment(shared, &mut cursor, location, max_bytes),
            _ => return (cursor, Err(LogError::Trimmed { wanted: offset, start })),
        };
        match outcome {
            Ok(records) if records.is_empty() => {}
            Ok(records) => return (cursor, Ok(records)),
            Err(ReadError::Damaged(damage)) => return (cursor, Err(damage)),
            Err(ReadError::Io(error)) => {
                // The segment may have been trimmed since it was looked up.
                let start = shared.durable().start;
                let error = if offset < start {
                    LogError::Trimmed { wanted: offset, start }
                } else if error.kind() == io::ErrorKind::NotFound {
                    skip_segment(&mut cursor, location)
                } else {
                    LogError::Io(error.to_string())
                };
                return (cursor, Err(error));
            }
        }
    }
}

/// A segment file that somebody deleted is damage like any other: its offsets are named, and reading goes on behind them.
fn skip_segment(cursor: &mut Cursor, location: Option<Location>) -> LogError {
    let from = cursor.offset;
    let to = location.map_or(from + 1, |location| location.limit);
    cursor.offset = to;
    LogError::Damaged { from, to, reason: "the segment file is missing".to_owned() }
}

enum ReadError {
    Damaged(LogError),
    Io(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The records that follow `cursor` in one segment; none when the next segment has them.
fn read_segment(shared: &Shared, cursor: &mut Cursor, location: Location, max_bytes: usize) -> Result<Vec<Record>, ReadError> {
    let Location { segment, limit, beginning } = location;
    let file = match &cursor.open {
        Some((base, file)) if *base == segment.base => Arc::clone(file),
        _ => Arc::new(File::open(segment_path(&shared.folder, segment.base))?),
    };
    cursor.open = Some((segment.base, Arc::clone(&file)));
    let known = cursor.place.filter(|place| place.segment == segment.base);
    let (place, expected) = known.map_or((beginning, segment.base), |place| (place, cursor.offset));
    let chunk_bytes = max_bytes.clamp(MIN_CHUNK_BYTES, MAX_CHUNK_BYTES);
    let bounds = ScanBounds { marker: segment.marker, length: segment.length, limit, chunk_bytes };
    let mut scan = Scan::new(&file, bounds, place.position, expected);
    let mut records = Vec::new();
    let mut bytes = 0;
    while scan.expected < limit && (records.is_empty() || scan.is_next_loaded()) {
        let before = scan.position;
        let (to, reason) = match scan.step()? {
            Step::Record(record) if record.offset < cursor.offset => continue,
            Step::Record(record) => {
                if bytes > 0 && bytes + record.payload.len() > max_bytes {
                    cursor.place = Some(Place { segment: segment.base, position: before });
                    return Ok(records);
                }
                bytes += record.payload.len();
                cursor.offset = record.offset + 1;
                cursor.place = Some(Place { segment: segment.base, position: scan.position });
                records.push(record);
                continue;
            }
            Step::Gap { to, reason, .. } => (to, reason),
            Step::NoMoreRecords { reason } => (limit, reason),
            Step::End => (limit, "the segment ends too early".to_owned()),
        };
        if !records.is_empty() {
            // Good records first; the next call comes upon the damage again and tells it.
            return Ok(records);
        }
        if to > cursor.offset {
            let from = std::mem::replace(&mut cursor.offset, to);
            let behind = if to < limit { scan.position } else { segment.length };
            cursor.place = Some(Place { segment: segment.base, position: behind });
            return Err(ReadError::Damaged(LogError::Damaged { from, to, reason }));
        }
    }
    Ok(records)
}
