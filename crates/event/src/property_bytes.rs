//! How the properties of an event lie in their batch: a varint key id, a tag, the value.

use crate::dictionary::Dictionary;
use crate::value::PropertyValue;

/// The properties of one event: `(id of the key in the batch's dictionary, key, value)`.
#[derive(Clone)]
pub struct PropertyIter<'a> {
    pub(crate) keys: &'a Dictionary,
    pub(crate) bytes: &'a [u8],
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

pub(crate) fn write_property(out: &mut Vec<u8>, key_id: u32, value: PropertyValue<'_>) {
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
