//! A run: the sorted, immutable file of the hashes that were new in one range of the log.
//!
//! `docs/formats.md`, "Dedupe runs", has the layout byte by byte. Keys are read by position, not mapped: a look-up that passes the
//! filter costs one read of 4 KiB whose checksum is verified, and a run's keys never count as memory of this process.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crc32fast::Hasher;

use super::filter::Filter;
use crate::error::StreamError;

const MAGIC: &[u8; 8] = b"THRGDDR1";
const KEY_BYTES: usize = 16;
const BLOCK_KEYS: usize = 256;
const BLOCK_BYTES: usize = BLOCK_KEYS * KEY_BYTES;
const INDEX_ENTRY_BYTES: usize = 12;
const FOOTER_BYTES: usize = 64;
const EXTENSION: &str = "run";

/// What a run covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunSpan {
    /// First log offset of the range whose hashes are here.
    pub(crate) from: u64,
    /// Log offset after the last.
    pub(crate) to: u64,
    /// Earliest receive time of an event in it.
    pub(crate) min_received_ms: i64,
    /// Latest receive time of an event in it.
    pub(crate) max_received_ms: i64,
}

impl RunSpan {
    /// The smallest span that covers both.
    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
            min_received_ms: self.min_received_ms.min(other.min_received_ms),
            max_received_ms: self.max_received_ms.max(other.max_received_ms),
        }
    }
}

/// An open run. Invariant: keys ascend and are distinct.
pub(crate) struct Run {
    path: PathBuf,
    file: File,
    span: RunSpan,
    keys: usize,
    /// High half of the first key of each block.
    firsts: Vec<u64>,
    checksums: Vec<u32>,
    filter: Filter,
    /// A damaged block is reported once a run, not once a look-up.
    damage_reported: AtomicBool,
}

impl Run {
    /// Where the run of a range lies.
    pub(crate) fn path_of(dir: &Path, from: u64, to: u64) -> PathBuf {
        dir.join(format!("{from:020}-{to:020}.{EXTENSION}"))
    }

    /// The range in a run's file name, or `None` for another file.
    pub(crate) fn range_of(path: &Path) -> Option<(u64, u64)> {
        if path.extension()? != EXTENSION {
            return None;
        }
        let (from, to) = path.file_stem()?.to_str()?.split_once('-')?;
        Some((from.parse().ok()?, to.parse().ok()?))
    }

