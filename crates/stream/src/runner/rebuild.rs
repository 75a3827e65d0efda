//! Live windows at the start.

use std::sync::Arc;
use std::time::Duration;

use event::TimestampMs;
use event_store::{EventSource, QueryError};
use realtime_store::Resolution;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Runner;
use crate::error::StreamError;
use crate::windows::Windows;

/// Windows counted before they go to the store, while rebuilding.
const MAX_PART_WINDOWS: usize = 50_000;
/// Rows counted before their windows go to the store, while rebuilding: bounds the memory of sketches.
const MAX_PART_ROWS: u64 = 2_000_000;
const RETRY: Duration = Duration::from_secs(1);

impl Runner {
    /// Takes the live windows from the snapshot at exactly the store's position, or counts them again from the raw events.
    pub(super) async fn load_windows(&mut self, shutdown: &CancellationToken) -> Result<(), StreamError> {
        let position = self.appended;
        if let Some(store) = &self.parts.snapshots {
            match store.load_snapshot(&self.snapshot_dir(), position) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the live windows are rebuilt"),
            }
        }
        if position == 0 {
            return Ok(());
        }
        tracing::info!(position, "no realtime snapshot of this position, counting the live windows of the last seven days again");
        let now_ms = self.clock.now_ms();
        let (out, mut parts) = mpsc::channel(1);
        let source = Arc::clone(&self.parts.source);
        let scan = tokio::task::spawn_blocking(move || scan(&*source, now_ms, &out));
        while let Some(part) = parts.recv().await {
            self.windows.absorb(part);
            while let Err(error) = self.windows.publish(&*self.parts.realtime, now_ms).await {
                tracing::warn!(%error, "rebuilt windows could not be published, trying again");
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    () = tokio::time::sleep(RETRY) => {}
                }
            }
        }
        let rows = scan.await.map_err(|_| StreamError::Panicked("rebuild"))??;
        tracing::info!(rows, position, "live windows rebuilt");
        // So that the next start at this position finds a snapshot.
        self.dirty = true;
        Ok(())
    }
}

fn scan(source: &dyn EventSource, now_ms: TimestampMs, out: &mpsc::Sender<Windows>) -> Result<u64, QueryError> {
    let (mut part, mut rows) = (Windows::default(), 0u64);
    let from_ms = now_ms - Resolution::Minute.kept_ms();
    // A closed channel means shutdown: the rest is counted for nobody.
    source.scan_for_windows(from_ms, &mut |row| {
        part.add_row(row, now_ms);
        rows += 1;
        if rows.is_multiple_of(MAX_PART_ROWS) || part.len() >= MAX_PART_WINDOWS {
            let _ = out.blocking_send(std::mem::take(&mut part));
        }
    })?;
    let _ = out.blocking_send(part);
    Ok(rows)
}
