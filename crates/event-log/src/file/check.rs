//! Reading a whole log without opening it, beside the process that writes it.

use super::format::{HEADER_BYTES, decode_header};
use super::scan::{Scan, ScanBounds, Step, read};
use super::segments::{Segment, limit_by_length, list_segments, segment_path};
use crate::log::Offset;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Read from disk at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// What a log holds, and what it lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogCheck {
    /// Files read.
    pub segments: usize,
    /// Good records in them.
    pub records: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// The first offset that may be there.
    pub start: Offset,
    /// Offset after the last good record.
    pub end: Offset,
    /// Ranges of offsets of which no record can be read, ascending.
    pub gaps: Vec<LogGap>,
    /// Files whose header is damaged; their records are found without it.
    pub damaged_headers: Vec<PathBuf>,
    /// Bytes behind the last good record: a record that was being written, or one that was damaged.
    pub torn_tail_bytes: u64,
}

/// Records that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogGap {
    /// First missing offset.
    pub from: Offset,
    /// First offset behind them.
    pub to: Offset,
    /// The file in which they should be.
    pub path: PathBuf,
    /// What was found instead.
    pub reason: String,
}

/// Reads every record of the log in `folder` and verifies its checksum. `done` gets the bytes of each file once it was read. Files that
/// the log's own process trims meanwhile are left out.
///
/// # Errors
/// The folder or a file cannot be read, or has a layout this build does not know.
pub fn check_log(folder: &Path, done: &mut dyn FnMut(u64)) -> io::Result<LogCheck> {
    let segments: Vec<Segment> = list_segments(folder)?.into();
    let mut check = LogCheck::default();
    for (index, segment) in segments.iter().enumerate() {
        let path = segment_path(folder, segment.base);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && check.segments == 0 => continue,
            Err(error) => return Err(error),
        };
        if check.segments == 0 {
            (check.start, check.end) = (segment.base, segment.base);
        }
        if segment.base > check.end {
            let reason = "no file holds them".to_owned();
            check.gaps.push(LogGap { from: check.end, to: segment.base, path: path.clone(), reason });
        }
        if decode_header(&read(&file, 0, HEADER_BYTES as usize)?).is_err() {
            check.damaged_headers.push(path.clone());
        }
        let next = segments.get(index + 1).map(|next| next.base);
        check.read_segment(&file, segment, next, &path)?;
        check.segments += 1;
        check.bytes += segment.length;
        done(segment.length);
    }
    Ok(check)
}

impl LogCheck {
    fn read_segment(&mut self, file: &File, segment: &Segment, next: Option<Offset>, path: &Path) -> io::Result<()> {
        let limit = next.unwrap_or_else(|| limit_by_length(segment.base, segment.length));
        let bounds = ScanBounds { marker: segment.marker, length: segment.length, limit, chunk_bytes: CHUNK_BYTES };
        let mut scan = Scan::new(file, bounds, HEADER_BYTES, segment.base);
        let gap = |from, to, reason| LogGap { from, to, path: path.to_owned(), reason };
        while scan.expected < limit {
            match scan.step()? {
                Step::Record(_) => self.records += 1,
                Step::Gap { from, to, reason } => self.gaps.push(gap(from, to, reason)),
                Step::NoMoreRecords { reason } if next.is_some() => {
                    self.gaps.push(gap(scan.expected, limit, reason));
                    scan.expected = limit;
                }
                Step::NoMoreRecords { .. } => {
                    self.torn_tail_bytes = segment.length - scan.position;
                    break;
                }
                Step::End => break,
            }
        }
        // What is missing to the next file's first record is told when that file is read.
        self.end = scan.expected;
        Ok(())
    }
}
