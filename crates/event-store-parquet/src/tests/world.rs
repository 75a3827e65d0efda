//! Events as plain data, a store over a temporary folder, and every stored row as plain data again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event::{AppId, EventBatch, EventBatchBuilder, EventFields, PropertyValue, Reject, RejectCode};
use event_store::{
    AppendedBatch, Commit, EventSink, EventSource, EventsPlan, Filter, MemoryBudget, QueryContext, RollupRow, RollupSize, Scan, StoreError,
};
use serde_json::Value;

use crate::check::{CheckOptions, CheckStep, Finding, check_store};
use crate::options::{AppRetention, ParquetStoreOptions};
use crate::part::Part;
use crate::store::ParquetStore;

/// 2026-01-01T00:00:00Z.
pub(super) const BASE_MS: i64 = 1_767_225_600_000;
pub(super) const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 86_400_000;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlainEvent {
    pub(super) app: &'static str,
    pub(super) name: String,
    pub(super) time_ms: i64,
    pub(super) client_time_ms: i64,
    pub(super) user_id: Option<String>,
    pub(super) anonymous_id: Option<String>,
    pub(super) insert_id: Option<String>,
    pub(super) session_id: Option<String>,
    pub(super) properties: Vec<(String, Value)>,
}

impl PlainEvent {
    pub(super) fn new(app: &'static str, name: &str, time_ms: i64, user: &str) -> Self {
        let (name, user_id) = (name.into(), Some(user.into()));
        let (anonymous_id, insert_id, session_id) = (None, None, None);
        Self { app, name, time_ms, client_time_ms: time_ms, user_id, anonymous_id, insert_id, session_id, properties: Vec::new() }
    }

    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.properties.push((name.into(), value));
        self
    }

    /// What a reader must see, as comparable text; the last value of a name counts and null is not set.
    pub(super) fn row(&self) -> String {
        let mut object = serde_json::Map::new();
        for (name, value) in &self.properties {
            object.insert(name.clone(), value.clone());
        }
        object.retain(|_, value| !value.is_null());
        let ids = [&self.user_id, &self.anonymous_id, &self.insert_id, &self.session_id];
        row_text(self.app, &self.name, self.time_ms, self.client_time_ms, ids, Value::Object(object))
    }
}

fn row_text(app: &str, name: &str, time_ms: i64, client_time_ms: i64, ids: [&Option<String>; 4], properties: Value) -> String {
    let mut members: Vec<String> = match properties {
        Value::Object(object) => object.into_iter().map(|(name, value)| format!("{name:?}={}", plain(&value))).collect(),
        other => vec![other.to_string()],
    };
    members.sort();
    format!("{app} {name} {time_ms} {client_time_ms} {ids:?} {}", members.join(" "))
}

/// Numbers that are equal are written the same way.
fn plain(value: &Value) -> String {
    match value {
        Value::Number(n) if n.is_f64() && n.as_f64().is_some_and(|f| f == f.trunc() && f.abs() < 9e15) => {
            format!("{}", n.as_f64().unwrap_or(0.0) as i64)
        }
        other => other.to_string(),
    }
}

fn set_properties(builder: &mut EventBatchBuilder, event: &PlainEvent) {
    for (name, value) in &event.properties {
        let json = value.to_string();
        let value = match value {
            Value::Null => PropertyValue::Null,
            Value::Bool(b) => PropertyValue::Bool(*b),
            Value::String(text) => PropertyValue::Str(text),
            Value::Number(n) if n.is_i64() => PropertyValue::Int(n.as_i64().unwrap()),
            Value::Number(n) if n.is_f64() => PropertyValue::Float(n.as_f64().unwrap()),
            _ => PropertyValue::Json(&json),
        };
        builder.property(name, value);
    }
}

/// One batch of events of one app, received a second after its first event.
pub(super) fn batch(events: &[PlainEvent]) -> EventBatch {
    batch_with_rejected(events, 0)
}

pub(super) fn batch_with_rejected(events: &[PlainEvent], rejected: u32) -> EventBatch {
    let mut builder = EventBatchBuilder::default();
    builder.start(events[0].time_ms + 1_000);
    for event in events {
        set_properties(&mut builder, event);
        builder.finish_event(&EventFields {
            name: &event.name,
            time_ms: event.time_ms,
            client_time_ms: event.client_time_ms,
            user_id: event.user_id.as_deref(),
            anonymous_id: event.anonymous_id.as_deref(),
            insert_id: event.insert_id.as_deref(),
            session_id: event.session_id.as_deref(),
        });
    }
    for index in 0..rejected {
        builder.reject_event(events.len() as u32 + index, Reject::new(RejectCode::MissingName, "no name"), b"{}");
    }
    builder.build(&AppId::new(events[0].app).unwrap())
}

