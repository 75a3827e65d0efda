use crate::columns::{Columns, IdColumn};
use crate::dictionary::Dictionary;
use crate::ids::{AppId, PersonHash, person_hash};
use crate::property_bytes::{PropertyIter, write_property};
use crate::reject::{Reject, RejectedEvent};
use crate::time::TimestampMs;
use crate::value::PropertyValue;

/// What one request said: the accepted events of one app in columns, and the refused ones with their reasons.
///
/// This is the shape of data from the gateway's parser to the event store.
#[derive(Clone)]
pub struct EventBatch {
    pub(crate) app: AppId,
    pub(crate) columns: Columns,
}

/// One event, borrowed from its batch.
#[derive(Clone)]
pub struct EventView<'a> {
    /// Position in the batch.
    pub index: usize,
    /// Id of the name in [`EventBatch::names`].
    pub name_id: u32,
    /// The event name.
    pub name: &'a str,
    /// Corrected time.
    pub time_ms: TimestampMs,
    /// The client's own timestamp.
    pub client_time_ms: TimestampMs,
    /// The known user.
    pub user_id: Option<&'a str>,
    /// The device or browser.
    pub anonymous_id: Option<&'a str>,
    /// The dedupe key.
    pub insert_id: Option<&'a str>,
    /// The client's session.
    pub session_id: Option<&'a str>,
    /// The properties in the order they were sent, derived ones last.
    pub properties: PropertyIter<'a>,
}

impl EventView<'_> {
    /// The person's key, `None` for a system event.
    pub fn person(&self) -> Option<PersonHash> {
        person_hash(self.user_id, self.anonymous_id)
    }
}

impl EventBatch {
    /// The app from the credential.
    pub fn app(&self) -> &AppId {
        &self.app
    }

    /// When the gateway received the request.
    pub fn received_at_ms(&self) -> TimestampMs {
        self.columns.received_at_ms
    }

    /// Number of accepted events.
    pub fn len(&self) -> usize {
        self.columns.name_ids.len()
    }

    /// True when no event was accepted.
    pub fn is_empty(&self) -> bool {
        self.columns.name_ids.is_empty()
    }

    /// Distinct event names.
    pub fn names(&self) -> &Dictionary {
        &self.columns.names
    }

    /// Distinct property names.
    pub fn keys(&self) -> &Dictionary {
        &self.columns.keys
    }

    /// Refused events.
    pub fn rejected(&self) -> &[RejectedEvent] {
        &self.columns.rejected
    }

    /// Dedupe keys alone, in event order.
    pub fn insert_ids(&self) -> &IdColumn {
        &self.columns.insert_ids
    }

    /// Bytes of memory the columns hold, for bounding queues.
    pub fn memory_bytes(&self) -> usize {
        let ids: usize = self.columns.ids().iter().map(|column| column.bytes.len() + 2 * column.lengths.len()).sum();
        ids + self.columns.property_bytes.len() + self.len() * 24
    }

    /// The events in order.
    pub fn iter(&self) -> impl Iterator<Item = EventView<'_>> {
        let columns = &self.columns;
        let persons = columns.user_ids.iter().zip(columns.anonymous_ids.iter());
        let mut ids = persons.zip(columns.insert_ids.iter().zip(columns.session_ids.iter()));
        let mut property_start = 0;
        (0..self.len()).filter_map(move |index| {
            let ((user_id, anonymous_id), (insert_id, session_id)) = ids.next()?;
            let property_end = columns.property_ends[index] as usize;
            let bytes = &columns.property_bytes[property_start..property_end];
            property_start = property_end;
            let name_id = columns.name_ids[index];
            Some(EventView {
                index,
                name_id,
                name: columns.names.get(name_id),
                time_ms: columns.times[index],
                client_time_ms: columns.client_times[index],
                user_id,
                anonymous_id,
                insert_id,
                session_id,
                properties: PropertyIter { keys: &columns.keys, bytes },
            })
        })
    }
}

/// The columns of one event while it is written; nothing of it is visible until [`EventBatchBuilder::finish_event`].
///
/// Reused between requests: [`EventBatchBuilder::start`] clears it and keeps its memory, so a warm builder does not allocate per event.
#[derive(Default)]
pub struct EventBatchBuilder {
    pub(crate) columns: Columns,
    previous_name: Option<u32>,
    previous_key: Option<u32>,
    /// The derived properties as they are written, and where each ends; their key ids are 0, 1, 2, ...
    derived_bytes: Vec<u8>,
    derived_ends: Vec<u32>,
    /// Bit `id` is set when the event being written has a value of its own for that derived property.
    own_values: u32,
}

impl EventBatchBuilder {
    /// Most derived properties of a batch.
    pub const MAX_DERIVED: usize = 32;

    /// Begins a batch; what was in the builder is gone.
    pub fn start(&mut self, received_at_ms: TimestampMs) {
        self.columns.clear(received_at_ms);
        self.previous_name = None;
        self.previous_key = None;
        self.derived_bytes.clear();
        self.derived_ends.clear();
        self.own_values = 0;
    }

    /// Adds a property to every event of the batch that has no value of its own for it.
    ///
    /// To be called between [`EventBatchBuilder::start`] and the first property or event, at most
    /// [`EventBatchBuilder::MAX_DERIVED`] times and once per key; a call that is none of these changes nothing.
    pub fn derive(&mut self, key: &str, value: PropertyValue<'_>) {
        let next = self.derived_ends.len();
        let is_first = self.is_empty() && self.columns.property_bytes.is_empty() && self.columns.keys.len() == next;
        if !is_first || next == Self::MAX_DERIVED || self.columns.keys.intern(key) as usize != next {
            return;
        }
        write_property(&mut self.derived_bytes, next as u32, value);
        self.derived_ends.push(self.derived_bytes.len() as u32);
    }

