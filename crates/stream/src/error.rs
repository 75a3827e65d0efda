use std::io;
use std::path::{Path, PathBuf};

use event_log::LogError;
use event_store::{QueryError, StoreError};
use thiserror::Error;

/// Why the stream stopped. In every case nothing is lost: the log holds what is not durable in the store, and the next start goes on
/// at the store's position.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The event store failed for longer than it may, or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log could not be read, or no longer has the records the store still needs.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Live windows or dedupe runs could not be rebuilt from the store.
    #[error("what is derived from the stored events could not be rebuilt: {0}")]
    Rebuild(#[from] QueryError),
    /// A file of the stream could not be read or written.
    #[error("{path}: {source}")]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// A file of the stream is not what this version wrote.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: &'static str,
    },
    /// The store is ahead of the log: they belong to different installations, or the log was deleted.
    #[error("the event store has records up to {position}, but the log ends at {end}: they do not belong together")]
    LogBehind {
        /// The store's position.
        position: u64,
        /// The log's end.
        end: u64,
    },
    /// The store flushed to another position than was sealed; going on could lose or double events.
    #[error("the event store flushed up to {flushed}, not up to {sealed} as sealed")]
    Misaligned {
        /// What the store returned.
        flushed: u64,
        /// What was sealed.
        sealed: u64,
    },
    /// A metric name is taken: two streams share one registry.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    /// Told to stop while the disk is full.
    #[error(
        "stopped while the disk is full: the events of log records {from}..{to} are durable in the log and not in the event store yet. \
         Nothing is lost: free space and start again ({reason})"
    )]
    StoppedFull {
        /// First log record that the store does not have durably.
        from: u64,
        /// Log offset after the last.
        to: u64,
        /// Why the last flush failed.
        reason: String,
    },
    /// A task of the stream ended by a panic.
    #[error("the stream's {0} ended unexpectedly")]
    Panicked(&'static str),
}

impl StreamError {
    pub(crate) fn folder(path: &Path, source: io::Error) -> Self {
        Self::Folder { path: path.to_owned(), source }
    }

    /// True when waiting may help for as long as it takes: somebody has to free space.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Store(StoreError::Full(_)) => true,
            Self::Folder { source, .. } => matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded),
            _ => false,
        }
    }

    /// True when a few more tries are worth it.
    pub(crate) fn is_transient(&self) -> bool {
        self.is_full() || matches!(self, Self::Store(StoreError::Io(_)) | Self::Folder { .. })
    }
}
