use std::collections::HashMap;
use std::sync::Arc;

use event::EventBatch;
use event_store::{AppendedBatch, DELETED_PERSON};

use super::person::{IdHash, PersonMark, id_hash, ids_in_refused};
use crate::ledger::LedgerDelta;
use crate::manifest::StoredDeletion;

/// Persons that are remembered as deleted at most, over all apps; each takes some 100 bytes of memory.
pub(crate) const MAX_DELETED_PERSONS: usize = 1_000_000;

/// What is kept of the deletions of one person; the newest one decides about later events.
#[derive(Clone, Debug)]
pub(crate) struct Tombstone {
    pub(crate) id: IdHash,
    pub(crate) requested_at_ms: i64,
    pub(crate) refuse_later: bool,
}

impl Tombstone {
    fn covers(&self, received_at_ms: i64) -> bool {
        self.refuse_later || received_at_ms <= self.requested_at_ms
    }
}

/// Every deleted person: what must not come in again, be it late, from the log after a crash, or new.
///
/// Whether an event is covered depends on the event and the deletion alone, so a replay of the log decides as the first reading did.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    apps: HashMap<Arc<str>, HashMap<u64, Vec<Tombstone>>>,
    persons: usize,
}

impl Tombstones {
    /// Those of all these deletions, oldest first.
    pub(crate) fn of(deletions: &[StoredDeletion]) -> Self {
        let mut tombstones = Self::default();
        for deletion in deletions {
            tombstones.add_person(&deletion.mark, deletion.requested_at_ms, deletion.refuse_later);
        }
        tombstones
    }

    /// Number of persons.
    pub(crate) fn persons(&self) -> usize {
        self.persons
    }

    /// Adds a deletion that is newer than those before it, for every id of the person.
    pub(crate) fn add_person(&mut self, mark: &PersonMark, requested_at_ms: i64, refuse_later: bool) {
        mark.ids().for_each(|(key, id)| self.add(&mark.app, key, Tombstone { id, requested_at_ms, refuse_later }));
    }

    fn add(&mut self, app: &Arc<str>, key: u64, tombstone: Tombstone) {
        let of_key = self.apps.entry(app.clone()).or_default().entry(key).or_default();
        match of_key.iter_mut().find(|known| known.id == tombstone.id) {
            Some(known) => {
                known.requested_at_ms = known.requested_at_ms.max(tombstone.requested_at_ms);
                known.refuse_later = tombstone.refuse_later;
            }
            None => {
                of_key.push(tombstone);
                self.persons += 1;
            }
        }
    }

    /// The persons of an app by key; `None` for an app without deletions.
    pub(crate) fn of_app(&self, app: &str) -> Option<&HashMap<u64, Vec<Tombstone>>> {
        self.apps.get(app)
    }

    /// Whether an event of this id, received then, is covered.
    pub(crate) fn covers_id(&self, app: &str, key: u64, id: &str, received_at_ms: i64) -> bool {
        let of_key = self.of_app(app).and_then(|persons| persons.get(&key));
        of_key.is_some_and(|of_key| {
            let id = id_hash(id);
            of_key.iter().any(|tombstone| tombstone.id == id && tombstone.covers(received_at_ms))
        })
    }

    /// Indices, ascending, of events in the batch that are covered.
    pub(crate) fn covered(&self, batch: &EventBatch) -> Vec<u32> {
        let Some(persons) = self.of_app(batch.app().as_str()) else { return Vec::new() };
        let received_at_ms = batch.received_at_ms();
        let is_covered = |event: &event::EventView<'_>| {
            let of_key = event.person().and_then(|person| persons.get(&person.0));
            of_key.is_some_and(|of_key| {
                let id = event.user_id.or(event.anonymous_id).map(id_hash);
                of_key.iter().any(|tombstone| Some(tombstone.id) == id && tombstone.covers(received_at_ms))
            })
        };
        batch.iter().filter(is_covered).map(|event| event.index as u32).collect()
    }

    /// Makes covered events of the batches count as not to be stored, and their accounts and refused events say so. An event that was
    /// received before its person's deletion stays counted as stored: it was. Doing it again with more tombstones changes what the
    /// new ones cover only.
    pub(crate) fn screen(&self, batches: &mut [AppendedBatch], ledger: &mut LedgerDelta) {
        if self.persons == 0 {
            return;
        }
        for appended in batches {
            let Some(persons) = self.of_app(appended.batch.app().as_str()) else { continue };
            let mut covered = self.covered(&appended.batch);
            covered.retain(|index| appended.duplicates.binary_search(index).is_err());
            if covered.is_empty() {
                continue;
            }
            let received_at_ms = appended.batch.received_at_ms();
            let late = |event: &event::EventView<'_>| {
                let of_key = event.person().and_then(|person| persons.get(&person.0));
                let id = event.user_id.or(event.anonymous_id).map(id_hash);
                of_key.is_some_and(|of_key| of_key.iter().any(|t| Some(t.id) == id && received_at_ms > t.requested_at_ms))
            };
            let covered_events = appended.batch.iter().filter(|event| covered.binary_search(&(event.index as u32)).is_ok());
            let refused = covered_events.filter(late).count() as u64;
            ledger.refuse(&appended.batch, DELETED_PERSON, refused);
            appended.duplicates.extend(covered);
            appended.duplicates.sort_unstable();
        }
        ledger.rejected.retain(|entry| !self.is_covered_refusal(&entry.app, entry.row.received_at_ms, &entry.row.raw));
    }

    fn is_covered_refusal(&self, app: &str, received_at_ms: i64, raw: &[u8]) -> bool {
        let Some(persons) = self.of_app(app) else { return false };
        ids_in_refused(raw, &mut |id| {
            let of_key = event::person_hash(Some(id), None).and_then(|person| persons.get(&person.0));
            of_key.is_some_and(|of_key| {
                let id = id_hash(id);
                of_key.iter().any(|tombstone| tombstone.id == id && tombstone.covers(received_at_ms))
            })
        })
    }
}
