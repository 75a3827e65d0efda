//! From rows and windows that can be seen to such that last.

use std::sync::Arc;
use std::time::Instant;

use super::{Backoff, Retry, Runner};
use crate::checkpoint::{Checkpoint, Done};
use crate::dedupe::Run;
use crate::error::StreamError;

impl Runner {
    /// Freezes everything of the records before `appended` and makes it durable on another thread.
    pub(super) async fn begin_checkpoint(&mut self) -> Result<(), StreamError> {
        if self.end > self.appended {
            self.commit().await?;
        }
        let position = self.parts.sink.seal();
        if position != self.appended {
            return Err(StreamError::Misaligned { flushed: position, sealed: self.appended });
        }
        let snapshot = self.parts.snapshots.as_ref().map(|store| store.freeze());
        self.dirty = false;
        self.checkpoint_backoff = Backoff::default();
        let keys = if self.options.dedupe_enabled { self.dedupe.seal(position) } else { None };
        let (dedupe_dir, snapshot_dir) = (self.dedupe.dir().to_owned(), self.snapshot_dir());
        let log = Arc::clone(&self.parts.log);
        self.spawn_checkpoint(Checkpoint { position, keys, dedupe_dir, snapshot, snapshot_dir, log });
        Ok(())
    }

    pub(super) fn spawn_checkpoint(&mut self, checkpoint: Checkpoint) {
        self.last_checkpoint = Instant::now();
        let sink = Arc::clone(&self.parts.sink);
        self.checkpoint = Some(tokio::task::spawn_blocking(move || {
            let result = checkpoint.write(&*sink);
            (checkpoint, result)
        }));
    }

    pub(super) fn end_checkpoint(&mut self, checkpoint: Checkpoint, result: Result<Done, StreamError>) -> Result<(), StreamError> {
        let done = match result {
            Ok(done) => done,
            Err(error) => {
                self.metrics.flush_failures.inc();
                let at = self.checkpoint_backoff.fail();
                let attempts = self.checkpoint_backoff.attempts;
                if !error.is_full() && (!error.is_transient() || attempts >= self.options.max_attempts) {
                    return Err(error);
                }
                tracing::error!(%error, attempts, position = checkpoint.position, "the flush failed, trying again");
                self.checkpoint_retry = Some(Retry { checkpoint, at, reason: error.to_string() });
                return Ok(());
            }
        };
        self.metrics.flush_seconds.observe(done.seconds);
        self.metrics.durable_position.set(checkpoint.position as i64);
        self.dedupe.install(done.run);
        if let Err(error) = self.dedupe.drop_expired(self.clock.now_ms()) {
            tracing::warn!(%error, "an expired dedupe run was not deleted");
        }
        if self.full {
            self.commit_retry = Some(Instant::now());
        }
        self.begin_merge();
        Ok(())
    }

    pub(super) fn begin_merge(&mut self) {
        if self.merge.is_none()
            && !self.background.is_cancelled()
            && let Some(merge) = self.dedupe.plan_merge()
        {
            let cancel = self.background.clone();
            self.merge = Some(tokio::task::spawn_blocking(move || merge.run(&cancel)));
        }
    }

    /// A failed merge leaves its inputs as they were; the next checkpoint plans it again.
    pub(super) fn end_merge(&mut self, result: Result<Option<Run>, StreamError>) {
        match result.and_then(|merged| merged.map_or(Ok(()), |merged| self.dedupe.replace(merged))) {
            Ok(()) => self.begin_merge(),
            Err(error) => tracing::warn!(%error, "dedupe runs could not be merged"),
        }
    }

    /// Makes everything durable that was read; what the store keeps refusing is read again at the next start.
    pub(super) async fn finish(&mut self) -> Result<(), StreamError> {
        self.last_commit = Instant::now();
        // The tries before the end count anew, from short pauses on: whoever told the process to stop waits for it.
        self.checkpoint_backoff = Backoff::default();
        self.checkpoint_retry.iter_mut().for_each(|retry| retry.at = Instant::now());
        for attempt in 0.. {
            if let Some(task) = self.checkpoint.take() {
                let (checkpoint, result) = task.await.map_err(|_| StreamError::Panicked("checkpoint"))?;
                self.end_checkpoint(checkpoint, result)?;
            }
            if let Some(retry) = self.checkpoint_retry.take() {
                if attempt >= self.options.max_attempts {
                    let (from, to) = (self.parts.sink.position(), self.parts.log.end());
                    return Err(StreamError::StoppedFull { from, to, reason: retry.reason });
                }
                tokio::time::sleep_until(retry.at.into()).await;
                self.spawn_checkpoint(retry.checkpoint);
            } else if (self.dirty || self.end > self.appended) && attempt < self.options.max_attempts {
                self.begin_checkpoint().await?;
            } else {
                break;
            }
        }
        if self.full && self.end > self.appended {
            let (from, to) = (self.parts.sink.position(), self.parts.log.end());
            return Err(StreamError::StoppedFull { from, to, reason: "the event store takes no more rows".to_owned() });
        }
        Ok(())
    }
}
