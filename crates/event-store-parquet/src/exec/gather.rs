//! Reads the events of persons, each with a label, for operators that follow persons from event to event.

use std::sync::atomic::{AtomicU64, Ordering};

use event_store::{QueryError, ScanStats};

use super::batch::Batch;
use super::column_scan::ColumnScan;
use super::mask::Mask;
use super::records::{NO_SESSION, Record, RecordLists, Slice};
use super::scan::Query;
use super::session_keys::SessionKeys;
use super::timeline::Timeline;

/// The part of a query's memory that events may take before the persons are cut into slices: the rest is for what is counted, for laying events out and for
/// decoding.
const EVENTS_SHARE: usize = 2;

/// Labels events in the state of one thread.
pub(super) trait Labeller: Send {
    /// Labels each row of a batch, [`NO_LABEL`] where it has none; false where no row has one. Rows of all persons are labelled, whichever are kept.
    ///
    /// # Errors
    /// [`QueryError::Groups`], [`QueryError::Memory`].
    fn label(&mut self, batch: &Batch, wanted: Option<&Mask>, labels: &mut Vec<u32>) -> Result<bool, QueryError>;
}

/// The label of an event that has none.
pub(super) const NO_LABEL: u32 = 0;

/// Which events without a label are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unlabelled {
    /// All.
    Kept,
    /// Those that may cut a session: without an id of one, where sessions have ids.
    Cutting,
}

/// What is read.
pub(super) struct Gathering<'g> {
    pub(super) query: &'g Query<'g>,
    pub(super) scan: ColumnScan<'g>,
    pub(super) timeline: Timeline,
    /// The field of the client's session ids, where they tell sessions apart.
    pub(super) session_id: Option<usize>,
    pub(super) unlabelled: Unlabelled,
}

/// What the threads share.
struct Shared {
    /// Of the slice that is kept: a thread that has too much doubles it, and all follow.
    modulus: AtomicU64,
    bytes_per_thread: usize,
}

/// What one thread has read.
struct Worker<L, R> {
    labeller: L,
    lists: RecordLists<R>,
    slice: Slice,
    labels: Vec<u32>,
}

impl Gathering<'_> {
    /// Reads the events of the persons of a slice, of fewer persons where they do not fit into memory. Gives the events, whose they are, and what was read.
    ///
    /// # Errors
    /// As for [`event_store::EventSource::aggregate`].
    pub(super) fn gather<L: Labeller, R: Record>(
        &self,
        slice: Slice,
        make: &(dyn Fn() -> L + Sync),
    ) -> Result<(Vec<RecordLists<R>>, Slice, ScanStats), QueryError> {
        let query = self.query;
        let shared = Shared {
            modulus: AtomicU64::new(slice.modulus()),
            bytes_per_thread: query.context.memory.limit_bytes() / EVENTS_SHARE / query.threads.max(1),
        };
        let make = || Worker { labeller: make(), lists: RecordLists::new(query.context), slice, labels: Vec::new() };
        let each = |worker: &mut Worker<L, R>, batch: &Batch, wanted: Option<&Mask>| worker.read(self, &shared, batch, wanted);
        let (workers, scanned) = query.scan_columns(&self.scan, &make, &each)?;
        let narrowed = slice.narrowed(shared.modulus.into_inner());
        let lists = workers.into_iter().map(|mut worker| {
            worker.narrow(narrowed)?;
            Ok(worker.lists)
        });
        Ok((lists.collect::<Result<_, QueryError>>()?, narrowed, scanned))
    }
}

impl<L: Labeller, R: Record> Worker<L, R> {
    fn read(&mut self, gathering: &Gathering<'_>, shared: &Shared, batch: &Batch, wanted: Option<&Mask>) -> Result<(), QueryError> {
        self.narrow(self.slice.narrowed(shared.modulus.load(Ordering::Relaxed)))?;
        let has_labels = self.labeller.label(batch, wanted, &mut self.labels)?;
        if has_labels || gathering.unlabelled == Unlabelled::Kept || gathering.session_id.is_some() {
            self.collect(gathering, batch, wanted)?;
        }
        while let Some(half) = self.slice.half().filter(|_| self.lists.bytes() > shared.bytes_per_thread) {
            shared.modulus.fetch_max(half, Ordering::Relaxed);
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

    /// Takes the rows of the slice's persons that matter.
    fn collect(&mut self, gathering: &Gathering<'_>, batch: &Batch, wanted: Option<&Mask>) -> Result<(), QueryError> {
        let Self { lists, slice, labels, .. } = self;
        let (slice, timeline) = (*slice, gathering.timeline);
        let session_ids = gathering.session_id.map(|field| batch.column(field));
        let has_ids = session_ids.is_some();
        let keeps_all = gathering.unlabelled == Unlabelled::Kept;
        let mut keys = SessionKeys::new(session_ids);
        R::for_each_row(batch, gathering.scan.reading, |row, person| {
            if !slice.has(person) || wanted.is_some_and(|wanted| !wanted.has(row)) {
                return Ok(());
            }
            let label = labels[row];
            if label == NO_LABEL && !keeps_all && (!has_ids || keys.is_set(row)) {
                return Ok(());
            }
            let session = keys.key(person, row).unwrap_or(NO_SESSION);
            lists.push(person, R::new(person, session, timeline.payload(batch.time(row), label)))
        })
    }
}
