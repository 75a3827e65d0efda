//! One Parquet file of the store: what the manifest knows of it, how it is written, verified and read.

mod cache;
mod encoding;
mod failure;
mod file;
mod persons;
mod places;
mod read;
mod sessions;
mod stored;
mod texts;
mod write;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::ArrayRef;
use xxhash_rust::xxh3::xxh3_64;

use crate::columns::OverflowNames;
use crate::decoded::{DecodedCache, Residence, Shape};
use crate::hidden::HiddenRows;
use crate::part::PartColumns;
use crate::runs::RunIndex;
use crate::tier::{Tier, TierError, cache_name};

pub(crate) use cache::OpenSegments;
pub(crate) use failure::SegmentFailure;
pub(crate) use file::BLOCK_BYTES;
use file::VerifiedFile;
use persons::KeysPlace;
pub(crate) use persons::{PersonGatherer, SegmentPersons};
pub(crate) use read::{OpenSegment, SegmentScan, WholeScan};
pub(crate) use sessions::{SegmentSessions, SessionGatherer};
use texts::TextsPlace;
pub(crate) use write::{IdTables, SegmentPlace, SegmentWriter, day_name};

/// Apps of a segment that are listed in memory; beyond, only the smallest and largest id are.
pub(crate) const MAX_LISTED_APPS: usize = 64;

/// The rows of one app in one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRows {
    /// The app.
    pub app: Arc<str>,
    /// Its rows.
    pub rows: u64,
    /// Its earliest event time, ms.
    pub min_ms: i64,
    /// Its latest event time, ms.
    pub max_ms: i64,
}

/// What the manifest knows of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Ascending by age.
    pub id: u64,
    /// Relative to the store's folder.
    pub path: String,
    /// Length of the file.
    pub bytes: u64,
    /// XXH3-64 of each block of [`BLOCK_BYTES`].
    pub block_hashes: Arc<[u64]>,
    /// Rows of all apps.
    pub rows: u64,
    /// Smallest app id.
    pub min_app: Arc<str>,
    /// Largest app id.
    pub max_app: Arc<str>,
    /// Earliest event time, ms.
    pub min_ms: i64,
    /// Latest event time, ms.
    pub max_ms: i64,
    /// The apps, ascending; `None` where there are more than [`MAX_LISTED_APPS`] and the list stays in the manifest.
    pub apps: Option<Vec<AppRows>>,
}

impl SegmentInfo {
    /// Whether these are the segment's bytes from `at` on, the start of a block, to the end of a block or of the segment.
    pub(crate) fn is_at(&self, at: u64, bytes: &[u8]) -> bool {
        let first = (at / BLOCK_BYTES as u64) as usize;
        let hashes = self.block_hashes.get(first..).unwrap_or_default();
        hashes.len() >= bytes.len().div_ceil(BLOCK_BYTES)
            && bytes.chunks(BLOCK_BYTES).zip(hashes).all(|(block, hash)| xxh3_64(block) == *hash)
    }

    /// A time that no row of this app is before; `None` where it surely has no row.
    pub(crate) fn first_ms(&self, app: &str) -> Option<i64> {
        match &self.apps {
            Some(apps) => apps.iter().find(|rows| &*rows.app == app).map(|rows| rows.min_ms),
            None => (&*self.min_app <= app && app <= &*self.max_app).then_some(self.min_ms),
        }
    }

    /// False when the segment surely has no row of this app in `[from_ms, to_ms)`.
    pub fn may_hold(&self, app: &str, from_ms: i64, to_ms: i64) -> bool {
        let in_range = |min_ms, max_ms| min_ms < to_ms && max_ms >= from_ms;
        match &self.apps {
            Some(apps) => apps.iter().any(|rows| &*rows.app == app && in_range(rows.min_ms, rows.max_ms)),
            None => &*self.min_app <= app && app <= &*self.max_app && in_range(self.min_ms, self.max_ms),
        }
    }
}

/// A live segment, and which of its rows are hidden. Others with the same file may hide other rows: a snapshot keeps what it saw.
pub struct Segment {
    file: Arc<SegmentFile>,
    hidden: HiddenRows,
    unsearched: bool,
}

/// The file of a segment. It is deleted when it was replaced and the last snapshot that names it is gone.
struct SegmentFile {
    info: SegmentInfo,
    root: Arc<Path>,
    open: Arc<OpenSegments>,
    damage: OnceLock<String>,
    replaced: AtomicBool,
    residence: Residence,
    place: Place,
}

/// Where a segment's bytes are.
enum Place {
    /// In the store's folder.
    Local,
    /// In an object.
    Tiered { tier: Arc<Tier>, object: Arc<str> },
    /// In an object of a storage that is not configured.
    Unknown { object: Arc<str> },
}

