use std::sync::Arc;
use std::time::Duration;

use event_store::EventSink;
use tokio_util::sync::CancellationToken;

use crate::clock::now_ms;

const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Lets the event store do its upkeep, one bounded piece after the other, on a thread for blocking work, until `shutdown`: without
/// a pause while there is something to do, else once every `idle`. Waits for the piece under way before it returns.
pub async fn maintain_loop(sink: Arc<dyn EventSink>, idle: Duration, shutdown: CancellationToken) {
    let mut pause = idle;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let sink = Arc::clone(&sink);
        pause = match tokio::task::spawn_blocking(move || sink.maintain(now_ms())).await {
            Ok(Ok(true)) => Duration::ZERO,
            Ok(Ok(false)) => idle,
            Ok(Err(error)) => {
                tracing::error!(%error, "upkeep of the event store failed, trying again in a minute");
                AFTER_FAILURE
            }
            Err(error) => {
                tracing::error!(%error, "upkeep of the event store ended unexpectedly, trying again in a minute");
                AFTER_FAILURE
            }
        };
    }
}
