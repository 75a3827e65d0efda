use super::world::{
    BASE_MS, DAY_MS, PlainEvent, assert_sound, commit, expected, files, keep_forever, open, open_with, rows, segment_count,
};
use crate::options::ParquetStoreOptions;
use event_store::{EventSink, StoreError};

fn events(app: &'static str, from: i64, count: i64) -> Vec<PlainEvent> {
    (from..from + count)
        .map(|i| PlainEvent::new(app, if i % 3 == 0 { "a" } else { "b" }, BASE_MS + i * 1_000, &format!("U{}", i % 5)))
        .collect()
}

#[test]
fn rows_are_visible_at_once_and_once_through_flush_and_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (events("A", 0, 50), events("B", 0, 30));
    let all = [first.clone(), second.clone()].concat();
    let store = open(dir.path());
    assert_eq!(store.position(), 0);
    store.append(commit(&first, 7)).unwrap();
    assert_eq!(rows(&store, &["A", "B"]), expected(&first));
    assert_eq!((store.position(), store.unflushed().0), (0, 50));
    assert_eq!(store.flush().unwrap(), 7);
    assert_eq!(store.unflushed(), (0, 0));
    store.append(commit(&second, 9)).unwrap();
    assert_eq!(rows(&store, &["A", "B"]), expected(&all));

    // What was not flushed is gone with the process, and read again from the durable position.
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.position(), 7);
    assert_eq!(rows(&store, &["A", "B"]), expected(&first));
    store.append(commit(&second, 9)).unwrap();
    store.flush().unwrap();
    assert_eq!((rows(&store, &["A", "B"]), store.position()), (expected(&all), 9));
    assert_sound(&store);
}

#[test]
fn a_line_divides_this_flush_from_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(commit(&events("A", 0, 10), 1)).unwrap();
    assert_eq!(store.seal(), 1);
    store.append(commit(&events("A", 10, 5), 2)).unwrap();
    assert_eq!(rows(&store, &["A"]).len(), 15);
    assert_eq!(store.flush().unwrap(), 1);
    assert_eq!((store.position(), store.unflushed().0), (1, 5));
    // A second line before the flush moves the first.
    assert_eq!(store.seal(), 2);
    store.append(commit(&events("A", 15, 1), 3)).unwrap();
    assert_eq!(store.seal(), 3);
    assert_eq!(store.flush().unwrap(), 3);
    assert_eq!(store.flush().unwrap(), 3);
    assert_eq!((rows(&store, &["A"]).len(), store.unflushed()), (16, (0, 0)));
}

#[test]
fn a_commit_without_rows_moves_the_position() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(commit(&[], 5)).unwrap();
    assert_eq!(store.flush().unwrap(), 5);
    drop(store);
    assert_eq!(open(dir.path()).position(), 5);
}

#[test]
fn a_failed_flush_loses_nothing_and_leaves_no_file_and_the_next_one_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut all = events("A", 0, 20);
    all.extend(all.clone().into_iter().map(|event| PlainEvent { time_ms: event.time_ms + DAY_MS, ..event }));
    store.append(commit(&all, 1)).unwrap();
    // A file where the second day's folder must be: the first day's segment is written before the failure.
    let obstacle = dir.path().join("date=2026-01-02");
    std::fs::write(&obstacle, "").unwrap();
    for sealed in [false, true] {
        if sealed {
            store.seal();
        }
        assert!(matches!(store.flush(), Err(StoreError::Io(_))));
        assert_eq!((store.position(), store.unflushed().0), (0, all.len()));
        assert_eq!(rows(&store, &["A"]), expected(&all));
        assert_eq!(files(dir.path()), Vec::<std::path::PathBuf>::new());
    }
    let later = events("A", 1_000, 5);
    store.append(commit(&later, 2)).unwrap();
    std::fs::remove_file(&obstacle).unwrap();
    // The line that was drawn before the failure holds.
    assert_eq!(store.flush().unwrap(), 1);
    assert_eq!(store.flush().unwrap(), 2);
    assert_eq!(rows(&store, &["A"]), expected(&[all, later].concat()));
    assert_sound(&store);
}

#[test]
fn many_small_appends_make_few_parts() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let all = events("A", 0, 400);
    for (i, event) in all.iter().enumerate() {
        store.append(commit(std::slice::from_ref(event), i as u64 + 1)).unwrap();
        assert!(store.snapshot().parts.len() <= 16);
    }
    assert_eq!(rows(&store, &["A"]), expected(&all));
    assert_eq!(store.unflushed().0, 400);
}

#[test]
fn the_bound_on_unflushed_rows_refuses_and_a_flush_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let options = ParquetStoreOptions { max_unflushed_rows: 10, ..Default::default() };
    let store = open_with(dir.path(), options, keep_forever()).unwrap();
    store.append(commit(&events("A", 0, 10), 1)).unwrap();
    assert!(matches!(store.append(commit(&events("A", 10, 1), 2)), Err(StoreError::Full(_))));
    store.flush().unwrap();
    store.append(commit(&events("A", 10, 1), 2)).unwrap();
    assert_eq!(rows(&store, &["A"]).len(), 11);
}

#[test]
fn a_second_open_of_the_folder_names_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let Err(StoreError::Io(text)) = open_with(dir.path(), ParquetStoreOptions::default(), keep_forever()) else {
        panic!("two stores on one folder")
    };
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    drop(store);
    open(dir.path());
}

#[test]
fn a_store_of_another_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let manifest = rusqlite::Connection::open(dir.path().join(crate::manifest::FILE)).unwrap();
    manifest.pragma_update(None, "user_version", 99).unwrap();
    drop(manifest);
    assert!(matches!(open_with(dir.path(), ParquetStoreOptions::default(), keep_forever()), Err(StoreError::Damaged(_))));
}

#[test]
fn events_of_decades_in_one_flush_make_a_bounded_number_of_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let all: Vec<PlainEvent> = (0..2_000).map(|i| PlainEvent::new("A", "a", BASE_MS - i * 5 * DAY_MS, "U")).collect();
    store.append(commit(&all, 1)).unwrap();
    store.flush().unwrap();
    assert!(segment_count(&store) <= crate::flush::MAX_FLUSH_SEGMENTS, "{} segments", segment_count(&store));
    assert_eq!(rows(&store, &["A"]), expected(&all));
    super::world::maintain_all(&store, BASE_MS + DAY_MS);
    assert!(segment_count(&store) < 20, "{} segments", segment_count(&store));
    assert_eq!(rows(&store, &["A"]), expected(&all));
    assert_sound(&store);
}
