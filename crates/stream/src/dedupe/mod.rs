//! Exact dedupe by (app, insert id) over the events received in the last seven days; the first one wins.
//!
//! A key is the 128-bit keyed SipHash of app and insert id. Keys live in one of three places: those of the records since the last
//! checkpoint in a set in memory; those of a checkpoint under way in a second, frozen set; all others in sorted files, each of the keys
//! of one range of the log (a run). A filter in memory says of most keys that a run does not have them; where it does not, the run
//! is read. Two events are one only when all 128 bits agree: among 10 billion keys the chance of any two strangers agreeing is
//! below 2 in 10^19.

mod check;
mod coverage;
mod filter;
mod merge;
mod rebuild;
mod run;
mod secret;

use std::collections::HashSet;
use std::fs;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::EventBatch;

pub use self::check::{DedupeCheck, check_dedupe, dedupe_gaps};
use self::coverage::{gaps, read_floor, write_floor};
pub(crate) use self::merge::Merge;
pub(crate) use self::rebuild::Rebuild;
pub(crate) use self::run::Run;
use self::run::{RunSpan, RunWriter};
use self::secret::Secret;
use crate::error::StreamError;

/// A set that is larger than this and empty gives its memory back.
const MAX_IDLE_KEYS: usize = 1 << 14;

type KeySet = HashSet<u128, BuildHasherDefault<KeyHasher>>;

/// Keys are hashes under a secret key already: their low half is as good as any hash of them.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

/// The keys of one range of the log, frozen for a checkpoint.
pub(crate) struct SealedKeys {
    keys: KeySet,
    span: RunSpan,
}

impl SealedKeys {
    /// Writes the run of these keys and makes it durable; writing it again replaces it with the same. Blocks.
    pub(crate) fn write(&self, dir: &Path) -> Result<Run, StreamError> {
        let mut sorted: Vec<u128> = self.keys.iter().copied().collect();
        sorted.sort_unstable();
        let mut writer = RunWriter::create(dir, sorted.len())?;
        sorted.into_iter().try_for_each(|key| writer.push(key))?;
        writer.finish(self.span)
    }
}

/// The memory of insert ids.
///
/// The owner calls [`Dedupe::mark`] for each batch in log order, [`Dedupe::confirm`] once the marked batches are in the store, and at a
/// checkpoint [`Dedupe::seal`], then (elsewhere) [`SealedKeys::write`], then [`Dedupe::install`].
///
/// Invariants: `pending` is part of `recent`; runs ascend by position and do not overlap; no run on disk covers records beyond the
/// store's durable position once the store is open; from the floor to that position the runs' ranges follow each other without a gap,
/// but for those that [`Dedupe::gaps`] tells.
pub(crate) struct Dedupe {
    dir: PathBuf,
    secret: Secret,
    window_ms: i64,
    /// Keys since the last seal.
    recent: KeySet,
    /// Those of `recent` whose events are not in the store yet.
    pending: Vec<u128>,
    /// Receive times of the batches since the last seal.
    received_ms: Option<(i64, i64)>,
    /// That of the newest batch known.
    last_received_ms: i64,
    sealed: Option<Arc<SealedKeys>>,
    sealed_to: u64,
    runs: Vec<Arc<Run>>,
    /// Working memory of `mark`: index in the batch and key.
    candidates: Vec<(u32, u128)>,
}

