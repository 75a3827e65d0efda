//! What the writer, the readers and the log itself share.

use super::segments::Durable;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The durable part of a log and its counters.
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    durable: Mutex<Durable>,
    pub(super) commits_total: AtomicU64,
    pub(super) appended_total: AtomicU64,
    pub(super) written_bytes_total: AtomicU64,
}

impl Shared {
    pub(super) fn new(folder: PathBuf, durable: Durable) -> Self {
        Self {
            folder,
            durable: Mutex::new(durable),
            commits_total: AtomicU64::new(0),
            appended_total: AtomicU64::new(0),
            written_bytes_total: AtomicU64::new(0),
        }
    }

    /// Held for memory work only, never across a disk access.
    pub(super) fn durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
