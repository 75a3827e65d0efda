//! Moving segments into object storage, and deleting objects that no segment needs.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use event_store::StoreError;

use super::{MAX_READ_BYTES, Tier, TierError, folder};
use crate::part::Part;
use crate::segment::{Segment, SegmentFailure};
use crate::store::ParquetStore;

/// How long the storage is left alone after a failure.
const RETRY_MS: i64 = 60_000;

impl ParquetStore {
    /// Moves one old segment, or deletes objects; false when there is nothing to do or the storage does not answer.
    pub(crate) fn tier(&self, now_ms: i64) -> Result<bool, StoreError> {
        let Some(tier) = self.tier.as_ref().filter(|_| self.may_use_tier(now_ms)) else { return Ok(false) };
        let result = match self.delete_garbage(tier) {
            Ok(false) => self.move_one(tier, now_ms),
            other => other,
        };
        match result {
            Ok(did) => Ok(did),
            Err(NotMoved::Store(error)) => Err(error),
            Err(NotMoved::Tier(reason)) => {
                tracing::warn!(reason, "segments stay where they are for now");
                // Readers go on: a storage that takes nothing may well give.
                tier.cache.count_failure();
                self.leave_tier_alone(now_ms);
                Ok(false)
            }
        }
    }

    /// False where there is no storage, or it failed a moment ago: upkeep waits longer than questions do.
    pub(crate) fn may_use_tier(&self, now_ms: i64) -> bool {
        self.tier.is_some() && now_ms >= self.tier_retry_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn leave_tier_alone(&self, now_ms: i64) {
        self.tier_retry_ms.store(now_ms.saturating_add(RETRY_MS), Ordering::Relaxed);
    }

    fn move_one(&self, tier: &Arc<Tier>, now_ms: i64) -> Result<bool, NotMoved> {
        let before_ms = now_ms.saturating_sub(tier.options.after_ms);
        let is_due = |segment: &Segment| {
            let is_whole = segment.damage().is_none() && !segment.is_unsearched() && segment.hidden().is_empty();
            is_whole && !segment.is_tiered() && segment.info().max_ms < before_ms
        };
        let parts = self.segments_to_maintain();
        let due = parts.iter().find_map(|part| if let Part::Segment(s) = &**part { is_due(s).then_some(s) } else { None });
        let Some(segment) = due else { return Ok(false) };
        if let Err(failure) = segment.open().and_then(|open| open.verify_all().map_err(|failure| segment.failed(failure))) {
            return match failure {
                // Quarantined by now: it stays, and the next one is chosen.
                SegmentFailure::Damaged(_) => Ok(true),
                SegmentFailure::Unreadable(reason) => Err(NotMoved::Tier(reason)),
            };
        }
        let object = object_key(segment, self.manifest.store_id()?);
        self.manifest.add_garbage(&object, segment.info().id)?;
        kill_point::reach("tier.written_down");
        tier.options.tier.put(&object, &segment.path())?;
        kill_point::reach("tier.uploaded");
        verify(tier, &object, segment)?;
        kill_point::reach("tier.verified");
        self.show_moved(tier, segment, &object)?;
        tracing::info!(segment = segment.info().path, bytes = segment.info().bytes, "a segment was moved to object storage");
        Ok(true)
    }

    /// Switches the manifest, then readers. The local file goes with its last reader.
    fn show_moved(&self, tier: &Arc<Tier>, segment: &Segment, object: &str) -> Result<(), StoreError> {
        let id = segment.info().id;
        self.commit(
            || self.manifest.set_tiered(id, object),
            |state| {
                for part in &mut state.segments {
                    // Rows may have been hidden in it meanwhile.
                    let Part::Segment(now) = &**part else { continue };
                    if now.info().id == id {
                        let tiered = now.moved(tier.clone(), Arc::from(object));
                        *part = Arc::new(Part::Segment(tiered));
                    }
                }
            },
        )?;
        kill_point::reach("tier.committed");
        segment.mark_replaced();
        Ok(())
    }

    /// Deletes one object that nobody needs, of this store only: a restored backup has a number of its own.
    fn delete_garbage(&self, tier: &Tier) -> Result<bool, NotMoved> {
        let garbage = self.manifest.garbage()?;
        if garbage.is_empty() {
            return Ok(false);
        }
        let own = folder(self.manifest.store_id()?);
        let object = garbage.into_iter().find(|object| object.starts_with(&own) && !tier.is_held(object));
        let Some(object) = object else { return Ok(false) };
        tier.options.tier.delete(&object)?;
        kill_point::reach("tier.object_deleted");
        self.manifest.garbage_deleted(&object)?;
        Ok(true)
    }
}

enum NotMoved {
    Store(StoreError),
    /// Not now, and why.
    Tier(String),
}

impl From<StoreError> for NotMoved {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<TierError> for NotMoved {
    fn from(error: TierError) -> Self {
        Self::Tier(error.to_string())
    }
}

/// An object has its store's id in its key, so that several stores may share a place, and the segment's path.
fn object_key(segment: &Segment, store: u64) -> String {
    format!("{}{}", folder(store), segment.info().path)
}

/// Reads an object back and compares it with what the manifest says of the segment.
fn verify(tier: &Tier, object: &str, segment: &Segment) -> Result<(), NotMoved> {
    let info = segment.info();
    let differs = |what: String| NotMoved::Tier(format!("{object} was uploaded and {what}"));
    let length = tier.options.tier.length(object)?;
    if length != info.bytes {
        return Err(differs(format!("has {length} bytes instead of {}", info.bytes)));
    }
    let mut at = 0;
    while at < info.bytes {
        let end = (at + MAX_READ_BYTES).min(info.bytes);
        let bytes = tier.options.tier.read(object, at..end)?;
        if !info.is_at(at, &bytes) {
            return Err(differs(format!("differs from the segment between bytes {at} and {end}")));
        }
        at = end;
    }
    Ok(())
}
