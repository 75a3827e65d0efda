//! One file log: restarts, torn tails, refusals, trimming; `damage` and `power_cut` go further.

mod damage;
mod power_cut;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proptest::prelude::*;
use tempfile::TempDir;

use std::path::PathBuf;

use super::disk::Room;
use super::format::{HEADER_BYTES, IGNORE_CHECKSUMS, RECORD_HEADER_BYTES};
use super::*;
use crate::log::Record;

/// What a test lets the disk do.
#[derive(Default)]
struct Faults {
    /// Bytes that may still be written before the disk is full; `u64::MAX` is no limit.
    free_bytes: AtomicU64,
    /// Free space as the disk tells it.
    room_bytes: AtomicU64,
    fail_sync: AtomicBool,
    syncs: AtomicU64,
}

struct FaultyDisk(Arc<Faults>);

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<std::fs::File> {
        SystemDisk.create(path)
    }

    fn write(&self, file: &std::fs::File, bytes: &[u8], position: u64) -> io::Result<()> {
        let free = self.0.free_bytes.load(Ordering::SeqCst);
        if free < bytes.len() as u64 {
            // As a real file system: part of it may be there.
            file.write_all_at(&bytes[..free as usize], position)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        SystemDisk.write(file, bytes, position)
    }

    fn truncate(&self, file: &std::fs::File, length: u64) -> io::Result<()> {
        SystemDisk.truncate(file, length)
    }

    fn sync(&self, file: &std::fs::File) -> io::Result<()> {
        self.0.syncs.fetch_add(1, Ordering::SeqCst);
        if self.0.fail_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk lost the pages"));
        }
        SystemDisk.sync(file)
    }

    fn room(&self, _folder: &Path) -> io::Result<Room> {
        // The free bytes a test sets are those of a single write; what the reserve looks at is apart.
        Ok(Room { free_bytes: self.0.room_bytes.load(Ordering::SeqCst), total_bytes: 1 << 40 })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        SystemDisk.sync_folder(folder)
    }
}

fn faulty(folder: &Path) -> (FileLog, Arc<Faults>) {
    let faults = Arc::new(Faults { free_bytes: AtomicU64::new(u64::MAX), room_bytes: AtomicU64::new(1 << 40), ..Faults::default() });
    let log = FileLog::open_on(folder, FileLogOptions::default(), Box::new(FaultyDisk(faults.clone()))).unwrap();
    (log, faults)
}

fn small_segments() -> FileLogOptions {
    FileLogOptions { segment_bytes: 512, recent_bytes: 0, ..FileLogOptions::default() }
}

fn open(folder: &Path) -> FileLog {
    FileLog::open(folder, small_segments()).unwrap()
}

fn payload(n: u64) -> Bytes {
    Bytes::from(format!("record {n}"))
}

async fn fill(log: &FileLog, from: u64, to: u64) {
    for n in from..to {
        assert_eq!(log.append(payload(n)).await, Ok(n));
    }
}

/// Everything that can be read, and the damaged ranges met on the way.
async fn read_all(log: &FileLog) -> (Vec<Record>, Vec<(Offset, Offset)>) {
    let (mut records, mut damaged, mut next) = (Vec::new(), Vec::new(), log.start());
    let mut reader = log.read_from(next).unwrap();
    while next < log.end() {
        match reader.next(100).await {
            Ok(found) => {
                next = found.last().unwrap().offset + 1;
                records.extend(found);
            }
            Err(LogError::Damaged { from, to, .. }) => {
                damaged.push((from, to));
                next = to;
            }
            Err(error) => panic!("{error}"),
        }
    }
    (records, damaged)
}

fn segment_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_full_memory_log_refuses_and_takes_again_after_a_release() {
    let log = crate::MemoryLog::new(crate::MemoryLogOptions { max_held_bytes: 20, ..Default::default() });
    log.append(Bytes::from_static(&[1; 15])).await.unwrap();
    assert!(matches!(log.append(Bytes::from_static(&[2; 15])).await, Err(LogError::Full(_))));
    log.release("one", 1).unwrap();
    assert_eq!(log.append(Bytes::from_static(&[3; 15])).await, Ok(1));
}

#[tokio::test]
async fn records_survive_a_restart_over_many_segments() {
    let folder = TempDir::new().unwrap();
    for round in 0..4 {
        let log = open(folder.path());
        assert_eq!(log.end(), round * 50);
        fill(&log, round * 50, round * 50 + 50).await;
    }
    let (records, damaged) = read_all(&open(folder.path())).await;
    assert!(damaged.is_empty() && segment_files(folder.path()).len() > 5);
    assert_eq!(records.len(), 200);
    assert!(records.iter().zip(0..).all(|(record, n)| record.offset == n && record.payload == payload(n)));
}

