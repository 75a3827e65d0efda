use crate::dictionary::Dictionary;
use crate::ids::{AppId, PersonHash, person_hash};
use crate::reject::{Reject, RejectedEvent};
use crate::time::TimestampMs;
use crate::value::PropertyValue;

/// Length that stands for "no value" in an [`IdColumn`].
const ABSENT: u16 = u16::MAX;

/// One optional id per event: lengths beside the concatenated text.
#[derive(Clone, Default)]
pub struct IdColumn {
    pub(crate) lengths: Vec<u16>,
    pub(crate) bytes: String,
}

impl IdColumn {
    fn push(&mut self, id: Option<&str>) {
        self.lengths.push(id.map_or(ABSENT, |id| id.len() as u16));
        self.bytes.push_str(id.unwrap_or(""));
    }

    fn clear(&mut self) {
        self.lengths.clear();
        self.bytes.clear();
    }

    /// The ids in event order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        let mut start = 0;
        self.lengths.iter().map(move |&length| {
            if length == ABSENT {
                return None;
            }
            let end = start + usize::from(length);
            let id = &self.bytes[start..end];
            start = end;
            Some(id)
        })
    }
}

/// What one request said: the accepted events of one app in columns, and the refused ones with their reasons.
///
/// This is the shape of data from the gateway's parser to the event store. Invariants: all columns have one entry per event;
/// every name and property id is in its dictionary; `property_ends` never decreases.
#[derive(Clone)]
pub struct EventBatch {
    pub(crate) app: AppId,
    pub(crate) received_at_ms: TimestampMs,
    pub(crate) names: Dictionary,
    pub(crate) keys: Dictionary,
    pub(crate) name_ids: Vec<u32>,
    pub(crate) times: Vec<TimestampMs>,
    pub(crate) client_times: Vec<TimestampMs>,
    pub(crate) user_ids: IdColumn,
    pub(crate) anonymous_ids: IdColumn,
    pub(crate) insert_ids: IdColumn,
    pub(crate) session_ids: IdColumn,
    pub(crate) property_ends: Vec<u32>,
    pub(crate) property_bytes: Vec<u8>,
    pub(crate) rejected: Vec<RejectedEvent>,
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
        self.received_at_ms
    }

    /// Number of accepted events.
    pub fn len(&self) -> usize {
        self.name_ids.len()
    }

    /// True when no event was accepted.
    pub fn is_empty(&self) -> bool {
        self.name_ids.is_empty()
    }

    /// Distinct event names.
    pub fn names(&self) -> &Dictionary {
        &self.names
    }

    /// Distinct property names.
    pub fn keys(&self) -> &Dictionary {
        &self.keys
    }

    /// Refused events.
    pub fn rejected(&self) -> &[RejectedEvent] {
        &self.rejected
    }

    /// Dedupe keys alone, in event order.
    pub fn insert_ids(&self) -> &IdColumn {
        &self.insert_ids
    }

    /// Bytes of memory the columns hold, for bounding queues.
    pub fn memory_bytes(&self) -> usize {
        let ids = [&self.user_ids, &self.anonymous_ids, &self.insert_ids, &self.session_ids];
        ids.iter().map(|c| c.bytes.len() + 2 * c.lengths.len()).sum::<usize>() + self.property_bytes.len() + self.len() * 24
    }

    /// The events in order.
    pub fn iter(&self) -> impl Iterator<Item = EventView<'_>> {
        let mut ids = self.user_ids.iter().zip(self.anonymous_ids.iter()).zip(self.insert_ids.iter().zip(self.session_ids.iter()));
        let mut property_start = 0;
        (0..self.len()).filter_map(move |index| {
            let ((user_id, anonymous_id), (insert_id, session_id)) = ids.next()?;
            let property_end = self.property_ends[index] as usize;
            let bytes = &self.property_bytes[property_start..property_end];
            property_start = property_end;
            let name_id = self.name_ids[index];
            Some(EventView {
                index,
                name_id,
                name: self.names.get(name_id),
                time_ms: self.times[index],
                client_time_ms: self.client_times[index],
                user_id,
                anonymous_id,
                insert_id,
                session_id,
                properties: PropertyIter { keys: &self.keys, bytes },
            })
        })
    }
}

/// The properties of one event: `(id of the key in the batch's dictionary, key, value)`.
#[derive(Clone)]
pub struct PropertyIter<'a> {
    keys: &'a Dictionary,
    bytes: &'a [u8],
}

