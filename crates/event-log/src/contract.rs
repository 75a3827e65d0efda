//! What every [`EventLog`] must do, as checks that panic with what they found. Each implementation's tests run all of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::log::{EventLog, LogError, LogReader, Offset, Record};

/// Runs the whole contract; `make` gives an empty log each time. Call it inside a multi-threaded tokio runtime.
///
/// # Panics
/// Where the log breaks the contract.
pub async fn check(make: impl Fn() -> Arc<dyn EventLog>) {
    order_and_offsets(make()).await;
    concurrent_appends(make()).await;
    a_reader_waits_at_the_end(make()).await;
    bounded_reads(make()).await;
    too_large(make()).await;
    releasing(make()).await;
}

/// Reads `count` records from `offset` on.
///
/// # Panics
/// When they do not come within 10 seconds.
#[allow(clippy::expect_used, reason = "a contract check panics with what it found")]
pub async fn read(log: &dyn EventLog, offset: Offset, count: usize) -> Vec<Record> {
    let mut reader = log.read_from(offset).expect("a reader");
    let mut records = Vec::new();
    while records.len() < count {
        let next = tokio::time::timeout(Duration::from_secs(10), reader.next(1 << 20)).await.expect("records in time");
        records.extend(next.expect("readable records"));
    }
    records
}

fn payload(n: u64) -> Bytes {
    Bytes::from(format!("record {n} {}", "x".repeat((n % 97) as usize)))
}

#[allow(clippy::expect_used, reason = "a contract check panics with what it found")]
async fn fill(log: &dyn EventLog, count: u64) {
    for n in 0..count {
        assert_eq!(log.append(payload(n)).await.expect("an append"), n, "offsets count from 0");
    }
}

async fn order_and_offsets(log: Arc<dyn EventLog>) {
    assert_eq!((log.start(), log.end()), (0, 0), "an empty log");
    fill(log.as_ref(), 300).await;
    assert_eq!(log.end(), 300);
    for from in [0, 1, 150, 299] {
        let records = read(log.as_ref(), from, (300 - from) as usize).await;
        for (record, n) in records.iter().zip(from..) {
            assert_eq!((record.offset, &record.payload), (n, &payload(n)));
        }
    }
}

#[allow(clippy::expect_used, reason = "a contract check panics with what it found")]
async fn concurrent_appends(log: Arc<dyn EventLog>) {
    let tasks: Vec<_> = (0..500)
        .map(|n| {
            let log = log.clone();
            tokio::spawn(async move { (log.append(payload(n)).await.expect("an append"), n) })
        })
        .collect();
    let mut offsets = BTreeSet::new();
    let mut answered = Vec::new();
    for task in tasks {
        let (offset, n) = task.await.expect("no panic");
        offsets.insert(offset);
        answered.push((offset, n));
    }
    assert_eq!(offsets, (0..500).collect(), "distinct and consecutive");
    let records = read(log.as_ref(), 0, 500).await;
    for (offset, n) in answered {
        assert_eq!(records[offset as usize].payload, payload(n), "the record with the offset that was answered");
    }
}

#[allow(clippy::expect_used, reason = "a contract check panics with what it found")]
async fn a_reader_waits_at_the_end(log: Arc<dyn EventLog>) {
    fill(log.as_ref(), 1).await;
    let mut reader = log.read_from(1).expect("a reader at the end");
    let early = tokio::time::timeout(Duration::from_millis(50), reader.next(1 << 20)).await;
    assert!(early.is_err(), "nothing to read yet");
    let waiting = tokio::spawn(async move { reader.next(1 << 20).await });
    log.append(payload(1)).await.expect("an append");
    let records = tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("woken").expect("no panic").expect("records");
    assert_eq!((records[0].offset, &records[0].payload), (1, &payload(1)));
}

#[allow(clippy::expect_used, reason = "a contract check panics with what it found")]
async fn bounded_reads(log: Arc<dyn EventLog>) {
    fill(log.as_ref(), 100).await;
    let mut reader: Box<dyn LogReader> = log.read_from(0).expect("a reader");
    let mut expected = 0;
    while expected < 100 {
        let records = reader.next(200).await.expect("records");
        let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
        assert!(!records.is_empty() && (bytes < 400 || records.len() == 1), "about max_bytes, got {bytes}");
        for record in records {
            assert_eq!(record.offset, expected);
            expected += 1;
        }
    }
}

#[allow(clippy::expect_used, reason = "a contract check panics with what it found")]
async fn too_large(log: Arc<dyn EventLog>) {
    let refused = log.append(Bytes::from(vec![0; (64 << 20) + 1])).await;
    assert!(matches!(refused, Err(LogError::TooLarge { .. })), "{refused:?}");
    assert_eq!(log.append(payload(0)).await.expect("an append"), 0, "nothing was kept of the refused record");
}

#[allow(clippy::expect_used, reason = "a contract check panics with what it found")]
async fn releasing(log: Arc<dyn EventLog>) {
    fill(log.as_ref(), 50).await;
    // A consumer is known from its first release on.
    log.release("two", 0).expect("release");
    log.release("one", 30).expect("release");
    log.release("two", 20).expect("release");
    log.release("two", 10).expect("a position that goes back is no error");
    assert!(log.start() <= 20, "kept what a consumer still needs");
    let records = read(log.as_ref(), 20, 30).await;
    assert_eq!(records[0].payload, payload(20));
    if log.start() > 0 {
        assert!(matches!(log.read_from(0).map(|_| ()), Err(LogError::Trimmed { .. })));
    }
    assert!(log.read_from(51).is_err(), "nothing lies behind the end");
}
