use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use event_store::{EventSource, MemoryBudget, MemoryPool, QueryContext};
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use crate::answered::Held;
use crate::cache::{Answer, answer_bytes};
use crate::failure::QueryFailure;
use crate::figures::{Counters, QueryFigures};
use crate::options::QueryOptions;
use crate::threads::QueryThreads;

/// What blocks: asking the store and laying out the answer.
pub(crate) type Work = Box<dyn FnOnce(&dyn EventSource, &QueryContext, &Turn) -> Result<Map<String, Value>, QueryFailure> + Send>;

/// When a piece of work came to its turn.
pub(crate) struct Turn {
    /// How long it waited for it.
    pub waited: Duration,
}

/// An answer, and since when it is known.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub answer: Answer,
    /// What the answer itself takes of the query's memory, as long as somebody has it to send.
    pub held: Arc<Held>,
    /// Nothing that became visible after this need be in the answer.
    pub as_of: Instant,
}

/// How a run ended.
pub(crate) type Outcome = Result<Made, QueryFailure>;

/// Runs work on threads made for it, a bounded number at a time, each under its limits.
pub(crate) struct Runner {
    source: Arc<dyn EventSource>,
    options: QueryOptions,
    permits: Arc<Semaphore>,
    counters: Arc<Counters>,
    memory: MemoryPool,
    threads: QueryThreads,
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
        let threads = QueryThreads::start(options.max_concurrent, options.niceness);
        let memory = MemoryPool::new(options.memory_bytes_total);
        Self { source, options, permits, counters: Arc::default(), memory, threads }
    }

    /// Runs `work` when its turn comes. Dropping the future cancels it: the store looks up from its work every 10 ms.
    ///
    /// # Errors
    /// Busy when the queue is full or the wait too long; else what `work` says.
    pub async fn run(&self, work: Work) -> Outcome {
        let asked = Instant::now();
        let permit = self.turn().await.inspect_err(|failure| self.counters.ended::<()>(&Err(failure.clone())))?;
        let cancel = CancellationToken::new();
        let _cancel_when_dropped = cancel.clone().drop_guard();
        let as_of = Instant::now();
        let context = QueryContext {
            deadline: as_of + self.options.time_limit,
            limit_ms: self.options.time_limit.as_millis() as u64,
            cancel,
            memory: MemoryBudget::within(self.options.memory_bytes_per_query, &self.memory),
            max_groups: self.options.max_groups,
        };
        let turn = Turn { waited: as_of - asked };
        let (source, counters) = (Arc::clone(&self.source), Arc::clone(&self.counters));
        let (sender, ended) = oneshot::channel();
        self.threads.run(move || {
            // The permit is given back when the thread is free again, also when nobody waits any more.
            let _permit = permit;
            let running = counters.run();
            let mut unfinished = Unfinished(Some(&counters));
            let result = work(source.as_ref(), &context, &turn).and_then(|fields| {
                let held = Arc::new(Held::take(&context.memory, answer_bytes(&fields))?);
                Ok(Made { answer: Arc::new(fields), held, as_of })
            });
            drop((unfinished.0.take(), context, running));
            counters.ended(&result);
            let _ = sender.send(result);
        });
        match ended.await {
            Ok(result) => result,
            Err(_) => Err(defect()),
        }
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, QueryFailure> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let max_queued = self.options.max_queued;
        let place = Place(&self.counters.waiting);
        if self.counters.waiting.fetch_add(1, Ordering::Relaxed) >= max_queued {
            return Err(QueryFailure::busy(format!("{max_queued} queries are waiting already: try again in a second")));
        }
        let permit = tokio::time::timeout(self.options.max_queue_wait, Arc::clone(&self.permits).acquire_owned()).await;
        drop(place);
        let wait_ms = self.options.max_queue_wait.as_millis();
        let permit = permit.map_err(|_| QueryFailure::busy(format!("no turn came within {wait_ms} ms: try again in a second")))?;
        permit.map_err(|_| QueryFailure::cancelled())
    }

    /// Its bounds.
    pub fn options(&self) -> &QueryOptions {
        &self.options
    }

    /// What all queries have together.
    pub fn memory(&self) -> &MemoryPool {
        &self.memory
    }

    /// What is counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The counters and the memory now.
    pub fn figures(&self) -> QueryFigures {
        self.counters.figures(self.memory.used_bytes(), self.memory.limit_bytes())
    }
}

/// Counts a run that panicked as failed.
struct Unfinished<'c>(Option<&'c Counters>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(counters) = self.0 {
            counters.ended::<()>(&Err(defect()));
        }
    }
}

fn defect() -> QueryFailure {
    QueryFailure::internal("the query ended without an answer; this is a defect")
}
