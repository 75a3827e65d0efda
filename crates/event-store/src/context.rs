use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// Why a query gave no answer.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum QueryError {
    /// It ran longer than it may.
    #[error("the query passed its time limit of {limit_ms} ms: ask for a shorter range or fewer groups")]
    Timeout {
        /// The limit.
        limit_ms: u64,
    },
    /// Its working memory passed the limit.
    #[error("the query passed its memory limit of {limit_bytes} bytes: ask for a shorter range, fewer groups or fewer measures")]
    Memory {
        /// The limit.
        limit_bytes: usize,
    },
    /// All queries together passed their limit: the same question may fit in a moment.
    #[error("the queries that run now passed their memory limit of {limit_bytes} bytes together: try again in a second")]
    SharedMemory {
        /// The limit.
        limit_bytes: usize,
    },
    /// More groups than it may hold.
    #[error("the query passed its limit of {limit} groups: group by a property with fewer values, or filter it")]
    Groups {
        /// The limit.
        limit: usize,
    },
    /// The client left.
    #[error("the query was cancelled")]
    Cancelled,
    /// The plan asks for something that cannot be, such as an invalid regex; `field` is the plan's place.
    #[error("{message}")]
    Invalid {
        /// The request field at fault, such as `filters[0].value`.
        field: String,
        /// What is wrong and the way out.
        message: String,
    },
    /// The store failed.
    #[error("the event store could not answer: {0}")]
    Store(String),
}

/// The memory of all queries together.
#[derive(Clone, Debug)]
pub struct MemoryPool {
    used: Arc<AtomicUsize>,
    limit_bytes: usize,
}

impl MemoryPool {
    /// A pool of `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        Self { used: Arc::default(), limit_bytes }
    }

    /// Bytes that queries hold now; may be beyond the limit by what was just refused.
    pub fn used_bytes(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The limit.
    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }
}

/// Counts the bytes one query holds; cheap to share between its threads. What is not given back is when the last holder is dropped.
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<BudgetState>);

#[derive(Debug)]
struct BudgetState {
    used: AtomicUsize,
    peak: AtomicUsize,
    limit_bytes: usize,
    pool: Option<MemoryPool>,
}

impl MemoryBudget {
    /// A budget of `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        Self(Arc::new(BudgetState { used: AtomicUsize::new(0), peak: AtomicUsize::new(0), limit_bytes, pool: None }))
    }

    /// A budget of `limit_bytes` that is also taken from `pool`.
    pub fn within(limit_bytes: usize, pool: &MemoryPool) -> Self {
        let state = BudgetState { used: AtomicUsize::new(0), peak: AtomicUsize::new(0), limit_bytes, pool: Some(pool.clone()) };
        Self(Arc::new(state))
    }

    /// Takes `bytes` of the budget. A refused amount counts as taken until it is given back.
    ///
    /// # Errors
    /// [`QueryError::Memory`] when the limit would be passed, [`QueryError::SharedMemory`] when all queries together would pass
    /// theirs; the caller then drops what it holds.
    pub fn grow(&self, bytes: usize) -> Result<(), QueryError> {
        let state = &*self.0;
        let own = state.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        state.peak.fetch_max(own, Ordering::Relaxed);
        let shared =
            state.pool.as_ref().map(|pool| (pool.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes), pool.limit_bytes));
        if own > state.limit_bytes {
            return Err(QueryError::Memory { limit_bytes: state.limit_bytes });
        }
        match shared {
            // Alone it would not fit either: waiting does not help.
            Some((_, limit_bytes)) if own > limit_bytes => Err(QueryError::Memory { limit_bytes }),
            Some((all, limit_bytes)) if all > limit_bytes => Err(QueryError::SharedMemory { limit_bytes }),
            _ => Ok(()),
        }
    }

    /// Gives `bytes` back.
    pub fn shrink(&self, bytes: usize) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(pool) = &self.0.pool {
            pool.used.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// What one query may hold: its own limit, or that of all queries together where it is smaller.
    pub fn limit_bytes(&self) -> usize {
        self.0.pool.as_ref().map_or(self.0.limit_bytes, |pool| pool.limit_bytes.min(self.0.limit_bytes))
    }

    /// Most bytes that were held at once.
    pub fn peak_bytes(&self) -> usize {
        self.0.peak.load(Ordering::Relaxed)
    }
}

impl Drop for BudgetState {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.used.fetch_sub(*self.used.get_mut(), Ordering::Relaxed);
        }
    }
}

/// The limits of one query. Operators call [`QueryContext::check`] at least once per 10 ms of work.
#[derive(Clone, Debug)]
pub struct QueryContext {
    /// When it must have ended.
    pub deadline: Instant,
    /// The time limit the deadline came from, for the message.
    pub limit_ms: u64,
    /// Cancelled when the client leaves.
    pub cancel: CancellationToken,
    /// Working memory.
    pub memory: MemoryBudget,
    /// Most groups an aggregate may hold before folding.
    pub max_groups: usize,
}

impl QueryContext {
    /// Whether the query may go on.
    ///
    /// # Errors
    /// [`QueryError::Cancelled`] or [`QueryError::Timeout`].
    pub fn check(&self) -> Result<(), QueryError> {
        if self.cancel.is_cancelled() {
            return Err(QueryError::Cancelled);
        }
        if Instant::now() > self.deadline {
            return Err(QueryError::Timeout { limit_ms: self.limit_ms });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_bounds_all_budgets_and_gets_everything_back() {
        let pool = MemoryPool::new(100);
        let (a, b) = (MemoryBudget::within(80, &pool), MemoryBudget::within(300, &pool));
        assert_eq!(a.grow(81), Err(QueryError::Memory { limit_bytes: 80 }));
        a.shrink(81);
        assert_eq!(a.grow(60), Ok(()));
        assert_eq!(b.grow(60), Err(QueryError::SharedMemory { limit_bytes: 100 }));
        b.shrink(60);
        assert_eq!(b.grow(40), Ok(()));
        assert_eq!(pool.used_bytes(), 100);
        // Too much even for an empty pool.
        assert_eq!(b.grow(61), Err(QueryError::Memory { limit_bytes: 100 }));
        assert_eq!((a.peak_bytes(), b.peak_bytes()), (81, 101));
        drop((a, b));
        assert_eq!(pool.used_bytes(), 0);
    }
}
