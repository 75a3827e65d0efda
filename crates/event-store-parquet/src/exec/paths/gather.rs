//! Reads the events of persons: the steps, and where sessions are cut, what else cuts them.

use event_store::{PathsPlan, QueryContext, QueryError, ScanStats};

use super::side::{Matched, Side};
use crate::exec::aggregate::add_stats;
use crate::exec::batch::Batch;
use crate::exec::column_scan::{ColumnScan, Reading, TimeUse};
use crate::exec::filter::Memos;
use crate::exec::gather::{Gathering, Labeller, NO_LABEL, Unlabelled};
use crate::exec::group::GroupCoder;
use crate::exec::mask::Mask;
use crate::exec::records::{Record, RecordLists, Slice};
use crate::exec::rows::{RowCells, Rows};
use crate::exec::scan::Query;
use crate::exec::timeline::{MAX_LABEL, Timeline};

/// Most names of steps.
const MAX_NAMES: u32 = (MAX_LABEL - 1) / 2;

/// A step: the number of its name, and whether it matches the anchor. `None` where the event is no step.
pub(super) fn step_of(label: u32) -> Option<(u32, bool)> {
    (label != NO_LABEL).then(|| ((label - 1) / 2, (label - 1) % 2 == 1))
}

fn label_of(name: u32, is_anchor: bool) -> Result<u32, QueryError> {
    if name >= MAX_NAMES {
        return Err(QueryError::Groups { limit: MAX_NAMES as usize });
    }
    Ok(name * 2 + u32::from(is_anchor) + 1)
}

/// Labels steps.
struct Steps<'g> {
    side: &'g Side,
    memos: Memos,
    coder: GroupCoder<'g>,
    rows: Vec<u32>,
    row_names: Vec<u32>,
}

/// Reads the events of the persons of a slice, of fewer persons where they do not fit into memory. Gives the events and whose they are.
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub(super) fn gather<R: Record>(
    query: &Query<'_>,
    plan: &PathsPlan,
    side: &Side,
    reading: &Reading,
    slice: Slice,
    stats: &mut ScanStats,
) -> Result<(Vec<RecordLists<R>>, Slice), QueryError> {
    let scan = ColumnScan {
        app: &plan.scan.app,
        from_ms: plan.scan.from_ms,
        to_ms: plan.scan.to_ms,
        events: side.events.as_deref(),
        fields: &side.fields,
        persons: true,
        times: TimeUse::Always,
        narrowing: None,
        reading,
    };
    let timeline = Timeline::from(plan.scan.from_ms);
    let gathering = Gathering { query, scan, timeline, session_id: side.session_id, unlabelled: Unlabelled::Cutting };
    let (lists, narrowed, scanned) = gathering.gather(slice, &|| Steps::new(side, query.context))?;
    add_stats(stats, scanned);
    Ok((lists, narrowed))
}

impl<'g> Steps<'g> {
    fn new(side: &'g Side, context: &QueryContext) -> Self {
        let (memos, coder) = (Memos::new(side.memo_count, context), GroupCoder::new(&side.names));
        Self { side, memos, coder, rows: Vec::new(), row_names: Vec::new() }
    }
}

impl Labeller for Steps<'_> {
    fn label(&mut self, batch: &Batch, wanted: Option<&Mask>, labels: &mut Vec<u32>) -> Result<bool, QueryError> {
        let Self { side, memos, coder, rows, row_names } = self;
        let Matched { steps, anchors } = side.matched(batch, wanted, memos);
        rows.clear();
        rows.extend(steps.iter());
        let names = coder.code(batch, Rows::Some(rows), row_names)?;
        labels.clear();
        labels.resize(batch.rows(), NO_LABEL);
        for (at, &row) in rows.iter().enumerate() {
            let name = match names {
                RowCells::One(name) => name,
                RowCells::Each(names) => names[at],
            };
            labels[row as usize] = label_of(name, anchors.as_ref().is_some_and(|anchors| anchors.has(row as usize)))?;
        }
        Ok(!rows.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back() {
        assert_eq!(step_of(NO_LABEL), None);
        for step in [(0, false), (0, true), (7, false), (MAX_NAMES - 1, true)] {
            let label = label_of(step.0, step.1).unwrap();
            assert!(label <= MAX_LABEL);
            assert_eq!(step_of(label), Some(step));
        }
        assert_eq!(label_of(MAX_NAMES, false), Err(QueryError::Groups { limit: MAX_NAMES as usize }));
    }
}
