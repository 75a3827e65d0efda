//! The newest records, kept in memory so that a reader at the end never touches the disk.

use crate::log::{Offset, Record};
use bytes::Bytes;
use std::collections::VecDeque;

/// Where on disk reading goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// First offset of the segment.
    pub(super) segment: Offset,
    /// Byte in the segment's file.
    pub(super) position: u64,
}

struct Entry {
    payload: Bytes,
    /// The place just behind the record, so that a reader that falls out of the window can go on from the file.
    behind: Place,
}

/// Invariant: entries are consecutive records, the first has offset `first`, and their payloads sum up to `bytes`.
pub(super) struct Recent {
    first: Offset,
    entries: VecDeque<Entry>,
    bytes: usize,
    max_bytes: usize,
}

/// Fixed cost of an entry, so that empty payloads are bounded too.
const ENTRY_BYTES: usize = size_of::<Entry>();

impl Recent {
    pub(super) fn new(end: Offset, max_bytes: usize) -> Self {
        Self { first: end, entries: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// Adds the record at the end and forgets the oldest ones beyond the bound.
    pub(super) fn push(&mut self, payload: Bytes, behind: Place) {
        self.bytes += payload.len() + ENTRY_BYTES;
        self.entries.push_back(Entry { payload, behind });
        while self.bytes > self.max_bytes {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.payload.len() + ENTRY_BYTES;
            self.first += 1;
        }
    }

    /// The records from `offset` on, at least one and about `max_bytes`, and the place behind them; nothing when `offset` is not held.
    pub(super) fn read(&self, offset: Offset, max_bytes: usize) -> Option<(Vec<Record>, Place)> {
        let skip = usize::try_from(offset.checked_sub(self.first)?).ok()?;
        let mut behind = self.entries.get(skip)?.behind;
        let mut records = Vec::new();
        let mut bytes = 0;
        for (entry, offset) in self.entries.range(skip..).zip(offset..) {
            if bytes > 0 && bytes + entry.payload.len() > max_bytes {
                break;
            }
            bytes += entry.payload.len();
            behind = entry.behind;
            records.push(Record { offset, payload: entry.payload.clone() });
        }
        Some((records, behind))
    }
}
