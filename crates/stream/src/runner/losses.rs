//! Records that cannot be read any more: their events are gone, and every answer that may lack them has to say so.

use std::time::{Duration, Instant};

use event_log::Offset;
use event_store::LostRecords;

use super::Runner;
use crate::error::StreamError;

/// How long a loss waits for the next good record, which tells until when the lost ones were received.
pub(super) const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// A loss that the store does not know yet.
pub(super) struct Loss {
    from: Offset,
    to: Offset,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    reason: String,
    pub(super) noticed: Instant,
}

impl Runner {
    /// Takes notice that the records `from..to` cannot be read.
    pub(super) fn lose(&mut self, from: Offset, to: Offset, reason: String) {
        tracing::error!(from, to, %reason, "log records cannot be read: their events are lost");
        self.metrics.damaged_records.inc_by(to.saturating_sub(from));
        self.end = self.end.max(to);
        let from_ms = (self.newest_received_ms > 0).then_some(self.newest_received_ms);
        self.losses.push(Loss { from, to, from_ms, to_ms: None, reason, noticed: Instant::now() });
    }

    /// A good record follows the losses so far.
    pub(super) fn end_losses(&mut self, received_ms: i64) {
        self.losses.iter_mut().filter(|loss| loss.to_ms.is_none()).for_each(|loss| loss.to_ms = Some(received_ms));
    }

    /// Tells the store, before it goes beyond the lost records.
    pub(super) fn tell_losses(&mut self) -> Result<(), StreamError> {
        let now_ms = self.clock.now_ms();
        for Loss { from, to, from_ms, to_ms, reason, .. } in self.losses.drain(..) {
            // A clock that was set back must not make the range empty.
            let to_ms = to_ms.unwrap_or(now_ms).max(from_ms.unwrap_or(i64::MIN));
            self.parts.sink.lose(LostRecords { from, to, records: to.saturating_sub(from), from_ms, to_ms, reason })?;
        }
        Ok(())
    }
}
