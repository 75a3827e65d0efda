//! How far each consumer is, in a small file beside the segments that is replaced as a whole.

use crate::log::Offset;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "released";
const MAGIC: [u8; 8] = *b"THRNGREL";
/// Longest name of a consumer.
pub(super) const MAX_CONSUMER_BYTES: usize = 255;

/// Consumer name to the first offset it still needs.
pub(super) type Positions = BTreeMap<String, Offset>;

/// The stored positions of one log.
pub(super) struct Releases {
    folder: PathBuf,
    pub(super) positions: Positions,
}

impl Releases {
    /// Reads what was stored. A damaged file counts as no consumer, so nothing is trimmed until they release again.
    pub(super) fn load(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE_NAME);
        let positions = match fs::read(&path) {
            Ok(bytes) => decode(&bytes).unwrap_or_else(|| {
                tracing::warn!(path = %path.display(), "the released positions of the event log are damaged and start anew");
                Positions::new()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Positions::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { folder: folder.to_owned(), positions })
    }

    /// Moves `consumer` on to `position` durably; a position never goes back.
    pub(super) fn store(&mut self, consumer: &str, position: Offset) -> io::Result<()> {
        if self.positions.get(consumer).is_some_and(|stored| *stored >= position) {
            return Ok(());
        }
        let mut positions = self.positions.clone();
        positions.insert(consumer.to_owned(), position);
        let temporary = self.folder.join("released.new");
        let mut file = File::create(&temporary)?;
        file.write_all(&encode(&positions))?;
        file.sync_all()?;
        fs::rename(&temporary, self.folder.join(FILE_NAME))?;
        File::open(&self.folder)?.sync_all()?;
        self.positions = positions;
        Ok(())
    }
}

fn encode(positions: &Positions) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend((positions.len() as u32).to_le_bytes());
    for (consumer, position) in positions {
        // `MAX_CONSUMER_BYTES` fits one byte.
        bytes.push(consumer.len() as u8);
        bytes.extend(consumer.as_bytes());
        bytes.extend(position.to_le_bytes());
    }
    let checksum = crc32fast::hash(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Positions> {
    let (body, checksum) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let (count, mut rest) = body.strip_prefix(&MAGIC)?.split_first_chunk::<4>()?;
    let mut positions = Positions::new();
    for _ in 0..u32::from_le_bytes(*count) {
        let (length, tail) = rest.split_first()?;
        let (consumer, tail) = tail.split_at_checked(usize::from(*length))?;
        let (position, tail) = tail.split_first_chunk::<8>()?;
        positions.insert(String::from_utf8(consumer.to_vec()).ok()?, u64::from_le_bytes(*position));
        rest = tail;
    }
    rest.is_empty().then_some(positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_and_never_go_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut releases = Releases::load(folder.path()).unwrap();
        releases.store("stream", 7).unwrap();
        releases.store("export", 3).unwrap();
        releases.store("stream", 5).unwrap();
        let again = Releases::load(folder.path()).unwrap();
        assert_eq!(again.positions, Positions::from([("export".into(), 3), ("stream".into(), 7)]));
    }

    #[test]
    fn a_damaged_file_counts_as_no_consumer() {
        let positions = Positions::from([("export".into(), 3), ("stream".into(), 7)]);
        let bytes = encode(&positions);
        assert_eq!(decode(&bytes), Some(positions));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert_eq!(decode(&flipped), None, "byte {at}");
            assert_eq!(decode(&bytes[..at]), None, "cut at {at}");
        }
    }
}
