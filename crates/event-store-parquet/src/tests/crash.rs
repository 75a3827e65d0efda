//! Crashes between a data file and the manifest. A crash is a store that is dropped in the middle: nothing is cleaned up on drop.

use std::sync::Arc;

use super::world::{BASE_MS, PlainEvent, assert_sound, commit, expected, files, open, rows, segment_count};
use crate::part::Part;
use event_store::EventSink;

fn events(from: i64) -> Vec<PlainEvent> {
    (from..from + 100).map(|i| PlainEvent::new("A", "a", BASE_MS + i, &format!("U{i}"))).collect()
}

/// What a process that died between writing segments and committing them leaves: the files of `flushed` beside an older manifest.
fn crashed_flush(dir: &std::path::Path, flushed: &[PlainEvent]) {
    let scratch = tempfile::tempdir().unwrap();
    let other = open(scratch.path());
    other.append(commit(flushed, 1)).unwrap();
    other.flush().unwrap();
    for file in files(scratch.path()) {
        let folder = dir.join(file.parent().unwrap().file_name().unwrap());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(&file, folder.join("000000000099.parquet")).unwrap();
    }
}

#[test]
fn a_segment_that_was_not_committed_does_not_exist() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (events(0), events(1_000));
    let store = open(dir.path());
    store.append(commit(&first, 1)).unwrap();
    store.flush().unwrap();
    drop(store);
    crashed_flush(dir.path(), &second);
    assert_eq!(files(dir.path()).len(), 2);

    let store = open(dir.path());
    assert_eq!((store.position(), files(dir.path()).len()), (1, 1));
    assert_eq!(rows(&store, &["A"]), expected(&first));
    store.append(commit(&second, 2)).unwrap();
    store.flush().unwrap();
    assert_eq!(rows(&store, &["A"]), expected(&[first, second].concat()));
    assert_sound(&store);
}

#[test]
fn control_a_store_that_believed_its_folder_would_count_the_replay_twice() {
    let dir = tempfile::tempdir().unwrap();
    let second = events(1_000);
    let store = open(dir.path());
    store.append(commit(&second, 1)).unwrap();
    store.flush().unwrap();
    // The protection switched off: the segment is in the manifest, the position is not.
    let manifest = rusqlite::Connection::open(dir.path().join(crate::manifest::FILE)).unwrap();
    drop(store);
    manifest.execute("UPDATE meta SET value = 0 WHERE key = 'position'", []).unwrap();
    drop(manifest);
    let store = open(dir.path());
    assert_eq!(store.position(), 0);
    store.append(commit(&second, 1)).unwrap();
    assert_ne!(rows(&store, &["A"]), expected(&second));
}

#[test]
fn a_compaction_that_was_not_committed_is_forgotten_and_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let all: Vec<PlainEvent> = (0..4).flat_map(|i| events(i * 50)).collect();
    for (i, part) in all.chunks(100).enumerate() {
        store.append(commit(part, i as u64 + 1)).unwrap();
        store.flush().unwrap();
    }
    let inputs: Vec<Arc<Part>> = store.snapshot().parts.clone();
    let input_of = |part: &Arc<Part>| if let Part::Segment(s) = &**part { Some((s.open().ok()?, s.hidden().clone())) } else { None };
    let opened: Vec<_> = inputs.iter().filter_map(input_of).collect();
    let merged = store.write_merged(&opened, Default::default(), 0);
    assert!(matches!(merged, Ok(segments) if segments.len() == 1));
    assert_eq!((inputs.len(), files(dir.path()).len()), (4, 5));
    drop((opened, inputs, store));

    let store = open(dir.path());
    assert_eq!((segment_count(&store), files(dir.path()).len()), (4, 4));
    assert_eq!(rows(&store, &["A"]), expected(&all));
    super::world::maintain_all(&store, BASE_MS);
    assert_eq!((segment_count(&store), files(dir.path()).len()), (1, 1));
    assert_eq!(rows(&store, &["A"]), expected(&all));
}

#[test]
fn replaced_segments_live_as_long_as_somebody_reads_them_and_are_deleted_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for i in 0..4 {
        store.append(commit(&events(i * 100), i as u64 + 1)).unwrap();
        store.flush().unwrap();
    }
    let reader = store.snapshot();
    super::world::maintain_all(&store, BASE_MS);
    assert_eq!((segment_count(&store), files(dir.path()).len()), (1, 5));
    let still_readable = reader.parts.iter().all(|part| part.columns().is_ok());
    assert!(still_readable);
    let other_reader = reader.clone();
    drop(reader);
    assert_eq!(files(dir.path()).len(), 5);
    drop(other_reader);
    assert_eq!(files(dir.path()).len(), 1);

    for i in 4..8 {
        store.append(commit(&events(i * 100), i as u64 + 1)).unwrap();
        store.flush().unwrap();
    }
    // A process that dies with a reader never deletes.
    std::mem::forget(store.snapshot());
    super::world::maintain_all(&store, BASE_MS);
    assert!(files(dir.path()).len() > segment_count(&store));
    drop(store);
    let store = open(dir.path());
    assert_eq!(files(dir.path()).len(), segment_count(&store));
    assert_eq!(rows(&store, &["A"]).len(), 800);
    assert_sound(&store);
}
