//! The compact form of a batch in the embedded log; `docs/formats.md` has the layout byte by byte.
//!
//! All integers are little-endian or LEB128. The log's checksum guards against damage; the checks here guard against bugs:
//! whatever the bytes, decoding returns an error and never panics.

use thiserror::Error;

use crate::batch::{EventBatch, EventBatchBuilder};
use crate::columns::{Columns, IdColumn};
use crate::dictionary::Dictionary;
use crate::ids::AppId;
use crate::property_bytes::{read_text, read_varint, write_text, write_varint};
use crate::reject::{Reject, RejectCode, RejectedEvent};

const VERSION: u8 = 1;

/// Bytes that are not a batch of this version.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum CodecError {
    /// Written by another version of throng.
    #[error("batch format version {0} is not supported by this version of throng, which reads version 1")]
    Version(u8),
    /// Not what the encoder writes.
    #[error("a batch is damaged in its {0}")]
    Damaged(&'static str),
}

impl EventBatchBuilder {
    /// Appends the encoded batch to `out`.
    pub fn encode(&self, app: &AppId, out: &mut Vec<u8>) {
        self.columns.encode(app, out);
    }
}

impl Columns {
    fn encode(&self, app: &AppId, out: &mut Vec<u8>) {
        out.push(VERSION);
        write_text(out, app.as_str());
        out.extend_from_slice(&self.received_at_ms.to_le_bytes());
        write_varint(out, self.name_ids.len() as u64);
        for dictionary in [&self.names, &self.keys] {
            write_varint(out, dictionary.len() as u64);
            dictionary.iter().for_each(|text| write_text(out, text));
        }
        self.name_ids.iter().for_each(|&id| write_varint(out, u64::from(id)));
        for (time, client_time) in self.times.iter().zip(&self.client_times) {
            out.extend_from_slice(&time.to_le_bytes());
            out.extend_from_slice(&client_time.to_le_bytes());
        }
        for column in self.ids() {
            // Shifted by one so that "absent" is the one-byte 0.
            column.lengths.iter().for_each(|&length| write_varint(out, u64::from(length.wrapping_add(1))));
            out.extend_from_slice(column.bytes.as_bytes());
        }
        let mut start = 0;
        for &end in &self.property_ends {
            write_varint(out, u64::from(end - start));
            start = end;
        }
        out.extend_from_slice(&self.property_bytes);
        write_varint(out, self.rejected.len() as u64);
        for rejected in &self.rejected {
            write_varint(out, u64::from(rejected.index));
            out.push(rejected.reject.code as u8);
            write_text(out, &rejected.reject.message);
            write_varint(out, rejected.raw.len() as u64);
            out.extend_from_slice(&rejected.raw);
        }
    }
}

impl EventBatch {
    /// Reads a batch that [`EventBatchBuilder::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`]; the bytes are then of no use and the caller quarantines the record.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut input = bytes;
        let (&version, rest) = input.split_first().ok_or(CodecError::Damaged("header"))?;
        if version != VERSION {
            return Err(CodecError::Version(version));
        }
        input = rest;
        let app = read_text(&mut input).and_then(AppId::new).ok_or(CodecError::Damaged("app"))?;
        let received_at_ms = read_i64(&mut input).ok_or(CodecError::Damaged("receive time"))?;
        let count = read_count(&mut input).ok_or(CodecError::Damaged("count"))?;
        let names = read_dictionary(&mut input).ok_or(CodecError::Damaged("names"))?;
        let keys = read_dictionary(&mut input).ok_or(CodecError::Damaged("keys"))?;
        let name_ids = read_name_ids(&mut input, count, names.len()).ok_or(CodecError::Damaged("name ids"))?;
        let (times, client_times) = read_times(&mut input, count).ok_or(CodecError::Damaged("times"))?;
        let mut ids = || read_ids(&mut input, count).ok_or(CodecError::Damaged("ids"));
        let (user_ids, anonymous_ids, insert_ids, session_ids) = (ids()?, ids()?, ids()?, ids()?);
        let (property_ends, property_bytes) = read_properties(&mut input, count).ok_or(CodecError::Damaged("properties"))?;
        let rejected = read_rejected(&mut input).ok_or(CodecError::Damaged("rejected events"))?;
        if !input.is_empty() {
            return Err(CodecError::Damaged("end"));
        }
        let columns = Columns {
            received_at_ms,
            names,
            keys,
            name_ids,
            times,
            client_times,
            user_ids,
            anonymous_ids,
            insert_ids,
            session_ids,
            property_ends,
            property_bytes,
            rejected,
        };
        Ok(Self { app, columns })
    }
}

fn read_i64(input: &mut &[u8]) -> Option<i64> {
    let (bytes, rest) = input.split_first_chunk::<8>()?;
    *input = rest;
    Some(i64::from_le_bytes(*bytes))
}

/// A count of things of which each takes at least one byte, so a damaged count cannot ask for more memory than the record has bytes.
fn read_count(input: &mut &[u8]) -> Option<usize> {
    let count = usize::try_from(read_varint(input)?).ok()?;
    (count <= input.len()).then_some(count)
}

fn read_dictionary(input: &mut &[u8]) -> Option<Dictionary> {
    let mut dictionary = Dictionary::default();
    for _ in 0..read_count(input)? {
        dictionary.push(read_text(input)?);
    }
    Some(dictionary)
}

