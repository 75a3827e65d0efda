//! A store whose old segments are in object storage answers as one whose segments are all at home, says what it lacks while the storage is
//! away, and leaves nothing behind.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test ends where it finds something wrong")]

mod s3;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use event::{AppId, EventBatchBuilder, EventFields};
use event_store::{
    AppendedBatch, Commit, DeletionRequest, DeletionState, EventSink, EventSource, EventsPage, EventsPlan, Filter, LaterEvents,
    MemoryBudget, PersonDeletions, QueryContext, Scan,
};
use event_store_parquet::{
    CheckOptions, CheckStep, Finding, MAX_READ_BYTES, ObjectReader, ParquetStore, ParquetStoreOptions, SegmentTier, TierError, TierOptions,
    check_store, copy_manifest,
};
use event_store_tier::ObjectTier;

/// 2026-01-01T00:00:00Z.
const BASE_MS: i64 = 1_767_225_600_000;
const DAY_MS: i64 = 86_400_000;
const NOW_MS: i64 = BASE_MS + 100 * DAY_MS;
/// Days with events, of a week each: compaction puts the days of one together.
const DAYS: i64 = 5;
const APART_MS: i64 = 7 * DAY_MS;
const EVENTS: i64 = 2_000;

fn app() -> AppId {
    AppId::new("A").unwrap()
}

const WAIT: Duration = Duration::from_secs(5);

fn open_tier(folder: &Path) -> ObjectTier {
    ObjectTier::open(&format!("file://{}", folder.display()), WAIT).unwrap()
}

fn commit(first: i64, end: u64) -> Commit {
    let mut builder = EventBatchBuilder::default();
    builder.start(NOW_MS - 1);
    for n in first..first + EVENTS {
        let user = format!("U{}", n % 50);
        let time_ms = BASE_MS + n % DAYS * APART_MS + n;
        let (name, user_id) = (if n % 2 == 0 { "a" } else { "b" }, Some(user.as_str()));
        builder.property("n", event::PropertyValue::Int(n));
        builder.finish_event(&EventFields {
            name,
            time_ms,
            client_time_ms: time_ms,
            user_id,
            anonymous_id: None,
            insert_id: None,
            session_id: None,
        });
    }
    let batch = builder.build(&app());
    Commit { batches: vec![AppendedBatch { batch, duplicates: Vec::new() }], end }
}

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn storage(&self) -> PathBuf {
        self.dir.path().join("objects")
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    fn tier_options(&self, max_cache_bytes: u64) -> TierOptions {
        TierOptions { tier: Arc::new(open_tier(&self.storage())), after_ms: 30 * DAY_MS, max_cache_bytes }
    }

    fn open_with(&self, max_cache_bytes: u64, kept_ms: Option<i64>) -> Arc<ParquetStore> {
        let options = ParquetStoreOptions { tier: Some(self.tier_options(max_cache_bytes)), ..ParquetStoreOptions::default() };
        ParquetStore::open(&self.store(), options, Arc::new(move |_: &AppId| kept_ms)).unwrap()
    }

    fn open(&self) -> Arc<ParquetStore> {
        self.open_with(1 << 30, None)
    }

    /// Every segment moved.
    fn moved(&self) -> Arc<ParquetStore> {
        let store = self.open();
        store.append(commit(0, 1)).unwrap();
        store.flush().unwrap();
        maintain(&store);
        assert_eq!((self.segments(), self.objects().len()), (0, DAYS as usize));
        store
    }

    /// Segment files in the store's folder.
    fn segments(&self) -> usize {
        let days = std::fs::read_dir(self.dir.path().join("store")).unwrap().flatten();
        let days = days.filter(|entry| entry.file_name().to_string_lossy().starts_with("date="));
        days.map(|day| std::fs::read_dir(day.path()).unwrap().count()).sum()
    }

    fn objects(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files(&self.storage(), &mut found);
        found.sort();
        found
    }
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() { files(&entry.path(), found) } else { found.push(entry.path()) }
    }
}

