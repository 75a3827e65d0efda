//! The store: what is visible, what is durable, and who may change it when.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use event::{AppId, EventBatch};
use event_store::{Commit, EventSink, LostRecords, StoreError};

use crate::columnize::columnize;
use crate::decoded::{DecodedCache, DecodedFigures};
use crate::deletion::{Blocked, PersonMark, Tombstones, tombstones_of};
use crate::exec::said_links;
use crate::identity::{LinkDelta, LinkFigures, Links, links_of};
use crate::ledger::LedgerDelta;
use crate::manifest::Manifest;
use crate::merge::Resident;
use crate::options::{AppRetention, ParquetStoreOptions};
use crate::part::Part;
use crate::pending::{Pending, memory};
use crate::segment::{OpenSegments, Segment, SegmentInfo};
use crate::snapshot::Snapshot;
use crate::tier::{CACHE_FOLDER, Tier, TierCache, TierFigures, TierOptions, cache_name};

/// Events in Parquet segments under a folder of their own.
///
/// Locks, always taken in this order: `upkeep` (one compaction, retention or rebuild at a time), `flushing` (one flush, or
/// whoever must not see one), `commit` (manifest and `state` change together), `state` (what is visible; never held over I/O).
pub struct ParquetStore {
    pub(crate) root: Arc<Path>,
    pub(crate) options: ParquetStoreOptions,
    pub(crate) retention: Arc<dyn AppRetention>,
    pub(crate) manifest: Manifest,
    pub(crate) open_segments: Arc<OpenSegments>,
    pub(crate) decoded: Arc<DecodedCache>,
    pub(crate) upkeep: Mutex<()>,
    pub(crate) flushing: Mutex<()>,
    commit: RwLock<()>,
    /// Changes with `state` locked.
    pub(crate) tombstones: RwLock<Tombstones>,
    /// What a deletion cannot do now, and when it is tried again.
    pub(crate) blocked: Mutex<Blocked>,
    /// Where old segments go.
    pub(crate) tier: Option<Arc<Tier>>,
    /// Until when nothing is moved, after a failure.
    pub(crate) tier_retry_ms: AtomicI64,
    state: Mutex<State>,
    next_segment: AtomicU64,
    /// Pieces of upkeep asked for.
    rounds: AtomicU64,
    /// Held as long as the store is open.
    _lock: File,
}

/// What is visible. Every row is in exactly one of the four, which follow each other in the log.
pub(crate) struct State {
    pub(crate) segments: Vec<Arc<Part>>,
    /// What a running flush writes.
    flushing: Option<Arc<Pending>>,
    /// What is before the line of [`EventSink::seal`].
    sealed: Option<Pending>,
    active: Pending,
    durable: u64,
    /// Number of deletions that are applied to all of the above.
    deletions: u64,
    /// Losses that are durably known.
    pub(crate) lost: Vec<LostRecords>,
    /// Of all of the above.
    pub(crate) links: Links,
    snapshot: Arc<Snapshot>,
}

impl State {
    /// Makes the current parts what the next snapshot sees.
    pub(crate) fn publish(&mut self) {
        let in_memory = self.unflushed().flat_map(|pending| &pending.parts);
        let parts = self.segments.iter().chain(in_memory).cloned().collect();
        self.snapshot = Arc::new(Snapshot { parts, identities: self.links.identities() });
    }

    /// Takes a loss in, to be made durable by the next flush.
    pub(crate) fn lose(&mut self, lost: LostRecords) {
        self.active.lost.push(lost);
    }

    /// Log offset up to which everything is in the manifest.
    pub(crate) fn durable(&self) -> u64 {
        self.durable
    }

    /// What is in memory only, oldest first.
    pub(crate) fn unflushed(&self) -> impl DoubleEndedIterator<Item = &Pending> {
        self.flushing.as_deref().into_iter().chain(&self.sealed).chain([&self.active])
    }

    /// What no flush writes yet.
    pub(crate) fn for_each_pending(&mut self, each: impl FnMut(&mut Pending)) {
        self.sealed.iter_mut().chain([&mut self.active]).for_each(each);
    }

    /// Takes a person's rows and links out of what is in memory, while no flush runs; returns how many rows and refused events.
    pub(crate) fn forget_person(&mut self, mark: &PersonMark) -> (u64, u64) {
        self.deletions += 1;
        self.forget_links(mark);
        let forgotten = self.sealed.iter_mut().chain([&mut self.active]).map(|pending| pending.forget_person(mark));
        forgotten.fold((0, 0), |sum, (rows, refused)| (sum.0 + rows, sum.1 + refused))
    }

