//! Finds the end of the log at start and repairs its tail.

use super::disk::Disk;
use super::format::{HEADER_BYTES, Marker, SegmentHeader, encode_header};
use super::scan::{Scan, ScanBounds, Step, read};
use super::segments::{Segment, limit_by_length, list_segments, segment_path};
use crate::log::Offset;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

const SCAN_CHUNK_BYTES: usize = 1 << 20;

/// What was found on disk.
pub(super) struct Recovered {
    pub(super) segments: VecDeque<Segment>,
    pub(super) end: Offset,
    /// The last segment's, for the next one.
    pub(super) marker: Option<Marker>,
    /// The last segment, open for appends; none when the next append begins a segment.
    pub(super) active: Option<File>,
    /// Bytes cut off behind the last good record.
    pub(super) dropped_tail_bytes: u64,
}

/// Reads the folder, cuts a torn tail off the last segment and makes durable what is left.
///
/// Only bytes behind the last good record are cut: damage with good records behind it stays and is told to readers.
pub(super) fn recover(folder: &Path, disk: &dyn Disk) -> io::Result<Recovered> {
    let mut segments = list_segments(folder)?;
    let Some(last) = segments.back_mut() else {
        return Ok(Recovered { segments, end: 0, marker: None, active: None, dropped_tail_bytes: 0 });
    };
    let path = segment_path(folder, last.base);
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let bounds = ScanBounds {
        marker: last.marker,
        length: last.length,
        limit: limit_by_length(last.base, last.length),
        chunk_bytes: SCAN_CHUNK_BYTES,
    };
    let mut scan = Scan::new(&file, bounds, HEADER_BYTES, last.base);
    loop {
        match scan.step()? {
            Step::Record(_) => {}
            Step::Gap { from, to, reason } => {
                tracing::error!(from, to, %reason, path = %path.display(), "records of the event log are damaged");
            }
            Step::NoMoreRecords { reason } => {
                tracing::warn!(%reason, path = %path.display(), "the event log ends in a torn record");
                break;
            }
            Step::End => break,
        }
    }
    let (end, marker) = (scan.expected, scan.marker);
    let good_bytes = scan.position.min(last.length);
    let dropped_tail_bytes = last.length - good_bytes;
    if dropped_tail_bytes > 0 {
        tracing::warn!(dropped_bytes = dropped_tail_bytes, end, path = %path.display(), "cut the torn tail off the event log");
    }
    let Some(known) = marker.filter(|_| good_bytes >= HEADER_BYTES) else {
        // Its header never became durable, so no record in it was ever answered; the next append makes it anew.
        tracing::warn!(path = %path.display(), bytes = last.length, "removed an event log segment that was never finished");
        fs::remove_file(&path)?;
        segments.pop_back();
        return Ok(Recovered { segments, end, marker, active: None, dropped_tail_bytes });
    };
    disk.truncate(&file, good_bytes)?;
    let header = encode_header(SegmentHeader { base: last.base, marker: known });
    if read(&file, 0, header.len())? != header {
        disk.write(&file, &header, 0)?;
    }
    // After a crash the page cache may hold records that are not on disk yet; nobody may read them before they are.
    disk.sync(&file)?;
    disk.sync_folder(folder)?;
    last.length = good_bytes;
    Ok(Recovered { segments, end, marker, active: Some(file), dropped_tail_bytes })
}
