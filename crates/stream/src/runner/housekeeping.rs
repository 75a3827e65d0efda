//! What happens once a second whether or not anything arrives.

use std::time::{Duration, Instant};

use super::Runner;

/// How often windows that pass their time are forgotten although nothing arrives.
const FORGET_INTERVAL: Duration = Duration::from_secs(60);

impl Runner {
    pub(super) async fn keep_house(&mut self) {
        let metrics = &self.metrics;
        let lag = self.parts.log.end().saturating_sub(self.appended);
        let age_ms = self.clock.now_ms() - self.newest_received_ms;
        metrics.lag_records.set(lag as i64);
        metrics.lag_seconds.set(if lag > 0 && self.newest_received_ms > 0 { age_ms as f64 / 1_000.0 } else { 0.0 });
        metrics.position.set(self.appended as i64);
        metrics.unflushed_rows.set(self.parts.sink.unflushed().0 as i64);
        let (keys, runs) = self.dedupe.counts();
        metrics.dedupe_keys.set(keys as i64);
        metrics.dedupe_runs.set(runs as i64);
        metrics.dedupe_memory_bytes.set(self.dedupe.memory_bytes() as i64);
        metrics.hot_windows.set(self.windows.len() as i64);
        metrics.realtime_memory_bytes.set(self.parts.snapshots.as_ref().map_or(0, |store| store.memory_bytes()) as i64);
        if self.last_forget.elapsed() >= FORGET_INTERVAL {
            self.last_forget = Instant::now();
            if let Err(error) = self.parts.realtime.put(Vec::new(), self.clock.now_ms()).await {
                tracing::warn!(%error, "windows that have passed were not forgotten");
            }
        }
    }
}