    /// Takes what the next flush writes; the second value tells whether a line was drawn.
    fn begin_flush(&mut self) -> (Arc<Pending>, bool) {
        let sealed = self.sealed.take();
        let has_line = sealed.is_some();
        let pending = sealed.unwrap_or_else(|| {
            let next = Pending::starting_at(self.active.end);
            std::mem::replace(&mut self.active, next)
        });
        let pending = Arc::new(pending);
        self.flushing = Some(pending.clone());
        (pending, has_line)
    }

    /// Puts back what could not be flushed, before what came later.
    fn undo_flush(&mut self, pending: Arc<Pending>, has_line: bool) {
        self.flushing = None;
        let mut failed = Arc::unwrap_or_clone(pending);
        let later = self.sealed.take();
        if has_line || later.is_some() {
            later.into_iter().for_each(|later| failed.append(later));
            self.sealed = Some(failed);
        } else {
            failed.append(std::mem::take(&mut self.active));
            self.active = failed;
        }
        self.publish();
    }
}

impl ParquetStore {
    /// Opens the store in `dir`, which is made when it does not exist. Reads no segment, but for a store from before links were kept.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the folder cannot be used or another process has it open, [`StoreError::Damaged`] for another format.
    pub fn open(dir: &Path, options: ParquetStoreOptions, retention: Arc<dyn AppRetention>) -> Result<Arc<Self>, StoreError> {
        std::fs::create_dir_all(dir).and_then(|()| sync_parent(dir)).map_err(|error| io_error(&error))?;
        let lock = lock(dir)?;
        refuse_lost_manifest(dir)?;
        let manifest = Manifest::open(dir)?;
        let infos = manifest.segments()?;
        let mut tiered = manifest.tiered()?;
        delete_orphans(dir, infos.iter().filter(|info| !tiered.contains_key(&info.id)))?;
        let cache = |options: &TierOptions| TierCache::new(&dir.join(CACHE_FOLDER), options.max_cache_bytes);
        let tier = options.tier.clone().map(|options| Arc::new(Tier::new(options.clone(), cache(&options))));
        if let Some(tier) = &tier {
            let names: HashSet<String> = tiered.values().map(|object| cache_name(object)).collect();
            tier.cache.keep_only(|name| names.contains(name));
        }
        let durable = manifest.position()?;
        let next_segment = manifest.last_segment()? + 1;
        let mut covers = manifest.segment_covers()?;
        let root: Arc<Path> = Arc::from(dir);
        let open_segments = Arc::new(OpenSegments::new(options.max_footer_bytes, options.max_open_files));
        let decoded = Arc::new(DecodedCache::new(options.max_decoded_bytes, options.max_ordinal_persons));
        let part = |info: SegmentInfo| {
            let cover = covers.remove(&info.id).unwrap_or_default();
            let (root, open) = (root.clone(), open_segments.clone());
            let segment = match tiered.remove(&info.id) {
                Some(object) => Segment::tiered(info, root, open, tier.clone(), object),
                None => Segment::new(info, root, open),
            };
            Arc::new(Part::Segment(segment.covered(cover.hidden, cover.unsearched)))
        };
        let segments: Vec<Arc<Part>> = infos.into_iter().map(part).collect();
        let active = Pending::starting_at(durable);
        let lost = manifest.lost()?;
        let mut links = manifest.load_links(options.max_links)?;
        if manifest.links_unread()? {
            read_links(&manifest, &segments, &mut links)?;
        }
        let snapshot = Arc::default();
        let mut state = State { segments, flushing: None, sealed: None, active, durable, deletions: 0, lost, links, snapshot };
        state.publish();
        let tombstones = tombstones_of(&manifest)?;
        Ok(Arc::new(Self {
            root,
            options,
            retention,
            manifest,
            open_segments,
            decoded,
            upkeep: Mutex::default(),
            flushing: Mutex::default(),
            commit: RwLock::default(),
            tombstones: RwLock::new(tombstones),
            blocked: Mutex::default(),
            tier,
            tier_retry_ms: AtomicI64::new(i64::MIN),
            state: Mutex::new(state),
            next_segment: AtomicU64::new(next_segment),
            rounds: AtomicU64::new(0),
            _lock: lock,
        }))
    }

