//! The in-memory store: contract, bounds, snapshots, and what it costs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event::{AppId, PersonHash};
use realtime_store::{Cell, CellKey, MemoryOptions, MemoryRealtimeStore, RealtimeStore, Resolution, SnapshotError, WindowEvent, contract};
use tempfile::TempDir;

const NOW_MS: i64 = 1_780_000_020_000;
const MINUTE_MS: i64 = 60_000;

fn app(name: &str) -> AppId {
    AppId::new(name).unwrap()
}

fn cell(events: u64, names: u64, pages: u64) -> Arc<Cell> {
    let mut cell = Cell::default();
    for i in 0..events {
        let (event, page) = (format!("event {}", i % names), format!("/product/item-{}", i * 7 % pages));
        let person = Some(PersonHash((i / 2).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        cell.add(&WindowEvent { event: &event, person, session: person, page: (i % 2 == 0).then_some(&page) });
    }
    Arc::new(cell)
}

fn key(app_name: &str, resolution: Resolution, start_ms: i64) -> CellKey {
    CellKey { app: app(app_name), resolution, start_ms: resolution.start_of(start_ms) }
}

async fn content(store: &MemoryRealtimeStore, apps: &[&str]) -> Vec<(CellKey, Arc<Cell>)> {
    let mut all = Vec::new();
    for app_name in apps {
        for resolution in Resolution::ALL {
            for (start_ms, cell) in store.range(&app(app_name), resolution, 0, i64::MAX).await.unwrap() {
                all.push((CellKey { app: app(app_name), resolution, start_ms }, cell));
            }
        }
    }
    all
}

fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
async fn keeps_the_contract() {
    contract::check(async || MemoryRealtimeStore::default()).await;
}

#[tokio::test]
async fn a_snapshot_gives_back_every_cell_at_its_position_only() {
    let dir = TempDir::new().unwrap();
    let store = MemoryRealtimeStore::default();
    let mut cells = Vec::new();
    for i in 0..200 {
        cells.push((key("A", Resolution::FiveSeconds, NOW_MS - i * 40_000), cell(i as u64 * 9 % 700, 300, 600)));
        cells.push((key("B", Resolution::Minute, NOW_MS - i * 50 * MINUTE_MS), cell(i as u64, 3, 5)));
    }
    store.put(cells, NOW_MS).await.unwrap();
    store.freeze().write(dir.path(), 7).unwrap();
    let expected = content(&store, &["A", "B"]).await;
    assert_eq!(expected.len(), 180 + 200 + 1);

    let loaded = MemoryRealtimeStore::default();
    assert!(!loaded.load_snapshot(dir.path(), 6).unwrap());
    assert!(!loaded.load_snapshot(dir.path(), 8).unwrap());
    assert!(content(&loaded, &["A", "B"]).await.is_empty());
    assert!(loaded.load_snapshot(dir.path(), 7).unwrap());
    assert_eq!(content(&loaded, &["A", "B"]).await, expected);
    // Put again, or written again: the same file, whether cells are open or packed.
    loaded.freeze().write(dir.path(), 8).unwrap();
    let body = |position: u64| fs::read(dir.path().join(format!("{position:020}.snapshot"))).unwrap()[16..].to_vec();
    assert_eq!(body(7)[..body(7).len() - 8], body(8)[..body(8).len() - 8]);
}

#[tokio::test]
async fn the_last_two_snapshots_are_kept_and_those_beyond_the_position_are_not() {
    let dir = TempDir::new().unwrap();
    let store = MemoryRealtimeStore::default();
    let present = || {
        let mut names: Vec<String> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names.iter().map(|name| name.trim_end_matches(".snapshot").parse::<u64>().unwrap()).collect::<Vec<_>>()
    };
    for position in [0, 3, 9, 40] {
        store.freeze().write(dir.path(), position).unwrap();
    }
    assert_eq!(present(), [9, 40]);
    // The flush for 40 never came: the next run begins at 9 and reaches 20.
    store.freeze().write(dir.path(), 20).unwrap();
    assert_eq!(present(), [9, 20]);
}

#[tokio::test]
async fn a_damaged_snapshot_is_refused_whole() {
    let dir = TempDir::new().unwrap();
    let store = MemoryRealtimeStore::default();
    store.put(vec![(key("A", Resolution::Minute, NOW_MS), cell(90, 8, 40))], NOW_MS).await.unwrap();
    store.freeze().write(dir.path(), 1).unwrap();
    let path = dir.path().join(format!("{:020}.snapshot", 1));
    let good = fs::read(&path).unwrap();
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&path, &bad).unwrap();
        let loaded = MemoryRealtimeStore::default();
        assert!(matches!(loaded.load_snapshot(dir.path(), 1), Err(SnapshotError::Damaged { .. })), "bit flip at {at}");
        fs::write(&path, &good[..at]).unwrap();
        assert!(matches!(loaded.load_snapshot(dir.path(), 1), Err(SnapshotError::Damaged { .. })), "cut at {at}");
        assert_eq!(loaded.counts(), (0, 0));
    }
    // A snapshot copied to another position's name is not that position's.
    fs::write(dir.path().join(format!("{:020}.snapshot", 2)), &good).unwrap();
    assert!(MemoryRealtimeStore::default().load_snapshot(dir.path(), 2).is_err());
}

