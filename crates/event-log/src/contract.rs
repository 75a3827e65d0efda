//! What every event log must do, as a test suite that each implementation passes from its own tests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a contract tells a breach by panicking")]

use crate::log::{EventLog, LogError, LogReader, Offset, Record};
use bytes::Bytes;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Largest record of the logs under test.
pub const MAX_RECORD_BYTES: usize = 64 << 10;
/// Payload bytes that the logs under test hold for the slower side (the writer, or in memory the consumers) before they are full.
pub const MAX_WAITING_BYTES: usize = 256 << 10;
/// Released records are trimmed at once, in units of at most about this many bytes.
pub const MAX_TRIM_UNIT_BYTES: u64 = 4 << 10;
/// Read at a time where the size does not matter.
const READ_BYTES: usize = 16 << 10;
/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Checks the whole contract; each call of `make` gives a fresh empty log with the bounds above.
///
/// # Panics
/// When the log breaks the contract.
pub fn check(make: impl Fn() -> Arc<dyn EventLog>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        records_come_back_in_order(make()).await;
        concurrent_appends_get_consecutive_offsets(make()).await;
        readers_follow_while_records_are_appended(make()).await;
        a_dropped_read_loses_nothing(make()).await;
        too_large_is_refused_and_leaves_no_trace(make()).await;
        full_is_refused_and_passes(make()).await;
        nothing_is_trimmed_without_or_beyond_consumers(make()).await;
        positions_behind_the_end_are_refused(make()).await;
    });
}

/// Checks that records survive; each call of `open` opens the same log, which is empty at first.
///
/// # Panics
/// When the log breaks the contract.
pub fn check_reopen(open: impl Fn() -> Arc<dyn EventLog>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut expected = 0;
        for round in 0..4 {
            let log = open();
            assert_eq!(log.end(), expected, "round {round}");
            append_numbered(&log, expected..expected + 50).await;
            expected += 50;
            assert_numbered(&read(&mut *log.read_from(log.start()).unwrap(), expected - log.start()).await, log.start());
            // The consumer that needs most must be known after reopening, else the other one's release would trim it away.
            if round == 0 {
                log.release("export", 10).unwrap();
            }
            log.release("stream", 20).unwrap();
            assert!(log.start() <= 10, "round {round}");
        }
        let log = open();
        log.release("stream", expected).unwrap();
        assert!(log.start() <= 10, "the other consumer's position was forgotten");
        log.release("export", expected).unwrap();
        let start = log.start();
        assert!(start > 10);
        drop(log);
        assert_eq!(open().start(), start, "trimmed records came back");
        assert_eq!(open().end(), expected);
    });
}

async fn records_come_back_in_order(log: Arc<dyn EventLog>) {
    assert_eq!((log.start(), log.end()), (0, 0));
    append_numbered(&log, 0..300).await;
    assert_eq!((log.start(), log.end()), (0, 300));
    assert_eq!(log.append(Bytes::new()).await, Ok(300), "an empty record is a record");
    for from in [0, 1, 57, 299] {
        let mut records = read(&mut *log.read_from(from).unwrap(), 301 - from).await;
        assert_eq!(records.pop(), Some(Record { offset: 300, payload: Bytes::new() }));
        assert_numbered(&records, from);
    }
    // At least one record however small the bound is, and about as many bytes as asked for.
    let mut reader = log.read_from(0).unwrap();
    assert_eq!(soon(reader.next(1)).await.unwrap().len(), 1);
    let some = soon(reader.next(2_000)).await.unwrap();
    assert!((2..300).contains(&some.len()), "{} records", some.len());
}

async fn concurrent_appends_get_consecutive_offsets(log: Arc<dyn EventLog>) {
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut kept = Vec::new();
                for number in 0..100 {
                    let payload = Bytes::from(format!("{task}:{number}"));
                    let offset = log.append(payload.clone()).await.unwrap();
                    assert!(log.end() > offset, "answered before it is readable");
                    kept.push(Record { offset, payload });
                }
                assert!(kept.windows(2).all(|pair| pair[0].offset < pair[1].offset));
                kept
            })
        })
        .collect();
    let mut kept = Vec::new();
    for task in tasks {
        kept.extend(task.await.unwrap());
    }
    kept.sort_by_key(|record| record.offset);
    assert_eq!(read(&mut *log.read_from(0).unwrap(), 800).await, kept);
    assert_eq!(log.end(), 800);
}

async fn readers_follow_while_records_are_appended(log: Arc<dyn EventLog>) {
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let mut reader = log.read_from(0).unwrap();
            tokio::spawn(async move { assert_numbered(&read(&mut *reader, 500).await, 0) })
        })
        .collect();
    append_numbered(&log, 0..500).await;
    for reader in readers {
        reader.await.unwrap();
    }
    let mut at_end = log.read_from(500).unwrap();
    let waits = tokio::time::timeout(Duration::from_millis(50), at_end.next(READ_BYTES)).await;
    assert!(waits.is_err(), "a reader at the end must wait");
    append_numbered(&log, 500..501).await;
    assert_numbered(&soon(at_end.next(READ_BYTES)).await.unwrap(), 500);
}

