//! Bytes that change behind the log's back, and disks that refuse.

use super::*;
use crate::file::format::put_record;

/// Flips bits of one byte of a file.
fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x55], at).unwrap();
}

#[tokio::test]
async fn whichever_byte_is_flipped_at_most_one_record_is_missing_and_none_is_wrong() {
    let folder = TempDir::new().unwrap();
    fill(&open(folder.path()), 0, 40).await;
    let files = segment_files(folder.path());
    let last = files.len() - 1;
    for (index, path) in files.iter().enumerate().filter(|(index, _)| [0, 1, last].contains(index)) {
        let good = fs::read(path).unwrap();
        for at in 0..good.len() as u64 {
            flip(path, at);
            let log = open(folder.path());
            let (records, damaged) = read_all(&log).await;
            assert!(records.iter().all(|record| record.payload == payload(record.offset)), "{path:?} byte {at}");
            let missing: u64 = damaged.iter().map(|(from, to)| to - from).sum();
            let is_header = at < HEADER_BYTES;
            if is_header {
                assert_eq!((records.len(), missing), (40, 0), "{path:?}: a header that is lost costs no record, byte {at}");
            } else if index == last && log.end() == 39 {
                // The last record of all cannot be told from a torn one.
                assert_eq!((records.len(), missing), (39, 0), "{path:?} byte {at}");
            } else {
                assert_eq!((records.len(), missing), (39, 1), "{path:?} byte {at}");
            }
            drop(log);
            fs::write(path, &good).unwrap();
        }
    }
}

#[tokio::test]
async fn a_last_segment_whose_first_page_is_lost_keeps_its_other_records() {
    let folder = TempDir::new().unwrap();
    let options = FileLogOptions { recent_bytes: 0, ..FileLogOptions::default() };
    let log = FileLog::open(folder.path(), options).unwrap();
    fill(&log, 0, 400).await;
    drop(log);
    let file = OpenOptions::new().write(true).open(segment_path(folder.path(), 0)).unwrap();
    file.write_all_at(&[0; 4096], 0).unwrap();
    let log = FileLog::open(folder.path(), options).unwrap();
    assert_eq!(log.end(), 400);
    let (records, damaged) = read_all(&log).await;
    assert!(damaged.len() == 1 && damaged[0].0 == 0 && (100..200).contains(&damaged[0].1), "{damaged:?}");
    assert_eq!(records.first().map(|record| record.offset), Some(damaged[0].1));
    assert_eq!(log.append(payload(400)).await, Ok(400));
}

/// The records read after the one that carries `forged` was damaged.
async fn read_behind_forged(forged: impl Fn(Marker) -> Vec<u8>) -> Vec<Record> {
    let folder = TempDir::new().unwrap();
    let log = open(folder.path());
    fill(&log, 0, 1).await;
    let header = fs::read(segment_path(folder.path(), 0)).unwrap();
    let marker = format::decode_header(&header).unwrap().marker;
    assert_eq!(log.append(forged(marker).into()).await, Ok(1));
    fill(&log, 2, 4).await;
    drop(log);
    let first_record = RECORD_HEADER_BYTES + payload(0).len();
    flip(&segment_path(folder.path(), 0), HEADER_BYTES + first_record as u64);
    read_all(&open(folder.path())).await.0
}

#[tokio::test]
async fn a_record_forged_inside_a_payload_is_not_taken_for_one() {
    let forge = |marker| {
        let mut bytes = Vec::new();
        put_record(&mut bytes, marker, 1, b"forged");
        bytes
    };
    let records = read_behind_forged(|marker| forge(Marker::new(u32::from_le_bytes(marker.to_bytes()) ^ 1))).await;
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 2, 3]);
    // The control arm: who knows the marker can forge a record, so it is the marker that protects.
    let records = read_behind_forged(forge).await;
    assert!(records.iter().any(|record| record.payload == b"forged"[..]));
}

#[tokio::test]
async fn offsets_that_a_store_has_seen_are_never_given_again() {
    let folder = TempDir::new().unwrap();
    fill(&open(folder.path()), 0, 10).await;
    let leap = FileLogOptions { min_end: 100, ..small_segments() };
    let log = FileLog::open(folder.path(), leap).unwrap();
    assert_eq!((log.start(), log.end()), (0, 100));
    assert!(log.read_from(100).is_ok());
    fill(&log, 100, 105).await;
    assert_eq!(read_all(&log).await.1, [(10, 100)]);
    drop(log);
    let (records, damaged) = read_all(&open(folder.path())).await;
    assert_eq!((records.len(), damaged), (15, vec![(10, 100)]));
}

