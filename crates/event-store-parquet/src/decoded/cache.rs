//! The columns that are kept, within their limit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use event::AppId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rustc_hash::FxHashSet;

use super::block::Shape;
use super::column::Decoded;
use super::load::PersonForm;
use super::space::{AppSpace, AppSpaces};

/// The share of the limit that ordinals and codes may take; columns have the rest.
const SPACE_SHARE: usize = 4;
/// Only sizes the first allocation and the number of shards.
const EXPECTED_COLUMN_BYTES: usize = 64 << 10;

/// Columns by use, in a cache that a single large scan does not empty.
pub(crate) struct DecodedCache {
    kept: Cache<Key, Kept, ByBytes>,
    spaces: AppSpaces,
    max_bytes: usize,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Figures of the cache, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodedFigures {
    /// Columns of blocks that were wanted and there.
    pub hits_total: u64,
    /// Columns of blocks that were wanted and had to be decoded.
    pub misses_total: u64,
    /// Bytes of kept columns.
    pub column_bytes: u64,
    /// Bytes of the numbers of persons and the codes of texts.
    pub space_bytes: u64,
    /// Most bytes of both together.
    pub max_bytes: u64,
}

/// A column of a block, or the shape of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// [`Residence::id`].
    part: u64,
    /// First row of the block.
    row: u32,
    /// [`AppSpace::id`].
    space: u32,
    column: u16,
}

const SHAPE: u16 = u16::MAX;
/// The person column as ordinals; as keys it has the number of its place.
const ORDINALS: u16 = u16::MAX - 1;
/// The persons of a segment's table as ordinals, and as they are.
const TABLE_ORDINALS: u16 = u16::MAX - 2;
const TABLE_KEYS: u16 = u16::MAX - 3;
/// The session ids of a segment's table.
const TABLE_SESSIONS: u16 = u16::MAX - 4;

#[derive(Clone)]
enum Kept {
    Column(Decoded),
    Shape(Arc<Shape>),
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Kept> for ByBytes {
    fn weight(&self, _: &Key, kept: &Kept) -> u64 {
        match kept {
            Kept::Column(column) => column.bytes() as u64,
            Kept::Shape(shape) => shape.bytes() as u64,
        }
    }
}

/// What names a part in the cache. What is kept of the part goes with it.
pub(crate) struct Residence {
    id: u64,
    keys: Mutex<FxHashSet<Key>>,
    cache: OnceLock<Weak<DecodedCache>>,
    /// Held by who reads a table of the part, which the others wait for instead of doing it as well.
    pub(super) tables: Mutex<()>,
    /// Row groups of which columns were read for a few rows of an app (its [`AppSpace::id`]) and not kept.
    pub(super) narrow_groups: Mutex<FxHashSet<(u32, u32)>>,
}

impl Default for Residence {
    fn default() -> Self {
        // Identity only: no two parts of the process are mistaken for each other, whatever happens to their addresses.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { id, keys: Mutex::default(), cache: OnceLock::new(), tables: Mutex::default(), narrow_groups: Mutex::default() }
    }
}

impl Drop for Residence {
    fn drop(&mut self) {
        let Some(cache) = self.cache.get().and_then(Weak::upgrade) else { return };
        for key in self.keys.get_mut().unwrap_or_else(PoisonError::into_inner).drain() {
            cache.kept.remove(&key);
        }
    }
}

/// Which column of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnId {
    /// By its place among the part's columns.
    Stored(usize),
    /// The persons as ordinals.
    Ordinals,
    /// Not of a block but of the part: the persons of its table, by number.
    SegmentPersons(PersonForm),
    /// As before: its session ids.
    SegmentSessions,
}

/// Where a kept column belongs.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) residence: &'p Residence,
    pub(super) space: &'p AppSpace,
    /// First row of the block.
    pub(super) row: usize,
    pub(super) column: ColumnId,
}

impl Place<'_> {
    fn key(&self) -> Key {
        let column = match self.column {
            ColumnId::Stored(column) => column as u16,
            ColumnId::Ordinals => ORDINALS,
            ColumnId::SegmentPersons(PersonForm::Ordinals) => TABLE_ORDINALS,
            ColumnId::SegmentPersons(PersonForm::Keys) => TABLE_KEYS,
            ColumnId::SegmentSessions => TABLE_SESSIONS,
        };
        Key { part: self.residence.id, row: self.row as u32, space: self.space.id(), column }
    }
}

impl DecodedCache {
    /// Keeps at most `max_bytes`, with ordinals for at most `max_persons` of an app. With no bytes nothing is kept.
    pub(crate) fn new(max_bytes: usize, max_persons: usize) -> Self {
        let space_bytes = max_bytes / SPACE_SHARE;
        let column_bytes = max_bytes - space_bytes;
        Self {
            kept: Cache::with_weighter(column_bytes / EXPECTED_COLUMN_BYTES + 1, column_bytes as u64, ByBytes),
            spaces: AppSpaces::new(space_bytes, max_persons),
            max_bytes,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The app's space; every query uses one from its beginning to its end.
    pub(crate) fn space(&self, app: &AppId) -> Arc<AppSpace> {
        let (space, given_up) = self.spaces.get(app);
        if !given_up.is_empty() {
            self.kept.retain(|key, _| !given_up.contains(&key.space));
        }
        space
    }

    /// Whether a column is kept. It is not looked up, so that neither hits nor use are counted.
    pub(super) fn keeps(&self, place: &Place<'_>) -> bool {
        self.kept.contains_key(&place.key())
    }

    pub(super) fn column(&self, place: &Place<'_>) -> Option<Decoded> {
        match self.kept.get(&place.key()) {
            Some(Kept::Column(column)) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                Some(column)
            }
            _ => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    pub(super) fn keep_column(self: &Arc<Self>, place: &Place<'_>, column: &Decoded) {
        self.keep(place.residence, place.key(), Kept::Column(column.clone()));
    }

    /// The part's shape, from `find` where it is not kept.
    ///
    /// # Errors
    /// Those of `find`.
    pub(crate) fn shape<E>(self: &Arc<Self>, residence: &Residence, find: impl FnOnce() -> Result<Arc<Shape>, E>) -> Result<Arc<Shape>, E> {
        let key = Key { part: residence.id, row: 0, space: 0, column: SHAPE };
        if let Some(Kept::Shape(shape)) = self.kept.get(&key) {
            return Ok(shape);
        }
        let shape = find()?;
        self.keep(residence, key, Kept::Shape(shape.clone()));
        Ok(shape)
    }

    fn keep(self: &Arc<Self>, residence: &Residence, key: Key, kept: Kept) {
        let owner = residence.cache.get_or_init(|| Arc::downgrade(self));
        // A part that has met another cache, as only tests make it do, is nothing to keep: nobody would take it out again.
        if self.max_bytes > 0 && std::ptr::eq(owner.as_ptr(), Arc::as_ptr(self)) {
            residence.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
            self.kept.insert(key, kept);
        }
    }

    /// What is kept, and how often it was of use.
    pub(crate) fn figures(&self) -> DecodedFigures {
        DecodedFigures {
            hits_total: self.hits.load(Ordering::Relaxed),
            misses_total: self.misses.load(Ordering::Relaxed),
            column_bytes: self.kept.weight(),
            space_bytes: self.spaces.bytes() as u64,
            max_bytes: self.max_bytes as u64,
        }
    }
}
