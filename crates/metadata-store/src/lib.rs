//! Takes what people decide: apps with their settings, keys, saved definitions, accounts with their logins and roles.
//! Gives them back durably to any number of processes, behind [`MetadataStore`], [`Definitions`] and [`AccountStore`]; SQLite is the embedded implementation.
//! Knows nothing of the flow of events, of HTTP, or of what a definition's document means.

mod account;
mod accounts;
mod app;
pub mod contract;
mod definition;
mod key;
mod login;
mod password;
mod sqlite;
mod store;
mod token;

pub use account::{Account, Email, MAX_NAME_CHARS, Member, Role};
pub use accounts::{AccountStore, Accounts, Invitations, Logins, Members};
pub use app::{App, AppChange, DEFAULT_RAW_RETENTION_DAYS, DEFAULT_SESSION_IDLE_MINUTES, WeekDay, new_app_id};
pub use definition::{Definition, DefinitionKind};
pub use key::{Key, KeyHash, KeyKind, KeyOwner, NewKey, SecretKey};
pub use login::{
    INVITATION_LIFETIME_MS, Invitation, LOGIN_IDLE_MS, LOGIN_LIFETIME_MS, LOGIN_USE_RESOLUTION_MS, Login, LoginOwner,
    MAX_INVITATIONS_PER_APP, MAX_LOGINS_PER_ACCOUNT, MAX_MEMBERS_PER_APP, NewInvitation, NewLogin,
};
pub use password::{MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, PasswordHash, WeakPassword, check_password};
pub use sqlite::{MetadataCheck, SqliteMetadataStore, check_metadata, copy_metadata};
pub use store::{Definitions, MAX_DEFINITIONS_PER_KIND, MetadataError, MetadataStore};
pub use token::{SecretToken, TokenHash, TokenKind};
