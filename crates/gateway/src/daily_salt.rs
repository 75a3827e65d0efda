use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use event::{AppId, TimestampMs};
use sha2::{Digest, Sha256};

/// Makes the ids of visitors who keep nothing on their device: the same for one address and user agent, in one app, on one UTC day.
///
/// The ids are hashes under a random salt of the day. Nobody who has an id can tell the address without the salt, and nobody has the
/// salt after its day: it lies in memory and, so that a restart keeps the ids, in one file that goes with the day. It is made when the
/// first event of a day needs it. It has no `Debug`, and nothing logs it.
pub(crate) struct DailySalt {
    current: Mutex<Option<Salt>>,
    file: Option<PathBuf>,
}

struct Salt {
    /// Days since 1970, UTC.
    day: i64,
    bytes: [u8; SALT_BYTES],
}

/// Who sent an event, as far as the gateway sees it.
pub(crate) struct Visitor<'a> {
    pub(crate) app: &'a AppId,
    /// Whom `client_address` believes it to be.
    pub(crate) address: Option<IpAddr>,
    pub(crate) user_agent: &'a [u8],
}

const SALT_BYTES: usize = 32;
const DAY_MS: i64 = 86_400_000;
/// Of the hash: two of ten million visitors of a day share 128 bits with a chance of one in 10^24.
const ID_BYTES: usize = 16;
/// A request that came before midnight may be worked on so long after it; an earlier one tells that the clock was set back.
const MAX_UNDER_WAY_MS: i64 = 10 * 60_000;

impl DailySalt {
    /// With the salt of today, where the file has it. A file of another day, or one that is damaged, is removed.
    pub(crate) fn open(file: Option<PathBuf>, now_ms: TimestampMs) -> Self {
        let kept = file.as_deref().and_then(|file| fs::read_to_string(file).ok()).and_then(|text| Salt::parse(&text));
        let salt = Self { current: Mutex::new(kept), file };
        salt.forget_past(now_ms);
        salt
    }

    /// The visitor's id on the day of `received_at_ms`.
    pub(crate) fn id(&self, received_at_ms: TimestampMs, visitor: &Visitor<'_>) -> String {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if !current.as_ref().is_some_and(|salt| salt.serves(received_at_ms)) {
            let salt = Salt { day: received_at_ms.div_euclid(DAY_MS), bytes: rand::random() };
            self.keep(&salt);
            *current = Some(salt);
        }
        current.as_ref().map(|salt| salt.id(visitor)).unwrap_or_default()
    }

    /// Throws the salt away when its day is over, from memory and from the disk.
    pub(crate) fn forget_past(&self, now_ms: TimestampMs) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|salt| salt.serves(now_ms)) {
            return;
        }
        *current = None;
        let Some(file) = &self.file else { return };
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::error!(file = %file.display(), %error, "the salt of a past day cannot be removed: remove it by hand");
            }
            _ => {}
        }
    }

    fn keep(&self, salt: &Salt) {
        let Some(file) = &self.file else { return };
        if let Err(error) = salt.write(file) {
            tracing::warn!(file = %file.display(), %error, "the salt of the day is kept in memory only: cookieless ids change with a restart");
        }
    }
}

impl Salt {
    /// Whether a request that came at this time is one of this salt's day.
    fn serves(&self, received_at_ms: TimestampMs) -> bool {
        let start_ms = self.day.saturating_mul(DAY_MS);
        (start_ms.saturating_sub(MAX_UNDER_WAY_MS)..start_ms.saturating_add(DAY_MS)).contains(&received_at_ms)
    }

    /// Each part has a fixed length or says it, so that no two visitors hash the same bytes.
    fn id(&self, visitor: &Visitor<'_>) -> String {
        let address = match visitor.address {
            Some(IpAddr::V4(v4)) => v4.to_ipv6_mapped(),
            Some(IpAddr::V6(v6)) => v6,
            None => Ipv6Addr::UNSPECIFIED,
        };
        let app = visitor.app.as_str().as_bytes();
        let hash = Sha256::new()
            .chain_update(self.bytes)
            .chain_update((app.len() as u64).to_le_bytes())
            .chain_update(app)
            .chain_update(address.octets())
            .chain_update(visitor.user_agent)
            .finalize();
        format!("daily-{}", hex(&hash[..ID_BYTES]))
    }

