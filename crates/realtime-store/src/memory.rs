use std::hash::BuildHasher;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use event::{AppId, TimestampMs};
use futures::future::{BoxFuture, ready};
use rustc_hash::{FxBuildHasher, FxHashMap};
use tokio::sync::watch;

use crate::cell::{Cell, CellKey, Resolution};
use crate::packed::Packer;
use crate::series::{AppSeries, Series, Stored};
use crate::snapshot::{Snapshot, SnapshotApp, SnapshotError, SnapshotSeries};
use crate::store::{CellRange, RealtimeError, RealtimeStore};

/// Writers and readers of different apps rarely meet in one of so many parts.
const SHARDS: usize = 64;
/// How often all apps, not only those that change, are looked through for cells that have passed their time.
const SWEEP_INTERVAL_MS: i64 = 60_000;

/// Bounds of a [`MemoryRealtimeStore`].
#[derive(Clone, Copy, Debug)]
pub struct MemoryOptions {
    /// Memory of all cells, by [`MemoryRealtimeStore::memory_bytes`]. When it is passed, the apps that hold most forget their oldest
    /// 5-second windows first, then their oldest minutes: a small app never loses a window to a large one.
    pub max_bytes: usize,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self { max_bytes: 512 << 20 }
    }
}

/// Live windows in this process' memory.
///
/// A forgotten window is not taken again (it would come back incomplete): [`RealtimeStore::put`] of one does nothing.
pub struct MemoryRealtimeStore {
    shards: Vec<RwLock<Shard>>,
    options: MemoryOptions,
    bytes: AtomicUsize,
    swept_ms: AtomicI64,
}

type Shard = FxHashMap<AppId, AppWindows>;

#[derive(Default)]
struct AppWindows {
    series: AppSeries,
    /// Present while someone listens.
    changes: Option<watch::Sender<u64>>,
}

/// What an app costs beside its cells: the map entry, its id, empty series.
const APP_BYTES: usize = size_of::<AppWindows>() + size_of::<AppId>() + AppId::MAX_BYTES;

impl Default for MemoryRealtimeStore {
    fn default() -> Self {
        Self::new(MemoryOptions::default())
    }
}

