//! All links, as they are changed by what comes in.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use event::person_hash;
use rustc_hash::{FxHashMap, FxHashSet};

use super::extract::SaidLink;
use super::resolved::{Identities, Identity};

/// Ids of one person at most: what is known of a person is gathered whenever one of its ids is linked, and deleted in one transaction.
pub(crate) const MAX_PERSON_IDS: usize = 1_000;
/// Memory of a link beside its texts, near enough.
const LINK_BYTES: usize = 160;

/// What decides which link of a source counts: the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkOrder {
    pub(crate) time_ms: i64,
    pub(crate) received_at_ms: i64,
    /// Key of the target.
    pub(crate) target: u64,
}

/// A link with the ids it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredLink {
    pub(crate) source_id: Box<str>,
    pub(crate) target_id: Arc<str>,
    pub(crate) order: LinkOrder,
}

/// Links that are new or changed since the last flush: by app, then by source.
#[derive(Clone, Debug, Default)]
pub(crate) struct LinkDelta {
    pub(crate) apps: FxHashMap<Arc<str>, FxHashMap<u64, StoredLink>>,
    pub(crate) bytes: usize,
}

impl LinkDelta {
    fn add(&mut self, app: &Arc<str>, source: u64, link: StoredLink) {
        self.bytes += LINK_BYTES + link.source_id.len() + link.target_id.len();
        self.apps.entry(app.clone()).or_default().insert(source, link);
    }

    /// Adds what came later.
    pub(crate) fn append(&mut self, later: Self) {
        self.bytes += later.bytes;
        for (app, links) in later.apps {
            self.apps.entry(app).or_default().extend(links);
        }
    }

    /// Takes out the links of these sources.
    pub(crate) fn forget(&mut self, app: &str, sources: &[u64]) {
        if let Some(links) = self.apps.get_mut(app) {
            sources.iter().for_each(|source| drop(links.remove(source)));
        }
    }
}

/// What links take and miss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkFigures {
    /// Of all apps.
    pub links: u64,
    /// Links that events said since the start and that were one too many, for their app or for one person.
    pub refused: u64,
}

/// The links of all apps.
pub(crate) struct Links {
    max_links: usize,
    apps: FxHashMap<Arc<str>, AppLinks>,
    identities: Identities,
    refused: u64,
}

impl Links {
    /// None yet; `max_links` in each app at most.
    pub(crate) fn new(max_links: usize) -> Self {
        Self { max_links, apps: FxHashMap::default(), identities: Identities::default(), refused: 0 }
    }

    /// Takes in what the manifest has, in any order.
    pub(crate) fn load(&mut self, app: &Arc<str>, links: Vec<StoredLink>) {
        let of_app = self.apps.entry(app.clone()).or_default();
        for link in links {
            if let Some(source) = person_hash(Some(&link.source_id), None) {
                of_app.place(source.0, link.order, &link.target_id);
            }
        }
        of_app.resolve_all();
        self.identities.set(app, of_app.identity.clone());
    }

