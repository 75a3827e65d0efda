use std::sync::Arc;
use std::time::Duration;

use event_log::{EventLog, LogError, Offset, Record};
use tokio::sync::mpsc;

use crate::error::StreamError;

const FIRST_RETRY: Duration = Duration::from_millis(50);
const MAX_RETRY: Duration = Duration::from_secs(5);

/// What the log gave.
pub(crate) enum Read {
    Records(Vec<Record>),
    /// Records that cannot be read: `from..to`.
    Damaged {
        from: Offset,
        to: Offset,
        reason: String,
    },
}

/// Reads the log from `position` into `out` until the receiver is gone. A task of its own, because a read of the log must not be
/// cancelled half-way by whatever else the stream waits for.
///
/// # Errors
/// [`StreamError::Log`] when the records are trimmed, or reading failed `max_attempts` times in a row.
pub(crate) async fn read_log(
    log: Arc<dyn EventLog>,
    mut position: Offset,
    max_bytes: usize,
    max_attempts: u32,
    out: mpsc::Sender<Read>,
) -> Result<(), StreamError> {
    let mut reader = log.read_from(position)?;
    let (mut attempts, mut pause) = (0, FIRST_RETRY);
    loop {
        let read = match reader.next(max_bytes).await {
            Ok(records) => {
                position = records.last().map_or(position, |record| record.offset + 1);
                Read::Records(records)
            }
            Err(LogError::Damaged { from, to, reason }) => {
                position = position.max(to);
                Read::Damaged { from, to, reason }
            }
            Err(error @ LogError::Io(_)) if attempts + 1 < max_attempts => {
                attempts += 1;
                tracing::warn!(%error, attempts, position, "reading the log failed, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(MAX_RETRY);
                reader = log.read_from(position)?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        (attempts, pause) = (0, FIRST_RETRY);
        if out.send(read).await.is_err() {
            return Ok(());
        }
    }
}
