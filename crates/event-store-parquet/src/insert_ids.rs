//! The insert ids of all apps, for whoever has to remember them again.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMillisecondType;
use event::AppId;
use event_store::QueryError;

use crate::columns::{self, ColumnRequest};
use crate::part::{Part, ScanRequest};
use crate::snapshot::Snapshot;
use crate::windows::apps_of;

const READ: [ColumnRequest; 2] = [ColumnRequest::Fixed(columns::INSERT_ID), ColumnRequest::Fixed(columns::RECEIVED_AT)];

/// Calls `visit` for every row with an insert id that was received at or after `from_ms`; returns why rows are missing.
pub(crate) fn scan(snapshot: &Snapshot, from_ms: i64, visit: &mut dyn FnMut(&AppId, &str, i64)) -> Result<Vec<String>, QueryError> {
    let mut missing = Vec::new();
    for part in snapshot.parts.iter() {
        match may_have_received(part, from_ms) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(reason) => {
                missing.push(reason);
                continue;
            }
        }
        for app in apps_of(part) {
            let request = ScanRequest { app: &app, from_ms: i64::MIN, to_ms: i64::MAX, events: None, columns: &READ };
            let mut scan = part.scan(&request);
            for batch in scan.by_ref() {
                visit_batch(&app, &batch?, from_ms, visit)?;
            }
            missing.extend(scan.missing().map(str::to_owned));
        }
    }
    missing.dedup();
    Ok(missing)
}

/// False when every row of the part was surely received before `from_ms`; why not, when it cannot be read.
fn may_have_received(part: &Arc<Part>, from_ms: i64) -> Result<bool, String> {
    match &**part {
        Part::Memory(_) => Ok(true),
        Part::Segment(segment) => {
            let open = segment.open().map_err(|failure| failure.to_string())?;
            Ok(open.latest_received_ms().is_none_or(|latest_ms| latest_ms >= from_ms))
        }
    }
}

fn visit_batch(app: &AppId, batch: &RecordBatch, from_ms: i64, visit: &mut dyn FnMut(&AppId, &str, i64)) -> Result<(), QueryError> {
    let missing = |name: &str| QueryError::Store(format!("a part lacks the column {name}"));
    let column = |name: &'static str| batch.column_by_name(name).ok_or_else(|| missing(name));
    let ids = column(columns::INSERT_ID)?.as_string::<i32>();
    let received = column(columns::RECEIVED_AT)?.as_primitive::<TimestampMillisecondType>().values();
    for (row, &received_ms) in received.iter().enumerate() {
        if received_ms >= from_ms && ids.is_valid(row) {
            visit(app, ids.value(row), received_ms);
        }
    }
    Ok(())
}
