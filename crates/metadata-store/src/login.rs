use event::TimestampMs;

use crate::account::{Account, Role};
use crate::token::TokenHash;

const HOUR_MS: i64 = 3_600_000;
/// A login that is not used for so long has ended.
pub const LOGIN_IDLE_MS: i64 = 14 * 24 * HOUR_MS;
/// A login ends so long after it began, however much it is used.
pub const LOGIN_LIFETIME_MS: i64 = 90 * 24 * HOUR_MS;
/// How exactly the last use is known; a login in use is written this often at most.
pub const LOGIN_USE_RESOLUTION_MS: i64 = 5 * 60_000;
/// Logins of an account at once; one more ends the one that was used longest ago.
pub const MAX_LOGINS_PER_ACCOUNT: usize = 50;
/// An invitation can be accepted for so long.
pub const INVITATION_LIFETIME_MS: i64 = 7 * 24 * HOUR_MS;
/// Open invitations to an app.
pub const MAX_INVITATIONS_PER_APP: usize = 100;
/// Members of an app.
pub const MAX_MEMBERS_PER_APP: usize = 1_000;

/// A login on its way into the store.
#[derive(Clone, Debug)]
pub struct NewLogin {
    /// What is stored of the token in the cookie.
    pub hash: TokenHash,
    /// Whose login it is.
    pub account: String,
    /// When it began.
    pub now_ms: TimestampMs,
    /// What the browser calls itself, cut short; shown to the account's owner only.
    pub agent: String,
}

/// A login as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Its public name.
    pub id: String,
    /// When it began.
    pub created_at_ms: TimestampMs,
    /// When it was last used, to [`LOGIN_USE_RESOLUTION_MS`].
    pub last_used_at_ms: TimestampMs,
    /// When it ends at the latest.
    pub expires_at_ms: TimestampMs,
    /// What the browser called itself.
    pub agent: String,
}

/// Who a login's token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginOwner {
    /// The account.
    pub account: Account,
    /// The login.
    pub login: Login,
}

/// An invitation on its way into the store.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    /// What is stored of the token in the link.
    pub hash: TokenHash,
    /// The app it opens.
    pub app: event::AppId,
    /// The role it gives.
    pub role: Role,
    /// Whom it is meant for, in the words of whoever invited.
    pub note: String,
    /// The account that invited.
    pub invited_by: String,
    /// When it was made; it expires [`INVITATION_LIFETIME_MS`] later.
    pub now_ms: TimestampMs,
}

/// An invitation that can still be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its public name.
    pub id: String,
    /// The app it opens.
    pub app: event::AppId,
    /// The role it gives.
    pub role: Role,
    /// Whom it is meant for.
    pub note: String,
    /// Name of who invited.
    pub invited_by: String,
    /// When it was made.
    pub created_at_ms: TimestampMs,
    /// Until when it can be accepted.
    pub expires_at_ms: TimestampMs,
}
