//! The whole stream on a real log and a small real store: exactly once through crashes, live windows that equal a recount, bounds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use event::{AppId, EventBatchBuilder, EventFields, PropertyValue};
use event_log::{EventLog, FileLog, FileLogOptions, MemoryLog};
use event_store::EventSink;
use prometheus::Registry;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use realtime_store::{CellRange, MemoryRealtimeStore, RealtimeStore, Resolution};
use stream::{Stream, StreamError, StreamOptions, StreamParts};
use support::{Fault, SmallStore};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// One event of a request: insert id, age.
type Sent = (Option<u64>, i64);

fn record(app: &str, events: &[Sent]) -> Bytes {
    let mut builder = EventBatchBuilder::default();
    let received_at_ms = now_ms();
    builder.start(received_at_ms);
    for &(id, age_ms) in events {
        let n = id.unwrap_or(0);
        let (user, session, url) = (format!("U{}", n % 50), format!("S{}", n % 70), format!("/item/{}", n % 40));
        builder.property("url", PropertyValue::Str(&url));
        builder.finish_event(&EventFields {
            name: ["page_view", "click", "purchase"][(n % 3) as usize],
            time_ms: received_at_ms - age_ms,
            client_time_ms: received_at_ms - age_ms,
            user_id: Some(&user),
            anonymous_id: None,
            insert_id: id.map(|id| format!("id-{id}")).as_deref(),
            session_id: (n % 4 == 0).then_some(session.as_str()),
        });
    }
    let mut bytes = Vec::new();
    builder.encode(&AppId::new(app).unwrap(), &mut bytes);
    Bytes::from(bytes)
}

/// Any log.
type Log = Arc<dyn EventLog>;

fn memory_log() -> Log {
    Arc::new(MemoryLog::default())
}

/// A log in files so small that a test fills several.
fn file_log(dir: &Path) -> Log {
    let options = FileLogOptions { segment_bytes: 4_096, recent_bytes: 1_024, max_age: Duration::ZERO, ..FileLogOptions::default() };
    Arc::new(FileLog::open(dir.join("log"), options).unwrap())
}

/// A running process, as far as the stream is concerned.
struct Process {
    store: Arc<SmallStore>,
    realtime: Arc<MemoryRealtimeStore>,
    registry: Registry,
    shutdown: CancellationToken,
    caught_up: CancellationToken,
    task: JoinHandle<Result<(), StreamError>>,
}

fn quick(dir: &Path) -> StreamOptions {
    StreamOptions { flush_interval_ms: 30, publish_interval_ms: 10, ..StreamOptions::new(dir) }
}

fn start_with(log: &Log, dir: &Path, max_unflushed_rows: usize, options: StreamOptions) -> Process {
    let store = Arc::new(SmallStore::open(dir, max_unflushed_rows));
    let realtime = Arc::new(MemoryRealtimeStore::default());
    let parts = StreamParts {
        log: log.clone(),
        sink: store.clone(),
        source: store.clone(),
        realtime: realtime.clone(),
        snapshots: Some(realtime.clone()),
    };
    let (registry, shutdown) = (Registry::new(), CancellationToken::new());
    let stream = Stream::open(parts, &registry, options).unwrap();
    let caught_up = stream.caught_up();
    let task = tokio::spawn(stream.run(shutdown.clone()));
    Process { store, realtime, registry, shutdown, caught_up, task }
}

fn start(log: &Log, dir: &Path) -> Process {
    start_with(log, dir, 1_000_000, quick(dir))
}

impl Process {
    async fn stop(self) -> (Arc<SmallStore>, Arc<MemoryRealtimeStore>) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
        (self.store, self.realtime)
    }

    async fn until(&self, what: &str, condition: impl Fn(&SmallStore) -> bool) {
        let started = Instant::now();
        while !condition(&self.store) {
            assert!(started.elapsed() < Duration::from_secs(20), "{what}: {:?}", self.store.counts());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == format!("throng_stream_{name}")).unwrap();
        let metric = &family.get_metric()[0];
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    }
}