/// Builds a log, cuts its last file at `keep` bytes, and tells whether what is left is right: all records that are whole, then room for more.
fn survives_cut(bytes: &[u8], keep: usize, ignore_checksums: bool, garble: bool) -> bool {
    let folder = TempDir::new().unwrap();
    let mut cut = bytes[..keep].to_vec();
    if garble && let Some(last) = cut.last_mut() {
        *last ^= 0x40;
    }
    fs::write(segment_path(folder.path(), 0), &cut).unwrap();
    IGNORE_CHECKSUMS.set(ignore_checksums);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let right = runtime.block_on(async {
        let log = FileLog::open(folder.path(), FileLogOptions::default()).unwrap();
        let record_bytes = RECORD_HEADER_BYTES + payload(0).len();
        let whole = cut.len().saturating_sub(HEADER_BYTES as usize) / record_bytes;
        let at_boundary = (cut.len() as u64) > HEADER_BYTES && (cut.len() - HEADER_BYTES as usize).is_multiple_of(record_bytes);
        let expected = if garble && at_boundary { whole - 1 } else { whole } as u64;
        if log.end() != expected {
            return false;
        }
        log.append(payload(expected)).await.unwrap();
        let (records, damaged) = read_all(&log).await;
        damaged.is_empty()
            && records.iter().zip(0..).all(|(record, n)| record.payload == payload(n))
            && records.len() as u64 == expected + 1
    });
    IGNORE_CHECKSUMS.set(false);
    right
}

fn six_records() -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { fill(&FileLog::open(folder.path(), FileLogOptions::default()).unwrap(), 0, 6).await });
    fs::read(segment_path(folder.path(), 0)).unwrap()
}

#[test]
fn cut_or_torn_at_every_byte_keeps_what_is_whole() {
    let bytes = six_records();
    for keep in 0..=bytes.len() {
        assert!(survives_cut(&bytes, keep, false, false), "cut to {keep} bytes");
        if keep > HEADER_BYTES as usize {
            assert!(survives_cut(&bytes, keep, false, true), "cut to {keep} bytes with the last one wrong");
        }
    }
}

#[test]
fn control_arm_without_checksums_takes_torn_records_for_good() {
    let bytes = six_records();
    let right = (HEADER_BYTES as usize + 1..=bytes.len()).all(|keep| survives_cut(&bytes, keep, true, true));
    assert!(!right, "the test above must depend on checksums");
}

#[tokio::test]
async fn damage_in_the_middle_is_reported_once_and_the_rest_is_read() {
    let folder = TempDir::new().unwrap();
    fill(&open(folder.path()), 0, 60).await;
    let files = segment_files(folder.path());
    for file in [&files[1], files.last().unwrap()] {
        let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
        let at = HEADER_BYTES + RECORD_HEADER_BYTES as u64 + 3;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    }
    let log = open(folder.path());
    assert_eq!(log.end(), 60, "good records behind the damage are not cut away");
    let (records, damaged) = read_all(&log).await;
    assert_eq!(damaged.len(), 2);
    assert!(damaged.iter().all(|(from, to)| to - from == 1), "{damaged:?}");
    assert_eq!(records.len(), 58);
    assert!(records.iter().all(|record| record.payload == payload(record.offset)));
}

#[tokio::test]
async fn a_missing_segment_is_reported_as_its_range() {
    let folder = TempDir::new().unwrap();
    fill(&open(folder.path()), 0, 60).await;
    let log = open(folder.path());
    let files = segment_files(folder.path());
    fs::remove_file(&files[1]).unwrap();
    let (records, damaged) = read_all(&log).await;
    assert_eq!(damaged.len(), 1);
    assert_eq!(records.len() as u64, 60 - (damaged[0].1 - damaged[0].0));
}

#[tokio::test]
async fn a_failed_fsync_latches_and_is_never_retried() {
    let folder = TempDir::new().unwrap();
    let (log, faults) = faulty(folder.path());
    fill(&log, 0, 3).await;
    faults.fail_sync.store(true, Ordering::SeqCst);
    assert!(matches!(log.append(payload(3)).await, Err(LogError::Latched(_))));
    faults.fail_sync.store(false, Ordering::SeqCst);
    let syncs = faults.syncs.load(Ordering::SeqCst);
    for _ in 0..5 {
        assert!(matches!(log.append(payload(3)).await, Err(LogError::Latched(_))));
    }
    assert_eq!(faults.syncs.load(Ordering::SeqCst), syncs);
    assert_eq!(log.end(), 3, "what was not made durable is not readable");
    drop(log);
    assert!(open(folder.path()).end() >= 3);
}

