//! Ids of one person count once, over flushes, restarts, replays, compaction and deletion.

use std::path::Path;
use std::sync::Arc;

use event::{AppId, EventBatchBuilder, EventFields, PropertyValue};
use event_store::{
    AggregatePlan, AppendedBatch, Commit, DeletionReceipt, DeletionRequest, EventSink, EventSource, Filter, Fold, LaterEvents, Measure,
    MeasureFn, Measured, PersonDeletions, Scan, Table,
};

use super::world::{BASE_MS, DAY_MS, HOUR_MS, assert_sound, context, findings, maintain_all, open, open_with};
use crate::store::ParquetStore;

const NOW_MS: i64 = BASE_MS + 20 * DAY_MS;

/// User id, anonymous id, hours after the beginning, alias.
type Event<'e> = (Option<&'e str>, Option<&'e str>, i64, Option<&'e str>);

/// One commit, each event received a minute after it happened.
fn commit(events: &[Event<'_>], end: u64) -> Commit {
    let batch = |&(user_id, anonymous_id, hours, alias): &Event<'_>| {
        let time_ms = BASE_MS + hours * HOUR_MS;
        let mut builder = EventBatchBuilder::default();
        builder.start(time_ms + 60_000);
        if let Some(alias) = alias {
            builder.property("alias", PropertyValue::Str(alias));
        }
        let name = if alias.is_some() { "$alias" } else { "view" };
        let fields = EventFields { name, time_ms, client_time_ms: time_ms, user_id, anonymous_id, insert_id: None, session_id: None };
        builder.finish_event(&fields);
        AppendedBatch { batch: builder.build(&AppId::new("A").unwrap()), duplicates: Vec::new() }
    };
    Commit { batches: events.iter().map(batch).collect(), end }
}

/// Two visitors who sign in, one of them on two devices and then under another user id; one who does not.
const STORY: [&[Event<'static>]; 4] = [
    &[(None, Some("d1"), 0, None), (None, Some("d2"), 1, None), (None, Some("d3"), 2, None)],
    &[(Some("u1"), Some("d1"), 3, None), (Some("u2"), Some("d2"), 4, None)],
    &[(Some("u1"), Some("d4"), 30, None), (Some("u2"), Some("d1"), 31, None), (None, Some("d4"), 5, None)],
    &[(Some("u9"), None, 50, Some("u1")), (Some("u9"), None, 51, None)],
];

fn plan(function: MeasureFn) -> AggregatePlan {
    AggregatePlan {
        scan: Scan { app: AppId::new("A").unwrap(), from_ms: BASE_MS, to_ms: BASE_MS + 5 * DAY_MS, events: None, filter: Filter::all() },
        buckets: None,
        group_by: Vec::new(),
        measures: vec![Measure { function, events: None, filter: Filter::all(), since: None }],
        fold: Fold { keep: 25, by_measure: 0, descending: true },
    }
}

fn users(store: &ParquetStore) -> u64 {
    match store.aggregate(&plan(MeasureFn::UniqueUsers), &context()).unwrap().totals.first().map(|row| row.measures[0]) {
        Some(Measured::Count(users)) => users,
        None => 0,
        other => panic!("{other:?}"),
    }
}

fn append_story(store: &ParquetStore, from: u64) {
    (from..4).for_each(|at| store.append(commit(STORY[at as usize], at + 1)).unwrap());
}

fn delete(store: &ParquetStore, person: &str, later_events: LaterEvents) -> DeletionReceipt {
    store.delete_person(&DeletionRequest { app: &AppId::new("A").unwrap(), person, later_events, now_ms: NOW_MS }).unwrap()
}

/// Opens a store of the folder and reads the log again from where it is.
fn restarted(dir: &Path) -> Arc<ParquetStore> {
    let store = open(dir);
    append_story(&store, store.position());
    store
}

#[test]
fn ids_are_one_person_from_the_event_that_links_them_and_for_the_past() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut after = Vec::new();
    for (at, events) in STORY.iter().enumerate() {
        store.append(commit(events, at as u64 + 1)).unwrap();
        after.push(users(&store));
    }
    // Three devices; two of them users; a fourth device of the first user, who is not the second for all that; another name for the first.
    assert_eq!(after, [3, 3, 3, 3]);
    store.flush().unwrap();
    assert_eq!(users(&store), 3);
    assert_eq!(store.link_figures().links, 4);
    drop(store);
    let store = open(dir.path());
    assert_eq!((users(&store), store.link_figures().links), (3, 4));
    maintain_all(&store, NOW_MS);
    assert_eq!(users(&store), 3);
    assert_sound(&store);
}