fn maintain(store: &ParquetStore) {
    let mut pieces = 0;
    while store.maintain(NOW_MS).unwrap() {
        pieces += 1;
        assert!(pieces < 1_000, "upkeep does not end");
    }
}

fn page(store: &ParquetStore) -> EventsPage {
    let scan = Scan { app: app(), from_ms: 0, to_ms: i64::MAX / 2, events: None, filter: Filter::all() };
    let context = QueryContext {
        deadline: Instant::now() + Duration::from_secs(60),
        limit_ms: 60_000,
        cancel: Default::default(),
        memory: MemoryBudget::new(1 << 30),
        max_groups: 1_000,
    };
    store.events(&EventsPlan { scan, limit: 1_000_000, skip: 0 }, &context).unwrap()
}

/// `n` of every event, ascending, of a complete answer.
fn numbers(store: &ParquetStore) -> Vec<i64> {
    let page = page(store);
    assert_eq!(page.stats.missing, Vec::<String>::new());
    let n = |json: &str| json.trim_start_matches(r#"{"n":"#).trim_end_matches('}').parse().unwrap();
    let mut numbers: Vec<i64> = page.rows.iter().map(|row| n(&row.properties_json)).collect();
    numbers.sort_unstable();
    numbers
}

/// What a check finds, with the storage or without it.
fn findings(world: &World, with_tier: bool, served: bool) -> Vec<Finding> {
    let tier = with_tier.then(|| world.tier_options(1 << 20));
    let mut found = Vec::new();
    let options = CheckOptions { served, now_ms: NOW_MS, tier, max_links: 1_000_000 };
    check_store(&world.store(), &options, &mut |step| found.extend(finding(step))).unwrap();
    found
}

fn assert_sound(world: &World) {
    assert_eq!(findings(world, true, true), Vec::new());
}

/// The one finding there is.
fn only(found: Vec<Finding>) -> Finding {
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

#[test]
fn a_folder_keeps_objects_as_the_contract_says() {
    let dir = tempfile::tempdir().unwrap();
    let tier: Arc<dyn SegmentTier> = Arc::new(open_tier(&dir.path().join("made")));
    assert_contract(&tier);
    for url in ["objects", "file://relative", "ftp://x/y", "s3:///prefix"] {
        assert!(ObjectTier::open(url, WAIT).is_err(), "{url}");
    }
}

/// Endpoint and credentials come from the environment of the process, so the test runs itself in another one.
#[test]
fn an_object_goes_with_what_uploads_of_it_left() {
    let dir = tempfile::tempdir().unwrap();
    let tier = open_tier(dir.path());
    let folder = dir.path().join("store");
    std::fs::create_dir_all(&folder).unwrap();
    let names = ["1.parquet#1", "1.parquet#27", "1.parquet", "1.parquet#x", "11.parquet#1", "1.parquet#1#2"];
    names.iter().for_each(|name| std::fs::write(folder.join(name), "part").unwrap());
    tier.delete("store/1.parquet").unwrap();
    tier.delete("store/1.parquet").unwrap();
    tier.delete("never/made.parquet").unwrap();
    let mut left: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["1.parquet#1#2", "1.parquet#x", "11.parquet#1"]);
}

#[test]
fn s3_keeps_objects_as_the_contract_says() {
    const INSIDE: &str = "THRONG_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        let tier: Arc<dyn SegmentTier> = Arc::new(ObjectTier::open(&format!("s3://{}/some/prefix", s3::BUCKET), WAIT).unwrap());
        return assert_contract(&tier);
    }
    let Some(s3) = s3::S3::start() else { return };
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["s3_keeps_objects_as_the_contract_says", "--exact", "--nocapture"]).env(INSIDE, "1").envs(s3.environment());
    assert!(again.status().unwrap().success());
}