impl Segment {
    pub(crate) fn new(info: SegmentInfo, root: Arc<Path>, open: Arc<OpenSegments>) -> Self {
        Self::at(info, root, open, Place::Local)
    }

    /// One whose bytes are in object storage.
    pub(crate) fn tiered(info: SegmentInfo, root: Arc<Path>, open: Arc<OpenSegments>, tier: Option<Arc<Tier>>, object: Arc<str>) -> Self {
        let place = match tier {
            Some(tier) => {
                tier.hold(&object);
                Place::Tiered { tier, object }
            }
            None => Place::Unknown { object },
        };
        Self::at(info, root, open, place)
    }

    fn at(info: SegmentInfo, root: Arc<Path>, open: Arc<OpenSegments>, place: Place) -> Self {
        let file = SegmentFile {
            info,
            root,
            open,
            damage: OnceLock::new(),
            replaced: AtomicBool::new(false),
            residence: Residence::default(),
            place,
        };
        Self { file: Arc::new(file), hidden: HiddenRows::default(), unsearched: false }
    }

    /// The same segment with its bytes in an object.
    pub(crate) fn moved(&self, tier: Arc<Tier>, object: Arc<str>) -> Self {
        let SegmentFile { info, root, open, .. } = &*self.file;
        let moved = Self::tiered(info.clone(), root.clone(), open.clone(), Some(tier), object);
        moved.covered(self.hidden.clone(), self.unsearched)
    }

    /// True when its bytes are not in the store's folder.
    pub(crate) fn is_tiered(&self) -> bool {
        self.object().is_some()
    }

    /// The object that its bytes are in, if they are not in the store's folder.
    pub(crate) fn object(&self) -> Option<&Arc<str>> {
        match &self.file.place {
            Place::Local => None,
            Place::Tiered { object, .. } | Place::Unknown { object } => Some(object),
        }
    }

    /// Length of its object, asked of the storage.
    pub(crate) fn object_length(&self) -> Result<u64, TierError> {
        match &self.file.place {
            Place::Tiered { tier, object } => tier.length(object),
            Place::Local | Place::Unknown { .. } => Err(TierError::NotConfigured),
        }
    }

    /// Where its file is, unless it is tiered.
    pub(crate) fn path(&self) -> PathBuf {
        self.file.path()
    }

    /// The same file with other rows hidden. One that may hold rows of a deleted person, and could not be searched for them, is not read.
    pub(crate) fn covered(&self, hidden: HiddenRows, unsearched: bool) -> Self {
        Self { file: self.file.clone(), hidden, unsearched }
    }

    /// True when it may hold rows of a deleted person that are not known yet.
    pub(crate) fn is_unsearched(&self) -> bool {
        self.unsearched
    }

    /// What the manifest knows of it.
    pub fn info(&self) -> &SegmentInfo {
        &self.file.info
    }

    /// The rows that no reader may see: their person was deleted and they are about to be.
    pub(crate) fn hidden(&self) -> &HiddenRows {
        &self.hidden
    }

    /// Why it is quarantined, once it was found damaged.
    pub fn damage(&self) -> Option<&str> {
        self.file.damage.get().map(String::as_str)
    }

    /// Its file goes with the last user: the manifest does not name it any more.
    pub(crate) fn mark_replaced(&self) {
        self.file.replaced.store(true, Ordering::Release);
    }

    pub(crate) fn columns(&self) -> Result<PartColumns, String> {
        let open = self.open().map_err(|failure| failure.to_string())?;
        Ok(PartColumns { fields: open.fields().to_vec(), overflow: open.overflow().clone() })
    }

    /// What names its decoded columns.
    pub(crate) fn residence(&self) -> &Residence {
        &self.file.residence
    }

    /// What a scan is planned by; opens no file where `cache` keeps it.
    pub(crate) fn shape(&self, cache: &Arc<DecodedCache>) -> Result<Arc<Shape>, String> {
        if self.unsearched {
            return self.open().map(|open| open.shape().clone()).map_err(|failure| failure.to_string());
        }
        let find = || self.open().map(|open| open.shape().clone());
        cache.shape(self.residence(), find).map_err(|failure| failure.to_string())
    }

    /// The table of its persons, if its rows have numbers of one. An error is why rows are missing.
    pub(crate) fn persons(&self) -> Result<Option<SegmentPersons>, String> {
        let open = self.open().map_err(|failure| failure.to_string())?;
        open.persons().map_err(|failure| self.failed(failure).to_string())
    }

