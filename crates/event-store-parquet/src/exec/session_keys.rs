//! Keys of sessions with an id of the client's.

use event::{session_id_hash, session_key};

use super::column::Column;
use super::text::Text;
use super::value::Scalar;

/// The sessions of the rows of a batch.
///
/// Rows of one session lie one after the other, and ids of a segment's table have their hashes there: few have to be hashed.
pub(super) struct SessionKeys<'b> {
    /// `None` where the scan has no ids.
    ids: Option<&'b Column>,
    last: Option<Last>,
}

/// The session of the row before.
#[derive(Clone, Copy)]
struct Last {
    person: u64,
    code: usize,
    key: u64,
}

impl<'b> SessionKeys<'b> {
    pub(super) fn new(ids: Option<&'b Column>) -> Self {
        Self { ids, last: None }
    }

    /// Whether the row has a session id.
    #[inline]
    pub(super) fn is_set(&self, row: usize) -> bool {
        match self.ids {
            None | Some(Column::Absent) => false,
            Some(Column::Text(text)) => text.code(row).is_some(),
            Some(ids) => matches!(ids.get(row), Scalar::Str(_)),
        }
    }

    /// The key of the row's session; `None` where it has no session id.
    #[inline]
    pub(super) fn key(&mut self, person: u64, row: usize) -> Option<u64> {
        match self.ids? {
            Column::Absent => None,
            Column::Text(text) => {
                let code = text.code(row)?;
                if let Some(last) = self.last.filter(|last| last.person == person && last.code == code) {
                    return Some(last.key);
                }
                let hash = match text {
                    Text::Sessions(ids) => ids.table.hashes()[code - 1],
                    other => session_id_hash(other.text(code)),
                };
                let key = session_key(person, hash);
                self.last = Some(Last { person, code, key });
                Some(key)
            }
            ids => match ids.get(row) {
                Scalar::Str(id) => Some(session_key(person, session_id_hash(id))),
                _ => None,
            },
        }
    }
}
