//! The folder that a backup is written to: copies under names made of their hash, so that none is ever written over.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::book::BookedFile;
use super::gather::Source;
use super::tree_hash;
use crate::byte_progress::ByteProgress;

/// A backup's folder, held by one process at a time.
pub(super) struct Place {
    root: PathBuf,
    _lock: File,
}

/// Why a file was not copied.
pub(super) enum CopyFailure {
    /// It is gone: the moment it belongs to cannot be had any more.
    Gone(String),
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for CopyFailure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl Place {
    /// Takes the folder, which is made where it is missing. One with other things in it is refused.
    pub(super) fn take(root: &Path) -> Result<Self> {
        let known = ["files", "backup.json", "backup.json.new", "lock"];
        if root.is_dir() {
            for entry in fs::read_dir(root).with_context(|| format!("{} cannot be read", root.display()))? {
                let name = entry?.file_name();
                if !known.iter().any(|known| name == *known) {
                    bail!("{} holds {name:?}: a backup needs a folder of its own", root.display());
                }
            }
        }
        let files = root.join("files");
        fs::create_dir_all(&files).with_context(|| format!("{} cannot be made", files.display()))?;
        let lock = File::create(root.join("lock")).with_context(|| format!("{} cannot be written", root.display()))?;
        if lock.try_lock().is_err() {
            bail!("another process is at the backup {}", root.display());
        }
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn copy_of(&self, name: &str) -> PathBuf {
        self.root.join("files").join(name)
    }

    /// True when a copy of this source seems to be here; [`Place::verify`] tells.
    pub(super) fn has(&self, source: &Source) -> bool {
        let name = source.hash.as_ref().map(|hash| copy_name(&source.path, hash));
        name.and_then(|name| fs::metadata(self.copy_of(&name)).ok()).is_some_and(|metadata| metadata.len() == source.bytes)
    }

    /// Copies a file durably and returns its entry.
    pub(super) fn copy(&self, source: &Source, progress: &mut ByteProgress) -> Result<BookedFile, CopyFailure> {
        let unread = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => CopyFailure::Gone(source.from.to_string()),
            _ => CopyFailure::Failed(anyhow::Error::new(error).context(format!("{} cannot be copied", source.from))),
        };
        let partial = self.copy_of("copying.partial");
        let at = |path: &Path, error: io::Error| {
            CopyFailure::Failed(anyhow::Error::new(error).context(format!("{} cannot be written", path.display())))
        };
        let from = source.from.open(source.bytes).map_err(unread)?;
        let mut to = File::create(&partial).map_err(|error| at(&partial, error))?;
        let copied = tree_hash::pass(from, Some(source.bytes), &mut to, &mut |bytes| progress.add(bytes));
        let (bytes, hash) = copied.map_err(unread)?;
        to.sync_all().map_err(|error| at(&partial, error))?;
        if bytes != source.bytes || source.hash.as_ref().is_some_and(|expected| *expected != hash) {
            let text = format!(
                "{} is not what was written: run throng check, put the file back from an earlier backup, then back up again",
                source.path
            );
            return Err(CopyFailure::Failed(anyhow::anyhow!(text)));
        }
        let copy = copy_name(&source.path, &hash);
        fs::rename(&partial, self.copy_of(&copy)).map_err(|error| at(&partial, error))?;
        kill_point::reach("backup.file_copied");
        Ok(BookedFile { path: source.path.clone(), copy, bytes, hash })
    }

    /// Makes the names of all copies durable.
    pub(super) fn sync(&self) -> Result<()> {
        let files = self.root.join("files");
        File::open(&files).and_then(|folder| folder.sync_all()).with_context(|| format!("{} cannot be synced", files.display()))
    }

    /// Reads a copy back; false when it is not what its entry says.
    pub(super) fn verify(&self, file: &BookedFile, progress: &mut ByteProgress) -> Result<bool> {
        verify(&self.root, file, progress)
    }

    /// Deletes the copies that no entry names.
    pub(super) fn keep_only(&self, files: &[BookedFile]) -> Result<()> {
        let named: HashSet<&str> = files.iter().map(|file| file.copy.as_str()).collect();
        for entry in fs::read_dir(self.root.join("files"))? {
            let entry = entry?;
            if !named.contains(&*entry.file_name().to_string_lossy()) {
                fs::remove_file(entry.path()).with_context(|| format!("{} cannot be deleted", entry.path().display()))?;
            }
        }
        Ok(())
    }
}

/// Reads the copy of a file in the backup at `root`; false when it is missing or not what its entry says.
pub(crate) fn verify(root: &Path, file: &BookedFile, progress: &mut ByteProgress) -> Result<bool> {
    let path = root.join("files").join(&file.copy);
    match tree_hash::of_file(&path, &mut |bytes| progress.add(bytes)) {
        Ok((bytes, hash)) => Ok(bytes == file.bytes && hash == file.hash),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Name of the copy of a file with this content; it keeps the ending, so that other tools read a segment's copy.
pub(super) fn copy_name(path: &str, hash: &str) -> String {
    match Path::new(path).extension() {
        Some(extension) => format!("{hash}.{}", extension.to_string_lossy()),
        None => hash.to_owned(),
    }
}