async fn a_dropped_read_loses_nothing(log: Arc<dyn EventLog>) {
    let mut reader = log.read_from(0).unwrap();
    let mut seen: Vec<Record> = Vec::new();
    for number in 0..100 {
        append_numbered(&log, number..number + 1).await;
        // Polled once and dropped, which may happen before or after the records were found.
        if let Some(records) = futures::FutureExt::now_or_never(reader.next(READ_BYTES)) {
            seen.extend(records.unwrap());
        }
    }
    let missing = 100 - seen.len() as u64;
    seen.extend(read(&mut *reader, missing).await);
    assert_numbered(&seen, 0);
}

async fn too_large_is_refused_and_leaves_no_trace(log: Arc<dyn EventLog>) {
    let largest = Bytes::from(vec![7; MAX_RECORD_BYTES]);
    assert_eq!(log.append(largest.clone()).await, Ok(0));
    let bytes = MAX_RECORD_BYTES + 1;
    let refused = log.append(Bytes::from(vec![7; bytes])).await;
    assert_eq!(refused, Err(LogError::TooLarge { bytes, max_bytes: MAX_RECORD_BYTES }));
    assert_eq!(log.end(), 1);
    assert_eq!(soon(log.read_from(0).unwrap().next(1)).await.unwrap(), [Record { offset: 0, payload: largest }]);
}

async fn full_is_refused_and_passes(log: Arc<dyn EventLog>) {
    // Far more at once than any bound lets wait; calling `append` hands the record over, so nothing is drained in between by us.
    let burst: Vec<_> = (0..1_000_u64).map(|number| log.append(Bytes::from(number.to_le_bytes().repeat(1_024)))).collect();
    let mut kept = Vec::new();
    let mut full = 0;
    for (append, number) in burst.into_iter().zip(0_u64..) {
        match append.await {
            Ok(offset) => kept.push((offset, number)),
            Err(LogError::Full(_)) => full += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(full > 0, "8 MB were taken at once with a bound of {MAX_WAITING_BYTES} bytes");
    assert!(!kept.is_empty());
    let records = read(&mut *log.read_from(0).unwrap(), kept.len() as u64).await;
    for (record, (offset, number)) in records.iter().zip(kept) {
        assert_eq!(record.offset, offset);
        assert_eq!(record.payload[..8], number.to_le_bytes(), "a refused record was kept");
    }
    assert_eq!(log.end(), records.len() as u64);
    log.release("stream", log.end()).unwrap();
    assert!(log.append(Bytes::from_static(b"room again")).await.is_ok());
}

async fn nothing_is_trimmed_without_or_beyond_consumers(log: Arc<dyn EventLog>) {
    append_numbered(&log, 0..300).await;
    assert_eq!(log.start(), 0);
    let mut early = log.read_from(0).unwrap();
    log.release("export", 0).unwrap();
    log.release("stream", 300).unwrap();
    assert_eq!(log.start(), 0, "a consumer still needs everything");
    log.release("export", 200).unwrap();
    let start = log.start();
    assert!(start <= 200, "trimmed what a consumer needs");
    assert!(start > 0, "{MAX_TRIM_UNIT_BYTES} bytes were released and kept");
    log.release("export", 100).unwrap();
    assert_numbered(&read(&mut *log.read_from(start).unwrap(), 300 - start).await, start);
    assert_eq!(log.read_from(start - 1).err(), Some(LogError::Trimmed { wanted: start - 1, start }));
    // A reader that was left behind may still hold what it had opened, but never gives anything else than the next record.
    match soon(early.next(READ_BYTES)).await {
        Ok(records) => assert_numbered(&records, 0),
        Err(error) => assert_eq!(error, LogError::Trimmed { wanted: 0, start }),
    }
    append_numbered(&log, 300..310).await;
    assert_eq!(log.end(), 310);
}

async fn positions_behind_the_end_are_refused(log: Arc<dyn EventLog>) {
    append_numbered(&log, 0..3).await;
    assert!(log.read_from(3).is_ok());
    assert!(matches!(log.read_from(4), Err(LogError::Io(_))));
    assert!(matches!(log.release("stream", 4), Err(LogError::Io(_))));
    assert!(log.release("stream", 3).is_ok());
}

/// About 100 bytes that tell which record they are.
fn numbered(offset: Offset) -> Bytes {
    Bytes::from(format!("{offset:0>width$}", width = 90 + (offset % 20) as usize))
}

async fn append_numbered(log: &Arc<dyn EventLog>, offsets: std::ops::Range<Offset>) {
    let appends: Vec<_> = offsets.clone().map(|offset| log.append(numbered(offset))).collect();
    for (append, offset) in appends.into_iter().zip(offsets) {
        assert_eq!(soon(append).await, Ok(offset));
    }
}

fn assert_numbered(records: &[Record], from: Offset) {
    for (record, offset) in records.iter().zip(from..) {
        assert_eq!(*record, Record { offset, payload: numbered(offset) });
    }
}

/// Exactly `count` records.
async fn read(reader: &mut dyn LogReader, count: u64) -> Vec<Record> {
    let mut records = Vec::new();
    while (records.len() as u64) < count {
        records.extend(soon(reader.next(READ_BYTES)).await.unwrap());
    }
    assert_eq!(records.len() as u64, count);
    records
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}
