//! What the writer does to the disk: the one place where faults can be put in.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The changes a writer makes, so that tests can let each of them fail or forget what was not synced.
pub(super) trait Disk: Send {
    /// An empty file for reading and writing; what stood there is gone.
    fn create(&self, path: &Path) -> io::Result<File>;
    /// Writes all of `bytes` at `position`; after an error any part of them may have been written.
    fn write(&self, file: &File, bytes: &[u8], position: u64) -> io::Result<()>;
    /// Cuts the file to `length` bytes.
    fn truncate(&self, file: &File, length: u64) -> io::Result<()>;
    /// Makes content and length durable.
    fn sync(&self, file: &File) -> io::Result<()>;
    /// Free and total bytes of the disk that holds `folder`.
    fn room(&self, folder: &Path) -> io::Result<Room>;
    /// Makes the names in `folder` durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// How full a disk is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) free_bytes: u64,
    pub(super) total_bytes: u64,
}

/// On a small disk the reserve is at most this part of it.
const MAX_RESERVE_PART: u64 = 10;

impl Room {
    /// Why appends are refused, when fewer than `reserve_bytes` are free (a tenth of a small disk at most).
    pub(super) fn shortage(self, reserve_bytes: u64) -> Option<String> {
        let reserve_bytes = reserve_bytes.min(self.total_bytes / MAX_RESERVE_PART);
        let free_bytes = self.free_bytes;
        (free_bytes < reserve_bytes)
            .then(|| format!("{free_bytes} bytes of the disk are free, {reserve_bytes} are kept for the store to flush"))
    }
}

/// The operating system's.
pub(super) struct SystemDisk;

impl Disk for SystemDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
    }

    fn write(&self, file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
        file.write_all_at(bytes, position)
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn room(&self, folder: &Path) -> io::Result<Room> {
        let found = rustix::fs::statvfs(folder)?;
        Ok(Room { free_bytes: found.f_bavail.saturating_mul(found.f_frsize), total_bytes: found.f_blocks.saturating_mul(found.f_frsize) })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

/// True for the errors that pass by themselves once somebody frees space.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
