//! Every event of a scan, as a stream whose memory does not grow with it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use event_store::{EXPORT_ROWS, EventRow, ExportVisitor, QueryError, Scan, ScanStats};

use super::batch::{Batch, Fields};
use super::filter::{Memos, Predicate, Preparation};
use super::person_property::PersonProperty;
use super::row_reader::RowReader;
use super::scan::Query;
use crate::columns::{ColumnRequest, FIXED};
use crate::identity::Identity;
use crate::part::{Part, ScanRequest};
use crate::snapshot::account;

/// Properties of the rows of one visit before it is made early: rows may be a hundred bytes or a hundred thousand.
const MAX_VISIT_BYTES: usize = 4 << 20;

/// Gives every event of a scan to `visit`, in stored order.
///
/// # Errors
/// As for [`event_store::EventSource::export`].
pub fn export(query: &Query<'_>, scan: &Scan, visit: &mut ExportVisitor<'_>) -> Result<ScanStats, QueryError> {
    let mut fields = Fields::default();
    let mut preparation = Preparation::new(&mut fields);
    let filter = preparation.filter(&scan.filter)?;
    let memos = Memos::new(preparation.memo_count(), query.context);
    let mut stats = PersonProperty::load_all(query, &scan.app, &mut fields, None)?;
    let mut parts: Vec<&Arc<Part>> = query.snapshot.parts_of(&scan.app, scan.from_ms, scan.to_ms).collect();
    parts.sort_by_key(|part| part.time_range());
    for part in &parts {
        query.context.check()?;
        if let Err(missing) = part.columns() {
            note_missing(&mut stats, &missing);
        }
    }
    visit(Vec::new(), &stats)?;
    let mut requests = fields.requests();
    requests.extend(FIXED.map(ColumnRequest::Fixed));
    requests.push(ColumnRequest::AllProperties);
    let request =
        ScanRequest { app: &scan.app, from_ms: scan.from_ms, to_ms: scan.to_ms, events: scan.events.as_deref(), columns: &requests };
    let identity = query.snapshot.identity(&scan.app);
    let mut reading = Reading { query, identity, fields, filter, memos, rows: Vec::new(), bytes: 0 };
    for part in parts {
        let mut scan = part.scan(&request);
        for batch in scan.by_ref() {
            query.context.check()?;
            reading.read(&batch?, &stats, visit)?;
        }
        account(&scan, &mut stats);
    }
    reading.hand_over(&stats, visit)?;
    Ok(stats)
}

fn note_missing(stats: &mut ScanStats, missing: &str) {
    if !stats.missing.iter().any(|known| known == missing) {
        stats.missing.push(missing.to_string());
    }
}

struct Reading<'r> {
    query: &'r Query<'r>,
    identity: Arc<Identity>,
    fields: Fields,
    filter: Predicate,
    memos: Memos,
    /// Rows for the next visit, with about so many bytes.
    rows: Vec<EventRow>,
    bytes: usize,
}

impl Reading<'_> {
    fn read(&mut self, record_batch: &RecordBatch, stats: &ScanStats, visit: &mut ExportVisitor<'_>) -> Result<(), QueryError> {
        let batch = Batch::of_record_batch(record_batch, &self.fields, &self.identity);
        let mask = self.filter.evaluate(&batch, None, &mut self.memos);
        self.query.context.check()?;
        if mask.is_none() {
            return Ok(());
        }
        let reader = RowReader::new(record_batch);
        for row in mask.iter() {
            let event = reader.read(row as usize);
            self.bytes += event.properties_json.len();
            self.rows.push(event);
            if self.rows.len() >= EXPORT_ROWS || self.bytes >= MAX_VISIT_BYTES {
                self.query.context.check()?;
                self.hand_over(stats, visit)?;
            }
        }
        Ok(())
    }

    fn hand_over(&mut self, stats: &ScanStats, visit: &mut ExportVisitor<'_>) -> Result<(), QueryError> {
        self.bytes = 0;
        if self.rows.is_empty() { Ok(()) } else { visit(std::mem::take(&mut self.rows), stats) }
    }
}
