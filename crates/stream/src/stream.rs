use std::sync::Arc;

use event_log::EventLog;
use event_store::{EventSink, EventSource};
use prometheus::Registry;
use realtime_store::{MemoryRealtimeStore, RealtimeStore};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::clock::now_ms;
use crate::dedupe::{Dedupe, Rebuild};
use crate::error::StreamError;
use crate::metrics::Metrics;
use crate::options::StreamOptions;
use crate::runner::Runner;

/// What a stream stands between.
#[derive(Clone)]
pub struct StreamParts {
    /// Where records come from.
    pub log: Arc<dyn EventLog>,
    /// Where rows go to.
    pub sink: Arc<dyn EventSink>,
    /// The same store's read side, for rebuilding live windows.
    pub source: Arc<dyn EventSource>,
    /// Where live windows go to.
    pub realtime: Arc<dyn RealtimeStore>,
    /// The same realtime store when it lives in this process' memory and needs snapshots to survive it.
    pub snapshots: Option<Arc<MemoryRealtimeStore>>,
}

/// The consumer of the log: one per log, store and data folder.
pub struct Stream {
    pub(crate) parts: StreamParts,
    pub(crate) options: StreamOptions,
    pub(crate) metrics: Metrics,
    pub(crate) dedupe: Dedupe,
    pub(crate) position: u64,
    pub(crate) caught_up: CaughtUp,
}

/// Told once everything that the log held when the stream was opened is visible, live windows included.
#[derive(Clone)]
pub(crate) struct CaughtUp {
    /// Where the log ended.
    pub(crate) end: u64,
    pub(crate) signal: CancellationToken,
}

impl Stream {
    /// Opens the stream at the store's durable position. Blocks for reading the filters of dedupe runs.
    ///
    /// # Errors
    /// [`StreamError::LogBehind`] when log and store do not fit together, [`StreamError::Folder`] or [`StreamError::Damaged`] for the
    /// stream's own folder, [`StreamError::Rebuild`] when lost dedupe runs could not be made again, [`StreamError::Metrics`].
    pub fn open(parts: StreamParts, registry: &Registry, options: StreamOptions) -> Result<Self, StreamError> {
        let position = parts.sink.position();
        let end = parts.log.end();
        if end < position {
            return Err(StreamError::LogBehind { position, end });
        }
        let metrics = Metrics::register(registry)?;
        let mut dedupe = Dedupe::open(&options.data_dir.join("dedupe"), position, options.dedupe_window_ms)?;
        if options.dedupe_enabled {
            rebuild_lost_runs(&mut dedupe, &*parts.source, now_ms())?;
        }
        let caught_up = CaughtUp { end, signal: CancellationToken::new() };
        Ok(Self { parts, options, metrics, dedupe, position, caught_up })
    }

    /// Cancelled once everything that the log held when the stream was opened is visible in the stores, live windows included.
    /// A process that waits for it before it calls itself ready never answers with less than it did before its restart.
    pub fn caught_up(&self) -> CancellationToken {
        self.caught_up.signal.clone()
    }

    /// Reads until `shutdown`: restores or rebuilds the live windows, then follows the log. On shutdown it drains what the log already
    /// has (for a bounded time), makes everything durable, and returns. Works on a thread of its own, so that a burst of records
    /// does not delay the caller's runtime.
    ///
    /// # Errors
    /// [`StreamError`]: nothing is lost, the next start goes on at the store's position.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), StreamError> {
        // Whoever drops this future stops the thread too.
        let stop = shutdown.child_token();
        let _stops_when_dropped = stop.clone().drop_guard();
        let (result, ended) = oneshot::channel();
        let folder = self.options.data_dir.clone();
        let spawned = std::thread::Builder::new().name("stream".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().thread_name("stream-work").build();
            let outcome = match runtime {
                Ok(runtime) => runtime.block_on(Runner::new(self).run(&stop)),
                Err(source) => Err(StreamError::folder(&folder, source)),
            };
            // The receiver is gone only when nobody wants to know.
            let _ = result.send(outcome);
        });
        spawned.map_err(|_| StreamError::Panicked("thread"))?;
        ended.await.map_err(|_| StreamError::Panicked("thread"))?
    }
}

/// Collects the insert ids of runs that are gone from the stored events, so that their duplicates are known again.
fn rebuild_lost_runs(dedupe: &mut Dedupe, source: &dyn EventSource, now_ms: i64) -> Result<(), StreamError> {
    let gaps = dedupe.gaps()?;
    if gaps.is_empty() {
        return Ok(());
    }
    tracing::warn!(?gaps, "dedupe runs of these log records are missing: their insert ids are collected from the stored events");
    let mut rebuild = Rebuild::begin(dedupe, gaps, now_ms)?;
    let missing = source.scan_insert_ids(rebuild.since_ms(), &mut |app, insert_id, received_ms| rebuild.add(app, insert_id, received_ms));
    for reason in missing? {
        tracing::error!(%reason, "insert ids of events that cannot be read are not known: their duplicates would be stored again");
    }
    let keys = rebuild.finish()?;
    tracing::info!(keys, "the missing dedupe runs were made again");
    Ok(())
}
