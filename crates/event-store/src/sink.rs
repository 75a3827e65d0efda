use event::EventBatch;
use thiserror::Error;

/// One request's batch on its way into the store.
#[derive(Clone)]
pub struct AppendedBatch {
    /// The batch as the gateway made it.
    pub batch: EventBatch,
    /// Indices of events in the batch that were seen before, ascending: counted in the ledger, not stored.
    pub duplicates: Vec<u32>,
}

/// What the stream made of a run of consecutive log records.
pub struct Commit {
    /// The batches, in log order.
    pub batches: Vec<AppendedBatch>,
    /// Log offset after the last record in `batches`: where reading goes on once this is durable.
    pub end: u64,
}

/// Log records that could not be read before their events were stored, so that those are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostRecords {
    /// First lost offset.
    pub from: u64,
    /// First offset behind them.
    pub to: u64,
    /// How many they are; one record is one request.
    pub records: u64,
    /// When the record before them was received, if that is known, ms; they were received later.
    pub from_ms: Option<i64>,
    /// When they had been received at the latest, ms.
    pub to_ms: i64,
    /// What was found instead.
    pub reason: String,
}

/// What a caller of the write side can do about a failure.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No space, or the memory of unflushed rows is at its bound: wait and try again.
    #[error("the event store cannot take more now: {0}")]
    Full(String),
    /// The disk or database failed; what was not flushed will be read again from the log.
    #[error("the event store failed: {0}")]
    Io(String),
    /// A file or database is not what this version wrote.
    #[error("the event store is damaged: {0}")]
    Damaged(String),
}

/// The write side of an event store.
///
/// One owner, the stream, calls in this order: [`EventSink::position`] once, then any number of [`EventSink::append`], now and
/// then [`EventSink::flush`]. Appended rows are visible to queries at once and durable after the next flush; a crash between
/// loses them from the store, and the stream reads them again from the log at the durable position. The position, the rows,
/// the rollups and the ledger of a flush become durable in one transaction, so a replay counts nothing twice.
///
/// [`EventSink::flush`] and [`EventSink::maintain`] run on threads of their own while the owner goes on appending, so that a long
/// flush delays no query: [`EventSink::seal`] draws the line between the rows of this flush and the rows of the next one. At most
/// one flush runs at a time.
pub trait EventSink: Send + Sync {
    /// Log offset up to which everything is durable here; 0 for a new store.
    fn position(&self) -> u64;

    /// Makes rows visible. Blocks only for work in memory.
    ///
    /// # Errors
    /// [`StoreError::Full`] when the bound on unflushed rows is reached: flush, then try again.
    fn append(&self, commit: Commit) -> Result<(), StoreError>;

    /// Indices, ascending, of events in the batch that will not be stored because their person was deleted. For live windows; the
    /// store leaves them out by itself.
    fn unwanted(&self, _batch: &EventBatch) -> Vec<u32> {
        Vec::new()
    }

    /// Takes notice of lost records, before the append that goes beyond them: from now on answers that may lack their events say so. It
    /// becomes durable with the next flush, and is remembered for ever.
    ///
    /// # Errors
    /// As for [`EventSink::flush`].
    fn lose(&self, lost: LostRecords) -> Result<(), StoreError>;

    /// Unflushed rows and their bytes of memory, for the caller to decide when to flush.
    fn unflushed(&self) -> (usize, usize);

    /// Draws a line: the next [`EventSink::flush`] covers exactly the rows appended so far, and rows appended from now on belong to
    /// a later one. Returns the log offset at the line. Takes no longer than an append. The line stays until a flush has succeeded;
    /// sealing again before that moves it to the newest row.
    fn seal(&self) -> u64;

    /// Makes everything up to the line durable together with its position, and returns that position; without a line, everything
    /// appended when it begins.
    ///
    /// # Errors
    /// Nothing is lost on an error: the rows stay visible and unflushed, the durable position stays.
    fn flush(&self) -> Result<u64, StoreError>;

    /// Runs one bounded piece of upkeep: a compaction, or dropping what has passed its retention.
    /// Returns false when nothing was left to do.
    ///
    /// # Errors
    /// As for [`EventSink::flush`]; the store is as it was before.
    fn maintain(&self, now_ms: i64) -> Result<bool, StoreError>;

    /// Counts the rollups of one app again from its raw events; the result is identical where nothing was lost.
    ///
    /// # Errors
    /// As for [`EventSink::flush`].
    fn rebuild_rollups(&self, app: &event::AppId) -> Result<(), StoreError>;
}
