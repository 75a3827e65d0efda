//! Whatever the zone, the interval and the range: rollups and raw events give the same rows. A filter that holds for every event, on
//! a property that none has, is what rollups cannot answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use event::{EventBatchBuilder, EventFields};
use event_store::{AppendedBatch, Commit, EventSink, EventSource};
use event_store_parquet::{ParquetStore, ParquetStoreOptions};
use proptest::prelude::*;
use query::{Answered, AppSettings, QueryOptions, QueryService};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::dataset;

/// Zones of whole hours, of half and quarter hours, with clocks that change by an hour or by half of one.
const ZONES: [&str; 7] =
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Casablanca"];
/// 2026-03-20T00:00:00Z: before most of the year's first changes of clocks.
const BASE_MS: i64 = 1_773_964_800_000;
const DAYS: i64 = 40;

/// One event every eleven minutes or so over forty days; two thirds flushed, in two orders, the rest in memory.
fn store() -> (Arc<ParquetStore>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let keep_for_ever = |_: &event::AppId| -> Option<i64> { None };
    let store = ParquetStore::open(folder.path(), ParquetStoreOptions::default(), Arc::new(keep_for_ever)).unwrap();
    let count = DAYS * 24 * 60 / 11;
    for part in 0..3 {
        let mut builder = EventBatchBuilder::default();
        builder.start(BASE_MS);
        for i in (0..count).filter(|i| i % 3 == part) {
            let time_ms = BASE_MS + i * 11 * 60_000 + i % 7;
            let user = format!("U{}", i * 31 % 400);
            builder.finish_event(&EventFields {
                name: ["view", "click", "buy", "$set"][(i / 3 % 4) as usize],
                time_ms,
                client_time_ms: time_ms,
                user_id: (i % 10 > 0).then_some(user.as_str()),
                anonymous_id: None,
                insert_id: None,
                session_id: None,
            });
        }
        let batch = AppendedBatch { batch: builder.build(&dataset::app()), duplicates: vec![] };
        store.append(Commit { batches: vec![batch], end: part as u64 + 1 }).unwrap();
        if part < 2 {
            store.flush().unwrap();
        }
    }
    (store, folder)
}

prop_compose! {
    fn any_question()(
        metrics in prop::sample::select(vec![
            json!(["events"]),
            json!(["unique_users_approx", "events"]),
            json!(["events", {"formula": "A / B", "A": {"fn": "events", "event": "click"}, "B": {"fn": "events", "event": "view"}}]),
        ]),
        interval in prop::sample::select(vec![Value::Null, json!("hour"), json!("day"), json!("week"), json!("month")]),
        group_by in prop::sample::select(vec![Value::Null, json!("event")]),
        event in prop::sample::select(vec![Value::Null, json!(["view"]), json!(["buy", "view"])]),
        filters in prop::sample::select(vec![json!([]), json!([{"property": "event", "op": "neq", "value": "$set"}])]),
        compare in prop::sample::select(vec![Value::Null, json!("previous_period")]),
        limit in 1usize..5,
        range in prop_oneof![
            (1i64..30).prop_map(|days| json!({"range": format!("{days}d")})),
            (1i64..200).prop_map(|hours| json!({"range": format!("{hours}h")})),
            (0i64..DAYS * 24 * 60, 1i64..20 * 24 * 60).prop_map(|(from, length)| {
                json!({"from": BASE_MS + from * 60_000, "to": BASE_MS + (from + length) * 60_000})
            }),
        ],
    ) -> Value {
        let mut question = range;
        question["metrics"] = metrics;
        question["events"] = event;
        question["filters"] = filters;
        question["limit"] = json!(limit);
        for (key, value) in [("interval", interval), ("group_by", group_by), ("compare", compare)] {
            if !value.is_null() {
                question[key] = value;
            }
        }
        question
    }
}

