use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, Result as EngineResult};
use datafusion::execution::SessionState;
use datafusion::execution::context::{SQLOptions, SessionConfig};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::parser::Statement;
use event::AppId;
use event_store::{QueryContext, QueryError, RowSource};
use futures::StreamExt;

use crate::answer::{AnswerMaker, SqlAnswer};
use crate::error::{SqlError, from_datafusion};
use crate::functions::Functions;
use crate::limits::{BATCH_ROWS, MAX_OVERDUE, MAX_SCANS, PLANNER_STACK_BYTES};
use crate::memory::BudgetPool;
use crate::statement::{self, Read};
use crate::tables::{Shared, views};
use crate::watched::watch;

/// How often the caller's thread looks whether the statement must stop.
const LOOK_UP_EVERY: Duration = Duration::from_millis(10);
/// What a statement that was told to stop gets to do so before its answer is given without it.
const STOP_WITHIN: Duration = Duration::from_millis(400);
const WORKER_STACK_BYTES: usize = 8 << 20;

/// What the meaning of a statement depends on beside its text.
#[derive(Clone, Debug)]
pub struct SqlApp {
    /// The app, from the credential alone.
    pub app: AppId,
    /// IANA name of the zone of its times.
    pub timezone: Arc<str>,
    /// A longer pause than this begins a new session.
    pub session_idle_ms: i64,
}

/// Answers statements.
pub struct SqlEngine {
    functions: Arc<Functions>,
    threads: usize,
    overdue: Arc<AtomicUsize>,
}

impl SqlEngine {
    /// An engine whose statements each run on `threads` threads, beside those that read the store.
    pub fn new(threads: usize) -> Self {
        Self { functions: Arc::new(Functions::new()), threads: threads.max(1), overdue: Arc::default() }
    }

    /// The functions a statement may call, in order.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.functions.names()
    }

    /// Answers one SELECT over the rows, which are those of `app`. Blocks until then, at most for as long as `context` has it.
    ///
    /// # Errors
    /// [`SqlError`]; limits are named in it.
    pub fn answer(
        &self,
        text: &str,
        app: &SqlApp,
        rows: Arc<dyn RowSource>,
        context: &QueryContext,
        max_rows: usize,
    ) -> Result<SqlAnswer, SqlError> {
        if self.overdue.load(Ordering::Relaxed) >= MAX_OVERDUE {
            return Err(SqlError::Busy(format!("{MAX_OVERDUE} statements are still being stopped: try again in a second")));
        }
        let own = QueryContext { cancel: context.cancel.child_token(), ..context.clone() };
        let cancel = own.cancel.clone();
        let work = Work {
            text: text.to_owned(),
            functions: Arc::clone(&self.functions),
            threads: self.threads,
            max_rows,
            shared: Arc::new(Shared { app: app.clone(), rows, context: own, stats: Mutex::default() }),
        };
        let slot: Arc<Mutex<Option<Overdue>>> = Arc::default();
        let in_thread = Arc::clone(&slot);
        let (sender, ended) = sync_channel(1);
        let thread = std::thread::Builder::new().name("sql".to_owned()).stack_size(PLANNER_STACK_BYTES);
        let started = thread.spawn(move || {
            let _ended_with_the_thread = in_thread;
            let _ = sender.send(work.run());
        });
        started.map_err(|error| SqlError::Internal(format!("a thread for SQL could not be started: {error}")))?;
        loop {
            match ended.recv_timeout(LOOK_UP_EVERY) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return Err(SqlError::Internal("the thread of a statement ended early".to_owned())),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Err(error) = context.check() {
                cancel.cancel();
                if ended.recv_timeout(STOP_WITHIN).is_err_and(|error| error == RecvTimeoutError::Timeout) {
                    tracing::warn!("a statement did not stop in time; its thread goes on until it looks up");
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Overdue::new(&self.overdue));
                }
                return Err(error.into());
            }
        }
    }
}

/// A statement whose answer was given without it; counted until its thread ends.
struct Overdue(Arc<AtomicUsize>);

