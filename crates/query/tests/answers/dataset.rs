//! Datasets of the golden cases, loaded into a Parquet store in a temporary folder.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use event::{AppId, EventBatch, EventBatchBuilder, EventFields, PropertyValue, parse_timestamp};
use event_store::{AppendedBatch, Commit, EventSink, EventSource};
use event_store_parquet::{ParquetStore, ParquetStoreOptions};
use serde_json::Value;
use tempfile::TempDir;

/// Where the events of a dataset lie: an answer must not depend on it.
#[derive(Clone, Copy, Debug)]
pub enum Layout {
    /// None flushed.
    Memory,
    /// All in one segment per day.
    Flushed,
    /// Every second event flushed, the others in memory.
    Mixed,
}

/// A store with its folder, which goes when the store does.
pub struct Loaded {
    store: Arc<ParquetStore>,
    _folder: TempDir,
}

impl Loaded {
    /// The store to ask.
    pub fn source(&self) -> Arc<dyn EventSource> {
        Arc::clone(&self.store) as Arc<dyn EventSource>
    }
}

/// The app all datasets belong to.
pub fn app() -> AppId {
    AppId::new("APP-1").unwrap()
}

/// Loads `golden/datasets/{name}.ndjson`, and beside it the same events for another app, which no answer may show.
pub fn open(name: &str, layout: Layout) -> Loaded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/datasets").join(name).with_extension("ndjson");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect();
    store(&lines, layout)
}

/// Stores these events for the app, and for another one, which no answer may show.
pub fn store(lines: &[Value], layout: Layout) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    let keep_for_ever = |_: &AppId| -> Option<i64> { None };
    let store = ParquetStore::open(folder.path(), ParquetStoreOptions::default(), Arc::new(keep_for_ever)).unwrap();
    let half = |remainder: usize| lines.iter().skip(remainder).step_by(2).collect::<Vec<_>>();
    let parts = match layout {
        Layout::Memory | Layout::Flushed => vec![lines.iter().collect()],
        Layout::Mixed => vec![half(1), half(0)],
    };
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            store.flush().unwrap();
        }
        let apps = [app(), AppId::new("OTHER").unwrap()];
        let batches = apps.iter().map(|app| AppendedBatch { batch: batch(app, part), duplicates: vec![] }).collect();
        store.append(Commit { batches, end: i as u64 + 1 }).unwrap();
    }
    if matches!(layout, Layout::Flushed) {
        store.flush().unwrap();
    }
    Loaded { store, _folder: folder }
}

/// Events as lines of a dataset have them, received at one time.
pub fn batch(app: &AppId, lines: &[&Value]) -> EventBatch {
    let mut builder = EventBatchBuilder::default();
    builder.start(parse_timestamp("2026-06-01T00:00:00Z").unwrap());
    for line in lines {
        for (key, value) in line["properties"].as_object().into_iter().flatten() {
            let json = value.to_string();
            let value = match value {
                Value::Null => PropertyValue::Null,
                Value::Bool(value) => PropertyValue::Bool(*value),
                Value::Number(number) if number.is_i64() => PropertyValue::Int(number.as_i64().unwrap()),
                Value::Number(number) if number.is_f64() => PropertyValue::Float(number.as_f64().unwrap()),
                Value::String(text) => PropertyValue::Str(text),
                Value::Number(_) | Value::Array(_) | Value::Object(_) => PropertyValue::Json(&json),
            };
            builder.property(key, value);
        }
        let time_ms = parse_timestamp(line["timestamp"].as_str().unwrap()).unwrap();
        builder.finish_event(&EventFields {
            name: line["name"].as_str().unwrap(),
            time_ms,
            client_time_ms: time_ms,
            user_id: line["user_id"].as_str(),
            anonymous_id: line["anonymous_id"].as_str(),
            insert_id: line["insert_id"].as_str(),
            session_id: line["session_id"].as_str(),
        });
    }
    builder.build(app)
}
