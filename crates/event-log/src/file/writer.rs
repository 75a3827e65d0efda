//! The one thread that writes: takes groups from the queue, makes each durable with one fsync, then answers.

use super::disk::{Disk, is_full};
use super::format::{HEADER_BYTES, Marker, RECORD_HEADER_BYTES, SegmentHeader, encode_header, put_record};
use super::queue::{Queue, Waiting};
use super::recent::Place;
use super::segments::{Segment, segment_path};
use super::shared::Shared;
use crate::log::{LogError, Offset};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// The segment that takes appends.
pub(super) struct Active {
    pub(super) file: File,
    pub(super) base: Offset,
    /// Bytes that are durable; whatever lies behind them was never answered.
    pub(super) length: u64,
}

/// Bounds and waits of a [`Writer`].
#[derive(Clone, Copy, Debug)]
pub(super) struct WriterOptions {
    pub(super) segment_bytes: u64,
    pub(super) group_bytes: usize,
    pub(super) group_commit_wait: Duration,
    pub(super) reserve_bytes: u64,
}

/// How long a look at the disk's free space is believed; at a gigabyte a second that is 50 MB.
const ROOM_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Invariant: `active` and `next` agree with what is durable on disk, or the queue is latched.
pub(super) struct Writer {
    pub(super) queue: Arc<Queue>,
    pub(super) shared: Arc<Shared>,
    pub(super) disk: Box<dyn Disk>,
    pub(super) options: WriterOptions,
    pub(super) marker: Marker,
    pub(super) active: Option<Active>,
    pub(super) next: Offset,
    pub(super) end: watch::Sender<Offset>,
    pub(super) buffer: Vec<u8>,
    /// When free space was last found to be enough.
    pub(super) room_seen: Option<Instant>,
}

/// Why a group was not kept.
enum Refusal {
    /// The file is as it was before the group; later groups may succeed.
    Full(String),
    /// What is on disk is not known any more.
    Latched(String),
}

impl Writer {
    /// Serves the queue until it is closed and empty.
    pub(super) fn run(mut self) {
        let mut group = Vec::new();
        let mut not_before = Instant::now();
        while self.queue.take_group(&mut group, not_before) {
            not_before = Instant::now() + self.options.group_commit_wait;
            let error = match self.commit(&group) {
                Ok(first) => {
                    for (waiting, offset) in group.drain(..).zip(first..) {
                        // A caller that went away needs no answer, here and below.
                        let _ = waiting.answer.send(Ok(offset));
                    }
                    continue;
                }
                Err(Refusal::Full(message)) => {
                    tracing::warn!(appends = group.len(), %message, "the event log's disk is full");
                    self.shared.refused(&message);
                    LogError::Full(message)
                }
                Err(Refusal::Latched(reason)) => {
                    tracing::error!(%reason, "the event log takes no more appends until the process starts again");
                    self.queue.latch(&reason);
                    LogError::Latched(reason)
                }
            };
            for waiting in group.drain(..) {
                let _ = waiting.answer.send(Err(error.clone()));
            }
        }
    }

    /// Makes the group durable and readable; gives the offset of its first record.
    fn commit(&mut self, group: &[Waiting]) -> Result<Offset, Refusal> {
        self.check_room()?;
        self.encode(group);
        let bytes = self.buffer.len() as u64;
        let active = match self.active.take() {
            Some(active) if active.length == HEADER_BYTES || active.length + bytes <= self.options.segment_bytes => active,
            // When this is refused no segment is active: the one before stays sealed, because the new one's file may already be there
            // with the next offset as its name, and only that offset may follow.
            _ => self.create_segment()?,
        };
        let active = self.active.insert(active);
        if let Err(error) = self.disk.write(&active.file, &self.buffer, active.length) {
            if !is_full(&error) {
                return Err(Refusal::Latched(format!("writing failed: {error}")));
            }
            return match self.disk.truncate(&active.file, active.length) {
                Ok(()) => Err(Refusal::Full(error.to_string())),
                Err(cut) => Err(Refusal::Latched(format!("the disk is full ({error}) and cutting the file failed: {cut}"))),
            };
        }
        self.disk.sync(&active.file).map_err(|error| Refusal::Latched(format!("fsync failed: {error}")))?;
        active.length += bytes;
        Ok(self.publish(group))
    }

    /// Leaves the store room to flush, since only a flush lets the log be trimmed: without a reserve a full disk would stay full.
    fn check_room(&mut self) -> Result<(), Refusal> {
        if self.room_seen.is_some_and(|seen| seen.elapsed() < ROOM_CHECK_INTERVAL) {
            return Ok(());
        }
        self.room_seen = None;
        // A disk that does not tell is filled until a write fails.
        if let Ok(room) = self.disk.room(&self.shared.folder)
            && let Some(shortage) = room.shortage(self.options.reserve_bytes)
        {
            return Err(Refusal::Full(shortage));
        }
        self.room_seen = Some(Instant::now());
        Ok(())
    }

    fn encode(&mut self, group: &[Waiting]) {
        self.buffer.clear();
        // One huge record must not pin its memory for ever.
        self.buffer.shrink_to(2 * self.options.group_bytes);
        for (waiting, offset) in group.iter().zip(self.next..) {
            put_record(&mut self.buffer, self.marker, offset, &waiting.payload);
        }
    }

    /// Creates the segment whose first record is the next one; its header and its name are durable before any record is.
    fn create_segment(&self) -> Result<Active, Refusal> {
        let refuse = |what: &str, error: &io::Error| {
            let message = format!("{what} failed: {error}");
            if is_full(error) { Refusal::Full(message) } else { Refusal::Latched(message) }
        };
        let latch = |what: &str, error: io::Error| Refusal::Latched(format!("{what} failed: {error}"));
        let base = self.next;
        // Creating empties a file of an earlier attempt, so a full disk may interrupt this at any point.
        let file = self.disk.create(&segment_path(&self.shared.folder, base)).map_err(|error| refuse("creating a segment", &error))?;
        let header = encode_header(SegmentHeader { base, marker: self.marker });
        self.disk.write(&file, &header, 0).map_err(|error| refuse("writing a segment's header", &error))?;
        self.disk.sync(&file).map_err(|error| latch("fsync of a segment's header", error))?;
        self.disk.sync_folder(&self.shared.folder).map_err(|error| latch("fsync of the log's folder", error))?;
        let segment = Segment { base, length: HEADER_BYTES, marker: Some(self.marker), written_at: SystemTime::now() };
        self.shared.durable().segments.push_back(segment);
        Ok(Active { file, base, length: HEADER_BYTES })
    }

    /// Lets readers see the group, which is durable, and gives the offset of its first record.
    fn publish(&mut self, group: &[Waiting]) -> Offset {
        let first = self.next;
        self.next += group.len() as u64;
        let mut durable = self.shared.durable();
        if let (Some(active), Some(segment)) = (&self.active, durable.segments.back_mut()) {
            let mut behind = Place { segment: active.base, position: segment.length };
            segment.length = active.length;
            segment.written_at = SystemTime::now();
            for waiting in group {
                behind.position += (RECORD_HEADER_BYTES + waiting.payload.len()) as u64;
                durable.recent.push(waiting.payload.clone(), behind);
            }
        }
        durable.end = self.next;
        drop(durable);
        self.shared.commits_total.fetch_add(1, Relaxed);
        self.shared.appended_total.fetch_add(group.len() as u64, Relaxed);
        self.shared.written_bytes_total.fetch_add(self.buffer.len() as u64, Relaxed);
        self.end.send_replace(self.next);
        first
    }
}
