//! One consistent set of parts.

use std::sync::Arc;

use arrow::array::RecordBatch;
use event::AppId;
use event_store::{QueryContext, QueryError, ScanStats, Work};

use crate::identity::{Identities, Identity};
use crate::part::{Part, PartScan, ScanRequest};

/// Every row that was visible when it was taken, each in exactly one part. Files of its segments live as long as it does.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// Segments first, then what is in memory, each by age.
    pub parts: Vec<Arc<Part>>,
    /// Who counts as whom.
    pub(crate) identities: Identities,
}

impl Snapshot {
    /// The parts that may hold rows of the app in `[from_ms, to_ms)`.
    pub fn parts_of(&self, app: &AppId, from_ms: i64, to_ms: i64) -> impl Iterator<Item = &Arc<Part>> {
        self.parts.iter().filter(move |part| part.may_hold(app, from_ms, to_ms))
    }

    /// Which ids of the app are one person.
    pub(crate) fn identity(&self, app: &AppId) -> Arc<Identity> {
        self.identities.of(app.as_str())
    }

    /// Notes in `work` how many parts of each kind were there to be read.
    pub fn note_parts(&self, work: &mut Work) {
        for part in &self.parts {
            work.table(part.table()).parts += 1;
        }
    }

    /// Calls `visit` for every batch of a request, part by part, and accounts for it in `stats`.
    ///
    /// # Errors
    /// Those of `visit`, [`QueryError::Cancelled`], [`QueryError::Timeout`] (checked between batches), [`QueryError::Store`].
    /// A damaged segment is no error: `stats.missing` names it.
    pub fn scan(
        &self,
        request: &ScanRequest<'_>,
        context: &QueryContext,
        stats: &mut ScanStats,
        visit: &mut dyn FnMut(RecordBatch) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        for part in self.parts_of(request.app, request.from_ms, request.to_ms) {
            let mut scan = part.scan(request);
            for batch in scan.by_ref() {
                context.check()?;
                visit(batch?)?;
            }
            account(&scan, stats);
        }
        Ok(())
    }
}

/// Adds what a scan read, and what it could not read, to the answer's account.
pub fn account(scan: &PartScan, stats: &mut ScanStats) {
    stats.scanned_events += scan.scanned_rows();
    let read = stats.work.table(scan.table());
    read.read_parts += u64::from(scan.scanned_rows() > 0);
    read.rows += scan.scanned_rows();
    if let Some(bytes) = scan.read_bytes() {
        read.bytes = Some(read.bytes.unwrap_or(0) + bytes);
    }
    if let Some(missing) = scan.missing()
        && !stats.missing.iter().any(|known| known == missing)
    {
        stats.missing.push(missing.to_string());
    }
}