fn assert_contract(tier: &Arc<dyn SegmentTier>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    // One that goes at once, one in several parts.
    for bytes in [0usize, 1, 100_000, (8 << 20) + 5, 20 << 20] {
        let content: Vec<u8> = (0..bytes).map(|i| ((i * 31) >> 3) as u8).collect();
        std::fs::write(&file, &content).unwrap();
        let key = format!("0f/date=2026-01-01/{bytes}.parquet");
        assert!(matches!(tier.length(&key), Err(TierError::Missing(_))));
        for _ in 0..2 {
            tier.put(&key, &file).unwrap();
            assert_eq!(tier.length(&key), Ok(bytes as u64));
        }
        if bytes > 0 {
            let (start, end) = (bytes / 3, (bytes - bytes / 4).min(bytes / 3 + MAX_READ_BYTES as usize));
            assert_eq!(tier.read(&key, start as u64..end as u64).unwrap(), content[start..end]);
        }
        let mut whole = Vec::new();
        ObjectReader::new(Arc::clone(tier), &key, bytes as u64).read_to_end(&mut whole).unwrap();
        assert!(whole == content);
        let mut keys = Vec::new();
        tier.list("0f/", &mut |key| keys.push(key)).unwrap();
        assert_eq!(keys, [key.as_str()]);
        tier.list("0e/", &mut |key| panic!("{key}")).unwrap();
        tier.delete(&key).unwrap();
        tier.delete(&key).unwrap();
        assert!(matches!(tier.read(&key, 0..1), Err(TierError::Missing(_))));
    }
}

#[test]
fn moved_segments_answer_as_before_and_after_a_restart() {
    let world = World::new();
    let store = world.moved();
    let all: Vec<i64> = (0..EVENTS).collect();
    assert_eq!(numbers(&store), all);
    let first = store.tier_figures().unwrap();
    assert!(first.fetched_bytes > 0 && first.cached_bytes > 0 && first.segments == DAYS as u64, "{first:?}");
    assert_eq!(numbers(&store), all);
    let second = store.tier_figures().unwrap();
    assert!(second.fetched_bytes == first.fetched_bytes && second.hit_bytes > first.hit_bytes, "{first:?} {second:?}");
    assert_sound(&world);
    drop(store);

    // The next process goes on with the cache of this one.
    let store = world.open();
    assert_eq!(numbers(&store), all);
    assert_eq!(store.tier_figures().unwrap().fetched_bytes, 0);
    // Young events stay at home.
    store.append(commit(EVENTS, 2)).unwrap();
    store.flush().unwrap();
    store.maintain(BASE_MS).unwrap();
    assert_eq!(world.segments(), DAYS as usize);
    assert_eq!(numbers(&store).len(), 2 * EVENTS as usize);
}

#[test]
fn a_small_cache_bounds_the_disk_and_not_the_answers() {
    let world = World::new();
    drop(world.moved());
    let largest = world.objects().iter().map(|object| std::fs::metadata(object).unwrap().len()).max().unwrap();
    for max_bytes in [0, largest, 2 * largest] {
        let store = world.open_with(max_bytes, None);
        for _ in 0..2 {
            assert_eq!(numbers(&store).len(), EVENTS as usize);
            assert!(store.tier_figures().unwrap().cached_bytes <= max_bytes);
        }
        assert!(store.tier_figures().unwrap().fetched_bytes > 0);
    }
}

