//! The log on a disk: a folder of segments, written by one thread, read by any number of readers.

mod check;
mod disk;
mod format;
mod queue;
mod reader;
mod recent;
mod recover;
mod releases;
mod scan;
mod segments;
mod shared;
#[cfg(test)]
mod tests;
mod writer;

pub use check::{LogCheck, LogGap, check_log};

use crate::log::{EventLog, LogError, LogReader, Offset};
use bytes::Bytes;
use disk::{Disk, SystemDisk};
use format::Marker;
use futures::FutureExt;
use futures::future::BoxFuture;
use queue::{Queue, QueueBounds};
use reader::FileReader;
use recent::Recent;
use recover::recover;
use releases::{MAX_CONSUMER_BYTES, Releases};
use segments::{Durable, Retention, segment_path};
use shared::Shared;
use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use writer::{Active, Writer, WriterOptions};

/// Bounds and habits of a [`FileLog`].
#[derive(Clone, Copy, Debug)]
pub struct FileLogOptions {
    /// A segment is sealed before it grows beyond this; a record larger than it gets a segment of its own.
    pub segment_bytes: u64,
    /// Largest record.
    pub max_record_bytes: usize,
    /// Payload bytes that may wait for the writer; beyond it appends get [`LogError::Full`].
    pub max_queued_bytes: usize,
    /// Appends that may wait for the writer; beyond it they get [`LogError::Full`].
    pub max_queued_appends: usize,
    /// About the most bytes of one group, that is of one write and fsync.
    pub group_commit_bytes: usize,
    /// Least time between the beginnings of two commits unless a full group waits. An append to an idle log never waits for it,
    /// nor does anybody where an fsync takes longer; on a faster disk it saves CPU.
    pub group_commit_wait: Duration,
    /// Newest records kept in memory for readers at the end.
    pub recent_bytes: usize,
    /// Released segments go once their last record is older.
    pub max_age: Duration,
    /// Released segments go, oldest first, while the log is larger.
    pub max_bytes: u64,
    /// Free space of the disk that appends leave alone (a tenth of a small disk at most), so that the store can flush and the log be trimmed.
    pub reserve_bytes: u64,
    /// The log's end is at least this: the position a store has reached, so that offsets it has seen are never given again,
    /// even when the log's tail or folder was lost.
    pub min_end: Offset,
}

/// Long enough for a group on a fast disk to be worth its fsync, short beside the way of a request.
pub const DEFAULT_GROUP_COMMIT_WAIT: Duration = Duration::from_millis(2);

impl Default for FileLogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 128 << 20,
            max_record_bytes: 16 << 20,
            max_queued_bytes: 64 << 20,
            max_queued_appends: 65_536,
            group_commit_bytes: 1 << 20,
            group_commit_wait: DEFAULT_GROUP_COMMIT_WAIT,
            recent_bytes: 16 << 20,
            max_age: Duration::from_secs(24 * 3600),
            max_bytes: 8 << 30,
            reserve_bytes: 512 << 20,
            min_end: 0,
        }
    }
}

/// Counters and levels of a [`FileLog`], for metrics and readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLogFigures {
    /// Groups made durable since the start.
    pub commits_total: u64,
    /// Records made durable since the start.
    pub appended_total: u64,
    /// Bytes made durable since the start, with record headers.
    pub written_bytes_total: u64,
    /// Appends that wait for the writer.
    pub queued_appends: usize,
    /// Their payload bytes.
    pub queued_bytes: usize,
    /// Bytes cut off the tail at the start.
    pub dropped_tail_bytes: u64,
    /// Bytes of all segments.
    pub stored_bytes: u64,
    /// Why the log takes no more appends, if it does not.
    pub latched: Option<String>,
}

/// A durable log in a folder of its own.
///
/// Records are appended by one thread that shares an fsync among all appends waiting for it. Readers at the end are served from
/// memory. Dropping the log finishes what was appended and stops the thread.
pub struct FileLog {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    end: watch::Receiver<Offset>,
    releases: Mutex<Releases>,
    retention: Retention,
    reserve_bytes: u64,
    max_record_bytes: usize,
    dropped_tail_bytes: u64,
    writer: Option<JoinHandle<()>>,
    /// Held so that no second process opens the same folder.
    _lock: File,
}

impl FileLog {
    /// Opens the log in `folder`, creating it where there is none, and repairs a torn tail.
    ///
    /// Reads the last segment once from beginning to end; takes time in proportion to `segment_bytes`.
    ///
    /// # Errors
    /// [`LogError::Io`] when the folder cannot be read or made durable, is in use, or holds a format this build does not know.
    pub fn open(folder: impl AsRef<Path>, options: FileLogOptions) -> Result<Self, LogError> {
        let folder = folder.as_ref();
        Self::open_on(folder, options, Box::new(SystemDisk))
            .map_err(|error| LogError::Io(format!("cannot open the event log in {}: {error}", folder.display())))
    }

