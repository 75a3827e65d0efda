//! What every [`RealtimeStore`] must do, as checks that its tests call; each check wants a fresh, empty store.

use std::sync::Arc;

use event::{AppId, PersonHash};

use crate::cell::{Cell, CellKey, Resolution, WindowEvent};
use crate::store::RealtimeStore;

const NOW_MS: i64 = 1_780_000_020_000;
const HOUR_MS: i64 = 3_600_000;

/// Runs all checks, each on a store made by `fresh`.
///
/// # Panics
/// When the store breaks the contract; the message says where.
pub async fn check<S: RealtimeStore>(fresh: impl AsyncFn() -> S) {
    gives_back_what_was_put(&fresh().await).await;
    replaces_cells(&fresh().await).await;
    ranges_are_half_open_and_ascend(&fresh().await).await;
    keeps_apps_and_resolutions_apart(&fresh().await).await;
    forgets_what_has_passed_its_time(&fresh().await).await;
    wakes_subscribers_of_changed_apps_once_a_put(&fresh().await).await;
}

fn app(name: &str) -> AppId {
    AppId::new(name).unwrap_or_else(|| unreachable!("{name} is an app id"))
}

fn key(app_name: &str, resolution: Resolution, start_ms: i64) -> CellKey {
    CellKey { app: app(app_name), resolution, start_ms: resolution.start_of(start_ms) }
}

