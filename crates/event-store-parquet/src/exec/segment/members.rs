//! Who is in a segment, as rows are asked.

use std::sync::Arc;

use event::AppId;
use event_store::{QueryError, ScanStats, Segment};

use super::find::Finder;
use super::set::PersonSet;
use crate::decoded::NO_PERSON;
use crate::exec::batch::Persons;
use crate::exec::column_scan::Reading;
use crate::exec::scan::Query;
use crate::exec::value::Scalar;

/// Codes of what a row is told about its person.
pub(in crate::exec) const NOBODY: u8 = 0;
const OUTSIDE: u8 = 1;
const INSIDE: u8 = 2;

/// The persons of one segment.
pub(in crate::exec) struct Members(PersonSet);

impl Members {
    /// Finds them, once for a question: what its reading has found before is given again.
    ///
    /// # Errors
    /// [`QueryError::Memory`], [`QueryError::Invalid`]; those of a scan.
    pub(in crate::exec) fn find(
        query: &Query<'_>,
        app: &AppId,
        segment: &Arc<Segment>,
        reading: &Reading,
        stats: &mut ScanStats,
    ) -> Result<Arc<Self>, QueryError> {
        if let Some(known) = reading.members_of(segment) {
            return Ok(known);
        }
        let members = Arc::new(Self(Finder::new(query, app, reading, stats).find(segment)?));
        reading.keep_members(segment.clone(), members.clone());
        Ok(members)
    }

    pub(super) fn set(&self) -> &PersonSet {
        &self.0
    }

    /// The code of each row; [`Members::value`] is what it means.
    pub(in crate::exec) fn codes(&self, persons: &Persons, rows: usize) -> Vec<u8> {
        let code = |is_member: bool| if is_member { INSIDE } else { OUTSIDE };
        match persons {
            Persons::None => vec![NOBODY; rows],
            Persons::Ordinals(ordinals) => {
                let of_person = |&ordinal: &u32| if ordinal == NO_PERSON { NOBODY } else { code(self.0.has_ordinal(ordinal)) };
                ordinals.values.iter().map(of_person).collect()
            }
            Persons::Keys(keys) => {
                // Rows come by person: a key is often that of the row before.
                let mut last: Option<(u64, u8)> = None;
                let mut of_key = |key: u64| match last {
                    Some((known, code)) if known == key => code,
                    _ => last.insert((key, code(self.0.has_key(key)))).1,
                };
                keys.iter().map(|key| key.map_or(NOBODY, &mut of_key)).collect()
            }
        }
    }

    /// The value of a code: null, false or true.
    pub(in crate::exec) fn value(code: u8) -> Scalar<'static> {
        match code {
            NOBODY => Scalar::Null,
            code => Scalar::Bool(code == INSIDE),
        }
    }
}
