use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use event::{AppId, TimestampMs};
use thiserror::Error;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::cell::Resolution;
use crate::packed::{Packed, Packer, read_bytes, read_text, read_varint, write_bytes, write_varint};
use crate::series::Stored;

const MAGIC: &[u8; 7] = b"THRGRTS";
const VERSION: u8 = 1;
const EXTENSION: &str = "snapshot";
/// The snapshot at the store's durable position and the one being made ahead of the next flush.
const KEPT_SNAPSHOTS: usize = 2;

/// A snapshot could not be written or read.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The disk failed or is full.
    #[error("the realtime snapshot {path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The file is not what this version wrote.
    #[error("the realtime snapshot {path} is damaged ({reason}): windows must be rebuilt from the raw events")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: &'static str,
    },
}

/// All cells of one app, by [`Resolution::ALL`].
pub(crate) struct SnapshotApp {
    pub(crate) app: AppId,
    pub(crate) series: [SnapshotSeries; Resolution::ALL.len()],
}

/// The cells of one app at one resolution, ascending by start.
#[derive(Default)]
pub(crate) struct SnapshotSeries {
    /// Windows before this were forgotten and must not be opened again.
    pub(crate) kept_from_ms: TimestampMs,
    pub(crate) cells: Vec<(TimestampMs, Stored)>,
}

/// All cells at one moment.
pub struct Snapshot {
    apps: Vec<SnapshotApp>,
}

impl Snapshot {
    pub(crate) fn new(mut apps: Vec<SnapshotApp>) -> Self {
        apps.sort_by(|a, b| a.app.cmp(&b.app));
        Self { apps }
    }

    pub(crate) fn into_apps(self) -> Vec<SnapshotApp> {
        self.apps
    }

    /// Writes `dir/<position>.snapshot` so that after a crash at any moment it is there whole or not at all, keeps the newest two
    /// at or before `position`, and deletes all others. Returns its size in bytes. Blocks.
    ///
    /// # Errors
    /// [`SnapshotError::Io`]; earlier snapshots are untouched.
    pub fn write(&self, dir: &Path, position: u64) -> Result<u64, SnapshotError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| SnapshotError::Io { path, source }
        };
        fs::create_dir_all(dir).map_err(at(dir))?;
        let path = path_of(dir, position);
        let temporary = path.with_extension("tmp");
        let bytes = self.write_file(&temporary, position).map_err(at(&temporary))?;
        fs::rename(&temporary, &path).map_err(at(&path))?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))?;
        delete_others(dir, position).map_err(at(dir))?;
        Ok(bytes)
    }

    fn write_file(&self, path: &Path, position: u64) -> io::Result<u64> {
        let mut out = Checked { file: BufWriter::with_capacity(1 << 16, File::create(path)?), hash: Xxh3::new(), bytes: 0 };
        let mut packer = Packer::new();
        let mut piece = Vec::new();
        piece.extend_from_slice(MAGIC);
        piece.push(VERSION);
        piece.extend_from_slice(&position.to_le_bytes());
        write_varint(&mut piece, self.apps.len() as u64);
        for SnapshotApp { app, series } in &self.apps {
            write_bytes(&mut piece, app.as_str().as_bytes());
            for SnapshotSeries { kept_from_ms, cells } in series {
                piece.extend_from_slice(&kept_from_ms.to_le_bytes());
                write_varint(&mut piece, cells.len() as u64);
                for (start_ms, stored) in cells {
                    piece.extend_from_slice(&start_ms.to_le_bytes());
                    write_bytes(&mut piece, &stored.packed(&mut packer));
                }
                out.write(&piece)?;
                piece.clear();
            }
        }
        out.write(&piece)?;
        let digest = out.hash.digest();
        out.file.write_all(&digest.to_le_bytes())?;
        let file = out.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(out.bytes + 8)
    }

    /// The snapshot at exactly `position`, checked whole before anything of it is believed; `None` when there is no such file.
    pub(crate) fn read(dir: &Path, position: u64) -> Result<Option<Self>, SnapshotError> {
        let path = path_of(dir, position);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SnapshotError::Io { path, source }),
        };
        let damaged = |reason| SnapshotError::Damaged { path: path.clone(), reason };
        let (content, checksum) = bytes.split_last_chunk::<8>().ok_or_else(|| damaged("too short"))?;
        if xxh3_64(content) != u64::from_le_bytes(*checksum) {
            return Err(damaged("checksum"));
        }
        let (magic, body) = content.split_first_chunk::<8>().ok_or_else(|| damaged("too short"))?;
        if magic[..7] != *MAGIC || magic[7] != VERSION {
            return Err(damaged("another format version"));
        }
        let apps = parse(body, position).ok_or_else(|| damaged("content"))?;
        Ok(Some(Self { apps }))
    }
}

/// Counts and hashes what goes to the file.
struct Checked {
    file: BufWriter<File>,
    hash: Xxh3,
    bytes: u64,
}

impl Checked {
    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.hash.update(piece);
        self.bytes += piece.len() as u64;
        self.file.write_all(piece)
    }
}

fn parse(mut input: &[u8], position: u64) -> Option<Vec<SnapshotApp>> {
    let input = &mut input;
    if read_i64(input)? as u64 != position {
        return None;
    }
    let mut apps = Vec::new();
    for _ in 0..read_varint(input)? {
        let app = AppId::new(read_text(input)?)?;
        let mut series = [SnapshotSeries::default(), SnapshotSeries::default()];
        for SnapshotSeries { kept_from_ms, cells } in &mut series {
            *kept_from_ms = read_i64(input)?;
            for _ in 0..read_varint(input)? {
                let start_ms = read_i64(input)?;
                cells.push((start_ms, Stored::Packed(Packed::from(read_bytes(input)?))));
            }
        }
        apps.push(SnapshotApp { app, series });
    }
    input.is_empty().then_some(apps)
}

fn read_i64(input: &mut &[u8]) -> Option<i64> {
    let (bytes, rest) = input.split_first_chunk::<8>()?;
    *input = rest;
    Some(i64::from_le_bytes(*bytes))
}

fn path_of(dir: &Path, position: u64) -> PathBuf {
    dir.join(format!("{position:020}.{EXTENSION}"))
}

/// Deletes temporary files, snapshots beyond `position` (of a run whose flush never came) and all but the newest two of the rest.
fn delete_others(dir: &Path, position: u64) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let at = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        match (extension, at) {
            (Some(EXTENSION), Some(at)) if at <= position => kept.push((at, path)),
            (Some(EXTENSION | "tmp"), Some(_)) => fs::remove_file(path)?,
            _ => {}
        }
    }
    kept.sort();
    for (_, path) in kept.iter().rev().skip(KEPT_SNAPSHOTS) {
        fs::remove_file(path)?;
    }
    Ok(())
}