fn read_name_ids(input: &mut &[u8], count: usize, names: usize) -> Option<Vec<u32>> {
    let in_dictionary = |id: &u64| *id < names as u64;
    (0..count).map(|_| read_varint(input).filter(in_dictionary).map(|id| id as u32)).collect()
}

fn read_times(input: &mut &[u8], count: usize) -> Option<(Vec<i64>, Vec<i64>)> {
    let (mut times, mut client_times) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for _ in 0..count {
        times.push(read_i64(input)?);
        client_times.push(read_i64(input)?);
    }
    Some((times, client_times))
}

fn read_ids(input: &mut &[u8], count: usize) -> Option<IdColumn> {
    let mut column = IdColumn { lengths: Vec::with_capacity(count), bytes: String::new() };
    let mut total = 0usize;
    for _ in 0..count {
        let shifted = u16::try_from(read_varint(input)?).ok()?;
        total += usize::from(shifted.saturating_sub(1));
        column.lengths.push(shifted.wrapping_sub(1));
    }
    let (bytes, rest) = input.split_at_checked(total)?;
    *input = rest;
    column.bytes = std::str::from_utf8(bytes).ok()?.to_owned();
    let mut start = 0;
    let on_boundary = |&length: &u16| {
        start += if length == u16::MAX { 0 } else { usize::from(length) };
        column.bytes.is_char_boundary(start)
    };
    column.lengths.iter().all(on_boundary).then_some(column)
}

fn read_properties(input: &mut &[u8], count: usize) -> Option<(Vec<u32>, Vec<u8>)> {
    let mut ends = Vec::with_capacity(count);
    let mut end = 0u32;
    for _ in 0..count {
        end = end.checked_add(u32::try_from(read_varint(input)?).ok()?)?;
        ends.push(end);
    }
    let (bytes, rest) = input.split_at_checked(end as usize)?;
    *input = rest;
    Some((ends, bytes.to_vec()))
}

fn read_rejected(input: &mut &[u8]) -> Option<Vec<RejectedEvent>> {
    let mut rejected = Vec::new();
    for _ in 0..read_count(input)? {
        let index = u32::try_from(read_varint(input)?).ok()?;
        let (&code, rest) = input.split_first()?;
        *input = rest;
        let message = read_text(input)?.to_owned();
        let length = usize::try_from(read_varint(input)?).ok()?;
        let (raw, rest) = input.split_at_checked(length)?;
        *input = rest;
        rejected.push(RejectedEvent { index, reject: Reject::new(RejectCode::from_u8(code)?, message), raw: raw.to_vec() });
    }
    Some(rejected)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::batch::EventFields;
    use crate::value::PropertyValue;

    fn sample() -> (EventBatchBuilder, AppId) {
        let mut builder = EventBatchBuilder::default();
        builder.start(1_780_000_000_000);
        for i in 0..20i64 {
            builder.property("url", PropertyValue::Str("/home"));
            builder.property("price", PropertyValue::Float(i as f64 / 4.0));
            builder.property("n", PropertyValue::Int(-i));
            builder.property("list", PropertyValue::Json("[1,\"é\"]"));
            builder.property("flag", PropertyValue::Bool(i % 2 == 0));
            builder.property("none", PropertyValue::Null);
            if i == 7 {
                builder.reject_event(7, Reject::new(RejectCode::MissingName, "no name"), b"{\xff}");
                continue;
            }
            let user = format!("U{i}");
            builder.finish_event(&EventFields {
                name: if i % 3 == 0 { "page_view" } else { "click" },
                time_ms: 1_780_000_000_000 - i,
                client_time_ms: 1_779_999_999_000,
                user_id: (i % 2 == 0).then_some(user.as_str()),
                anonymous_id: (i % 5 != 0).then_some("ä-device"),
                insert_id: Some("id"),
                session_id: None,
            });
        }
        (builder, AppId::new("APP-1").unwrap())
    }

    fn text(batch: &EventBatch) -> Vec<String> {
        let mut lines = Vec::new();
        for event in batch.iter() {
            let properties: Vec<_> = event.properties.clone().map(|(_, k, v)| format!("{k}={v:?}")).collect();
            lines.push(format!(
                "{} {} {} {:?} {:?} {:?} {:?} {}",
                event.name,
                event.time_ms,
                event.client_time_ms,
                event.user_id,
                event.anonymous_id,
                event.insert_id,
                event.session_id,
                properties.join(",")
            ));
        }
        lines
    }

    #[test]
    fn a_batch_survives_the_codec() {
        let (builder, app) = sample();
        let mut bytes = Vec::new();
        builder.encode(&app, &mut bytes);
        let decoded = EventBatch::decode(&bytes).unwrap();
        assert_eq!(text(&decoded), text(&builder.build(&app)));
        assert_eq!(decoded.rejected(), builder.rejected());
        assert_eq!(decoded.len(), 19);
        assert_eq!(decoded.app(), &app);
    }

    proptest! {
        #[test]
        fn damaged_bytes_never_panic(position in 0usize..2000, byte: u8, cut in 0usize..2000) {
            let (builder, app) = sample();
            let mut bytes = Vec::new();
            builder.encode(&app, &mut bytes);
            let at = position % bytes.len();
            bytes[at] = byte;
            bytes.truncate(bytes.len() - cut % bytes.len());
            if let Ok(batch) = EventBatch::decode(&bytes) {
                text(&batch);
            }
        }
    }
}
