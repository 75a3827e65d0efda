use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use event_store::{QueryError, ScanStats};
use tokio::sync::mpsc::Sender;

use super::pushed::Pushed;
use super::{Shared, ViewColumn, events, persons, sessions};
use crate::limits::{BATCH_TEXT_BYTES, WAITING_BATCHES};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Events,
    Sessions,
    Persons,
}

/// One view as a table.
pub(crate) struct View {
    kind: Kind,
    columns: Vec<ViewColumn>,
    schema: SchemaRef,
    shared: Arc<Shared>,
}

impl View {
    pub(super) fn new(kind: Kind, columns: Vec<ViewColumn>, shared: &Arc<Shared>) -> Arc<Self> {
        let schema = ViewColumn::schema(&columns, &shared.app.timezone);
        Arc::new(Self { kind, columns, schema, shared: Arc::clone(shared) })
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

#[async_trait]
impl TableProvider for View {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns: Vec<ViewColumn> = match projection {
            Some(chosen) => chosen.iter().filter_map(|&column| self.columns.get(column).cloned()).collect(),
            None => self.columns.clone(),
        };
        let schema = ViewColumn::schema(&columns, &self.shared.app.timezone);
        let pushed = if self.kind == Kind::Events { Pushed::of(filters) } else { Pushed::default() };
        let reading = Reading { kind: self.kind, columns, schema: Arc::clone(&schema), pushed, shared: Arc::clone(&self.shared) };
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(reading)], None, None, false, limit)?))
    }

    /// What is pushed down only spares reading: the engine still looks at every row that comes.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let kind = if self.kind == Kind::Events { TableProviderFilterPushDown::Inexact } else { TableProviderFilterPushDown::Unsupported };
        Ok(vec![kind; filters.len()])
    }
}

/// A view that is being read.
pub(super) struct Reading {
    kind: Kind,
    pub(super) columns: Vec<ViewColumn>,
    pub(super) schema: SchemaRef,
    pub(super) pushed: Pushed,
    pub(super) shared: Arc<Shared>,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl PartitionStream for Reading {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), WAITING_BATCHES);
        let reading = Self {
            kind: self.kind,
            columns: self.columns.clone(),
            schema: Arc::clone(&self.schema),
            pushed: self.pushed.clone(),
            shared: Arc::clone(&self.shared),
        };
        let outlet = Outlet(stream.tx());
        stream.spawn_blocking(move || reading.run(&outlet).map_err(|error| DataFusionError::External(Box::new(error))));
        stream.build()
    }
}

impl Reading {
    fn run(&self, outlet: &Outlet) -> std::result::Result<(), QueryError> {
        let memory = &self.shared.context.memory;
        let waiting = (WAITING_BATCHES + 1) * BATCH_TEXT_BYTES;
        let read = memory.grow(waiting).and_then(|()| match self.kind {
            Kind::Events => events::read(self, outlet),
            Kind::Sessions => sessions::read(self, outlet),
            Kind::Persons => persons::read(self, outlet),
        });
        memory.shrink(waiting);
        match read {
            Ok(stats) => {
                self.shared.add(stats);
                Ok(())
            }
            // Whoever reads has enough, as under a LIMIT; if the query itself was cancelled, it knows.
            Err(QueryError::Cancelled) if outlet.0.is_closed() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Where batches go.
pub(super) struct Outlet(Sender<Result<RecordBatch>>);

impl Outlet {
    /// Waits for room.
    ///
    /// # Errors
    /// Cancelled, when nobody reads any more.
    pub(super) fn send(&self, batch: RecordBatch) -> std::result::Result<(), QueryError> {
        self.0.blocking_send(Ok(batch)).map_err(|_| QueryError::Cancelled)
    }
}

/// The type of what every view's reader returns.
pub(super) type ReadResult = std::result::Result<ScanStats, QueryError>;