async fn live(store: &MemoryRealtimeStore) -> Vec<CellRange> {
    let mut all = Vec::new();
    for app in ["A", "B"] {
        for resolution in Resolution::ALL {
            all.push(store.range(&AppId::new(app).unwrap(), resolution, i64::MIN, i64::MAX).await.unwrap());
        }
    }
    all
}

/// The live windows of a process that finds no snapshot and counts the stored rows again.
async fn rebuilt(log: &Log, dir: &Path) -> Vec<CellRange> {
    fs::remove_dir_all(dir.join("realtime")).unwrap();
    let (_, realtime) = start(log, dir).stop().await;
    live(&realtime).await
}

#[tokio::test]
async fn an_event_is_visible_at_once_stored_once_and_survives_a_restart() {
    let (dir, log) = (TempDir::new().unwrap(), memory_log());
    let options = StreamOptions::new(dir.path());
    let process = start_with(&log, dir.path(), 1_000_000, options.clone());
    let app = AppId::new("A").unwrap();
    let mut changes = process.realtime.subscribe(&app);
    changes.borrow_and_update();
    let mut fastest = Duration::MAX;
    for id in 0..3 {
        log.append(record("A", &[(Some(id), 0), (None, 0)])).await.unwrap();
        let started = Instant::now();
        tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.unwrap().unwrap();
        fastest = fastest.min(started.elapsed());
        assert_eq!(process.store.counts().0, 2 * (id as usize + 1), "rows are visible before the live signal");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    println!("from durable to published, fastest of 3: {fastest:?}");
    assert!(fastest < Duration::from_millis(100), "after a pause nothing waits for the next quarter of a second: {fastest:?}");
    log.append(record("A", &[(Some(0), 0), (Some(7), 0), (Some(7), 0)])).await.unwrap();
    log.append(record("B", &[(Some(0), 0)])).await.unwrap();
    let (store, realtime) = process.stop().await;
    assert_eq!(store.counts(), (3 + 3 + 1 + 1, 2, 0));
    assert_eq!(store.position(), log.end(), "shutdown flushes");
    assert_eq!(log.start(), log.end(), "and releases the log");
    let expected = live(&realtime).await;

    let process = start_with(&log, dir.path(), 1_000_000, options);
    log.append(record("A", &[(Some(0), 0), (Some(7), 0)])).await.unwrap();
    process.until("duplicates are counted", |store| store.counts().1 == 4).await;
    let (store, realtime) = process.stop().await;
    assert_eq!(store.counts(), (8, 4, 0));
    assert_eq!(live(&realtime).await, expected, "duplicates change no window");
    assert_eq!(rebuilt(&log, dir.path()).await, expected);
}

#[tokio::test]
async fn caught_up_means_that_all_the_log_held_is_visible() {
    let (dir, log) = (TempDir::new().unwrap(), memory_log());
    let process = start(&log, dir.path());
    process.caught_up.cancelled().await;
    for id in 0..50 {
        log.append(record("A", &[(Some(id), 0)])).await.unwrap();
    }
    process.until("the first half is there", |store| store.counts().0 == 50).await;
    let (_, realtime) = process.stop().await;
    let before = live(&realtime).await;
    // No snapshot, and records that were appended while nobody read them.
    fs::remove_dir_all(dir.path().join("realtime")).unwrap();
    let process = start(&log, dir.path());
    tokio::time::timeout(Duration::from_secs(20), process.caught_up.cancelled()).await.unwrap();
    assert_eq!(live(&process.realtime).await, before, "windows are rebuilt by then");
    process.stop().await;
    for id in 50..100 {
        log.append(record("B", &[(Some(id), 0)])).await.unwrap();
    }
    let process = start(&log, dir.path());
    tokio::time::timeout(Duration::from_secs(20), process.caught_up.cancelled()).await.unwrap();
    assert_eq!(process.store.counts().0, 100);
}

#[tokio::test]
async fn a_last_record_of_which_nothing_is_kept_holds_nobody_up() {
    let (dir, log) = (TempDir::new().unwrap(), memory_log());
    log.append(record("A", &[(Some(1), 0)])).await.unwrap();
    log.append("no batch".into()).await.unwrap();
    // Only a commit, not the next flush, can say in time that the stream has passed it.
    let process = start_with(&log, dir.path(), usize::MAX, StreamOptions { flush_interval_ms: 60_000, ..quick(dir.path()) });
    tokio::time::timeout(Duration::from_secs(5), process.caught_up.cancelled()).await.unwrap();
    assert_eq!(process.store.counts().0, 1);
}

/// Random traffic with client retries, through every kind of crash. Returns what was sent with an id, without one, and the store.
async fn crashes(seed: u64, dedupe_enabled: bool) -> (BTreeSet<(String, u64)>, usize, usize, Arc<SmallStore>) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let dir = TempDir::new().unwrap();
    let mut log = if seed.is_multiple_of(2) { memory_log() } else { file_log(dir.path()) };
    let (mut ids, mut anonymous, mut received) = (BTreeSet::new(), 0, 0);
    let options = StreamOptions { dedupe_enabled, max_unflushed_rows: 60, ..quick(dir.path()) };
    let faults = [Fault::None, Fault::Append, Fault::BeforeFlush, Fault::AfterFlush, Fault::FullFlushes(2), Fault::SlowFlush(60)];
    for round in 0..12 {
        if !seed.is_multiple_of(2) {
            drop(log);
            log = file_log(dir.path());
        }
        let process = start_with(&log, dir.path(), 80, options.clone());
        let fault = faults[rng.random_range(0..faults.len())];
        let at = rng.random_range(0..25);
        for i in 0..25 {
            if i == at {
                process.store.fail(fault);
            }
            let app = if rng.random_bool(0.5) { "A" } else { "B" };
            let ages = [0, 3_000, 70_000, 7_200_000, 7_260_000, 90_000_000];
            let sent: Vec<Sent> = (0..rng.random_range(1..12))
                .map(|_| (rng.random_bool(0.9).then(|| rng.random_range(0..600)), ages[rng.random_range(0..ages.len())]))
                .collect();
            received += sent.len();
            anonymous += sent.iter().filter(|(id, _)| id.is_none()).count();
            ids.extend(sent.iter().filter_map(|(id, _)| Some((app.to_owned(), (*id)?))));
            log.append(record(app, &sent)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..6))).await;
        }
        match fault {
            Fault::None | Fault::FullFlushes(_) | Fault::SlowFlush(_) => {
                process.stop().await;
            }
            // The process dies of it; what it had in memory is gone.
            Fault::Append | Fault::BeforeFlush | Fault::AfterFlush => {
                let ended = tokio::time::timeout(Duration::from_secs(20), process.task).await;
                assert!(matches!(ended, Ok(Ok(Err(StreamError::Store(_))))), "round {round} of seed {seed}: {fault:?} gave {ended:?}");
            }
        }
    }
    let (store, realtime) = start(&log, dir.path()).stop().await;
    assert_eq!(store.position(), log.end());
    assert_eq!(store.counts().0 + store.counts().1 as usize, received, "received = stored + duplicate");
    assert_eq!(rebuilt(&log, dir.path()).await, live(&realtime).await, "windows equal a recount, seed {seed}");
    (ids, anonymous, received, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_stored_exactly_once_through_crashes() {
    for seed in 0..6 {
        let (ids, anonymous, _, store) = crashes(seed, true).await;
        let rows = store.rows();
        let stored: BTreeSet<_> =
            rows.iter().filter_map(|row| Some((row.app.clone(), row.insert_id.as_ref()?[3..].parse().unwrap()))).collect();
        assert_eq!(stored, ids, "seed {seed}");
        assert_eq!(rows.len(), ids.len() + anonymous, "each once, seed {seed}");
    }
}

/// The control arm: without dedupe the same traffic is stored more than once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_dedupe_retries_are_stored_again() {
    let (ids, anonymous, received, store) = crashes(0, false).await;
    assert_eq!(store.counts(), (received, 0, 0));
    assert!(store.rows().len() > ids.len() + anonymous);
}

