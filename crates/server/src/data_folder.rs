use std::fs::{File, OpenOptions, TryLockError, create_dir_all};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Where each room keeps its files.
///
/// ```text
/// DIR/LOCK              held by the process that runs on the folder; says which one
/// DIR/metadata.sqlite   apps, keys, definitions
/// DIR/log/              the event log
/// DIR/store/            segments and their manifest
/// DIR/demo.json         app and keys of `serve --demo`
/// DIR/daily-salt        today's salt of cookieless ids; never in a backup
/// DIR/stream/           dedupe runs, snapshots of the live windows, records that cannot be read
/// DIR/backup.lock       held by a backup under way, whose links keep files from vanishing in DIR/backup-pins/
/// DIR/RESTORING         a restore has not ended
/// ```
#[derive(Clone, Debug)]
pub(crate) struct DataFolder {
    root: PathBuf,
}

impl DataFolder {
    /// The folder at `root`, made where it is missing.
    pub(crate) fn create(root: &Path) -> Result<Self> {
        create_dir_all(root).with_context(|| format!("the data folder {} cannot be made", root.display()))?;
        Ok(Self { root: root.to_owned() })
    }

    /// The folder at `root`, which must be there.
    pub(crate) fn existing(root: &Path) -> Result<Self> {
        if !root.is_dir() {
            bail!("there is no data folder {}: name it with --data", root.display());
        }
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn metadata(&self) -> PathBuf {
        self.root.join("metadata.sqlite")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    pub(crate) fn stream(&self) -> PathBuf {
        self.root.join("stream")
    }

    /// The salt of cookieless ids, which goes with its UTC day.
    pub(crate) fn daily_salt(&self) -> PathBuf {
        self.root.join("daily-salt")
    }

    /// The demo's app with its keys.
    pub(crate) fn demo(&self) -> PathBuf {
        self.root.join("demo.json")
    }

    pub(crate) fn backup_lock(&self) -> PathBuf {
        self.root.join("backup.lock")
    }

    /// Links to files that a backup under way still needs.
    pub(crate) fn backup_pins(&self) -> PathBuf {
        self.root.join("backup-pins")
    }

    /// Removes what a backup that was killed left behind: links that keep replaced files on the disk.
    pub(crate) fn remove_stale_pins(&self) -> Result<()> {
        let pins = self.backup_pins();
        if !pins.exists() {
            return Ok(());
        }
        let lock = File::create(self.backup_lock())?;
        // Held by a backup: it needs them still.
        if lock.try_lock().is_ok() {
            std::fs::remove_dir_all(&pins).with_context(|| format!("{} cannot be removed", pins.display()))?;
        }
        Ok(())
    }

    /// Where a restore leaves its mark until it has ended.
    pub(crate) fn half_restored(&self) -> PathBuf {
        self.root.join("RESTORING")
    }

    /// Refuses a folder into which a restore has not ended.
    pub(crate) fn refuse_half_restored(&self) -> Result<()> {
        if self.half_restored().exists() {
            let root = self.root.display();
            bail!("a restore into {root} has not ended: run it again with the same backup, or delete the folder");
        }
        Ok(())
    }

    /// Takes the folder for this process until the lock is dropped or the process ends, however it ends.
    pub(crate) fn lock(&self) -> Result<FolderLock> {
        match self.try_lock()? {
            Ok(lock) => Ok(lock),
            Err(owner) => {
                bail!("the data folder {} is in use by {owner}: stop it first, or choose another folder with --data", self.root.display())
            }
        }
    }

    /// As [`DataFolder::lock`], or `None` when another process has the folder.
    pub(crate) fn lock_if_free(&self) -> Result<Option<FolderLock>> {
        Ok(self.try_lock()?.ok())
    }

    /// The lock, or who has it.
    fn try_lock(&self) -> Result<Result<FolderLock, String>> {
        let path = self.root.join("LOCK");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.with_context(|| format!("{} cannot be opened", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Unreadable or still empty: the owner is there all the same.
                let _ = file.read_to_string(&mut owner);
                return Ok(Err(if owner.is_empty() { "another process".to_owned() } else { owner.trim().to_owned() }));
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("{} cannot be locked", path.display())),
        }
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "process {}", std::process::id())?;
        file.sync_data()?;
        Ok(Ok(FolderLock { _file: file }))
    }
}

/// Holds a data folder.
pub(crate) struct FolderLock {
    _file: File,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_and_told_who_is_first() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::create(&folder.path().join("a/b")).unwrap();
        let first = data.lock().unwrap();
        let refusal = data.lock().err().unwrap().to_string();
        assert!(refusal.contains(&format!("process {}:", std::process::id())), "{refusal}");
        drop(first);
        data.lock().unwrap();
    }

    #[test]
    fn a_missing_folder_is_not_made_by_looking() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("nothing");
        assert!(DataFolder::existing(&missing).is_err());
        assert!(!missing.exists());
    }
}
