use event::{AppId, TimestampMs};
use thiserror::Error;

use crate::app::{App, AppChange};
use crate::definition::{Definition, DefinitionKind};
use crate::key::{Key, KeyHash, KeyOwner, NewKey};

/// What a caller can do about a failure. After any of them the store is as it was before the call.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum MetadataError {
    /// The id is in use: choose another.
    #[error("{0} exists already")]
    Taken(String),
    /// What the call refers to does not exist.
    #[error("there is no {0}")]
    Missing(String),
    /// Somebody saved another version in the meantime: read it and decide again.
    #[error("version {expected} was expected, the stored one is {stored}: read it again before changing it")]
    Conflict {
        /// What the caller had read.
        expected: u32,
        /// What is stored.
        stored: u32,
    },
    /// Other definitions of this kind are stored than the caller saw: read them and decide again.
    #[error("other {kind}s of the app were changed at the same time: read them again")]
    Changed {
        /// The kind's name.
        kind: &'static str,
    },
    /// The app has as many definitions of this kind as it may: delete one.
    #[error("the app has {limit} saved {kind}s already, the most it may have: delete one first")]
    TooMany {
        /// The kind's name.
        kind: &'static str,
        /// The limit.
        limit: usize,
    },
    /// There is an account already, or was one: the first is made only once.
    #[error("the first account was made already: log in, or ask an owner of an app for an invitation")]
    SetUpDone,
    /// The app would be left without an owner: make another member one first.
    #[error("an app needs an owner: make another member an owner first")]
    LastOwner,
    /// As many as there may be: remove one first.
    #[error("the app has {limit} {what} already, the most it may have: remove one first")]
    Full {
        /// What there are so many of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Written by a later version of the program: refuse to start.
    #[error("the metadata store has format {found}, this version reads up to {known}: use the version that wrote it, or a later one")]
    Newer {
        /// Its format.
        found: u32,
        /// The newest format this program knows.
        known: u32,
    },
    /// It cannot be reached or another process holds it: try again later.
    #[error("the metadata store is not available: {0}")]
    Unavailable(String),
}

/// Apps and their keys.
///
/// Any number of processes may hold the same store; a change is durable and visible to all of them when the call returns.
/// Calls block: run them on a thread made for it.
pub trait MetadataStore: Send + Sync {
    /// Creates an app together with its first keys.
    ///
    /// # Errors
    /// [`MetadataError::Taken`], [`MetadataError::Unavailable`].
    fn create_app(&self, app: &App, keys: &[NewKey]) -> Result<(), MetadataError>;

    /// One app.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn app(&self, id: &AppId) -> Result<Option<App>, MetadataError>;

    /// All apps in the order of their creation.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn apps(&self) -> Result<Vec<App>, MetadataError>;

    /// Changes settings of an app and returns it as it is then.
    ///
    /// # Errors
    /// [`MetadataError::Missing`] when there is no such app, [`MetadataError::Unavailable`].
    fn change_app(&self, app: &AppId, change: &AppChange) -> Result<App, MetadataError>;

    /// Whom a key belongs to; `None` when it is unknown or revoked.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn find_key(&self, hash: &KeyHash, now_ms: TimestampMs) -> Result<Option<KeyOwner>, MetadataError>;

    /// The keys of an app in the order of their creation, revoked ones included.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn keys(&self, app: &AppId) -> Result<Vec<Key>, MetadataError>;

    /// Adds a key to an app.
    ///
    /// # Errors
    /// [`MetadataError::Missing`] when there is no such app, [`MetadataError::Taken`], [`MetadataError::Unavailable`].
    fn add_key(&self, key: &NewKey) -> Result<(), MetadataError>;

    /// Makes a key open nothing from now on. Revoking it again changes nothing, but for one that still had time.
    ///
    /// # Errors
    /// [`MetadataError::Missing`] when there is no such key, [`MetadataError::Unavailable`].
    fn revoke_key(&self, key_id: &str, now_ms: TimestampMs) -> Result<(), MetadataError>;

    /// Puts a new key in the place of one that is not revoked: the old one opens nothing from `until_ms` on.
    ///
    /// # Errors
    /// [`MetadataError::Missing`] when the new key's app has no such key of its kind, [`MetadataError::Unavailable`].
    fn rotate_key(&self, old_id: &str, key: &NewKey, until_ms: TimestampMs) -> Result<(), MetadataError>;

    /// Notes when keys were last used. The caller rounds the times, so that a key in use is not written again and again.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn note_keys_used(&self, used: &[(KeyHash, TimestampMs)]) -> Result<(), MetadataError>;
}

/// Most definitions of one kind in an app.
pub const MAX_DEFINITIONS_PER_KIND: usize = 1_000;

/// What people saved in their apps. An id of another app's definition is as good as unknown.
///
/// Calls block, as those of [`MetadataStore`].
pub trait Definitions: Send + Sync {
    /// The definitions of one kind in an app, by name, then id.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn definitions(&self, app: &AppId, kind: DefinitionKind) -> Result<Vec<Definition>, MetadataError>;

    /// One definition.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn definition(&self, app: &AppId, id: &str) -> Result<Option<Definition>, MetadataError>;

    /// Saves a definition over the version it was read as (`version` 0 creates it) and returns the version it has now. With `seen`, all
    /// definitions of its kind in its app as the caller read them: what was decided on them holds in the moment of saving.
    ///
    /// # Errors
    /// [`MetadataError::Changed`] when others than those in `seen` are stored, [`MetadataError::Conflict`] when another version is stored (0 when none is), [`MetadataError::Missing`] when there is no
    /// such app, [`MetadataError::Taken`] when the id belongs to a definition of another kind, [`MetadataError::TooMany`] when there are
    /// [`MAX_DEFINITIONS_PER_KIND`] already, [`MetadataError::Unavailable`].
    fn save_definition(&self, definition: &Definition, seen: Option<&[Definition]>) -> Result<u32, MetadataError>;

    /// Deletes a definition; `seen` as for [`Definitions::save_definition`].
    ///
    /// # Errors
    /// [`MetadataError::Changed`], [`MetadataError::Missing`] when there is none, [`MetadataError::Unavailable`].
    fn delete_definition(&self, app: &AppId, id: &str, seen: Option<&[Definition]>) -> Result<(), MetadataError>;
}
