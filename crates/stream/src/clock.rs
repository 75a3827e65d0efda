use std::time::{SystemTime, UNIX_EPOCH};

use event::TimestampMs;

/// The wall clock, milliseconds.
pub(crate) fn now_ms() -> TimestampMs {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as TimestampMs)
}

/// The wall clock made to never go back while the process lives: a window that was forgotten must not be opened again.
#[derive(Default)]
pub(crate) struct MonotonicClock(TimestampMs);

impl MonotonicClock {
    pub(crate) fn now_ms(&mut self) -> TimestampMs {
        self.0 = self.0.max(now_ms());
        self.0
    }
}
