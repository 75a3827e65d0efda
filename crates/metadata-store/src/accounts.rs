//! The seams for accounts: who logs in, on which devices, with which role on which app, and who is asked to join.

use event::{AppId, TimestampMs};

use crate::account::{Account, Email, Member, Role};
use crate::app::App;
use crate::key::NewKey;
use crate::login::{Invitation, Login, LoginOwner, NewInvitation, NewLogin};
use crate::password::PasswordHash;
use crate::store::MetadataError;
use crate::token::TokenHash;

/// Those who log in.
///
/// Calls block and are durable when they return, as those of [`crate::MetadataStore`].
pub trait Accounts: Send + Sync {
    /// Whether there ever was an account; the first can be made by set-up only while there was none.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn set_up_done(&self) -> Result<bool, MetadataError>;

    /// Makes the first account: an administrator, and the owner of every app there is.
    ///
    /// # Errors
    /// [`MetadataError::SetUpDone`] when there ever was one, [`MetadataError::Unavailable`].
    fn create_first_account(&self, account: &Account, password: &PasswordHash) -> Result<(), MetadataError>;

    /// Makes an account; set-up is over with it.
    ///
    /// # Errors
    /// [`MetadataError::Taken`] when the e-mail address has one, [`MetadataError::Unavailable`].
    fn create_account(&self, account: &Account, password: &PasswordHash) -> Result<(), MetadataError>;

    /// The account of an e-mail address, with what its password must match.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn account_of(&self, email: &Email) -> Result<Option<(Account, PasswordHash)>, MetadataError>;

    /// All accounts by e-mail address.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn accounts(&self) -> Result<Vec<Account>, MetadataError>;

    /// Gives an account another name.
    ///
    /// # Errors
    /// [`MetadataError::Missing`], [`MetadataError::Unavailable`].
    fn rename_account(&self, account: &str, name: &str) -> Result<(), MetadataError>;

    /// Gives an account another password and ends all its logins, the caller's included.
    ///
    /// # Errors
    /// [`MetadataError::Missing`], [`MetadataError::Unavailable`].
    fn set_password(&self, account: &str, password: &PasswordHash) -> Result<(), MetadataError>;

    /// Removes an account with its logins and roles.
    ///
    /// # Errors
    /// [`MetadataError::LastOwner`] when an app would be left without one, [`MetadataError::Missing`], [`MetadataError::Unavailable`].
    fn remove_account(&self, account: &str) -> Result<(), MetadataError>;
}

/// Where accounts are logged in.
///
/// Calls block, as those of [`crate::MetadataStore`].
pub trait Logins: Send + Sync {
    /// Begins a login. It ends the one used longest ago where the account has [`crate::MAX_LOGINS_PER_ACCOUNT`] already.
    ///
    /// # Errors
    /// [`MetadataError::Missing`] when there is no such account, [`MetadataError::Unavailable`].
    fn begin_login(&self, login: &NewLogin) -> Result<(), MetadataError>;

    /// Whose login this is; `None` when it is unknown, ended or expired.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn find_login(&self, hash: &TokenHash, now_ms: TimestampMs) -> Result<Option<LoginOwner>, MetadataError>;

    /// Notes that a login is in use, which puts off its idle end.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn note_login_used(&self, hash: &TokenHash, now_ms: TimestampMs) -> Result<(), MetadataError>;

    /// The logins of an account, the newest use first.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn logins(&self, account: &str, now_ms: TimestampMs) -> Result<Vec<Login>, MetadataError>;

    /// Ends one login of an account.
    ///
    /// # Errors
    /// [`MetadataError::Missing`] when the account has no such login, [`MetadataError::Unavailable`].
    fn end_login(&self, account: &str, login: &str) -> Result<(), MetadataError>;
}

/// Who may do what in which app.
///
/// Calls block, as those of [`crate::MetadataStore`].
pub trait Members: Send + Sync {
    /// Creates an app together with its first keys and its owner.
    ///
    /// # Errors
    /// [`MetadataError::Taken`], [`MetadataError::Missing`] when there is no such account, [`MetadataError::Unavailable`].
    fn create_app_of(&self, app: &App, keys: &[NewKey], owner: &str) -> Result<(), MetadataError>;

    /// An app as an account may use it; `None` without a role on it, or without the app.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn role(&self, account: &str, app: &AppId) -> Result<Option<(App, Role)>, MetadataError>;

    /// The apps an account has a role on, by name.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn apps_of(&self, account: &str) -> Result<Vec<(App, Role)>, MetadataError>;

    /// The members of an app by e-mail address.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn members(&self, app: &AppId) -> Result<Vec<Member>, MetadataError>;

    /// Gives an account a role on an app, or another one than it has.
    ///
    /// # Errors
    /// [`MetadataError::Missing`] when there is no such app or account, [`MetadataError::LastOwner`], [`MetadataError::Full`] when
    /// there are [`crate::MAX_MEMBERS_PER_APP`] already, [`MetadataError::Unavailable`].
    fn set_role(&self, app: &AppId, account: &str, role: Role, now_ms: TimestampMs) -> Result<(), MetadataError>;

    /// Takes an account's role on an app away.
    ///
    /// # Errors
    /// [`MetadataError::Missing`] when it has none, [`MetadataError::LastOwner`], [`MetadataError::Unavailable`].
    fn remove_member(&self, app: &AppId, account: &str) -> Result<(), MetadataError>;
}

/// Links that let somebody join an app, once.
///
/// Calls block, as those of [`crate::MetadataStore`].
pub trait Invitations: Send + Sync {
    /// Keeps an invitation.
    ///
    /// # Errors
    /// [`MetadataError::Full`] when the app has [`crate::MAX_INVITATIONS_PER_APP`] open ones, [`MetadataError::Missing`] when there is
    /// no such app or account, [`MetadataError::Unavailable`].
    fn invite(&self, invitation: &NewInvitation) -> Result<(), MetadataError>;

    /// The open invitations to an app, the oldest first.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn invitations(&self, app: &AppId, now_ms: TimestampMs) -> Result<Vec<Invitation>, MetadataError>;

    /// The invitation of a token with the app's name; `None` when it is unknown, accepted, revoked or expired.
    ///
    /// # Errors
    /// [`MetadataError::Unavailable`].
    fn invitation(&self, hash: &TokenHash, now_ms: TimestampMs) -> Result<Option<(Invitation, App)>, MetadataError>;

    /// Takes an invitation back.
    ///
    /// # Errors
    /// [`MetadataError::Missing`] when the app has no such open invitation, [`MetadataError::Unavailable`].
    fn revoke_invitation(&self, app: &AppId, invitation: &str) -> Result<(), MetadataError>;

    /// Uses an invitation up for an account there is. A role that is higher already stays.
    ///
    /// # Errors
    /// [`MetadataError::Missing`] when the invitation is not open, [`MetadataError::Full`], [`MetadataError::Unavailable`].
    fn accept_invitation(&self, hash: &TokenHash, account: &str, now_ms: TimestampMs) -> Result<AppId, MetadataError>;

    /// Uses an invitation up for an account that is made by it.
    ///
    /// # Errors
    /// As [`Invitations::accept_invitation`], and [`MetadataError::Taken`] when the e-mail address has an account.
    fn accept_invitation_as_new(
        &self,
        hash: &TokenHash,
        account: &Account,
        password: &PasswordHash,
        now_ms: TimestampMs,
    ) -> Result<AppId, MetadataError>;
}

/// Everything about accounts, as one store gives it.
pub trait AccountStore: Accounts + Logins + Members + Invitations {}

impl<S: Accounts + Logins + Members + Invitations> AccountStore for S {}
