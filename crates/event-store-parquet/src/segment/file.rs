//! A file whose bytes are checked against the manifest's hashes before anybody parses them.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::failure::SegmentFailure;
use crate::tier::{CachedFile, MAX_READ_BYTES, Tier, cache_name};

/// Unit of verification. A query that reads little of a large segment hashes little of it.
pub(crate) const BLOCK_BYTES: usize = 64 * 1024;
/// Blocks of an object that are fetched at once at most.
const MAX_FETCHED_BLOCKS: usize = MAX_READ_BYTES as usize / BLOCK_BYTES;

/// An open segment; each block is verified when it is first read.
pub(crate) struct VerifiedFile {
    source: Source,
    bytes: u64,
    hashes: Arc<[u64]>,
    /// One bit a block of a local file.
    verified: Vec<AtomicU64>,
}

enum Source {
    Local(File),
    Tiered(TieredFile),
}

/// An object and its copy on the local disk. A block of the copy counts when it has the hash it should have, each time it is read: the copy may
/// be evicted, and its bytes given back to the disk, at any moment.
struct TieredFile {
    tier: Arc<Tier>,
    object: Arc<str>,
    name: String,
    copy: Arc<CachedFile>,
}

impl VerifiedFile {
    pub(crate) fn open(path: &Path, bytes: u64, hashes: Arc<[u64]>) -> Result<Self, SegmentFailure> {
        let file = File::open(path).map_err(|error| SegmentFailure::of_io("cannot be opened", &error))?;
        let length = file.metadata().map_err(|error| SegmentFailure::of_io("cannot be measured", &error))?.len();
        if length != bytes {
            return Err(format!("has {length} bytes instead of {bytes}").into());
        }
        Self::of(Source::Local(file), bytes, hashes)
    }

    /// Opens an object; nothing is read of it yet.
    pub(crate) fn open_tiered(tier: Arc<Tier>, object: Arc<str>, bytes: u64, hashes: Arc<[u64]>) -> Result<Self, SegmentFailure> {
        let name = cache_name(&object);
        let copy = tier.cache.open(&name, bytes).map_err(|error| SegmentFailure::Unreadable(format!("cannot be cached: {error}")))?;
        Self::of(Source::Tiered(TieredFile { tier, object, name, copy }), bytes, hashes)
    }

    fn of(source: Source, bytes: u64, hashes: Arc<[u64]>) -> Result<Self, SegmentFailure> {
        if hashes.len() as u64 != bytes.div_ceil(BLOCK_BYTES as u64) {
            return Err("the manifest has a wrong number of hashes for it".into());
        }
        let verified = (0..hashes.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { source, bytes, hashes, verified })
    }

