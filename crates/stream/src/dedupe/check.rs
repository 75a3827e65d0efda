//! Reading all runs without opening the stream, beside the process that writes them.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::coverage::{gaps, read_floor};
use super::run::{Run, RunSpan};
use super::secret::Secret;
use crate::error::StreamError;

/// How often the list of runs is read again because a merge replaced some of them meanwhile.
const MAX_LOOKS: usize = 8;

/// What the memory of insert ids holds, and what it lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DedupeCheck {
    /// Files read.
    pub runs: usize,
    /// Insert ids in them.
    pub keys: u64,
    /// Files that are damaged, with what was found.
    pub damaged: Vec<(PathBuf, String)>,
    /// Ranges of log offsets before the position whose insert ids no run holds, ascending.
    pub gaps: Vec<Range<u64>>,
    /// Runs of records beyond the position: of a checkpoint under way, or of one that a crash cut short.
    pub ahead: Vec<PathBuf>,
}

/// Reads every run in `dir` and verifies every checksum and the order of the keys; tells which records before `position` no run covers.
///
/// # Errors
/// [`StreamError::Folder`].
pub fn check_dedupe(dir: &Path, position: u64) -> Result<DedupeCheck, StreamError> {
    for look in 1.. {
        match check_once(dir, position) {
            Err(StreamError::Folder { source, .. }) if source.kind() == io::ErrorKind::NotFound && look < MAX_LOOKS && dir.is_dir() => {}
            other => return other,
        }
    }
    Ok(DedupeCheck::default())
}

/// Ranges of log offsets before `position`, ascending, whose insert ids none of `runs` holds, by the names of the files alone. The floor is
/// the one in `dir`.
///
/// # Errors
/// [`StreamError::Folder`].
pub fn dedupe_gaps<P: AsRef<Path>>(dir: &Path, runs: impl IntoIterator<Item = P>, position: u64) -> Result<Vec<Range<u64>>, StreamError> {
    let mut ranges: Vec<(u64, u64)> = runs.into_iter().filter_map(|path| Run::range_of(path.as_ref())).collect();
    ranges.sort_unstable();
    Ok(gaps(ranges.into_iter().map(|(from, to)| from..to), read_floor(dir)?.unwrap_or(0), position))
}

fn check_once(dir: &Path, position: u64) -> Result<DedupeCheck, StreamError> {
    let at = |source| StreamError::folder(dir, source);
    let mut check = DedupeCheck::default();
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(at)? {
        let path = entry.map_err(at)?.path();
        paths.extend(Run::range_of(&path).map(|range| (range, path)));
    }
    paths.sort();
    if let Err(error) = Secret::read(dir) {
        check.damaged.push((dir.join("secret"), error.to_string()));
    }
    let mut spans: Vec<RunSpan> = Vec::new();
    for ((_, to), path) in paths {
        match verify(&path) {
            Ok((span, keys)) => {
                check.runs += 1;
                check.keys += keys;
                spans.push(span);
                if to > position {
                    check.ahead.push(path);
                }
            }
            Err(StreamError::Damaged { reason, .. }) => check.damaged.push((path, reason.to_owned())),
            Err(error) => return Err(error),
        }
    }
    check.gaps = gaps(spans.iter().map(|span| span.from..span.to), read_floor(dir)?.unwrap_or(0), position);
    Ok(check)
}

/// Reads a whole run.
fn verify(path: &Path) -> Result<(RunSpan, u64), StreamError> {
    let run = Run::open(path)?;
    let damaged = |reason| StreamError::Damaged { path: path.to_owned(), reason };
    let mut last = None;
    let mut keys = 0u64;
    for key in run.scan() {
        if last.is_some_and(|last| last >= key) {
            return Err(damaged("its keys are out of order"));
        }
        last = Some(key);
        keys += 1;
    }
    // A scan leaves damaged blocks out.
    if keys != run.len() as u64 {
        return Err(damaged("a block of keys is damaged"));
    }
    Ok((run.span(), keys))
}
