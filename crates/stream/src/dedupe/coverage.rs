//! Which records' insert ids the runs hold.
//!
//! Every checkpoint writes a run, also where no event had an insert id, so the runs' ranges follow each other without a gap from the
//! floor on: the log offset before which runs were dropped because of their age. A gap is a run that was lost.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use crate::error::StreamError;

const FILE: &str = "floor";
const FLOOR_BYTES: usize = 8;

/// The ranges between `floor` and `position` that none of `covered` has; `covered` ascend by their start and may overlap.
pub(super) fn gaps(covered: impl Iterator<Item = Range<u64>>, floor: u64, position: u64) -> Vec<Range<u64>> {
    let mut gaps = Vec::new();
    let mut reached = floor;
    for range in covered {
        if range.start > reached {
            gaps.push(reached..range.start.min(position));
        }
        reached = reached.max(range.end);
    }
    if reached < position {
        gaps.push(reached..position);
    }
    gaps.retain(|gap| gap.start < gap.end);
    gaps
}

/// The floor; `None` where there is none, or a damaged one.
pub(super) fn read_floor(dir: &Path) -> Result<Option<u64>, StreamError> {
    let path = dir.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => Ok(decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StreamError::folder(&path, error)),
    }
}

/// Raises the floor durably; call it before the runs below it are deleted.
pub(super) fn write_floor(dir: &Path, floor: u64) -> Result<(), StreamError> {
    let (path, temporary) = (dir.join(FILE), dir.join("floor.tmp"));
    let at = |source| StreamError::folder(&path, source);
    let mut file = File::create(&temporary).map_err(at)?;
    file.write_all(&encode(floor)).and_then(|()| file.sync_all()).map_err(at)?;
    fs::rename(&temporary, &path).map_err(at)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(at)
}

fn encode(floor: u64) -> Vec<u8> {
    let bytes = floor.to_le_bytes();
    [&bytes[..], &crc32fast::hash(&bytes).to_le_bytes()].concat()
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let (floor, checksum) = bytes.split_first_chunk::<FLOOR_BYTES>()?;
    (crc32fast::hash(floor).to_le_bytes() == *checksum).then(|| u64::from_le_bytes(*floor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(covered: &[(u64, u64)], floor: u64, position: u64) -> Vec<(u64, u64)> {
        gaps(covered.iter().map(|&(from, to)| from..to), floor, position).into_iter().map(|gap| (gap.start, gap.end)).collect()
    }

    #[test]
    fn gaps_lie_between_runs_and_at_both_ends() {
        assert_eq!(found(&[(0, 10), (10, 20)], 0, 20), []);
        assert_eq!(found(&[(0, 10), (15, 20)], 0, 20), [(10, 15)]);
        assert_eq!(found(&[(5, 10)], 0, 20), [(0, 5), (10, 20)]);
        assert_eq!(found(&[(5, 10)], 5, 10), []);
        assert_eq!(found(&[(0, 20), (5, 10)], 0, 20), [], "a merged run and one of those it was made of");
        assert_eq!(found(&[(0, 10), (12, 30)], 0, 20), [(10, 12)], "a run that is ahead covers up to the position");
        assert_eq!(found(&[(0, 10), (25, 30)], 0, 20), [(10, 20)]);
        assert_eq!(found(&[], 0, 0), []);
        assert_eq!(found(&[], 0, 7), [(0, 7)]);
    }

    #[test]
    fn the_floor_survives_and_damage_is_no_floor() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_floor(dir.path()).unwrap(), None);
        write_floor(dir.path(), 77).unwrap();
        assert_eq!(read_floor(dir.path()).unwrap(), Some(77));
        let bytes = encode(77);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(decode(&bad), None);
            assert_eq!(decode(&bytes[..at]), None);
        }
    }
}
