//! What a segment of one app refers to by number, gathered from the rows that will be in it.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::{Schema, TimestampMillisecondType, UInt64Type};

use crate::columns;
use crate::segment::{IdTables, PersonGatherer, SessionGatherer};

/// The columns that tables are made of.
pub(crate) const ID_COLUMNS: [&str; 5] = [columns::PERSON, columns::TIME, columns::USER_ID, columns::ANONYMOUS_ID, columns::SESSION_ID];

/// These columns of some rows.
pub(crate) struct IdColumns<'b> {
    persons: &'b PrimitiveArray<UInt64Type>,
    times: &'b PrimitiveArray<TimestampMillisecondType>,
    user_ids: &'b StringArray,
    anonymous_ids: &'b StringArray,
    session_ids: &'b StringArray,
}

impl<'b> IdColumns<'b> {
    /// `None` where one is missing.
    pub(crate) fn of_batch(batch: &'b RecordBatch) -> Option<Self> {
        Self::find(&|name| batch.column_by_name(name))
    }

    /// `None` where one is missing.
    pub(crate) fn of_arrays(schema: &Schema, arrays: &'b [Option<ArrayRef>]) -> Option<Self> {
        Self::find(&|name| arrays.get(schema.index_of(name).ok()?)?.as_ref())
    }

    fn find(column: &dyn Fn(&str) -> Option<&'b ArrayRef>) -> Option<Self> {
        let text = |name| column(name)?.as_string_opt::<i32>();
        Some(Self {
            persons: column(columns::PERSON)?.as_primitive_opt()?,
            times: column(columns::TIME)?.as_primitive_opt()?,
            user_ids: text(columns::USER_ID)?,
            anonymous_ids: text(columns::ANONYMOUS_ID)?,
            session_ids: text(columns::SESSION_ID)?,
        })
    }

    fn rows(&self) -> usize {
        self.persons.len()
    }
}

/// Gathers the tables of a segment.
#[derive(Default)]
pub(crate) struct IdGatherer {
    persons: PersonGatherer,
    sessions: SessionGatherer,
}

impl IdGatherer {
    pub(crate) fn add(&mut self, ids: &IdColumns<'_>, row: usize) {
        let person = ids.persons.is_valid(row).then(|| ids.persons.value(row));
        if let Some(key) = person {
            let of_person = if ids.user_ids.is_valid(row) { ids.user_ids } else { ids.anonymous_ids };
            self.persons.add(key, of_person.value(row));
        }
        if ids.session_ids.is_valid(row) {
            self.sessions.add(person, ids.times.value(row), ids.session_ids.value(row));
        }
    }

    pub(crate) fn add_all(&mut self, ids: &IdColumns<'_>) {
        (0..ids.rows()).for_each(|row| self.add(ids, row));
    }

    /// The tables; `None` where there can be none.
    pub(crate) fn finish(self) -> Option<IdTables> {
        Some(IdTables { persons: self.persons.finish()?, sessions: self.sessions.finish() })
    }
}
