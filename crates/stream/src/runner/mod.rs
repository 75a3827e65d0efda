//! The loop: what is due is done, then the stream waits for the log, for a task of its own, for a time, or for the end.

mod durability;
mod housekeeping;
mod intake;
mod losses;
mod rebuild;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_log::Offset;
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::checkpoint::{Checkpoint, Done};
use crate::clock::MonotonicClock;
use crate::dedupe::{Dedupe, Run};
use crate::error::StreamError;
use crate::maintain::maintain_loop;
use crate::metrics::Metrics;
use crate::options::StreamOptions;
use crate::pending::Pending;
use crate::quarantine::Quarantine;
use crate::reader::{Read, read_log};
use crate::stream::{CaughtUp, Stream, StreamParts};
use crate::windows::Windows;
use losses::{Loss, TOLD_WITHIN};

const HOUSEKEEPING: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const MAX_RETRY: Duration = Duration::from_secs(5);

type CheckpointTask = JoinHandle<(Checkpoint, Result<Done, StreamError>)>;

/// What ended a wait.
enum Wake {
    Shutdown,
    Read(Option<Read>),
    Checkpoint(Checkpoint, Result<Done, StreamError>),
    Merge(Result<Option<Run>, StreamError>),
    Timer,
}

/// A checkpoint that failed and is to be tried again.
struct Retry {
    checkpoint: Checkpoint,
    at: Instant,
    reason: String,
}

/// Something that is tried again after growing pauses.
#[derive(Default)]
struct Backoff {
    attempts: u32,
}

impl Backoff {
    fn fail(&mut self) -> Instant {
        let pause = FIRST_RETRY.saturating_mul(1 << self.attempts.min(10)).min(MAX_RETRY);
        self.attempts += 1;
        Instant::now() + pause
    }
}

/// A running stream.
///
/// Invariants: `appended <= end`; `pending` are exactly the batches of records in `appended..end`; the partial windows and the pending
/// keys of `dedupe` are exactly theirs (windows: while the realtime store is available). So what is sealed or frozen between two
/// commits is exactly that of the records before `appended`.
pub(crate) struct Runner {
    parts: StreamParts,
    options: StreamOptions,
    metrics: Metrics,
    windows: Windows,
    clock: MonotonicClock,
    dedupe: Dedupe,
    quarantine: Quarantine,
    pending: Pending,
    /// Log offset after the last record read.
    end: Offset,
    /// Log offset after the last record whose rows are in the store.
    appended: Offset,
    caught_up: CaughtUp,
    /// True when the next checkpoint would make something durable that is not.
    dirty: bool,
    /// True after the store refused a commit for want of space; nothing is read until it takes it.
    full: bool,
    last_commit: Instant,
    commit_retry: Option<Instant>,
    commit_backoff: Backoff,
    last_checkpoint: Instant,
    checkpoint: Option<CheckpointTask>,
    checkpoint_retry: Option<Retry>,
    checkpoint_backoff: Backoff,
    merge: Option<JoinHandle<Result<Option<Run>, StreamError>>>,
    background: CancellationToken,
    last_housekeeping: Instant,
    last_forget: Instant,
    newest_received_ms: i64,
    losses: Vec<Loss>,
}

impl Runner {
    pub(crate) fn new(stream: Stream) -> Self {
        let Stream { parts, options, metrics, dedupe, position, caught_up } = stream;
        let now = Instant::now();
        let quarantine = Quarantine::new(options.data_dir.join("quarantine"), options.max_quarantined_records);
        Self {
            parts,
            options,
            metrics,
            windows: Windows::default(),
            clock: MonotonicClock::default(),
            dedupe,
            quarantine,
            pending: Pending::default(),
            end: position,
            appended: position,
            caught_up,
            dirty: false,
            full: false,
            // Long enough ago for the first event to be published at once.
            last_commit: now.checked_sub(Duration::from_secs(1)).unwrap_or(now),
            commit_retry: None,
            commit_backoff: Backoff::default(),
            last_checkpoint: now,
            checkpoint: None,
            checkpoint_retry: None,
            checkpoint_backoff: Backoff::default(),
            merge: None,
            background: CancellationToken::new(),
            last_housekeeping: now,
            last_forget: now,
            newest_received_ms: 0,
            losses: Vec::new(),
        }
    }

    fn snapshot_dir(&self) -> PathBuf {
        self.options.data_dir.join("realtime")
    }

    /// See [`Stream::run`].
    pub(crate) async fn run(mut self, shutdown: &CancellationToken) -> Result<(), StreamError> {
        self.load_windows(shutdown).await?;
        let (out, mut reads) = mpsc::channel(1);
        let log = Arc::clone(&self.parts.log);
        let start = log.start();
        if start > self.end {
            self.lose(self.end, start, "the file of the log that held them is gone".to_owned());
        }
        let mut reader = tokio::spawn(read_log(log, self.end, self.options.read_bytes, self.options.max_attempts, out));
        let idle = Duration::from_millis(self.options.maintain_interval_ms);
        let upkeep = tokio::spawn(maintain_loop(Arc::clone(&self.parts.sink), idle, self.background.clone()));
        let mut result = self.follow(&mut reads, shutdown).await;
        if result.is_ok() && shutdown.is_cancelled() {
            result = self.drain(&mut reads).await;
        } else if result.is_ok() {
            // The reader ended by itself: it says why.
            result = (&mut reader).await.unwrap_or(Err(StreamError::Panicked("reader")));
        }
        reader.abort();
        if result.is_ok() {
            result = self.finish().await;
        }
        self.background.cancel();
        if let Some(merge) = self.merge.take() {
            self.end_merge(merge.await.unwrap_or(Err(StreamError::Panicked("merge"))));
        }
        upkeep.await.map_err(|_| StreamError::Panicked("upkeep"))?;
        self.keep_house().await;
        result
    }

