use std::fmt;

use event::TimestampMs;
use rand::CryptoRng;
use serde::Serialize;

use crate::app::random_id;

/// Longest e-mail address, as SMTP allows it (RFC 5321, 4.5.3.1.3).
const MAX_EMAIL_BYTES: usize = 254;
/// Longest name of a person.
pub const MAX_NAME_CHARS: usize = 255;

/// An e-mail address in the one spelling in which it is stored and compared: without spaces around it, in lower case.
///
/// Nothing is ever sent to it: it names an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Email(String);

impl Email {
    /// The address written as `text`, `None` when it cannot be one.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mailbox, domain) = text.rsplit_once('@')?;
        let is_plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        (is_plain && !mailbox.is_empty() && !domain.is_empty() && text.len() <= MAX_EMAIL_BYTES).then(|| Self(text.to_lowercase()))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What somebody logs in to. The persons whose events are counted have nothing to do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its id, which never changes.
    #[serde(rename = "account_id")]
    pub id: String,
    /// Unique among all accounts.
    pub email: Email,
    /// What people are called.
    pub name: String,
    /// Whether the account may make apps.
    pub administrator: bool,
    /// When it was made.
    pub created_at_ms: TimestampMs,
}

impl Account {
    /// A new account with a fresh id.
    pub fn new(email: Email, name: &str, created_at_ms: TimestampMs, rng: &mut impl CryptoRng) -> Self {
        Self { id: random_id("acc_", rng), email, name: name.to_owned(), administrator: false, created_at_ms }
    }
}

/// What a member may do in an app. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Ask questions.
    Viewer,
    /// Save cohorts, metrics, funnels and dashboards.
    Editor,
    /// Change settings, keys and members, and delete persons.
    Owner,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Owner];

    /// The name as it is stored and written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }

    /// The role called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// An account with a role on an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub account: Account,
    /// What it may do.
    pub role: Role,
    /// Since when it has a role on the app.
    pub since_ms: TimestampMs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        assert_eq!(Email::new(" Ann@Example.ORG ").unwrap().as_str(), "ann@example.org");
        for text in ["", "@", "a@", "@b", "a b@c", "a\n@b", &format!("{}@b", "a".repeat(254))] {
            assert_eq!(Email::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_role_includes_those_before_it() {
        assert!(Role::Owner > Role::Editor && Role::Editor > Role::Viewer);
        assert!(Role::ALL.into_iter().all(|role| Role::from_name(role.as_str()) == Some(role)));
    }
}
