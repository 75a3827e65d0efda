//! A list of texts as the bytes of a table in a segment's file.

use std::io;

use arrow::array::{Array, StringArray, StringBuilder};
use arrow::buffer::{Buffer, OffsetBuffer};

/// Most bytes of a text in a table: a length is one byte. No id is longer.
pub(super) const MAX_TEXT_BYTES: usize = u8::MAX as usize;
/// Higher levels gain less than a hundredth.
const ZSTD_LEVEL: i32 = 9;

/// Where in its file a table of texts is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct TextsPlace {
    pub(super) start: u64,
    pub(super) bytes: usize,
    pub(super) texts: usize,
    /// Of all texts together.
    pub(super) text_bytes: usize,
}

/// Texts as they are gathered, by place.
#[derive(Default)]
pub(super) struct TextList {
    bytes: String,
    ends: Vec<usize>,
}

impl TextList {
    pub(super) fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn get(&self, place: u32) -> &str {
        let place = place as usize;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[place]]
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all texts together.
    pub(super) fn text_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The texts of these places, in their order.
    pub(super) fn in_order(&self, places: impl Iterator<Item = u32>) -> StringArray {
        let mut texts = StringBuilder::with_capacity(self.len(), self.text_bytes());
        places.for_each(|place| texts.append_value(self.get(place)));
        texts.finish()
    }
}

/// The bytes of a table that begins at `start`, and its place: a zstd frame of the length of each text, one byte each, and then the texts. All
/// are at most [`MAX_TEXT_BYTES`] long.
pub(super) fn encode(texts: &StringArray, start: u64) -> io::Result<(Vec<u8>, TextsPlace)> {
    let lengths = texts.offsets().lengths().map(|length| u8::try_from(length).map_err(io::Error::other));
    let mut plain = lengths.collect::<io::Result<Vec<u8>>>()?;
    let (first, last) = (texts.value_offsets().first(), texts.value_offsets().last());
    let range = first.zip(last).map_or(0..0, |(&first, &last)| first as usize..last as usize);
    plain.extend_from_slice(&texts.values()[range]);
    let bytes = zstd::bulk::compress(&plain, ZSTD_LEVEL)?;
    let place = TextsPlace { start, bytes: bytes.len(), texts: texts.len(), text_bytes: plain.len() - texts.len() };
    Ok((bytes, place))
}

/// The texts of a table from its bytes.
///
/// # Errors
/// What is wrong with them.
pub(super) fn decode(bytes: &[u8], place: &TextsPlace) -> Result<StringArray, String> {
    let length = place.texts.saturating_add(place.text_bytes);
    if place.text_bytes > place.texts.saturating_mul(MAX_TEXT_BYTES) || i32::try_from(length).is_err() {
        return Err(format!("a table of {} texts cannot have {} bytes", place.texts, place.text_bytes));
    }
    let plain = zstd::bulk::decompress(bytes, length).map_err(|error| error.to_string())?;
    if plain.len() != length {
        return Err(format!("a table has {} bytes, not {length}", plain.len()));
    }
    let lengths: usize = plain[..place.texts].iter().map(|&length| usize::from(length)).sum();
    if lengths != place.text_bytes {
        return Err("a table's lengths are not those of its texts".to_owned());
    }
    let offsets = OffsetBuffer::<i32>::from_lengths(plain[..place.texts].iter().map(|&length| usize::from(length)));
    let texts = Buffer::from_vec(plain).slice(place.texts);
    StringArray::try_new(offsets, texts, None).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_come_back_from_their_bytes(texts in prop::collection::vec("\\PC{0,60}", 0..200)) {
            let array = StringArray::from(texts.clone());
            let (bytes, place) = encode(&array, 7).unwrap();
            let text_bytes = texts.iter().map(String::len).sum();
            prop_assert_eq!(place, TextsPlace { start: 7, bytes: bytes.len(), texts: texts.len(), text_bytes });
            prop_assert_eq!(&decode(&bytes, &place).unwrap(), &array);
            let others = [TextsPlace { texts: texts.len() + 1, ..place }, TextsPlace { text_bytes: text_bytes + 1, ..place }];
            for other in others {
                prop_assert!(decode(&bytes, &other).is_err(), "{:?}", other);
            }
            let slice = array.slice(texts.len() / 2, texts.len() - texts.len() / 2);
            let (bytes, place) = encode(&slice, 0).unwrap();
            prop_assert_eq!(decode(&bytes, &place).unwrap(), slice);
        }

        #[test]
        fn any_bytes_are_texts_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), texts in 0usize..50, text_bytes in 0usize..300) {
            let place = TextsPlace { start: 0, bytes: bytes.len(), texts, text_bytes };
            let _ = decode(&bytes, &place);
            let frame = zstd::bulk::compress(&bytes, 1).unwrap();
            let place = TextsPlace { texts, text_bytes: bytes.len().saturating_sub(texts), ..place };
            if let Ok(decoded) = decode(&frame, &place) {
                prop_assert_eq!(decoded.len(), texts);
            }
        }
    }

    #[test]
    fn too_long_a_text_is_an_error() {
        let text = |length: usize| StringArray::from(vec!["x".repeat(length)]);
        assert!(encode(&text(MAX_TEXT_BYTES), 0).is_ok());
        assert!(encode(&text(MAX_TEXT_BYTES + 1), 0).is_err());
    }
}
