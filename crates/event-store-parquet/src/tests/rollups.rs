use super::world::{BASE_MS, DAY_MS, HOUR_MS, PlainEvent, assert_sound, commit, context, maintain_all, open, rollups};
use event::AppId;
use event_store::{EventSink, EventSource, RollupSize};

fn events(from: i64, count: i64) -> Vec<PlainEvent> {
    let name = |i: i64| ["view", "click", "buy"][(i / 60 % 3) as usize];
    (from..from + count)
        .map(|i| PlainEvent::new("A", name(i), BASE_MS + (i * 7_919 % 60) * HOUR_MS, &format!("U{}", i * 31 % 900)))
        .collect()
}

#[test]
fn rollups_are_the_same_unflushed_flushed_compacted_reopened_and_recounted() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for i in 0..5 {
        store.append(commit(&events(i * 1_000, 1_000), i as u64 + 1)).unwrap();
        if i == 1 || i == 3 {
            store.flush().unwrap();
        }
    }
    let counted = rollups(&store, "A");
    let day_totals = store.rollups(&AppId::new("A").unwrap(), RollupSize::Day, i64::MIN, i64::MAX).unwrap();
    let total: u64 = day_totals.iter().filter(|row| row.event.is_none()).map(|row| row.events).sum();
    assert_eq!(total, 5_000);
    assert!(counted.len() > 60 * 4);
    store.flush().unwrap();
    assert!(rollups(&store, "A") == counted);
    maintain_all(&store, BASE_MS + 30 * DAY_MS);
    assert!(rollups(&store, "A") == counted);
    drop(store);
    let store = open(dir.path());
    assert!(rollups(&store, "A") == counted);
    let app = AppId::new("A").unwrap();
    let names = store.event_names(&app, &context()).unwrap();
    store.rebuild_rollups(&app).unwrap();
    assert!(rollups(&store, "A") == counted);

    // Deleted by hand, the check says so and a recount brings them back, byte for byte.
    let manifest = rusqlite::Connection::open(dir.path().join(crate::manifest::FILE)).unwrap();
    let read = |manifest: &rusqlite::Connection| -> Vec<Vec<u8>> {
        let mut statement = manifest.prepare("SELECT users FROM rollups ORDER BY app, size, start_ms, event").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let bytes = read(&manifest);
    manifest.execute("DELETE FROM rollups WHERE size = 0", []).unwrap();
    assert!(super::world::findings(dir.path()).iter().any(|finding| finding.kind == "rollups"));
    manifest.execute("DELETE FROM rollups", []).unwrap();
    assert!(rollups(&store, "A").is_empty());
    store.rebuild_rollups(&app).unwrap();
    assert!(rollups(&store, "A") == counted);
    assert!(read(&manifest) == bytes);
    assert_eq!(store.event_names(&app, &context()).unwrap(), names);
    assert_sound(&store);
}

#[test]
fn event_names_have_their_first_and_last_hour() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let at = |name: &str, hour: i64| PlainEvent::new("A", name, BASE_MS + hour * HOUR_MS + 5, "U");
    store.append(commit(&[at("a", 3), at("b", 30), at("a", 50)], 1)).unwrap();
    store.flush().unwrap();
    store.append(commit(&[at("a", 2), at("c", 1), at("b", 80)], 2)).unwrap();
    let names = store.event_names(&AppId::new("A").unwrap(), &context()).unwrap();
    let plain: Vec<_> = names
        .iter()
        .map(|info| (info.name.as_str(), info.events, (info.first_hour_ms - BASE_MS) / HOUR_MS, (info.last_hour_ms - BASE_MS) / HOUR_MS))
        .collect();
    assert_eq!(plain, [("a", 3, 2, 50), ("b", 2, 30, 80), ("c", 1, 1, 1)]);
    store.flush().unwrap();
    assert_eq!(store.event_names(&AppId::new("A").unwrap(), &context()).unwrap(), names);
}

#[test]
fn a_recount_beside_appends_and_flushes_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(commit(&events(0, 2_000), 1)).unwrap();
    store.flush().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..20 {
                store.append(commit(&events(2_000 + i * 100, 100), i as u64 + 2)).unwrap();
                store.flush().unwrap();
            }
        });
        for _ in 0..10 {
            store.rebuild_rollups(&AppId::new("A").unwrap()).unwrap();
            store.maintain(BASE_MS).unwrap();
        }
    });
    assert_sound(&store);
    let total: u64 = rollups(&store, "A").iter().filter(|row| row.event.is_none()).map(|row| row.events).sum();
    // Hours and days.
    assert_eq!(total, 2 * 4_000);
}
