use std::collections::BTreeSet;
use std::sync::Arc;

use event::{AppId, person_hash};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256 of a person's id: all that is kept of a deleted person, and enough to know its rows by.
pub(crate) type IdHash = [u8; 32];

/// SHA-256 of an id.
pub(crate) fn id_hash(id: &str) -> IdHash {
    Sha256::digest(id.as_bytes()).into()
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A person of one app, known by the key of its rows and, since anybody can make two ids with one 64-bit key, by the hash of its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PersonMark {
    pub(crate) app: Arc<str>,
    pub(crate) key: u64,
    pub(crate) id: IdHash,
    /// The person's other ids, by key.
    pub(crate) linked: Vec<(u64, IdHash)>,
}

impl PersonMark {
    /// A person with one id.
    pub(crate) fn of(app: &AppId, id: &str) -> Self {
        Self { app: Arc::from(app.as_str()), key: key_of(id), id: id_hash(id), linked: Vec::new() }
    }

    /// The same person with other ids as well.
    pub(super) fn with(self, others: &BTreeSet<String>) -> Self {
        let mut linked: Vec<(u64, IdHash)> = others.iter().map(|id| (key_of(id), id_hash(id))).collect();
        linked.retain(|(key, _)| *key != self.key);
        linked.sort_unstable();
        Self { linked, ..self }
    }

    /// All ids of the person.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (u64, IdHash)> + '_ {
        std::iter::once((self.key, self.id)).chain(self.linked.iter().copied())
    }

    fn has(&self, id: &str) -> bool {
        let key = key_of(id);
        let known = match self.linked.binary_search_by_key(&key, |(key, _)| *key) {
            _ if key == self.key => Some(self.id),
            Ok(at) => Some(self.linked[at].1),
            Err(_) => None,
        };
        known.is_some_and(|known| known == id_hash(id))
    }

    /// Whether an event with these ids is the person's.
    pub(crate) fn is_of(&self, user_id: Option<&str>, anonymous_id: Option<&str>) -> bool {
        user_id.or(anonymous_id).is_some_and(|id| self.has(id))
    }

    /// Whether a refused event names the person.
    pub(crate) fn is_in_refused(&self, raw: &[u8]) -> bool {
        ids_in_refused(raw, &mut |id| self.has(id))
    }
}

/// An id is never empty, so it has a key.
pub(super) fn key_of(id: &str) -> u64 {
    person_hash(Some(id), None).map_or(0, |hash| hash.0)
}

/// Whether `is_wanted` holds for an id of a refused event: its `user_id` and `anonymous_id` where it is a JSON object, else every text and
/// word in its bytes, since what cannot be parsed may hold an id anywhere.
pub(crate) fn ids_in_refused(raw: &[u8], is_wanted: &mut dyn FnMut(&str) -> bool) -> bool {
    if let Ok(Value::Object(object)) = serde_json::from_slice(raw) {
        return ["user_id", "anonymous_id"].iter().filter_map(|name| object.get(*name)).any(|id| match id {
            Value::String(text) => is_wanted(text),
            Value::Null => false,
            other => is_wanted(&other.to_string()),
        });
    }
    let text = String::from_utf8_lossy(raw);
    text.split('"').any(&mut *is_wanted) || text.split(|c: char| c.is_whitespace() || "\",:{}[]".contains(c)).any(is_wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_event_is_known_by_its_ids() {
        let mark = PersonMark::of(&AppId::new("A").unwrap(), "U 7");
        for raw in [r#"{"user_id": "U 7"}"#, r#"{"name": "", "anonymous_id": "U 7"}"#, r#"{"user_id": "U 7", "name": "#, r#"x"U 7"y"#] {
            assert!(mark.is_in_refused(raw.as_bytes()), "{raw}");
        }
        for raw in [r#"{"user_id": "U 70"}"#, r#"{"url": "U 7"}"#, r#"{"user_id": null}"#, "", r#"{"user_id": "U"#] {
            assert!(!mark.is_in_refused(raw.as_bytes()), "{raw}");
        }
        let number = PersonMark::of(&AppId::new("A").unwrap(), "123");
        assert!(number.is_in_refused(br#"{"user_id": 123}"#) && number.is_in_refused(br#"{"user_id": 123, "name": }"#));
        assert!(!number.is_in_refused(br#"{"price": 123}"#));
    }
}
