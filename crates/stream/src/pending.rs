use bytes::Bytes;
use event::EventBatch;
use event_log::Offset;
use event_store::{AppendedBatch, Commit};

/// The batches that are read and deduplicated, and not in the store yet.
#[derive(Default)]
pub(crate) struct Pending {
    batches: Vec<AppendedBatch>,
    /// The records of `batches`, so that a commit the store refused can be made again without copying every batch beforehand.
    payloads: Vec<Bytes>,
    events: usize,
    bytes: usize,
}

impl Pending {
    pub(crate) fn push(&mut self, batch: EventBatch, duplicates: Vec<u32>, payload: Bytes) {
        self.events += batch.len();
        self.bytes += batch.memory_bytes() + payload.len();
        self.batches.push(AppendedBatch { batch, duplicates });
        self.payloads.push(payload);
    }

    pub(crate) fn events(&self) -> usize {
        self.events
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The commit of these batches. What is pending is its way back in case the store refuses it.
    pub(crate) fn take_commit(&mut self, end: Offset) -> (Commit, Refused) {
        let duplicates = self.batches.iter().map(|appended| appended.duplicates.clone()).collect();
        let refused = Refused { payloads: std::mem::take(&mut self.payloads), duplicates };
        let batches = std::mem::take(&mut self.batches);
        (self.events, self.bytes) = (0, 0);
        (Commit { batches, end }, refused)
    }

    /// Takes a refused commit back.
    pub(crate) fn restore(&mut self, refused: Refused) {
        for (payload, duplicates) in refused.payloads.into_iter().zip(refused.duplicates) {
            // It was decoded from the same bytes before.
            if let Ok(batch) = EventBatch::decode(&payload) {
                self.push(batch, duplicates, payload);
            }
        }
    }
}

/// What it takes to make a commit again.
pub(crate) struct Refused {
    payloads: Vec<Bytes>,
    duplicates: Vec<Vec<u32>>,
}