impl MemoryRealtimeStore {
    /// An empty store.
    pub fn new(options: MemoryOptions) -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { shards, options, bytes: AtomicUsize::new(0), swept_ms: AtomicI64::new(0) }
    }

    /// Bytes of memory of all cells and apps, a little overestimated: names shared between cells count in each.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Number of apps with cells or listeners, and of cells.
    pub fn counts(&self) -> (usize, usize) {
        let (mut apps, mut cells) = (0, 0);
        for index in 0..SHARDS {
            let shard = self.read(index);
            apps += shard.len();
            let of_app = |app: &AppWindows| Resolution::ALL.iter().map(|&resolution| app.series.of(resolution).len()).sum::<usize>();
            cells += shard.values().map(of_app).sum::<usize>();
        }
        (apps, cells)
    }

    /// The content of this moment, to be written by another thread: costs one reference a cell.
    pub fn freeze(&self) -> Snapshot {
        let mut apps = Vec::new();
        for index in 0..SHARDS {
            let shard = self.read(index);
            apps.extend(shard.iter().map(|(app, windows)| {
                let series = Resolution::ALL.map(|resolution| {
                    let series = windows.series.of(resolution);
                    let cells = series.iter().map(|(start_ms, stored)| (start_ms, stored.clone())).collect();
                    SnapshotSeries { kept_from_ms: series.kept_from_ms(), cells }
                });
                SnapshotApp { app: app.clone(), series }
            }));
        }
        Snapshot::new(apps)
    }

    /// Makes the snapshot at exactly `position` the content of this store, which is empty. Returns false when there is none.
    ///
    /// # Errors
    /// [`SnapshotError`]; nothing was loaded then: rebuild the windows from the raw events.
    pub fn load_snapshot(&self, dir: &Path, position: u64) -> Result<bool, SnapshotError> {
        let Some(snapshot) = Snapshot::read(dir, position)? else { return Ok(false) };
        for SnapshotApp { app, series } in snapshot.into_apps() {
            self.change(&app, |windows| {
                for (resolution, SnapshotSeries { kept_from_ms, cells }) in Resolution::ALL.into_iter().zip(series) {
                    *windows.series.of_mut(resolution) = Series::restore(kept_from_ms, cells);
                }
            });
        }
        Ok(true)
    }

    fn shard_of(app: &AppId) -> usize {
        FxBuildHasher.hash_one(app) as usize % SHARDS
    }

    /// A panic while a shard was locked leaves whole cells behind, so the lock's poison says nothing here.
    fn read(&self, index: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[index].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, index: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[index].write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes one app, made when new, and keeps the account of bytes.
    fn change<R>(&self, app: &AppId, change: impl FnOnce(&mut AppWindows) -> R) -> R {
        let mut shard = self.write(Self::shard_of(app));
        let windows = shard.entry(app.clone()).or_insert_with(|| {
            self.bytes.fetch_add(APP_BYTES, Ordering::Relaxed);
            AppWindows::default()
        });
        let before = windows.series.bytes();
        let result = change(windows);
        self.account(before, windows.series.bytes());
        result
    }

    fn account(&self, before: usize, after: usize) {
        if after >= before {
            self.bytes.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    fn put_now(&self, mut cells: Vec<(CellKey, Arc<Cell>)>, now_ms: TimestampMs) {
        cells.sort_by(|(a, _), (b, _)| a.app.cmp(&b.app));
        let mut rest = cells.into_iter().peekable();
        while let Some((key, cell)) = rest.next() {
            self.change(&key.app, |windows| {
                windows.series.of_mut(key.resolution).put(key.start_ms, Stored::Open(cell));
                while let Some((same_app, cell)) = rest.next_if(|(next, _)| next.app == key.app) {
                    windows.series.of_mut(same_app.resolution).put(same_app.start_ms, Stored::Open(cell));
                }
                windows.series.forget_passed(now_ms);
                if let Some(changes) = &windows.changes {
                    changes.send_modify(|version| *version += 1);
                }
            });
        }
        if now_ms - self.swept_ms.load(Ordering::Relaxed) >= SWEEP_INTERVAL_MS {
            self.swept_ms.store(now_ms, Ordering::Relaxed);
            self.sweep(now_ms);
        }
        if self.memory_bytes() > self.options.max_bytes {
            self.trim(now_ms);
        }
    }

    /// Forgets what has passed its time, packs what has become old, and drops apps without cells and listeners.
    fn sweep(&self, now_ms: TimestampMs) {
        let mut packer = Packer::new();
        for index in 0..SHARDS {
            let mut shard = self.write(index);
            shard.retain(|_, windows| {
                let before = windows.series.bytes();
                windows.series.forget_passed(now_ms);
                windows.series.pack_old(now_ms, &mut packer);
                self.account(before, windows.series.bytes());
                windows.changes.take_if(|changes| changes.receiver_count() == 0);
                let kept = windows.changes.is_some() || !windows.series.is_blank(now_ms);
                if !kept {
                    self.bytes.fetch_sub(APP_BYTES, Ordering::Relaxed);
                }
                kept
            });
            if shard.capacity() > 4 * shard.len() + SHARDS {
                shard.shrink_to_fit();
            }
        }
    }

    /// Brings memory down to seven eighths of its bound: every app above one common level frees what it has above it.
    fn trim(&self, now_ms: TimestampMs) {
        let target = self.options.max_bytes / 8 * 7;
        let mut sizes: Vec<usize> = Vec::new();
        for index in 0..SHARDS {
            sizes.extend(self.read(index).values().map(|windows| windows.series.bytes() + APP_BYTES));
        }
        let level = common_level(&mut sizes, target);
        for index in 0..SHARDS {
            for windows in self.write(index).values_mut() {
                let before = windows.series.bytes();
                if before + APP_BYTES > level {
                    windows.series.free(before + APP_BYTES - level, now_ms);
                    self.account(before, windows.series.bytes());
                }
            }
        }
    }
}

/// The level to which the largest sizes must come down for their sum to be `target` at most.
fn common_level(sizes: &mut [usize], target: usize) -> usize {
    sizes.sort_unstable();
    let mut left = target;
    for (index, &size) in sizes.iter().enumerate() {
        let share = left / (sizes.len() - index);
        if size > share {
            return share;
        }
        left -= size;
    }
    usize::MAX
}

impl RealtimeStore for MemoryRealtimeStore {
    fn get<'a>(&'a self, key: &'a CellKey) -> BoxFuture<'a, Result<Option<Arc<Cell>>, RealtimeError>> {
        let shard = self.read(Self::shard_of(&key.app));
        let stored = shard.get(&key.app).and_then(|windows| windows.series.of(key.resolution).get(key.start_ms).cloned());
        drop(shard);
        Box::pin(ready(Ok(stored.and_then(|stored| stored.cell()))))
    }

    fn put(&self, cells: Vec<(CellKey, Arc<Cell>)>, now_ms: TimestampMs) -> BoxFuture<'_, Result<(), RealtimeError>> {
        self.put_now(cells, now_ms);
        Box::pin(ready(Ok(())))
    }

    fn range<'a>(
        &'a self,
        app: &'a AppId,
        resolution: Resolution,
        from_ms: TimestampMs,
        to_ms: TimestampMs,
    ) -> BoxFuture<'a, Result<CellRange, RealtimeError>> {
        let shard = self.read(Self::shard_of(app));
        let stored = shard.get(app).map(|windows| windows.series.of(resolution).range(from_ms, to_ms)).unwrap_or_default();
        drop(shard);
        let cells = stored.into_iter().filter_map(|(start_ms, stored)| Some((start_ms, stored.cell()?))).collect();
        Box::pin(ready(Ok(cells)))
    }

    fn subscribe(&self, app: &AppId) -> watch::Receiver<u64> {
        self.change(app, |windows| windows.changes.get_or_insert_with(|| watch::Sender::new(0)).subscribe())
    }
}
