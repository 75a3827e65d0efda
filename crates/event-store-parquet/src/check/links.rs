//! Are the links between ids of the ids they say, and none of them of a deleted person?

use event::{check_id, person_hash};
use event_store::StoreError;

use super::finding::Finding;
use super::{MAX_TOLD, StoreCheck};
use crate::deletion::Tombstones;
use crate::identity::StoredLink;

/// Reports links that cannot be.
pub(super) fn check(check: &mut StoreCheck<'_>, tombstones: &Tombstones) -> Result<(), StoreError> {
    let place = check.dir.join(crate::manifest::FILE).display().to_string();
    let mut wrong: Vec<String> = Vec::new();
    let mut count = 0;
    check.manifest.each_link(&mut |app, source, link| {
        let Some(reason) = reason(app, source, &link, tombstones) else { return };
        count += 1;
        if wrong.len() < MAX_TOLD {
            wrong.push(format!("app {app}, link of key {source:016x}: {reason}"));
        }
    })?;
    if count > wrong.len() {
        wrong.push(format!("{} more links are wrong", count - wrong.len()));
    }
    for found in wrong {
        check.find(Finding::link(&place, &found));
    }
    Ok(())
}

fn reason(app: &str, source: u64, link: &StoredLink, tombstones: &Tombstones) -> Option<&'static str> {
    let StoredLink { source_id, target_id, order } = link;
    let key = |id: &str| person_hash(Some(id), None).map(|hash| hash.0);
    if key(source_id) != Some(source) {
        return Some("it is stored by another key than that of its id");
    }
    if source_id.as_ref() == &**target_id || [&**source_id, &**target_id].iter().any(|id| check_id("id", id).is_err()) {
        return Some("its ids are not two ids that an event can have");
    }
    let is_deleted = |key: u64, id: &str| tombstones.covers_id(app, key, id, order.received_at_ms);
    let deleted = is_deleted(source, source_id) || is_deleted(order.target, target_id);
    deleted.then_some("it names a deleted person")
}
