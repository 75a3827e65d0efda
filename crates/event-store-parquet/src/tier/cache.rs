//! Objects on the local disk: sparse files with the blocks that were read.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::store::locked;

/// Files by use, the least recently opened or extended goes first. What a block of them holds is worth nothing until it was compared with the
/// manifest's hash, so a file that a crash left half written is a file with fewer blocks.
pub(crate) struct TierCache {
    dir: PathBuf,
    /// Whether its files have names, under which the next process finds them.
    is_lasting: bool,
    max_bytes: u64,
    state: Mutex<State>,
    hit_bytes: AtomicU64,
    fetched_bytes: AtomicU64,
    failures: AtomicU64,
}

#[derive(Default)]
struct State {
    files: HashMap<String, (Arc<CachedFile>, u64)>,
    clock: u64,
}

/// The local copy of one object.
pub(crate) struct CachedFile {
    file: File,
    bytes: AtomicU64,
    evicted: AtomicBool,
}

impl CachedFile {
    /// Reads what is there; the rest is zeros, or an error after an eviction.
    pub(crate) fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, at)
    }

    /// True when the file is not in the cache any more: it is empty, and nothing is added.
    pub(crate) fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Relaxed)
    }
}

impl TierCache {
    /// Takes up what an earlier process left; a folder that cannot be made or read is an empty cache.
    pub(crate) fn new(dir: &Path, max_bytes: u64) -> Self {
        let cache = Self::empty(dir, max_bytes, true);
        let mut left: Vec<_> = std::fs::read_dir(dir).into_iter().flatten().flatten().collect();
        left.sort_by_key(|entry| entry.metadata().and_then(|metadata| metadata.modified()).ok());
        for entry in left {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Ok(file) = File::options().read(true).write(true).open(entry.path()) {
                cache.insert(name, file);
            }
        }
        cache.make_room();
        cache
    }

    /// An empty one for this process alone, beside another process' in the same folder: its files have no names and end with it.
    pub(crate) fn passing(dir: &Path, max_bytes: u64) -> Self {
        Self::empty(dir, max_bytes, false)
    }

