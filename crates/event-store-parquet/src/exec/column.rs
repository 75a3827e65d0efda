//! The fields of a plan as typed columns of one batch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimestampMillisecondType, UInt64Type};
use event_store::Field;

use super::comparison::Comparison;
use super::overflow;
use super::person_property::PersonProperty;
use super::value::{OwnedScalar, Scalar};
use crate::columns::{self, ColumnRequest, PropertyKind, property_column};

/// The distinct fields of a plan; a position stands for a field.
#[derive(Default)]
pub(super) struct Fields {
    entries: Vec<(Field, Option<Arc<PersonProperty>>)>,
}

impl Fields {
    /// The position of a field, new or known.
    pub(super) fn add(&mut self, field: &Field) -> usize {
        self.entries.iter().position(|(known, _)| known == field).unwrap_or_else(|| {
            self.entries.push((field.clone(), None));
            self.entries.len() - 1
        })
    }

    /// The person properties among the fields.
    pub(super) fn person_properties(&self) -> Vec<String> {
        let name = |(field, _): &(Field, _)| match field {
            Field::UserProperty(name) => Some(name.clone()),
            _ => None,
        };
        self.entries.iter().filter_map(name).collect()
    }

    /// Gives the person properties their tables, in the order of [`Fields::person_properties`].
    pub(super) fn set_person_properties(&mut self, tables: Vec<Arc<PersonProperty>>) {
        let of_persons = self.entries.iter_mut().filter(|(field, _)| matches!(field, Field::UserProperty(_)));
        of_persons.zip(tables).for_each(|((_, slot), table)| *slot = Some(table));
    }

    /// What a scan has to read for the fields.
    pub(super) fn requests(&self) -> Vec<ColumnRequest> {
        let request = |(field, _): &(Field, _)| match field {
            Field::Property(name) => ColumnRequest::Property(name.clone()),
            other => ColumnRequest::Fixed(fixed_column(other)),
        };
        self.entries.iter().map(request).collect()
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
        Field::Property(_) | Field::UserProperty(_) => columns::PERSON,
    }
}

/// One batch of a scan with the columns of a plan's fields.
pub(super) struct Batch {
    rows: usize,
    columns: Vec<Column>,
    times: Option<ScalarBuffer<i64>>,
    persons: Option<UInt64Array>,
}