    fn open_on(folder: &Path, options: FileLogOptions, disk: Box<dyn Disk>) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock().map_err(|error| io::Error::new(io::ErrorKind::ResourceBusy, format!("it is in use: {error}")))?;
        let releases = Releases::load(folder)?;
        let recovered = recover(folder, disk.as_ref())?;
        let seen = releases.positions.values().copied().max().unwrap_or(0).max(options.min_end);
        let end = recovered.end.max(seen);
        if end > recovered.end {
            tracing::warn!(from = recovered.end, to = end, "the event log lacks records that a consumer has already stored");
        }
        // Offsets within a segment are dense, so a leap begins a new one.
        let active = recovered.active.filter(|_| end == recovered.end).zip(recovered.segments.back());
        let active = active.map(|(file, segment)| Active { file, base: segment.base, length: segment.length });
        let start = recovered.segments.front().map_or(end, |segment| segment.base);
        let durable = Durable { segments: recovered.segments, start, end, recent: Recent::new(end, options.recent_bytes) };
        let shared = Arc::new(Shared::new(folder.to_owned(), durable));
        // A group never spans segments, so it is no larger than one.
        let group_bytes = options.group_commit_bytes.min(usize::try_from(options.segment_bytes).unwrap_or(usize::MAX));
        let bounds = QueueBounds { max_bytes: options.max_queued_bytes, max_appends: options.max_queued_appends, group_bytes };
        let queue = Arc::new(Queue::new(bounds));
        let (end_sender, end_receiver) = watch::channel(end);
        let writer = Writer {
            queue: Arc::clone(&queue),
            shared: Arc::clone(&shared),
            disk,
            options: WriterOptions {
                segment_bytes: options.segment_bytes,
                group_bytes,
                group_commit_wait: options.group_commit_wait,
                reserve_bytes: options.reserve_bytes,
            },
            marker: recovered.marker.unwrap_or_else(random_marker),
            active,
            next: end,
            end: end_sender,
            buffer: Vec::new(),
            room_seen: None,
        };
        let writer = thread::Builder::new().name("event-log".into()).spawn(move || writer.run())?;
        Ok(Self {
            queue,
            shared,
            end: end_receiver,
            releases: Mutex::new(releases),
            retention: Retention { max_age: options.max_age, max_bytes: options.max_bytes },
            reserve_bytes: options.reserve_bytes,
            max_record_bytes: options.max_record_bytes.min(u32::MAX as usize),
            dropped_tail_bytes: recovered.dropped_tail_bytes,
            writer: Some(writer),
            _lock: lock,
        })
    }

    /// Counters and levels as they are now.
    pub fn figures(&self) -> FileLogFigures {
        let (queued_appends, queued_bytes) = self.queue.depth();
        FileLogFigures {
            commits_total: self.shared.commits_total.load(Relaxed),
            appended_total: self.shared.appended_total.load(Relaxed),
            written_bytes_total: self.shared.written_bytes_total.load(Relaxed),
            queued_appends,
            queued_bytes,
            dropped_tail_bytes: self.dropped_tail_bytes,
            stored_bytes: self.shared.durable().segments.iter().map(|segment| segment.length).sum(),
            latched: self.queue.latched(),
        }
    }

    /// Why appends are refused for want of space; `None` while there is some. Asks the file system, so that it also tells when space
    /// was made and nobody has appended since.
    pub fn shortage(&self) -> Option<String> {
        let room = SystemDisk.room(&self.shared.folder).ok();
        room.and_then(|room| room.shortage(self.reserve_bytes)).or_else(|| self.shared.recent_refusal())
    }

    /// Deletes the segments that every consumer has released and retention does not keep.
    fn trim(&self, released: Offset) {
        let removed = self.shared.durable().trim(released, self.retention, SystemTime::now());
        for base in removed {
            match fs::remove_file(segment_path(&self.shared.folder, base)) {
                Ok(()) => tracing::debug!(base, "trimmed a segment of the event log"),
                // It is tried again after the next start, which finds the file.
                Err(error) => tracing::warn!(base, %error, "a released segment of the event log could not be deleted"),
            }
        }
    }
}

impl EventLog for FileLog {
    /// The record is handed over when this is called, not when the future is first polled.
    fn append(&self, payload: Bytes) -> BoxFuture<'_, Result<Offset, LogError>> {
        let (bytes, max_bytes) = (payload.len(), self.max_record_bytes);
        let queued = if bytes > max_bytes { Err(LogError::TooLarge { bytes, max_bytes }) } else { self.queue.push(payload) };
        async move { queued?.await.unwrap_or_else(|_| Err(LogError::Latched("the writer has stopped".into()))) }.boxed()
    }

    fn read_from(&self, offset: Offset) -> Result<Box<dyn LogReader>, LogError> {
        let (start, end) = (self.start(), self.end());
        if offset < start {
            return Err(LogError::Trimmed { wanted: offset, start });
        }
        if offset > end {
            return Err(LogError::Io(format!("offset {offset} lies behind the end of the log, {end}")));
        }
        Ok(Box::new(FileReader::new(Arc::clone(&self.shared), self.end.clone(), offset)))
    }

    fn end(&self) -> Offset {
        self.shared.durable().end
    }

    fn start(&self) -> Offset {
        self.shared.durable().start
    }

    /// Blocks for two fsyncs when the position is new. Trimming happens here and only here.
    fn release(&self, consumer: &str, position: Offset) -> Result<(), LogError> {
        let end = self.end();
        if position > end {
            return Err(LogError::Io(format!("{consumer} releases {position}, which lies behind the end of the log, {end}")));
        }
        if consumer.is_empty() || consumer.len() > MAX_CONSUMER_BYTES {
            return Err(LogError::Io(format!("a consumer's name has 1 to {MAX_CONSUMER_BYTES} bytes, not {}", consumer.len())));
        }
        let mut releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = releases.store(consumer, position);
        stored.map_err(|error| LogError::Io(format!("cannot store the position of {consumer}: {error}")))?;
        let released = releases.positions.values().copied().min().unwrap_or(0);
        self.trim(released);
        Ok(())
    }
}

impl Drop for FileLog {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the event log's writer thread panicked");
        }
    }
}

/// Differs from log to log; the standard library's hash keys are random per process.
fn random_marker() -> Marker {
    Marker::new(RandomState::new().build_hasher().finish() as u32)
}
