use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

use event::AppId;

use crate::error::StreamError;

const FILE: &str = "secret";
const KEY_BYTES: usize = 16;
const DAMAGED: &str =
    "restore it from a backup, or delete its folder: the insert ids of the last 7 days are then collected again from the stored events";
const MISSING: &str =
    "missing beside runs: restore it from a backup, or delete its folder: the insert ids of the last 7 days are then collected again";

/// The key of this installation's hashes, so that nobody outside can make two insert ids collide, or a run degenerate.
#[derive(Clone)]
pub(crate) struct Secret(SipHasher13);

impl Secret {
    /// Reads the key in `dir`, or makes one when there is neither a key nor a run that needs it.
    ///
    /// # Errors
    /// [`StreamError::Damaged`] when the key is damaged, or is missing beside runs: their hashes would mean nothing under a new one.
    pub(crate) fn open(dir: &Path, has_runs: bool) -> Result<Self, StreamError> {
        if let Some(secret) = Self::read(dir)? {
            return Ok(secret);
        }
        let path = dir.join(FILE);
        if has_runs {
            return Err(StreamError::Damaged { path, reason: MISSING });
        }
        let key: [u8; KEY_BYTES] = rand::random();
        write_durably(dir, &path, &key).map_err(|source| StreamError::folder(&path, source))?;
        Ok(Self(SipHasher13::new_with_key(&key)))
    }

    /// Reads the key in `dir`; `None` when there is none.
    ///
    /// # Errors
    /// [`StreamError::Damaged`], [`StreamError::Folder`].
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, StreamError> {
        let path = dir.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StreamError::folder(&path, error)),
        };
        match bytes.split_first_chunk::<KEY_BYTES>() {
            Some((key, checksum)) if crc32fast::hash(key).to_le_bytes() == *checksum => Ok(Some(Self(SipHasher13::new_with_key(key)))),
            _ => Err(StreamError::Damaged { path, reason: DAMAGED }),
        }
    }

    /// The hasher of one app's insert ids.
    pub(crate) fn of_app(&self, app: &AppId) -> AppHasher {
        let mut hasher = self.0;
        hasher.write(app.as_str().as_bytes());
        // No app id has this byte, so no other pair of app and insert id makes the same text.
        hasher.write_u8(0xff);
        AppHasher(hasher)
    }
}

/// Hashes the insert ids of one app.
pub(crate) struct AppHasher(SipHasher13);

impl AppHasher {
    pub(crate) fn hash(&self, insert_id: &str) -> u128 {
        let mut hasher = self.0;
        hasher.write(insert_id.as_bytes());
        hasher.finish128().into()
    }
}

fn write_durably(dir: &Path, path: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(key)?;
    file.write_all(&crc32fast::hash(key).to_le_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(dir)?.sync_all()
}
