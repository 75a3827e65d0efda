//! What is known of each person, beside its events: the latest value of a property that an `$identify` or `$set` event gave, and
//! whether it is in a segment.

use std::sync::Arc;

use arrow::array::{Array, UInt64Array};
use event::AppId;
use event_store::{Field, QueryError, ScanStats};
use rustc_hash::FxHashMap;

use super::batch::{Batch, Fields, Persons};
use super::column::Column;
use super::column_scan::Reading;
use super::comparison::Comparison;
use super::overflow;
use super::scan::{Query, Reserved};
use super::segment::Members;
use super::value::{OwnedScalar, Scalar, compare_values};
use super::value_table::{ENTRY_BYTES, ValueTable};
use crate::columns::{self, ColumnRequest};
use crate::part::ScanRequest;

/// The property whose members are set beside the event's own properties, as PostHog's and Mixpanel's SDKs send them.
const SET_OBJECT: &str = "$set";

/// What a field of persons is read from.
pub(super) enum PersonTable {
    /// A property.
    Property(Arc<PersonProperty>),
    /// Who is in a segment.
    Members(Arc<Members>),
}

impl PersonTable {
    /// The values in the rows of these persons.
    pub(super) fn column(&self, persons: &Persons, rows: usize) -> Column {
        match self {
            Self::Property(table) => Column::Person { codes: table.codes_of(persons, rows), table: table.clone() },
            Self::Members(members) => Column::Member(members.codes(persons, rows)),
        }
    }
}

/// One property of all persons of an app.
pub(super) struct PersonProperty {
    codes: FxHashMap<u64, u32>,
    /// By ordinal, where persons are ordinals; those beyond its end have no value.
    by_ordinal: Vec<u32>,
    values: ValueTable,
    memory: Reserved,
}

/// A value with its place in time; the largest wins, ties by value so that the order of rows decides nothing.
struct Setting {
    time_ms: i64,
    received_at_ms: i64,
    code: u32,
}

impl PersonProperty {
    /// Reads the tables of all fields among `fields` whose values are of persons, and gives them to `fields`: by ordinal where
    /// `reading` has them, else by key. A segment that the question has asked for before is not read again.
    ///
    /// # Errors
    /// [`QueryError::Memory`] when the tables pass the query's budget; those of a scan.
    pub(super) fn load_all(
        query: &Query<'_>,
        app: &AppId,
        fields: &mut Fields,
        reading: Option<&Reading>,
    ) -> Result<ScanStats, QueryError> {
        let mut stats = ScanStats::default();
        let mut by_key = None;
        for (field, slot) in fields.tables_mut() {
            let table = match field {
                Field::UserProperty(name) => PersonTable::Property(Arc::new(Self::load(query, app, name, i64::MAX, reading, &mut stats)?)),
                Field::InSegment(segment) => {
                    let reading = match reading {
                        Some(reading) => reading,
                        None => by_key.get_or_insert_with(|| Reading::of_keys(query, app)),
                    };
                    PersonTable::Members(Members::find(query, app, segment, reading, &mut stats)?)
                }
                _ => continue,
            };
            *slot = Some(table);
        }
        Ok(stats)
    }

    /// Reads one property as it was set before `before_ms`.
    ///
    /// # Errors
    /// As for [`PersonProperty::load_all`].
    pub(super) fn load(
        query: &Query<'_>,
        app: &AppId,
        name: &str,
        before_ms: i64,
        reading: Option<&Reading>,
        stats: &mut ScanStats,
    ) -> Result<Self, QueryError> {
        let mut table = Self::read(query, app, name, before_ms, stats)?;
        if let Some(reading) = reading.filter(|reading| reading.has_ordinals()) {
            table.place_by_ordinal(reading)?;
        }
        Ok(table)
    }