    /// Opens a run, verifying its footer, index and filter; the checksum of a block of keys is verified whenever it is read.
    ///
    /// # Errors
    /// [`StreamError::Damaged`] when the file is not what [`RunWriter`] wrote; [`StreamError::Folder`].
    pub(crate) fn open(path: &Path) -> Result<Self, StreamError> {
        let at = |source| StreamError::folder(path, source);
        let damaged = |reason| StreamError::Damaged { path: path.to_owned(), reason };
        let file = File::open(path).map_err(at)?;
        let length = file.metadata().map_err(at)?.len();
        let footer_at = length.checked_sub(FOOTER_BYTES as u64).ok_or_else(|| damaged("too short"))?;
        let mut bytes = [0u8; FOOTER_BYTES];
        file.read_exact_at(&mut bytes, footer_at).map_err(at)?;
        let footer = Footer::decode(&bytes).ok_or_else(|| damaged("footer"))?;
        if footer.index_at().checked_add(footer.tail_bytes()) != Some(footer_at) {
            return Err(damaged("length"));
        }
        if Self::range_of(path) != Some((footer.span.from, footer.span.to)) {
            return Err(damaged("range"));
        }
        let mut checksum = crc32fast::Hasher::new();
        let mut index = vec![0u8; footer.blocks() as usize * INDEX_ENTRY_BYTES];
        file.read_exact_at(&mut index, footer.index_at()).map_err(at)?;
        checksum.update(&index);
        let (mut firsts, mut checksums) = (Vec::new(), Vec::new());
        for entry in index.as_chunks::<INDEX_ENTRY_BYTES>().0 {
            let [a, b, c, d, e, f, g, h, rest @ ..] = *entry;
            firsts.push(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
            checksums.push(u32::from_le_bytes(rest));
        }
        let filter_at = footer.index_at() + index.len() as u64;
        let filter = read_filter(&file, filter_at, footer.filter_blocks as usize, &mut checksum).map_err(at)?;
        if footer.filter_blocks == 0 || checksum.finalize() != footer.tail_checksum {
            return Err(damaged("index and filter"));
        }
        let damage_reported = AtomicBool::new(false);
        Ok(Self { path: path.to_owned(), file, span: footer.span, keys: footer.keys as usize, firsts, checksums, filter, damage_reported })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn span(&self) -> RunSpan {
        self.span
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.keys
    }

    /// Bytes of memory: filter and index.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.filter.memory_bytes() + self.firsts.len() * INDEX_ENTRY_BYTES
    }

    /// False when the key is certainly not here; costs no read.
    pub(crate) fn may_contain(&self, key: u128) -> bool {
        self.filter.may_contain(key)
    }

    /// Whether the key is here. A block that cannot be read or is damaged counts as not holding it: a rare double count is better
    /// than a lost event, and the error log says which run is at fault.
    pub(crate) fn contains(&self, key: u128) -> bool {
        let high = (key >> 64) as u64;
        // Keys that share their high half may begin in the block before.
        let mut block = self.firsts.partition_point(|&first| first <= high);
        while block > 0 {
            block -= 1;
            let mut bytes = [0u8; BLOCK_BYTES];
            match self.read_block(block, &mut bytes) {
                Ok(keys) if keys.binary_search_by_key(&key, |bytes| u128::from_le_bytes(*bytes)).is_ok() => return true,
                Ok(_) => {}
                Err(error) => self.report_damage(block, &error),
            }
            if self.firsts[block] < high {
                return false;
            }
        }
        false
    }

    fn report_damage(&self, block: usize, error: &io::Error) {
        if !self.damage_reported.swap(true, Ordering::Relaxed) {
            let path = self.path.display();
            tracing::error!(%path, block, %error, "dedupe run has an unreadable block: duplicates of its events would be stored again");
        }
    }

    /// The keys of one block, verified.
    fn read_block<'b>(&self, block: usize, buffer: &'b mut [u8; BLOCK_BYTES]) -> io::Result<&'b [[u8; KEY_BYTES]]> {
        let keys = BLOCK_KEYS.min(self.keys - block * BLOCK_KEYS);
        let bytes = &mut buffer[..keys * KEY_BYTES];
        self.file.read_exact_at(bytes, (block * BLOCK_BYTES) as u64)?;
        if crc32fast::hash(bytes) != self.checksums[block] {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "checksum"));
        }
        Ok(bytes.as_chunks::<KEY_BYTES>().0)
    }

    /// All keys, ascending; the keys of damaged blocks are left out and reported.
    pub(crate) fn scan(&self) -> RunScan<'_> {
        RunScan { run: self, block: 0, keys: Vec::new().into_iter() }
    }
}

/// Reads a filter in pieces: the largest runs' filters are most of an idle process's memory, and a second copy would stay with it.
fn read_filter(file: &File, at: u64, blocks: usize, checksum: &mut crc32fast::Hasher) -> io::Result<Filter> {
    const PIECE_BLOCKS: usize = 4_096;
    let mut filter = Filter::with_room_for(blocks);
    let mut piece = vec![0u8; PIECE_BLOCKS.min(blocks) * Filter::BLOCK_BYTES];
    for first in (0..blocks).step_by(PIECE_BLOCKS) {
        let bytes = &mut piece[..PIECE_BLOCKS.min(blocks - first) * Filter::BLOCK_BYTES];
        file.read_exact_at(bytes, at + (first * Filter::BLOCK_BYTES) as u64)?;
        checksum.update(bytes);
        filter.extend(bytes);
    }
    Ok(filter)
}

/// A walk through a run, one block in memory.
pub(crate) struct RunScan<'r> {
    run: &'r Run,
    block: usize,
    keys: std::vec::IntoIter<u128>,
}

