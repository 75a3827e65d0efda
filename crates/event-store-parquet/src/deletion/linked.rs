//! The ids that a person to be deleted has beside the one that was named.

use std::collections::BTreeSet;

use event_store::{DeletionRequest, StoreError};

use super::person::{PersonMark, key_of};
use crate::store::{ParquetStore, State};

impl ParquetStore {
    /// The person with all its ids, as they are linked now.
    pub(super) fn mark_of(&self, request: &DeletionRequest<'_>) -> Result<PersonMark, StoreError> {
        let mark = PersonMark::of(request.app, request.person);
        let (mut ids, sources) = self.state().ids_of(&mark);
        if ids.is_empty() && sources.is_empty() {
            return Ok(mark);
        }
        // What is in no pending part by now is in the manifest.
        ids.extend(self.manifest.source_ids(&mark.app, &sources)?);
        // Anybody can make another id with the key of a linked one: that is nobody's.
        Ok(if ids.contains(request.person) { mark.with(&ids) } else { mark })
    }
}

impl State {
    /// The ids of the person that are known here, and the sources whose ids are not.
    fn ids_of(&self, mark: &PersonMark) -> (BTreeSet<String>, Vec<u64>) {
        let (keys, mut sources) = self.links.person(&mark.app, mark.key);
        let mut ids: BTreeSet<String> =
            keys.iter().filter_map(|&key| self.links.target_id(&mark.app, key)).map(|id| id.to_string()).collect();
        for links in self.unflushed().filter_map(|pending| pending.links.apps.get(&mark.app)) {
            ids.extend(sources.iter().filter_map(|source| links.get(source)).map(|link| link.source_id.to_string()));
        }
        let known: BTreeSet<u64> = ids.iter().map(|id| key_of(id)).collect();
        sources.retain(|source| !known.contains(source));
        (ids, sources)
    }

    /// Takes the links of the person's ids out, with those to them that came since the ids were gathered and are in no flush yet. What else
    /// became linked to them by then stays: the manifest keeps it too.
    pub(crate) fn forget_links(&mut self, mark: &PersonMark) {
        let mut keys: Vec<u64> = mark.ids().map(|(key, _)| key).collect();
        let to_them: Vec<u64> = keys.iter().flat_map(|&key| self.links.sources_of(&mark.app, key).iter().copied()).collect();
        keys.extend(to_them);
        self.links.forget(&mark.app, &keys);
        self.for_each_pending(|pending| pending.links.forget(&mark.app, &keys));
    }
}