#[test]
fn a_restart_after_any_flush_and_a_log_read_again_change_nothing() {
    for flushed in 0..=4 {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for (at, events) in STORY.iter().enumerate() {
            store.append(commit(events, at as u64 + 1)).unwrap();
            if at + 1 == flushed {
                store.flush().unwrap();
            }
        }
        drop(store);
        let store = restarted(dir.path());
        assert_eq!((users(&store), store.link_figures().links), (3, 4), "flushed after {flushed}");
        store.flush().unwrap();
        drop(store);
        let store = open(dir.path());
        assert_eq!((users(&store), store.link_figures().links), (3, 4), "flushed after {flushed}, and again");
        assert_sound(&store);
    }
}

#[test]
fn sketches_of_rollups_do_not_answer_for_an_app_with_links() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let used_rollups = |store: &ParquetStore, function: MeasureFn| {
        let answer = store.aggregate(&plan(function), &context()).unwrap();
        let used = answer.stats.work.tables.iter().any(|read| matches!(read.table, Table::RollupDay | Table::RollupHour));
        (used, answer.totals[0].measures[0])
    };
    store.append(commit(STORY[0], 1)).unwrap();
    store.flush().unwrap();
    let (used, users) = used_rollups(&store, MeasureFn::UniqueUsersApprox);
    assert_eq!((used, users), (true, Measured::Count(3)));
    append_story(&store, 1);
    store.flush().unwrap();
    let (used, users) = used_rollups(&store, MeasureFn::UniqueUsersApprox);
    assert_eq!((used, users), (false, Measured::Count(3)));
    assert_eq!(used_rollups(&store, MeasureFn::Events), (true, Measured::Count(10)));
}

#[test]
fn where_raw_events_are_gone_sketches_answer_and_say_what_they_count() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), Default::default(), Arc::new(|_: &AppId| Some(DAY_MS))).unwrap();
    append_story(&store, 0);
    store.flush().unwrap();
    maintain_all(&store, BASE_MS + 5 * DAY_MS / 2);
    let asked = |from_ms: i64| {
        let plan = plan(MeasureFn::UniqueUsersApprox);
        let plan = AggregatePlan { scan: Scan { from_ms, ..plan.scan }, ..plan };
        let answer = store.aggregate(&plan, &context()).unwrap();
        let Measured::Count(users) = answer.totals[0].measures[0] else { panic!("{answer:?}") };
        (users, answer.stats.work.reason.contains("count once for each"), answer.stats.missing.is_empty())
    };
    // d1 to d4, u1, u2 and u9; of the raw events that are left, all are of u9.
    assert_eq!(asked(BASE_MS), (7, true, true));
    assert_eq!(asked(BASE_MS + 2 * DAY_MS), (1, false, true));
}

#[test]
fn a_deleted_person_goes_with_all_its_ids_and_their_links() {
    for (flushed, named) in [(0, "u9"), (2, "u1"), (3, "d4"), (4, "d1")] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for (at, events) in STORY.iter().enumerate() {
            store.append(commit(events, at as u64 + 1)).unwrap();
            if at + 1 == flushed {
                store.flush().unwrap();
            }
        }
        let receipt = delete(&store, named, LaterEvents::Refuse);
        // u9, u1, d1 and d4; the event of u2 with d1 is that of u2.
        assert_eq!((receipt.rows, receipt.linked_sha256.len()), (6, 3), "{named}");
        assert_eq!((users(&store), store.link_figures().links), (2, 1), "{named}");
        drop(store);
        // The log again: nothing of the person comes back, nor a link of its ids.
        let store = restarted(dir.path());
        assert_eq!((users(&store), store.link_figures().links), (2, 1), "{named}");
        store.append(commit(STORY[3], 5)).unwrap();
        store.append(commit(&[(None, Some("d4"), 400, None), (Some("u2"), Some("d4"), 401, None)], 6)).unwrap();
        assert_eq!((users(&store), store.link_figures().links), (2, 1), "events of linked ids are refused");
        store.flush().unwrap();
        maintain_all(&store, NOW_MS);
        let done = store.deletion(&receipt.app, &receipt.id).unwrap().unwrap();
        assert_eq!((done.linked_sha256.clone(), done.finished_at_ms), (receipt.linked_sha256, Some(NOW_MS)));
        assert_sound(&store);
        let manifest = rusqlite::Connection::open(dir.path().join(crate::manifest::FILE)).unwrap();
        let left: Vec<String> = {
            let mut statement = manifest.prepare("SELECT source_id || '>' || target_id FROM links").unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(left, ["d2>u2"], "{named}");
    }
}