    /// Everything that is visible now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.state().snapshot.clone()
    }

    /// What is kept of decoded columns.
    pub fn decoded_figures(&self) -> DecodedFigures {
        self.decoded.figures()
    }

    /// Links between ids: how many there are, and how many were refused since the start.
    pub fn link_figures(&self) -> LinkFigures {
        self.state().links.figures()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// What reading from object storage has cost; `None` where none is configured.
    pub fn tier_figures(&self) -> Option<TierFigures> {
        let is_tiered = |part: &&Arc<Part>| matches!(&***part, Part::Segment(segment) if segment.is_tiered());
        let segments = self.state().segments.iter().filter(is_tiered).count() as u64;
        self.tier.as_ref().map(|tier| tier.figures(segments))
    }

    pub(crate) fn tombstones(&self) -> RwLockReadGuard<'_, Tombstones> {
        self.tombstones.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// While this is held, manifest and [`State`] say the same.
    pub(crate) fn consistent(&self) -> RwLockReadGuard<'_, ()> {
        self.commit.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits to the manifest, then changes what is visible, with nobody in between who looks at both.
    pub(crate) fn commit<E>(&self, write: impl FnOnce() -> Result<(), E>, show: impl FnOnce(&mut State)) -> Result<(), E> {
        let _commit = self.commit.write().unwrap_or_else(PoisonError::into_inner);
        write()?;
        let mut state = self.state();
        show(&mut state);
        state.publish();
        Ok(())
    }

    pub(crate) fn next_segment_id(&self) -> u64 {
        self.next_segment.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn segment(&self, info: SegmentInfo) -> Arc<Part> {
        let mut info = info;
        if info.apps.as_ref().is_some_and(|apps| apps.len() > crate::segment::MAX_LISTED_APPS) {
            info.apps = None;
        }
        Arc::new(Part::Segment(Segment::new(info, self.root.clone(), self.open_segments.clone())))
    }

    pub(crate) fn raw_retention_ms(&self, app: &str) -> Option<i64> {
        AppId::new(app).and_then(|app| self.retention.raw_retention_ms(&app))
    }

    /// Merges small parts in memory until no size class is full.
    fn merge_small_parts(&self) -> Result<(), StoreError> {
        loop {
            let Some(parts) = self.state().active.to_merge() else { return Ok(()) };
            let merged =
                Resident::new(parts.iter().filter_map(memory)).and_then(Resident::into_part).map_err(|error| column_error(&error))?;
            let mut state = self.state();
            // A flush that began meanwhile has taken the parts: it merges them itself.
            if !state.active.replace(&parts, merged) {
                return Ok(());
            }
            state.publish();
        }
    }

    fn check_room(&self) -> Result<(), StoreError> {
        let (rows, bytes) = self.unflushed();
        let ParquetStoreOptions { max_unflushed_rows, max_unflushed_bytes, .. } = self.options;
        if rows >= max_unflushed_rows || bytes >= max_unflushed_bytes {
            let limits = format!("{max_unflushed_rows} rows and {max_unflushed_bytes} bytes");
            return Err(StoreError::Full(format!("{rows} unflushed rows of {bytes} bytes reach the limit of {limits}")));
        }
        Ok(())
    }
}

impl EventSink for ParquetStore {
    fn position(&self) -> u64 {
        self.state().durable()
    }

    fn append(&self, commit: Commit) -> Result<(), StoreError> {
        self.check_room()?;
        let Commit { mut batches, end } = commit;
        let mut ledger = LedgerDelta::of(&batches);
        loop {
            let deletions = self.state().deletions;
            let said = {
                let tombstones = self.tombstones();
                tombstones.screen(&mut batches, &mut ledger);
                links_of(&batches, &tombstones)
            };
            let part = columnize(&batches).map_err(|error| column_error(&error))?;
            let mut state = self.state();
            // A deletion that came meanwhile covers these rows as well.
            if state.deletions == deletions {
                let State { links, active, .. } = &mut *state;
                links.add(&said, &mut active.links);
                active.push(part, ledger, end);
                state.publish();
                break;
            }
        }
        self.merge_small_parts()
    }

    fn unwanted(&self, batch: &EventBatch) -> Vec<u32> {
        self.tombstones().covered(batch)
    }

    fn lose(&self, lost: LostRecords) -> Result<(), StoreError> {
        self.take_lost(lost)
    }

    fn unflushed(&self) -> (usize, usize) {
        self.state().unflushed().fold((0, 0), |(rows, bytes), pending| (rows + pending.rows, bytes + pending.bytes()))
    }

    fn seal(&self) -> u64 {
        let mut state = self.state();
        let end = state.active.end;
        let newest = std::mem::replace(&mut state.active, Pending::starting_at(end));
        match &mut state.sealed {
            Some(sealed) => sealed.append(newest),
            none => *none = Some(newest),
        }
        end
    }

    fn flush(&self) -> Result<u64, StoreError> {
        let _flushing = locked(&self.flushing);
        let (pending, has_line) = self.state().begin_flush();
        match self.write_pending(&pending) {
            Ok(()) => Ok(pending.end),
            Err(error) => {
                self.state().undo_flush(pending, has_line);
                Err(error)
            }
        }
    }

    fn maintain(&self, now_ms: i64) -> Result<bool, StoreError> {
        let _upkeep = locked(&self.upkeep);
        if self.drop_expired(now_ms)? || self.rewrite_expired(now_ms)? {
            return Ok(true);
        }
        // They take turns, so that many deletions do not hold compaction up, nor a busy compaction a deletion.
        let mut turns: [&dyn Fn() -> Result<bool, StoreError>; 2] = [&|| self.advance_deletions(now_ms), &|| self.compact(now_ms)];
        turns.rotate_left((self.rounds.fetch_add(1, Ordering::Relaxed) % 2) as usize);
        let did = turns[0]()? || turns[1]()?;
        Ok(did || self.manifest.purge(now_ms)? || self.tier(now_ms)?)
    }

    fn rebuild_rollups(&self, app: &AppId) -> Result<(), StoreError> {
        self.recount_rollups(app)
    }
}

impl ParquetStore {
    /// Shows the segments of a flush instead of its rows in memory.
    pub(crate) fn flushed(state: &mut State, segments: Vec<Arc<Part>>, end: u64) {
        state.segments.extend(segments);
        state.flushing = None;
        state.durable = end;
    }
}

/// The lock's guard. A panic while it was held left nothing half-done: every change of guarded state is a few assignments.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Brings the links of stored rows into a store from before links were kept.
fn read_links(manifest: &Manifest, segments: &[Arc<Part>], links: &mut Links) -> Result<(), StoreError> {
    tracing::info!(segments = segments.len(), "reading the ids of all stored events once, for the links between them");
    let snapshot = Snapshot { parts: segments.to_vec(), ..Snapshot::default() };
    let mut delta = LinkDelta::default();
    let tombstones = tombstones_of(manifest)?;
    let missing = said_links(&snapshot, &mut |app, mut said| {
        said.retain(|link| !link.is_of_deleted(app, &tombstones));
        links.add(&[(app.clone(), said)], &mut delta);
    });
    let missing = missing.map_err(|error| StoreError::Damaged(error.to_string()))?;
    for reason in &missing {
        tracing::warn!(
            reason,
            "links of these events are not known yet: their ids are persons of their own until a start that can read them"
        );
    }
    manifest.insert_read_links(&delta, missing.is_empty())
}

/// Makes the entry of the store's own folder durable.
fn sync_parent(dir: &Path) -> std::io::Result<()> {
    match dir.canonicalize()?.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Refuses a folder that another process has open, and says which.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let open = File::options().read(true).write(true).create(true).truncate(false).open(dir.join("lock"));
    let mut file = open.map_err(|error| io_error(&error))?;
    if let Err(error) = file.try_lock() {
        let mut owner = String::new();
        let _ = file.read_to_string(&mut owner);
        return Err(StoreError::Io(format!("{} is in use by process {}: {error}", dir.display(), owner.trim())));
    }
    let write = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    write.map_err(|error| io_error(&error))?;
    Ok(file)
}

/// Segments without any manifest are somebody's data whose book was lost, not files of a crash: a manifest is made before the first of them.
fn refuse_lost_manifest(dir: &Path) -> Result<(), StoreError> {
    let has_bytes = |name: String| std::fs::metadata(dir.join(name)).is_ok_and(|metadata| metadata.len() > 0);
    if has_bytes(crate::manifest::FILE.to_owned()) || has_bytes(format!("{}-wal", crate::manifest::FILE)) {
        return Ok(());
    }
    let is_day = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("date=");
    let holds_segments = |entry: std::fs::DirEntry| std::fs::read_dir(entry.path()).is_ok_and(|mut files| files.next().is_some());
    let lost = std::fs::read_dir(dir).map_err(|error| io_error(&error))?.flatten().filter(is_day).any(holds_segments);
    if !lost {
        return Ok(());
    }
    let text = format!(
        "{} holds segments but no {}: restore it from a backup, or move the date= folders away to begin anew",
        dir.display(),
        crate::manifest::FILE
    );
    Err(StoreError::Damaged(text))
}

/// Deletes segment files that no committed transaction names: what a crash left behind.
fn delete_orphans<'s>(dir: &Path, live: impl Iterator<Item = &'s SegmentInfo>) -> Result<(), StoreError> {
    let live: HashSet<PathBuf> = live.map(|info| dir.join(&info.path)).collect();
    let failed = |error: std::io::Error| io_error(&error);
    for folder in std::fs::read_dir(dir).map_err(failed)? {
        let folder = folder.map_err(failed)?;
        if !folder.file_name().to_string_lossy().starts_with("date=") {
            continue;
        }
        for file in std::fs::read_dir(folder.path()).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "parquet") && !live.contains(&path) {
                tracing::info!(path = %path.display(), "deleting a segment that was never committed or is replaced");
                std::fs::remove_file(&path).map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// What the caller can do about a failure of the disk.
pub(crate) fn io_error(error: &std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full(error.to_string()),
        _ => StoreError::Io(error.to_string()),
    }
}

pub(crate) fn column_error(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Io(format!("rows could not be put into columns: {error}"))
}