#[tokio::test]
async fn a_full_store_delays_and_loses_nothing() {
    let (dir, log) = (TempDir::new().unwrap(), memory_log());
    let process = start_with(&log, dir.path(), 50, StreamOptions { flush_interval_ms: 3_600_000, ..quick(dir.path()) });
    process.store.fail(Fault::FullFlushes(3));
    for id in 0..200 {
        log.append(record("A", &[(Some(id), 0), (Some(id + 1_000), 0)])).await.unwrap();
        if id % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
    process.until("everything is stored", |store| store.counts().0 == 400).await;
    assert!(process.metric("flush_failures_total") >= 3.0, "the disk was full three times");
    let (store, realtime) = process.stop().await;
    assert_eq!(store.counts(), (400, 0, 0));
    let expected = live(&realtime).await;
    assert_eq!(rebuilt(&log, dir.path()).await, expected);
}

#[tokio::test]
async fn a_long_flush_delays_no_event() {
    let (dir, log) = (TempDir::new().unwrap(), memory_log());
    let process = start(&log, dir.path());
    log.append(record("A", &[(Some(0), 0)])).await.unwrap();
    process.store.fail(Fault::SlowFlush(4_000));
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(process.store.position(), 0, "the flush is under way");
    let mut slowest = Duration::ZERO;
    for id in 1..30 {
        log.append(record("A", &[(Some(id), 0), (Some(id / 2), 0)])).await.unwrap();
        let started = Instant::now();
        process.until("the event is visible", |store| store.counts().0 > id as usize).await;
        slowest = slowest.max(started.elapsed());
    }
    assert_eq!(process.store.position(), 0, "the flush is still under way");
    println!("from durable to visible during a flush, slowest of 30: {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let (store, realtime) = process.stop().await;
    assert_eq!(store.counts(), (30, 29, 0), "keys of the flush under way are known");
    let expected = live(&realtime).await;
    assert_eq!(rebuilt(&log, dir.path()).await, expected);
}

#[tokio::test]
async fn a_record_that_is_no_batch_is_set_aside() {
    let (dir, log) = (TempDir::new().unwrap(), memory_log());
    let process = start(&log, dir.path());
    log.append(record("A", &[(Some(1), 0)])).await.unwrap();
    log.append(Bytes::from_static(b"no batch")).await.unwrap();
    log.append(record("A", &[(Some(2), 0)])).await.unwrap();
    process.until("records around it are stored", |store| store.counts().0 == 2).await;
    assert_eq!(process.metric("quarantined_records_total"), 1.0);
    let kept = dir.path().join("quarantine").join(format!("{:020}.record", 1));
    assert_eq!(fs::read(kept).unwrap(), b"no batch");
    // The newest record is no batch either: the position passes it all the same.
    log.append(Bytes::from_static(b"")).await.unwrap();
    let (store, _) = process.stop().await;
    assert_eq!(store.position(), 4);
}

#[tokio::test]
async fn damaged_records_of_the_log_are_counted_and_passed() {
    let dir = TempDir::new().unwrap();
    let log = file_log(dir.path());
    for id in 0..200 {
        log.append(record("A", &[(Some(id), 0)])).await.unwrap();
    }
    drop(log);
    let mut segments: Vec<_> = fs::read_dir(dir.path().join("log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| fs::metadata(path).unwrap().len() > 2_048);
    segments.sort();
    assert!(segments.len() > 3, "{segments:?}");
    let mut bytes = fs::read(&segments[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 200].fill(0xa5);
    fs::write(&segments[1], bytes).unwrap();

    let log = file_log(dir.path());
    assert_eq!(log.end(), 200);
    let process = start(&log, dir.path());
    process.until("the last record is stored", |store| store.rows().iter().any(|row| row.insert_id.as_deref() == Some("id-199"))).await;
    let damaged = process.metric("damaged_records_total");
    let (store, realtime) = process.stop().await;
    assert!((1.0..100.0).contains(&damaged), "{damaged}");
    assert_eq!(store.counts(), (200 - damaged as usize, 0, 0), "what is missing is known exactly");
    assert_eq!(store.position(), 200);
    let lost = store.lost();
    assert_eq!(lost.iter().map(|lost| lost.records).sum::<u64>(), damaged as u64, "{lost:?}");
    assert!(lost.iter().all(|lost| lost.from_ms.is_some_and(|from_ms| from_ms <= lost.to_ms)), "{lost:?}");
    let expected = live(&realtime).await;
    assert_eq!(rebuilt(&log, dir.path()).await, expected);
}

#[tokio::test]
async fn a_log_whose_first_file_is_gone_is_read_from_the_next_and_the_loss_is_told() {
    let dir = TempDir::new().unwrap();
    let log = file_log(dir.path());
    for id in 0..200 {
        log.append(record("A", &[(Some(id), 0)])).await.unwrap();
    }
    drop(log);
    let mut segments: Vec<_> = fs::read_dir(dir.path().join("log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    segments.sort();
    fs::remove_file(&segments[0]).unwrap();
    let log = file_log(dir.path());
    let start_offset = log.start();
    assert!(start_offset > 0);
    let process = start(&log, dir.path());
    process.until("the rest is stored", |store| store.rows().len() == 200 - start_offset as usize).await;
    let (store, _) = process.stop().await;
    let lost = store.lost();
    assert_eq!((lost.len(), lost[0].from, lost[0].to, lost[0].records), (1, 0, start_offset, start_offset), "{lost:?}");
    assert_eq!(store.position(), 200);
}

#[tokio::test]
async fn a_store_that_is_ahead_of_its_log_is_refused() {
    let (dir, log) = (TempDir::new().unwrap(), memory_log());
    let process = start(&log, dir.path());
    log.append(record("A", &[(Some(1), 0)])).await.unwrap();
    process.stop().await;
    let store = Arc::new(SmallStore::open(dir.path(), 10));
    let realtime = Arc::new(MemoryRealtimeStore::default());
    let log = memory_log();
    let parts = StreamParts { log, sink: store.clone(), source: store, realtime: realtime.clone(), snapshots: Some(realtime) };
    let opened = Stream::open(parts, &Registry::new(), quick(dir.path()));
    assert!(matches!(opened.map(|_| ()), Err(StreamError::LogBehind { position: 1, end: 0 })));
}

/// What reading, decoding, deduplicating, counting and publishing cost an event, the store apart.
#[tokio::test]
async fn the_stream_is_cheap() {
    let (dir, log) = (TempDir::new().unwrap(), memory_log());
    const RECORDS: u64 = 10_000;
    for i in 0..RECORDS {
        let sent: Vec<Sent> = (0..20).map(|j| (Some(i * 20 + j), (j * 100) as i64)).collect();
        log.append(record("A", &sent)).await.unwrap();
    }
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let process = start_with(&log, dir.path(), usize::MAX, StreamOptions::new(dir.path()));
    process.until("all are read", |store| store.counts().0 == RECORDS as usize * 20).await;
    let (elapsed, cpu) = (started.elapsed(), cpu_seconds() - cpu);
    process.stop().await;
    println!("{} events in {elapsed:?}: {:.2} us of CPU an event", RECORDS * 20, cpu * 1e6 / (RECORDS * 20) as f64);
}

fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
