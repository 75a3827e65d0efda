use event::limits::{MAX_DEPTH, MAX_KEY_BYTES, MAX_STRING_VALUE_BYTES};
use event::{CheckedTime, EventBatchBuilder, EventFields, PropertyValue, RejectCode, TimestampMs};
use event::{check_id, check_insert_id, check_name, client_timestamp_from_number, parse_timestamp, place_in_time};

use super::bounds::Bounds;
use super::number::Number;
use super::reader::{Fault, Reader, Text, fault};
use super::unknown::UnknownFields;
use super::{Clock, DailyId};

/// The fields of one event as they were found; the last one wins where a field came twice.
#[derive(Default)]
pub(super) struct Fields {
    name: Option<Text>,
    user_id: UserId,
    anonymous_id: Option<Text>,
    insert_id: Option<Text>,
    session_id: Option<Text>,
    timestamp_ms: Option<TimestampMs>,
    cookieless: bool,
}

#[derive(Default, Clone, Copy)]
enum UserId {
    #[default]
    Absent,
    /// `null` written out: an event without a person.
    Null,
    Id(Text),
}

impl Fields {
    /// Reads the event whose opening brace is the next byte; its properties go to the batch at once.
    ///
    /// On a fault some properties may be in the batch, and the position is anywhere inside the event.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        batch: &mut EventBatchBuilder,
        bounds: &Bounds,
        unknown: &mut UnknownFields,
        index: u32,
    ) -> Result<Self, Fault> {
        reader.at += 1;
        reader.release(0);
        let mut fields = Self::default();
        let mut first = true;
        while let Some(key) = reader.next_key(first)? {
            first = false;
            let token = reader.peek_token();
            match reader.get(key).as_bytes() {
                b"name" => fields.name = text_field(reader, token, "name")?,
                b"user_id" => fields.user_id = text_field(reader, token, "user_id")?.map_or(UserId::Null, UserId::Id),
                b"anonymous_id" => fields.anonymous_id = text_field(reader, token, "anonymous_id")?,
                b"insert_id" => fields.insert_id = text_field(reader, token, "insert_id")?,
                b"session_id" => fields.session_id = text_field(reader, token, "session_id")?,
                b"timestamp" => fields.timestamp_ms = time_field(reader, token, "timestamp")?,
                b"cookieless" => fields.cookieless = flag_field(reader, token, "cookieless")?,
                b"properties" => {
                    batch.abandon_event();
                    read_properties(reader, token, batch, bounds)?;
                }
                _ => {
                    unknown.note(index, reader.get(key));
                    reader.skip_value()?;
                }
            }
        }
        Ok(fields)
    }

    /// Whether the event's anonymous id is one that the gateway makes. A user is known by their own id: linked to it, the id of the day
    /// would make one person of all who share an address.
    pub(super) fn needs_daily_id(&self) -> bool {
        self.cookieless && !matches!(self.user_id, UserId::Id(_))
    }

    /// Checks the fields and makes them an event of the batch.
    pub(super) fn finish(
        &self,
        reader: &Reader<'_>,
        clock: &Clock,
        daily_id: DailyId<'_>,
        batch: &mut EventBatchBuilder,
    ) -> Result<CheckedTime, Fault> {
        let name = self.name.map(|name| reader.get(name)).ok_or_else(missing_name)?;
        check_name(name)?;
        let id = |text: Option<Text>| text.map(|text| reader.get(text));
        let user_id = match self.user_id {
            UserId::Id(text) => Some(reader.get(text)),
            UserId::Null => None,
            UserId::Absent if self.anonymous_id.is_some() || self.cookieless => None,
            UserId::Absent => return Err(missing_id()),
        };
        let (anonymous_id, insert_id, session_id) = (id(self.anonymous_id), id(self.insert_id), id(self.session_id));
        for (field, id) in [("user_id", user_id), ("anonymous_id", anonymous_id), ("session_id", session_id)] {
            if let Some(id) = id {
                check_id(field, id)?;
            }
        }
        if let Some(insert_id) = insert_id {
            check_insert_id(insert_id)?;
        }
        let anonymous_id = if self.cookieless { self.cookieless_id(daily_id)? } else { anonymous_id };
        let time = place_in_time(self.timestamp_ms, clock.sent_at_ms, clock.received_at_ms, clock.oldest_ms)?;
        let CheckedTime { time_ms, client_time_ms, .. } = time;
        batch.finish_event(&EventFields { name, time_ms, client_time_ms, user_id, anonymous_id, insert_id, session_id });
        Ok(time)
    }

    /// The anonymous id of an event that says `cookieless`.
    fn cookieless_id<'a>(&self, daily_id: DailyId<'a>) -> Result<Option<&'a str>, Fault> {
        match daily_id {
            _ if self.anonymous_id.is_some() => Err(two_anonymous_ids()),
            _ if !self.needs_daily_id() => Ok(None),
            DailyId::Pending => Ok(None),
            DailyId::Known(id) => Ok(Some(id)),
            DailyId::Unknowable => Err(not_the_senders()),
        }
    }
}

#[cold]
fn two_anonymous_ids() -> Fault {
    fault(RejectCode::InvalidId, "an event that is cookieless gets its anonymous_id on receipt: leave out one of the two")
}

#[cold]
fn not_the_senders() -> Fault {
    let message = "a cookieless event is known by the address it comes from, which with enrich=false is not its own: send an anonymous_id";
    fault(RejectCode::MissingId, message)
}

#[cold]
fn missing_name() -> Fault {
    fault(RejectCode::MissingName, "name is missing: give the event a name of 1 to 255 characters")
}

#[cold]
fn missing_id() -> Fault {
    let message = "user_id and anonymous_id are both missing: send one of them, or \"user_id\": null for an event without a person";
    fault(RejectCode::MissingId, message)
}

