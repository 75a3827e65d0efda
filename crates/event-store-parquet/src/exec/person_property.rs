//! Properties of persons: the latest value that an `$identify` or `$set` event gave each person.

use std::sync::Arc;

use event::AppId;
use event_store::{Field, QueryError, ScanStats};
use rustc_hash::FxHashMap;

use super::column::{Batch, Fields};
use super::overflow;
use super::scan::{Query, Reserved};
use super::value::{OwnedScalar, Scalar, compare_values};
use super::value_table::{ENTRY_BYTES, ValueTable};
use crate::columns::{self, ColumnRequest};
use crate::part::ScanRequest;

/// The property whose members are set beside the event's own properties, as PostHog's and Mixpanel's SDKs send them.
const SET_OBJECT: &str = "$set";

/// One property of all persons of an app.
pub(super) struct PersonProperty {
    codes: FxHashMap<u64, u32>,
    values: ValueTable,
    _memory: Reserved,
}

/// A value with its place in time; the largest wins, ties by value so that the order of rows decides nothing.
struct Setting {
    time_ms: i64,
    received_at_ms: i64,
    code: u32,
}

impl PersonProperty {
    /// Reads the tables of all person properties among `fields`, and gives them to `fields`.
    ///
    /// # Errors
    /// [`QueryError::Memory`] when the tables pass the query's budget; those of a scan.
    pub(super) fn load_all(query: &Query<'_>, app: &AppId, fields: &mut Fields) -> Result<ScanStats, QueryError> {
        let mut stats = ScanStats::default();
        let mut tables = Vec::new();
        for name in fields.person_properties() {
            tables.push(Arc::new(Self::load(query, app, &name, &mut stats)?));
        }
        fields.set_person_properties(tables);
        Ok(stats)
    }

    fn load(query: &Query<'_>, app: &AppId, name: &str, stats: &mut ScanStats) -> Result<Self, QueryError> {
        let mut fields = Fields::default();
        let property = fields.add(&Field::Property(name.to_string()));
        let set_object = fields.add(&Field::Property(SET_OBJECT.to_string()));
        let received_at = fields.add(&Field::ReceivedAt);
        let mut requests = fields.requests();
        requests.extend([ColumnRequest::Fixed(columns::PERSON), ColumnRequest::Fixed(columns::TIME)]);
        let events = ["$identify".to_string(), "$set".to_string()];
        let request = ScanRequest { app, from_ms: i64::MIN, to_ms: i64::MAX, events: Some(&events), columns: &requests };

        let mut values = ValueTable::default();
        values.intern(Scalar::Null);
        let mut settings: FxHashMap<u64, Setting> = FxHashMap::default();
        let mut memory = Reserved::new(query.context);
        query.snapshot.scan(&request, query.context, stats, &mut |batch| {
            let batch = Batch::new(&batch, &fields);
            let (persons, nulls) = batch.persons();
            let known = settings.len();
            let mut bytes = 0;
            for row in (0..batch.rows()).filter(|&row| nulls.is_none_or(|nulls| nulls.is_valid(row))) {
                let member = set_member(batch.column(set_object).get(row), name);
                let value = if member == OwnedScalar::Null { batch.column(property).get(row) } else { member.as_scalar() };
                if value.is_null() {
                    continue;
                }
                let (code, new) = values.intern(value);
                bytes += if new { ENTRY_BYTES + values_text_bytes(value) } else { 0 };
                let received_at_ms = match batch.column(received_at).get(row) {
                    Scalar::Int(ms) => ms,
                    _ => i64::MIN,
                };
                let setting = Setting { time_ms: batch.times()[row], received_at_ms, code };
                keep_latest(&mut settings, persons[row], setting, &values);
            }
            memory.grow(bytes + (settings.len() - known) * ENTRY_BYTES)
        })?;
        let codes = settings.into_iter().map(|(person, setting)| (person, setting.code)).collect();
        Ok(Self { codes, values, _memory: memory })
    }

    /// The code of a person's value, 0 where there is none.
    pub(super) fn code(&self, person: Option<u64>) -> u32 {
        person.and_then(|person| self.codes.get(&person).copied()).unwrap_or(0)
    }

    /// The value of a code.
    pub(super) fn value(&self, code: u32) -> Scalar<'_> {
        self.values.get(code)
    }
}

fn values_text_bytes(value: Scalar<'_>) -> usize {
    match value {
        Scalar::Str(text) | Scalar::Json(text) => text.len(),
        _ => 0,
    }
}

fn set_member(set_object: Scalar<'_>, name: &str) -> OwnedScalar {
    match set_object {
        Scalar::Json(json) => overflow::read_scalars(json, &[name]).pop().unwrap_or(OwnedScalar::Null),
        _ => OwnedScalar::Null,
    }
}

fn keep_latest(settings: &mut FxHashMap<u64, Setting>, person: u64, new: Setting, values: &ValueTable) {
    match settings.entry(person) {
        std::collections::hash_map::Entry::Vacant(entry) => {
            entry.insert(new);
        }
        std::collections::hash_map::Entry::Occupied(mut entry) => {
            let old = entry.get();
            let order = (new.time_ms, new.received_at_ms).cmp(&(old.time_ms, old.received_at_ms));
            let order = order.then_with(|| compare_values(&values.get(new.code).to_value(), &values.get(old.code).to_value()));
            if order.is_gt() {
                entry.insert(new);
            }
        }
    }
}