mod tag {
    pub const NULL: u8 = 0;
    pub const FALSE: u8 = 1;
    pub const TRUE: u8 = 2;
    pub const INT: u8 = 3;
    pub const FLOAT: u8 = 4;
    pub const STR: u8 = 5;
    pub const JSON: u8 = 6;
}

impl<'a> Iterator for PropertyIter<'a> {
    type Item = (u32, &'a str, PropertyValue<'a>);

    /// Ends early at bytes that no writer of this version makes; the codec has checked them before a batch exists.
    fn next(&mut self) -> Option<Self::Item> {
        let key = read_varint(&mut self.bytes)? as u32;
        let (&tag, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        let value = match tag {
            tag::NULL => PropertyValue::Null,
            tag::FALSE => PropertyValue::Bool(false),
            tag::TRUE => PropertyValue::Bool(true),
            tag::INT => PropertyValue::Int(unzigzag(read_varint(&mut self.bytes)?)),
            tag::FLOAT => {
                let (bits, rest) = self.bytes.split_first_chunk::<8>()?;
                self.bytes = rest;
                PropertyValue::Float(f64::from_le_bytes(*bits))
            }
            tag::STR => PropertyValue::Str(read_text(&mut self.bytes)?),
            tag::JSON => PropertyValue::Json(read_text(&mut self.bytes)?),
            _ => return None,
        };
        Some((key, self.keys.get(key), value))
    }
}

/// The columns of one event while it is written; nothing of it is visible until [`EventBatchBuilder::finish_event`].
///
/// Reused between requests: [`EventBatchBuilder::start`] clears it and keeps its memory, so a warm builder does not allocate per event.
#[derive(Default)]
pub struct EventBatchBuilder {
    received_at_ms: TimestampMs,
    pub(crate) names: Dictionary,
    pub(crate) keys: Dictionary,
    pub(crate) name_ids: Vec<u32>,
    pub(crate) times: Vec<TimestampMs>,
    pub(crate) client_times: Vec<TimestampMs>,
    pub(crate) user_ids: IdColumn,
    pub(crate) anonymous_ids: IdColumn,
    pub(crate) insert_ids: IdColumn,
    pub(crate) session_ids: IdColumn,
    pub(crate) property_ends: Vec<u32>,
    pub(crate) property_bytes: Vec<u8>,
    pub(crate) rejected: Vec<RejectedEvent>,
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
        self.received_at_ms = received_at_ms;
        self.names.clear();
        self.keys.clear();
        self.name_ids.clear();
        self.times.clear();
        self.client_times.clear();
        for ids in [&mut self.user_ids, &mut self.anonymous_ids, &mut self.insert_ids, &mut self.session_ids] {
            ids.clear();
        }
        self.property_ends.clear();
        self.property_bytes.clear();
        self.rejected.clear();
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
        let is_first = self.is_empty() && self.property_bytes.is_empty() && self.keys.len() == next;
        if !is_first || next == Self::MAX_DERIVED || self.keys.intern(key) as usize != next {
            return;
        }
        write_property(&mut self.derived_bytes, next as u32, value);
        self.derived_ends.push(self.derived_bytes.len() as u32);
    }

    /// Bytes of memory the builder keeps between batches.
    pub fn retained_bytes(&self) -> usize {
        let ids = [&self.user_ids, &self.anonymous_ids, &self.insert_ids, &self.session_ids];
        let id_bytes: usize = ids.iter().map(|column| column.bytes.capacity() + 2 * column.lengths.capacity()).sum();
        let columns = self.name_ids.capacity() * 4 + (self.times.capacity() + self.client_times.capacity()) * 8;
        let properties = self.property_bytes.capacity() + self.property_ends.capacity() * 4 + self.derived_bytes.capacity();
        id_bytes + columns + properties + self.names.retained_bytes() + self.keys.retained_bytes()
    }

    /// Number of finished events.
    pub fn len(&self) -> usize {
        self.name_ids.len()
    }

    /// True when no event was finished.
    pub fn is_empty(&self) -> bool {
        self.name_ids.is_empty()
    }

    /// Refused events so far.
    pub fn rejected(&self) -> &[RejectedEvent] {
        &self.rejected
    }

    /// When the request was received.
    pub fn received_at_ms(&self) -> TimestampMs {
        self.received_at_ms
    }

