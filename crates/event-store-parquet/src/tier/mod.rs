//! Old segments in object storage: what that storage must do, and how a segment is moved there and read from there.
//!
//! An object is written down before it is uploaded, and again when its segment is gone: whatever a crash leaves behind, an object that no
//! segment needs is in that list, and upkeep deletes it.

mod cache;
mod moving;
mod reader;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use thiserror::Error;

pub(crate) use cache::{CachedFile, TierCache};
pub use reader::ObjectReader;

use crate::store::locked;

/// Folder in the store's folder of the local copies of objects; losing it loses nothing.
pub(crate) const CACHE_FOLDER: &str = "tier-cache";
/// Most bytes of one [`SegmentTier::read`]: what a slow line still brings within the time that a question waits.
pub const MAX_READ_BYTES: u64 = 4 << 20;

/// After a failure to reach the storage nobody tries again for this long: a question over many segments answers soon, and says what it lacks.
const PAUSE: Duration = Duration::from_secs(5);

/// Why an object could not be written, read or deleted.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TierError {
    /// There is no such object.
    #[error("it is not in the object storage: {0}")]
    Missing(String),
    /// The storage does not answer, or refuses.
    #[error("the object storage cannot be reached: {0}")]
    Unreachable(String),
    /// A segment is in object storage, and the store has none.
    #[error("no object storage is configured: event_store.tier.url is not set")]
    NotConfigured,
    /// The local file that was to be uploaded cannot be read.
    #[error("the file cannot be read: {0}")]
    File(String),
}

/// Object storage for segments. Calls block: run them on a thread made for it. Keys are relative, with `/` between their segments.
pub trait SegmentTier: Send + Sync {
    /// Uploads a file; when this returns, the object is there as a whole. Writing it again writes the same bytes.
    ///
    /// # Errors
    /// [`TierError::Unreachable`] or [`TierError::File`]; a part that was uploaded is no object.
    fn put(&self, key: &str, file: &Path) -> Result<(), TierError>;

    /// Length of an object in bytes.
    ///
    /// # Errors
    /// [`TierError`].
    fn length(&self, key: &str) -> Result<u64, TierError>;

    /// Bytes of an object; the range lies within it and has at most [`MAX_READ_BYTES`]. A question waits for it, so it ends within a time that
    /// is small beside the question's limit, however long the storage would take.
    ///
    /// # Errors
    /// [`TierError`].
    fn read(&self, key: &str, range: Range<u64>) -> Result<Bytes, TierError>;

    /// Deletes an object. One that is not there is deleted already.
    ///
    /// # Errors
    /// [`TierError::Unreachable`].
    fn delete(&self, key: &str) -> Result<(), TierError>;

    /// Tells the key of every object under a folder, in any order. Only a check asks: nothing else needs the permission to list.
    ///
    /// # Errors
    /// [`TierError::Unreachable`], also after some were told.
    fn list(&self, folder: &str, each: &mut dyn FnMut(String)) -> Result<(), TierError>;
}

/// Where old segments go.
#[derive(Clone)]
pub struct TierOptions {
    /// The storage.
    pub tier: Arc<dyn SegmentTier>,
    /// A segment is moved when its latest event is older than so many milliseconds.
    pub after_ms: i64,
    /// Bytes of objects kept on the local disk at most.
    pub max_cache_bytes: u64,
}

impl std::fmt::Debug for TierOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TierOptions")
            .field("after_ms", &self.after_ms)
            .field("max_cache_bytes", &self.max_cache_bytes)
            .finish_non_exhaustive()
    }
}

/// What reading from the tier has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierFigures {
    /// Bytes of objects that were asked for and on the local disk.
    pub hit_bytes: u64,
    /// Bytes of objects that had to be fetched.
    pub fetched_bytes: u64,
    /// Bytes of objects on the local disk.
    pub cached_bytes: u64,
    /// Bytes of objects on the local disk at most.
    pub max_cache_bytes: u64,
    /// Segments in object storage.
    pub segments: u64,
    /// Requests to the storage that failed.
    pub failures: u64,
}

/// The configured tier, shared by its segments.
pub(crate) struct Tier {
    pub(crate) options: TierOptions,
    pub(crate) cache: TierCache,
    /// Objects in use by key: those of segments that somebody still reads are not deleted.
    held: Mutex<HashMap<Arc<str>, usize>>,
    /// Until when nobody tries, and why.
    pause: Mutex<Option<(Instant, TierError)>>,
}

impl Tier {
    pub(crate) fn new(options: TierOptions, cache: TierCache) -> Self {
        Self { options, cache, held: Mutex::default(), pause: Mutex::default() }
    }

    pub(crate) fn hold(&self, key: &Arc<str>) {
        *locked(&self.held).entry(key.clone()).or_default() += 1;
    }

    pub(crate) fn release(&self, key: &Arc<str>) {
        let mut held = locked(&self.held);
        if let Some(count) = held.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                held.remove(key);
            }
        }
    }

    pub(crate) fn is_held(&self, key: &str) -> bool {
        locked(&self.held).contains_key(key)
    }

    /// Bytes of an object, unless the storage failed a moment ago.
    pub(crate) fn read(&self, key: &str, range: Range<u64>) -> Result<Bytes, TierError> {
        self.unless_paused(|| self.options.tier.read(key, range))
    }

    /// Length of an object, unless the storage failed a moment ago.
    pub(crate) fn length(&self, key: &str) -> Result<u64, TierError> {
        self.unless_paused(|| self.options.tier.length(key))
    }

    fn unless_paused<T>(&self, ask: impl FnOnce() -> Result<T, TierError>) -> Result<T, TierError> {
        if let Some((until, error)) = &*locked(&self.pause)
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        ask().inspect_err(|error| self.failed(error))
    }

    /// What reading has cost, with so many segments in the storage.
    pub(crate) fn figures(&self, segments: u64) -> TierFigures {
        let (hit_bytes, fetched_bytes, cached_bytes, failures) = self.cache.figures();
        let max_cache_bytes = self.options.max_cache_bytes;
        TierFigures { hit_bytes, fetched_bytes, cached_bytes, max_cache_bytes, segments, failures }
    }

    fn failed(&self, error: &TierError) {
        self.cache.count_failure();
        if matches!(error, TierError::Unreachable(_)) {
            *locked(&self.pause) = Some((Instant::now() + PAUSE, error.clone()));
        }
    }
}

/// Folder of a store's objects.
pub(crate) fn folder(store: u64) -> String {
    format!("{store:016x}/")
}

/// Name of an object's local copy.
pub(crate) fn cache_name(object: &str) -> String {
    object.replace('/', "_")
}