    /// One line: the day and the salt in hexadecimal.
    fn parse(text: &str) -> Option<Self> {
        let (day, digits) = text.strip_suffix('\n')?.split_once(' ')?;
        let mut bytes = [0; SALT_BYTES];
        if digits.len() != 2 * SALT_BYTES || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
        }
        Some(Self { day: day.parse().ok()?, bytes })
    }

    /// For the owner of the process alone. Not synced: after a power cut ids change, which is the smaller harm.
    fn write(&self, file: &Path) -> io::Result<()> {
        // An earlier file may have been opened to others; a new one never is.
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        written.write_all(format!("{} {}\n", self.day, hex(&self.bytes)).as_bytes())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Noon of some day.
    const NOON_MS: i64 = 20_600 * DAY_MS + DAY_MS / 2;

    fn id_at(salt: &DailySalt, at_ms: i64, app: &str, address: &str, user_agent: &str) -> String {
        let app = AppId::new(app).unwrap();
        salt.id(at_ms, &Visitor { app: &app, address: Some(address.parse().unwrap()), user_agent: user_agent.as_bytes() })
    }

    #[test]
    fn an_id_is_of_one_visitor_in_one_app_on_one_day() {
        let salt = DailySalt::open(None, NOON_MS);
        let at = |ms| id_at(&salt, ms, "shop", "1.2.3.4", "Firefox");
        let id = at(NOON_MS);
        assert!(id.starts_with("daily-") && id.len() == 38, "{id}");
        assert_eq!(at(NOON_MS + DAY_MS / 2 - 1), id);
        for (app, address, user_agent) in [
            ("blog", "1.2.3.4", "Firefox"),
            ("shop", "1.2.3.5", "Firefox"),
            ("shop", "1.2.3.4", "Chrome"),
            ("sho", "1.2.3.4", "Firefox"),
            ("shop", "2001:db8::1", "Firefox"),
        ] {
            assert_ne!(id_at(&salt, NOON_MS, app, address, user_agent), id);
        }
        assert_eq!(id_at(&salt, NOON_MS, "shop", "::ffff:1.2.3.4", "Firefox"), id);
        let tomorrow = at(NOON_MS + DAY_MS / 2);
        assert_ne!(tomorrow, id);
        // A request that came just before midnight and took its time does not bring yesterday back.
        assert_eq!(at(NOON_MS + DAY_MS / 2 - 1), tomorrow);
        assert_eq!(at(NOON_MS + DAY_MS), tomorrow);
    }

    #[test]
    fn two_gateways_share_nothing() {
        let id = || id_at(&DailySalt::open(None, NOON_MS), NOON_MS, "shop", "1.2.3.4", "Firefox");
        assert_ne!(id(), id());
    }

    #[test]
    fn a_restart_keeps_the_ids_of_its_day_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("daily-salt");
        let open = |now_ms| DailySalt::open(Some(file.clone()), now_ms);
        let id = |salt: &DailySalt, ms| id_at(salt, ms, "shop", "1.2.3.4", "Firefox");
        let first = open(NOON_MS);
        assert!(!file.exists(), "nobody needed a salt yet");
        let before = id(&first, NOON_MS);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(id(&open(NOON_MS + 1_000), NOON_MS + 1_000), before);
        open(NOON_MS + DAY_MS);
        assert!(!file.exists(), "a start on the next day removes it");
        assert_ne!(id(&open(NOON_MS), NOON_MS), before);

        fs::write(&file, "20600 not a salt\n").unwrap();
        let damaged = open(NOON_MS);
        assert!(!file.exists());
        assert_eq!(id(&damaged, NOON_MS), id(&open(NOON_MS), NOON_MS));
    }

    #[test]
    fn a_salt_goes_with_its_day_also_where_nothing_comes_in() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("daily-salt");
        let salt = DailySalt::open(Some(file.clone()), NOON_MS);
        let before = id_at(&salt, NOON_MS, "shop", "1.2.3.4", "Firefox");
        salt.forget_past(NOON_MS + DAY_MS / 2 - 1);
        assert!(file.exists());
        salt.forget_past(NOON_MS + DAY_MS / 2);
        assert!(!file.exists() && salt.current.lock().unwrap().is_none());
        // A clock that was set back by a day does not find the old salt.
        assert_ne!(id_at(&salt, NOON_MS, "shop", "1.2.3.4", "Firefox"), before);
    }

    #[test]
    fn without_a_place_for_the_file_the_salt_stays_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let salt = DailySalt::open(Some(folder.path().join("none/daily-salt")), NOON_MS);
        let id = || id_at(&salt, NOON_MS, "shop", "1.2.3.4", "Firefox");
        assert_eq!(id(), id());
    }
}
