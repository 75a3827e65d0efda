use event::AppId;
use thiserror::Error;

/// What a write key opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppAccess {
    /// The app the key belongs to: the only one its events can go to.
    pub app: AppId,
    /// How long the app keeps raw events, in milliseconds; older events are refused. `None` = for ever.
    pub raw_retention_ms: Option<i64>,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyLookup {
    /// A write key.
    Write(AppAccess),
    /// A key that exists but may not write: answered 403.
    NotWrite,
    /// No such key: answered 401.
    Unknown,
}

/// The keys could not be looked up: answered 503, the client tries again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("keys cannot be looked up now: {0}")]
pub struct KeysUnavailable(pub String);

/// The keys as the gateway sees them.
///
/// Called once per request on the way of every event, by many threads at once: it answers from memory wherever it can.
pub trait WriteKeys: Send + Sync {
    /// What `key`, exactly as the client sent it, opens.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when neither a cache nor the store behind it can tell.
    fn look_up(&self, key: &str) -> Result<KeyLookup, KeysUnavailable>;
}