impl Dedupe {
    /// Opens the runs in `dir` up to the store's durable `position` and deletes what a crash left behind: temporary files, runs
    /// beyond the position (their records are read again), and runs whose merge was finished. A damaged run is set aside under the
    /// ending `.damaged`. Blocks.
    ///
    /// # Errors
    /// [`StreamError::Folder`], or [`StreamError::Damaged`] for the secret.
    pub(crate) fn open(dir: &Path, position: u64, window_ms: i64) -> Result<Self, StreamError> {
        let at = |source| StreamError::folder(dir, source);
        fs::create_dir_all(dir).map_err(at)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).map_err(at)? {
            let path = entry.map_err(at)?.path();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(&path).map_err(at)?;
            } else if let Some((from, to)) = Run::range_of(&path) {
                found.push((from, to, path));
            }
        }
        rebuild::clean(dir)?;
        let secret = Secret::open(dir, !found.is_empty())?;
        // Widest first, so that a merged run comes before the runs it was made of.
        found.sort_by_key(|(from, to, _)| (*from, std::cmp::Reverse(*to)));
        let mut runs: Vec<Arc<Run>> = Vec::new();
        for (from, to, path) in found {
            let covered = runs.last().is_some_and(|last| last.span().from <= from && to <= last.span().to);
            if to > position || covered {
                fs::remove_file(&path).map_err(at)?;
                continue;
            }
            match Run::open(&path) {
                Ok(run) => runs.push(Arc::new(run)),
                Err(error @ StreamError::Damaged { .. }) => {
                    tracing::error!(%error, "a dedupe run was set aside");
                    fs::rename(&path, path.with_extension("damaged")).map_err(at)?;
                }
                Err(error) => return Err(error),
            }
        }
        let last_received_ms = runs.iter().map(|run| run.span().max_received_ms).max().unwrap_or(0);
        Ok(Self {
            dir: dir.to_owned(),
            secret,
            last_received_ms,
            window_ms,
            recent: KeySet::default(),
            pending: Vec::new(),
            received_ms: None,
            sealed: None,
            sealed_to: position,
            runs,
            candidates: Vec::new(),
        })
    }

    /// Ranges of records before the durable position of which no run is there: runs that were lost. Fill them by a [`Rebuild`].
    ///
    /// # Errors
    /// [`StreamError::Folder`].
    pub(crate) fn gaps(&self) -> Result<Vec<Range<u64>>, StreamError> {
        let covered = self.runs.iter().map(|run| run.span().from..run.span().to);
        Ok(gaps(covered, read_floor(&self.dir)?.unwrap_or(0), self.sealed_to))
    }

    /// Where the runs are.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends to `duplicates` the indices of the batch's events that were seen before, ascending, and remembers the others.
    pub(crate) fn mark(&mut self, batch: &EventBatch, duplicates: &mut Vec<u32>) {
        let hasher = self.secret.of_app(batch.app());
        let first_duplicate = duplicates.len();
        self.candidates.clear();
        for (index, insert_id) in batch.insert_ids().iter().enumerate() {
            let Some(insert_id) = insert_id else { continue };
            let key = hasher.hash(insert_id);
            if self.sealed.as_ref().is_some_and(|sealed| sealed.keys.contains(&key)) || !self.recent.insert(key) {
                duplicates.push(index as u32);
            } else {
                self.candidates.push((index as u32, key));
            }
        }
        // Run by run over the whole batch: the filter's cache misses of different keys overlap.
        for run in self.runs.iter().rev() {
            self.candidates.retain(|&(index, key)| {
                let seen = run.may_contain(key) && run.contains(key);
                if seen {
                    // It stays where it is: remembering it again would make it live longer.
                    self.recent.remove(&key);
                    duplicates.push(index);
                }
                !seen
            });
        }
        duplicates[first_duplicate..].sort_unstable();
        let received_ms = batch.received_at_ms();
        let (first, last) = self.received_ms.unwrap_or((received_ms, received_ms));
        self.received_ms = Some((first.min(received_ms), last.max(received_ms)));
        self.last_received_ms = received_ms;
        self.pending.extend(self.candidates.iter().map(|(_, key)| key));
    }

    /// The events marked so far are in the store: the next seal includes them.
    pub(crate) fn confirm(&mut self) {
        self.pending.clear();
    }

    /// Freezes the confirmed keys as those of the log range that ends at `position`, also where there are none: a run that is not there
    /// must be one that was lost. `None` when no record was read since the last seal. The keys stay known, and the seal must be ended by
    /// [`Dedupe::install`] before the next one.
    pub(crate) fn seal(&mut self, position: u64) -> Option<Arc<SealedKeys>> {
        debug_assert!(self.sealed.is_none(), "one checkpoint at a time");
        if position == self.sealed_to {
            return None;
        }
        let from = std::mem::replace(&mut self.sealed_to, position);
        let mut keys = std::mem::take(&mut self.recent);
        for key in &self.pending {
            keys.remove(key);
            self.recent.insert(*key);
        }
        let received_ms = if self.pending.is_empty() { self.received_ms.take() } else { self.received_ms };
        // Records of which none was a batch.
        let (min_received_ms, max_received_ms) = received_ms.unwrap_or((self.last_received_ms, self.last_received_ms));
        let span = RunSpan { from, to: position, min_received_ms, max_received_ms };
        self.sealed = Some(Arc::new(SealedKeys { keys, span }));
        self.sealed.clone()
    }

    /// Ends a seal: its keys are in `run` from now on.
    pub(crate) fn install(&mut self, run: Option<Run>) {
        self.runs.extend(run.map(Arc::new));
        self.sealed = None;
        if self.recent.len() < MAX_IDLE_KEYS {
            self.recent.shrink_to(MAX_IDLE_KEYS);
        }
        self.pending.shrink_to(MAX_IDLE_KEYS);
    }

    /// Deletes whole runs whose events were all received more than the window ago, oldest first.
    ///
    /// # Errors
    /// [`StreamError::Folder`]; the run is forgotten, its file is deleted at a later start.
    pub(crate) fn drop_expired(&mut self, now_ms: i64) -> Result<(), StreamError> {
        let oldest_ms = now_ms - self.window_ms;
        let kept = self.runs.iter().position(|run| run.span().max_received_ms >= oldest_ms).unwrap_or(self.runs.len());
        if kept == 0 {
            return Ok(());
        }
        write_floor(&self.dir, self.runs[kept - 1].span().to)?;
        let expired: Vec<_> = self.runs.drain(..kept).collect();
        expired.iter().try_for_each(|run| delete(run.path()))
    }

    /// The next merge, to be run elsewhere and given back to [`Dedupe::replace`].
    pub(crate) fn plan_merge(&self) -> Option<Merge> {
        let spans: Vec<_> = self.runs.iter().map(|run| (run.span(), run.len())).collect();
        let range = merge::plan(&spans)?;
        Some(Merge { dir: self.dir.clone(), runs: self.runs[range].to_vec() })
    }

    /// Puts a merged run in the place of those it was made of, and deletes their files.
    ///
    /// # Errors
    /// [`StreamError::Folder`]; the merged run is in place, left files are deleted at the next start.
    pub(crate) fn replace(&mut self, merged: Run) -> Result<(), StreamError> {
        let span = merged.span();
        let inside = |run: &Arc<Run>| span.from <= run.span().from && run.span().to <= span.to;
        let Some(first) = self.runs.iter().position(inside) else {
            // All of them expired meanwhile.
            return delete(merged.path());
        };
        let inputs: Vec<_> = self.runs.extract_if(.., |run| inside(run)).collect();
        self.runs.insert(first, Arc::new(merged));
        kill_point::reach("dedupe.merged");
        inputs.iter().try_for_each(|run| delete(run.path()))
    }

    /// Keys in memory that no checkpoint has sealed.
    pub(crate) fn recent_keys(&self) -> usize {
        self.recent.len()
    }

    /// All keys remembered, and the number of runs.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let sealed = self.sealed.as_ref().map_or(0, |sealed| sealed.keys.len());
        (self.recent.len() + sealed + self.runs.iter().map(|run| run.len()).sum::<usize>(), self.runs.len())
    }

    /// Bytes of memory of sets, filters and indexes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let slots = self.recent.capacity() + self.sealed.as_ref().map_or(0, |sealed| sealed.keys.capacity()) + self.pending.capacity();
        slots * (size_of::<u128>() + 1) + self.runs.iter().map(|run| run.memory_bytes()).sum::<usize>()
    }
}

fn delete(path: &Path) -> Result<(), StreamError> {
    fs::remove_file(path).map_err(|source| StreamError::folder(path, source))
}

#[cfg(test)]
mod tests;
