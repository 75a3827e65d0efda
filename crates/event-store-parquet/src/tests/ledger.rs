use super::world::{BASE_MS, DAY_MS, PlainEvent, batch_with_rejected, maintain_all, open};
use event::AppId;
use event_store::{AppendedBatch, Commit, EventSink, Ledger, LedgerRow};

fn events(count: i64) -> Vec<PlainEvent> {
    (0..count).map(|i| PlainEvent::new("A", "a", BASE_MS + i, "U")).collect()
}

#[test]
fn received_is_stored_and_duplicate_and_rejected_before_and_after_flushes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let app = AppId::new("A").unwrap();
    let send = |end| {
        let batches = vec![AppendedBatch { batch: batch_with_rejected(&events(10), 2), duplicates: vec![0, 3, 9] }];
        store.append(Commit { batches, end }).unwrap();
    };
    let row = |n: u64| LedgerRow {
        minute_ms: BASE_MS,
        received: 12 * n,
        stored: 7 * n,
        duplicate: 3 * n,
        rejected: vec![("missing_name".into(), 2 * n)],
    };
    for n in 1..=3 {
        send(n);
        assert_eq!(store.ledger(&app, BASE_MS, BASE_MS + 1).unwrap(), [row(n)]);
        assert_eq!(store.unflushed().0, 7);
        if n == 2 {
            store.seal();
            send(n + 1);
            assert_eq!(store.ledger(&app, BASE_MS, BASE_MS + 1).unwrap(), [row(3)]);
            store.flush().unwrap();
            break;
        }
        store.flush().unwrap();
        assert_eq!(store.ledger(&app, BASE_MS, BASE_MS + 1).unwrap(), [row(n)]);
    }
    assert!(store.ledger(&app, BASE_MS + 1, BASE_MS + DAY_MS).unwrap().is_empty());
    assert!(store.ledger(&AppId::new("B").unwrap(), BASE_MS, BASE_MS + 1).unwrap().is_empty());
    assert_eq!(store.rejected(&app, 100).unwrap().rows.len(), 6);
    store.flush().unwrap();
    assert_eq!(store.ledger(&app, BASE_MS, BASE_MS + 1).unwrap(), [row(3)]);
    let rejected = store.rejected(&app, 5).unwrap().rows;
    assert_eq!((rejected.len(), rejected[0].index, rejected[1].index, rejected[0].code.as_str()), (5, 11, 10, "missing_name"));
    assert!(store.rejected(&AppId::new("B").unwrap(), 5).unwrap().rows.is_empty());

    // After 30 days the refused events go, the counts stay.
    maintain_all(&store, BASE_MS + 29 * DAY_MS);
    assert_eq!(maintain_all(&store, BASE_MS + 30 * DAY_MS), 0);
    assert!(maintain_all(&store, BASE_MS + 31 * DAY_MS) > 0);
    assert!(store.rejected(&app, 5).unwrap().rows.is_empty());
    assert_eq!(store.ledger(&app, BASE_MS, BASE_MS + 1).unwrap(), [row(3)]);
}

#[test]
fn only_the_newest_refused_events_of_an_app_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let app = AppId::new("A").unwrap();
    for end in 1..=3 {
        let batches = vec![AppendedBatch { batch: batch_with_rejected(&events(1), 4_000), duplicates: Vec::new() }];
        store.append(Commit { batches, end }).unwrap();
        store.flush().unwrap();
    }
    let rows = store.rejected(&app, usize::MAX).unwrap().rows;
    assert_eq!((rows.len(), rows[0].index), (crate::ledger::MAX_REJECTED_PER_APP, 4_000));
    assert_eq!(store.ledger(&app, BASE_MS, BASE_MS + 1).unwrap()[0].rejected, [("missing_name".into(), 12_000)]);
}
