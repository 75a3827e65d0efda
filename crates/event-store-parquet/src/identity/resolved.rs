//! Who stands for whom, as readers see it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustc_hash::FxHashMap;

/// Pieces of an [`Identity`]: a change copies one of them, where somebody still reads it.
const SHARDS: usize = 256;
/// Changes that are remembered; a reader that knows less reads all.
const MAX_CHANGES: usize = 1 << 18;

/// The links of every app at one moment. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Identities(Arc<HashMap<Arc<str>, Arc<Identity>>>);

impl Identities {
    /// Those of an app.
    pub(crate) fn of(&self, app: &str) -> Arc<Identity> {
        static NONE: OnceLock<Arc<Identity>> = OnceLock::new();
        self.0.get(app).unwrap_or_else(|| NONE.get_or_init(Arc::default)).clone()
    }

    pub(super) fn set(&mut self, app: &Arc<str>, identity: Arc<Identity>) {
        Arc::make_mut(&mut self.0).insert(app.clone(), identity);
    }
}

/// For every linked id of an app, by key, the id that stands for its person. A clone shares what does not change.
#[derive(Clone)]
pub(crate) struct Identity {
    linked: usize,
    shards: Vec<Arc<Shard>>,
    changes: Arc<Changes>,
    /// Changes until now.
    generation: u64,
}

#[derive(Clone, Default)]
struct Shard {
    canonical: FxHashMap<u64, u64>,
    /// Of ids that stand for others.
    ids: FxHashMap<u64, Arc<str>>,
}

/// The keys whose meaning has changed, in that order: what [`Identity`]s of one app have in common.
#[derive(Default)]
pub(crate) struct Changes(Mutex<ChangeLog>);

#[derive(Default)]
struct ChangeLog {
    /// Changes before the first key.
    forgotten: u64,
    keys: Vec<u64>,
}

impl Default for Identity {
    fn default() -> Self {
        Self { linked: 0, shards: vec![Arc::default(); SHARDS], changes: Arc::default(), generation: 0 }
    }
}

impl Identity {
    /// True where every id stands for itself.
    pub(crate) fn is_empty(&self) -> bool {
        self.linked == 0
    }

    /// The key of the id that stands for the person of this one.
    #[inline]
    pub(crate) fn canonical(&self, key: u64) -> u64 {
        if self.linked == 0 {
            return key;
        }
        self.shards[shard_of(key)].canonical.get(&key).copied().unwrap_or(key)
    }

    /// The id that stands for others, by its key.
    pub(crate) fn id(&self, canonical: u64) -> Option<&str> {
        if self.linked == 0 {
            return None;
        }
        self.shards[shard_of(canonical)].ids.get(&canonical).map(AsRef::as_ref)
    }

    /// Keys that another stands for, each with that one.
    pub(crate) fn linked(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.shards.iter().flat_map(|shard| shard.canonical.iter().map(|(&key, &canonical)| (key, canonical)))
    }

    /// What tells this app's links, at any time, from others.
    pub(crate) fn changes(&self) -> &Arc<Changes> {
        &self.changes
    }

    /// How often something has changed.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The keys that have changed since an earlier generation; `None` where that is not known any more.
    pub(crate) fn changed_since(&self, generation: u64) -> Option<Vec<u64>> {
        let log = self.changes.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = |generation: u64| generation.checked_sub(log.forgotten).map(|place| place as usize);
        log.keys.get(place(generation)?..place(self.generation)?).map(<[u64]>::to_vec)
    }

    /// Lets `canonical` stand for `key`; for itself where they are one.
    pub(super) fn set(&mut self, key: u64, canonical: u64) {
        if self.canonical(key) == canonical {
            return;
        }
        let shard = Arc::make_mut(&mut self.shards[shard_of(key)]);
        let before = if key == canonical { shard.canonical.remove(&key) } else { shard.canonical.insert(key, canonical) };
        match (before.is_some(), key != canonical) {
            (false, true) => self.linked += 1,
            (true, false) => self.linked -= 1,
            _ => {}
        }
        let mut log = self.changes.0.lock().unwrap_or_else(PoisonError::into_inner);
        if log.keys.len() >= MAX_CHANGES {
            log.keys.drain(..MAX_CHANGES / 2);
            log.forgotten += (MAX_CHANGES / 2) as u64;
        }
        log.keys.push(key);
        self.generation = log.forgotten + log.keys.len() as u64;
    }

    /// The id of a key that stands for others, or that it is none.
    pub(super) fn set_id(&mut self, key: u64, id: Option<&Arc<str>>) {
        let shard = &mut self.shards[shard_of(key)];
        if shard.ids.get(&key) == id {
            return;
        }
        let shard = Arc::make_mut(shard);
        match id {
            Some(id) => drop(shard.ids.insert(key, id.clone())),
            None => drop(shard.ids.remove(&key)),
        }
    }
}

fn shard_of(key: u64) -> usize {
    // The upper bits choose the shards of the index of persons, and the lower ones the slots of a hash map.
    (key >> 32) as usize % SHARDS
}