    /// The table of its session ids, if its rows have numbers of one. An error is why rows are missing.
    pub(crate) fn sessions(&self) -> Result<Option<Arc<SegmentSessions>>, String> {
        let open = self.open().map_err(|failure| failure.to_string())?;
        open.sessions().map_err(|failure| self.failed(failure).to_string())
    }

    /// Decodes columns of rows of one row group, see [`OpenSegment::read_rows`]. An error is why rows are missing.
    pub(crate) fn read_rows(&self, group: usize, rows: &[Range<usize>], columns: &[usize]) -> Result<(Vec<ArrayRef>, u64), String> {
        let open = self.open().map_err(|failure| failure.to_string())?;
        open.read_rows(group, rows, columns).map_err(|failure| self.failed(failure).to_string())
    }

    /// Footer and file handle, from the cache of open segments. The failure's text is for answers.
    pub(crate) fn open(&self) -> Result<Arc<OpenSegment>, SegmentFailure> {
        if self.unsearched {
            let reason = "it was not searched for the events of a deleted person yet, because it could not be read then";
            return Err(self.failed(SegmentFailure::Unreadable(reason.to_owned())));
        }
        self.open_unsearched()
    }

    /// As [`Segment::open`], for whoever searches it.
    pub(crate) fn open_unsearched(&self) -> Result<Arc<OpenSegment>, SegmentFailure> {
        if let Some(damage) = self.damage() {
            return Err(SegmentFailure::Damaged(damage.to_string()));
        }
        let open = || self.file.open.get_or_open(self.info().id, || OpenSegment::open(self.file.verified()?));
        let mut opened = open();
        if opened.as_ref().is_ok_and(|opened| opened.is_stale()) {
            self.file.open.forget(self.info().id);
            opened = open();
        }
        opened.map_err(|failure| self.failed(failure))
    }

    /// What a failure means for the segment: damage leaves it out of every answer from now on. Returns it with a text for answers.
    pub(crate) fn failed(&self, failure: SegmentFailure) -> SegmentFailure {
        let info = self.info();
        let text = |reason: &str| format!("segment {} (event times {} to {} ms): {reason}", info.path, info.min_ms, info.max_ms);
        match failure {
            SegmentFailure::Unreadable(reason) => {
                tracing::warn!(segment = info.path, rows = info.rows, reason, "a segment could not be read");
                SegmentFailure::Unreadable(text(&reason))
            }
            SegmentFailure::Damaged(reason) => {
                let damage = self.file.damage.get_or_init(|| {
                    tracing::error!(segment = info.path, rows = info.rows, reason, "a segment is damaged and left out of answers");
                    self.file.open.forget(info.id);
                    text(&reason)
                });
                SegmentFailure::Damaged(damage.clone())
            }
        }
    }
}

impl SegmentFile {
    fn path(&self) -> PathBuf {
        self.root.join(&self.info.path)
    }

    fn verified(&self) -> Result<VerifiedFile, SegmentFailure> {
        let SegmentInfo { bytes, block_hashes, .. } = &self.info;
        match &self.place {
            Place::Local => VerifiedFile::open(&self.path(), *bytes, block_hashes.clone()),
            Place::Tiered { tier, object } => VerifiedFile::open_tiered(tier.clone(), object.clone(), *bytes, block_hashes.clone()),
            Place::Unknown { object } => {
                Err(SegmentFailure::Unreadable(format!("it is the object {object}, and {}", TierError::NotConfigured)))
            }
        }
    }
}

impl Drop for SegmentFile {
    fn drop(&mut self) {
        let replaced = self.replaced.load(Ordering::Acquire);
        if let Place::Tiered { tier, object } = &self.place {
            if replaced {
                self.open.forget(self.info.id);
                tier.cache.remove(&cache_name(object));
            }
            // Only now may the object be deleted, if the segment is gone.
            tier.release(object);
        }
        if !replaced || !matches!(self.place, Place::Local) {
            return;
        }
        self.open.forget(self.info.id);
        // A file that stays is an orphan, which the next start deletes.
        if let Err(error) = std::fs::remove_file(self.path()) {
            tracing::warn!(segment = self.info.path, %error, "a replaced segment could not be deleted");
        }
        kill_point::reach("upkeep.file_deleted");
    }
}

/// What a segment's footer says beside the Parquet metadata: the key-value pairs `throng.*`.
pub(crate) struct Footer {
    pub(crate) runs: RunIndex,
    pub(crate) overflow: OverflowNames,
    pub(crate) tables: TablePlaces,
}

