use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryPool, MemoryReservation};
use event_store::{MemoryBudget, QueryError};

/// The budget of the query as the pool of its operators; what they do not give back goes with it.
#[derive(Debug)]
pub(crate) struct BudgetPool {
    budget: MemoryBudget,
    reserved: AtomicUsize,
    refused: OnceLock<QueryError>,
}

impl BudgetPool {
    pub(crate) fn new(budget: MemoryBudget) -> Self {
        Self { budget, reserved: AtomicUsize::new(0), refused: OnceLock::new() }
    }

    /// Why memory was refused first, where it was: an operator that could not do with less ends with it.
    pub(crate) fn refused(&self) -> Option<QueryError> {
        self.refused.get().cloned()
    }
}

impl fmt::Display for BudgetPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the query's budget")
    }
}

impl MemoryPool for BudgetPool {
    fn name(&self) -> &str {
        "budget"
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        self.reserved.fetch_add(additional, Ordering::Relaxed);
        // What is beyond the limit is refused to whoever asks next.
        let _ = self.budget.grow(additional);
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        self.reserved.fetch_sub(shrink, Ordering::Relaxed);
        self.budget.shrink(shrink);
    }

    fn try_grow(&self, _: &MemoryReservation, additional: usize) -> Result<()> {
        if let Err(error) = self.budget.grow(additional) {
            self.budget.shrink(additional);
            let _ = self.refused.set(error.clone());
            // Of this kind, operators that can do with less try so.
            return Err(DataFusionError::ResourcesExhausted(error.to_string()));
        }
        self.reserved.fetch_add(additional, Ordering::Relaxed);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }
}