#[test]
fn later_events_that_are_accepted_begin_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    append_story(&store, 0);
    delete(&store, "u1", LaterEvents::Accept);
    assert_eq!((users(&store), store.link_figures().links), (2, 1));
    store.append(commit(&[(None, Some("d4"), 481, None), (Some("u1"), Some("d1"), 482, None)], 5)).unwrap();
    // d4 is not u1 any more.
    let later = AggregatePlan { scan: Scan { to_ms: i64::MAX, ..plan(MeasureFn::UniqueUsers).scan }, ..plan(MeasureFn::UniqueUsers) };
    let table = store.aggregate(&later, &context()).unwrap();
    assert_eq!(table.totals[0].measures[0], Measured::Count(4));
    assert_eq!(store.link_figures().links, 2);
}

#[test]
fn one_link_too_many_leaves_ids_apart_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let options = crate::options::ParquetStoreOptions { max_links: 1, ..Default::default() };
    let open = || open_with(dir.path(), options.clone(), super::world::keep_forever()).unwrap();
    let store = open();
    append_story(&store, 0);
    let before = users(&store);
    assert_eq!((before, store.link_figures().links), (6, 1));
    drop(store);
    let store = open();
    append_story(&store, 0);
    assert_eq!((users(&store), store.link_figures().links), (before, 1));
}

/// Changes the manifest of a closed store behind its back.
fn change_manifest(dir: &Path, sql: &str) {
    rusqlite::Connection::open(dir.join(crate::manifest::FILE)).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_store_from_before_has_the_links_of_its_rows_at_the_first_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    append_story(&store, 0);
    store.flush().unwrap();
    drop(store);
    change_manifest(dir.path(), "DROP TABLE links; DROP TABLE deletion_ids; PRAGMA user_version = 3");
    for _ in 0..2 {
        let store = open(dir.path());
        assert_eq!((users(&store), store.link_figures().links), (3, 4));
        assert!(!store.manifest.links_unread().unwrap());
        assert_sound(&store);
    }
}

#[test]
fn a_check_finds_links_that_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    append_story(&store, 0);
    store.flush().unwrap();
    drop(store);
    assert!(findings(dir.path()).is_empty());
    let cases = [
        ("UPDATE links SET source_id = 'd77' WHERE source_id = 'd2'", "another key"),
        ("UPDATE links SET target_id = 'u1' WHERE source_id = 'd2'", "d2 is linked to u1, and was said to be u2 before"),
        ("UPDATE links SET time_ms = time_ms + 1 WHERE source_id = 'd1'", "d1 is linked to u1, and was said to be u1 before"),
        ("UPDATE links SET time_ms = time_ms - 1 WHERE source_id = 'd1'", "d1 is linked to u1, which no event says"),
        ("DELETE FROM links WHERE source_id = 'u1'", "u1 is said to be u9 and has no link"),
    ];
    for (change, expected) in cases {
        let saved = std::fs::read(dir.path().join(crate::manifest::FILE)).unwrap();
        change_manifest(dir.path(), change);
        let found = findings(dir.path());
        assert_eq!(found.len(), 1, "{change}: {found:?}");
        assert_eq!((found[0].kind, found[0].is_problem()), ("link", true));
        assert!(found[0].found.contains(expected), "{:?}", found[0]);
        std::fs::write(dir.path().join(crate::manifest::FILE), saved).unwrap();
    }
}

#[test]
fn a_check_lets_links_be_whose_events_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    append_story(&store, 0);
    store.flush().unwrap();
    drop(store);
    let app = AppId::new("A").unwrap();
    let floor = format!("INSERT OR REPLACE INTO raw_floors (app, from_ms) VALUES ('{}', {})", app.as_str(), BASE_MS + 40 * HOUR_MS);
    change_manifest(dir.path(), &format!("UPDATE links SET time_ms = time_ms - 1; {floor}"));
    let of_links: Vec<_> = findings(dir.path()).into_iter().filter(|finding| finding.kind == "link").collect();
    // That of u1 was said after the time up to which raw events are gone.
    assert_eq!(of_links.len(), 1, "{of_links:?}");
}
