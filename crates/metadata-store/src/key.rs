use std::fmt;

use event::{AppId, TimestampMs};
use rand::{CryptoRng, RngExt};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::app::App;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// Append events; public, it ships in browsers.
    Write,
    /// Ask questions; secret.
    Read,
    /// Change the app's settings, save its cohorts and delete its persons; secret.
    Admin,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Write, Self::Read, Self::Admin];

    /// The name as it is stored and written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }

    /// The kind called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Write => "wk_",
            Self::Read => "rk_",
            Self::Admin => "ak_",
        }
    }
}

/// Random characters of a key after its prefix: 43 of base 62 are 256 bits.
pub(crate) const RANDOM_CHARS: usize = 43;

/// `prefix` and 256 random bits in base 62.
pub(crate) fn random_text(prefix: &str, rng: &mut impl CryptoRng) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let random = (0..RANDOM_CHARS).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
    prefix.chars().chain(random).collect()
}

/// A key as its owner holds it. It is shown once and never stored; `Debug` does not show it either.
pub struct SecretKey(String);

impl SecretKey {
    /// A fresh key.
    pub fn generate(kind: KeyKind, rng: &mut impl CryptoRng) -> Self {
        Self(random_text(kind.prefix(), rng))
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// SHA-256 of a key's text. A key has 256 random bits, so a slow hash would protect nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of what a client sent, or `None` when it does not even look like a key, which spares the look-up.
    pub fn of(text: &str) -> Option<Self> {
        let random = KeyKind::ALL.into_iter().find_map(|kind| text.strip_prefix(kind.prefix()))?;
        let looks_like_key = random.len() == RANDOM_CHARS && random.bytes().all(|b| b.is_ascii_alphanumeric());
        looks_like_key.then(|| Self(Sha256::digest(text.as_bytes()).into()))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A key on its way into the store.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Names the key in lists and when it is revoked: `key_` and the first 12 hex digits of its hash. Not secret.
    pub id: String,
    /// What is stored of the secret.
    pub hash: KeyHash,
    /// The app it opens.
    pub app: AppId,
    /// What it may do.
    pub kind: KeyKind,
    /// When it was made.
    pub created_at_ms: TimestampMs,
}

impl NewKey {
    /// What is to be stored of `secret`.
    pub fn of(secret: &SecretKey, app: &AppId, kind: KeyKind, created_at_ms: TimestampMs) -> Self {
        let hash = secret.hash();
        let digits: String = hash.0[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { id: format!("key_{digits}"), hash, app: app.clone(), kind, created_at_ms }
    }
}

/// A key as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    /// Its public name.
    #[serde(rename = "key_id")]
    pub id: String,
    /// What it may do.
    pub kind: KeyKind,
    /// When it was made.
    pub created_at_ms: TimestampMs,
    /// From when on it opens nothing; in the future while a key that took its place is put to use.
    pub revoked_at_ms: Option<TimestampMs>,
    /// When it last opened something, to the hour.
    pub last_used_at_ms: Option<TimestampMs>,
}

/// Whom a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOwner {
    /// The app.
    pub app: App,
    /// What the key may do.
    pub kind: KeyKind,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_recognised_and_hides_itself() {
        for kind in KeyKind::ALL {
            let key = SecretKey::generate(kind, &mut rand::rng());
            assert!(key.as_str().starts_with(kind.prefix()));
            assert_eq!(KeyHash::of(key.as_str()), Some(key.hash()));
            assert!(!format!("{key:?}").contains(&key.as_str()[3..]));
            assert_eq!(KeyKind::from_name(kind.as_str()), Some(kind));
        }
    }

    #[test]
    fn other_text_is_not_a_key() {
        let key = SecretKey::generate(KeyKind::Read, &mut rand::rng());
        let cut = &key.as_str()[..45];
        for text in ["", "rk_", cut, &format!("{cut}'"), &format!("{}x", key.as_str()), &key.as_str().replace("rk_", "xk_")] {
            assert_eq!(KeyHash::of(text), None, "{text}");
        }
    }
}
