use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use event_store::{EventSource, MemoryBudget, QueryContext};
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::failure::QueryFailure;
use crate::flights::Outcome;
use crate::options::QueryOptions;

/// What blocks: asking the store and laying out the answer.
pub(crate) type Work = Box<dyn FnOnce(&dyn EventSource, &QueryContext) -> Result<Map<String, Value>, QueryFailure> + Send>;

/// Runs work on threads made for it, a bounded number at a time, each under its limits.
pub(crate) struct Runner {
    source: Arc<dyn EventSource>,
    options: QueryOptions,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// One place in the queue.
struct Place<'r>(&'r AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Runner {
    /// A runner on `source`.
    pub fn new(source: Arc<dyn EventSource>, options: QueryOptions) -> Self {
        let permits = Arc::new(Semaphore::new(options.max_concurrent));
        Self { source, options, permits, waiting: AtomicUsize::new(0) }
    }

    /// Runs `work` when its turn comes. Dropping the future cancels it: the store looks up from its work every 10 ms.
    ///
    /// # Errors
    /// Busy when the queue is full or the wait too long; else what `work` says.
    pub async fn run(&self, work: Work) -> Outcome {
        let permit = self.turn().await?;
        let cancel = CancellationToken::new();
        let _cancel_when_dropped = cancel.clone().drop_guard();
        let context = QueryContext {
            deadline: Instant::now() + self.options.time_limit,
            limit_ms: self.options.time_limit.as_millis() as u64,
            cancel,
            memory: MemoryBudget::new(self.options.memory_bytes_per_query),
            max_groups: self.options.max_groups,
        };
        let source = Arc::clone(&self.source);
        let running = tokio::task::spawn_blocking(move || {
            // The permit is given back when the thread is free again, also when nobody waits any more.
            let _permit = permit;
            work(source.as_ref(), &context)
        });
        match running.await {
            Ok(result) => result.map(Arc::new),
            Err(error) if error.is_cancelled() => Err(QueryFailure::cancelled()),
            Err(_) => Err(QueryFailure::internal("the query ended without an answer; this is a defect")),
        }
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, QueryFailure> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let max_queued = self.options.max_queued;
        let place = Place(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= max_queued {
            return Err(QueryFailure::busy(format!("{max_queued} queries are waiting already: try again in a second")));
        }
        let permit = tokio::time::timeout(self.options.max_queue_wait, Arc::clone(&self.permits).acquire_owned()).await;
        drop(place);
        let wait_ms = self.options.max_queue_wait.as_millis();
        let permit = permit.map_err(|_| QueryFailure::busy(format!("no turn came within {wait_ms} ms: try again in a second")))?;
        permit.map_err(|_| QueryFailure::cancelled())
    }
}
