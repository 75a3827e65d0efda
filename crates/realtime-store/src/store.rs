use std::sync::Arc;

use event::{AppId, TimestampMs};
use futures::future::BoxFuture;
use thiserror::Error;
use tokio::sync::watch;

use crate::cell::{Cell, CellKey, Resolution};

/// The store cannot be reached, or failed.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum RealtimeError {
    /// Wait and try again; the windows are rebuilt from the log when they were lost.
    #[error("the realtime store is not available: {0}")]
    Unavailable(String),
}

/// Cells by the start of their window, ascending.
pub type CellRange = Vec<(TimestampMs, Arc<Cell>)>;

/// Live windows. One owner, the stream, puts cells; any number of readers ask.
///
/// Cells are absolute: putting the same cell twice, or a later state over an earlier one, is all there is to a replay.
pub trait RealtimeStore: Send + Sync {
    /// The cell, if it is kept.
    ///
    /// # Errors
    /// [`RealtimeError::Unavailable`].
    fn get<'a>(&'a self, key: &'a CellKey) -> BoxFuture<'a, Result<Option<Arc<Cell>>, RealtimeError>>;

    /// Replaces cells, wakes the subscribers of their apps once each, and forgets cells that have passed their time at `now_ms`
    /// (5-second cells after 2 hours, minute cells after 7 days, by event time): those of the apps in `cells` at once, others
    /// within a minute of `now_ms`. A cell that has passed its time already is not taken. `now_ms` never goes back.
    ///
    /// # Errors
    /// [`RealtimeError::Unavailable`]; any of the cells may have been replaced: put them all again.
    fn put(&self, cells: Vec<(CellKey, Arc<Cell>)>, now_ms: TimestampMs) -> BoxFuture<'_, Result<(), RealtimeError>>;

    /// Cells of one app that start in `[from_ms, to_ms)`, ascending by start; windows without events have no cell.
    ///
    /// # Errors
    /// [`RealtimeError::Unavailable`].
    fn range<'a>(
        &'a self,
        app: &'a AppId,
        resolution: Resolution,
        from_ms: TimestampMs,
        to_ms: TimestampMs,
    ) -> BoxFuture<'a, Result<CellRange, RealtimeError>>;

    /// A number that grows with every change of the app's cells.
    fn subscribe(&self, app: &AppId) -> watch::Receiver<u64>;
}
