//! What the decoded columns of an app have in common: the numbers of its persons and the codes of its texts.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use event::AppId;
use rustc_hash::FxHashMap;

use super::canonical::{CanonicalOrdinals, Latest};
use super::dictionary::TextCodes;
use super::persons::PersonIndex;
use crate::identity::Identity;

/// Bytes of an app's space that nothing was added to, near enough.
const EMPTY_SPACE_BYTES: usize = 1_024;
/// Most apps with a space.
const MAX_SPACES: usize = 1_024;
/// Bytes a person takes in an index, at most.
const PERSON_BYTES: usize = 56;

/// Ordinals and codes of one app. Columns that were decoded in one space mean nothing in another.
pub(crate) struct AppSpace {
    /// Unlike that of every other space of the process.
    id: u32,
    persons: PersonIndex,
    canonical: Latest,
    texts: Mutex<FxHashMap<String, Arc<TextCodes>>>,
    /// What is left for texts of all columns.
    text_bytes_left: Arc<AtomicUsize>,
}

impl AppSpace {
    fn new(id: u32, max_persons: usize, max_text_bytes: usize) -> Self {
        let text_bytes_left = Arc::new(AtomicUsize::new(max_text_bytes));
        Self { id, persons: PersonIndex::new(max_persons), canonical: Latest::default(), texts: Mutex::default(), text_bytes_left }
    }

    /// Tells this space's columns from others.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The app's persons.
    pub(crate) fn persons(&self) -> &PersonIndex {
        &self.persons
    }

    /// The ordinals of the persons that have several ids; `None` where the app has more persons than ordinals.
    pub(crate) fn canonical(&self, identity: &Identity) -> Option<Arc<CanonicalOrdinals>> {
        self.canonical.get(identity, &self.persons)
    }

    /// The codes of a stored column's texts.
    pub(crate) fn texts(&self, column: &str) -> Arc<TextCodes> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = texts.get(column) {
            return known.clone();
        }
        let codes = Arc::new(TextCodes::new(self.text_bytes_left.clone()));
        texts.insert(column.to_string(), codes.clone());
        codes
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let persons = self.persons.bytes() + self.canonical.bytes();
        EMPTY_SPACE_BYTES + persons + texts.values().map(|codes| EMPTY_SPACE_BYTES + codes.bytes()).sum::<usize>()
    }
}

/// The spaces of the apps that were asked about lately.
pub(crate) struct AppSpaces {
    max_bytes: usize,
    /// Of one app.
    max_persons: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    spaces: FxHashMap<AppId, (Arc<AppSpace>, u64)>,
    clock: u64,
    next_id: u32,
}

impl AppSpaces {
    /// Spaces of at most `max_bytes` together (what queries that run add meanwhile goes beyond it until the next one begins), and of
    /// `max_persons` each; half of one space at most is persons, half is text.
    pub(crate) fn new(max_bytes: usize, max_persons: usize) -> Self {
        Self { max_bytes, max_persons: max_persons.min(max_bytes / 2 / PERSON_BYTES), state: Mutex::default() }
    }

    /// The app's space, and the ids of those that were given up for it: their columns are of no use any more.
    pub(crate) fn get(&self, app: &AppId) -> (Arc<AppSpace>, Vec<u32>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clock += 1;
        let now = state.clock;
        if let Some((_, used)) = state.spaces.get_mut(app) {
            *used = now;
        } else {
            state.next_id += 1;
            let space = Arc::new(AppSpace::new(state.next_id, self.max_persons, self.max_bytes / 2));
            state.spaces.insert(app.clone(), (space, now));
        }
        let given_up = self.give_up(&mut state);
        let space = state.spaces.get(app).map(|(space, _)| space.clone());
        // The one used last is never given up.
        (space.unwrap_or_else(|| Arc::new(AppSpace::new(0, 0, 0))), given_up)
    }

    fn give_up(&self, state: &mut State) -> Vec<u32> {
        let mut given_up = Vec::new();
        let mut bytes: usize = state.spaces.values().map(|(space, _)| space.bytes()).sum();
        while (bytes > self.max_bytes || state.spaces.len() > MAX_SPACES) && state.spaces.len() > 1 {
            let oldest = state.spaces.iter().min_by_key(|(_, (_, used))| *used).map(|(app, _)| app.clone());
            let Some((space, _)) = oldest.and_then(|app| state.spaces.remove(&app)) else { break };
            bytes -= space.bytes().min(bytes);
            given_up.push(space.id());
        }
        given_up
    }

    /// Bytes of all spaces.
    pub(crate) fn bytes(&self) -> usize {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.spaces.values().map(|(space, _)| space.bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_space_asked_for_longest_ago_goes() {
        let spaces = AppSpaces::new(3 * EMPTY_SPACE_BYTES, 10);
        let app = |i: u32| AppId::new(&format!("app-{i}")).unwrap();
        let (first, _) = spaces.get(&app(1));
        spaces.get(&app(2));
        spaces.get(&app(3));
        assert!(Arc::ptr_eq(&spaces.get(&app(1)).0, &first));
        let (fourth, given_up) = spaces.get(&app(4));
        assert_eq!(given_up, [2]);
        assert!(spaces.bytes() <= 3 * EMPTY_SPACE_BYTES);
        fourth.texts("s:url");
        fourth.texts("s:url");
        assert!(Arc::ptr_eq(&spaces.get(&app(1)).0, &first));
        let (second, _) = spaces.get(&app(2));
        assert_ne!(second.id(), 2);
    }
}