impl Iterator for RunScan<'_> {
    type Item = u128;

    fn next(&mut self) -> Option<u128> {
        loop {
            if let Some(key) = self.keys.next() {
                return Some(key);
            }
            if self.block == self.run.firsts.len() {
                return None;
            }
            let mut bytes = [0u8; BLOCK_BYTES];
            match self.run.read_block(self.block, &mut bytes) {
                Ok(keys) => self.keys = keys.iter().map(|bytes| u128::from_le_bytes(*bytes)).collect::<Vec<_>>().into_iter(),
                Err(error) => self.run.report_damage(self.block, &error),
            }
            self.block += 1;
        }
    }
}

struct Footer {
    keys: u64,
    filter_blocks: u64,
    span: RunSpan,
    tail_checksum: u32,
}

impl Footer {
    fn blocks(&self) -> u64 {
        self.keys.div_ceil(BLOCK_KEYS as u64)
    }

    fn index_at(&self) -> u64 {
        self.keys.saturating_mul(KEY_BYTES as u64)
    }

    fn tail_bytes(&self) -> u64 {
        self.blocks().saturating_mul(INDEX_ENTRY_BYTES as u64).saturating_add(self.filter_blocks.saturating_mul(Filter::BLOCK_BYTES as u64))
    }

    fn encode(&self) -> [u8; FOOTER_BYTES] {
        let span = &self.span;
        let numbers = [self.keys, self.filter_blocks, span.from, span.to, span.min_received_ms as u64, span.max_received_ms as u64];
        let mut out = [0; FOOTER_BYTES];
        out[..48].as_chunks_mut::<8>().0.iter_mut().zip(numbers).for_each(|(out, number)| *out = number.to_le_bytes());
        out[48..52].copy_from_slice(&self.tail_checksum.to_le_bytes());
        let checksum = crc32fast::hash(&out[..52]);
        out[52..56].copy_from_slice(&checksum.to_le_bytes());
        out[56..].copy_from_slice(MAGIC);
        out
    }

    fn decode(bytes: &[u8; FOOTER_BYTES]) -> Option<Self> {
        let (content, checksum_and_magic) = bytes.split_at(52);
        let (checksum, magic) = checksum_and_magic.split_first_chunk::<4>()?;
        if magic != MAGIC || crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let (numbers, tail_checksum) = content.as_chunks::<8>();
        let number = |index: usize| u64::from_le_bytes(numbers[index]);
        let span = RunSpan { from: number(2), to: number(3), min_received_ms: number(4) as i64, max_received_ms: number(5) as i64 };
        let tail_checksum = u32::from_le_bytes(tail_checksum.try_into().ok()?);
        Some(Self { keys: number(0), filter_blocks: number(1), span, tail_checksum })
    }
}

/// Writes a run so that after a crash at any moment it is there whole or not at all.
pub(crate) struct RunWriter {
    dir: PathBuf,
    temporary: PathBuf,
    file: BufWriter<File>,
    filter: Filter,
    keys: u64,
    index: Vec<u8>,
    block: Vec<u8>,
    block_first: u64,
}

impl RunWriter {
    /// A writer for at most about `expected_keys` keys.
    pub(crate) fn create(dir: &Path, expected_keys: usize) -> Result<Self, StreamError> {
        // One checkpoint and one merge run at a time; their names differ by the process' writer count.
        static WRITERS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let temporary = dir.join(format!("{}.tmp", WRITERS.fetch_add(1, Ordering::Relaxed)));
        let file = File::create(&temporary).map_err(|source| StreamError::folder(&temporary, source))?;
        Ok(Self {
            dir: dir.to_owned(),
            temporary,
            file: BufWriter::with_capacity(1 << 17, file),
            filter: Filter::for_keys(expected_keys),
            keys: 0,
            index: Vec::new(),
            block: Vec::with_capacity(BLOCK_BYTES),
            block_first: 0,
        })
    }

    /// Adds a key larger than the one before.
    pub(crate) fn push(&mut self, key: u128) -> Result<(), StreamError> {
        if self.block.is_empty() {
            self.block_first = (key >> 64) as u64;
        }
        self.block.extend_from_slice(&key.to_le_bytes());
        self.filter.insert(key);
        self.keys += 1;
        if self.block.len() == BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<(), StreamError> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.index.extend_from_slice(&self.block_first.to_le_bytes());
        self.index.extend_from_slice(&crc32fast::hash(&self.block).to_le_bytes());
        self.file.write_all(&self.block).map_err(|source| StreamError::folder(&self.temporary, source))?;
        self.block.clear();
        Ok(())
    }

