//! Whether a segment holds rows that it must not hold: for `throng check`.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMillisecondType, UInt64Type};

use super::person::id_hash;
use super::tombstones::Tombstones;
use crate::columns;
use crate::hidden::HiddenRows;

impl Tombstones {
    /// Rows of deleted persons in a batch that begins at `first_row` of its segment and are not hidden there.
    pub(crate) fn left_in(&self, batch: &RecordBatch, first_row: usize, hidden: &HiddenRows) -> usize {
        let names = [columns::APP, columns::PERSON, columns::RECEIVED_AT, columns::USER_ID, columns::ANONYMOUS_ID];
        let [Some(apps), Some(persons), Some(received), Some(users), Some(anonymous)] = names.map(|name| batch.column_by_name(name)) else {
            return 0;
        };
        if self.persons() == 0 {
            return 0;
        }
        let apps = apps.as_dictionary::<Int32Type>();
        let of_code: Vec<_> = apps.values().as_string::<i32>().iter().map(|app| app.and_then(|app| self.of_app(app))).collect();
        let (persons, received) = (persons.as_primitive::<UInt64Type>(), received.as_primitive::<TimestampMillisecondType>());
        let (users, anonymous) = (users.as_string::<i32>(), anonymous.as_string::<i32>());
        let is_left = |&row: &usize| {
            let of_key = of_code[apps.keys().value(row) as usize].and_then(|of_app| of_app.get(&persons.value(row)));
            let id = [users, anonymous].into_iter().find(|ids| ids.is_valid(row)).map(|ids| id_hash(ids.value(row)));
            let deleted = of_key.is_some_and(|of_key| {
                of_key.iter().any(|tombstone| Some(tombstone.id) == id && received.value(row) <= tombstone.requested_at_ms)
            });
            deleted && !hidden.visible_in(first_row + row..first_row + row + 1).is_empty()
        };
        (0..batch.num_rows()).filter(|&row| persons.is_valid(row)).filter(is_left).count()
    }
}