impl Batch {
    /// Looks the fields up. Overflow objects are parsed once, for all properties that may be in them.
    pub(super) fn new(batch: &RecordBatch, fields: &Fields) -> Self {
        let overflow = OverflowValues::read(batch, fields);
        let columns = fields.entries.iter().map(|(field, table)| match field {
            Field::Property(name) => Column::property(batch, name, overflow.get(name)),
            Field::UserProperty(_) => table.as_ref().map_or(Column::Absent, |table| Column::person_property(batch, table)),
            other => Column::fixed(batch, fixed_column(other)),
        });
        let time = batch.column_by_name(columns::TIME);
        let person = batch.column_by_name(columns::PERSON);
        Self {
            rows: batch.num_rows(),
            columns: columns.collect(),
            times: time.map(|time| time.as_primitive::<TimestampMillisecondType>().values().clone()),
            persons: person.map(|person| person.as_primitive::<UInt64Type>().clone()),
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn column(&self, field: usize) -> &Column {
        &self.columns[field]
    }

    /// Event times; the scan must have requested them.
    pub(super) fn times(&self) -> &[i64] {
        self.times.as_deref().unwrap_or_default()
    }

    /// Person keys and which of them are set; the scan must have requested them.
    pub(super) fn persons(&self) -> (&[u64], Option<&NullBuffer>) {
        self.persons.as_ref().map_or((&[], None), |persons| (persons.values().as_ref(), persons.nulls()))
    }
}

/// Values of overflow objects by property name.
struct OverflowValues {
    by_name: Vec<(String, Arc<[OwnedScalar]>)>,
}

impl OverflowValues {
    fn read(batch: &RecordBatch, fields: &Fields) -> Self {
        let names: Vec<&str> = fields.entries.iter().filter_map(|(field, _)| property_name(field)).collect();
        let overflow = batch.column_by_name(columns::OVERFLOW).map(|column| column.as_string::<i32>());
        let Some(overflow) = overflow.filter(|column| !names.is_empty() && column.null_count() < column.len()) else {
            return Self { by_name: Vec::new() };
        };
        let mut values = vec![vec![OwnedScalar::Null; batch.num_rows()]; names.len()];
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

fn property_name(field: &Field) -> Option<&str> {
    match field {
        Field::Property(name) => Some(name),
        _ => None,
    }
}

/// Dictionary-encoded text of one batch.
pub(super) struct Dictionary {
    keys: Int32Array,
    values: ArrayRef,
}

impl Dictionary {
    fn new(column: &ArrayRef) -> Option<Self> {
        let dictionary = column.as_dictionary_opt::<Int32Type>()?;
        matches!(dictionary.values().data_type(), DataType::Utf8)
            .then(|| Self { keys: dictionary.keys().clone(), values: dictionary.values().clone() })
    }

    fn code(&self, row: usize) -> Option<usize> {
        (!self.keys.is_null(row)).then(|| self.keys.value(row) as usize)
    }

    fn text(&self, code: usize) -> &str {
        self.values.as_string::<i32>().value(code)
    }
}

/// What is known about each value of one dictionary, found out when first needed and kept while batches share the dictionary.
#[derive(Default)]
pub(super) struct DictionaryMemo {
    values: Option<ArrayRef>,
    /// By code; 0 is not known yet.
    known: Vec<u32>,
}

impl DictionaryMemo {
    fn attach(&mut self, dictionary: &Dictionary) {
        if !self.values.as_ref().is_some_and(|values| Arc::ptr_eq(values, &dictionary.values)) {
            self.known.clear();
            self.known.resize(dictionary.values.len(), 0);
            self.values = Some(dictionary.values.clone());
        }
    }
}

/// The values of one field in one batch.
pub(super) enum Column {
    /// Set in no row.
    Absent,
    /// Text, dictionary-encoded.
    Dictionary(Dictionary),
    /// Text, plain.
    Text(StringArray),
    /// Milliseconds.
    Time { values: ScalarBuffer<i64>, nulls: Option<NullBuffer> },
    /// A property: at most one of the places is set in a row.
    Property(Box<PropertyColumn>),
    /// A property of the person.
    Person { codes: Vec<u32>, table: Arc<PersonProperty> },
}

/// The places a property is stored in.
#[derive(Default)]
pub(super) struct PropertyColumn {
    text: Option<Dictionary>,
    number: Option<Float64Array>,
    integer: Option<Int64Array>,
    boolean: Option<BooleanArray>,
    overflow: Option<Arc<[OwnedScalar]>>,
}

impl PropertyColumn {
    /// The value unless it is dictionary-encoded text.
    fn rest(&self, row: usize) -> Scalar<'_> {
        if let Some(numbers) = self.number.as_ref().filter(|column| column.is_valid(row)) {
            return Scalar::Float(numbers.value(row));
        }
        if let Some(integers) = self.integer.as_ref().filter(|column| column.is_valid(row)) {
            return Scalar::Int(integers.value(row));
        }
        if let Some(booleans) = self.boolean.as_ref().filter(|column| column.is_valid(row)) {
            return Scalar::Bool(booleans.value(row));
        }
        self.overflow.as_ref().map_or(Scalar::Null, |values| values[row].as_scalar())
    }
}

impl Column {
    fn fixed(batch: &RecordBatch, name: &str) -> Self {
        let Some(column) = batch.column_by_name(name) else { return Self::Absent };
        if let Some(dictionary) = Dictionary::new(column) {
            return Self::Dictionary(dictionary);
        }
        if let Some(text) = column.as_string_opt::<i32>() {
            return Self::Text(text.clone());
        }
        column
            .as_primitive_opt::<TimestampMillisecondType>()
            .map_or(Self::Absent, |times| Self::Time { values: times.values().clone(), nulls: times.nulls().cloned() })
    }

    fn property(batch: &RecordBatch, name: &str, overflow: Option<Arc<[OwnedScalar]>>) -> Self {
        let stored = |kind| batch.column_by_name(&property_column(kind, name)).filter(|column| column.null_count() < column.len());
        let column = PropertyColumn {
            text: stored(PropertyKind::Text).and_then(Dictionary::new),
            number: stored(PropertyKind::Number).and_then(|c| c.as_primitive_opt::<Float64Type>().cloned()),
            integer: stored(PropertyKind::BigInt).and_then(|c| c.as_primitive_opt::<Int64Type>().cloned()),
            boolean: stored(PropertyKind::Bool).and_then(|c| c.as_boolean_opt().cloned()),
            overflow,
        };
        match column {
            PropertyColumn { text: None, number: None, integer: None, boolean: None, overflow: None } => Self::Absent,
            PropertyColumn { text: Some(text), number: None, integer: None, boolean: None, overflow: None } => Self::Dictionary(text),
            column => Self::Property(Box::new(column)),
        }
    }

    fn person_property(batch: &RecordBatch, table: &Arc<PersonProperty>) -> Self {
        let Some(persons) = batch.column_by_name(columns::PERSON) else { return Self::Absent };
        let codes = persons.as_primitive::<UInt64Type>().iter().map(|person| table.code(person)).collect();
        Self::Person { codes, table: table.clone() }
    }

    /// The value in a row.
    pub(super) fn get(&self, row: usize) -> Scalar<'_> {
        match self {
            Self::Absent => Scalar::Null,
            Self::Dictionary(dictionary) => dictionary.code(row).map_or(Scalar::Null, |code| Scalar::Str(dictionary.text(code))),
            Self::Text(text) => {
                if text.is_null(row) {
                    Scalar::Null
                } else {
                    Scalar::Str(text.value(row))
                }
            }
            Self::Time { values, nulls } => {
                if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                    Scalar::Null
                } else {
                    Scalar::Int(values[row])
                }
            }
            Self::Property(column) => match column.text.as_ref().and_then(|text| Some((text, text.code(row)?))) {
                Some((text, code)) => Scalar::Str(text.text(code)),
                None => column.rest(row),
            },
            Self::Person { codes, table } => table.value(codes[row]),
        }
    }

    /// The dictionary-encoded part of the column.
    fn dictionary(&self) -> Option<&Dictionary> {
        match self {
            Self::Dictionary(dictionary) => Some(dictionary),
            Self::Property(column) => column.text.as_ref(),
            _ => None,
        }
    }

    /// The value in a row whose dictionary-encoded text is not set.
    fn rest(&self, row: usize) -> Scalar<'_> {
        match self {
            Self::Dictionary(_) => Scalar::Null,
            Self::Property(column) => column.rest(row),
            other => other.get(row),
        }
    }

