use std::sync::Arc;

use super::world::{
    BASE_MS, DAY_MS, PlainEvent, assert_sound, commit, context, expected, files, maintain_all, open_with, rollups, rows, segment_count,
};
use crate::options::ParquetStoreOptions;
use event::AppId;
use event_store::{EventSink, EventSource, EventsPlan, Filter, Scan};

/// `A` keeps 10 days, `B` keeps everything.
fn retention(app: &AppId) -> Option<i64> {
    (app.as_str() == "A").then_some(10 * DAY_MS)
}

fn day(app: &'static str, day: i64) -> Vec<PlainEvent> {
    (0..50).map(|i| PlainEvent::new(app, "a", BASE_MS + day * DAY_MS + i * 1_000, &format!("U{i}"))).collect()
}

#[test]
fn raw_events_go_after_their_time_and_rollups_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), ParquetStoreOptions::default(), Arc::new(retention)).unwrap();
    // Each day is in a week of its own. Day 0 is A's alone, days 7 and 14 are shared.
    let all = [day("A", 0), day("A", 7), day("B", 7), day("A", 14), day("B", 14)].concat();
    store.append(commit(&all, 1)).unwrap();
    store.flush().unwrap();
    let counted = [rollups(&store, "A"), rollups(&store, "B")];
    assert_eq!(segment_count(&store), 3);
    assert_eq!(maintain_all(&store, BASE_MS + 10 * DAY_MS), 0);

    // Day 0 has passed: its segment goes.
    assert_eq!(maintain_all(&store, BASE_MS + 11 * DAY_MS), 1);
    assert_eq!((segment_count(&store), files(dir.path()).len()), (2, 2));
    // Day 7 has passed for A: its segment is written again without A.
    assert_eq!(maintain_all(&store, BASE_MS + 18 * DAY_MS), 1);
    assert_eq!(rows(&store, &["A", "B"]), expected(&[day("B", 7), day("A", 14), day("B", 14)].concat()));
    assert_eq!([rollups(&store, "A"), rollups(&store, "B")], counted);

    // A question that reaches back to what is gone says so, and none else does.
    let missing = |app: &str, from_ms: i64| {
        let scan = Scan { app: AppId::new(app).unwrap(), from_ms, to_ms: i64::MAX, events: None, filter: Filter::all() };
        store.events(&EventsPlan { scan, limit: 1_000, skip: 0 }, &context()).unwrap().stats.missing
    };
    assert!(missing("A", BASE_MS)[0].contains("before 2026-01-08 (UTC)"), "{:?}", missing("A", BASE_MS));
    assert_eq!((missing("A", BASE_MS + 8 * DAY_MS).len(), missing("B", BASE_MS).len()), (0, 0));

    // A recount leaves alone what it has no raw events of.
    for app in ["A", "B"] {
        store.rebuild_rollups(&AppId::new(app).unwrap()).unwrap();
    }
    assert_eq!([rollups(&store, "A"), rollups(&store, "B")], counted);
    assert_sound(&store);
}

#[test]
fn a_segment_waits_for_its_last_row() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), ParquetStoreOptions::default(), Arc::new(retention)).unwrap();
    let late = PlainEvent::new("A", "a", BASE_MS + DAY_MS - 1, "U");
    store.append(commit(&[day("A", 0), vec![late]].concat(), 1)).unwrap();
    store.flush().unwrap();
    assert_eq!(maintain_all(&store, BASE_MS + 11 * DAY_MS - 1), 0);
    assert_eq!(maintain_all(&store, BASE_MS + 11 * DAY_MS), 1);
    assert_eq!(segment_count(&store), 0);
}

#[test]
fn a_week_goes_with_its_last_day() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), ParquetStoreOptions::default(), Arc::new(retention)).unwrap();
    // Thursday and Saturday; the week is over when both have time left.
    let all = [day("A", 0), day("A", 2)].concat();
    store.append(commit(&all, 1)).unwrap();
    store.flush().unwrap();
    assert_eq!(maintain_all(&store, BASE_MS + 6 * DAY_MS), 1);
    assert_eq!(segment_count(&store), 1);
    assert_eq!(maintain_all(&store, BASE_MS + 12 * DAY_MS), 0);
    assert_eq!(rows(&store, &["A"]), expected(&all));
    assert_eq!(maintain_all(&store, BASE_MS + 13 * DAY_MS), 1);
    assert_eq!(segment_count(&store), 0);
}
