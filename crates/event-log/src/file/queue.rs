//! The bounded queue between the tasks that append and the one writer thread.

use crate::log::{LogError, Offset};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// One append that waits for its answer.
pub(super) struct Waiting {
    pub(super) payload: Bytes,
    pub(super) answer: oneshot::Sender<Result<Offset, LogError>>,
}

/// Bounds of a [`Queue`].
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueBounds {
    pub(super) max_bytes: usize,
    pub(super) max_appends: usize,
    /// A group is taken without further waiting once this many bytes wait, and holds about as many.
    pub(super) group_bytes: usize,
}

/// What the writer sleeps for, so that an append wakes it only when it must.
#[derive(PartialEq, Eq)]
enum WriterSleeps {
    No,
    UntilFirstAppend,
    UntilGroupIsFull,
}

struct State {
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    writer: WriterSleeps,
    latched: Option<String>,
    closed: bool,
}

/// Invariant: `waiting_bytes` is the sum of the payloads in `waiting`, and nothing enters once `latched` or `closed` is set.
pub(super) struct Queue {
    bounds: QueueBounds,
    state: Mutex<State>,
    wake_writer: Condvar,
}

impl Queue {
    pub(super) fn new(bounds: QueueBounds) -> Self {
        let state = State { waiting: VecDeque::new(), waiting_bytes: 0, writer: WriterSleeps::No, latched: None, closed: false };
        Self { bounds, state: Mutex::new(state), wake_writer: Condvar::new() }
    }

    /// Takes an append in, or says why not.
    pub(super) fn push(&self, payload: Bytes) -> Result<oneshot::Receiver<Result<Offset, LogError>>, LogError> {
        let (answer, receiver) = oneshot::channel();
        let mut state = self.lock();
        if let Some(reason) = &state.latched {
            return Err(LogError::Latched(reason.clone()));
        }
        if state.closed {
            return Err(LogError::Latched("the log is closed".into()));
        }
        // A record larger than the byte bound still passes when it is alone, else it never would.
        let bytes = state.waiting_bytes + payload.len();
        if state.waiting.len() >= self.bounds.max_appends || (bytes > self.bounds.max_bytes && !state.waiting.is_empty()) {
            let message = format!("{} appends with {} bytes wait for the disk", state.waiting.len(), state.waiting_bytes);
            return Err(LogError::Full(message));
        }
        state.waiting_bytes = bytes;
        state.waiting.push_back(Waiting { payload, answer });
        let wake = match state.writer {
            WriterSleeps::No => false,
            WriterSleeps::UntilFirstAppend => true,
            WriterSleeps::UntilGroupIsFull => bytes >= self.bounds.group_bytes,
        };
        if wake {
            state.writer = WriterSleeps::No;
            drop(state);
            self.wake_writer.notify_one();
        }
        Ok(receiver)
    }

    /// Moves the next group into `group`: waits for a first append, then until `not_before` for more of them to share its fsync.
    /// False once the queue is closed and empty.
    pub(super) fn take_group(&self, group: &mut Vec<Waiting>, not_before: Instant) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return false;
            }
            state.writer = WriterSleeps::UntilFirstAppend;
            state = self.wake_writer.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        while state.waiting_bytes < self.bounds.group_bytes && !state.closed {
            let wait = not_before.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                break;
            }
            state.writer = WriterSleeps::UntilGroupIsFull;
            state = self.wake_writer.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.writer = WriterSleeps::No;
        let mut bytes = 0;
        while let Some(next) = state.waiting.front() {
            if bytes > 0 && bytes + next.payload.len() > self.bounds.group_bytes {
                break;
            }
            bytes += next.payload.len();
            group.extend(state.waiting.pop_front());
        }
        state.waiting_bytes -= bytes;
        true
    }

    /// Refuses everything that waits and everything that comes.
    pub(super) fn latch(&self, reason: &str) {
        let refused = {
            let mut state = self.lock();
            state.latched = Some(reason.to_owned());
            state.waiting_bytes = 0;
            std::mem::take(&mut state.waiting)
        };
        for waiting in refused {
            // A caller that went away needs no answer.
            let _ = waiting.answer.send(Err(LogError::Latched(reason.to_owned())));
        }
    }

    /// Lets the writer finish what waits and then stop.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake_writer.notify_one();
    }

    pub(super) fn latched(&self) -> Option<String> {
        self.lock().latched.clone()
    }

    /// Appends and bytes that wait.
    pub(super) fn depth(&self) -> (usize, usize) {
        let state = self.lock();
        (state.waiting.len(), state.waiting_bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