    /// A number per row where every value is a plain float: the common numeric property.
    pub(super) fn floats(&self) -> Option<&Float64Array> {
        match self {
            Self::Property(column) => match &**column {
                PropertyColumn { text: None, number, integer: None, boolean: None, overflow: None } => number.as_ref(),
                _ => None,
            },
            _ => None,
        }
    }

    /// The rows in which the comparison holds. It is evaluated once per dictionary value that occurs.
    pub(super) fn compare(&self, comparison: &Comparison, rows: usize, memo: &mut DictionaryMemo) -> BooleanBuffer {
        if matches!(self, Self::Absent) {
            return if comparison.holds(Scalar::Null) { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) };
        }
        let Some(dictionary) = self.dictionary() else {
            return BooleanBuffer::collect_bool(rows, |row| comparison.holds(self.get(row)));
        };
        memo.attach(dictionary);
        let known = &mut memo.known;
        let mut verdict = |code: usize| match known[code] {
            0 => {
                let holds = comparison.holds(Scalar::Str(dictionary.text(code)));
                known[code] = 1 + u32::from(holds);
                holds
            }
            known => known == 2,
        };
        if dictionary.keys.null_count() == 0 {
            let keys = dictionary.keys.values();
            return BooleanBuffer::collect_bool(rows, |row| verdict(keys[row] as usize));
        }
        BooleanBuffer::collect_bool(rows, |row| match dictionary.code(row) {
            Some(code) => verdict(code),
            None => comparison.holds(self.rest(row)),
        })
    }

    /// Appends one number per selected row, which `number_of` gives for a value: asked once per dictionary value that occurs.
    /// Numbers are below `u32::MAX`.
    ///
    /// # Errors
    /// Those of `number_of`.
    pub(super) fn number_rows<E>(
        &self,
        rows: &[u32],
        memo: &mut DictionaryMemo,
        out: &mut Vec<u32>,
        number_of: &mut dyn FnMut(Scalar<'_>) -> Result<u32, E>,
    ) -> Result<(), E> {
        let Some(dictionary) = self.dictionary() else {
            for &row in rows {
                out.push(number_of(self.get(row as usize))?);
            }
            return Ok(());
        };
        memo.attach(dictionary);
        for &row in rows {
            let number = match dictionary.code(row as usize) {
                None => number_of(self.rest(row as usize))?,
                Some(code) => match memo.known[code] {
                    0 => {
                        let number = number_of(Scalar::Str(dictionary.text(code)))?;
                        memo.known[code] = number + 1;
                        number
                    }
                    known => known - 1,
                },
            };
            out.push(number);
        }
        Ok(())
    }
}