    /// True when its local copy was evicted: opened again, it has one that counts.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(&self.source, Source::Tiered(tiered) if tiered.copy.is_evicted())
    }

    pub(crate) fn len(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.verified.len() * 8
    }

    /// Reads and verifies `[start, start + length)`.
    pub(crate) fn read(&self, start: u64, length: usize) -> Result<Bytes, SegmentFailure> {
        let end = start.checked_add(length as u64).filter(|&end| end <= self.bytes);
        let Some(end) = end else {
            return Err(format!("bytes {start} to {} are beyond its end", start.saturating_add(length as u64)).into());
        };
        if length == 0 {
            return Ok(Bytes::new());
        }
        let block = BLOCK_BYTES as u64;
        let (first, last) = ((start / block) as usize, ((end - 1) / block) as usize);
        let all_verified = matches!(self.source, Source::Local(_)) && (first..=last).all(|i| self.is_verified(i));
        // Whole blocks only where one of them has to be hashed.
        let (from, to) = if all_verified { (start, end) } else { (first as u64 * block, ((last as u64 + 1) * block).min(self.bytes)) };
        let mut buffer = vec![0; (to - from) as usize];
        match &self.source {
            Source::Tiered(tiered) => self.read_tiered(tiered, first, &mut buffer)?,
            Source::Local(file) => {
                file.read_exact_at(&mut buffer, from).map_err(|error| SegmentFailure::of_io("cannot be read", &error))?;
                if !all_verified {
                    for (index, bytes) in (first..=last).zip(buffer.chunks(BLOCK_BYTES)) {
                        self.verify(index, bytes)?;
                    }
                }
            }
        }
        let begin = (start - from) as usize;
        Ok(Bytes::from(buffer).slice(begin..begin + length))
    }

    /// Fills `buffer` with whole blocks from `first` on: from the local copy where it holds what was written, else from the object.
    fn read_tiered(&self, tiered: &TieredFile, first: usize, buffer: &mut [u8]) -> Result<(), SegmentFailure> {
        let mut missing: Vec<Range<usize>> = Vec::new();
        let mut hit_bytes = 0;
        for (i, bytes) in buffer.chunks_mut(BLOCK_BYTES).enumerate() {
            let block = first + i;
            let is_here = tiered.copy.read(bytes, (block * BLOCK_BYTES) as u64).is_ok() && self.compare(block, bytes).is_ok();
            match missing.last_mut() {
                _ if is_here => hit_bytes += bytes.len() as u64,
                Some(run) if run.end == i && run.len() < MAX_FETCHED_BLOCKS => run.end += 1,
                _ => missing.push(i..i + 1),
            }
        }
        tiered.tier.cache.count(hit_bytes, 0);
        for run in missing {
            let bytes = run.start * BLOCK_BYTES..(run.end * BLOCK_BYTES).min(buffer.len());
            let at = ((first + run.start) * BLOCK_BYTES) as u64;
            let fetched = tiered.tier.read(&tiered.object, at..at + bytes.len() as u64);
            let fetched = fetched.map_err(|error| SegmentFailure::Unreadable(error.to_string()))?;
            tiered.tier.cache.count(0, fetched.len() as u64);
            for (block, bytes) in (first + run.start..).zip(fetched.chunks(BLOCK_BYTES)) {
                self.compare(block, bytes)?;
            }
            buffer[bytes].copy_from_slice(&fetched);
            tiered.tier.cache.add(&tiered.name, &tiered.copy, &fetched, at);
        }
        Ok(())
    }

    fn is_verified(&self, block: usize) -> bool {
        self.verified[block / 64].load(Ordering::Relaxed) & (1 << (block % 64)) != 0
    }

    fn verify(&self, block: usize, bytes: &[u8]) -> Result<(), SegmentFailure> {
        if !self.is_verified(block) {
            self.compare(block, bytes)?;
            self.mark_verified(block);
        }
        Ok(())
    }

    fn compare(&self, block: usize, bytes: &[u8]) -> Result<(), SegmentFailure> {
        if xxh3_64(bytes) != self.hashes[block] {
            return Err(format!("block {block} of {} is not what was written", self.hashes.len()).into());
        }
        Ok(())
    }

    fn mark_verified(&self, block: usize) {
        self.verified[block / 64].fetch_or(1 << (block % 64), Ordering::Relaxed);
    }
}

/// Hashes what is written, block by block.
pub(crate) struct HashingWriter<W> {
    inner: W,
    block: Vec<u8>,
    hashes: Vec<u64>,
    bytes: u64,
}

impl<W: io::Write> HashingWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, block: Vec::with_capacity(BLOCK_BYTES), hashes: Vec::new(), bytes: 0 }
    }

    /// Writes the last block; returns the file, its length and the hashes of its blocks.
    pub(crate) fn finish(mut self) -> io::Result<(W, u64, Vec<u64>)> {
        self.write_block()?;
        Ok((self.inner, self.bytes, self.hashes))
    }

    fn write_block(&mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            self.hashes.push(xxh3_64(&self.block));
            self.inner.write_all(&self.block)?;
            self.block.clear();
        }
        Ok(())
    }
}

impl<W: io::Write> io::Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK_BYTES - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        self.bytes += taken as u64;
        if self.block.len() == BLOCK_BYTES {
            self.write_block()?;
        }
        Ok(taken)
    }

    /// Blocks stay whole: [`HashingWriter::finish`] writes the last one.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn one_wrong_bit_is_found_in_its_block_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let content: Vec<u8> = (0..200_000u32).map(|i| ((i * 7) >> 3) as u8).collect();
        let mut writer = HashingWriter::new(File::create(&path).unwrap());
        writer.write_all(&content).unwrap();
        let (_, bytes, hashes) = writer.finish().unwrap();
        let hashes: Arc<[u64]> = hashes.into();
        assert_eq!((bytes, hashes.len()), (200_000, 4));
        let open = || VerifiedFile::open(&path, bytes, hashes.clone()).unwrap();
        assert_eq!(open().read(60_000, 100_000).unwrap(), content[60_000..160_000]);
        assert_eq!(open().read(199_999, 1).unwrap(), content[199_999..]);
        assert!(open().read(199_999, 2).is_err());

        let mut damaged = content.clone();
        damaged[150_000] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(open().read(0, 100_000).unwrap(), content[..100_000]);
        assert!(open().read(140_000, 1).is_err());
        std::fs::write(&path, &content[..199_999]).unwrap();
        assert!(VerifiedFile::open(&path, bytes, hashes.clone()).is_err());
    }
}
