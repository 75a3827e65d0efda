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

/// Counts the bytes one query holds; cheap to share between its threads.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    used: Arc<AtomicUsize>,
    limit_bytes: usize,
}

impl MemoryBudget {
    /// A budget of `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        Self { used: Arc::default(), limit_bytes }
    }

    /// Takes `bytes` of the budget.
    ///
    /// # Errors
    /// [`QueryError::Memory`] when the limit would be passed; the caller then drops what it holds.
    pub fn grow(&self, bytes: usize) -> Result<(), QueryError> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.limit_bytes {
            return Err(QueryError::Memory { limit_bytes: self.limit_bytes });
        }
        Ok(())
    }

    /// Gives `bytes` back.
    pub fn shrink(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
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
