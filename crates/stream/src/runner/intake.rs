//! From records to rows and windows that can be seen.

use std::time::Instant;

use event::EventBatch;
use event_log::Record;
use event_store::StoreError;

use super::{Backoff, Runner};
use crate::error::StreamError;

impl Runner {
    pub(super) async fn take_records(&mut self, records: Vec<Record>) -> Result<(), StreamError> {
        for record in records {
            if record.offset < self.end {
                continue;
            }
            self.end = record.offset + 1;
            self.metrics.records.inc();
            match EventBatch::decode(&record.payload) {
                Ok(batch) => self.take_batch(batch, record),
                Err(error) => self.set_aside(&record, &error),
            }
            let overfull =
                self.pending.events() >= self.options.max_pending_events || self.pending.bytes() >= self.options.max_pending_bytes;
            if overfull && !self.full {
                self.commit().await?;
            }
        }
        Ok(())
    }

    pub(super) fn take_batch(&mut self, batch: EventBatch, record: Record) {
        let mut duplicates = Vec::new();
        if self.options.dedupe_enabled {
            self.dedupe.mark(&batch, &mut duplicates);
        }
        let mut uncounted = self.parts.sink.unwanted(&batch);
        uncounted.extend(&duplicates);
        uncounted.sort_unstable();
        uncounted.dedup();
        let late = self.windows.add_batch(&batch, &uncounted, self.clock.now_ms());
        self.newest_received_ms = batch.received_at_ms();
        self.end_losses(batch.received_at_ms());
        self.metrics.events.inc_by((batch.len() - duplicates.len()) as u64);
        self.metrics.duplicates.inc_by(duplicates.len() as u64);
        self.metrics.rejected.inc_by(batch.rejected().len() as u64);
        self.metrics.late_events.inc_by(late);
        self.pending.push(batch, duplicates, record.payload);
    }

    pub(super) fn set_aside(&mut self, record: &Record, reason: &event::CodecError) {
        self.metrics.quarantined_records.inc();
        let (offset, bytes) = (record.offset, record.payload.len());
        match self.quarantine.keep(offset, &record.payload) {
            Ok(Some(path)) => tracing::error!(offset, bytes, %reason, path = %path.display(), "a log record is no batch, set aside"),
            Ok(None) => tracing::error!(offset, bytes, %reason, "a log record is no batch; the quarantine is full, it is not kept"),
            Err(error) => tracing::error!(offset, bytes, %reason, %error, "a log record is no batch and could not be set aside"),
        }
        self.lose(offset, offset + 1, format!("it is no batch: {reason}"));
    }

    /// Makes what was read visible: rows first, then live windows. On a full store everything stays pending.
    pub(super) async fn commit(&mut self) -> Result<(), StreamError> {
        self.commit_retry = None;
        self.tell_losses()?;
        if self.end > self.appended {
            let (commit, refused) = self.pending.take_commit(self.end);
            match self.parts.sink.append(commit) {
                Ok(()) => {
                    self.appended = self.end;
                    (self.dirty, self.full) = (true, false);
                    self.dedupe.confirm();
                }
                Err(error @ StoreError::Full(_)) => {
                    self.pending.restore(refused);
                    if !self.full {
                        tracing::warn!(%error, "the event store is full, reading waits");
                    }
                    self.full = true;
                    self.commit_retry = Some(self.commit_backoff.fail());
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.last_commit = Instant::now();
        match self.windows.publish(&*self.parts.realtime, self.clock.now_ms()).await {
            Ok(cells) => {
                self.metrics.cells_published.inc_by(cells as u64);
                self.commit_backoff = Backoff::default();
            }
            Err(error) => {
                tracing::warn!(%error, "live windows could not be published, trying again");
                self.metrics.publish_failures.inc();
                self.commit_retry = Some(self.commit_backoff.fail());
            }
        }
        Ok(())
    }
}
