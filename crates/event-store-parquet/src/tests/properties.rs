use std::collections::BTreeSet;

use serde_json::json;

use super::world::{BASE_MS, DAY_MS, PlainEvent, assert_sound, commit, expected, maintain_all, open, rows};
use crate::columns::{FIXED, MAX_PROPERTY_COLUMNS, OverflowNames, PropertyKind, property_column};
use event_store::EventSink;

#[test]
fn one_property_of_every_type_has_a_column_each() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let values = [json!("10"), json!(10), json!(10.5), json!(true), json!(i64::MAX), json!([10]), json!({"a": 10}), json!(u64::MAX)];
    let events: Vec<PlainEvent> =
        values.into_iter().enumerate().map(|(i, value)| PlainEvent::new("A", "a", BASE_MS + i as i64, "U").with("p", value)).collect();
    store.append(commit(&events, 1)).unwrap();
    assert_eq!(rows(&store, &["A"]), expected(&events));
    store.flush().unwrap();
    assert_eq!(rows(&store, &["A"]), expected(&events));
    let columns = store.snapshot().parts[0].columns().unwrap();
    let names: BTreeSet<&str> = columns.fields.iter().map(|field| field.name().as_str()).collect();
    for kind in PropertyKind::ALL {
        assert!(names.contains(property_column(kind, "p").as_str()), "{names:?}");
    }
    assert_eq!(columns.overflow, OverflowNames::Listed(vec!["p".into()]));
}

#[test]
fn of_a_name_that_an_event_has_twice_the_last_value_counts() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let twice = |a, b| PlainEvent::new("A", "a", BASE_MS, "U").with("p", a).with("q", json!(1)).with("p", b);
    let events = [
        twice(json!(1), json!("x")),
        twice(json!("x"), json!(2)),
        twice(json!([1]), json!(true)),
        twice(json!(5), json!(null)),
        twice(json!(i64::MAX), json!({})),
    ];
    store.append(commit(&events, 1)).unwrap();
    assert_eq!(rows(&store, &["A"]), expected(&events));
}

#[test]
fn a_million_names_stay_within_the_bound_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut next = 0;
    let mut event = |i: i64| {
        let mut event = PlainEvent::new("A", "a", BASE_MS + i, "U").with("common", json!(i));
        for _ in 0..250 {
            event = event.with(&format!("key {next}"), json!(next % 10));
            next += 1;
        }
        event
    };
    let events: Vec<PlainEvent> = (0..4_000).map(&mut event).collect();
    for (i, commit_events) in events.chunks(500).enumerate() {
        store.append(commit(commit_events, i as u64 + 1)).unwrap();
        if i % 2 == 1 {
            store.flush().unwrap();
        }
    }
    assert_eq!(next, 1_000_000);
    maintain_all(&store, BASE_MS + 9 * DAY_MS);
    let snapshot = store.snapshot();
    assert_eq!(snapshot.parts.len(), 1);
    let columns = snapshot.parts[0].columns().unwrap();
    assert!(columns.fields.len() <= FIXED.len() + MAX_PROPERTY_COLUMNS + 1, "{}", columns.fields.len());
    assert!(columns.fields.iter().any(|field| field.name() == "n:common"));
    assert_eq!(columns.overflow, OverflowNames::Any);
    assert!(rows(&store, &["A"]) == expected(&events));
}

#[test]
fn a_million_event_names_stay_within_the_bound_and_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for round in 0..2i64 {
        let events: Vec<PlainEvent> =
            (0..40_000).map(|i| PlainEvent::new("A", &format!("event {}", i * 2 + round), BASE_MS + i, "U")).collect();
        store.append(commit(&events, round as u64 + 1)).unwrap();
        store.flush().unwrap();
    }
    maintain_all(&store, BASE_MS + 9 * DAY_MS);
    let wanted = ["event 0".to_string(), "event 7777".to_string(), "event 79999".to_string(), "event 80000".to_string()];
    let app = event::AppId::new("A").unwrap();
    let columns = [crate::ColumnRequest::Fixed(crate::columns::EVENT)];
    let request = crate::ScanRequest { app: &app, from_ms: BASE_MS, to_ms: BASE_MS + 40_000, events: Some(&wanted), columns: &columns };
    let found: usize = store.snapshot().parts.iter().flat_map(|part| part.scan(&request)).map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(found, 3);
    // The shortest names have rollups of their own, everything is in the total.
    let day = event_store::EventSource::rollups(&*store, &app, event_store::RollupSize::Day, i64::MIN, i64::MAX).unwrap();
    assert_eq!(day.len(), 1 + crate::rollup::MAX_NAMES_PER_PERIOD);
    assert_eq!((day[0].event.clone(), day[0].events), (None, 80_000));
    assert!(day.iter().any(|row| row.event.as_deref() == Some("event 7")));
    assert_sound(&store);
}
