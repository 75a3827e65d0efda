//! The read side: a snapshot and the operators in [`crate::exec`].

use event::AppId;
use event_store::{
    AggregatePlan, AggregateTable, EventSource, EventsPage, EventsPlan, FunnelPlan, FunnelTable, QueryContext, QueryError, RollupRow,
    RollupSize, Schema, WindowRow,
};

use crate::exec::{self, Query};
use crate::store::ParquetStore;
use crate::windows;

impl ParquetStore {
    /// Runs one question on what is visible now.
    fn ask<T>(&self, context: &QueryContext, question: impl FnOnce(&Query<'_>) -> Result<T, QueryError>) -> Result<T, QueryError> {
        let snapshot = self.snapshot();
        question(&Query { snapshot: &snapshot, context, threads: self.options.query_threads })
    }
}

impl EventSource for ParquetStore {
    fn aggregate(&self, plan: &AggregatePlan, context: &QueryContext) -> Result<AggregateTable, QueryError> {
        self.ask(context, |query| exec::aggregate(query, plan))
    }

    fn funnel(&self, plan: &FunnelPlan, context: &QueryContext) -> Result<FunnelTable, QueryError> {
        self.ask(context, |query| exec::funnel(query, plan))
    }

    fn events(&self, plan: &EventsPlan, context: &QueryContext) -> Result<EventsPage, QueryError> {
        self.ask(context, |query| exec::events(query, plan))
    }

    fn schema(&self, app: &AppId, context: &QueryContext) -> Result<Schema, QueryError> {
        let names = self.event_names(app)?;
        self.ask(context, |query| exec::schema(query, app, names))
    }

    fn rollups(&self, app: &AppId, size: RollupSize, from_ms: i64, to_ms: i64) -> Result<Vec<RollupRow>, QueryError> {
        self.rollup_rows(app, size, from_ms, to_ms)
    }

    fn scan_for_windows(&self, from_ms: i64, visit: &mut dyn FnMut(&WindowRow<'_>)) -> Result<(), QueryError> {
        windows::scan(&self.snapshot(), from_ms, visit)
    }
}
