//! Both logs keep the contract, and the file log also across restarts.

#![allow(clippy::unwrap_used, reason = "a test stops where it cannot go on")]

use event_log::contract::{MAX_RECORD_BYTES, MAX_TRIM_UNIT_BYTES, MAX_WAITING_BYTES, check, check_reopen};
use event_log::{EventLog, FileLog, FileLogOptions, MemoryLog, MemoryLogOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn options() -> FileLogOptions {
    FileLogOptions {
        segment_bytes: MAX_TRIM_UNIT_BYTES,
        max_record_bytes: MAX_RECORD_BYTES,
        max_queued_bytes: MAX_WAITING_BYTES,
        max_age: Duration::ZERO,
        ..FileLogOptions::default()
    }
}

fn check_file_log(options: &FileLogOptions) {
    let root = tempfile::tempdir().unwrap();
    let open = |folder: &Path| -> Arc<dyn EventLog> { Arc::new(FileLog::open(folder, *options).unwrap()) };
    let count = std::cell::Cell::new(0);
    check(|| {
        count.set(count.get() + 1);
        open(&root.path().join(count.get().to_string()))
    });
    check_reopen(|| open(&root.path().join("reopened")));
}

#[test]
fn memory_log() {
    check(|| Arc::new(MemoryLog::new(MemoryLogOptions { max_record_bytes: MAX_RECORD_BYTES, max_held_bytes: MAX_WAITING_BYTES })));
}

#[test]
fn file_log() {
    check_file_log(&options());
}

#[test]
fn file_log_that_reads_from_disk_only() {
    check_file_log(&FileLogOptions { recent_bytes: 0, ..options() });
}

#[test]
fn file_log_without_group_commit() {
    check_file_log(&FileLogOptions { group_commit_bytes: 1, group_commit_wait: Duration::ZERO, ..options() });
}
