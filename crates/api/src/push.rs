//! What pushes have in common, whatever is pushed: one computation however many follow it, and a bound on open streams.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::error::ApiError;

/// The sending end of a computation; `None` until there is a first state.
pub(crate) type Channel<V> = watch::Sender<Option<V>>;
/// A follower's end.
pub(crate) type Following<V> = watch::Receiver<Option<V>>;

/// The computations under way by what they compute.
///
/// A follower holds a place in a `watch` channel, not a queue: it finds the newest state when it comes back for more, so a slow one costs
/// nothing and delays nobody.
pub(crate) struct Channels<K, V> {
    by_key: Mutex<HashMap<K, Channel<V>>>,
}

impl<K: Clone + Eq + Hash, V> Channels<K, V> {
    pub(crate) fn new() -> Self {
        Self { by_key: Mutex::default() }
    }

    /// Follows the computation of `key`. Where there is none, `admit` sees all keys and says whether one more may begin, and `begin` starts it.
    ///
    /// # Errors
    /// Those of `admit`.
    pub(crate) fn follow(
        &self,
        key: &K,
        admit: impl FnOnce(&HashMap<K, Channel<V>>) -> Result<(), ApiError>,
        begin: impl FnOnce(Channel<V>),
    ) -> Result<Following<V>, ApiError> {
        let mut by_key = self.lock();
        if let Some(known) = by_key.get(key) {
            let mut following = known.subscribe();
            // A computation that is under way already has a state to begin with.
            following.mark_changed();
            return Ok(following);
        }
        admit(&by_key)?;
        let (sender, following) = watch::channel(None);
        by_key.insert(key.clone(), sender.clone());
        begin(sender);
        Ok(following)
    }

    /// Under the lock that new followers take, so that none joins a computation that has just ended.
    pub(crate) fn forget_when_unfollowed(&self, key: &K, sender: &Channel<V>) -> bool {
        let mut by_key = self.lock();
        let unfollowed = sender.receiver_count() == 0;
        if unfollowed {
            by_key.remove(key);
        }
        unfollowed
    }

    /// The computation has ended whoever follows it.
    pub(crate) fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    /// Insert and remove are all that happens under the lock; a panic cannot leave it half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Channel<V>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Places of open streams, of all apps and kinds together.
pub(crate) struct StreamPlaces {
    places: Arc<Semaphore>,
    max_streams: usize,
}

impl StreamPlaces {
    pub(crate) fn new(max_streams: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(max_streams)), max_streams }
    }

    /// A place, counted in `open` as long as it is held; `instead` is the way out.
    ///
    /// # Errors
    /// 503 when all are taken.
    pub(crate) fn take(&self, open: &IntGauge, instead: &str) -> Result<StreamPlace, ApiError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let message = format!("{} live streams are open, the most this server allows: {instead}", self.max_streams);
            ApiError::unavailable("too_many_streams", message)
        })?;
        open.inc();
        Ok(StreamPlace { open: open.clone(), _place: place })
    }
}

/// The place of one open stream.
pub(crate) struct StreamPlace {
    open: IntGauge,
    _place: OwnedSemaphorePermit,
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.open.dec();
    }
}
