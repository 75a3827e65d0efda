//! Deleting a person: rows hidden from every reader in one transaction, then removed from the files, with a receipt.
//!
//! The transaction names the rows of the person by their place in each segment, which never changes, so that readers and merges leave
//! them out by row number, and a segment without such rows is read as ever. Rows in memory are taken out at once. What comes in later, be it
//! new or from the log after a crash, is compared with the tombstones before it becomes visible. So a segment written after a deletion
//! holds no row that it covers, and the deletion is done when the segments it named are gone.

mod linked;
mod person;
mod receipt;
mod search;
mod tombstones;
mod verify;
mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use event::AppId;
use event_store::{DeletionReceipt, DeletionRequest, LaterEvents, PersonDeletions, RollupSize, StoreError};
use sha2::{Digest, Sha256};

use crate::manifest::{Manifest, SegmentFinding, StoredDeletion};
use crate::part::Part;
use crate::pending::{Pending, memory};
use crate::rollup::period_start;
use crate::segment::Segment;
use crate::store::{ParquetStore, State, locked};

pub(crate) use person::PersonMark;
pub(crate) use search::FoundRows;
use tombstones::MAX_DELETED_PERSONS;
pub(crate) use tombstones::Tombstones;
pub(crate) use work::Blocked;

/// What is known of the segments: the rows found, or `None` where a segment could not be read.
type Findings = HashMap<u64, Option<FoundRows>>;

/// Why a deletion was not committed.
enum NotCommitted {
    /// Segments came that were not searched.
    Unsearched,
    Failed(StoreError),
}

impl PersonDeletions for ParquetStore {
    fn delete_person(&self, request: &DeletionRequest<'_>) -> Result<DeletionReceipt, StoreError> {
        if self.tombstones().persons() >= MAX_DELETED_PERSONS {
            return Err(StoreError::Full(format!("{MAX_DELETED_PERSONS} persons are remembered as deleted, which is the limit")));
        }
        let mut mark = self.mark_of(request)?;
        let mut findings = Findings::new();
        let id = loop {
            self.search_segments(&mark, &mut findings);
            let _flushing = locked(&self.flushing);
            let now = self.mark_of(request)?;
            if now != mark {
                // Ids were linked meanwhile.
                findings.clear();
                mark = now;
                continue;
            }
            match self.commit_deletion(request, &mark, &findings) {
                Ok(id) => break id,
                Err(NotCommitted::Unsearched) => {}
                Err(NotCommitted::Failed(error)) => return Err(error),
            }
        };
        let receipt = self.deletion(request.app, &id)?;
        receipt.ok_or_else(|| StoreError::Damaged(format!("manifest: the deletion {id} is not there")))
    }

    fn deletion(&self, app: &AppId, id: &str) -> Result<Option<DeletionReceipt>, StoreError> {
        self.manifest.deletion(app.as_str(), id)?.map(|stored| self.receipt(app, stored)).transpose()
    }

    fn deletions(&self, app: &AppId, limit: usize) -> Result<Vec<DeletionReceipt>, StoreError> {
        self.manifest.deletions_of(app.as_str(), limit)?.into_iter().map(|stored| self.receipt(app, stored)).collect()
    }
}

impl ParquetStore {
    /// Searches the segments that were not searched yet.
    fn search_segments(&self, mark: &PersonMark, findings: &mut Findings) {
        for part in self.segments_to_maintain() {
            if let Part::Segment(segment) = &*part
                && segment.info().may_hold(&mark.app, i64::MIN, i64::MAX)
                && !findings.contains_key(&segment.info().id)
            {
                findings.insert(segment.info().id, search(segment, mark));
            }
        }
    }

    /// Hides what was found, if that is all there is. No flush runs meanwhile.
    fn commit_deletion(&self, request: &DeletionRequest<'_>, mark: &PersonMark, findings: &Findings) -> Result<String, NotCommitted> {
        let failed = NotCommitted::Failed;
        let refused = self.manifest.find_refused(&mark.app, &|raw| mark.is_in_refused(raw)).map_err(failed)?;
        let in_memory: u64 = self.memory_parts().iter().filter_map(memory).map(|part| FoundRows::in_memory(mark, part).rows.rows()).sum();
        let mut deletion = self.new_deletion(request, mark).map_err(failed)?;
        deletion.rejected = refused.len() as u64;
        let mut forgotten = (0, 0);
        kill_point::reach("deletion.before_commit");
        self.commit(
            || {
                let live = self.segments_to_maintain();
                let segments = named(&live, mark, findings).ok_or(NotCommitted::Unsearched)?;
                let found = || segments.iter().filter_map(|finding| finding.found);
                deletion.rows = in_memory + found().map(|found| found.rows.rows()).sum::<u64>();
                let days = found().flat_map(|found| found.counts.keys()).map(|(hour, _)| period_start(RollupSize::Day, *hour));
                deletion.days = days.collect::<BTreeSet<_>>().into_iter().collect();
                self.manifest.insert_deletion(&deletion, &segments, &refused).map_err(NotCommitted::Failed)
            },
            |state| {
                hide_in_segments(state, findings);
                forgotten = state.forget_person(mark);
                let mut tombstones = self.tombstones.write().unwrap_or_else(PoisonError::into_inner);
                tombstones.add_person(mark, request.now_ms, request.later_events == LaterEvents::Refuse);
            },
        )?;
        kill_point::reach("deletion.committed");
        let (rows, rejected) = forgotten;
        // Rows that came between the look and the commit.
        if rows > in_memory || rejected > 0 {
            self.manifest.add_deleted_rows(&deletion.id, rows.saturating_sub(in_memory), rejected).map_err(failed)?;
        }
        tracing::info!(deletion = deletion.id, app = &*mark.app, rows = deletion.rows, "a person's rows are hidden and will be removed");
        Ok(deletion.id)
    }

