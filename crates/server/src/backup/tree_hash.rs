//! The hash of a file: XXH3-128 of the XXH3-64 of its 64 KiB blocks. The event store knows the block hashes of its segments, so that an
//! unchanged segment is recognised without being read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use rustix::fs::{Advice, fadvise};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

const BLOCK_BYTES: usize = 64 * 1024;

/// Hashes blocks in order.
#[derive(Default)]
pub(super) struct TreeHash {
    blocks: Xxh3,
}

impl TreeHash {
    fn add(&mut self, block: &[u8]) {
        self.blocks.update(&xxh3_64(block).to_le_bytes());
    }

    fn finish(&self) -> String {
        format!("{:032x}", self.blocks.digest128())
    }
}

/// The hash of a file whose blocks have these hashes.
pub(super) fn of_blocks(hashes: &[u64]) -> String {
    let mut blocks = Xxh3::new();
    hashes.iter().for_each(|hash| blocks.update(&hash.to_le_bytes()));
    format!("{:032x}", blocks.digest128())
}

/// Reads a file, from the disk rather than from memory where the system lets us; returns its length and hash. `done` gets the bytes as
/// they are read.
pub(super) fn of_file(path: &Path, done: &mut dyn FnMut(u64)) -> io::Result<(u64, String)> {
    let file = File::open(path)?;
    // What was just written and synced is in memory too: a proof reads what the disk has.
    let _ = fadvise(&file, 0, None, Advice::DontNeed);
    pass(file, None, &mut io::sink(), done)
}

/// Copies the first `limit` bytes of `from` (all of them without a limit) to `to` and hashes them on the way.
pub(crate) fn pass(from: impl Read, limit: Option<u64>, to: &mut dyn Write, done: &mut dyn FnMut(u64)) -> io::Result<(u64, String)> {
    let mut reader = from.take(limit.unwrap_or(u64::MAX));
    let mut hash = TreeHash::default();
    let mut block = vec![0; BLOCK_BYTES];
    let mut bytes = 0;
    loop {
        let filled = fill(&mut reader, &mut block)?;
        if filled == 0 {
            return Ok((bytes, hash.finish()));
        }
        hash.add(&block[..filled]);
        to.write_all(&block[..filled])?;
        bytes += filled as u64;
        done(filled as u64);
    }
}

/// Reads until the block is full or the file ends.
fn fill(reader: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match reader.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_hash_of_its_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        for length in [0usize, 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES - 7] {
            let content: Vec<u8> = (0..length).map(|i| ((i * 31) >> 3) as u8).collect();
            std::fs::write(&path, &content).unwrap();
            let blocks: Vec<u64> = content.chunks(BLOCK_BYTES).map(xxh3_64).collect();
            let mut seen = 0;
            let (bytes, hash) = of_file(&path, &mut |bytes| seen += bytes).unwrap();
            assert_eq!((bytes, seen, hash), (length as u64, length as u64, of_blocks(&blocks)));
        }
    }
}
