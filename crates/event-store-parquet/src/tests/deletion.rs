//! A deleted person is gone from every reader at once and from every file soon, whatever happens in between; everybody else stays.

use std::path::Path;
use std::sync::Arc;

use event::{AppId, EventBatchBuilder, EventFields, Reject, RejectCode, person_hash};
use event_store::{
    AppendedBatch, Commit, DeletionReceipt, DeletionRequest, DeletionState, EventSink, EventSource, LaterEvents, Ledger, PersonDeletions,
};

use super::world::{
    BASE_MS, DAY_MS, PlainEvent, assert_sound, commit, expected, files, findings, maintain_all, open, rollups, rows, segment_count,
};
use crate::backup::copy_manifest;
use crate::part::Part;
use crate::store::ParquetStore;

const NOW_MS: i64 = BASE_MS + 20 * DAY_MS;

/// Events of 7 persons, three names and two days.
fn events(app: &'static str, from: i64, count: i64) -> Vec<PlainEvent> {
    (from..from + count)
        .map(|i| {
            let name = ["a", "b", "c"][(i % 3) as usize];
            PlainEvent::new(app, name, BASE_MS + (i % 2) * DAY_MS + i * 1_000, &format!("U{}", i % 7)).with("n", i.into())
        })
        .collect()
}

fn without(events: &[PlainEvent], app: &str, user: &str) -> Vec<PlainEvent> {
    events.iter().filter(|event| event.app != app || event.user_id.as_deref() != Some(user)).cloned().collect()
}

fn delete(store: &ParquetStore, app: &str, person: &str, later_events: LaterEvents) -> DeletionReceipt {
    let app = AppId::new(app).unwrap();
    store.delete_person(&DeletionRequest { app: &app, person, later_events, now_ms: NOW_MS }).unwrap()
}

fn receipt(store: &ParquetStore, deletion: &DeletionReceipt) -> DeletionReceipt {
    store.deletion(&deletion.app, &deletion.id).unwrap().unwrap()
}

/// Segments whose table of persons has this one.
fn tables_with(store: &ParquetStore, person: &str) -> usize {
    let key = person_hash(Some(person), None).unwrap().0;
    let in_table = |part: &Arc<Part>| match &**part {
        Part::Segment(segment) => segment.persons().unwrap().is_some_and(|table| table.number(key).is_some()),
        Part::Memory(_) => false,
    };
    store.snapshot().parts.iter().filter(|part| in_table(part)).count()
}

/// Whether any file of the store, the manifest's too, holds these bytes. Segments are decoded, since they are compressed.
fn holds(dir: &Path, store: &ParquetStore, text: &str) -> bool {
    let in_bytes = |path: std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    let manifest = [crate::manifest::FILE.to_owned(), format!("{}-wal", crate::manifest::FILE)];
    let in_rows = rows(store, &["A"]).iter().any(|row| row.contains(text));
    in_rows || manifest.into_iter().any(|name| in_bytes(dir.join(name)))
}

/// Two flushed days, a segment of another flush, and rows in memory.
fn filled(dir: &Path) -> (Arc<ParquetStore>, Vec<PlainEvent>) {
    let store = open(dir);
    let (first, second, third) = ([events("A", 0, 210), events("B", 0, 70)].concat(), events("A", 300, 70), events("A", 400, 70));
    store.append(commit(&first, 1)).unwrap();
    store.flush().unwrap();
    store.append(commit(&second, 2)).unwrap();
    store.flush().unwrap();
    store.append(commit(&third, 3)).unwrap();
    (store, [first, second, third].concat())
}