impl Overdue {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Overdue {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One statement on its thread.
struct Work {
    text: String,
    functions: Arc<Functions>,
    threads: usize,
    max_rows: usize,
    shared: Arc<Shared>,
}

impl Work {
    fn run(self) -> Result<SqlAnswer, SqlError> {
        let read = statement::read(&self.text, &self.functions)?;
        self.shared.context.check()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.threads)
            .max_blocking_threads(2 * MAX_SCANS)
            .thread_name("sql")
            .thread_stack_size(WORKER_STACK_BYTES)
            .enable_time()
            .build()
            .map_err(|error| SqlError::Internal(format!("threads for SQL could not be started: {error}")))?;
        let result = runtime.block_on(self.plan_and_run(read));
        // Views that are still being read, for a LIMIT was reached or something failed, end now; the runtime waits for them.
        self.shared.context.cancel.cancel();
        drop(runtime);
        result
    }

    async fn plan_and_run(&self, read: Read) -> Result<SqlAnswer, SqlError> {
        let context = &self.shared.context;
        let pool = Arc::new(BudgetPool::new(context.memory.clone()));
        let state = self.session(&read, Arc::clone(&pool)).map_err(|error| SqlError::Internal(error.to_string()))?;
        let failed = |error: &DataFusionError| match (from_datafusion(error), pool.refused()) {
            (SqlError::Limit { .. }, Some(refused)) => refused.into(),
            (error, _) => error,
        };
        let plan = self.plan(&state, read).await.map_err(|error| failed(&error))?;
        context.check()?;
        let schema = plan.schema();
        let stream = execute_stream(plan, state.task_ctx()).map_err(|error| failed(&error))?;
        let mut answer = AnswerMaker::new(&schema, &self.shared.app, context, self.max_rows)?;
        let rows = async {
            let mut stream = stream;
            while let Some(batch) = stream.next().await {
                answer.add(&batch.map_err(|error| failed(&error))?)?;
            }
            Ok::<(), SqlError>(())
        };
        let limit_ms = context.limit_ms;
        tokio::select! {
            biased;
            () = context.cancel.cancelled() => Err(QueryError::Cancelled.into()),
            () = tokio::time::sleep_until(context.deadline.into()) => Err(QueryError::Timeout { limit_ms }.into()),
            rows = rows => rows,
        }?;
        let stats = std::mem::take(&mut *self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(answer.finish(stats))
    }

    /// A session in which the three views are all there is.
    fn session(&self, read: &Read, pool: Arc<BudgetPool>) -> EngineResult<SessionState> {
        const CATALOG: &str = "throng";
        const SCHEMA: &str = "app";
        let mut config = SessionConfig::new()
            .with_information_schema(false)
            .with_batch_size(BATCH_ROWS)
            .with_target_partitions(self.threads)
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            .with_create_default_catalog_and_schema(true);
        config.options_mut().execution.time_zone = Some(self.shared.app.timezone.to_string());
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(pool)
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()?;
        let session = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime);
        let mut state = self.functions.give(session).build();
        state.mark_start_execution();
        let catalog = state.catalog_list().catalog(CATALOG).and_then(|catalog| catalog.schema(SCHEMA));
        let schema = catalog.ok_or_else(|| DataFusionError::Internal("the session has no catalogue".to_owned()))?;
        for (name, view) in views(&self.shared, &read.properties) {
            schema.register_table(name.to_owned(), view as Arc<dyn TableProvider>)?;
        }
        Ok(state)
    }

    async fn plan(&self, state: &SessionState, read: Read) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let logical = state.statement_to_plan(Statement::Statement(Box::new(read.statement))).await?;
        // The statement was checked before it was planned; this is the same from the other side.
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false).verify_plan(&logical)?;
        self.shared.context.check().map_err(|error| DataFusionError::External(Box::new(error)))?;
        let optimized = state.optimize(&logical)?;
        self.shared.context.check().map_err(|error| DataFusionError::External(Box::new(error)))?;
        let physical = state.query_planner().create_physical_plan(&optimized, state).await?;
        watch(physical, &self.shared.context)
    }
}