/// A cell with `events` events of as many persons, names and pages.
fn cell(events: u64) -> Arc<Cell> {
    let mut cell = Cell::default();
    for i in 0..events {
        let (event, page) = (format!("event {i}"), format!("/page/{i}"));
        let person = Some(PersonHash(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        cell.add(&WindowEvent { event: &event, person, session: person, page: Some(&page) });
    }
    Arc::new(cell)
}

async fn put(store: &impl RealtimeStore, cells: Vec<(CellKey, Arc<Cell>)>, now_ms: i64) {
    assert_eq!(store.put(cells, now_ms).await, Ok(()));
}

async fn starts(store: &impl RealtimeStore, app_name: &str, resolution: Resolution, from_ms: i64, to_ms: i64) -> Vec<i64> {
    let app = app(app_name);
    let cells = store.range(&app, resolution, from_ms, to_ms).await;
    cells.map(|cells| cells.iter().map(|(start_ms, _)| *start_ms).collect()).unwrap_or_default()
}

async fn gives_back_what_was_put(store: &impl RealtimeStore) {
    for (minutes_ago, events) in [(0, 0), (1, 1), (70, 40), (90, 900)] {
        let key = key("A", Resolution::FiveSeconds, NOW_MS - minutes_ago * 60_000);
        put(store, vec![(key.clone(), cell(events))], NOW_MS).await;
        assert_eq!(store.get(&key).await, Ok(Some(cell(events))), "a cell of {events} events");
        // A later put of another app may move or pack cells; the content stays.
        put(store, vec![(self::key("B", Resolution::Minute, NOW_MS), cell(1))], NOW_MS + 60_000).await;
        assert_eq!(store.get(&key).await, Ok(Some(cell(events))), "a cell of {events} events after another put");
    }
    assert_eq!(store.get(&key("A", Resolution::Minute, NOW_MS)).await, Ok(None));
}

async fn replaces_cells(store: &impl RealtimeStore) {
    let key = key("A", Resolution::Minute, NOW_MS);
    for events in [3, 5, 5, 2] {
        put(store, vec![(key.clone(), cell(events))], NOW_MS).await;
        assert_eq!(store.get(&key).await, Ok(Some(cell(events))), "the last put counts, not the sum");
    }
}

async fn ranges_are_half_open_and_ascend(store: &impl RealtimeStore) {
    let base = Resolution::FiveSeconds.start_of(NOW_MS - HOUR_MS);
    for i in [7, 2, 9, 0, 4] {
        put(store, vec![(key("A", Resolution::FiveSeconds, base + i * 5_000), cell(1))], NOW_MS).await;
    }
    let at = |list: &[i64]| list.iter().map(|i| base + i * 5_000).collect::<Vec<_>>();
    let range = async |from: i64, to: i64| starts(store, "A", Resolution::FiveSeconds, base + from, base + to).await;
    assert_eq!(range(0, 50_000).await, at(&[0, 2, 4, 7, 9]));
    assert_eq!(range(0, 45_000).await, at(&[0, 2, 4, 7]), "the end is out");
    assert_eq!(range(1, 45_001).await, at(&[2, 4, 7, 9]), "a window that starts before is out");
    assert_eq!(range(15_000, 15_000).await, at(&[]));
}

async fn keeps_apps_and_resolutions_apart(store: &impl RealtimeStore) {
    let cells = vec![
        (key("A", Resolution::FiveSeconds, NOW_MS), cell(1)),
        (key("A", Resolution::Minute, NOW_MS), cell(2)),
        (key("B", Resolution::Minute, NOW_MS), cell(3)),
    ];
    put(store, cells.clone(), NOW_MS).await;
    for (key, cell) in cells {
        assert_eq!(store.get(&key).await, Ok(Some(cell)), "{key:?}");
    }
    assert_eq!(store.get(&key("B", Resolution::FiveSeconds, NOW_MS)).await, Ok(None));
    assert_eq!(starts(store, "C", Resolution::Minute, 0, i64::MAX).await, [] as [i64; 0]);
}

async fn forgets_what_has_passed_its_time(store: &impl RealtimeStore) {
    let five = |ago_ms: i64| key("A", Resolution::FiveSeconds, NOW_MS - ago_ms);
    let minute = |ago_ms: i64| key("A", Resolution::Minute, NOW_MS - ago_ms);
    let cells = [five(0), five(HOUR_MS), minute(0), minute(6 * 24 * HOUR_MS)];
    put(store, cells.iter().map(|key| (key.clone(), cell(1))).collect(), NOW_MS).await;
    // Too old on arrival: not taken.
    put(store, vec![(five(3 * HOUR_MS), cell(1)), (minute(8 * 24 * HOUR_MS), cell(1))], NOW_MS).await;
    assert_eq!(store.get(&five(3 * HOUR_MS)).await, Ok(None));
    assert_eq!(store.get(&minute(8 * 24 * HOUR_MS)).await, Ok(None));
    // Time passes, and only another app changes.
    let now_ms = NOW_MS + 2 * HOUR_MS - 60_000;
    put(store, vec![(key("B", Resolution::Minute, now_ms), cell(1))], now_ms).await;
    assert_eq!(store.get(&five(HOUR_MS)).await, Ok(None), "5-second cells are kept for 2 hours");
    assert_eq!(store.get(&five(0)).await, Ok(Some(cell(1))));
    assert_eq!(store.get(&minute(6 * 24 * HOUR_MS)).await, Ok(Some(cell(1))), "minute cells are kept for 7 days");
    let now_ms = NOW_MS + 25 * HOUR_MS;
    put(store, Vec::new(), now_ms).await;
    assert_eq!(starts(store, "A", Resolution::FiveSeconds, 0, i64::MAX).await, [] as [i64; 0]);
    assert_eq!(starts(store, "A", Resolution::Minute, 0, i64::MAX).await, [minute(0).start_ms]);
}

async fn wakes_subscribers_of_changed_apps_once_a_put(store: &impl RealtimeStore) {
    let (mut a, mut b) = (store.subscribe(&app("A")), store.subscribe(&app("B")));
    a.borrow_and_update();
    b.borrow_and_update();
    let before = *a.borrow();
    let cells = (0..5).map(|i| (key("A", Resolution::FiveSeconds, NOW_MS - i * 5_000), cell(1))).collect();
    put(store, cells, NOW_MS).await;
    assert_eq!(a.has_changed().ok(), Some(true));
    assert_eq!(*a.borrow_and_update(), before + 1, "five cells, one signal");
    assert_eq!(b.has_changed().ok(), Some(false), "the other app did not change");
}
