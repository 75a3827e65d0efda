//! What the writer, the readers and the log itself share.

use super::segments::Durable;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a refusal for want of space tells that there is none: traffic that stays away because of it would not tell when there is some.
const REFUSAL_TELLS_FOR: Duration = Duration::from_secs(5);

/// The durable part of a log and its counters.
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    durable: Mutex<Durable>,
    /// When an append was refused last because the disk is full, and with what words.
    refusal: Mutex<Option<(Instant, String)>>,
    pub(super) commits_total: AtomicU64,
    pub(super) appended_total: AtomicU64,
    pub(super) written_bytes_total: AtomicU64,
}

impl Shared {
    pub(super) fn new(folder: PathBuf, durable: Durable) -> Self {
        Self {
            folder,
            durable: Mutex::new(durable),
            refusal: Mutex::default(),
            commits_total: AtomicU64::new(0),
            appended_total: AtomicU64::new(0),
            written_bytes_total: AtomicU64::new(0),
        }
    }

    /// Remembers that the disk had no room.
    pub(super) fn refused(&self, message: &str) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), message.to_owned()));
    }

    /// Why an append was refused a short while ago, if one was.
    pub(super) fn recent_refusal(&self) -> Option<String> {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.as_ref().filter(|(at, _)| at.elapsed() < REFUSAL_TELLS_FOR).map(|(_, message)| message.clone())
    }

    /// Held for memory work only, never across a disk access.
    pub(super) fn durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
