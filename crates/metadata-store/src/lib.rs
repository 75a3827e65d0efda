//! Takes what people decide: apps with their settings, keys, saved definitions.
//! Gives them back durably to any number of processes, behind [`MetadataStore`] and [`Definitions`]; SQLite is the embedded implementation.
//! Knows nothing of the flow of events, of HTTP, or of what a definition's document means.

mod app;
pub mod contract;
mod definition;
mod key;
mod sqlite;
mod store;

pub use app::{App, DEFAULT_RAW_RETENTION_DAYS, DEFAULT_SESSION_IDLE_MINUTES, WeekDay, new_app_id};
pub use definition::{Definition, DefinitionKind};
pub use key::{Key, KeyHash, KeyKind, KeyOwner, NewKey, SecretKey};
pub use sqlite::{MetadataCheck, SqliteMetadataStore, check_metadata, copy_metadata};
pub use store::{Definitions, MAX_DEFINITIONS_PER_KIND, MetadataError, MetadataStore};