    /// Adds a property to the event being written. A key that appears twice counts once, with its last value, to readers of the store.
    pub fn property(&mut self, key: &str, value: PropertyValue<'_>) {
        let id = self.keys.intern_after(self.previous_key, key);
        self.previous_key = Some(id);
        if (id as usize) < self.derived_ends.len() && value != PropertyValue::Null {
            self.own_values |= 1 << id;
        }
        write_property(&mut self.property_bytes, id, value);
    }

    /// True when the event being written already has this property; linear in its properties, for the few derived ones.
    pub fn has_property(&self, key: &str) -> bool {
        let start = self.property_ends.last().map_or(0, |&end| end as usize);
        let mut written = PropertyIter { keys: &self.keys, bytes: &self.property_bytes[start..] };
        written.any(|(_, name, value)| name == key && value != PropertyValue::Null)
    }

    /// Forgets the properties written since the last finished event.
    pub fn abandon_event(&mut self) {
        let start = self.property_ends.last().map_or(0, |&end| end as usize);
        self.property_bytes.truncate(start);
        self.previous_key = None;
        self.own_values = 0;
    }

    /// Makes the written properties an event. The ids are checked by the caller and at most 255 bytes.
    pub fn finish_event(&mut self, event: &EventFields<'_>) {
        let name_id = self.names.intern_after(self.previous_name, event.name);
        self.previous_name = Some(name_id);
        self.previous_key = None;
        self.name_ids.push(name_id);
        self.times.push(event.time_ms);
        self.client_times.push(event.client_time_ms);
        self.user_ids.push(event.user_id);
        self.anonymous_ids.push(event.anonymous_id);
        self.insert_ids.push(event.insert_id);
        self.session_ids.push(event.session_id);
        self.write_derived();
        self.property_ends.push(self.property_bytes.len() as u32);
    }

    fn write_derived(&mut self) {
        if self.own_values == 0 {
            self.property_bytes.extend_from_slice(&self.derived_bytes);
            return;
        }
        let mut start = 0;
        for (id, &end) in self.derived_ends.iter().enumerate() {
            if self.own_values & (1 << id) == 0 {
                self.property_bytes.extend_from_slice(&self.derived_bytes[start as usize..end as usize]);
            }
            start = end;
        }
        self.own_values = 0;
    }

    /// Refuses the event being written and keeps its bytes.
    pub fn reject_event(&mut self, index: u32, reject: Reject, raw: &[u8]) {
        self.abandon_event();
        let raw = raw[..raw.len().min(crate::limits::MAX_REJECTED_RAW_BYTES)].to_vec();
        self.rejected.push(RejectedEvent { index, reject, raw });
    }

    /// The batch as it stands, copied; the gateway encodes instead.
    pub fn build(&self, app: &AppId) -> EventBatch {
        EventBatch {
            app: app.clone(),
            received_at_ms: self.received_at_ms,
            names: self.names.clone(),
            keys: self.keys.clone(),
            name_ids: self.name_ids.clone(),
            times: self.times.clone(),
            client_times: self.client_times.clone(),
            user_ids: self.user_ids.clone(),
            anonymous_ids: self.anonymous_ids.clone(),
            insert_ids: self.insert_ids.clone(),
            session_ids: self.session_ids.clone(),
            property_ends: self.property_ends.clone(),
            property_bytes: self.property_bytes.clone(),
            rejected: self.rejected.clone(),
        }
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

fn write_property(out: &mut Vec<u8>, key_id: u32, value: PropertyValue<'_>) {
    write_varint(out, u64::from(key_id));
    match value {
        PropertyValue::Null => out.push(tag::NULL),
        PropertyValue::Bool(false) => out.push(tag::FALSE),
        PropertyValue::Bool(true) => out.push(tag::TRUE),
        PropertyValue::Int(i) => {
            out.push(tag::INT);
            write_varint(out, zigzag(i));
        }
        PropertyValue::Float(f) => {
            out.push(tag::FLOAT);
            out.extend_from_slice(&f.to_le_bytes());
        }
        PropertyValue::Str(s) => {
            out.push(tag::STR);
            write_text(out, s);
        }
        PropertyValue::Json(s) => {
            out.push(tag::JSON);
            write_text(out, s);
        }
    }
}

pub(crate) fn write_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub(crate) fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}

pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    write_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn read_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(read_varint(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

fn unzigzag(n: u64) -> i64 {
    ((n >> 1) as i64) ^ -((n & 1) as i64)
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
