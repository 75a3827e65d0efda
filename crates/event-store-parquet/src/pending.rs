//! What was appended and is not durable yet.

use std::sync::Arc;

use event_store::LostRecords;

use crate::identity::LinkDelta;
use crate::ledger::LedgerDelta;
use crate::memory::MemoryPart;
use crate::part::Part;

/// Parts of one size class are merged when there are this many, so a query sees few parts and each row is copied seldom.
pub(crate) const MERGE_PARTS: usize = 8;
/// Parts with this many rows are not merged in memory any more: the flush does it.
const LARGE_PART_ROWS: usize = 131_072;
/// Rows of the smallest size class; each further class is [`MERGE_PARTS`] times larger.
const SMALL_PART_ROWS: usize = 2_048;

/// Rows, accounts and the log offset they reach to.
#[derive(Clone, Default)]
pub(crate) struct Pending {
    pub(crate) parts: Vec<Arc<Part>>,
    pub(crate) ledger: LedgerDelta,
    pub(crate) links: LinkDelta,
    pub(crate) rows: usize,
    pub(crate) part_bytes: usize,
    pub(crate) ledger_bytes: usize,
    pub(crate) end: u64,
    /// Losses that are not durably known yet.
    pub(crate) lost: Vec<LostRecords>,
}

impl Pending {
    /// Nothing since `end`.
    pub(crate) fn starting_at(end: u64) -> Self {
        Self { end, ..Self::default() }
    }

    /// True when it has neither rows nor accounts nor losses.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0 && self.ledger_bytes == 0 && self.lost.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.part_bytes + self.ledger_bytes + self.links.bytes
    }

    pub(crate) fn memory_parts(&self) -> impl Iterator<Item = &MemoryPart> + Clone {
        self.parts.iter().filter_map(|part| memory(part))
    }

    /// Adds one commit.
    pub(crate) fn push(&mut self, part: Option<MemoryPart>, ledger: LedgerDelta, end: u64) {
        if let Some(part) = part {
            self.rows += part.batch().num_rows();
            self.part_bytes += part.bytes();
            self.parts.push(Arc::new(Part::Memory(part)));
        }
        self.ledger_bytes += ledger.bytes();
        self.ledger.merge(ledger);
        self.end = self.end.max(end);
    }

    /// Adds what came later; this is the older one.
    pub(crate) fn append(&mut self, later: Self) {
        self.parts.extend(later.parts);
        self.ledger.merge(later.ledger);
        self.links.append(later.links);
        self.lost.extend(later.lost);
        self.rows += later.rows;
        self.part_bytes += later.part_bytes;
        self.ledger_bytes += later.ledger_bytes;
        self.end = self.end.max(later.end);
    }

    /// The parts of the smallest size class that is full, if any.
    pub(crate) fn to_merge(&self) -> Option<Vec<Arc<Part>>> {
        let mut class_rows = SMALL_PART_ROWS;
        while class_rows <= LARGE_PART_ROWS {
            let of_class: Vec<_> = self.parts.iter().filter(|part| (part.rows() as usize) < class_rows).cloned().collect();
            if of_class.len() >= MERGE_PARTS {
                return Some(of_class);
            }
            class_rows *= MERGE_PARTS;
        }
        None
    }

    /// Puts `merged` in the place of `parts`; false, and nothing changes, when they are not all here any more.
    pub(crate) fn replace(&mut self, parts: &[Arc<Part>], merged: MemoryPart) -> bool {
        let is_merged = |part: &Arc<Part>| parts.iter().any(|p| Arc::ptr_eq(p, part));
        if self.parts.iter().filter(|part| is_merged(part)).count() != parts.len() {
            return false;
        }
        self.part_bytes -= parts.iter().filter_map(|part| memory(part)).map(MemoryPart::bytes).sum::<usize>();
        self.part_bytes += merged.bytes();
        self.parts.retain(|part| !is_merged(part));
        self.parts.push(Arc::new(Part::Memory(merged)));
        true
    }
}

/// The part's rows, when it is in memory.
pub(crate) fn memory(part: &Arc<Part>) -> Option<&MemoryPart> {
    match &**part {
        Part::Memory(part) => Some(part),
        Part::Segment(_) => None,
    }
}
