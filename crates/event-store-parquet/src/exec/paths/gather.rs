//! Reads the events of persons: the steps, and where sessions are cut, what else cuts them.

use std::sync::atomic::{AtomicU64, Ordering};

use event_store::{PathsPlan, QueryError, ScanStats};

use super::records::{NO_SESSION, Record, RecordLists, Slice};
use super::side::{Matched, Side};
use crate::exec::aggregate::add_stats;
use crate::exec::batch::Batch;
use crate::exec::column_scan::{ColumnScan, Reading, TimeUse};
use crate::exec::filter::Memos;
use crate::exec::group::GroupCoder;
use crate::exec::mask::Mask;
use crate::exec::rows::{RowCells, Rows};
use crate::exec::scan::Query;
use crate::exec::session_keys::SessionKeys;
use crate::exec::timeline::{MAX_LABEL, Timeline};

/// The label of an event that is no step; those of steps follow.
const NOT_A_STEP: u32 = 0;
/// Most names of steps.
const MAX_NAMES: u32 = (MAX_LABEL - 1) / 2;
/// The part of a query's memory that events may take before the persons are cut into slices: the rest is for paths, for laying events out and for decoding.
const EVENTS_SHARE: usize = 2;

/// A step: the number of its name, and whether it matches the anchor. `None` where the event is no step.
pub(super) fn step_of(label: u32) -> Option<(u32, bool)> {
    (label != NOT_A_STEP).then(|| ((label - 1) / 2, (label - 1) % 2 == 1))
}

fn label_of(name: u32, is_anchor: bool) -> Result<u32, QueryError> {
    if name >= MAX_NAMES {
        return Err(QueryError::Groups { limit: MAX_NAMES as usize });
    }
    Ok(name * 2 + u32::from(is_anchor) + 1)
}

/// What the threads share.
struct Gathering<'g> {
    side: &'g Side,
    reading: &'g Reading,
    timeline: Timeline,
    /// Of the slice that is kept: a thread that has too much doubles it, and all follow.
    modulus: AtomicU64,
    bytes_per_thread: usize,
}

/// What one thread has read.
struct Worker<'g, R> {
    memos: Memos,
    coder: GroupCoder<'g>,
    lists: RecordLists<R>,
    slice: Slice,
    labels: Vec<u32>,
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
        reading,
    };
    let gathering = Gathering {
        side,
        reading,
        timeline: Timeline::from(plan.scan.from_ms),
        modulus: AtomicU64::new(slice.modulus()),
        bytes_per_thread: query.context.memory.limit_bytes() / EVENTS_SHARE / query.threads.max(1),
    };
    let make = || Worker {
        memos: Memos::new(side.memo_count, query.context),
        coder: GroupCoder::new(&side.names),
        lists: RecordLists::new(query.context),
        slice,
        labels: Vec::new(),
        rows: Vec::new(),
        row_names: Vec::new(),
    };
    let each = |worker: &mut Worker<'_, R>, batch: &Batch, wanted: Option<&Mask>| worker.read(&gathering, batch, wanted);
    let (workers, scanned) = query.scan_columns(&scan, &make, &each)?;
    add_stats(stats, scanned);
    let narrowed = slice.narrowed(gathering.modulus.into_inner());
    let lists = workers.into_iter().map(|mut worker| {
        worker.narrow(narrowed)?;
        Ok(worker.lists)
    });
    Ok((lists.collect::<Result<_, QueryError>>()?, narrowed))
}

impl<R: Record> Worker<'_, R> {
    fn read(&mut self, gathering: &Gathering<'_>, batch: &Batch, wanted: Option<&Mask>) -> Result<(), QueryError> {
        self.narrow(self.slice.narrowed(gathering.modulus.load(Ordering::Relaxed)))?;
        self.label(gathering.side, batch, wanted)?;
        self.collect(gathering, batch, wanted)?;
        while let Some(half) = self.slice.half().filter(|_| self.lists.bytes() > gathering.bytes_per_thread) {
            gathering.modulus.fetch_max(half, Ordering::Relaxed);
            self.narrow(self.slice.narrowed(half))?;
        }
        Ok(())
    }

    fn narrow(&mut self, slice: Slice) -> Result<(), QueryError> {
        if slice != self.slice {
            self.slice = slice;
            self.lists.keep(slice)?;
        }
        Ok(())
    }

    /// Labels each row.
    fn label(&mut self, side: &Side, batch: &Batch, wanted: Option<&Mask>) -> Result<(), QueryError> {
        let Self { memos, coder, labels, rows, row_names, .. } = self;
        let Matched { steps, anchors } = side.matched(batch, wanted, memos);
        rows.clear();
        rows.extend(steps.iter());
        let names = coder.code(batch, Rows::Some(rows), row_names)?;
        labels.clear();
        labels.resize(batch.rows(), NOT_A_STEP);
        for (at, &row) in rows.iter().enumerate() {
            let name = match names {
                RowCells::One(name) => name,
                RowCells::Each(names) => names[at],
            };
            labels[row as usize] = label_of(name, anchors.as_ref().is_some_and(|anchors| anchors.has(row as usize)))?;
        }
        Ok(())
    }

    /// Takes the rows of the slice's persons that are steps, or may cut a session.
    fn collect(&mut self, gathering: &Gathering<'_>, batch: &Batch, wanted: Option<&Mask>) -> Result<(), QueryError> {
        let Self { lists, slice, labels, rows, .. } = self;
        let (slice, timeline) = (*slice, gathering.timeline);
        let session_ids = gathering.side.session_id.map(|field| batch.column(field));
        if rows.is_empty() && session_ids.is_none() {
            return Ok(());
        }
        let mut keys = SessionKeys::new(session_ids);
        R::for_each_row(batch, gathering.reading, |row, person| {
            if !slice.has(person) || wanted.is_some_and(|wanted| !wanted.has(row)) {
                return Ok(());
            }
            let label = labels[row];
            // Other events cut those without an id only, and only as events without one.
            if label == NOT_A_STEP && (session_ids.is_none() || keys.is_set(row)) {
                return Ok(());
            }
            let session = keys.key(person, row).unwrap_or(NO_SESSION);
            lists.push(person, R::new(person, session, timeline.payload(batch.time(row), label)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back() {
        assert_eq!(step_of(NOT_A_STEP), None);
        for step in [(0, false), (0, true), (7, false), (MAX_NAMES - 1, true)] {
            let label = label_of(step.0, step.1).unwrap();
            assert!(label <= MAX_LABEL);
            assert_eq!(step_of(label), Some(step));
        }
        assert_eq!(label_of(MAX_NAMES, false), Err(QueryError::Groups { limit: MAX_NAMES as usize }));
    }
}
