use bytes::Bytes;
use futures::future::BoxFuture;
use thiserror::Error;

/// Position of a record: the first record ever appended has 0, each next one 1 more; never reused.
pub type Offset = u64;

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its position.
    pub offset: Offset,
    /// The bytes that were appended.
    pub payload: Bytes,
}

/// What a caller does about a failure.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum LogError {
    /// The queue of waiting appends, or the disk, is full: answer "try later". Nothing was kept.
    #[error("the log cannot take more now: {0}")]
    Full(String),
    /// An earlier write or fsync failed; no append succeeds until the process starts again and repairs the tail.
    #[error("the log has stopped taking writes: {0}")]
    Latched(String),
    /// A record larger than a segment may hold. Nothing was kept.
    #[error("a record of {bytes} bytes is larger than the limit of {max_bytes} bytes")]
    TooLarge {
        /// Size of the record.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// The records before `start` were trimmed.
    #[error("offset {wanted} was trimmed, the log starts at {start}")]
    Trimmed {
        /// What was asked for.
        wanted: Offset,
        /// The oldest offset there is.
        start: Offset,
    },
    /// Records in the middle of the log are damaged: `from..to` cannot be read, reading goes on at `to`.
    #[error("log records {from}..{to} are damaged and were skipped: {reason}")]
    Damaged {
        /// First unreadable offset.
        from: Offset,
        /// First readable offset after it.
        to: Offset,
        /// What was found.
        reason: String,
    },
    /// Reading failed.
    #[error("the log could not be read: {0}")]
    Io(String),
}

/// An ordered, durable log of records.
///
/// Writers call [`EventLog::append`] from any number of tasks. Consumers call [`EventLog::read_from`] at the position they stored
/// with their data, and [`EventLog::release`] once a position is durable with it; what every known consumer has released may be
/// trimmed. Offsets follow the order in which appends became durable, and a record is readable only once it is durable.
pub trait EventLog: Send + Sync {
    /// Appends one record and resolves when it is durable. Dropping the future does not take the record back.
    ///
    /// # Errors
    /// [`LogError::Full`], [`LogError::Latched`] or [`LogError::TooLarge`]; the record is then not in the log, or, after
    /// `Latched`, may be found there after the restart, as with any request whose answer was lost.
    fn append(&self, payload: Bytes) -> BoxFuture<'_, Result<Offset, LogError>>;

    /// A reader whose first record is the one at `offset` (which may be the end).
    ///
    /// # Errors
    /// [`LogError::Trimmed`] or [`LogError::Io`].
    fn read_from(&self, offset: Offset) -> Result<Box<dyn LogReader>, LogError>;

    /// The offset the next durable record will get.
    fn end(&self) -> Offset;

    /// The oldest offset that can be read.
    fn start(&self) -> Offset;

    /// Tells that `consumer` will never again need records before `position`.
    ///
    /// # Errors
    /// [`LogError::Io`]; nothing was trimmed.
    fn release(&self, consumer: &str, position: Offset) -> Result<(), LogError>;
}

/// One consumer's walk through the log.
pub trait LogReader: Send {
    /// The next records in order, at least one and about `max_bytes` of them; waits at the end of the log.
    ///
    /// # Errors
    /// [`LogError::Damaged`] once per damaged range, after which the next call goes on behind it; [`LogError::Trimmed`] when the
    /// records were released by everybody else meanwhile; [`LogError::Io`].
    fn next(&mut self, max_bytes: usize) -> BoxFuture<'_, Result<Vec<Record>, LogError>>;
}