#[test]
fn what_is_missing_or_damaged_is_said_and_the_rest_is_answered() {
    let world = World::new();
    drop(world.moved());
    let store = world.open_with(0, None);
    let object = world.objects()[0].clone();
    let aside = world.dir.path().join("aside");
    std::fs::rename(&object, &aside).unwrap();
    let answer = page(&store);
    assert_eq!((answer.rows.len(), answer.stats.missing.len()), ((EVENTS - EVENTS / DAYS) as usize, 1), "{:?}", answer.stats.missing);
    assert!(answer.stats.missing[0].contains("not in the object storage"), "{:?}", answer.stats.missing);
    // Nothing has to be started again when it is back.
    std::fs::rename(&aside, &object).unwrap();
    assert_eq!(numbers(&store).len(), EVENTS as usize);

    let mut bytes = std::fs::read(&object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&object, bytes).unwrap();
    drop(store);
    let store = world.open_with(0, None);
    let answer = page(&store);
    assert_eq!(answer.rows.len(), (EVENTS - EVENTS / DAYS) as usize);
    assert!(answer.stats.missing[0].contains("not what was written"), "{:?}", answer.stats.missing);

    // A store without its tier says which setting is missing.
    drop(store);
    let options = ParquetStoreOptions::default();
    let store = ParquetStore::open(&world.dir.path().join("store"), options, Arc::new(|_: &AppId| None)).unwrap();
    let answer = page(&store);
    assert_eq!((answer.rows.len(), answer.stats.missing.len()), (0, DAYS as usize));
    assert!(answer.stats.missing[0].contains("event_store.tier.url"), "{:?}", answer.stats.missing);
}

#[test]
fn late_events_do_not_leave_an_object_each() {
    let world = World::new();
    let store = world.moved();
    for round in 1..6 {
        store.append(commit(round * EVENTS, round as u64 + 1)).unwrap();
        store.flush().unwrap();
        maintain(&store);
        assert_eq!((world.segments(), world.objects().len()), (0, DAYS as usize));
    }
    assert_eq!(numbers(&store), (0..6 * EVENTS).collect::<Vec<_>>());
    assert_sound(&world);
    // While the storage gives nothing and takes nothing they stay at home, and nothing is lost.
    drop(store);
    let options = ParquetStoreOptions { tier: Some(world.tier_options(0)), ..ParquetStoreOptions::default() };
    let store = ParquetStore::open(&world.store(), options, Arc::new(|_: &AppId| None)).unwrap();
    let aside = world.dir.path().join("aside");
    std::fs::rename(world.storage(), &aside).unwrap();
    std::fs::write(world.storage(), b"").unwrap();
    store.append(commit(6 * EVENTS, 7)).unwrap();
    store.flush().unwrap();
    maintain(&store);
    assert_eq!((world.segments(), page(&store).rows.len()), (DAYS as usize, EVENTS as usize));
    std::fs::remove_file(world.storage()).unwrap();
    std::fs::rename(&aside, world.storage()).unwrap();
    // Readers wait a while before they try again.
    std::thread::sleep(Duration::from_secs(5));
    let mut pieces = 0;
    while store.maintain(NOW_MS + DAY_MS).unwrap() {
        pieces += 1;
    }
    assert!(pieces > DAYS && world.segments() == 0 && world.objects().len() == DAYS as usize);
    assert_eq!(numbers(&store).len(), 7 * EVENTS as usize);
}

