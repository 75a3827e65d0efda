use std::fmt;

use rand::CryptoRng;
use sha2::{Digest, Sha256};

use crate::key::{RANDOM_CHARS, random_text};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Carries a login, in a cookie.
    Login,
    /// Accepts an invitation.
    Invitation,
    /// Makes the first account.
    SetUp,
}

impl TokenKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Login => "ls_",
            Self::Invitation => "iv_",
            Self::SetUp => "st_",
        }
    }
}

/// A token as it is handed out: once, and never stored; `Debug` does not show it either.
pub struct SecretToken(String);

impl SecretToken {
    /// A fresh token of 256 random bits.
    pub fn generate(kind: TokenKind, rng: &mut impl CryptoRng) -> Self {
        Self(random_text(kind.prefix(), rng))
    }

    /// The token's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for SecretToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretToken(..)")
    }
}

/// SHA-256 of a token's text; look-ups by it tell an attacker nothing about the token by their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of what a client sent, or `None` when it does not even look like a token of this kind.
    pub fn of(kind: TokenKind, text: &str) -> Option<Self> {
        let random = text.strip_prefix(kind.prefix())?;
        let looks_like_token = random.len() == RANDOM_CHARS && random.bytes().all(|b| b.is_ascii_alphanumeric());
        looks_like_token.then(|| Self(Sha256::digest(text.as_bytes()).into()))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A public name for what the token stands for: `prefix` and the first 12 hex digits of the hash.
    pub fn id(&self, prefix: &str) -> String {
        self.0[..6].iter().fold(prefix.to_owned(), |id, byte| format!("{id}{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_recognised_as_its_kind_and_hides_itself() {
        let token = SecretToken::generate(TokenKind::Login, &mut rand::rng());
        assert_eq!(TokenHash::of(TokenKind::Login, token.as_str()), Some(token.hash()));
        assert_eq!(TokenHash::of(TokenKind::Invitation, token.as_str()), None);
        assert_eq!(TokenHash::of(TokenKind::Login, &token.as_str()[..45]), None);
        assert!(!format!("{token:?}").contains(&token.as_str()[3..]));
        assert!(token.hash().id("login_").starts_with("login_") && token.hash().id("").len() == 12);
    }
}
