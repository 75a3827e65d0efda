//! The links that events say.

use std::sync::Arc;

use event::{EventBatch, EventView, PropertyValue, check_id, person_hash};
use event_store::AppendedBatch;
use rustc_hash::FxHashMap;

use super::links::LinkOrder;
use crate::deletion::Tombstones;

/// The event that links two user ids, and its property with the other one.
pub(crate) const ALIAS: &str = "$alias";
pub(crate) const ALIAS_PROPERTY: &str = "alias";

/// A link as an event says it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SaidLink<'b> {
    pub(crate) source: u64,
    pub(crate) source_id: &'b str,
    pub(crate) target_id: &'b str,
    pub(crate) order: LinkOrder,
}

/// The links of one commit, app by app in the order of the log, each source once: the first of its links. Events that are not stored link nothing,
/// nor do ids of persons whose deletion covers the event.
pub(crate) fn links_of<'b>(batches: &'b [AppendedBatch], tombstones: &Tombstones) -> Vec<(Arc<str>, Vec<SaidLink<'b>>)> {
    let mut by_app: Vec<(Arc<str>, Found<'b>)> = Vec::new();
    for AppendedBatch { batch, duplicates } in batches {
        let app = batch.app().as_str();
        let at = by_app.iter().position(|(known, _)| **known == *app).unwrap_or_else(|| {
            by_app.push((Arc::from(app), Found::default()));
            by_app.len() - 1
        });
        by_app[at].1.read(batch, duplicates, tombstones);
    }
    by_app.into_iter().map(|(app, found)| (app, found.links)).filter(|(_, links)| !links.is_empty()).collect()
}

#[derive(Default)]
struct Found<'b> {
    links: Vec<SaidLink<'b>>,
    /// By source: its place among the links.
    places: FxHashMap<u64, usize>,
}

impl<'b> Found<'b> {
    fn read(&mut self, batch: &'b EventBatch, duplicates: &[u32], tombstones: &Tombstones) {
        let alias_name = (0..batch.names().len() as u32).find(|&id| batch.names().get(id) == ALIAS);
        let received_at_ms = batch.received_at_ms();
        let mut stays_out = duplicates.iter().peekable();
        // Events of one visitor follow each other: most repeat the ids of the one before.
        let mut last: Option<(&str, &str, usize)> = None;
        for event in batch.iter() {
            if stays_out.next_if(|&&index| index as usize == event.index).is_some() {
                continue;
            }
            let Some(user_id) = event.user_id else { continue };
            if alias_name == Some(event.name_id)
                && let Some(alias) = alias_of(&event)
            {
                self.add(SaidLink::new(alias, user_id, event.time_ms, received_at_ms), batch, tombstones);
            }
            let Some(anonymous_id) = event.anonymous_id else { continue };
            match last {
                Some((source_id, target_id, at)) if (source_id, target_id) == (anonymous_id, user_id) => {
                    if event.time_ms <= self.links[at].order.time_ms {
                        self.add(SaidLink::new(anonymous_id, user_id, event.time_ms, received_at_ms), batch, tombstones);
                    }
                }
                _ => {
                    let at = self.add(SaidLink::new(anonymous_id, user_id, event.time_ms, received_at_ms), batch, tombstones);
                    last = at.map(|at| (anonymous_id, user_id, at));
                }
            }
        }
    }

    /// The place of the source's link, which is the first of those said so far; `None` where it is none.
    fn add(&mut self, link: SaidLink<'b>, batch: &EventBatch, tombstones: &Tombstones) -> Option<usize> {
        if link.source == link.order.target {
            return None;
        }
        if link.is_of_deleted(batch.app().as_str(), tombstones) {
            return None;
        }
        let at = *self.places.entry(link.source).or_insert(self.links.len());
        match self.links.get_mut(at) {
            Some(known) if link.order < known.order => *known = link,
            Some(_) => {}
            None => self.links.push(link),
        }
        Some(at)
    }
}

impl<'b> SaidLink<'b> {
    pub(crate) fn new(source_id: &'b str, target_id: &'b str, time_ms: i64, received_at_ms: i64) -> Self {
        let key = |id| person_hash(Some(id), None).map_or(0, |hash| hash.0);
        Self { source: key(source_id), source_id, target_id, order: LinkOrder { time_ms, received_at_ms, target: key(target_id) } }
    }

    /// Whether one of its ids is of a person whose deletion covers the event.
    pub(crate) fn is_of_deleted(&self, app: &str, tombstones: &Tombstones) -> bool {
        let ids = [(self.source, self.source_id), (self.order.target, self.target_id)];
        ids.into_iter().any(|(key, id)| tombstones.covers_id(app, key, id, self.order.received_at_ms))
    }
}

/// Whether the property of an `$alias` event can be the id of an event.
pub(crate) fn is_alias(text: &str) -> bool {
    check_id(ALIAS_PROPERTY, text).is_ok()
}

/// The id that an `$alias` event names, where it could be the id of an event.
fn alias_of<'b>(event: &EventView<'b>) -> Option<&'b str> {
    let value = event.properties.clone().filter(|(_, name, _)| *name == ALIAS_PROPERTY).last();
    match value {
        Some((_, _, PropertyValue::Str(alias))) if is_alias(alias) => Some(alias),
        _ => None,
    }
}