    fn read(query: &Query<'_>, app: &AppId, name: &str, before_ms: i64, stats: &mut ScanStats) -> Result<Self, QueryError> {
        let mut fields = Fields::default();
        let property = fields.add(&Field::Property(name.to_string()));
        let set_object = fields.add(&Field::Property(SET_OBJECT.to_string()));
        let received_at = fields.add(&Field::ReceivedAt);
        let mut requests = fields.requests();
        requests.extend([ColumnRequest::Fixed(columns::PERSON), ColumnRequest::Fixed(columns::TIME)]);
        let events = ["$identify".to_string(), "$set".to_string()];
        let request = ScanRequest { app, from_ms: i64::MIN, to_ms: before_ms, events: Some(&events), columns: &requests };

        let identity = query.snapshot.identity(app);
        let mut values = ValueTable::default();
        values.intern(Scalar::Null);
        let mut settings: FxHashMap<u64, Setting> = FxHashMap::default();
        let mut memory = Reserved::new(query.context);
        query.snapshot.scan(&request, query.context, stats, &mut |batch| {
            let batch = Batch::of_record_batch(&batch, &fields, &identity);
            let Persons::Keys(persons) = batch.persons() else { return Ok(()) };
            let known = settings.len();
            let mut bytes = 0;
            for row in (0..batch.rows()).filter(|&row| persons.is_valid(row)) {
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
                let setting = Setting { time_ms: batch.time(row), received_at_ms, code };
                keep_latest(&mut settings, persons.value(row), setting, &values);
            }
            memory.grow(bytes + (settings.len() - known) * ENTRY_BYTES)
        })?;
        let codes = settings.into_iter().map(|(person, setting)| (person, setting.code)).collect();
        Ok(Self { codes, by_ordinal: Vec::new(), values, memory })
    }

    fn place_by_ordinal(&mut self, reading: &Reading) -> Result<(), QueryError> {
        let mut settings: Vec<(u64, u32)> = self.codes.drain().collect();
        settings.sort_unstable();
        let keys: UInt64Array = settings.iter().map(|&(key, _)| Some(key)).collect();
        let ordinals = reading.space.persons().number(&keys).ok_or_else(|| reading.persons_full())?;
        let length = ordinals.iter().max().map_or(0, |&largest| largest as usize + 1);
        self.memory.grow(length * size_of::<u32>())?;
        self.by_ordinal = vec![0; length];
        ordinals.into_iter().zip(settings).for_each(|(ordinal, (_, code))| self.by_ordinal[ordinal as usize] = code);
        Ok(())
    }

    /// The code of each person's value, 0 where there is none.
    pub(super) fn codes_of(&self, persons: &Persons, rows: usize) -> Vec<u32> {
        match persons {
            Persons::None => vec![0; rows],
            Persons::Keys(keys) => self.codes_of_keys(keys),
            Persons::Ordinals(ordinals) => {
                ordinals.values.iter().map(|&ordinal| self.by_ordinal.get(ordinal as usize).copied().unwrap_or(0)).collect()
            }
        }
    }

    /// As [`PersonProperty::codes_of`].
    pub(super) fn codes_of_keys(&self, keys: &UInt64Array) -> Vec<u32> {
        keys.iter().map(|key| key.and_then(|key| self.codes.get(&key).copied()).unwrap_or(0)).collect()
    }

    /// The persons for whose value the comparison holds, ordinals where there are some, else keys, ascending; with `true`, the others.
    pub(super) fn persons_where(&self, comparison: &Comparison) -> (Vec<u64>, bool) {
        let holds: Vec<bool> = (0..self.values.len()).map(|code| comparison.holds(self.values.get(code as u32))).collect();
        // Whoever has no value is not in the table.
        let without = comparison.holds(Scalar::Null);
        let differs = |code: u32| code != 0 && holds[code as usize] != without;
        let by_ordinal = self.by_ordinal.iter().enumerate().filter(|(_, code)| differs(**code)).map(|(ordinal, _)| ordinal as u64);
        let by_key = self.codes.iter().filter(|(_, code)| differs(**code)).map(|(key, _)| *key);
        let mut persons: Vec<u64> = by_ordinal.chain(by_key).collect();
        persons.sort_unstable();
        (persons, without)
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
