use event::{EventBatchBuilder, TimestampMs};
use thiserror::Error;

use crate::parser::{Bounds, Clock, DailyId, Derived, Scratch, read_batch};

/// The parser by itself, for benchmarks and fuzzing: what the gateway does between a body and the log.
///
/// Keeps its memory between bodies.
#[derive(Default)]
pub struct BatchParser {
    batch: EventBatchBuilder,
    scratch: Scratch,
}

/// A body of which nothing can be kept.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InvalidBody(String);

impl BatchParser {
    /// Reads a body as it would arrive at `received_at_ms`; `derived` are properties for events that have not their own.
    ///
    /// # Errors
    /// [`InvalidBody`] when it is not JSON, has no list of events, or more than `max_events`.
    pub fn read(
        &mut self,
        body: &[u8],
        received_at_ms: TimestampMs,
        derived: &[(&'static str, &str)],
        max_events: usize,
    ) -> Result<&EventBatchBuilder, InvalidBody> {
        let clock = Clock { received_at_ms, sent_at_ms: None, oldest_ms: TimestampMs::MIN };
        let derived = Derived { properties: derived, daily_id: DailyId::Pending };
        match read_batch(body, clock, &derived, Bounds::new(max_events), &mut self.batch, &mut self.scratch) {
            Ok(_) => Ok(&self.batch),
            Err(fault) => Err(InvalidBody(fault.to_string())),
        }
    }
}
