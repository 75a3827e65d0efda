use std::fmt;
use std::sync::OnceLock;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc};
use argon2::{Algorithm, Argon2, Params, Version};

/// Shortest password: length is what makes one hard to guess (NIST SP 800-63B), so nothing else is asked of it.
pub const MIN_PASSWORD_CHARS: usize = 12;
/// Longest password.
pub const MAX_PASSWORD_BYTES: usize = 256;

/// Argon2id with the least parameters that OWASP's password storage cheat sheet gives: 19 MiB of memory, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A password that is no good as one, in words for whoever chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Too short.
    #[error("a password has at least {MIN_PASSWORD_CHARS} characters: a few words make a good one")]
    Short,
    /// Too long.
    #[error("a password has at most {MAX_PASSWORD_BYTES} bytes")]
    Long,
    /// What an attacker tries first.
    #[error("a password is no name, no e-mail address and no repetition: a few words make a good one")]
    Obvious,
}

/// Checks a password that somebody chose; `known` is what everybody knows of them.
///
/// # Errors
/// What is wrong with it.
pub fn check_password(password: &str, known: &[&str]) -> Result<(), WeakPassword> {
    let lower = password.to_lowercase();
    let first = lower.chars().next();
    if password.chars().count() < MIN_PASSWORD_CHARS {
        Err(WeakPassword::Short)
    } else if password.len() > MAX_PASSWORD_BYTES {
        Err(WeakPassword::Long)
    } else if lower.chars().all(|c| Some(c) == first) || known.iter().any(|word| word.to_lowercase() == lower) {
        Err(WeakPassword::Obvious)
    } else {
        Ok(())
    }
}

/// What is stored of a password: an argon2id hash in PHC form, with its own salt and parameters. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a password; takes tens of milliseconds and 19 MiB, so that guessing takes them too.
    ///
    /// # Errors
    /// When the system gives no random salt.
    pub fn of(password: &str) -> Result<Self, String> {
        argon2()?
            .hash_password(password.as_bytes())
            .map(|hash: phc::PasswordHash| Self(hash.to_string()))
            .map_err(|error| error.to_string())
    }

    /// As it was stored.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text to store.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the hash of `password`; takes as long as hashing it.
    pub fn verifies(&self, password: &str) -> bool {
        let Ok(hash) = phc::PasswordHash::new(&self.0) else { return false };
        Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
    }

    /// A hash that no password has, to take the same time over an account that does not exist.
    pub fn of_nobody() -> &'static Self {
        static NOBODY: OnceLock<PasswordHash> = OnceLock::new();
        NOBODY.get_or_init(|| {
            let random: [u8; 32] = rand::random();
            let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            Self::of(&password).unwrap_or_else(|_| Self(String::new()))
        })
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

fn argon2() -> Result<Argon2<'static>, String> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| error.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password_only_and_hides_itself() {
        let hash = PasswordHash::of("correct horse battery").unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        assert!(hash.verifies("correct horse battery"));
        assert!(!hash.verifies("correct horse batterx") && !hash.verifies(""));
        assert_ne!(hash, PasswordHash::of("correct horse battery").unwrap(), "salted");
        assert_eq!(format!("{hash:?}"), "PasswordHash(..)");
        assert!(!PasswordHash::of_nobody().verifies("correct horse battery"));
        assert!(!PasswordHash::stored("damaged".to_owned()).verifies(""));
    }

    #[test]
    fn what_is_tried_first_is_no_password() {
        let known = ["Ann Example Person", "ann@example.org"];
        let check = |password: &str| check_password(password, &known);
        assert_eq!(check("short"), Err(WeakPassword::Short));
        assert_eq!(check(&"a".repeat(300)), Err(WeakPassword::Long));
        assert_eq!(check(&"é".repeat(12)), Err(WeakPassword::Obvious));
        assert_eq!(check("ANN@example.org"), Err(WeakPassword::Obvious));
        assert_eq!(check("ann example person"), Err(WeakPassword::Obvious));
        assert_eq!(check("four words of mine"), Ok(()));
    }
}
