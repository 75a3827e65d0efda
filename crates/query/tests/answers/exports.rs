//! Files of raw events from the service: what they hold, and what becomes of them when their client does not take them.

use std::sync::Arc;
use std::time::Duration;

use event::{EventBatchBuilder, EventFields, PropertyValue};
use event_store::{AppendedBatch, Commit, EventSink, EventSource};
use event_store_parquet::{ParquetStore, ParquetStoreOptions};
use query::{AppSettings, FailureKind, QueryOptions, QueryService};
use serde_json::{Value, json};

use crate::dataset::{self, Layout, app};

const NOW_MS: i64 = 1_780_000_000_000;

async fn lines(service: &QueryService, request: &Value) -> Vec<Value> {
    let mut export = service.export(&AppSettings::new(app()), request.clone(), NOW_MS).await.unwrap();
    let mut file = Vec::new();
    while let Some(piece) = export.pieces.next().await {
        file.extend(piece.unwrap());
    }
    String::from_utf8(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_file_holds_what_pages_show_wherever_events_lie() {
    for layout in [Layout::Memory, Layout::Flushed, Layout::Mixed] {
        let loaded = dataset::open("shop", layout);
        let service = QueryService::new(loaded.source(), QueryOptions::default());
        for request in [json!({}), json!({"event": "buy"}), json!({"filters": [{"property": "country", "op": "eq", "value": "US"}]})] {
            let page = service.events(&AppSettings::new(app()), request.clone(), NOW_MS).await.unwrap();
            let key = |event: &Value| format!("{} {} {} {}", event["name"], event["user_id"], event["insert_id"], event["properties"]);
            let mut shown: Vec<String> = page["events"].as_array().unwrap().iter().map(key).collect();
            let mut exported: Vec<String> = lines(&service, &request).await.iter().map(key).collect();
            shown.sort();
            exported.sort();
            assert!(page["next_cursor"].is_null() && !shown.is_empty(), "{request}");
            assert_eq!(exported, shown, "{layout:?} {request}");
        }
    }
}

/// A store with more events than the channel to a client holds.
fn large() -> (Arc<ParquetStore>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = ParquetStore::open(folder.path(), ParquetStoreOptions::default(), Arc::new(|_: &event::AppId| None)).unwrap();
    let mut builder = EventBatchBuilder::default();
    builder.start(NOW_MS);
    let text = "t".repeat(1_000);
    for n in 0..5_000 {
        builder.property("text", PropertyValue::Str(&text));
        let fields = EventFields {
            name: "view",
            time_ms: NOW_MS - n,
            client_time_ms: NOW_MS - n,
            user_id: Some("u"),
            anonymous_id: None,
            insert_id: None,
            session_id: None,
        };
        builder.finish_event(&fields);
    }
    let batch = AppendedBatch { batch: builder.build(&app()), duplicates: vec![] };
    store.append(Commit { batches: vec![batch], end: 1 }).unwrap();
    (store, folder)
}

#[tokio::test]
async fn a_client_that_takes_nothing_loses_its_file_and_its_place() {
    let (store, _folder) = large();
    let options = QueryOptions { max_concurrent_exports: 1, export_stall_limit: Duration::from_millis(200), ..QueryOptions::default() };
    let service = QueryService::new(store as Arc<dyn EventSource>, options);
    let settings = AppSettings::new(app());
    let mut stalled = service.export(&settings, json!({}), NOW_MS).await.unwrap();
    let busy = service.export(&settings, json!({}), NOW_MS).await.err().unwrap();
    assert_eq!((busy.code, busy.kind), ("busy", FailureKind::Busy));
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(lines(&service, &json!({})).await.len(), 5_000, "the place is free again");
    let ended = loop {
        match stalled.pieces.next().await {
            Some(Ok(_)) => {}
            other => break other,
        }
    };
    assert_eq!(ended.unwrap().unwrap_err().code, "export_stalled");
    assert!(stalled.pieces.next().await.is_none());
}

#[tokio::test]
async fn an_export_has_a_bound_of_memory() {
    let (store, _folder) = large();
    let options = QueryOptions { memory_bytes_per_query: 1 << 20, ..QueryOptions::default() };
    let service = QueryService::new(store as Arc<dyn EventSource>, options);
    let failure = service.export(&AppSettings::new(app()), json!({"format": "parquet"}), NOW_MS).await.err().unwrap();
    assert_eq!(failure.code, "query_memory_limit");
}