#[tokio::test]
async fn a_full_disk_refuses_and_resumes_by_itself() {
    let folder = TempDir::new().unwrap();
    let (log, faults) = faulty(folder.path());
    fill(&log, 0, 3).await;
    faults.free_bytes.store(11, Ordering::SeqCst);
    for _ in 0..3 {
        assert!(matches!(log.append(payload(3)).await, Err(LogError::Full(_))));
    }
    faults.free_bytes.store(u64::MAX, Ordering::SeqCst);
    fill(&log, 3, 6).await;
    drop(log);
    let log = open(folder.path());
    assert_eq!((log.end(), read_all(&log).await.1), (6, vec![]));
}

#[tokio::test]
async fn the_reserve_of_the_disk_is_left_to_the_store() {
    let folder = TempDir::new().unwrap();
    let (log, faults) = faulty(folder.path());
    fill(&log, 0, 3).await;
    faults.room_bytes.store(FileLogOptions::default().reserve_bytes - 1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(60)).await;
    for _ in 0..3 {
        assert!(matches!(log.append(payload(3)).await, Err(LogError::Full(_))));
    }
    assert_eq!(log.end(), 3);
    faults.room_bytes.store(1 << 40, Ordering::SeqCst);
    fill(&log, 3, 6).await;
}

#[tokio::test]
async fn appends_that_wait_share_an_fsync() {
    let folder = TempDir::new().unwrap();
    let (log, faults) = faulty(folder.path());
    let before = faults.syncs.load(Ordering::SeqCst);
    let appends: Vec<_> = (0..200).map(|n| log.append(payload(n))).collect();
    futures::future::join_all(appends).await;
    let syncs = faults.syncs.load(Ordering::SeqCst) - before;
    assert!((1..20).contains(&syncs), "{syncs} fsyncs for 200 appends that were there at once");
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let folder = TempDir::new().unwrap();
    let options = FileLogOptions { max_queued_appends: 3, group_commit_wait: Duration::from_secs(1), ..FileLogOptions::default() };
    let log = FileLog::open(folder.path(), options).unwrap();
    log.append(payload(0)).await.unwrap();
    let waiting: Vec<_> = (0..10).map(|n| log.append(payload(n))).collect();
    let answers = futures::future::join_all(waiting).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
    assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(LogError::Full(_)))));
}

#[tokio::test]
async fn released_segments_go_by_bytes_and_stay_gone() {
    let folder = TempDir::new().unwrap();
    let options = FileLogOptions { max_bytes: 1024, ..small_segments() };
    let log = FileLog::open(folder.path(), options).unwrap();
    fill(&log, 0, 200).await;
    let before = segment_files(folder.path()).len();
    log.release("stream", 100).unwrap();
    assert!(log.start() > 50 && log.start() <= 100, "{}", log.start());
    assert!(segment_files(folder.path()).len() < before);
    let start = log.start();
    drop(log);
    let log = FileLog::open(folder.path(), options).unwrap();
    assert_eq!((log.start(), log.end()), (start, 200));
    log.release("stream", 200).unwrap();
    assert!(log.start() > 150 && log.end() == 200);
}

#[derive(Clone, Debug)]
enum Action {
    Append(usize),
    Reopen,
    /// Cuts this many bytes off the last file while it is closed, as a power cut does with bytes that were not synced.
    AppendUnsynced(usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![5 => (0usize..300).prop_map(Action::Append), 1 => Just(Action::Reopen), 1 => (1usize..100).prop_map(Action::AppendUnsynced)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn behaves_like_a_list(actions in proptest::collection::vec(action(), 1..60)) {
        let folder = TempDir::new().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let options = FileLogOptions { group_commit_wait: Duration::ZERO, ..small_segments() };
            let mut log = FileLog::open(folder.path(), options).unwrap();
            let mut model: Vec<Bytes> = Vec::new();
            for action in actions {
                match action {
                    Action::Append(bytes) => {
                        let payload = Bytes::from(vec![model.len() as u8; bytes]);
                        assert_eq!(log.append(payload.clone()).await, Ok(model.len() as u64));
                        model.push(payload);
                    }
                    Action::Reopen => {
                        drop(log);
                        log = FileLog::open(folder.path(), options).unwrap();
                    }
                    Action::AppendUnsynced(bytes) => {
                        drop(log);
                        if let Some(last) = segment_files(folder.path()).pop() {
                            let file = OpenOptions::new().write(true).open(&last).unwrap();
                            file.write_all_at(&vec![0xa5; bytes], file.metadata().unwrap().len()).unwrap();
                        }
                        log = FileLog::open(folder.path(), options).unwrap();
                    }
                }
            }
            let (records, damaged) = read_all(&log).await;
            assert!(damaged.is_empty());
            assert_eq!(records.into_iter().map(|record| record.payload).collect::<Vec<_>>(), model);
        });
    }
}