#[tokio::test]
async fn a_tail_lost_after_it_was_released_is_leapt_over() {
    let folder = TempDir::new().unwrap();
    let log = FileLog::open(folder.path(), FileLogOptions::default()).unwrap();
    fill(&log, 0, 10).await;
    log.release("stream", 10).unwrap();
    drop(log);
    let file = OpenOptions::new().write(true).open(segment_path(folder.path(), 0)).unwrap();
    file.set_len(HEADER_BYTES + 8 * (RECORD_HEADER_BYTES + payload(0).len()) as u64 + 5).unwrap();
    let log = FileLog::open(folder.path(), FileLogOptions::default()).unwrap();
    assert_eq!(log.end(), 10);
    assert_eq!(log.figures().dropped_tail_bytes, 5);
    assert_eq!(log.append(payload(10)).await, Ok(10));
    assert_eq!(read_all(&log).await.1, [(8, 10)]);
}

#[tokio::test]
async fn a_segment_of_another_version_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    fill(&open(folder.path()), 0, 3).await;
    let path = segment_path(folder.path(), 0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 9;
    let checksum = crc32fast::hash(&bytes[..24]);
    bytes[24..28].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let error = FileLog::open(folder.path(), small_segments()).err().unwrap().to_string();
    assert!(error.contains("version 9") && error.contains("00000000000000000000.log"), "{error}");
}

#[tokio::test]
async fn a_folder_is_opened_once_at_a_time() {
    let folder = TempDir::new().unwrap();
    let log = open(folder.path());
    let refused = FileLog::open(folder.path(), small_segments());
    assert!(matches!(refused.err(), Some(LogError::Io(message)) if message.contains("in use")));
    drop(log);
    fill(&open(folder.path()), 0, 1).await;
}

#[tokio::test]
async fn a_disk_that_fills_up_at_a_new_segment_resumes_too() {
    let folder = TempDir::new().unwrap();
    let faults = Arc::new(Faults { free_bytes: AtomicU64::new(u64::MAX), room_bytes: AtomicU64::new(1 << 40), ..Faults::default() });
    let log = FileLog::open_on(folder.path(), small_segments(), Box::new(FaultyDisk(faults.clone()))).unwrap();
    let mut next = 0;
    // Whatever is left when the disk is full: less than a header, a header and less than a record, or nothing.
    for free in [0, 5, HEADER_BYTES, HEADER_BYTES + 3] {
        let segments = segment_files(folder.path()).len();
        while segment_files(folder.path()).len() == segments || log.figures().stored_bytes % 512 < 450 {
            assert_eq!(log.append(payload(next)).await, Ok(next));
            next += 1;
        }
        faults.free_bytes.store(free, Ordering::SeqCst);
        for _ in 0..3 {
            assert!(matches!(log.append(Bytes::from(vec![1; 400])).await, Err(LogError::Full(_))));
        }
        assert_eq!(log.end(), next);
        faults.free_bytes.store(u64::MAX, Ordering::SeqCst);
        assert_eq!(log.append(payload(next)).await, Ok(next));
        next += 1;
    }
    drop(log);
    let (records, damaged) = read_all(&open(folder.path())).await;
    assert_eq!((records.len() as u64, damaged), (next, vec![]));
}

/// A disk on which one kind of step fails with an error that does not pass.
struct Broken {
    is_full: bool,
}

impl Disk for Broken {
    fn create(&self, path: &Path) -> io::Result<File> {
        SystemDisk.create(path)
    }

    fn write(&self, file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
        if position < HEADER_BYTES + 60 {
            return SystemDisk.write(file, bytes, position);
        }
        let kind = if self.is_full { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
        Err(kind.into())
    }

    fn truncate(&self, _file: &File, _length: u64) -> io::Result<()> {
        Err(io::Error::other("the disk cannot cut a file"))
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        SystemDisk.sync(file)
    }

    fn room(&self, folder: &Path) -> io::Result<Room> {
        SystemDisk.room(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        SystemDisk.sync_folder(folder)
    }
}

#[tokio::test]
async fn a_write_or_a_cut_that_fails_latches_everybody_and_reads_go_on() {
    for is_full in [false, true] {
        let folder = TempDir::new().unwrap();
        let options = FileLogOptions { recent_bytes: 0, group_commit_wait: Duration::from_millis(100), ..FileLogOptions::default() };
        let log = FileLog::open_on(folder.path(), options, Box::new(Broken { is_full })).unwrap();
        for n in 0..3 {
            assert_eq!(log.append(payload(n)).await, Ok(n));
        }
        let waiting: Vec<_> = (0..20).map(|n| log.append(payload(n))).collect();
        for answer in futures::future::join_all(waiting).await {
            assert!(matches!(answer, Err(LogError::Latched(_))), "{answer:?}");
        }
        assert!(matches!(log.append(payload(0)).await, Err(LogError::Latched(_))));
        assert!(log.figures().latched.is_some());
        assert_eq!(log.end(), 3);
        assert_eq!(read_all(&log).await.0.len(), 3);
        let mut at_end = log.read_from(3).unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(20), at_end.next(1)).await.is_err(), "a reader at the end goes on waiting");
    }
}
