//! Building dictionary-encoded text columns.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Distinct texts in order of first appearance; a code is a text's position.
///
/// Neighbouring events often repeat a value, so the code of the previous text is tried before hashing.
pub(crate) struct TextDictionary {
    ends: Vec<i32>,
    bytes: Vec<u8>,
    table: HashTable<i32>,
    hasher: DefaultHashBuilder,
    previous: i32,
}

impl Default for TextDictionary {
    fn default() -> Self {
        Self { ends: vec![0], bytes: Vec::new(), table: HashTable::new(), hasher: DefaultHashBuilder::default(), previous: -1 }
    }
}

impl TextDictionary {
    /// Number of distinct texts.
    pub(crate) fn len(&self) -> usize {
        self.ends.len() - 1
    }

    /// The code of `text`, added when new.
    pub(crate) fn intern(&mut self, text: &str) -> i32 {
        let text = text.as_bytes();
        if self.previous >= 0 && slice(&self.ends, &self.bytes, self.previous) == text {
            return self.previous;
        }
        let hash = self.hasher.hash_one(text);
        let (ends, bytes) = (&self.ends, &self.bytes);
        if let Some(&code) = self.table.find(hash, |&code| slice(ends, bytes, code) == text) {
            self.previous = code;
            return code;
        }
        let code = self.len() as i32;
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as i32);
        let (ends, bytes, hasher) = (&self.ends, &self.bytes, &self.hasher);
        self.table.insert_unique(hash, code, |&code| hasher.hash_one(slice(ends, bytes, code)));
        self.previous = code;
        code
    }

    /// The text with this code.
    pub(crate) fn get(&self, code: i32) -> &str {
        std::str::from_utf8(slice(&self.ends, &self.bytes, code)).unwrap_or_default()
    }

    /// For each code, its position among all texts in byte order.
    pub(crate) fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<i32> = (0..self.len() as i32).collect();
        order.sort_unstable_by_key(|&code| slice(&self.ends, &self.bytes, code));
        let mut ranks = vec![0; order.len()];
        for (rank, code) in order.into_iter().enumerate() {
            ranks[code as usize] = rank as u32;
        }
        ranks
    }

    /// The texts as the values of a dictionary array.
    pub(crate) fn into_values(self) -> Result<ArrayRef, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        Ok(Arc::new(StringArray::try_new(offsets, self.bytes.into(), None)?))
    }

    /// The texts with these codes, one a row.
    pub(crate) fn into_array(self, codes: Vec<i32>, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let keys = Int32Array::try_new(codes.into(), nulls)?;
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, self.into_values()?)?))
    }
}

fn slice<'a>(ends: &[i32], bytes: &'a [u8], code: i32) -> &'a [u8] {
    let code = code as usize;
    &bytes[ends[code] as usize..ends[code + 1] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_ranks() {
        let mut dictionary = TextDictionary::default();
        let codes: Vec<i32> = ["b", "b", "", "a", "b", "é"].into_iter().map(|text| dictionary.intern(text)).collect();
        assert_eq!(codes, [0, 0, 1, 2, 0, 3]);
        assert_eq!(dictionary.get(3), "é");
        assert_eq!(dictionary.ranks(), [2, 0, 1, 3]);
    }
}
