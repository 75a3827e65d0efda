//! Raw events page by page give each event once, also where many share a millisecond and a page ends among them.

use query::{AppSettings, QueryOptions, QueryService};
use serde_json::{Value, json};

use crate::dataset::{self, Layout, open};

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_any_size_give_every_event_once() {
    let app = AppSettings::new(dataset::app());
    let now_ms = event::parse_timestamp("2026-06-01T00:00:00Z").unwrap();
    for (name, layout) in [("funnel_window", Layout::Mixed), ("shop", Layout::Mixed), ("types", Layout::Flushed)] {
        let store = open(name, layout);
        let service = QueryService::new(store.source(), QueryOptions::default());
        let all = service.events(&app, json!({"limit": 1000}), now_ms).await.unwrap();
        let all = all["events"].as_array().unwrap();
        assert!(all.windows(2).all(|pair| pair[0]["timestamp"].as_str() >= pair[1]["timestamp"].as_str()), "newest first");
        for limit in 1..=4 {
            let mut read: Vec<Value> = Vec::new();
            let mut cursor = Value::Null;
            let mut pages = 0;
            loop {
                let page = service.events(&app, json!({"limit": limit, "cursor": cursor}), now_ms + pages).await.unwrap();
                let rows = page["events"].as_array().unwrap();
                assert!(rows.len() <= limit);
                read.extend(rows.iter().cloned());
                cursor = page["next_cursor"].clone();
                pages += 1;
                assert!(pages < 100, "the pages do not end");
                if cursor.is_null() {
                    break;
                }
            }
            assert_eq!(&read, all, "{name} by {limit}");
        }
    }
}
