//! The segments of a log and which of them may go.

use super::format::{HEADER_BYTES, HeaderError, Marker, RECORD_HEADER_BYTES, decode_header};
use super::recent::{Place, Recent};
use super::scan::{Scan, ScanBounds, Step, read};
use crate::log::Offset;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Read at a time while a marker is looked for.
const HEADER_CHUNK_BYTES: usize = 64 << 10;

/// One file of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// Offset of its first record, which names the file.
    pub(super) base: Offset,
    /// Durable bytes of the file.
    pub(super) length: u64,
    /// Unknown when its header is damaged and no good record tells it.
    pub(super) marker: Option<Marker>,
    /// When the last record was written.
    pub(super) written_at: SystemTime,
}

/// What of the log is durable, and so readable.
///
/// Invariant: `segments` are ordered by base without overlap; all but the last are sealed; `start <= end`.
pub(super) struct Durable {
    pub(super) segments: VecDeque<Segment>,
    pub(super) start: Offset,
    pub(super) end: Offset,
    pub(super) recent: Recent,
}

/// Where an offset is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Location {
    pub(super) segment: Segment,
    /// Every offset in the segment is lower: the next segment's base, or the end.
    pub(super) limit: Offset,
    /// Where to begin to read when nothing better is known.
    pub(super) beginning: Place,
}

impl Durable {
    /// The segment that holds `offset`; none where it was trimmed or lies before the first segment.
    pub(super) fn locate(&self, offset: Offset) -> Option<Location> {
        let behind = self.segments.partition_point(|segment| segment.base <= offset);
        let segment = *self.segments.get(behind.checked_sub(1)?)?;
        let limit = self.segments.get(behind).map_or(self.end, |next| next.base);
        Some(Location { segment, limit, beginning: Place { segment: segment.base, position: HEADER_BYTES } })
    }

    /// Removes the sealed segments below `released` that are older than `max_age` or that the log has in excess of `max_bytes`,
    /// oldest first, and gives their bases.
    pub(super) fn trim(&mut self, released: Offset, retention: Retention, now: SystemTime) -> Vec<Offset> {
        let mut total_bytes: u64 = self.segments.iter().map(|segment| segment.length).sum();
        let mut removed = Vec::new();
        while let (Some(&oldest), Some(next)) = (self.segments.front(), self.segments.get(1)) {
            let is_old = now.duration_since(oldest.written_at).is_ok_and(|age| age >= retention.max_age);
            if next.base > released || !(is_old || total_bytes > retention.max_bytes) {
                break;
            }
            self.start = next.base;
            total_bytes -= oldest.length;
            removed.push(oldest.base);
            self.segments.pop_front();
        }
        removed
    }
}

/// How much of what every consumer has released is kept all the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention {
    pub(super) max_age: Duration,
    pub(super) max_bytes: u64,
}

/// The file of the segment whose first record has offset `base`; names sort like offsets.
pub(super) fn segment_path(folder: &Path, base: Offset) -> PathBuf {
    folder.join(format!("{base:020}.log"))
}

/// The segments in `folder` as their names and headers tell, ordered; their records are not looked at.
///
/// # Errors
/// An [`io::Error`], also for a segment of a layout this build does not know.
pub(super) fn list_segments(folder: &Path) -> io::Result<VecDeque<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let base = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| stem.len() == 20).and_then(|stem| stem.parse().ok());
        match base {
            Some(base) => segments.push(open_segment(&path, base)?),
            None => tracing::warn!(path = %path.display(), "ignored a file in the event log's folder whose name is no offset"),
        }
    }
    segments.sort_by_key(|segment| segment.base);
    Ok(segments.into())
}

fn open_segment(path: &Path, base: Offset) -> io::Result<Segment> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let length = metadata.len();
    let marker = match decode_header(&read(&file, 0, HEADER_BYTES as usize)?) {
        Ok(header) if header.base == base => Some(header.marker),
        Err(HeaderError::Version(version)) => {
            let message = format!("{} has format version {version}, which this build cannot read", path.display());
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        Ok(_) | Err(HeaderError::Damaged) => {
            tracing::warn!(path = %path.display(), "the header of an event log segment is damaged");
            // The first good record tells the marker; where there is none, there is nothing to read either.
            let bounds = ScanBounds { marker: None, length, limit: limit_by_length(base, length), chunk_bytes: HEADER_CHUNK_BYTES };
            let mut scan = Scan::new(&file, bounds, HEADER_BYTES, base);
            while let Step::Gap { .. } = scan.step()? {}
            scan.marker
        }
    };
    Ok(Segment { base, length, marker, written_at: metadata.modified()? })
}

/// The first offset that does not fit into a segment of `length` bytes, because no record is shorter than its header.
pub(super) fn limit_by_length(base: Offset, length: u64) -> Offset {
    base.saturating_add(length / RECORD_HEADER_BYTES as u64)
}