#[tokio::test]
async fn over_its_bound_the_largest_app_forgets_its_oldest_windows_first() {
    let bound = 4 << 20;
    let store = MemoryRealtimeStore::new(MemoryOptions { max_bytes: bound });
    let small = (0..30).map(|i| (key("small", Resolution::FiveSeconds, NOW_MS - i * 5_000), cell(10, 3, 3))).collect();
    store.put(small, NOW_MS).await.unwrap();
    for i in (0..1_000).rev() {
        let minute = key("large", Resolution::Minute, NOW_MS - i / 12 * MINUTE_MS);
        let cells = vec![(key("large", Resolution::FiveSeconds, NOW_MS - i * 5_000), cell(200, 8, 80)), (minute, cell(300, 8, 80))];
        store.put(cells, NOW_MS).await.unwrap();
        assert!(store.memory_bytes() <= bound, "{}", store.memory_bytes());
    }
    assert_eq!(store.range(&app("small"), Resolution::FiveSeconds, 0, i64::MAX).await.unwrap().len(), 30);
    let minutes = store.range(&app("large"), Resolution::Minute, 0, i64::MAX).await.unwrap();
    assert_eq!(minutes.len(), 84, "minutes are the last to go");
    let fives = store.range(&app("large"), Resolution::FiveSeconds, 0, i64::MAX).await.unwrap();
    assert!(!fives.is_empty() && fives.len() < 1_000, "{}", fives.len());
    assert!(fives.windows(2).all(|pair| pair[1].0 - pair[0].0 == 5_000), "the newest stay, without a hole");
    assert_eq!(fives.last().map(|(start_ms, _)| *start_ms), Some(Resolution::FiveSeconds.start_of(NOW_MS)));
    // A forgotten window stays forgotten: half of its events would be worse than none.
    let forgotten = key("large", Resolution::FiveSeconds, fives[0].0 - 5_000);
    store.put(vec![(forgotten.clone(), cell(1, 1, 1))], NOW_MS).await.unwrap();
    assert_eq!(store.get(&forgotten).await, Ok(None));
    let dir = TempDir::new().unwrap();
    store.freeze().write(dir.path(), 1).unwrap();
    let restarted = MemoryRealtimeStore::default();
    assert!(restarted.load_snapshot(dir.path(), 1).unwrap());
    restarted.put(vec![(forgotten.clone(), cell(1, 1, 1))], NOW_MS).await.unwrap();
    assert_eq!(restarted.get(&forgotten).await, Ok(None), "also after a restart");
}

#[tokio::test]
async fn the_account_of_memory_returns_to_nothing() {
    let store = MemoryRealtimeStore::default();
    for round in 0..5 {
        let cells = (0..50).map(|i| (key(&format!("app-{i}"), Resolution::FiveSeconds, NOW_MS), cell(i * 10 + round, 5, 50))).collect();
        store.put(cells, NOW_MS).await.unwrap();
    }
    assert!(store.memory_bytes() > 50_000);
    let listener = store.subscribe(&app("app-1"));
    store.put(Vec::new(), NOW_MS + 8 * 24 * 60 * MINUTE_MS).await.unwrap();
    assert_eq!(store.counts(), (1, 0), "an app with a listener stays");
    drop(listener);
    store.put(Vec::new(), NOW_MS + 9 * 24 * 60 * MINUTE_MS).await.unwrap();
    assert_eq!(store.counts(), (0, 0));
    assert_eq!(store.memory_bytes(), 0);
}

/// 100,000 apps with four cells of ten events each, and the time of one hour of 5-second windows of a busy app.
#[tokio::test]
async fn many_apps_are_cheap_and_an_hour_reads_fast() {
    let store = MemoryRealtimeStore::new(MemoryOptions { max_bytes: 2 << 30 });
    let before = resident_bytes();
    let started = Instant::now();
    for chunk in 0..100 {
        let mut cells = Vec::new();
        for i in 0..1_000 {
            let name = format!("app-{}", chunk * 1_000 + i);
            for n in 0..3 {
                // Cloned as the stream does, so that vectors are as long as their content.
                let cell = Arc::new(Cell::clone(&cell(10, 3, 4)));
                cells.push((key(&name, Resolution::FiveSeconds, NOW_MS - n * 5_000), cell));
            }
            cells.push((key(&name, Resolution::Minute, NOW_MS), Arc::new(Cell::clone(&cell(10, 3, 4)))));
        }
        store.put(cells, NOW_MS).await.unwrap();
    }
    let resident = resident_bytes() - before;
    println!(
        "100,000 apps, 400,000 cells of 10 events: {} MB resident, {} MB accounted, {} ms to put",
        resident >> 20,
        store.memory_bytes() >> 20,
        started.elapsed().as_millis()
    );
    assert!(resident < 600 << 20, "{} MB", resident >> 20);
    assert!(store.memory_bytes() > resident / 2, "the account must not flatter");

    let busy: Vec<_> = (0..1_440).map(|i| (key("busy", Resolution::FiveSeconds, NOW_MS - i * 5_000), cell(600, 8, 300))).collect();
    store.put(busy, NOW_MS).await.unwrap();
    let (busy, mut times) = (app("busy"), Vec::new());
    for _ in 0..100 {
        let started = Instant::now();
        let cells = store.range(&busy, Resolution::FiveSeconds, NOW_MS - 60 * MINUTE_MS, NOW_MS).await.unwrap();
        times.push(started.elapsed());
        assert_eq!(cells.len(), 720);
    }
    times.sort();
    println!("one hour of 5-second windows: median {:?}, slowest of 100 {:?}", times[50], times[99]);
    assert!(times[98] < Duration::from_millis(5), "{:?}", times[98]);
    let started = Instant::now();
    let frozen = store.freeze();
    let freeze = started.elapsed();
    let dir = TempDir::new().unwrap();
    let bytes = frozen.write(dir.path(), 1).unwrap();
    println!("freeze {freeze:?}, snapshot of {} MB written in {:?}", bytes >> 20, started.elapsed());
}