/// One commit; each event its own batch, so that apps may be mixed.
pub(super) fn commit(events: &[PlainEvent], end: u64) -> Commit {
    let batches = events.chunk_by(|a, b| a.app == b.app).map(|of_app| AppendedBatch { batch: batch(of_app), duplicates: Vec::new() });
    Commit { batches: batches.collect(), end }
}

pub(super) fn keep_forever() -> Arc<dyn AppRetention> {
    Arc::new(|_: &AppId| None)
}

pub(super) fn open(dir: &Path) -> Arc<ParquetStore> {
    open_with(dir, ParquetStoreOptions::default(), keep_forever()).unwrap()
}

pub(super) fn open_with(
    dir: &Path,
    options: ParquetStoreOptions,
    retention: Arc<dyn AppRetention>,
) -> Result<Arc<ParquetStore>, StoreError> {
    ParquetStore::open(dir, options, retention)
}

pub(super) fn context() -> QueryContext {
    QueryContext {
        deadline: Instant::now() + Duration::from_secs(60),
        limit_ms: 60_000,
        cancel: Default::default(),
        memory: MemoryBudget::new(1 << 30),
        max_groups: 100_000,
    }
}

/// Every row of the apps as text, sorted.
pub(super) fn rows(store: &ParquetStore, apps: &[&'static str]) -> Vec<String> {
    let mut rows = Vec::new();
    for app in apps {
        let scan = Scan { app: AppId::new(app).unwrap(), from_ms: i64::MIN / 2, to_ms: i64::MAX / 2, events: None, filter: Filter::all() };
        let page = store.events(&EventsPlan { scan, limit: 1_000_000, skip: 0 }, &context()).unwrap();
        let is_dropped = |reason: &String| reason.ends_with("the app keeps its raw events for a time only");
        assert!(page.stats.missing.iter().all(is_dropped), "{:?}", page.stats.missing);
        rows.extend(page.rows.into_iter().map(|row| {
            let properties = serde_json::from_str(&row.properties_json).unwrap();
            let ids = [&row.user_id, &row.anonymous_id, &row.insert_id, &row.session_id];
            row_text(app, &row.name, row.time_ms, row.client_time_ms, ids, properties)
        }));
    }
    rows.sort();
    rows
}

/// What [`rows`] must give for these events.
pub(super) fn expected(events: &[PlainEvent]) -> Vec<String> {
    let mut rows: Vec<String> = events.iter().map(PlainEvent::row).collect();
    rows.sort();
    rows
}

pub(super) fn rollups(store: &ParquetStore, app: &str) -> Vec<RollupRow> {
    let app = AppId::new(app).unwrap();
    let of_size = |size| store.rollups(&app, size, i64::MIN, i64::MAX).unwrap();
    [of_size(RollupSize::Hour), of_size(RollupSize::Day)].concat()
}

pub(super) fn segment_count(store: &ParquetStore) -> usize {
    store.snapshot().parts.iter().filter(|part| matches!(&***part, Part::Segment(_))).count()
}

/// Paths of the segment files that are there.
pub(super) fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let folders = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut files: Vec<_> = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect();
    files.sort();
    files
}

/// Upkeep until nothing is left to do.
pub(super) fn maintain_all(store: &ParquetStore, now_ms: i64) -> usize {
    let mut pieces = 0;
    while store.maintain(now_ms).unwrap() {
        pieces += 1;
        assert!(pieces < 1_000, "upkeep does not end");
    }
    pieces
}

/// The whole store, read back and counted again.
pub(super) fn assert_sound(store: &ParquetStore) {
    assert_eq!(findings(&store.root), Vec::new());
}

/// What a check of the folder beside the open store finds.
pub(super) fn findings(dir: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    let options = CheckOptions { served: true, now_ms: BASE_MS + 2 * DAY_MS, tier: None, max_links: 1_000_000 };
    let mut report = |step| {
        if let CheckStep::Found(finding) = step {
            found.push(finding);
        }
    };
    check_store(dir, &options, &mut report).unwrap();
    found
}
