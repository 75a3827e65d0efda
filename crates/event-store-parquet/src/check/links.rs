//! Are the links between ids of the ids they say, none of them of a deleted person, and are they those that the stored events say?

use std::sync::Arc;

use event::{AppId, check_id, person_hash};
use event_store::{QueryError, StoreError};
use rustc_hash::FxHashMap;

use super::finding::Finding;
use super::{MAX_TOLD, StoreCheck};
use crate::deletion::Tombstones;
use crate::exec::said_links_of;
use crate::identity::{LinkDelta, Links, MAX_PERSON_IDS, SaidLink, StoredLink};
use crate::manifest::Manifest;
use crate::part::Part;

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

/// The links of an app as the manifest has them, and what has to be known to count them again.
pub(super) struct StoredLinks {
    links: FxHashMap<u64, StoredLink>,
    /// Raw events before it are gone.
    floor_ms: i64,
    /// A store from before links were kept has not read those of its rows yet.
    are_unread: bool,
    tombstones: Tombstones,
}

impl StoredLinks {
    pub(super) fn read(manifest: &Manifest, app: &AppId) -> Result<Self, StoreError> {
        let mut links = FxHashMap::default();
        manifest.each_link_of(app.as_str(), &mut |source, link| drop(links.insert(source, link)))?;
        let tombstones = Tombstones::of(&manifest.deletions_if_any(false)?);
        Ok(Self { links, floor_ms: manifest.raw_floor(app.as_str())?, are_unread: manifest.links_unread()?, tombstones })
    }

    /// What differs from the first link of each id that the rows of `parts` say. Where a bound may have been in the way of one, which links were
    /// made is a matter of their order: whether some are lacking is then not told.
    ///
    /// # Errors
    /// Why rows cannot be read.
    pub(super) fn differences(&self, app: &AppId, parts: &[Arc<Part>], max_links: usize) -> Result<Vec<String>, String> {
        if self.are_unread {
            return Ok(Vec::new());
        }
        let (mut links, mut said_first) = (Links::new(max_links), LinkDelta::default());
        let name: Arc<str> = Arc::from(app.as_str());
        let mut missing = Vec::new();
        for part in parts {
            let mut add = |mut said: Vec<SaidLink<'_>>| {
                said.retain(|link| !link.is_of_deleted(&name, &self.tombstones));
                links.add(&[(name.clone(), said)], &mut said_first);
            };
            said_links_of(part, app, &mut add, &mut missing).map_err(|error: QueryError| error.to_string())?;
        }
        if let Some(reason) = missing.pop() {
            return Err(reason);
        }
        if links.figures().refused > 0 {
            return Ok(Vec::new());
        }
        let said_first = said_first.apps.remove(&name).unwrap_or_default();
        let mut found: Vec<String> = self.links.iter().filter_map(|(source, link)| self.wrong(link, said_first.get(source))).collect();
        if !self.may_have_met_a_bound(app, max_links) {
            let lacking = said_first.iter().filter(|(source, _)| !self.links.contains_key(source));
            found.extend(lacking.map(|(_, said)| format!("{} is said to be {} and has no link", said.source_id, said.target_id)));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Whether a link may have been refused once. The links of a deleted person made room, those of events that are gone filled it, and a person
    /// with many ids may have been at its bound.
    fn may_have_met_a_bound(&self, app: &AppId, max_links: usize) -> bool {
        self.floor_ms > i64::MIN || self.tombstones.of_app(app.as_str()).is_some() || self.links.len() >= max_links.min(MAX_PERSON_IDS)
    }

    /// What is wrong with a link of an id of which the events say this first.
    fn wrong(&self, stored: &StoredLink, said_first: Option<&StoredLink>) -> Option<String> {
        let StoredLink { source_id, target_id, order } = stored;
        match said_first {
            Some(said) if said.order == *order => None,
            Some(said) if said.order < *order => {
                Some(format!("{source_id} is linked to {target_id}, and was said to be {} before", said.target_id))
            }
            // The event that said so may be gone.
            _ if order.time_ms < self.floor_ms => None,
            _ => Some(format!("{source_id} is linked to {target_id}, which no event says")),
        }
    }
}