    /// Takes in what events said; what that changes is added to `delta`.
    pub(crate) fn add(&mut self, said: &[(Arc<str>, Vec<SaidLink<'_>>)], delta: &mut LinkDelta) {
        for (app, links) in said {
            let of_app = self.apps.entry(app.clone()).or_default();
            let mut has_changed = false;
            for link in links {
                match of_app.add(link, self.max_links) {
                    Added::Nothing => {}
                    Added::Refused => self.refused += 1,
                    Added::Link(stored) => {
                        has_changed = true;
                        delta.add(app, link.source, stored);
                    }
                }
            }
            if has_changed {
                self.identities.set(app, of_app.identity.clone());
            }
        }
    }

    /// All ids of the person of which `key` is one, by key; alone where it has no link. The second value is the sources of its links.
    pub(crate) fn person(&self, app: &str, key: u64) -> (Vec<u64>, Vec<u64>) {
        let Some(of_app) = self.apps.get(app) else { return (vec![key], Vec::new()) };
        let ids = of_app.component(key);
        let sources = ids.iter().copied().filter(|id| of_app.links.contains_key(id)).collect();
        (ids, sources)
    }

    /// The sources of links to this id.
    pub(crate) fn sources_of(&self, app: &str, target: u64) -> &[u64] {
        self.apps.get(app).and_then(|of_app| of_app.targets.get(&target)).map_or(&[], |target| &target.sources)
    }

    /// The id of a target of links.
    pub(crate) fn target_id(&self, app: &str, key: u64) -> Option<Arc<str>> {
        self.apps.get(app)?.targets.get(&key).map(|target| target.id.clone())
    }

    /// Takes out the links of these sources.
    pub(crate) fn forget(&mut self, app: &Arc<str>, sources: &[u64]) {
        let Some(of_app) = self.apps.get_mut(app) else { return };
        let ids: Vec<u64> = sources.iter().flat_map(|&source| of_app.component(source)).collect();
        sources.iter().for_each(|&source| of_app.remove(source));
        of_app.resolve(&ids);
        self.identities.set(app, of_app.identity.clone());
    }

    /// What readers see.
    pub(crate) fn identities(&self) -> Identities {
        self.identities.clone()
    }

    pub(crate) fn figures(&self) -> LinkFigures {
        LinkFigures { links: self.apps.values().map(|app| app.links.len() as u64).sum(), refused: self.refused }
    }
}

/// What became of a link.
enum Added {
    /// It was known, or is not the first of its source.
    Nothing,
    /// It is one too many.
    Refused,
    Link(StoredLink),
}

/// Links of one app.
#[derive(Default)]
struct AppLinks {
    /// By source.
    links: FxHashMap<u64, LinkOrder>,
    targets: FxHashMap<u64, Target>,
    /// Ids of each person that has several, by the id that stands for it.
    sizes: FxHashMap<u64, u32>,
    identity: Arc<Identity>,
}

struct Target {
    id: Arc<str>,
    sources: Vec<u64>,
}

impl AppLinks {
    fn add(&mut self, said: &SaidLink<'_>, max_links: usize) -> Added {
        let (source, order) = (said.source, said.order);
        let before = self.links.get(&source).copied();
        if before.is_some_and(|before| before <= order) {
            return Added::Nothing;
        }
        if before.is_none() && self.links.len() >= max_links {
            return Added::Refused;
        }
        let is_new = before.is_none() && !self.targets.contains_key(&source);
        if is_new && self.size_of(order.target) >= MAX_PERSON_IDS {
            return Added::Refused;
        }
        let old_id = before.and_then(|before| self.targets.get(&before.target)).map(|target| target.id.clone());
        let target_id = self.place(source, order, &Arc::from(said.target_id));
        if is_new {
            self.join(source, order.target);
        } else {
            let mut ids = vec![source];
            ids.extend(before.map(|before| before.target));
            if !self.resolve(&ids) {
                self.remove(source);
                if let (Some(before), Some(id)) = (before, old_id) {
                    self.place(source, before, &id);
                }
                self.resolve(&[source, order.target]);
                return Added::Refused;
            }
        }
        Added::Link(StoredLink { source_id: said.source_id.into(), target_id, order })
    }

    /// Puts a link in the place of what its source had, and returns the target's id.
    fn place(&mut self, source: u64, order: LinkOrder, target_id: &Arc<str>) -> Arc<str> {
        self.remove(source);
        self.links.insert(source, order);
        let target = self.targets.entry(order.target).or_insert_with(|| Target { id: target_id.clone(), sources: Vec::new() });
        target.sources.push(source);
        target.id.clone()
    }

    fn remove(&mut self, source: u64) {
        let Some(order) = self.links.remove(&source) else { return };
        if let Entry::Occupied(mut target) = self.targets.entry(order.target) {
            target.get_mut().sources.retain(|&of_target| of_target != source);
            if target.get().sources.is_empty() {
                target.remove();
            }
        }
    }

    fn size_of(&self, key: u64) -> usize {
        self.sizes.get(&self.identity.canonical(key)).map_or(1, |&size| size as usize)
    }

    /// One more id, which was nobody's: nothing else changes.
    fn join(&mut self, source: u64, target: u64) {
        let canonical = self.identity.canonical(target);
        let size = self.sizes.entry(canonical).or_insert(1);
        *size += 1;
        let identity = Arc::make_mut(&mut self.identity);
        if *size == 2
            && let Some(target) = self.targets.get(&canonical)
        {
            identity.set_id(canonical, Some(&target.id));
        }
        identity.set(source, canonical);
    }

    /// Finds anew who stands for the persons of these ids; false where one of them has too many ids.
    fn resolve(&mut self, ids: &[u64]) -> bool {
        let mut done: FxHashSet<u64> = FxHashSet::default();
        let mut fits = true;
        for &id in ids {
            if !done.contains(&id) {
                let person = self.component(id);
                fits &= person.len() <= MAX_PERSON_IDS;
                self.settle(&person);
                done.extend(person);
            }
        }
        fits
    }

    fn resolve_all(&mut self) {
        let ids: Vec<u64> = self.links.keys().copied().collect();
        self.resolve(&ids);
    }

    fn settle(&mut self, person: &[u64]) {
        let canonical = self.end_of(person[0]);
        let identity = Arc::make_mut(&mut self.identity);
        for &id in person {
            self.sizes.remove(&id);
            identity.set(id, canonical);
            identity.set_id(id, None);
        }
        if person.len() > 1 {
            self.sizes.insert(canonical, person.len() as u32);
            if let Some(target) = self.targets.get(&canonical) {
                identity.set_id(canonical, Some(&target.id));
            }
        }
    }

    /// All ids that links connect with this one.
    fn component(&self, id: u64) -> Vec<u64> {
        let mut seen: FxHashSet<u64> = FxHashSet::from_iter([id]);
        let mut found = vec![id];
        let mut at = 0;
        while let Some(&id) = found.get(at) {
            at += 1;
            let target = self.links.get(&id).map(|order| order.target);
            let sources = self.targets.get(&id).map(|target| target.sources.as_slice());
            found.extend(target.into_iter().chain(sources.into_iter().flatten().copied()).filter(|&next| seen.insert(next)));
        }
        found
    }

    /// The id at which following links from this one ends; in a ring, that whose link is the last.
    fn end_of(&self, id: u64) -> u64 {
        let mut seen: FxHashSet<u64> = FxHashSet::default();
        let mut at = id;
        while seen.insert(at) {
            match self.links.get(&at) {
                Some(order) => at = order.target,
                None => return at,
            }
        }
        // `at` is in a ring: once around.
        let (mut last, mut next) = (at, self.links[&at].target);
        while next != at {
            if self.links[&last] < self.links[&next] {
                last = next;
            }
            next = self.links[&next].target;
        }
        last
    }
}