fn tables(answer: &Answered) -> BTreeSet<String> {
    let tables = answer["explain"]["tables"].as_array().unwrap();
    let used = tables.iter().filter(|table| table["rows"] != json!(0));
    used.map(|table| table["table"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_table_never_changes_a_number() {
    let (store, _folder) = store();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let service = QueryService::new(Arc::clone(&store) as Arc<dyn EventSource>, QueryOptions::default());
    let rolled = std::cell::Cell::new(0);
    let questions = (prop::sample::select(ZONES.to_vec()), any_question(), 0i64..DAYS * 24 * 60);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() });
    let run = runner.run(&questions, |(zone, mut question, now_minutes)| {
        let app = AppSettings { timezone: zone.to_owned(), ..AppSettings::new(dataset::app()) };
        let now_ms = BASE_MS + now_minutes * 60_000 + 17;
        question["explain"] = json!(true);
        let mut from_raw = question.clone();
        from_raw["filters"].as_array_mut().unwrap().push(json!({"property": "never_sent", "op": "is_not_set"}));
        let ask =
            |question: Value| runtime.block_on(service.query(&app, question, now_ms)).map_err(|e| TestCaseError::fail(format!("{e:?}")));
        let (answer, raw) = (ask(question.clone())?, ask(from_raw)?);
        prop_assert_eq!(&answer["results"], &raw["results"], "{} at {} in {}: {}", question, now_ms, zone, answer["explain"]);
        let raw_tables = tables(&raw);
        prop_assert!(!raw_tables.contains("rollup_day") && !raw_tables.contains("rollup_hour"), "{:?}", raw_tables);
        let used = tables(&answer);
        let is_rolled = used.contains("rollup_day") || used.contains("rollup_hour");
        rolled.set(rolled.get() + usize::from(is_rolled));
        if zone.starts_with("Asia/") && question["interval"].is_string() && answer["results"].as_array().unwrap().len() > 20 {
            prop_assert!(!is_rolled, "buckets of {} cut hours of UTC: {}", zone, question);
        }
        Ok(())
    });
    run.unwrap();
    assert!(rolled.get() > 50, "only {} answers came from rollups", rolled.get());
}

#[test]
fn days_of_utc_come_from_day_rollups_and_an_explanation_says_what_was_read() {
    let (store, _folder) = store();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let service = QueryService::new(store as Arc<dyn EventSource>, QueryOptions::default());
    let app = AppSettings::new(dataset::app());
    let ask = |question: Value| runtime.block_on(service.query(&app, question, BASE_MS)).unwrap();
    let whole = json!({"metric": "events", "interval": "day", "from": "2026-03-20", "to": "2026-04-20", "explain": true});
    let answer = ask(whole.clone());
    let explain = &answer["explain"];
    let read = |table: &str| explain["tables"].as_array().unwrap().iter().find(|read| read["table"] == json!(table)).cloned().unwrap();
    assert_eq!(read("rollup_day")["rows"], json!(31));
    assert_eq!(read("raw_segments")["read"], json!(0));
    assert!(read("unflushed")["rows"].as_u64().unwrap() > 1_000);
    assert_eq!(answer["scanned_events"], read("unflushed")["rows"]);
    assert!(explain["reason"].as_str().unwrap().contains("rollups"));

    let mut exact = whole;
    exact["metric"] = json!("unique_users");
    let explain = ask(exact)["explain"].clone();
    let read = |table: &str| explain["tables"].as_array().unwrap().iter().find(|read| read["table"] == json!(table)).cloned().unwrap();
    let segments = read("raw_segments");
    let number = |field: &str| segments[field].as_u64().unwrap();
    assert_eq!(number("segments"), number("pruned") + number("read"));
    assert!(number("pruned") > 0 && number("bytes") > 0 && number("rows") > 1_000, "{segments}");
    assert!(explain["reason"].as_str().unwrap().contains("exact"), "{explain}");
    assert!(explain["memory_peak_bytes"].as_u64().unwrap() > 0);
}