#[test]
fn a_deleted_person_is_hidden_at_once_and_gone_after_upkeep() {
    let dir = tempfile::tempdir().unwrap();
    let (store, all) = filled(dir.path());
    let deletion = delete(&store, "A", "U3", LaterEvents::Refuse);
    let kept = without(&all, "A", "U3");
    assert_eq!(deletion.rows as usize, all.len() - kept.len());
    assert_eq!((deletion.state, deletion.segments.len(), deletion.days_to_recount), (DeletionState::Rewriting, 4, 2));
    assert_eq!(rows(&store, &["A", "B"]), expected(&kept));
    // Counts are right at once; sketches are when the days were counted again.
    let counts = |store: &ParquetStore| -> Vec<_> {
        let of = |app| rollups(store, app).into_iter().map(|row| (row.event, row.start_ms, row.events)).collect::<Vec<_>>();
        [of("A"), of("B")].concat()
    };
    let at_once = counts(&store);
    assert_sound(&store);

    store.flush().unwrap();
    assert_eq!(rows(&store, &["A", "B"]), expected(&kept));
    maintain_all(&store, NOW_MS);
    assert_eq!(rows(&store, &["A", "B"]), expected(&kept));
    assert_eq!(counts(&store), at_once);
    let done = receipt(&store, &deletion);
    assert_eq!(
        (done.state, done.rows, done.finished_at_ms, done.days_to_recount),
        (DeletionState::Finished, deletion.rows, Some(NOW_MS), 0)
    );
    assert!(done.segments.iter().all(|segment| segment.rewritten && segment.rows > Some(0)));
    assert_eq!(done.sha256.as_ref().map(String::len), Some(64));
    assert_sound(&store);

    // What is left is what a store has that never saw the person.
    let other = tempfile::tempdir().unwrap();
    let never = open(other.path());
    never.append(commit(&kept, 1)).unwrap();
    never.flush().unwrap();
    assert_eq!([rollups(&store, "A"), rollups(&store, "B")], [rollups(&never, "A"), rollups(&never, "B")]);
}

#[test]
fn a_deleted_person_goes_from_the_tables_of_persons() {
    for flushes in [1, 4] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let all = events("A", 0, 210);
        for (i, events) in all.chunks(210 / flushes + 1).enumerate() {
            store.append(commit(events, i as u64 + 1)).unwrap();
            store.flush().unwrap();
        }
        assert_eq!([tables_with(&store, "U3"), tables_with(&store, "U9")], [2 * flushes, 0]);
        delete(&store, "A", "U3", LaterEvents::Accept);
        maintain_all(&store, NOW_MS);
        assert_eq!(tables_with(&store, "U3"), 0, "a key of a table is one of a visible row");
        assert_eq!(tables_with(&store, "U4"), segment_count(&store));
        assert_eq!(rows(&store, &["A"]), expected(&without(&all, "A", "U3")));
        assert_sound(&store);
    }
}

#[test]
fn a_restart_at_any_step_goes_on_and_resurrects_nothing() {
    // After so many pieces of upkeep the process dies; the last run ends by itself.
    for steps in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        let (store, all) = filled(dir.path());
        let in_log = commit(&events("A", 400, 70), 3);
        let deletion = delete(&store, "A", "U3", LaterEvents::Refuse);
        for _ in 0..steps {
            store.maintain(NOW_MS).unwrap();
        }
        // Nobody drops what the process had.
        std::mem::forget(store.snapshot());
        drop(store);

        let store = open(dir.path());
        // The log is read again from the durable position.
        assert_eq!(store.position(), 2);
        store.append(in_log).unwrap();
        let kept = without(&all, "A", "U3");
        assert_eq!(rows(&store, &["A", "B"]), expected(&kept), "{steps}");
        store.flush().unwrap();
        assert_sound(&store);
        maintain_all(&store, NOW_MS);
        assert_eq!(rows(&store, &["A", "B"]), expected(&kept), "{steps}");
        let done = receipt(&store, &deletion);
        assert_eq!((done.state, done.rows), (DeletionState::Finished, deletion.rows), "{steps}");
        assert_eq!(files(dir.path()).len(), segment_count(&store), "{steps}");
        assert_sound(&store);
    }
}

#[test]
fn control_without_the_tombstone_a_replay_brings_the_person_back() {
    let dir = tempfile::tempdir().unwrap();
    let (store, all) = filled(dir.path());
    delete(&store, "A", "U3", LaterEvents::Refuse);
    drop(store);
    // The protection switched off.
    rusqlite::Connection::open(dir.path().join(crate::manifest::FILE)).unwrap().execute_batch("DELETE FROM deletions").unwrap();
    let store = open(dir.path());
    store.append(commit(&events("A", 400, 70), 3)).unwrap();
    assert_ne!(rows(&store, &["A", "B"]), expected(&without(&all, "A", "U3")));
    // And the rows that segments still hold are found.
    rusqlite::Connection::open(dir.path().join(crate::manifest::FILE)).unwrap().execute_batch("DELETE FROM deletion_segments").unwrap();
    drop(store);
    assert_ne!(rows(&open(dir.path()), &["A"]), expected(&without(&all[..350], "A", "U3")));
}

