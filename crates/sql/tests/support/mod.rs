//! A store with the events of two apps, and statements over one of them.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot set up its store has failed")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use event::{AppId, EventBatchBuilder, EventFields, PropertyValue};
use event_store::{AppendedBatch, Commit, EventSink, EventSource, MemoryBudget, QueryContext};
use event_store_parquet::{ParquetStore, ParquetStoreOptions};
use serde_json::Value;
use sql::{SqlAnswer, SqlApp, SqlEngine, SqlError};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// 2026-03-02T00:00:00Z, a Monday.
pub const DAY_MS: i64 = 1_772_409_600_000;
pub const MAX_ROWS: usize = 100_000;

pub struct World {
    pub store: Arc<ParquetStore>,
    pub engine: SqlEngine,
    _folder: TempDir,
}

/// One event to be stored.
pub struct TestEvent<'a> {
    pub name: &'a str,
    pub time_ms: i64,
    pub user_id: Option<&'a str>,
    pub session_id: Option<&'a str>,
    pub properties: Vec<(&'a str, PropertyValue<'a>)>,
}

pub fn event<'a>(name: &'a str, time_ms: i64, user_id: &'a str) -> TestEvent<'a> {
    TestEvent { name, time_ms, user_id: Some(user_id), session_id: None, properties: Vec::new() }
}

impl<'a> TestEvent<'a> {
    pub fn with(mut self, name: &'a str, value: PropertyValue<'a>) -> Self {
        self.properties.push((name, value));
        self
    }
}

pub fn context(limit: Duration, memory_bytes: usize) -> QueryContext {
    QueryContext {
        deadline: Instant::now() + limit,
        limit_ms: limit.as_millis() as u64,
        cancel: CancellationToken::new(),
        memory: MemoryBudget::new(memory_bytes),
        max_groups: 1_000_000,
    }
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = ParquetStore::open(folder.path(), ParquetStoreOptions::default(), Arc::new(|_: &AppId| None)).unwrap();
        Self { store, engine: SqlEngine::new(2), _folder: folder }
    }

    /// A small shop for `ours`, and rows of `theirs` that no answer may show.
    pub fn shop() -> Self {
        let world = Self::new();
        let price = |value: f64| ("price", PropertyValue::Float(value));
        let at = |minute: i64| DAY_MS + minute * 60_000;
        let mut events = vec![
            event("page_view", at(0), "U1").with("country", PropertyValue::Str("US")),
            event("purchase", at(10), "U1").with("price", PropertyValue::Int(12)).with("paid", PropertyValue::Bool(true)),
            event("page_view", at(50), "U1"),
            event("page_view", at(5), "U2").with("country", PropertyValue::Str("DE")),
            event("purchase", at(1_500), "U2").with("price", PropertyValue::Str("free")),
            event("purchase", at(1_510), "U2").with("price", PropertyValue::Float(7.5)).with("paid", PropertyValue::Bool(false)),
            event("$identify", at(3), "U1").with("plan", PropertyValue::Str("pro")),
            event("big", at(4), "U3")
                .with("n", PropertyValue::Int(9_007_199_254_740_993))
                .with("tags", PropertyValue::Json("[\"a\",\"b\"]")),
        ];
        events[0].properties.push(price(0.5));
        world.append("ours", &events, 1);
        let secrets = vec![event("secret", at(0), "THEIRS").with("country", PropertyValue::Str("secret"))];
        world.append("theirs", &secrets, 2);
        world
    }

    pub fn append(&self, app: &str, events: &[TestEvent<'_>], end: u64) {
        let mut builder = EventBatchBuilder::default();
        builder.start(DAY_MS + 86_400_000 * 30);
        for event in events {
            event.properties.iter().for_each(|(name, value)| builder.property(name, *value));
            builder.finish_event(&EventFields {
                name: event.name,
                time_ms: event.time_ms,
                client_time_ms: event.time_ms,
                user_id: event.user_id,
                anonymous_id: None,
                insert_id: None,
                session_id: event.session_id,
            });
        }
        let batch = AppendedBatch { batch: builder.build(&AppId::new(app).unwrap()), duplicates: Vec::new() };
        self.store.append(Commit { batches: vec![batch], end }).unwrap();
    }

    /// Many events of a few persons: `count` page views, a second apart.
    pub fn with_many(self, count: usize) -> Self {
        let users: Vec<String> = (0..500).map(|i| format!("user-{i}")).collect();
        for (end, from) in (10..).zip((0..count).step_by(50_000)) {
            let rows = from..(from + 50_000).min(count);
            let events: Vec<TestEvent<'_>> = rows
                .map(|i| {
                    let time_ms = DAY_MS + (i as i64) * 1_000;
                    let event = event(if i % 3 == 0 { "purchase" } else { "page_view" }, time_ms, &users[(i * 7_919) % 500]);
                    event.with("price", PropertyValue::Int((i % 100) as i64))
                })
                .collect();
            self.append("ours", &events, end);
        }
        self
    }

    pub fn ask(&self, app: &str, statement: &str, context: &QueryContext) -> Result<SqlAnswer, SqlError> {
        let id = AppId::new(app).unwrap();
        let rows = self.store.rows_of(&id).unwrap();
        let app = SqlApp { app: id, timezone: "UTC".into(), session_idle_ms: 30 * 60_000 };
        self.engine.answer(statement, &app, rows, context, MAX_ROWS)
    }

    pub fn ours(&self, statement: &str) -> Result<SqlAnswer, SqlError> {
        self.ask("ours", statement, &context(Duration::from_secs(10), 256 << 20))
    }

    pub fn rows(&self, statement: &str) -> Value {
        let answer = self.ours(statement).unwrap_or_else(|error| panic!("{statement}\n{error:?}"));
        Value::Array(answer.rows.into_iter().map(Value::Array).collect())
    }

    pub fn refusal(&self, statement: &str) -> String {
        match self.ours(statement) {
            Ok(answer) => panic!("answered: {statement}\n{:?}", answer.rows),
            Err(SqlError::Internal(message)) => panic!("a defect: {statement}\n{message}"),
            Err(error) => error.to_string(),
        }
    }
}

/// Tests that look at the threads of the process run one at a time.
pub fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits until every thread of a statement that was told to stop has ended, which must not take long.
pub fn wait_for_threads(statement: &str) {
    const LIMIT: Duration = Duration::from_secs(10);
    let is_sql = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "sql");
    let running = || std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.flatten().any(is_sql));
    let started = Instant::now();
    while running() {
        assert!(started.elapsed() < LIMIT, "still running after {LIMIT:?}: {statement}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
