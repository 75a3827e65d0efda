//! Whole events of a batch, put together from its columns.

use arrow::array::{Array, AsArray, DictionaryArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, TimestampMillisecondType, UInt64Type};
use event::write_json_string;
use event_store::EventRow;

use super::properties::PropertyReader;
use crate::columns;

/// Reads whole rows of one batch that was scanned with all fixed columns and all properties.
pub(super) struct RowReader<'b> {
    event: TextColumn<'b>,
    person: Option<&'b PrimitiveArray<UInt64Type>>,
    time: TimeColumn<'b>,
    client_time: TimeColumn<'b>,
    received_at: TimeColumn<'b>,
    user_id: TextColumn<'b>,
    anonymous_id: TextColumn<'b>,
    insert_id: TextColumn<'b>,
    session_id: TextColumn<'b>,
    properties: PropertyReader<'b>,
}

impl<'b> RowReader<'b> {
    pub(super) fn new(batch: &'b RecordBatch) -> Self {
        let text = |name| TextColumn::of(batch, name);
        let time = |name| TimeColumn::of(batch, name);
        Self {
            event: text(columns::EVENT),
            person: batch.column_by_name(columns::PERSON).and_then(|column| column.as_primitive_opt()),
            time: time(columns::TIME),
            client_time: time(columns::CLIENT_TIME),
            received_at: time(columns::RECEIVED_AT),
            user_id: text(columns::USER_ID),
            anonymous_id: text(columns::ANONYMOUS_ID),
            insert_id: text(columns::INSERT_ID),
            session_id: text(columns::SESSION_ID),
            properties: PropertyReader::new(batch),
        }
    }

    /// The event of a row.
    pub(super) fn read(&self, row: usize) -> EventRow {
        let time_ms = self.time.get(row).unwrap_or_default();
        let owned = |column: &TextColumn<'_>| column.get(row).map(str::to_string);
        EventRow {
            name: owned(&self.event).unwrap_or_default(),
            time_ms,
            client_time_ms: self.client_time.get(row).unwrap_or(time_ms),
            received_at_ms: self.received_at.get(row).unwrap_or(time_ms),
            user_id: owned(&self.user_id),
            anonymous_id: owned(&self.anonymous_id),
            insert_id: owned(&self.insert_id),
            session_id: owned(&self.session_id),
            properties_json: self.properties_json(row),
        }
    }

    /// The client's own timestamp of a row.
    pub(super) fn client_time_ms(&self, row: usize) -> i64 {
        self.client_time.get(row).or_else(|| self.time.get(row)).unwrap_or_default()
    }

    /// The person's key of a row.
    pub(super) fn person(&self, row: usize) -> Option<u64> {
        self.person.filter(|persons| persons.is_valid(row)).map(|persons| persons.value(row))
    }

    /// The properties as an object, by name, so that the text does not depend on where each is stored.
    pub(super) fn properties_json(&self, row: usize) -> String {
        let mut out = String::from("{");
        if !self.properties.has_overflow(row) {
            self.properties.for_each(row, &mut |name, json| write_member(name, json, &mut out));
        } else {
            let mut members: Vec<(String, String)> = Vec::new();
            self.properties.for_each(row, &mut |name, json| members.push((name.to_string(), json.to_string())));
            members.sort_unstable();
            members.iter().for_each(|(name, json)| write_member(name, json, &mut out));
        }
        out.push('}');
        out
    }
}

fn write_member(name: &str, json: &str, out: &mut String) {
    if out.len() > 1 {
        out.push(',');
    }
    write_json_string(name, out);
    out.push(':');
    out.push_str(json);
}

/// A column of times; a batch of another layout has none.
struct TimeColumn<'b>(Option<&'b PrimitiveArray<TimestampMillisecondType>>);

impl<'b> TimeColumn<'b> {
    fn of(batch: &'b RecordBatch, name: &str) -> Self {
        Self(batch.column_by_name(name).and_then(|column| column.as_primitive_opt()))
    }

    fn get(&self, row: usize) -> Option<i64> {
        self.0.filter(|times| times.is_valid(row)).map(|times| times.value(row))
    }
}

/// A column of text as it is stored.
enum TextColumn<'b> {
    Coded(&'b DictionaryArray<Int32Type>, &'b StringArray),
    Plain(&'b StringArray),
    Absent,
}

impl<'b> TextColumn<'b> {
    fn of(batch: &'b RecordBatch, name: &str) -> Self {
        let Some(column) = batch.column_by_name(name) else { return Self::Absent };
        let coded = column.as_dictionary_opt::<Int32Type>().and_then(|coded| Some(Self::Coded(coded, coded.values().as_string_opt()?)));
        coded.or_else(|| column.as_string_opt().map(Self::Plain)).unwrap_or(Self::Absent)
    }

    fn get(&self, row: usize) -> Option<&'b str> {
        match self {
            Self::Coded(coded, values) => coded.is_valid(row).then(|| values.value(coded.keys().value(row) as usize)),
            Self::Plain(column) => column.is_valid(row).then(|| column.value(row)),
            Self::Absent => None,
        }
    }
}