    /// Makes the run durable under its name and opens it.
    pub(crate) fn finish(mut self, span: RunSpan) -> Result<Run, StreamError> {
        self.end_block()?;
        let path = Run::path_of(&self.dir, span.from, span.to);
        let at = |source| StreamError::folder(&path, source);
        let mut checksum = Hasher::new();
        checksum.update(&self.index);
        self.file.write_all(&self.index).map_err(at)?;
        for block in self.filter.to_bytes() {
            checksum.update(&block);
            self.file.write_all(&block).map_err(at)?;
        }
        let filter_blocks = self.filter.block_count() as u64;
        let footer = Footer { keys: self.keys, filter_blocks, span, tail_checksum: checksum.finalize() };
        self.file.write_all(&footer.encode()).map_err(at)?;
        let file = self.file.into_inner().map_err(|error| at(error.into_error()))?;
        file.sync_all().map_err(at)?;
        fs::rename(&self.temporary, &path).map_err(at)?;
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(at)?;
        Run::open(&path)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::RngExt;
    use tempfile::TempDir;

    use super::*;

    const SPAN: RunSpan = RunSpan { from: 5, to: 90, min_received_ms: -1, max_received_ms: 1_780_000_000_000 };

    fn write(dir: &Path, keys: &BTreeSet<u128>) -> Run {
        let mut writer = RunWriter::create(dir, keys.len()).unwrap();
        keys.iter().for_each(|&key| writer.push(key).unwrap());
        writer.finish(SPAN).unwrap()
    }

    #[test]
    fn finds_its_keys_and_no_others() {
        let mut rng = rand::rng();
        for count in [0usize, 1, 255, 256, 257, 20_000] {
            let dir = TempDir::new().unwrap();
            let mut keys: BTreeSet<u128> = (0..count).map(|_| rng.random()).collect();
            // More keys with one high half than a block holds.
            keys.extend((0..if count > 1_000 { 600 } else { 0 }).map(|low| (7u128 << 64) | low));
            let run = write(dir.path(), &keys);
            assert_eq!(run.span(), SPAN);
            assert_eq!(run.len(), keys.len());
            assert!(keys.iter().all(|&key| run.may_contain(key) && run.contains(key)));
            assert!((0..1_000).all(|_| !run.contains(rng.random())));
            assert!(!run.contains((7u128 << 64) | 600));
            assert_eq!(run.scan().collect::<Vec<_>>(), keys.iter().copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let dir = TempDir::new().unwrap();
        let keys: BTreeSet<u128> = (0..600u128).map(|i| i << 100).collect();
        let path = write(dir.path(), &keys).path().to_owned();
        let good = fs::read(&path).unwrap();
        let key_bytes = keys.len() * KEY_BYTES;
        for at in (0..good.len()).step_by(11) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            match Run::open(&path) {
                // In the keys: that block's are missing, the others are served.
                Ok(run) => {
                    assert!(at < key_bytes, "{at}");
                    let damaged = at / BLOCK_BYTES;
                    let missing = keys.iter().enumerate().filter(|(_, key)| !run.contains(**key));
                    assert!(
                        missing
                            .map(|(index, _)| index / BLOCK_KEYS)
                            .eq(std::iter::repeat_n(damaged, BLOCK_KEYS.min(600 - damaged * BLOCK_KEYS)))
                    );
                }
                Err(error) => assert!(at >= key_bytes && matches!(error, StreamError::Damaged { .. }), "{at}: {error}"),
            }
            fs::write(&path, &good[..at]).unwrap();
            assert!(matches!(Run::open(&path), Err(StreamError::Damaged { .. })), "cut at {at}");
        }
        // A run under another run's name.
        let other = Run::path_of(dir.path(), 0, 90);
        fs::write(&other, &good).unwrap();
        assert!(matches!(Run::open(&other), Err(StreamError::Damaged { .. })));
    }
}
