//! Segments in object storage, and objects that nobody names.

use std::collections::HashSet;

use event_store::StoreError;

use super::segment::SegmentCheck;
use super::{Finding, MAX_TOLD, ReceivedRows, StoreCheck};
use crate::deletion::Tombstones;
use crate::part::Part;
use crate::segment::{AppRows, Segment, SegmentFailure, SegmentInfo};
use crate::tier::{TierError, folder};

/// Objects that the manifest did not name which are looked at again; the rest of them are counted.
const MAX_DOUBTED: usize = 1_000;

/// Why a segment was not verified.
pub(super) enum Unverified {
    /// Its storage is not configured or does not answer: nothing is known about it.
    OutOfReach(String),
    /// It is not in the storage, or is not what was uploaded.
    Lost { object: String, reason: String },
    /// Its file is not what the manifest says.
    Wrong(String),
}

/// Segments of which nothing is known, and the first reason.
#[derive(Default)]
pub(super) struct OutOfReach {
    segments: HashSet<u64>,
    rows: u64,
    reason: Option<String>,
}

impl OutOfReach {
    pub(super) fn add(&mut self, info: &SegmentInfo, reason: String) {
        if self.segments.insert(info.id) {
            self.rows += info.rows;
            self.reason.get_or_insert(reason);
        }
    }

    pub(super) fn has(&self, part: &Part) -> bool {
        matches!(part, Part::Segment(segment) if self.segments.contains(&segment.info().id))
    }
}

/// Reads the whole segment, wherever it is.
pub(super) fn verify(
    segment: &Segment,
    listed: &[AppRows],
    counted_from_ms: i64,
    tombstones: &Tombstones,
) -> Result<ReceivedRows, Unverified> {
    let object = segment.object().map(|object| object.to_string());
    if let Some(object) = &object {
        let bytes = match segment.object_length() {
            Ok(bytes) => bytes,
            Err(error @ TierError::Missing(_)) => return Err(Unverified::Lost { object: object.clone(), reason: error.to_string() }),
            Err(error) => return Err(Unverified::OutOfReach(error.to_string())),
        };
        if bytes != segment.info().bytes {
            let reason = format!("has {bytes} bytes instead of {}", segment.info().bytes);
            return Err(Unverified::Lost { object: object.clone(), reason });
        }
    }
    SegmentCheck::run(segment, listed, counted_from_ms, tombstones).map_err(|failure| match (failure, object) {
        (SegmentFailure::Unreadable(reason), Some(_)) => Unverified::OutOfReach(reason),
        (SegmentFailure::Damaged(reason), Some(object)) => Unverified::Lost { object, reason },
        (failure, None) => Unverified::Wrong(failure.to_string()),
    })
}

/// One finding for all that was out of reach.
pub(super) fn tell_out_of_reach(check: &mut StoreCheck<'_>) -> Result<(), StoreError> {
    let OutOfReach { segments, rows, reason: Some(reason) } = &check.out_of_reach else { return Ok(()) };
    let folder = check.manifest.known_store_id()?.map(folder).unwrap_or_default();
    let finding = Finding::out_of_reach(&folder, segments.len(), *rows, reason, check.tier.is_some());
    check.find(finding);
    Ok(())
}

/// Reports the store's objects that the manifest does not name. One that is about to be deleted is named.
pub(super) fn check_strays(check: &mut StoreCheck<'_>) -> Result<(), StoreError> {
    let (Some(tier), Some(store)) = (check.tier.clone(), check.manifest.known_store_id()?) else { return Ok(()) };
    let (named, folder) = (check.manifest.objects()?, folder(store));
    let (mut doubted, mut more) = (Vec::new(), 0);
    let listed = tier.options.tier.list(&folder, &mut |object| {
        if !named.contains(&object) {
            if doubted.len() < MAX_DOUBTED { doubted.push(object) } else { more += 1 }
        }
    });
    if let Err(error) = listed {
        if check.out_of_reach.reason.is_none() {
            check.find(Finding::unlisted(&folder, &error));
        }
        return Ok(());
    }
    // Uploaded since the manifest was read, or deleted since the list was: none of these is a stray.
    let named = check.manifest.objects()?;
    doubted.retain(|object| !named.contains(object) && tier.options.tier.length(object).is_ok());
    for object in doubted.iter().take(MAX_TOLD) {
        check.find(Finding::stray_object(object, "an object that the manifest does not name"));
    }
    more += doubted.len().saturating_sub(MAX_TOLD);
    if more > 0 {
        check.find(Finding::stray_object(&folder, &format!("{more} more objects that the manifest does not name")));
    }
    Ok(())
}
