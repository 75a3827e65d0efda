use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The app an event belongs to; it comes from the credential, never from what a client wrote.
///
/// Cheap to clone. At most 64 bytes of `[A-Za-z0-9_-]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppId(Arc<str>);

impl AppId {
    /// Longest id, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// The id, or `None` when it is empty, too long or has a character outside `[A-Za-z0-9_-]`.
    pub fn new(id: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (!id.is_empty() && id.len() <= Self::MAX_BYTES && id.bytes().all(allowed)).then(|| Self(Arc::from(id)))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A person's key: XXH3-64 of the id text (seed 0), so that every engine and language computes the same one.
///
/// Distinct counts compare these 64 bits. Among 10 million persons of an app the chance that any two share a hash is 3 in a million.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PersonHash(pub u64);

/// The person of an event: `user_id` if it has one, else `anonymous_id`; `None` for a system event.
pub fn person_hash(user_id: Option<&str>, anonymous_id: Option<&str>) -> Option<PersonHash> {
    user_id.or(anonymous_id).map(|id| PersonHash(xxh3_64(id.as_bytes())))
}

/// What is kept of a session id of the client's: XXH3-64 of its text.
pub fn session_id_hash(session_id: &str) -> u64 {
    xxh3_64(session_id.as_bytes())
}

/// The key of a session with an id of the client's, from [`session_id_hash`] of it: XXH3-64 of the hash (little-endian), seeded by the
/// person's key, since clients of two persons may choose one id.
pub fn session_key(person: u64, session_id_hash: u64) -> u64 {
    xxh3_64_with_seed(&session_id_hash.to_le_bytes(), person)
}