/// Where in its file the tables are that a segment's rows have numbers of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TablePlaces {
    /// The persons' keys: formats 2 and 3.
    persons: Option<KeysPlace>,
    /// The persons' ids: format 3.
    person_ids: Option<TextsPlace>,
    /// Session ids: format 3, where rows have no ids of their own.
    sessions: Option<TextsPlace>,
}

const FORMAT_KEY: &str = "throng.format";
const RUNS_KEY: &str = "throng.runs";
const OVERFLOW_KEY: &str = "throng.overflow";
const PERSONS_KEY: &str = "throng.persons";
const PERSON_IDS_KEY: &str = "throng.person_ids";
const SESSIONS_KEY: &str = "throng.sessions";
/// Rows have their persons' keys and ids: a segment of several apps, and every one that was written before there were tables.
const FORMAT_KEYS: &str = "1";
/// Rows have numbers of the segment's table of persons, and ids. Read, and not written any more.
const FORMAT_NUMBERS: &str = "2";
/// Rows have numbers of the segment's tables of persons and their ids, and of session ids where there is one.
const FORMAT_IDS: &str = "3";

/// `throng.runs`: `(app, [(first event, last event or null when equal, rows, min ms, max ms)])`.
type EncodedRuns = Vec<(Arc<str>, Vec<(Arc<str>, Option<Arc<str>>, u64, i64, i64)>)>;

impl Footer {
    fn encode(&self) -> Result<Vec<(&'static str, String)>, String> {
        let mut apps: EncodedRuns = Vec::new();
        for run in self.runs.runs() {
            let last_event = (!run.is_one_event()).then(|| run.last_event.clone());
            let entry = (run.first_event.clone(), last_event, run.rows.len() as u64, run.min_ms, run.max_ms);
            match apps.last_mut() {
                Some((app, entries)) if *app == run.app => entries.push(entry),
                _ => apps.push((run.app.clone(), vec![entry])),
            }
        }
        let overflow = match &self.overflow {
            OverflowNames::Any => None,
            OverflowNames::Listed(names) => Some(names),
        };
        let json = |result: serde_json::Result<String>| result.map_err(|error| error.to_string());
        let (runs, overflow) = (json(serde_json::to_string(&apps))?, json(serde_json::to_string(&overflow))?);
        let TablePlaces { persons, person_ids, sessions } = &self.tables;
        let format = if persons.is_some() { FORMAT_IDS } else { FORMAT_KEYS };
        let mut pairs = vec![(FORMAT_KEY, format.to_owned()), (RUNS_KEY, runs), (OVERFLOW_KEY, overflow)];
        if let Some(place) = persons {
            pairs.push((PERSONS_KEY, json(serde_json::to_string(place))?));
        }
        for (key, place) in [(PERSON_IDS_KEY, person_ids), (SESSIONS_KEY, sessions)] {
            if let Some(place) = place {
                pairs.push((key, json(serde_json::to_string(place))?));
            }
        }
        Ok(pairs)
    }

    fn decode(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let format = get(FORMAT_KEY).ok_or("not a segment of throng")?;
        if ![FORMAT_KEYS, FORMAT_NUMBERS, FORMAT_IDS].contains(&format.as_str()) {
            return Err(format!(
                "segment format {format} is not supported by this version, which reads formats {FORMAT_KEYS} to {FORMAT_IDS}"
            ));
        }
        let text = |key| get(key).ok_or_else(|| format!("the footer lacks {key}"));
        let damaged = |error: serde_json::Error| format!("the footer is damaged: {error}");
        let apps: EncodedRuns = serde_json::from_str(&text(RUNS_KEY)?).map_err(damaged)?;
        let overflow: Option<Vec<String>> = serde_json::from_str(&text(OVERFLOW_KEY)?).map_err(damaged)?;
        let texts = |key| get(key).map(|place| serde_json::from_str(&place)).transpose().map_err(damaged);
        let persons = get(PERSONS_KEY).map(|place| serde_json::from_str(&place)).transpose().map_err(damaged)?;
        let tables = TablePlaces { persons, person_ids: texts(PERSON_IDS_KEY)?, sessions: texts(SESSIONS_KEY)? };
        let mut runs = RunIndex::default();
        let mut start = 0;
        for (app, entries) in apps {
            for (first_event, last_event, rows, min_ms, max_ms) in entries {
                let end = start + rows as usize;
                let last_event = last_event.unwrap_or_else(|| first_event.clone());
                runs.push(crate::runs::Run { app: app.clone(), first_event, last_event, rows: start..end, min_ms, max_ms });
                start = end;
            }
        }
        Ok(Self { runs: runs.finish(), overflow: overflow.map_or(OverflowNames::Any, OverflowNames::Listed), tables })
    }
}
