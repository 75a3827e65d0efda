//! Removing the bytes of hidden rows, one bounded piece at a time. Each piece asks the manifest what is left to do, so a crash between any two of
//! them, or in the middle of one, is followed by the same pieces again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use event::AppId;
use event_store::{QueryError, RollupSize, StoreError};

use super::search;
use crate::manifest::{StoredDeletion, StoredDeletionSegment};
use crate::part::Part;
use crate::rollup::{period_start, size_ms};
use crate::segment::Segment;
use crate::store::{ParquetStore, locked};

/// How long a piece that could not be done is left alone.
const RETRY_MS: i64 = 60_000;

/// What could not be done, by what it was about.
#[derive(Debug, Default)]
pub(crate) struct Blocked(BTreeMap<Obstacle, (i64, String)>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Obstacle {
    Segment(u64),
    Recount(String),
}

impl Blocked {
    fn waits(&self, obstacle: &Obstacle, now_ms: i64) -> bool {
        self.0.get(obstacle).is_some_and(|(until_ms, _)| now_ms < *until_ms)
    }

    fn block(&mut self, obstacle: Obstacle, now_ms: i64, reason: String) {
        tracing::warn!(reason, "a person's deletion waits");
        self.0.insert(obstacle, (now_ms.saturating_add(RETRY_MS), reason));
    }

    fn clear(&mut self, obstacle: &Obstacle) {
        self.0.remove(obstacle);
    }

    /// What a deletion waits for.
    pub(super) fn reasons(&self, deletion: &StoredDeletion, segments: &[StoredDeletionSegment]) -> Vec<String> {
        let open = segments.iter().filter(|segment| !segment.rewritten).map(|segment| Obstacle::Segment(segment.segment));
        let all = open.chain([Obstacle::Recount(deletion.id.clone())]);
        all.filter_map(|obstacle| self.0.get(&obstacle).map(|(_, reason)| reason.clone())).collect()
    }
}

impl ParquetStore {
    /// True when a sketch of a period in the range may still hold a deleted person.
    pub(crate) fn has_stale_sketches(&self, app: &AppId, range: (i64, i64)) -> Result<bool, QueryError> {
        let unfinished = self.manifest.all_deletions(true).map_err(|error| QueryError::Store(error.to_string()))?;
        let mut days = unfinished.iter().filter(|deletion| *deletion.mark.app == *app.as_str()).flat_map(|deletion| &deletion.days);
        Ok(days.any(|&day_ms| day_ms < range.1 && day_ms + size_ms(RollupSize::Day) > range.0))
    }

    /// Does one piece of a deletion; false when nothing can be done now. The lock of upkeep is held.
    pub(crate) fn advance_deletions(&self, now_ms: i64) -> Result<bool, StoreError> {
        for deletion in self.manifest.all_deletions(true)? {
            if self.advance(&deletion, now_ms)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn advance(&self, deletion: &StoredDeletion, now_ms: i64) -> Result<bool, StoreError> {
        let segments = self.manifest.deletion_segments(&deletion.id)?;
        let mut open = false;
        for stored in segments.iter().filter(|stored| !stored.rewritten) {
            open = true;
            if locked(&self.blocked).waits(&Obstacle::Segment(stored.segment), now_ms) {
                continue;
            }
            let part = self.segments_to_maintain().into_iter().find(|part| segment(part).is_some_and(|s| s.info().id == stored.segment));
            let Some(part) = part else { continue };
            if self.remove_rows(deletion, stored, &part, now_ms)? {
                return Ok(true);
            }
        }
        if open {
            return Ok(false);
        }
        match deletion.days.first() {
            Some(&day_ms) => self.recount_day(deletion, day_ms, now_ms),
            None => self.finish(deletion, &segments, now_ms),
        }
    }

    /// Searches a segment that could not be read before, or writes one again without its hidden rows.
    fn remove_rows(
        &self,
        deletion: &StoredDeletion,
        stored: &StoredDeletionSegment,
        part: &Arc<Part>,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let Some(segment) = segment(part) else { return Ok(false) };
        let obstacle = Obstacle::Segment(stored.segment);
        let done = if stored.rows.is_none() {
            self.search_again(deletion, segment, part)?
        } else {
            match self.rewrite(std::slice::from_ref(part), Default::default(), &[]) {
                Err(error @ StoreError::Full(_)) => return Err(error),
                Err(error) => Err(error.to_string()),
                Ok(true) => Ok(()),
                Ok(false) => Err(segment.damage().unwrap_or("it could not be read").to_owned()),
            }
        };
        match done {
            Ok(()) => {
                locked(&self.blocked).clear(&obstacle);
                Ok(true)
            }
            Err(reason) => {
                locked(&self.blocked).block(obstacle, now_ms, reason);
                Ok(false)
            }
        }
    }

    fn search_again(&self, deletion: &StoredDeletion, segment: &Segment, part: &Arc<Part>) -> Result<Result<(), String>, StoreError> {
        let Some(found) = search(segment, &deletion.mark) else {
            return Ok(Err(format!("segment {} cannot be read", segment.info().path)));
        };
        let found_days = found.counts.keys().map(|(hour, _)| period_start(RollupSize::Day, *hour));
        let days: BTreeSet<i64> = deletion.days.iter().copied().chain(found_days).collect();
        let days: Vec<i64> = days.into_iter().collect();
        let id = segment.info().id;
        self.commit(
            || self.manifest.search_done(deletion, id, &found, &days),
            |state| {
                // Other deletions may not have been able to search it either: what the manifest says of it now decides.
                let Some(place) = state.segments.iter_mut().find(|known| Arc::ptr_eq(known, part)) else { return };
                let cover = self.manifest.segment_covers().unwrap_or_default().remove(&id).unwrap_or_default();
                *place = Arc::new(Part::Segment(segment.covered(cover.hidden, cover.unsearched)));
            },
        )?;
        Ok(Ok(()))
    }

    /// Counts a day's rollups again without the rows that are gone; flushes wait only while what they added is counted.
    fn recount_day(&self, deletion: &StoredDeletion, day_ms: i64, now_ms: i64) -> Result<bool, StoreError> {
        let obstacle = Obstacle::Recount(deletion.id.clone());
        if locked(&self.blocked).waits(&obstacle, now_ms) {
            return Ok(false);
        }
        let Some(app) = AppId::new(&deletion.mark.app) else { return Ok(false) };
        let range = (day_ms, day_ms + size_ms(RollupSize::Day));
        let counted = self.count_while_flushing(&app, range, |counted| {
            let floor_ms = self.manifest.raw_floor(app.as_str())?;
            self.commit(|| self.manifest.replace_rollup_day(deletion, day_ms, floor_ms, counted), |_| {})
        });
        match counted {
            Ok(()) => {
                kill_point::reach("deletion.recounted");
                locked(&self.blocked).clear(&obstacle);
                Ok(true)
            }
            Err(StoreError::Damaged(reason)) => {
                locked(&self.blocked).block(obstacle, now_ms, format!("rollups cannot be counted again: {reason}"));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The end, once nobody reads the old files any more and they are gone.
    fn finish(&self, deletion: &StoredDeletion, segments: &[StoredDeletionSegment], now_ms: i64) -> Result<bool, StoreError> {
        let files_left = segments.iter().any(|segment| self.root.join(&segment.path).exists());
        if files_left || self.manifest.has_garbage_of(&deletion.id)? || !self.manifest.empty_write_ahead_log()? {
            return Ok(false);
        }
        self.commit(|| self.manifest.finish_deletion(&deletion.id, now_ms), |_| {})?;
        kill_point::reach("deletion.finished");
        tracing::info!(deletion = deletion.id, rows = deletion.rows, segments = segments.len(), "a person's rows are gone");
        Ok(true)
    }
}

fn segment(part: &Part) -> Option<&Segment> {
    match part {
        Part::Segment(segment) => Some(segment),
        Part::Memory(_) => None,
    }
}