    fn empty(dir: &Path, max_bytes: u64, is_lasting: bool) -> Self {
        Self {
            dir: dir.to_owned(),
            is_lasting,
            max_bytes,
            state: Mutex::default(),
            hit_bytes: AtomicU64::new(0),
            fetched_bytes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// The local copy of an object, made empty where there is none.
    pub(crate) fn open(&self, name: &str, bytes: u64) -> io::Result<Arc<CachedFile>> {
        {
            let mut state = locked(&self.state);
            state.clock += 1;
            let now = state.clock;
            if let Some((file, used)) = state.files.get_mut(name)
                && file.file.metadata().is_ok_and(|metadata| metadata.len() == bytes)
            {
                *used = now;
                return Ok(file.clone());
            }
        }
        std::fs::create_dir_all(&self.dir)?;
        let path = if self.is_lasting { self.dir.join(name) } else { self.dir.join(format!("{name}.{}", std::process::id())) };
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        if !self.is_lasting {
            std::fs::remove_file(&path)?;
        }
        file.set_len(bytes)?;
        Ok(self.insert(name.to_owned(), file))
    }

    fn insert(&self, name: String, file: File) -> Arc<CachedFile> {
        // A unit of 512 bytes whatever the file system's block.
        let bytes = file.metadata().map_or(0, |metadata| metadata.blocks() * 512);
        let file = Arc::new(CachedFile { file, bytes: AtomicU64::new(bytes), evicted: AtomicBool::new(false) });
        let mut state = locked(&self.state);
        state.clock += 1;
        let now = state.clock;
        if let Some((before, _)) = state.files.insert(name, (file.clone(), now)) {
            before.evicted.store(true, Ordering::Relaxed);
        }
        file
    }

    /// Adds bytes that were fetched, unless the file is evicted. A disk that is full keeps them out as well.
    pub(crate) fn add(&self, name: &str, file: &CachedFile, bytes: &[u8], at: u64) {
        if file.is_evicted() || file.file.write_all_at(bytes, at).is_err() {
            return;
        }
        file.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        {
            let mut state = locked(&self.state);
            state.clock += 1;
            let now = state.clock;
            if let Some((_, used)) = state.files.get_mut(name) {
                *used = now;
            }
        }
        self.make_room();
    }

    /// Forgets an object and its bytes.
    pub(crate) fn remove(&self, name: &str) {
        let removed = locked(&self.state).files.remove(name);
        if let Some((file, _)) = removed {
            self.delete(name, &file);
        }
    }

    /// Forgets all objects but these.
    pub(crate) fn keep_only(&self, is_kept: impl Fn(&str) -> bool) {
        let names: Vec<String> = locked(&self.state).files.keys().filter(|name| !is_kept(name)).cloned().collect();
        names.iter().for_each(|name| self.remove(name));
    }

    fn make_room(&self) {
        loop {
            let mut state = locked(&self.state);
            let bytes: u64 = state.files.values().map(|(file, _)| file.bytes.load(Ordering::Relaxed)).sum();
            if bytes <= self.max_bytes {
                return;
            }
            let oldest = state.files.iter().min_by_key(|(_, (_, used))| *used).map(|(name, _)| name.clone());
            let Some(oldest) = oldest else { return };
            let Some((file, _)) = state.files.remove(&oldest) else { return };
            drop(state);
            self.delete(&oldest, &file);
        }
    }

    fn delete(&self, name: &str, file: &CachedFile) {
        file.evicted.store(true, Ordering::Relaxed);
        // Whoever has it open would keep the disk's blocks otherwise.
        let _ = file.file.set_len(0);
        if self.is_lasting
            && let Err(error) = std::fs::remove_file(self.dir.join(name))
        {
            tracing::warn!(name, %error, "a cached object could not be deleted");
        }
    }

    pub(crate) fn count(&self, hit_bytes: u64, fetched_bytes: u64) {
        self.hit_bytes.fetch_add(hit_bytes, Ordering::Relaxed);
        self.fetched_bytes.fetch_add(fetched_bytes, Ordering::Relaxed);
    }

    pub(crate) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// `(hit, fetched, cached)` bytes and failures.
    pub(crate) fn figures(&self) -> (u64, u64, u64, u64) {
        let cached = locked(&self.state).files.values().map(|(file, _)| file.bytes.load(Ordering::Relaxed)).sum();
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (of(&self.hit_bytes), of(&self.fetched_bytes), cached, of(&self.failures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(cache: &TierCache, name: &str) -> Arc<CachedFile> {
        let file = cache.open(name, 100_000).unwrap();
        cache.add(name, &file, &[7; 40_960], 8_192);
        file
    }

    #[test]
    fn the_least_used_file_goes_first_and_the_bound_holds() {
        let dir = tempfile::tempdir().unwrap();
        let cache = TierCache::new(&dir.path().join("cache"), 100_000);
        let (a, b) = (fill(&cache, "a"), fill(&cache, "b"));
        cache.open("a", 100_000).unwrap();
        fill(&cache, "c");
        let files = || std::fs::read_dir(dir.path().join("cache")).unwrap().count();
        assert_eq!((files(), cache.figures().2), (2, 81_920));
        assert!(!a.is_evicted() && cache.open("a", 100_000).is_ok());
        let mut buffer = [0; 2];
        a.read(&mut buffer, 8_191).unwrap();
        assert_eq!(buffer, [0, 7]);
        assert!(b.is_evicted() && b.read(&mut buffer, 8_191).is_err());

        // Another process goes on with what is there, within its own bound.
        drop(cache);
        let cache = TierCache::new(&dir.path().join("cache"), 60_000);
        assert_eq!((files(), cache.figures().2), (1, 40_960));
        cache.keep_only(|name| name == "x");
        assert_eq!((files(), cache.figures().2), (0, 0));

        let passing = TierCache::passing(&dir.path().join("cache"), 60_000);
        let a = fill(&passing, "a");
        fill(&passing, "b");
        assert_eq!((files(), passing.figures().2, a.is_evicted()), (0, 40_960, true));
    }
}
