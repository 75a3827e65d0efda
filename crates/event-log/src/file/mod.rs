//! The log in files: one folder, one segment after the other, one writer thread, any number of readers.
//!
//! `format` lays out the bytes, `scan` finds records among them, `segments` knows which files there are, `recover` mends the tail at
//! start, `writer` appends groups, `reader` follows, `releases` remembers how far consumers are. `disk` is where faults are put in by tests.

mod disk;
mod format;
mod queue;
mod reader;
mod recent;
mod recover;
mod releases;
mod scan;
mod segments;
#[cfg(test)]
mod tests;
mod writer;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::log::{EventLog, LogError, LogReader, Offset};
use disk::{Disk, SystemDisk};
use queue::{Queue, QueueBounds};
use reader::FileReader;
use releases::{MAX_CONSUMER_BYTES, Releases};
use segments::{Durable, Retention, segment_path};
use writer::Writer;

/// Bounds of a [`FileLog`].
#[derive(Clone, Copy, Debug)]
pub struct FileLogOptions {
    /// A segment is sealed before it grows beyond this.
    pub segment_bytes: u64,
    /// Largest record.
    pub max_record_bytes: usize,
    /// A group is written at once when this many bytes wait.
    pub group_commit_bytes: usize,
    /// Least time between two groups, so that under load more requests share an fsync; an append to an idle log does not wait.
    pub group_commit_interval: Duration,
    /// Payload bytes that may wait for the disk; beyond it appends are refused.
    pub max_queued_bytes: usize,
    /// Appends that may wait for the disk.
    pub max_queued_appends: usize,
    /// Payload bytes of the newest records kept in memory for readers at the end.
    pub recent_bytes: usize,
    /// A sealed segment that every consumer has released goes when it is older than this ...
    pub max_age: Duration,
    /// ... or when the log is larger than this.
    pub max_bytes: u64,
}

impl Default for FileLogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 128 << 20,
            max_record_bytes: 16 << 20,
            group_commit_bytes: 1 << 20,
            group_commit_interval: Duration::from_millis(2),
            max_queued_bytes: 64 << 20,
            max_queued_appends: 65_536,
            recent_bytes: 16 << 20,
            max_age: Duration::from_secs(24 * 3600),
            max_bytes: 8 << 30,
        }
    }
}

/// What the log, its writer and its readers share.
struct Shared {
    folder: PathBuf,
    options: FileLogOptions,
    queue: Queue,
    durable: Mutex<Durable>,
    end: watch::Sender<Offset>,
}

impl Shared {
    fn durable(&self) -> MutexGuard<'_, Durable> {
        // The guarded values are replaced whole, so a panic elsewhere leaves them consistent.
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An [`EventLog`] in a folder of segment files. One process at a time may open a folder; its owner sees to that.
///
/// Dropping it finishes the appends that wait.
pub struct FileLog {
    shared: Arc<Shared>,
    releases: Mutex<Releases>,
    writer: Option<JoinHandle<()>>,
}

impl FileLog {
    /// Opens the log in `folder`, which is created when absent, and mends a torn tail: bytes behind the last good record of the
    /// last segment were never acknowledged and are cut off.
    ///
    /// # Errors
    /// [`LogError::Io`] when the folder cannot be read or written, or was made by a later version.
    pub fn open(folder: &Path, options: FileLogOptions) -> Result<Self, LogError> {
        Self::open_on(folder, options, Box::new(SystemDisk)).map_err(|error| io_error(folder, &error))
    }

    fn open_on(folder: &Path, options: FileLogOptions, disk: Box<dyn Disk>) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let tail = recover::recover(folder, &options, disk.as_ref())?;
        let bounds = QueueBounds {
            max_bytes: options.max_queued_bytes,
            max_appends: options.max_queued_appends,
            group_bytes: options.group_commit_bytes,
        };
        let (end, _) = watch::channel(tail.durable.end);
        let shared =
            Arc::new(Shared { folder: folder.to_owned(), options, queue: Queue::new(bounds), durable: Mutex::new(tail.durable), end });
        let releases = Mutex::new(Releases::load(folder)?);
        let writer = Writer::new(shared.clone(), disk, tail.file, tail.marker);
        let writer = std::thread::Builder::new().name("event-log".into()).spawn(move || writer.run())?;
        Ok(Self { shared, releases, writer: Some(writer) })
    }
}

impl EventLog for FileLog {
    fn append(&self, payload: Bytes) -> BoxFuture<'_, Result<Offset, LogError>> {
        let max_bytes = self.shared.options.max_record_bytes;
        let pushed = if payload.len() > max_bytes {
            Err(LogError::TooLarge { bytes: payload.len(), max_bytes })
        } else {
            self.shared.queue.push(payload)
        };
        Box::pin(async move {
            let stopped = || LogError::Latched("the writer of the log has stopped".into());
            pushed?.await.unwrap_or_else(|_| Err(stopped()))
        })
    }

    fn read_from(&self, offset: Offset) -> Result<Box<dyn LogReader>, LogError> {
        let durable = self.shared.durable();
        if offset < durable.start {
            return Err(LogError::Trimmed { wanted: offset, start: durable.start });
        }
        if offset > durable.end {
            return Err(LogError::Io(format!("offset {offset} lies behind the end of the log, which is {}", durable.end)));
        }
        drop(durable);
        Ok(Box::new(FileReader::new(self.shared.clone(), offset)))
    }

    fn end(&self) -> Offset {
        self.shared.durable().end
    }

    fn start(&self) -> Offset {
        self.shared.durable().start
    }

    fn release(&self, consumer: &str, position: Offset) -> Result<(), LogError> {
        if consumer.is_empty() || consumer.len() > MAX_CONSUMER_BYTES {
            return Err(LogError::Io(format!("a consumer's name has 1 to {MAX_CONSUMER_BYTES} bytes")));
        }
        let mut releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = &self.shared.folder;
        releases.store(consumer, position).map_err(|error| io_error(folder, &error))?;
        let released = releases.positions.values().copied().min().unwrap_or(0);
        let options = &self.shared.options;
        let retention = Retention { max_age: options.max_age, max_bytes: options.max_bytes };
        let removed = self.shared.durable().trim(released, retention, SystemTime::now());
        for base in removed {
            fs::remove_file(segment_path(folder, base)).map_err(|error| io_error(folder, &error))?;
        }
        Ok(())
    }
}

impl Drop for FileLog {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of the event log panicked");
        }
    }
}

fn io_error(folder: &Path, error: &io::Error) -> LogError {
    LogError::Io(format!("{}: {error}", folder.display()))
}
