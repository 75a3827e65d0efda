//! A batch of rows with the columns of a plan's fields.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{FieldRef, TimestampMillisecondType, UInt64Type};
use event_store::Field;

use super::column::{Column, PropertyColumn};
use super::column_scan::Reading;
use super::overflow;
use super::person_property::PersonTable;
use super::text::Text;
use super::value::OwnedScalar;
use crate::columns::{self, ColumnRequest, PropertyKind, parse_property_column, property_column};
use crate::decoded::{CanonicalOrdinals, Decoded, NO_PERSON, Ordinals, SharedText, Times};
use crate::identity::Identity;

/// The distinct fields of a plan; a position stands for a field.
#[derive(Default)]
pub(super) struct Fields {
    entries: Vec<(Field, Option<PersonTable>)>,
}

impl Fields {
    /// The position of a field, new or known.
    pub(super) fn add(&mut self, field: &Field) -> usize {
        self.entries.iter().position(|(known, _)| known == field).unwrap_or_else(|| {
            self.entries.push((field.clone(), None));
            self.entries.len() - 1
        })
    }

    /// The fields with their tables, to be filled where the value is one of the person.
    pub(super) fn tables_mut(&mut self) -> impl Iterator<Item = (&Field, &mut Option<PersonTable>)> {
        self.entries.iter_mut().map(|(field, table)| (&*field, table))
    }

    /// Whether the event name is among the fields.
    pub(super) fn has_event(&self) -> bool {
        self.entries.iter().any(|(field, _)| *field == Field::Event)
    }

    /// What a scan has to read for the fields.
    pub(super) fn requests(&self) -> Vec<ColumnRequest> {
        self.entries.iter().map(|(field, _)| request(field)).collect()
    }

    /// As [`Fields::requests`], for those at these positions.
    pub(super) fn requests_of(&self, positions: &[usize]) -> Vec<ColumnRequest> {
        positions.iter().map(|&position| request(&self.entries[position].0)).collect()
    }

    /// The properties of events among the fields.
    fn property_names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|(field, _)| match field {
            Field::Property(name) => Some(name.as_str()),
            _ => None,
        })
    }
}

fn request(field: &Field) -> ColumnRequest {
    match field {
        Field::Property(name) => ColumnRequest::Property(name.clone()),
        other => ColumnRequest::Fixed(fixed_column(other)),
    }
}

/// The stored column a field that is no property is read from.
fn fixed_column(field: &Field) -> &'static str {
    match field {
        Field::Event => columns::EVENT,
        Field::UserId => columns::USER_ID,
        Field::AnonymousId => columns::ANONYMOUS_ID,
        Field::SessionId => columns::SESSION_ID,
        Field::InsertId => columns::INSERT_ID,
        Field::Time => columns::TIME,
        Field::ReceivedAt => columns::RECEIVED_AT,
        Field::Property(_) | Field::UserProperty(_) | Field::InSegment(_) => columns::PERSON,
    }
}

/// The persons of a batch.
pub(super) enum Persons {
    /// No row has one, or they were not asked for.
    None,
    /// By key.
    Keys(UInt64Array),
    /// By ordinal.
    Ordinals(Ordinals),
}

impl Persons {
    /// Whether a row has a person.
    #[inline]
    pub(super) fn is_set(&self, row: usize) -> bool {
        match self {
            Self::None => false,
            Self::Keys(keys) => keys.is_valid(row),
            Self::Ordinals(ordinals) => ordinals.values[row] != NO_PERSON,
        }
    }
}

impl Persons {
    /// By the keys that these count as.
    pub(super) fn of_keys(keys: &UInt64Array, identity: &Identity) -> Self {
        if identity.is_empty() {
            return Self::Keys(keys.clone());
        }
        let mut last: Option<(u64, u64)> = None;
        let mut canonical = |&key: &u64| match last {
            Some((known, canonical)) if known == key => canonical,
            _ => last.insert((key, identity.canonical(key))).1,
        };
        Self::Keys(UInt64Array::new(keys.values().iter().map(&mut canonical).collect(), keys.nulls().cloned()))
    }

    /// Calls `each` with every row that has a person, and the person's key.
    ///
    /// # Errors
    /// The first of `each`.
    pub(super) fn try_for_each_key<E>(&self, reading: &Reading, mut each: impl FnMut(usize, u64) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::None => Ok(()),
            Self::Keys(keys) => (0..keys.len()).filter(|&row| keys.is_valid(row)).try_for_each(|row| each(row, keys.value(row))),
            Self::Ordinals(ordinals) => reading.space.persons().with_keys(|keys| {
                let mut rows = ordinals.values.iter().enumerate().filter(|(_, ordinal)| **ordinal != NO_PERSON);
                rows.try_for_each(|(row, &ordinal)| each(row, keys[ordinal as usize]))
            }),
        }
    }
}

