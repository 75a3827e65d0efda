//! The ordinals of persons that have several ids.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::UInt64Array;

use super::column::Ordinals;
use super::persons::PersonIndex;
use crate::identity::{Changes, Identity};

/// For the ordinal of every linked id, the ordinal that stands for its person.
#[derive(Clone)]
pub(crate) struct CanonicalOrdinals {
    /// By ordinal; what is beyond the end stands for itself.
    of: Vec<u32>,
    /// No ordinal is larger that stands for another.
    largest: u32,
}

/// The latest [`CanonicalOrdinals`] of an app.
#[derive(Default)]
pub(super) struct Latest(Mutex<Option<Known>>);

struct Known {
    changes: Arc<Changes>,
    generation: u64,
    ordinals: Arc<CanonicalOrdinals>,
}

impl CanonicalOrdinals {
    /// The same rows with the ordinals that stand for their persons.
    pub(crate) fn apply(&self, ordinals: &Ordinals) -> Ordinals {
        let canonical = |&ordinal: &u32| self.of.get(ordinal as usize).copied().unwrap_or(ordinal);
        Ordinals { values: ordinals.values.iter().map(canonical).collect(), largest: ordinals.largest.max(self.largest) }
    }

    /// Lets these keys be what they are to `identity`; `None` where there are no ordinals left.
    fn set(&mut self, keys: &[u64], identity: &Identity, persons: &PersonIndex) -> Option<()> {
        let ordinals = persons.number(&UInt64Array::from(keys.to_vec()))?;
        let canonical: Vec<u64> = keys.iter().map(|&key| identity.canonical(key)).collect();
        let canonical = persons.number(&UInt64Array::from(canonical))?;
        let end = ordinals.iter().max().map_or(0, |&largest| largest as usize + 1);
        let known = self.of.len();
        self.of.extend(known as u32..end.max(known) as u32);
        for (ordinal, canonical) in ordinals.into_iter().zip(canonical) {
            self.of[ordinal as usize] = canonical;
            self.largest = self.largest.max(canonical);
        }
        Some(())
    }
}

impl Latest {
    /// Those of `identity`; `None` where the app has more persons than ordinals.
    pub(super) fn get(&self, identity: &Identity, persons: &PersonIndex) -> Option<Arc<CanonicalOrdinals>> {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_same = latest.as_mut().filter(|known| Arc::ptr_eq(&known.changes, identity.changes()));
        let generation = identity.generation();
        if let Some(known) = of_same {
            if known.generation == generation {
                return Some(known.ordinals.clone());
            }
            if known.generation < generation
                && let Some(keys) = identity.changed_since(known.generation)
            {
                Arc::make_mut(&mut known.ordinals).set(&keys, identity, persons)?;
                known.generation = generation;
                return Some(known.ordinals.clone());
            }
        }
        let mut keys: Vec<u64> = identity.linked().map(|(key, _)| key).collect();
        // Look-ups of ascending keys are quick.
        keys.sort_unstable();
        let mut ordinals = CanonicalOrdinals { of: Vec::new(), largest: 0 };
        ordinals.set(&keys, identity, persons)?;
        let ordinals = Arc::new(ordinals);
        // A question of a moment ago does not take the place of what is newer.
        if latest.as_ref().is_none_or(|known| !Arc::ptr_eq(&known.changes, identity.changes()) || known.generation < generation) {
            *latest = Some(Known { changes: identity.changes().clone(), generation, ordinals: ordinals.clone() });
        }
        Some(ordinals)
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.as_ref().map_or(0, |known| known.ordinals.of.capacity() * size_of::<u32>())
    }
}
