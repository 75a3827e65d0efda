use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::failure::{FailureKind, QueryFailure};

/// What the query service has done and is doing, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryFigures {
    /// Questions a thread works on now, also such that nobody waits for any more.
    pub running: usize,
    /// Questions that wait for their turn.
    pub waiting: usize,
    /// Working memory of all running questions, bytes.
    pub memory_bytes: usize,
    /// Bound of `memory_bytes`.
    pub memory_limit_bytes: usize,
    /// Runs that ended with an answer.
    pub answered_total: u64,
    /// Runs that passed a limit: time, memory, groups, rows.
    pub limited_total: u64,
    /// Questions that found no turn, or no memory beside the others.
    pub busy_total: u64,
    /// Runs that stopped because nobody waited any more.
    pub cancelled_total: u64,
    /// Runs that failed for another reason.
    pub failed_total: u64,
    /// Answers from the cache.
    pub cached_total: u64,
    /// Answers of a run that another caller had begun.
    pub shared_total: u64,
    /// Time of all runs, microseconds.
    pub run_micros_total: u64,
}

/// The counters behind [`QueryFigures`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    running: AtomicUsize,
    pub waiting: AtomicUsize,
    answered: AtomicU64,
    limited: AtomicU64,
    busy: AtomicU64,
    cancelled: AtomicU64,
    failed: AtomicU64,
    pub cached: AtomicU64,
    pub shared: AtomicU64,
    run_micros: AtomicU64,
}

/// Counts as running while it lives.
pub(crate) struct Running<'c> {
    counters: &'c Counters,
    started: std::time::Instant,
}

impl Counters {
    /// A thread begins a run.
    pub fn run(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running { counters: self, started: std::time::Instant::now() }
    }

    /// A run has ended, or found no turn.
    pub fn ended<T>(&self, outcome: &Result<T, QueryFailure>) {
        let counter = match outcome.as_ref().map_err(|failure| failure.kind) {
            Ok(_) => &self.answered,
            Err(FailureKind::Limit) => &self.limited,
            Err(FailureKind::Busy) => &self.busy,
            Err(FailureKind::Cancelled) => &self.cancelled,
            Err(FailureKind::Invalid | FailureKind::Internal) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// All of them now.
    pub fn figures(&self, memory_bytes: usize, memory_limit_bytes: usize) -> QueryFigures {
        let total = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        QueryFigures {
            running: self.running.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            memory_bytes,
            memory_limit_bytes,
            answered_total: total(&self.answered),
            limited_total: total(&self.limited),
            busy_total: total(&self.busy),
            cancelled_total: total(&self.cancelled),
            failed_total: total(&self.failed),
            cached_total: total(&self.cached),
            shared_total: total(&self.shared),
            run_micros_total: total(&self.run_micros),
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.counters.running.fetch_sub(1, Ordering::Relaxed);
        self.counters.run_micros.fetch_add(self.started.elapsed().as_micros() as u64, Ordering::Relaxed);
    }
}