/// Reads a field that holds text or `null`.
#[inline(always)]
pub(super) fn text_field(reader: &mut Reader<'_>, token: Option<u8>, field: &'static str) -> Result<Option<Text>, Fault> {
    match token {
        Some(b'"') => reader.string().map(Some),
        Some(b'n') => reader.literal("null").map(|()| None),
        _ => Err(wrong_type(reader, field, "a string")),
    }
}

/// Reads a field that is `true`, `false` or `null`.
fn flag_field(reader: &mut Reader<'_>, token: Option<u8>, field: &'static str) -> Result<bool, Fault> {
    match token {
        Some(b't') => reader.literal("true").map(|()| true),
        Some(b'f') => reader.literal("false").map(|()| false),
        Some(b'n') => reader.literal("null").map(|()| false),
        _ => Err(wrong_type(reader, field, "a boolean")),
    }
}

/// Names the field, what it may be, and what came.
#[cold]
pub(super) fn wrong_type(reader: &mut Reader<'_>, field: &str, expected: &str) -> Fault {
    let found = match reader.peek() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => match reader.number() {
            Ok(_) => "a number",
            Err(not_json) => return not_json,
        },
    };
    fault(RejectCode::InvalidType, format!("{field} must be {expected}, not {found}"))
}

/// Reads a time: text in ISO 8601, a Unix time, or `null`.
#[inline(always)]
pub(super) fn time_field(reader: &mut Reader<'_>, token: Option<u8>, field: &'static str) -> Result<Option<TimestampMs>, Fault> {
    match token {
        Some(b'"') => {
            let text = reader.string()?;
            match parse_timestamp(reader.get(text)) {
                Ok(ms) => Ok(Some(ms)),
                Err(error) => Err(fault(RejectCode::InvalidTimestamp, format!("{field} is not a time: {error}"))),
            }
        }
        Some(b'-' | b'0'..=b'9') => {
            let ms = match reader.number()? {
                Number::Int(number) => client_timestamp_from_number(number as f64),
                Number::Float(number) => client_timestamp_from_number(number),
                Number::BigInteger => None,
            };
            ms.map(Some).ok_or_else(|| {
                let message = format!("{field} is a number out of the range of a time: send Unix seconds, milliseconds or microseconds");
                fault(RejectCode::InvalidTimestamp, message)
            })
        }
        Some(b'n') => reader.literal("null").map(|()| None),
        _ => Err(wrong_type(reader, field, "a Unix time or ISO 8601 text")),
    }
}

fn read_properties(reader: &mut Reader<'_>, token: Option<u8>, batch: &mut EventBatchBuilder, bounds: &Bounds) -> Result<(), Fault> {
    match token {
        Some(b'{') => {}
        Some(b'n') => return reader.literal("null"),
        _ => return Err(wrong_type(reader, "properties", "an object")),
    }
    let start = reader.at;
    reader.at += 1;
    let mark = reader.mark();
    let mut count = 0;
    while let Some(key) = reader.next_key(count == 0)? {
        count += 1;
        if count > bounds.max_properties {
            let max = bounds.max_properties;
            let message = format!("properties has more than {max} keys: send fewer, or group them in an object");
            return Err(fault(RejectCode::TooManyProperties, message));
        }
        read_property(reader, key, batch)?;
        reader.release(mark);
    }
    if reader.at - start > bounds.max_properties_bytes {
        let message = format!("properties has {} bytes, at most {} are allowed", reader.at - start, bounds.max_properties_bytes);
        return Err(fault(RejectCode::PropertiesTooLarge, message));
    }
    Ok(())
}

#[inline(always)]
fn read_property(reader: &mut Reader<'_>, key: Text, batch: &mut EventBatchBuilder) -> Result<(), Fault> {
    let key_bytes = reader.get(key).len();
    if key_bytes == 0 || key_bytes > MAX_KEY_BYTES {
        return Err(wrong_key(key_bytes));
    }
    let token = reader.peek_token();
    match token {
        Some(b'"') => {
            let text = reader.string()?;
            batch.property(reader.get(key), PropertyValue::Str(cut(reader.get(text))));
        }
        Some(b'{' | b'[') => {
            let nested = reader.nested()?;
            let json = reader.get(nested.text);
            let value = if nested.depth > MAX_DEPTH { PropertyValue::Str(cut(json)) } else { PropertyValue::Json(json) };
            batch.property(reader.get(key), value);
        }
        Some(b't') => {
            reader.literal("true")?;
            batch.property(reader.get(key), PropertyValue::Bool(true));
        }
        Some(b'f') => {
            reader.literal("false")?;
            batch.property(reader.get(key), PropertyValue::Bool(false));
        }
        Some(b'n') => {
            reader.literal("null")?;
            batch.property(reader.get(key), PropertyValue::Null);
        }
        _ => {
            let start = reader.at;
            let value = match reader.number()? {
                Number::Int(number) => PropertyValue::Int(number),
                Number::Float(number) => PropertyValue::Float(number),
                Number::BigInteger => PropertyValue::Json(reader.get(reader.span(start, reader.at))),
            };
            batch.property(reader.get(key), value);
        }
    }
    Ok(())
}

#[cold]
fn wrong_key(bytes: usize) -> Fault {
    let message = format!("a property name has {bytes} bytes, 1 to {MAX_KEY_BYTES} are allowed");
    fault(RejectCode::InvalidPropertyName, message)
}

#[inline(always)]
fn cut(text: &str) -> &str {
    if text.len() <= MAX_STRING_VALUE_BYTES { text } else { &text[..text.floor_char_boundary(MAX_STRING_VALUE_BYTES)] }
}
