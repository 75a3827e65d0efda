//! The log without a disk: the same contract until the process ends.

use crate::log::{EventLog, LogError, LogReader, Offset, Record};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Bounds of a [`MemoryLog`].
#[derive(Clone, Debug)]
pub struct MemoryLogOptions {
    /// Largest record.
    pub max_record_bytes: usize,
    /// Payload bytes held; beyond it appends get [`LogError::Full`] until consumers release some.
    pub max_held_bytes: usize,
}

impl Default for MemoryLogOptions {
    fn default() -> Self {
        Self { max_record_bytes: 16 << 20, max_held_bytes: 256 << 20 }
    }
}

/// Invariant: `records` are consecutive from `start` on and their payloads sum up to `held_bytes`.
#[derive(Default)]
struct State {
    start: Offset,
    records: VecDeque<Bytes>,
    held_bytes: usize,
    released: BTreeMap<String, Offset>,
}

impl State {
    fn end(&self) -> Offset {
        self.start + self.records.len() as u64
    }
}

/// An event log in memory, for tests. What every consumer has released is gone at once.
pub struct MemoryLog {
    options: MemoryLogOptions,
    state: Arc<Mutex<State>>,
    end: watch::Sender<Offset>,
}

impl MemoryLog {
    /// An empty log.
    pub fn new(options: MemoryLogOptions) -> Self {
        Self { options, state: Arc::default(), end: watch::Sender::new(0) }
    }

    fn append_now(&self, payload: Bytes) -> Result<Offset, LogError> {
        let (bytes, max_bytes) = (payload.len(), self.options.max_record_bytes);
        if bytes > max_bytes {
            return Err(LogError::TooLarge { bytes, max_bytes });
        }
        let mut state = lock(&self.state);
        if state.held_bytes + bytes > self.options.max_held_bytes {
            return Err(LogError::Full(format!("{} bytes are held in memory", state.held_bytes)));
        }
        let offset = state.end();
        state.held_bytes += bytes;
        state.records.push_back(payload);
        self.end.send_replace(offset + 1);
        Ok(offset)
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new(MemoryLogOptions::default())
    }
}

impl EventLog for MemoryLog {
    fn append(&self, payload: Bytes) -> BoxFuture<'_, Result<Offset, LogError>> {
        ready(self.append_now(payload)).boxed()
    }

    fn read_from(&self, offset: Offset) -> Result<Box<dyn LogReader>, LogError> {
        let (start, end) = (self.start(), self.end());
        if offset < start {
            return Err(LogError::Trimmed { wanted: offset, start });
        }
        if offset > end {
            return Err(LogError::Io(format!("offset {offset} lies behind the end of the log, {end}")));
        }
        Ok(Box::new(MemoryReader { state: Arc::clone(&self.state), end: self.end.subscribe(), offset }))
    }

    fn end(&self) -> Offset {
        lock(&self.state).end()
    }

    fn start(&self) -> Offset {
        lock(&self.state).start
    }

    fn release(&self, consumer: &str, position: Offset) -> Result<(), LogError> {
        let mut state = lock(&self.state);
        let end = state.end();
        if position > end {
            return Err(LogError::Io(format!("{consumer} releases {position}, which lies behind the end of the log, {end}")));
        }
        let stored = state.released.entry(consumer.to_owned()).or_default();
        *stored = position.max(*stored);
        let released = state.released.values().copied().min().unwrap_or(0);
        while state.start < released {
            state.start += 1;
            state.held_bytes -= state.records.pop_front().map_or(0, |payload| payload.len());
        }
        Ok(())
    }
}

struct MemoryReader {
    state: Arc<Mutex<State>>,
    end: watch::Receiver<Offset>,
    offset: Offset,
}

impl LogReader for MemoryReader {
    fn next(&mut self, max_bytes: usize) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        async move {
            let from = self.offset;
            self.end.wait_for(|end| *end > from).await.map_err(|_| LogError::Io("the log was closed".into()))?;
            let state = lock(&self.state);
            let trimmed = LogError::Trimmed { wanted: from, start: state.start };
            let skip = from.checked_sub(state.start).ok_or(trimmed)? as usize;
            let mut records = Vec::new();
            let mut bytes = 0;
            for (payload, offset) in state.records.range(skip..).zip(from..) {
                if bytes > 0 && bytes + payload.len() > max_bytes {
                    break;
                }
                bytes += payload.len();
                self.offset = offset + 1;
                records.push(Record { offset, payload: payload.clone() });
            }
            Ok(records)
        }
        .boxed()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
