use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use event_log::{EventLog, Offset};
use event_store::EventSink;
use realtime_store::Snapshot;

use crate::dedupe::{Run, SealedKeys};
use crate::error::StreamError;

/// The name under which the log knows this consumer.
const CONSUMER: &str = "stream";

/// Everything that belongs to one log position and becomes durable together; see the crate's documentation for the order.
pub(crate) struct Checkpoint {
    /// The log offset it is of.
    pub(crate) position: Offset,
    pub(crate) keys: Option<Arc<SealedKeys>>,
    pub(crate) dedupe_dir: PathBuf,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) snapshot_dir: PathBuf,
    /// Released up to the position at the end.
    pub(crate) log: Arc<dyn EventLog>,
}

/// A checkpoint that is durable.
pub(crate) struct Done {
    pub(crate) run: Option<Run>,
    pub(crate) seconds: f64,
}

impl Checkpoint {
    /// Writes the dedupe run, then the snapshot, flushes the store, and releases the log. May be run again after an error. Blocks.
    pub(crate) fn write(&self, sink: &dyn EventSink) -> Result<Done, StreamError> {
        let started = Instant::now();
        let run = self.keys.as_ref().map(|keys| keys.write(&self.dedupe_dir)).transpose()?;
        kill_point::reach("checkpoint.run_written");
        if let Some(snapshot) = &self.snapshot
            && let Err(error) = snapshot.write(&self.snapshot_dir, self.position)
        {
            // Without a snapshot windows are rebuilt from the raw events, so its failure holds nothing up.
            tracing::warn!(%error, "no realtime snapshot: a restart here would rebuild the windows");
        }
        kill_point::reach("checkpoint.snapshot_written");
        let flushed = sink.flush()?;
        if flushed != self.position {
            return Err(StreamError::Misaligned { flushed, sealed: self.position });
        }
        kill_point::reach("checkpoint.flushed");
        if let Err(error) = self.log.release(CONSUMER, self.position) {
            tracing::warn!(%error, position = self.position, "the log was not trimmed, the next flush tries again");
        }
        kill_point::reach("checkpoint.released");
        Ok(Done { run, seconds: started.elapsed().as_secs_f64() })
    }
}
