use std::sync::Arc;

use event::AppId;
use event_store::{AggregatePlan, EventSink, EventSource, Field, Filter, Fold, Measure, MeasureFn, Measured, Scan};
use serde_json::json;

use super::world::{BASE_MS, DAY_MS, PlainEvent, commit, context, keep_forever, maintain_all, open_with};
use crate::options::ParquetStoreOptions;
use crate::store::ParquetStore;

const PERSONS: i64 = 400;

/// `days` days of 20,000 events each.
fn fill(store: &ParquetStore, days: i64) {
    for day in 0..days {
        let event = |i: i64| {
            let name = ["view", "view", "click", "buy"][(i % 4) as usize];
            let event = PlainEvent::new("A", name, BASE_MS + day * DAY_MS + i * 1_000, &format!("U{}", i * 7 % PERSONS));
            event.with("country", json!(format!("country {}", i % 11))).with("price", json!(i % 13))
        };
        store.append(commit(&(0..20_000).map(event).collect::<Vec<_>>(), day as u64 + 1)).unwrap();
    }
}

fn plan() -> AggregatePlan {
    let measure = |function| Measure::of(function);
    AggregatePlan {
        scan: Scan { app: AppId::new("A").unwrap(), from_ms: BASE_MS, to_ms: BASE_MS + 100 * DAY_MS, events: None, filter: Filter::all() },
        buckets: None,
        group_by: vec![Field::Property("country".into())],
        measures: vec![measure(MeasureFn::UniqueUsers), measure(MeasureFn::Sum(Field::Property("price".into())))],
        fold: Fold { keep: 25, by_measure: 0, descending: true },
    }
}

fn ask(store: &ParquetStore) -> Vec<Vec<Measured>> {
    let table = store.aggregate(&plan(), &context()).unwrap();
    assert_eq!(table.stats.missing, Vec::<String>::new());
    table.totals.into_iter().map(|row| row.measures).collect()
}

fn open_keeping(dir: &std::path::Path, max_decoded_bytes: usize) -> Arc<ParquetStore> {
    let options = ParquetStoreOptions { max_decoded_bytes, query_threads: 2, ..ParquetStoreOptions::default() };
    open_with(dir, options, keep_forever()).unwrap()
}

#[test]
fn what_is_kept_is_not_read_again_and_goes_with_its_part() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_keeping(dir.path(), 64 << 20);
    assert_eq!(store.decoded_figures().column_bytes, 0);
    fill(&store, 2);
    let in_memory = ask(&store);
    assert!(store.decoded_figures().column_bytes > 0);
    store.flush().unwrap();
    assert_eq!(store.decoded_figures().column_bytes, 0, "rows in memory are gone, and their columns with them");

    assert_eq!(ask(&store), in_memory);
    let decoded = store.decoded_figures();
    let table = store.aggregate(&plan(), &context()).unwrap();
    let again = store.decoded_figures();
    assert_eq!(again.misses_total, decoded.misses_total);
    assert!(again.hits_total > decoded.hits_total);
    let read: Vec<Option<u64>> = table.stats.work.tables.iter().filter(|read| read.rows > 0).map(|read| read.bytes).collect();
    assert_eq!(read, [Some(0)], "nothing is read of a file whose columns are kept");

    fill(&store, 2);
    store.flush().unwrap();
    fill(&store, 2);
    store.flush().unwrap();
    let before = ask(&store);
    let of_small = store.decoded_figures().column_bytes;
    assert!(maintain_all(&store, BASE_MS + 50 * DAY_MS) > 0);
    assert!(store.decoded_figures().column_bytes < of_small / 2, "columns of compacted segments are given back");
    assert_eq!(ask(&store), before);
}

#[test]
fn the_limit_holds_while_questions_run_beside_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let filled = open_keeping(dir.path(), 0);
    fill(&filled, 3);
    filled.flush().unwrap();
    let expected = ask(&filled);
    assert_eq!(filled.decoded_figures().column_bytes, 0);
    drop(filled);

    // A question needs about 600 KiB of columns.
    let store = open_keeping(dir.path(), 256 << 10);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(ask(&store), expected);
                    let figures = store.decoded_figures();
                    let bytes = figures.column_bytes + figures.space_bytes;
                    assert!(bytes <= figures.max_bytes, "{figures:?}");
                }
            });
        }
    });
    let figures = store.decoded_figures();
    assert!(figures.misses_total > 100 && figures.column_bytes > 0, "{figures:?}");
}