    /// Works until shutdown, or until the reader has ended.
    async fn follow(&mut self, reads: &mut Receiver<Read>, shutdown: &CancellationToken) -> Result<(), StreamError> {
        loop {
            self.act().await?;
            if self.appended >= self.caught_up.end {
                self.caught_up.signal.cancel();
            }
            match self.wait(reads, shutdown, None).await {
                Wake::Shutdown | Wake::Read(None) => return Ok(()),
                wake => self.handle(wake).await?,
            }
        }
    }

    /// Reads on to where the log ended when shutdown came.
    async fn drain(&mut self, reads: &mut Receiver<Read>) -> Result<(), StreamError> {
        let (target, never) = (self.parts.log.end(), CancellationToken::new());
        let deadline = Instant::now() + Duration::from_millis(self.options.drain_timeout_ms);
        while self.end < target && Instant::now() < deadline {
            self.act().await?;
            match self.wait(reads, &never, Some(deadline)).await {
                Wake::Shutdown | Wake::Read(None) => break,
                wake => self.handle(wake).await?,
            }
        }
        Ok(())
    }

    /// Does what is due.
    async fn act(&mut self) -> Result<(), StreamError> {
        let now = Instant::now();
        if self.commit_due().is_some_and(|due| due <= now) {
            self.commit().await?;
        }
        if self.checkpoint_due().is_some_and(|due| due <= now) {
            match self.checkpoint_retry.take() {
                Some(retry) => self.spawn_checkpoint(retry.checkpoint),
                None => self.begin_checkpoint().await?,
            }
        }
        if now - self.last_housekeeping >= HOUSEKEEPING {
            self.last_housekeeping = now;
            self.keep_house().await;
        }
        Ok(())
    }

    /// When the next commit is due; `None` when there is nothing to commit. Records of which nothing is kept are committed too: what
    /// waits for the stream to have passed them, as readiness does, must not wait for the next event.
    fn commit_due(&self) -> Option<Instant> {
        if let Some(retry) = self.commit_retry {
            return Some(retry);
        }
        if self.pending.events() >= self.options.max_pending_events || self.pending.bytes() >= self.options.max_pending_bytes {
            return Some(self.last_commit);
        }
        if self.pending.bytes() == 0
            && let Some(loss) = self.losses.first()
        {
            return Some(loss.noticed + TOLD_WITHIN);
        }
        (self.end > self.appended).then(|| self.last_commit + Duration::from_millis(self.options.publish_interval_ms))
    }

    /// When the next checkpoint, or the next try of the last one, is due; `None` while one is under way, or nothing needs it.
    fn checkpoint_due(&self) -> Option<Instant> {
        if self.checkpoint.is_some() {
            return None;
        }
        if let Some(retry) = &self.checkpoint_retry {
            return Some(retry.at);
        }
        let (rows, bytes) = self.parts.sink.unflushed();
        let bound_passed = rows >= self.options.max_unflushed_rows || bytes >= self.options.max_unflushed_bytes;
        if self.dirty && (self.full || bound_passed || self.dedupe.recent_keys() >= self.options.max_unflushed_rows) {
            return Some(self.last_checkpoint);
        }
        let something = self.dirty || self.end > self.appended;
        something.then(|| self.last_checkpoint + Duration::from_millis(self.options.flush_interval_ms))
    }

    /// False when what was read has to find its place first.
    fn may_read(&self) -> bool {
        let (rows, bytes) = self.parts.sink.unflushed();
        !self.full
            && self.pending.events() < self.options.max_pending_events
            && self.pending.bytes() < self.options.max_pending_bytes
            && self.windows.len() < self.options.max_waiting_windows
            && rows < 2 * self.options.max_unflushed_rows
            && bytes < 2 * self.options.max_unflushed_bytes
    }

    async fn wait(&mut self, reads: &mut Receiver<Read>, shutdown: &CancellationToken, until: Option<Instant>) -> Wake {
        let housekeeping = self.last_housekeeping + HOUSEKEEPING;
        let due = [Some(housekeeping), self.commit_due(), self.checkpoint_due(), until];
        let timer = due.into_iter().flatten().min().unwrap_or(housekeeping);
        let may_read = self.may_read();
        tokio::select! {
            () = shutdown.cancelled() => Wake::Shutdown,
            (checkpoint, result) = joined(&mut self.checkpoint) => Wake::Checkpoint(checkpoint, result),
            result = joined(&mut self.merge) => Wake::Merge(result),
            read = reads.recv(), if may_read => Wake::Read(read),
            () = tokio::time::sleep_until(timer.into()) => Wake::Timer,
        }
    }

    async fn handle(&mut self, wake: Wake) -> Result<(), StreamError> {
        match wake {
            Wake::Read(Some(Read::Records(records))) => self.take_records(records).await,
            Wake::Read(Some(Read::Damaged { from, to, reason })) => {
                self.lose(from, to, reason);
                Ok(())
            }
            Wake::Checkpoint(checkpoint, result) => self.end_checkpoint(checkpoint, result),
            Wake::Merge(result) => {
                self.end_merge(result);
                Ok(())
            }
            Wake::Shutdown | Wake::Read(None) | Wake::Timer => Ok(()),
        }
    }
}

/// The result of a task that may not exist: then it never comes. A task that panicked passes its panic on.
async fn joined<T>(task: &mut Option<JoinHandle<T>>) -> T {
    let Some(handle) = task else { return std::future::pending().await };
    let result = handle.await;
    *task = None;
    match result {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down and this future with it.
            Err(_) => std::future::pending().await,
        },
    }
}
