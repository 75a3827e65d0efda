//! Accounts of ingestion: what each app sent in each minute of receipt, and the refused events themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use event::EventBatch;
use event_store::{AppendedBatch, LedgerRow, RejectedRow};

/// Refused events that are kept of one app.
pub const MAX_REJECTED_PER_APP: usize = 10_000;
/// How long a refused event is kept.
pub const REJECTED_KEPT_MS: i64 = 30 * 86_400_000;
/// How long the accounts are kept minute by minute, milliseconds.
pub const LEDGER_KEPT_MS: i64 = 90 * 86_400_000;

const MINUTE_MS: i64 = 60_000;

/// The counts of one app and minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) received: u64,
    pub(crate) stored: u64,
    pub(crate) duplicate: u64,
    /// By code.
    pub(crate) rejected: BTreeMap<String, u64>,
}

impl Counts {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.received += other.received;
        self.stored += other.stored;
        self.duplicate += other.duplicate;
        for (code, count) in &other.rejected {
            *self.rejected.entry(code.clone()).or_default() += count;
        }
    }

    pub(crate) fn into_row(self, minute_ms: i64) -> LedgerRow {
        let Self { received, stored, duplicate, rejected } = self;
        LedgerRow { minute_ms, received, stored, duplicate, rejected: rejected.into_iter().collect() }
    }
}

/// A refused event with its app.
#[derive(Clone, Debug)]
pub(crate) struct RejectedEntry {
    pub(crate) app: Arc<str>,
    pub(crate) row: RejectedRow,
}

/// What unflushed commits add to the accounts.
#[derive(Clone, Debug, Default)]
pub(crate) struct LedgerDelta {
    /// By app and minute.
    pub(crate) minutes: BTreeMap<(Arc<str>, i64), Counts>,
    /// In order of arrival.
    pub(crate) rejected: Vec<RejectedEntry>,
}

impl LedgerDelta {
    pub(crate) fn of(batches: &[AppendedBatch]) -> Self {
        let mut delta = Self::default();
        batches.iter().for_each(|appended| delta.add(appended));
        delta
    }

    fn add(&mut self, appended: &AppendedBatch) {
        let (batch, duplicates) = (&appended.batch, appended.duplicates.len() as u64);
        let app: Arc<str> = Arc::from(batch.app().as_str());
        let received_at_ms = batch.received_at_ms();
        let counts = self.minutes.entry((app.clone(), received_at_ms.div_euclid(MINUTE_MS) * MINUTE_MS)).or_default();
        counts.received += (batch.len() + batch.rejected().len()) as u64;
        counts.stored += batch.len() as u64 - duplicates;
        counts.duplicate += duplicates;
        for event in batch.rejected() {
            let code = event.reject.code.as_str();
            *counts.rejected.entry(code.to_string()).or_default() += 1;
            let message = event.reject.message.to_string();
            let row = RejectedRow { received_at_ms, index: event.index, code: code.to_string(), message, raw: event.raw.clone() };
            self.rejected.push(RejectedEntry { app: app.clone(), row });
        }
    }

    /// Accounts for events of a batch that were counted as stored and are not.
    pub(crate) fn refuse(&mut self, batch: &EventBatch, code: &str, events: u64) {
        if events == 0 {
            return;
        }
        let key = (Arc::from(batch.app().as_str()), batch.received_at_ms().div_euclid(MINUTE_MS) * MINUTE_MS);
        let counts = self.minutes.entry(key).or_default();
        counts.stored = counts.stored.saturating_sub(events);
        *counts.rejected.entry(code.to_owned()).or_default() += events;
    }

    /// Adds what came later.
    pub(crate) fn merge(&mut self, later: Self) {
        for (key, counts) in later.minutes {
            self.minutes.entry(key).or_default().merge(&counts);
        }
        self.rejected.extend(later.rejected);
    }

    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        let rejected = self.rejected.iter().map(|entry| entry.row.raw.len() + entry.row.message.len() + 128);
        self.minutes.len() * 256 + rejected.sum::<usize>()
    }
}