#[test]
fn what_cannot_be_moved_stays_and_holds_nothing_up() {
    let world = World::new();
    let store = world.open();
    store.append(commit(0, 1)).unwrap();
    store.flush().unwrap();
    let mut local = Vec::new();
    files(&world.store(), &mut local);
    local.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    local.sort();
    let mut bytes = std::fs::read(&local[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&local[1], bytes).unwrap();
    maintain(&store);
    assert_eq!((world.segments(), world.objects().len()), (1, DAYS as usize - 1));
    assert!(local[1].exists(), "the damaged one stays at home");
    let answer = page(&store);
    assert_eq!((answer.rows.len(), answer.stats.missing.len()), ((EVENTS - EVENTS / DAYS) as usize, 1), "{:?}", answer.stats.missing);
}

#[test]
fn a_check_reads_the_objects_and_names_what_to_do() {
    let world = World::new();
    let store = world.moved();
    // The server's copies are whole: what a check reads is the storage.
    assert_eq!(numbers(&store).len(), EVENTS as usize);
    drop(store);
    assert_eq!(findings(&world, true, false), Vec::new());

    let unknown = only(findings(&world, false, false));
    assert_eq!((unknown.kind, unknown.is_problem()), ("object_storage", true));
    assert!(unknown.found.contains("5 segments with 2000 events") && unknown.found.contains("event_store.tier.url"), "{unknown:?}");
    assert!(unknown.remedy.contains("--config"), "{unknown:?}");

    let object = world.objects()[2].clone();
    let path = object.strip_prefix(world.storage()).unwrap().to_str().unwrap().split_once('/').unwrap().1;
    let good = std::fs::read(&object).unwrap();
    for at in (0..good.len()).step_by(good.len() / 10) {
        let mut bad = good.clone();
        bad[at] ^= 4;
        std::fs::write(&object, bad).unwrap();
        let found = findings(&world, true, false);
        assert!(found[0].kind == "segment" && found[0].found.contains("not what was written"), "{found:?}");
        assert!(found[0].place.ends_with(path), "{found:?}");
        assert!(found[0].remedy.contains("put the object back"), "{found:?}");
    }
    std::fs::write(&object, [&good[..], b"more"].concat()).unwrap();
    assert!(findings(&world, true, false)[0].found.contains("instead of"));
    std::fs::remove_file(&object).unwrap();
    let found = findings(&world, true, false);
    assert!(found[0].kind == "segment" && found[0].found.contains(".parquet"), "{found:?}");
    std::fs::write(&object, &good).unwrap();

    // Away as a whole, as behind a mount that broke.
    std::fs::rename(world.storage(), world.dir.path().join("aside")).unwrap();
    let broken = world.tier_options(1 << 20);
    std::fs::remove_dir(world.storage()).unwrap();
    std::fs::write(world.storage(), b"").unwrap();
    let mut found = Vec::new();
    let options = CheckOptions { served: false, now_ms: NOW_MS, tier: Some(broken), max_links: 1_000_000 };
    check_store(&world.store(), &options, &mut |step| found.extend(finding(step))).unwrap();
    let away = only(found);
    assert!(away.kind == "object_storage" && away.remedy.contains("mend the way"), "{away:?}");
    std::fs::remove_file(world.storage()).unwrap();
    std::fs::rename(world.dir.path().join("aside"), world.storage()).unwrap();
    assert_eq!(findings(&world, true, false), Vec::new());

    // What nobody names, there and here.
    let stray = object.with_file_name("000000000099.parquet");
    std::fs::write(&stray, b"stray").unwrap();
    let found = only(findings(&world, true, true));
    assert!(found.kind == "stray_object" && found.is_problem() && found.remedy.contains("delete it"), "{found:?}");
    std::fs::remove_file(&stray).unwrap();
    std::fs::write(world.store().join(path), &good).unwrap();
    let found = only(findings(&world, true, false));
    assert!(found.kind == "stray_file" && !found.is_problem(), "{found:?}");
    assert_eq!(findings(&world, true, true), Vec::new(), "a reader may still have it");
}

fn finding(step: CheckStep) -> Option<Finding> {
    match step {
        CheckStep::Found(finding) => Some(finding),
        _ => None,
    }
}

#[test]
fn a_check_beside_segments_that_move_finds_nothing() {
    let world = World::new();
    let store = world.open();
    let checks = std::thread::scope(|scope| {
        let mover = scope.spawn(|| {
            for round in 0..6 {
                store.append(commit(round * EVENTS, round as u64 + 1)).unwrap();
                store.flush().unwrap();
                maintain(&store);
            }
        });
        let mut checks = 0;
        while !mover.is_finished() {
            for with_tier in [true, false] {
                let found = findings(&world, with_tier, true);
                assert!(found.iter().all(|finding| !with_tier && finding.kind == "object_storage"), "{found:?}");
                checks += 1;
            }
        }
        checks
    });
    assert!(checks > 2);
    assert_sound(&world);
    assert_eq!(numbers(&store).len(), 6 * EVENTS as usize);
}

#[test]
fn a_copied_manifest_names_its_objects_and_claims_none() {
    let world = World::new();
    let store = world.moved();
    let copied = world.dir.path().join("copy");
    std::fs::create_dir(&copied).unwrap();
    let copy = copy_manifest(&world.store(), &copied.join("manifest.db")).unwrap();
    assert_eq!(std::fs::read_dir(&copied).unwrap().count(), 1, "one plain file");
    for segment in &copy.segments {
        let object = segment.object.as_ref().unwrap();
        assert!(object.starts_with(copy.object_folder.as_ref().unwrap()), "{object}");
        let to = copied.join(&segment.path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(world.storage().join(object), to).unwrap();
    }
    // Its own deletions and drops leave the objects alone, whatever it does with a storage of the same name.
    let options = ParquetStoreOptions { tier: Some(world.tier_options(1 << 20)), ..ParquetStoreOptions::default() };
    let other = ParquetStore::open(&copied, options, Arc::new(|_: &AppId| Some(DAY_MS))).unwrap();
    assert_eq!(numbers(&other), numbers(&store));
    maintain(&other);
    assert_eq!((page(&other).rows.len(), world.objects().len()), (0, DAYS as usize));
    assert_eq!(numbers(&store).len(), EVENTS as usize);
}

#[test]
fn a_deleted_person_is_removed_from_objects_too() {
    let world = World::new();
    let store = world.moved();
    let before = world.objects();
    let app = app();
    let request = DeletionRequest { app: &app, person: "U7", later_events: LaterEvents::Refuse, now_ms: NOW_MS };
    let deletion = store.delete_person(&request).unwrap();
    assert_eq!(deletion.rows as i64, EVENTS / 50);
    let kept: Vec<i64> = (0..EVENTS).filter(|n| n % 50 != 7).collect();
    assert_eq!(numbers(&store), kept);
    maintain(&store);
    assert_eq!(store.deletion(&app, &deletion.id).unwrap().unwrap().state, DeletionState::Finished);
    assert_eq!(numbers(&store), kept);
    let after = world.objects();
    let segments = deletion.segments.len();
    assert_eq!(after.len(), before.len());
    assert_eq!(after.iter().filter(|object| before.contains(object)).count(), before.len() - segments);
    assert_sound(&world);
}

#[test]
fn retention_and_crashes_leave_no_object_behind() {
    let world = World::new();
    drop(world.moved());
    // A process that died after an upload and before the manifest said so, and one that died before it deleted an object.
    let manifest = rusqlite::Connection::open(world.dir.path().join("store/manifest.db")).unwrap();
    let store_id: i64 = manifest.query_row("SELECT value FROM meta WHERE key = 'store'", [], |row| row.get(0)).unwrap();
    let orphan = format!("{:016x}/date=2026-01-01/000000000099.parquet", store_id as u64);
    std::fs::write(world.storage().join(&orphan), b"orphan").unwrap();
    // Another store's object in the same place is none of ours.
    std::fs::create_dir_all(world.storage().join("other")).unwrap();
    std::fs::write(world.storage().join("other/000000000001.parquet"), b"theirs").unwrap();
    for object in [orphan.as_str(), "other/000000000001.parquet"] {
        manifest.execute("INSERT INTO tier_garbage (object, segment) VALUES (?1, 99)", [object]).unwrap();
    }
    drop(manifest);
    let store = world.open_with(1 << 30, None);
    maintain(&store);
    assert!(!world.storage().join(&orphan).exists());
    assert_eq!(world.objects().len(), DAYS as usize + 1);
    assert_eq!(numbers(&store).len(), EVENTS as usize);
    drop(store);

    let store = world.open_with(1 << 30, Some(85 * DAY_MS));
    maintain(&store);
    assert_eq!(world.objects().len(), 3, "two days are kept, and the other store's object");
    let answer = page(&store);
    assert_eq!(answer.rows.len(), 2 * (EVENTS / DAYS) as usize);
    assert_sound(&world);
}
