use event::AppId;
use event_store::{DeletedFrom, DeletionReceipt, DeletionState, LaterEvents, StoreError};
use sha2::{Digest, Sha256};

use super::person::hex;
use crate::manifest::{StoredDeletion, StoredDeletionSegment};
use crate::store::{ParquetStore, locked};

impl ParquetStore {
    /// The receipt of a stored deletion.
    pub(super) fn receipt(&self, app: &AppId, stored: StoredDeletion) -> Result<DeletionReceipt, StoreError> {
        let segments = self.manifest.deletion_segments(&stored.id)?;
        let blocked = if stored.finished_at_ms.is_some() { Vec::new() } else { locked(&self.blocked).reasons(&stored, &segments) };
        let state = match (stored.finished_at_ms, blocked.is_empty()) {
            (Some(_), _) => DeletionState::Finished,
            (None, true) => DeletionState::Rewriting,
            (None, false) => DeletionState::Blocked,
        };
        let sha256 = stored.finished_at_ms.map(|_| hex(&Sha256::digest(text_of(&stored, &segments).as_bytes())));
        let segments = segments.into_iter().map(|s| DeletedFrom { segment: s.path, rows: s.rows, rewritten: s.rewritten });
        Ok(DeletionReceipt {
            id: stored.id,
            app: app.clone(),
            person_sha256: hex(&stored.mark.id),
            linked_sha256: stored.mark.linked.iter().map(|(_, id)| hex(id)).collect(),
            requested_at_ms: stored.requested_at_ms,
            later_events: if stored.refuse_later { LaterEvents::Refuse } else { LaterEvents::Accept },
            state,
            rows: stored.rows,
            rejected_events: stored.rejected,
            segments: segments.collect(),
            days_to_recount: stored.days.len(),
            log_until_ms: stored.log_until_ms,
            finished_at_ms: stored.finished_at_ms,
            blocked,
            sha256,
        })
    }
}

/// What the hash of a receipt is made of: `docs/formats.md` says so to those who check one.
fn text_of(stored: &StoredDeletion, segments: &[StoredDeletionSegment]) -> String {
    let later = if stored.refuse_later { LaterEvents::Refuse } else { LaterEvents::Accept };
    let segments: String =
        segments.iter().map(|s| format!("segment={} {}\n", s.path, s.rows.map_or("unread".to_owned(), |rows| rows.to_string()))).collect();
    let linked: String = stored.mark.linked.iter().map(|(_, id)| format!("linked_sha256={}\n", hex(id))).collect();
    format!(
        "throng deletion receipt 1\nid={}\napp={}\nperson_sha256={}\n{linked}requested_at_ms={}\nlater_events={}\nrows={}\nrejected_events={}\n{segments}finished_at_ms={}\n",
        stored.id,
        stored.mark.app,
        hex(&stored.mark.id),
        stored.requested_at_ms,
        later.as_str(),
        stored.rows,
        stored.rejected,
        stored.finished_at_ms.unwrap_or_default(),
    )
}
