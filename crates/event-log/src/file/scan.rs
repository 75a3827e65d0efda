//! Walks one segment file record by record and finds its way again after damage.

use super::format::{FoundRecord, MARKER_AT, Marker, RECORD_HEADER_BYTES, RecordError, is_whole_record, offset_field, parse_record};
use crate::log::{Offset, Record};
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes searched at a time for the next good record.
const SEARCH_BYTES: usize = 1 << 20;

/// What a [`Scan`] comes upon.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next record in order.
    Record(Record),
    /// Records `from..to` are not readable; the next step gives record `to`.
    Gap { from: Offset, to: Offset, reason: String },
    /// From here to the end of the file there are bytes but no good record.
    NoMoreRecords { reason: String },
    /// The file ends behind a good record.
    End,
}

/// A walk through one segment.
///
/// Invariant: `position` is the byte behind the last record given, and `expected` the offset of the one that belongs there.
pub(super) struct Scan<'a> {
    file: &'a File,
    /// Learnt from the first good record when the segment's header is lost.
    pub(super) marker: Option<Marker>,
    /// Bytes of the file that may be read.
    length: u64,
    /// Every offset in the segment is lower.
    limit: Offset,
    chunk_bytes: usize,
    chunk: Bytes,
    chunk_at: u64,
    pub(super) position: u64,
    pub(super) expected: Offset,
}

/// The fixed facts of a segment that a scan needs.
#[derive(Clone, Copy)]
pub(super) struct ScanBounds {
    pub(super) marker: Option<Marker>,
    pub(super) length: u64,
    pub(super) limit: Offset,
    /// Read from disk at a time; a larger record is read whole.
    pub(super) chunk_bytes: usize,
}

impl<'a> Scan<'a> {
    /// Begins at byte `position`, where record `expected` belongs.
    pub(super) fn new(file: &'a File, bounds: ScanBounds, position: u64, expected: Offset) -> Self {
        let ScanBounds { marker, length, limit, chunk_bytes } = bounds;
        Self { file, marker, length, limit, chunk_bytes, chunk: Bytes::new(), chunk_at: position, position, expected }
    }

    /// Goes one step on.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        if self.position >= self.length {
            return Ok(Step::End);
        }
        let reason = match self.record_at(self.position)? {
            Ok(found) if found.offset == self.expected => return Ok(Step::Record(self.take(found))),
            Ok(found) if found.offset > self.expected && found.offset < self.limit => {
                return Ok(self.gap_to(found.offset, "records are missing".into()));
            }
            Ok(found) => format!("a record claims offset {}", found.offset),
            Err(RecordError::Short { .. }) => "a record goes on behind the end of the file".into(),
            Err(RecordError::Marker) => "no record begins here".into(),
            Err(RecordError::Checksum) => "the checksum does not fit".into(),
        };
        let reason = format!("{reason} at byte {}", self.position);
        let Some((position, offset)) = self.find_record(self.position + 1)? else {
            return Ok(Step::NoMoreRecords { reason });
        };
        tracing::warn!(from_byte = self.position, to_byte = position, %reason, "skipped damaged bytes of an event log segment");
        self.position = position;
        if offset == self.expected {
            return self.step();
        }
        Ok(self.gap_to(offset, reason))
    }

    /// True when the next record can be taken without reading the file.
    pub(super) fn is_next_loaded(&self) -> bool {
        let held = self.position.checked_sub(self.chunk_at).and_then(|skip| self.chunk.get(usize::try_from(skip).ok()?..));
        held.is_some_and(is_whole_record)
    }

    fn gap_to(&mut self, to: Offset, reason: String) -> Step {
        let from = std::mem::replace(&mut self.expected, to);
        Step::Gap { from, to, reason }
    }

    fn take(&mut self, found: FoundRecord) -> Record {
        let begin = (self.position - self.chunk_at) as usize + RECORD_HEADER_BYTES;
        let payload = self.chunk.slice(begin..begin + found.payload_bytes);
        self.marker = Some(found.marker);
        self.position += (RECORD_HEADER_BYTES + found.payload_bytes) as u64;
        self.expected += 1;
        Record { offset: found.offset, payload }
    }

    /// Parses the record at `position`, reading as much of the file as that takes.
    fn record_at(&mut self, position: u64) -> io::Result<Result<FoundRecord, RecordError>> {
        let remaining = self.length - position;
        loop {
            let held =
                position.checked_sub(self.chunk_at).and_then(|skip| self.chunk.get(usize::try_from(skip).ok()?..)).unwrap_or_default();
            match parse_record(held, self.marker) {
                Err(RecordError::Short { bytes }) if bytes > held.len() && bytes as u64 <= remaining => {
                    let bytes = bytes.max(self.chunk_bytes).min(usize::try_from(remaining).unwrap_or(usize::MAX));
                    self.chunk = read(self.file, position, bytes)?.into();
                    self.chunk_at = position;
                    if self.chunk.len() < bytes {
                        // Somebody cut the file behind our back: what is missing is damage, not a reason to read for ever.
                        return Ok(Err(RecordError::Short { bytes }));
                    }
                }
                parsed => return Ok(parsed),
            }
        }
    }

    /// The first good record at or behind byte `from` whose offset fits.
    fn find_record(&mut self, from: u64) -> io::Result<Option<(u64, Offset)>> {
        let mut window_at = from;
        while window_at + RECORD_HEADER_BYTES as u64 <= self.length {
            let window = read(self.file, window_at, SEARCH_BYTES.min((self.length - window_at) as usize))?;
            if window.len() < RECORD_HEADER_BYTES {
                return Ok(None);
            }
            let mut at = 0;
            while let Some(candidate) = self.next_candidate(&window, at) {
                let position = window_at + candidate as u64;
                if let Ok(found) = self.record_at(position)?
                    && self.fits(found.offset)
                {
                    return Ok(Some((position, found.offset)));
                }
                at = candidate + 1;
            }
            // The next window begins where a header no longer fitted into this one.
            window_at += (window.len() - RECORD_HEADER_BYTES + 1) as u64;
        }
        Ok(None)
    }

    /// The next byte of `window` where a record header may begin: by the marker, or where it is unknown by a plausible offset.
    fn next_candidate(&self, window: &[u8], from: usize) -> Option<usize> {
        let last = window.len().checked_sub(RECORD_HEADER_BYTES)?;
        let plausible = |at: &usize| self.fits(offset_field(&window[*at..]));
        match self.marker {
            Some(marker) => memchr::memmem::find_iter(window.get(from + MARKER_AT..)?, &marker.to_bytes())
                .map(|at| from + at)
                .take_while(|at| *at <= last)
                .find(plausible),
            None => (from..=last).find(plausible),
        }
    }

    fn fits(&self, offset: Offset) -> bool {
        (self.expected..self.limit).contains(&offset)
    }
}

/// Reads up to `bytes` bytes at `position`; fewer only where the file ends.
pub(super) fn read(file: &File, position: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; bytes];
    let mut filled = 0;
    while filled < bytes {
        match file.read_at(&mut buffer[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}
