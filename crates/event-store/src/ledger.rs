use event::{AppId, TimestampMs};

use crate::context::QueryError;

/// One app in one minute of receipt: `received = stored + duplicate + rejected`, always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// First millisecond of the minute.
    pub minute_ms: TimestampMs,
    /// Events in requests that were answered 200 or 400.
    pub received: u64,
    /// Events stored.
    pub stored: u64,
    /// Events seen before.
    pub duplicate: u64,
    /// Refused events by code, ascending by code.
    pub rejected: Vec<(String, u64)>,
}

/// A refused event as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// When the request was received.
    pub received_at_ms: TimestampMs,
    /// Position in its request.
    pub index: u32,
    /// The stable code.
    pub code: String,
    /// The message the client got.
    pub message: String,
    /// The bytes that came, at most 32 KiB.
    pub raw: Vec<u8>,
}

/// The newest refused events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectedPage {
    /// Newest first.
    pub rows: Vec<RejectedRow>,
}

/// The accounts of ingestion, written in the same transaction as the rows they count.
pub trait Ledger: Send + Sync {
    /// Minutes of one app in `[from_ms, to_ms)` that received anything, unflushed ones included, ascending.
    ///
    /// # Errors
    /// [`QueryError::Store`].
    fn ledger(&self, app: &AppId, from_ms: TimestampMs, to_ms: TimestampMs) -> Result<Vec<LedgerRow>, QueryError>;

    /// Refused events of one app, newest first, `limit` at most (kept for 30 days, at most 10,000 an app; counts in the ledger are complete).
    ///
    /// # Errors
    /// [`QueryError::Store`].
    fn rejected(&self, app: &AppId, limit: usize) -> Result<RejectedPage, QueryError>;
}