/// One batch of a scan with the columns of a plan's fields.
pub(super) struct Batch {
    rows: usize,
    columns: Vec<Column>,
    times: Option<Times>,
    /// As they were read.
    own: Persons,
    /// What makes persons of them, where that has to be done.
    canonical: Option<Arc<CanonicalOrdinals>>,
    persons: OnceLock<Persons>,
    span_ms: Option<(i64, i64)>,
}

impl Batch {
    /// Looks the fields up in what a part gave. Overflow objects are parsed once, for all properties that may be in them.
    pub(super) fn of_record_batch(batch: &RecordBatch, fields: &Fields, identity: &Identity) -> Self {
        let overflow = batch.column_by_name(columns::OVERFLOW).map(|column| column.as_string::<i32>());
        let overflow = OverflowValues::read(overflow, fields);
        let person = batch.column_by_name(columns::PERSON).map(|person| person.as_primitive::<UInt64Type>());
        let persons = person.map_or(Persons::None, |person| Persons::of_keys(person, identity));
        let columns = fields.entries.iter().map(|(field, table)| match field {
            Field::Property(name) => {
                let mut column = PropertyColumn { overflow: overflow.get(name), ..PropertyColumn::default() };
                let stored = PropertyKind::ALL.into_iter().filter_map(|kind| batch.column_by_name(&property_column(kind, name)));
                stored.for_each(|array| column.set_array(array));
                column.simplify()
            }
            Field::UserProperty(_) | Field::InSegment(_) => match (&persons, table) {
                (Persons::Keys(_), Some(table)) => table.column(&persons, batch.num_rows()),
                _ => Column::Absent,
            },
            other => batch.column_by_name(fixed_column(other)).map_or(Column::Absent, Column::array),
        });
        let columns = columns.collect();
        let time = batch.column_by_name(columns::TIME);
        Self {
            rows: batch.num_rows(),
            columns,
            times: time.map(|time| Times::Far(time.as_primitive::<TimestampMillisecondType>().values().clone())),
            own: persons,
            canonical: None,
            persons: OnceLock::new(),
            span_ms: None,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn column(&self, field: usize) -> &Column {
        &self.columns[field]
    }

    /// The time of a row; the scan must have read times.
    #[inline]
    pub(super) fn time(&self, row: usize) -> i64 {
        self.times.as_ref().map_or(i64::MIN, |times| times.get(row))
    }

    /// The persons; the scan must have read them.
    #[inline]
    pub(super) fn persons(&self) -> &Persons {
        match (&self.canonical, &self.own) {
            (Some(canonical), Persons::Ordinals(own)) => self.persons.get_or_init(|| Persons::Ordinals(canonical.apply(own))),
            _ => &self.own,
        }
    }

    /// Two times between which all are, where that is known without looking.
    pub(super) fn span_ms(&self) -> Option<(i64, i64)> {
        self.span_ms
    }
}

/// Where the columns of a plan are among those that were read of a part.
pub(super) struct Places {
    fields: Vec<FieldPlace>,
    time: Option<usize>,
    person: Option<usize>,
    event: Option<usize>,
    overflow: Option<usize>,
}

enum FieldPlace {
    Event,
    Person,
    Fixed(Option<usize>),
    Property(Vec<usize>),
}

impl Places {
    /// `read` are the columns in the order in which they come.
    pub(super) fn new(fields: &Fields, read: &[FieldRef]) -> Self {
        let place = |name: &str| read.iter().position(|column| column.name() == name);
        let of_property = |property: &str| {
            let is_of = |column: &FieldRef| parse_property_column(column.name()).is_some_and(|(_, name)| name == property);
            (0..read.len()).filter(|&i| is_of(&read[i])).collect()
        };
        let of_field = |(field, _): &(Field, _)| match field {
            Field::Event => FieldPlace::Event,
            Field::UserProperty(_) | Field::InSegment(_) => FieldPlace::Person,
            Field::Property(name) => FieldPlace::Property(of_property(name)),
            other => FieldPlace::Fixed(place(fixed_column(other))),
        };
        Self {
            fields: fields.entries.iter().map(of_field).collect(),
            time: place(columns::TIME),
            person: place(columns::PERSON),
            event: place(columns::EVENT),
            overflow: place(columns::OVERFLOW),
        }
    }

    /// The place of the events' names.
    pub(super) fn event(&self) -> Option<usize> {
        self.event
    }
}

/// Rows of one block that a batch is made of.
pub(super) struct BatchRows<'b> {
    /// The block's columns in the order of [`Places::new`].
    pub(super) columns: &'b [Decoded],
    /// Rows of the block.
    pub(super) rows: Range<usize>,
    /// The name of all events, where it is one.
    pub(super) event: Option<&'b EventName>,
    /// Every time is between these.
    pub(super) span_ms: (i64, i64),
}

/// An event name with its code.
pub(super) struct EventName {
    pub(super) name: Arc<str>,
    /// `None` where there are no codes left.
    pub(super) text: Option<SharedText>,
}

impl EventName {
    fn column(&self) -> Column {
        match &self.text {
            Some(text) => Column::Text(Text::Shared(text.clone())),
            None => Column::Constant(self.name.clone()),
        }
    }
}

impl BatchRows<'_> {
    fn decoded(&self, place: Option<usize>) -> Decoded {
        place.and_then(|place| self.columns.get(place)).map_or(Decoded::Absent, |column| column.slice(self.rows.clone()))
    }

