//! Turns the kept events of a commit into one sorted batch of columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder, TimestampMillisecondArray, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{FieldRef, Schema};
use arrow::error::ArrowError;
use event::{EventBatch, EventView};
use event_store::AppendedBatch;

use crate::columns;
use crate::memory::MemoryPart;
use crate::property::{BatchKeys, Properties};
use crate::text::TextDictionary;

const NO_CODE: i32 = -1;

/// The kept events of `batches` as a part; `None` when there is none.
///
/// # Errors
/// Only where a column passes 2 GiB of text, which the bound on unflushed bytes forbids.
pub(crate) fn columnize(batches: &[AppendedBatch]) -> Result<Option<MemoryPart>, ArrowError> {
    let events = batches.iter().map(|appended| appended.batch.len() - appended.duplicates.len()).sum();
    if events == 0 {
        return Ok(None);
    }
    let mut rows = Rows::with_capacity(events);
    for appended in batches {
        rows.add_batch(&appended.batch, &appended.duplicates);
    }
    rows.finish().map(Some)
}

/// The events in the order they came.
struct Rows<'a> {
    apps: TextDictionary,
    app_codes: Vec<i32>,
    events: TextDictionary,
    event_codes: Vec<i32>,
    persons: Vec<Option<u64>>,
    times: Vec<i64>,
    client_times: Vec<i64>,
    received: Vec<i64>,
    /// `user_id`, `anonymous_id`, `insert_id`, `session_id`.
    ids: [Vec<Option<&'a str>>; 4],
    properties: Properties<'a>,
    keys: BatchKeys,
    names: Vec<i32>,
}

impl<'a> Rows<'a> {
    fn with_capacity(rows: usize) -> Self {
        Self {
            apps: TextDictionary::default(),
            app_codes: Vec::with_capacity(rows),
            events: TextDictionary::default(),
            event_codes: Vec::with_capacity(rows),
            persons: Vec::with_capacity(rows),
            times: Vec::with_capacity(rows),
            client_times: Vec::with_capacity(rows),
            received: Vec::with_capacity(rows),
            ids: std::array::from_fn(|_| Vec::with_capacity(rows)),
            properties: Properties::default(),
            keys: BatchKeys::default(),
            names: Vec::new(),
        }
    }

    fn add_batch(&mut self, batch: &'a EventBatch, duplicates: &[u32]) {
        let app = self.apps.intern(batch.app().as_str());
        self.keys.start(batch);
        self.names.clear();
        self.names.resize(batch.names().len(), NO_CODE);
        let mut duplicates = duplicates.iter().peekable();
        for event in batch.iter() {
            if duplicates.next_if(|&&index| index as usize == event.index).is_some() {
                continue;
            }
            self.add_event(app, batch.received_at_ms(), &event);
        }
    }

    fn add_event(&mut self, app: i32, received_at_ms: i64, event: &EventView<'a>) {
        let row = self.times.len() as u32;
        let name = &mut self.names[event.name_id as usize];
        if *name == NO_CODE {
            *name = self.events.intern(event.name);
        }
        self.app_codes.push(app);
        self.event_codes.push(*name);
        self.persons.push(event.person().map(|person| person.0));
        self.times.push(event.time_ms);
        self.client_times.push(event.client_time_ms);
        self.received.push(received_at_ms);
        let ids = [event.user_id, event.anonymous_id, event.insert_id, event.session_id];
        for (column, id) in self.ids.iter_mut().zip(ids) {
            column.push(id);
        }
        self.properties.add(row, event, &mut self.keys);
    }

    /// Rows in stored order; among equal keys, as they came.
    fn order(&self) -> Vec<u32> {
        let (apps, events) = (self.apps.ranks(), self.events.ranks());
        let mut keys: Vec<(u64, Option<u64>, i64, u32)> = (0..self.times.len())
            .map(|i| {
                let run = u64::from(apps[self.app_codes[i] as usize]) << 32 | u64::from(events[self.event_codes[i] as usize]);
                (run, self.persons[i], self.times[i], i as u32)
            })
            .collect();
        keys.sort_unstable();
        keys.into_iter().map(|(.., row)| row).collect()
    }

    fn finish(self) -> Result<MemoryPart, ArrowError> {
        let order = self.order();
        let mut position = vec![0u32; order.len()];
        for (at, &row) in order.iter().enumerate() {
            position[row as usize] = at as u32;
        }
        let times = |values: &[i64]| gather_times(&order, values, None);
        let codes = |codes: &[i32]| order.iter().map(|&row| codes[row as usize]).collect::<Vec<i32>>();
        let same = |row: u32| self.client_times[row as usize] != self.times[row as usize];
        let client_nulls = order.iter().any(|&row| !same(row)).then(|| order.iter().map(|&row| same(row)).collect::<NullBuffer>());
        let persons: UInt64Array = order.iter().map(|&row| self.persons[row as usize]).collect();
        let [user, anonymous, insert, session] = &self.ids;
        let (event_codes, app_codes) = (codes(&self.event_codes), codes(&self.app_codes));
        let mut all: Vec<(FieldRef, ArrayRef)> = vec![
            (columns::field(columns::APP), self.apps.into_array(app_codes, None)?),
            (columns::field(columns::EVENT), self.events.into_array(event_codes, None)?),
            (columns::field(columns::PERSON), Arc::new(persons)),
            (columns::field(columns::TIME), times(&self.times)?),
            (columns::field(columns::CLIENT_TIME), gather_times(&order, &self.client_times, client_nulls)?),
            (columns::field(columns::RECEIVED_AT), times(&self.received)?),
            (columns::field(columns::USER_ID), gather_ids(&order, user)),
            (columns::field(columns::ANONYMOUS_ID), gather_ids(&order, anonymous)),
            (columns::field(columns::INSERT_ID), gather_ids(&order, insert)),
            (columns::field(columns::SESSION_ID), gather_ids(&order, session)),
        ];
        let (properties, overflow) = self.properties.finish(&position)?;
        all.extend(properties);
        let (overflow, overflow_names) = overflow.finish()?;
        all.extend(overflow.map(|array| (columns::field(columns::OVERFLOW), array)));
        let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) = all.into_iter().unzip();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        Ok(MemoryPart::new(batch, overflow_names))
    }
}

fn gather_times(order: &[u32], values: &[i64], nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let values: Vec<i64> = order.iter().map(|&row| values[row as usize]).collect();
    Ok(Arc::new(TimestampMillisecondArray::try_new(values.into(), nulls)?.with_timezone("UTC")))
}

fn gather_ids(order: &[u32], ids: &[Option<&str>]) -> ArrayRef {
    let bytes = ids.iter().map(|id| id.map_or(0, str::len)).sum();
    let mut builder = StringBuilder::with_capacity(ids.len(), bytes);
    order.iter().for_each(|&row| builder.append_option(ids[row as usize]));
    Arc::new(builder.finish())
}