/// One event of one person in a batch received at this time, and an event that is refused.
fn received(user: &str, received_at_ms: i64, end: u64) -> Commit {
    let mut builder = EventBatchBuilder::default();
    builder.start(received_at_ms);
    let fields = |user_id| EventFields {
        name: "late",
        time_ms: BASE_MS,
        client_time_ms: BASE_MS,
        user_id,
        anonymous_id: Some("device"),
        insert_id: None,
        session_id: None,
    };
    builder.finish_event(&fields(Some(user)));
    builder.finish_event(&fields(None));
    builder.reject_event(2, Reject::new(RejectCode::MissingName, "no name"), format!("{{\"user_id\":\"{user}\"}}").as_bytes());
    let batch = builder.build(&AppId::new("A").unwrap());
    Commit { batches: vec![AppendedBatch { batch, duplicates: Vec::new() }], end }
}

fn account(store: &ParquetStore) -> (u64, u64, u64) {
    let rows = store.ledger(&AppId::new("A").unwrap(), i64::MIN, i64::MAX).unwrap();
    let refused = |row: &event_store::LedgerRow| row.rejected.iter().map(|(_, count)| count).sum::<u64>();
    rows.iter().fold((0, 0, 0), |sum, row| (sum.0 + row.received, sum.1 + row.stored, sum.2 + refused(row)))
}

#[test]
fn later_events_are_refused_or_new_as_the_newest_deletion_says() {
    let dir = tempfile::tempdir().unwrap();
    let app = AppId::new("A").unwrap();
    let store = open(dir.path());
    delete(&store, "A", "X", LaterEvents::Refuse);
    // Received before and late, and received after: neither is stored; the first was accepted, the second is refused.
    for (received_at_ms, end, accounts) in [(NOW_MS, 1, (3, 2, 1)), (NOW_MS + 1, 2, (6, 3, 3))] {
        store.append(received("X", received_at_ms, end)).unwrap();
        assert_eq!(account(&store), accounts);
    }
    assert_eq!(rows(&store, &["A"]).len(), 2, "the device's events stay");
    assert_eq!(store.rejected(&app, 100).unwrap().rows.len(), 0);
    let batch = received("X", NOW_MS + 5, 9).batches.remove(0).batch;
    assert_eq!((store.unwanted(&batch), store.unwanted(&received("Y", NOW_MS, 9).batches[0].batch)), (vec![0], vec![]));

    delete(&store, "A", "X", LaterEvents::Accept);
    store.append(received("X", NOW_MS, 3)).unwrap();
    assert_eq!(rows(&store, &["A"]).len(), 3);
    store.append(received("X", NOW_MS + 1, 4)).unwrap();
    assert_eq!(rows(&store, &["A"]).len(), 5);
    store.flush().unwrap();
    drop(store);
    let store = open(dir.path());
    store.append(received("X", NOW_MS + 1, 5)).unwrap();
    assert_eq!((rows(&store, &["A"]).len(), store.rejected(&app, 100).unwrap().rows.len()), (7, 2));
    maintain_all(&store, NOW_MS);
    assert_eq!(store.deletions(&app, 10).unwrap().len(), 2);
    assert!(store.deletions(&app, 10).unwrap().iter().all(|deletion| deletion.state == DeletionState::Finished));
    assert_sound(&store);
}

#[test]
fn refused_events_of_the_person_go_with_their_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let app = AppId::new("A").unwrap();
    let store = open(dir.path());
    let secret = "Xavier-4711";
    store.append(received(secret, NOW_MS - 2, 1)).unwrap();
    store.append(received("Y", NOW_MS - 2, 2)).unwrap();
    store.flush().unwrap();
    store.append(received(secret, NOW_MS - 1, 3)).unwrap();
    assert_eq!(store.rejected(&app, 100).unwrap().rows.len(), 3);
    assert!(holds(dir.path(), &store, secret));
    let deletion = delete(&store, "A", secret, LaterEvents::Refuse);
    assert_eq!((deletion.rows, deletion.segments.len()), (2, 1));
    assert_eq!(receipt(&store, &deletion).rejected_events, 2);
    assert_eq!(store.rejected(&app, 100).unwrap().rows.len(), 1);
    store.flush().unwrap();
    maintain_all(&store, NOW_MS);
    assert_eq!(receipt(&store, &deletion).state, DeletionState::Finished);
    assert!(!holds(dir.path(), &store, secret));
    assert!(holds(dir.path(), &store, "\"Y\""), "the look into the manifest finds what is there");
}

