//! How a query runs: over one snapshot, within its limits, on a bounded number of threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use event_store::{MemoryBudget, QueryContext, QueryError, ScanStats};

use crate::decoded::DecodedCache;
use crate::part::ScanRequest;
use crate::snapshot::{Snapshot, account};

/// What every operator gets beside its plan.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// The rows.
    pub snapshot: &'a Snapshot,
    /// The limits.
    pub context: &'a QueryContext,
    /// Threads at most, the calling one included; at least 1.
    pub threads: usize,
    /// Decoded columns.
    pub(crate) decoded: &'a Arc<DecodedCache>,
}

impl Query<'_> {
    /// Reads the request's batches as the parts give them, keeping nothing, on several threads, each with a state of its own.
    ///
    /// # Errors
    /// The first error of `each` or of reading; limits as in [`QueryContext::check`], checked before each batch.
    pub(crate) fn scan<W: Send>(
        &self,
        request: &ScanRequest<'_>,
        make: &(dyn Fn() -> W + Sync),
        each: &(dyn Fn(&mut W, &RecordBatch) -> Result<(), QueryError> + Sync),
    ) -> Result<(Vec<W>, ScanStats), QueryError> {
        let mut parts: Vec<_> = self.snapshot.parts_of(request.app, request.from_ms, request.to_ms).collect();
        // The largest first, so that no thread begins one when the others are done.
        parts.sort_by_key(|part| std::cmp::Reverse(part.rows()));
        let stats = Mutex::new(ScanStats::default());
        let states = self.parallel(parts.len(), make, &|state, task| {
            let mut scan = parts[task].scan(request);
            for batch in scan.by_ref() {
                self.context.check()?;
                each(state, &batch?)?;
            }
            account(&scan, &mut stats.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
            Ok(())
        })?;
        Ok((states, stats.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())))
    }

    /// Runs `tasks` numbered tasks on several threads; returns the state of each thread.
    ///
    /// # Errors
    /// The first error of a task; the other threads stop after the task they are at.
    pub(super) fn parallel<W: Send>(
        &self,
        tasks: usize,
        make: &(dyn Fn() -> W + Sync),
        each: &(dyn Fn(&mut W, usize) -> Result<(), QueryError> + Sync),
    ) -> Result<Vec<W>, QueryError> {
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let run = || {
            let mut state = make();
            loop {
                let task = next.fetch_add(1, Ordering::Relaxed);
                if task >= tasks || stop.load(Ordering::Relaxed) {
                    return Ok(state);
                }
                // A filter gives up in the middle of a batch: only a query that may still go on has read what it should.
                let done = self.context.check().and_then(|()| each(&mut state, task)).and_then(|()| self.context.check());
                if let Err(error) = done {
                    stop.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        };
        let threads = self.threads.min(tasks).max(1);
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
            let mut states = vec![run()];
            states.extend(others.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(thread_failed()))));
            states.into_iter().collect()
        })
    }
}

fn thread_failed() -> QueryError {
    QueryError::Store("a thread of the query ended early; the log has the reason".into())
}

/// Bytes one holder has taken of a query's budget; given back when dropped.
pub(crate) struct Reserved {
    budget: MemoryBudget,
    bytes: usize,
}

impl Reserved {
    pub(crate) fn new(context: &QueryContext) -> Self {
        Self { budget: context.memory.clone(), bytes: 0 }
    }

    /// Bytes taken so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes over what another has taken.
    pub(super) fn join(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Takes more.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), QueryError> {
        // The budget counts a refused amount as taken, so it is given back with the rest.
        self.bytes += bytes;
        self.budget.grow(bytes)
    }

    /// Takes what is missing to `bytes`, or gives back what is beyond.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    pub(super) fn set(&mut self, bytes: usize) -> Result<(), QueryError> {
        if bytes >= self.bytes {
            return self.grow(bytes - self.bytes);
        }
        self.budget.shrink(self.bytes - bytes);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.shrink(self.bytes);
    }
}
