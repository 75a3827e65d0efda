//! The sessions of segments' tables, by number: where each begins and its first match, without a list of its events.

use std::sync::Arc;

use event::session_key;
use event_store::{QueryContext, QueryError};

use crate::exec::pairs::PairList;
use crate::exec::scan::Reserved;
use crate::exec::timeline::Timeline;
use crate::segment::SegmentSessions;

/// What one thread has seen of sessions in segments that have tables of them.
pub(super) struct SessionTables {
    tables: Vec<TableSessions>,
    memory: Reserved,
    /// Most bytes of the tables; sessions of further ones go to the list.
    max_bytes: usize,
}

/// The sessions of one table.
pub(super) struct TableSessions {
    table: Arc<SegmentSessions>,
    /// By number.
    seen: Vec<Seen>,
}

#[derive(Clone, Copy)]
struct Seen {
    person: u64,
    /// The earliest event: a payload of [`Timeline`] without a label; [`NEVER`] before there is one.
    begin: u64,
    /// The earliest match, with its label.
    first_match: u64,
}

/// Of a table's sessions, the batch that makes room for them has at least one row for so many.
const LEAST_ROW_SHARE: usize = 64;
/// The share of a query's memory that the tables of all threads may take.
const MEMORY_SHARE: usize = 4;
const NEVER: u64 = u64::MAX;
const UNSEEN: Seen = Seen { person: 0, begin: NEVER, first_match: NEVER };

impl SessionTables {
    /// Of one of `threads` threads.
    pub(super) fn new(context: &QueryContext, threads: usize) -> Self {
        let max_bytes = context.memory.limit_bytes() / MEMORY_SHARE / threads.max(1);
        Self { tables: Vec::new(), memory: Reserved::new(context), max_bytes }
    }

    /// The sessions of a table; `None` where they should go to the list: there is no room for another table, or so few `rows` are read that it
    /// would be larger than their list.
    ///
    /// # Errors
    /// [`QueryError::Memory`]
    pub(super) fn of(&mut self, table: &Arc<SegmentSessions>, rows: usize) -> Result<Option<&mut TableSessions>, QueryError> {
        let at = match self.tables.iter().position(|known| Arc::ptr_eq(&known.table, table)) {
            Some(at) => at,
            None => {
                let sessions = table.hashes().len();
                let bytes = sessions * size_of::<Seen>();
                if rows * LEAST_ROW_SHARE < sessions || self.memory.bytes() + bytes > self.max_bytes {
                    return Ok(None);
                }
                self.memory.grow(bytes)?;
                self.tables.push(TableSessions { table: table.clone(), seen: vec![UNSEEN; sessions] });
                self.tables.len() - 1
            }
        };
        Ok(Some(&mut self.tables[at]))
    }

    /// Adds the moments that matter of every session to a list of them by session.
    ///
    /// # Errors
    /// [`QueryError::Memory`]
    pub(super) fn drain_into(mut self, list: &mut PairList) -> Result<(), QueryError> {
        for TableSessions { table, seen } in std::mem::take(&mut self.tables) {
            let hashes = table.hashes();
            let bytes = seen.len() * size_of::<Seen>();
            for (seen, &hash) in seen.iter().zip(hashes).filter(|(seen, _)| seen.begin != NEVER) {
                let key = session_key(seen.person, hash);
                let begins_with_match = seen.first_match != NEVER && Timeline::parts(seen.first_match).0 == Timeline::parts(seen.begin).0;
                if !begins_with_match {
                    list.push(key, seen.begin)?;
                }
                if seen.first_match != NEVER {
                    list.push(key, seen.first_match)?;
                }
            }
            drop(seen);
            self.memory.set(self.memory.bytes() - bytes)?;
        }
        Ok(())
    }
}

impl TableSessions {
    /// Takes an event of a person in a session: a payload of [`Timeline`] with label 0 where it is no match. False where it cannot be kept here: the
    /// session has another person, or another match at the same time.
    #[inline]
    pub(super) fn take(&mut self, number: usize, person: u64, payload: u64) -> bool {
        let seen = &mut self.seen[number];
        let (time, label) = Timeline::parts(payload);
        let begin = payload - u64::from(label);
        if seen.begin == NEVER {
            *seen = Seen { person, begin, first_match: if label == 0 { NEVER } else { payload } };
            return true;
        }
        if seen.person != person {
            return false;
        }
        seen.begin = seen.begin.min(begin);
        if label == 0 || seen.first_match == payload {
            return true;
        }
        match Timeline::parts(seen.first_match).0 {
            first if seen.first_match == NEVER || time < first => {
                seen.first_match = payload;
                true
            }
            first => time > first,
        }
    }
}