    /// Bytes of memory the builder keeps between batches.
    pub fn retained_bytes(&self) -> usize {
        self.columns.retained_bytes() + self.derived_bytes.capacity()
    }

    /// Number of finished events.
    pub fn len(&self) -> usize {
        self.columns.name_ids.len()
    }

    /// True when no event was finished.
    pub fn is_empty(&self) -> bool {
        self.columns.name_ids.is_empty()
    }

    /// Refused events so far.
    pub fn rejected(&self) -> &[RejectedEvent] {
        &self.columns.rejected
    }

    /// When the request was received.
    pub fn received_at_ms(&self) -> TimestampMs {
        self.columns.received_at_ms
    }

    /// Adds a property to the event being written. A key that appears twice counts once, with its last value, to readers of the store.
    pub fn property(&mut self, key: &str, value: PropertyValue<'_>) {
        let id = self.columns.keys.intern_after(self.previous_key, key);
        self.previous_key = Some(id);
        if (id as usize) < self.derived_ends.len() && value != PropertyValue::Null {
            self.own_values |= 1 << id;
        }
        write_property(&mut self.columns.property_bytes, id, value);
    }

    /// True when the event being written already has this property; linear in its properties, for the few derived ones.
    pub fn has_property(&self, key: &str) -> bool {
        let start = self.columns.property_ends.last().map_or(0, |&end| end as usize);
        let mut written = PropertyIter { keys: &self.columns.keys, bytes: &self.columns.property_bytes[start..] };
        written.any(|(_, name, value)| name == key && value != PropertyValue::Null)
    }

    /// Forgets the properties written since the last finished event.
    pub fn abandon_event(&mut self) {
        let start = self.columns.property_ends.last().map_or(0, |&end| end as usize);
        self.columns.property_bytes.truncate(start);
        self.previous_key = None;
        self.own_values = 0;
    }

    /// Makes the written properties an event. The ids are checked by the caller and at most 255 bytes.
    pub fn finish_event(&mut self, event: &EventFields<'_>) {
        let name_id = self.columns.names.intern_after(self.previous_name, event.name);
        self.previous_name = Some(name_id);
        self.previous_key = None;
        self.columns.name_ids.push(name_id);
        self.columns.times.push(event.time_ms);
        self.columns.client_times.push(event.client_time_ms);
        self.columns.user_ids.push(event.user_id);
        self.columns.anonymous_ids.push(event.anonymous_id);
        self.columns.insert_ids.push(event.insert_id);
        self.columns.session_ids.push(event.session_id);
        self.write_derived();
        self.columns.property_ends.push(self.columns.property_bytes.len() as u32);
    }

    fn write_derived(&mut self) {
        if self.own_values == 0 {
            self.columns.property_bytes.extend_from_slice(&self.derived_bytes);
            return;
        }
        let mut start = 0;
        for (id, &end) in self.derived_ends.iter().enumerate() {
            if self.own_values & (1 << id) == 0 {
                self.columns.property_bytes.extend_from_slice(&self.derived_bytes[start as usize..end as usize]);
            }
            start = end;
        }
        self.own_values = 0;
    }

    /// Refuses the event being written and keeps its bytes.
    pub fn reject_event(&mut self, index: u32, reject: Reject, raw: &[u8]) {
        self.abandon_event();
        let raw = raw[..raw.len().min(crate::limits::MAX_REJECTED_RAW_BYTES)].to_vec();
        self.columns.rejected.push(RejectedEvent { index, reject, raw });
    }

    /// The batch as it stands, copied; the gateway encodes instead.
    pub fn build(&self, app: &AppId) -> EventBatch {
        EventBatch { app: app.clone(), columns: self.columns.clone() }
    }
}

/// Everything of an event but its properties.
#[derive(Clone, Copy, Debug)]
pub struct EventFields<'a> {
    /// The event name.
    pub name: &'a str,
    /// Corrected time.
    pub time_ms: TimestampMs,
    /// The client's own timestamp.
    pub client_time_ms: TimestampMs,
    /// The known user.
    pub user_id: Option<&'a str>,
    /// The device or browser.
    pub anonymous_id: Option<&'a str>,
    /// The dedupe key.
    pub insert_id: Option<&'a str>,
    /// The client's session.
    pub session_id: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_own_value_wins_over_the_derived_one() {
        let mut builder = EventBatchBuilder::default();
        builder.start(0);
        builder.derive("country", PropertyValue::Str("US"));
        builder.derive("os", PropertyValue::Str("Linux"));
        builder.derive("os", PropertyValue::Str("twice"));
        let fields =
            EventFields { name: "e", time_ms: 0, client_time_ms: 0, user_id: None, anonymous_id: None, insert_id: None, session_id: None };
        builder.property("country", PropertyValue::Str("DE"));
        builder.derive("late", PropertyValue::Str("ignored"));
        builder.finish_event(&fields);
        builder.property("os", PropertyValue::Null);
        builder.property("a", PropertyValue::Int(1));
        builder.finish_event(&fields);
        builder.property("os", PropertyValue::Str("abandoned"));
        builder.abandon_event();
        builder.finish_event(&fields);
        let Some(app) = AppId::new("APP-1") else { panic!("no app id") };
        let batch = builder.build(&app);
        let texts: Vec<String> = batch
            .iter()
            .map(|event| event.properties.map(|(_, key, value)| format!("{key}={value:?}")).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            texts,
            [
                "country=Str(\"DE\") os=Str(\"Linux\")",
                "os=Null a=Int(1) country=Str(\"US\") os=Str(\"Linux\")",
                "country=Str(\"US\") os=Str(\"Linux\")"
            ]
        );
    }
}