    /// The batch. Overflow objects are parsed once, for all properties that may be in them.
    pub(super) fn batch(&self, fields: &Fields, places: &Places, reading: &Reading) -> Batch {
        let overflow = match self.decoded(places.overflow) {
            Decoded::Array(array) => OverflowValues::read(array.as_string_opt::<i32>(), fields),
            _ => OverflowValues::default(),
        };
        let persons = match self.decoded(places.person) {
            Decoded::Persons(ordinals) => Persons::Ordinals(ordinals),
            Decoded::Array(array) => array.as_primitive_opt::<UInt64Type>().map_or(Persons::None, |keys| Persons::Keys(keys.clone())),
            _ => Persons::None,
        };
        let own = match persons {
            Persons::Keys(keys) => Persons::of_keys(&keys, &reading.identity),
            persons => persons,
        };
        let times = match self.decoded(places.time) {
            Decoded::Times(times) => Some(times),
            _ => None,
        };
        let canonical = reading.canonical.clone();
        let mut batch = Batch {
            rows: self.rows.len(),
            columns: Vec::new(),
            times,
            own,
            canonical,
            persons: OnceLock::new(),
            span_ms: Some(self.span_ms),
        };
        let column = |((field, table), place): (&(Field, Option<PersonTable>), &FieldPlace)| match place {
            FieldPlace::Event => self.event.map_or_else(|| Column::decoded(self.decoded(places.event)), EventName::column),
            FieldPlace::Fixed(place) => Column::decoded(self.decoded(*place)),
            FieldPlace::Person => table.as_ref().map_or(Column::Absent, |table| table.column(batch.persons(), self.rows.len())),
            FieldPlace::Property(places) => {
                let name = if let Field::Property(name) = field { name } else { "" };
                let mut column = PropertyColumn { overflow: overflow.get(name), ..PropertyColumn::default() };
                places.iter().for_each(|&place| column.set(self.decoded(Some(place))));
                column.simplify()
            }
        };
        let columns = fields.entries.iter().zip(&places.fields).map(column).collect();
        batch.columns = columns;
        batch
    }
}

/// Values of overflow objects by property name.
#[derive(Default)]
struct OverflowValues {
    by_name: Vec<(String, Arc<[OwnedScalar]>)>,
}

impl OverflowValues {
    fn read(overflow: Option<&StringArray>, fields: &Fields) -> Self {
        let names: Vec<&str> = fields.property_names().collect();
        let overflow = overflow.filter(|column| !names.is_empty() && column.null_count() < column.len());
        let Some(overflow) = overflow else { return Self::default() };
        let mut values = vec![vec![OwnedScalar::Null; overflow.len()]; names.len()];
        for (row, json) in overflow.iter().enumerate() {
            let Some(json) = json else { continue };
            overflow::read_members(json, &names, &mut |name, raw| values[name][row] = OwnedScalar::from_json(raw));
        }
        Self { by_name: names.into_iter().zip(values).map(|(name, values)| (name.to_string(), values.into())).collect() }
    }

    fn get(&self, name: &str) -> Option<Arc<[OwnedScalar]>> {
        self.by_name.iter().find(|(known, _)| known == name).map(|(_, values)| values.clone())
    }
}