    fn new_deletion(&self, request: &DeletionRequest<'_>, mark: &PersonMark) -> Result<StoredDeletion, StoreError> {
        let mut digest = Sha256::new();
        for part in [&self.manifest.deletion_count()?.to_le_bytes()[..], mark.app.as_bytes(), &mark.id, &request.now_ms.to_le_bytes()] {
            digest.update(part);
        }
        Ok(StoredDeletion {
            id: format!("del_{}", person::hex(&digest.finalize()[..8])),
            mark: mark.clone(),
            requested_at_ms: request.now_ms,
            refuse_later: request.later_events == LaterEvents::Refuse,
            rows: 0,
            rejected: 0,
            days: Vec::new(),
            log_until_ms: self.options.log_kept_ms.map(|kept_ms| request.now_ms.saturating_add(kept_ms)),
            finished_at_ms: None,
        })
    }

    fn memory_parts(&self) -> Vec<Arc<Part>> {
        self.state().unflushed().flat_map(|pending| &pending.parts).cloned().collect()
    }
}

/// All deletions so far.
pub(crate) fn tombstones_of(manifest: &Manifest) -> Result<Tombstones, StoreError> {
    manifest.all_deletions(false).map(|deletions| Tombstones::of(&deletions))
}

/// The person's rows of a segment; `None`, and the reason in the log, when it cannot be read.
fn search(segment: &Segment, mark: &PersonMark) -> Option<FoundRows> {
    let searched = segment.open_unsearched().and_then(|open| FoundRows::in_segment(mark, &open).map_err(|failure| segment.failed(failure)));
    searched.ok()
}

/// What the transaction says of each live segment; `None` when one was not searched.
fn named<'a>(live: &'a [Arc<Part>], mark: &PersonMark, findings: &'a Findings) -> Option<Vec<SegmentFinding<'a>>> {
    let mut named = BTreeMap::new();
    for part in live {
        let Part::Segment(segment) = &**part else { continue };
        let info = segment.info();
        if !info.may_hold(&mark.app, i64::MIN, i64::MAX) {
            continue;
        }
        let found = findings.get(&info.id)?;
        if found.as_ref().is_none_or(|found| !found.rows.is_empty()) {
            named.insert(info.id, SegmentFinding { segment: info.id, path: &info.path, found: found.as_ref() });
        }
    }
    Some(named.into_values().collect())
}

fn hide_in_segments(state: &mut State, findings: &Findings) {
    for part in &mut state.segments {
        let Part::Segment(segment) = &**part else { continue };
        let covered = match findings.get(&segment.info().id) {
            Some(Some(found)) if !found.rows.is_empty() => segment.covered(segment.hidden().with(&found.rows), segment.is_unsearched()),
            Some(None) => segment.covered(segment.hidden().clone(), true),
            _ => continue,
        };
        *part = Arc::new(Part::Segment(covered));
    }
}

impl Pending {
    /// Takes a person's rows and refused events out, and returns how many.
    pub(crate) fn forget_person(&mut self, mark: &PersonMark) -> (u64, u64) {
        let mut forgotten = 0;
        for part in std::mem::take(&mut self.parts) {
            let Some(rows) = memory(&part) else { continue };
            let found = FoundRows::in_memory(mark, rows);
            if found.rows.is_empty() {
                self.parts.push(part);
                continue;
            }
            forgotten += found.rows.rows();
            self.rows -= found.rows.rows() as usize;
            self.part_bytes -= rows.bytes();
            if let Some(kept) = rows.without(&found.rows) {
                self.part_bytes += kept.bytes();
                self.parts.push(Arc::new(Part::Memory(kept)));
            }
        }
        let before = self.ledger.rejected.len();
        self.ledger.rejected.retain(|entry| entry.app != mark.app || !mark.is_in_refused(&entry.row.raw));
        (forgotten, (before - self.ledger.rejected.len()) as u64)
    }
}