#[test]
fn compaction_and_deletion_at_once_lose_and_keep_what_they_should() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut all = Vec::new();
    for i in 0..8 {
        let part = events("A", i * 1_000, 400);
        store.append(commit(&part, i as u64 + 1)).unwrap();
        store.flush().unwrap();
        all.extend(part);
    }
    std::thread::scope(|scope| {
        let compaction = scope.spawn(|| maintain_all(&store, NOW_MS));
        for person in ["U1", "U2", "U5"] {
            delete(&store, "A", person, LaterEvents::Refuse);
        }
        compaction.join().unwrap();
    });
    maintain_all(&store, NOW_MS);
    let kept = ["U1", "U2", "U5"].iter().fold(all, |events, person| without(&events, "A", person));
    assert_eq!(rows(&store, &["A"]), expected(&kept));
    assert_eq!(files(dir.path()).len(), segment_count(&store));
    assert_sound(&store);
}

#[test]
fn a_segment_that_cannot_be_read_blocks_the_deletion_and_shows_nothing_until_it_was_searched() {
    let dir = tempfile::tempdir().unwrap();
    let (store, all) = filled(dir.path());
    let away = files(dir.path())[0].clone();
    drop(store);
    let aside = dir.path().join("aside");
    std::fs::rename(&away, &aside).unwrap();
    let store = open(dir.path());
    let deletion = delete(&store, "A", "U3", LaterEvents::Refuse);
    assert!(deletion.segments.iter().any(|segment| segment.rows.is_none()));
    while store.maintain(NOW_MS).unwrap() {}
    let blocked = receipt(&store, &deletion);
    assert_eq!(blocked.state, DeletionState::Blocked);
    assert!(!blocked.blocked.is_empty() && blocked.finished_at_ms.is_none());
    drop(store);

    // It is back: searched and written again at the next start, and read by nobody before.
    std::fs::rename(&aside, &away).unwrap();
    let store = open(dir.path());
    let app = AppId::new("A").unwrap();
    let plan = event_store::EventsPlan {
        scan: event_store::Scan { app, from_ms: 0, to_ms: i64::MAX, events: None, filter: event_store::Filter::all() },
        limit: 1_000,
        skip: 0,
    };
    let page = store.events(&plan, &super::world::context()).unwrap();
    assert!(!page.stats.missing.is_empty() && page.rows.iter().all(|row| row.user_id.as_deref() != Some("U3")));
    maintain_all(&store, NOW_MS);
    store.append(commit(&events("A", 400, 70), 3)).unwrap();
    let kept = without(&all, "A", "U3");
    assert_eq!(rows(&store, &["A", "B"]), expected(&kept));
    let done = receipt(&store, &deletion);
    assert_eq!(done.state, DeletionState::Finished);
    let on_disk = all[..350].len() - without(&all[..350], "A", "U3").len();
    assert_eq!(done.rows as usize, on_disk);
    store.flush().unwrap();
    assert_sound(&store);
}

#[test]
fn a_store_of_the_first_format_is_brought_to_this_one() {
    let dir = tempfile::tempdir().unwrap();
    let (store, all) = filled(dir.path());
    store.flush().unwrap();
    drop(store);
    let manifest = rusqlite::Connection::open(dir.path().join(crate::manifest::FILE)).unwrap();
    let third = "DROP TABLE links; DROP TABLE deletion_ids; PRAGMA user_version = 3";
    let second = "DROP TABLE tiered; DROP TABLE tier_garbage; PRAGMA user_version = 2";
    let first = "DROP TABLE deletions; DROP TABLE deletion_segments; DELETE FROM meta WHERE key = 'last_segment'; PRAGMA user_version = 1";
    for earlier in [third, second, first] {
        manifest.execute_batch(earlier).unwrap();
        // Before it is brought to this format, it can be checked and backed up.
        assert_eq!(findings(dir.path()), Vec::new());
        let copy = tempfile::tempdir().unwrap();
        assert!(!copy_manifest(dir.path(), &copy.path().join("m.db")).unwrap().segments.is_empty());
    }
    drop(manifest);
    let store = open(dir.path());
    assert_eq!(rows(&store, &["A", "B"]), expected(&all));
    delete(&store, "A", "U3", LaterEvents::Refuse);
    let parts = store.snapshot();
    assert!(parts.parts.iter().any(|part| matches!(&**part, Part::Segment(segment) if segment.hidden().rows() > 0)));
    drop(parts);
    maintain_all(&store, NOW_MS);
    assert_eq!(rows(&store, &["A", "B"]), expected(&without(&all, "A", "U3")));
    assert_sound(&store);
}
