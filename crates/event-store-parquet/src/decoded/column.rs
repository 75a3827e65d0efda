//! The forms in which columns are kept.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::ArrowNativeType;
use arrow::error::ArrowError;

use super::dictionary::TextCodes;
use crate::segment::{SegmentPersons, SegmentSessions};

/// One column of one block.
#[derive(Clone)]
pub(crate) enum Decoded {
    /// No row has a value.
    Absent,
    /// Text.
    Text(SharedText),
    /// Session ids as numbers of their segment's table.
    Sessions(SessionCodes),
    /// Persons as ordinals.
    Persons(Ordinals),
    /// A time in every row.
    Times(Times),
    /// As it was read.
    Array(ArrayRef),
    /// Not a column but a table that the rows of a segment have numbers of.
    Table(SegmentTable),
}

/// A table of a segment.
#[derive(Clone)]
pub(crate) enum SegmentTable {
    Persons(SegmentPersons),
    Sessions(Arc<SegmentSessions>),
}

/// Session ids by their numbers; 0 is none, and others are one more than the number in the table.
#[derive(Clone)]
pub(crate) struct SessionCodes {
    pub(crate) codes: Codes,
    pub(crate) table: Arc<SegmentSessions>,
}

/// Text as codes of a dictionary.
#[derive(Clone)]
pub(crate) struct SharedText {
    pub(crate) codes: Codes,
    pub(crate) texts: Arc<TextCodes>,
}

/// Codes in the narrowest form that holds all of the block; 0 is no text.
#[derive(Clone)]
pub(crate) enum Codes {
    /// The same in every row.
    One(u32),
    Narrow(ScalarBuffer<u8>),
    Middle(ScalarBuffer<u16>),
    Wide(ScalarBuffer<u32>),
}

/// Ordinals of persons, see [`super::PersonIndex`].
#[derive(Clone)]
pub(crate) struct Ordinals {
    pub(crate) values: ScalarBuffer<u32>,
    /// The largest of the block; a slice keeps it.
    pub(crate) largest: u32,
}

/// Milliseconds.
#[derive(Clone)]
pub(crate) enum Times {
    /// Distances from the first of the two, which is the earliest of the block.
    Near(i64, ScalarBuffer<u32>),
    /// As they are: a block of more than 49 days.
    Far(ScalarBuffer<i64>),
}

impl Decoded {
    /// Bytes of memory, the shared dictionary left out.
    pub(crate) fn bytes(&self) -> usize {
        /// The value itself with its counters and its place in the cache.
        const ENTRY_BYTES: usize = 160;
        let values = match self {
            Self::Absent => 0,
            Self::Text(SharedText { codes, .. }) | Self::Sessions(SessionCodes { codes, .. }) => codes.bytes(),
            Self::Persons(ordinals) => ordinals.values.len() * 4,
            Self::Times(Times::Near(_, distances)) => distances.len() * 4,
            Self::Times(Times::Far(times)) => times.len() * 8,
            Self::Array(array) => array.get_array_memory_size(),
            Self::Table(SegmentTable::Persons(persons)) => size_of_val(persons.keys()),
            Self::Table(SegmentTable::Sessions(sessions)) => sessions.memory_bytes(),
        };
        ENTRY_BYTES + values
    }

    /// These rows of it, in a form of their own.
    ///
    /// # Errors
    /// A row that there is not.
    pub(crate) fn take(&self, rows: &[u32]) -> Result<Self, ArrowError> {
        Ok(match self {
            Self::Absent => Self::Absent,
            Self::Text(text) => Self::Text(SharedText { codes: text.codes.take(rows), texts: text.texts.clone() }),
            Self::Sessions(ids) => Self::Sessions(SessionCodes { codes: ids.codes.take(rows), table: ids.table.clone() }),
            Self::Persons(ordinals) => Self::Persons(Ordinals { values: taken(&ordinals.values, rows), largest: ordinals.largest }),
            Self::Times(Times::Near(base_ms, distances)) => Self::Times(Times::Near(*base_ms, taken(distances, rows))),
            Self::Times(Times::Far(times)) => Self::Times(Times::Far(taken(times, rows))),
            Self::Array(array) => Self::Array(arrow::compute::take(array, &UInt32Array::from(rows.to_vec()), None)?),
            Self::Table(table) => Self::Table(table.clone()),
        })
    }

    /// These rows of it, without a copy.
    pub(crate) fn slice(&self, rows: Range<usize>) -> Self {
        let (start, length) = (rows.start, rows.len());
        match self {
            Self::Absent => Self::Absent,
            Self::Text(text) => Self::Text(SharedText { codes: text.codes.slice(start, length), texts: text.texts.clone() }),
            Self::Sessions(ids) => Self::Sessions(SessionCodes { codes: ids.codes.slice(start, length), table: ids.table.clone() }),
            Self::Persons(ordinals) => Self::Persons(Ordinals { values: ordinals.values.slice(start, length), largest: ordinals.largest }),
            Self::Times(Times::Near(base_ms, distances)) => Self::Times(Times::Near(*base_ms, distances.slice(start, length))),
            Self::Times(Times::Far(times)) => Self::Times(Times::Far(times.slice(start, length))),
            Self::Array(array) => Self::Array(array.slice(start, length)),
            Self::Table(table) => Self::Table(table.clone()),
        }
    }
}

fn taken<T: ArrowNativeType>(values: &ScalarBuffer<T>, rows: &[u32]) -> ScalarBuffer<T> {
    rows.iter().map(|&row| values[row as usize]).collect()
}

impl Codes {
    fn take(&self, rows: &[u32]) -> Self {
        match self {
            Self::One(code) => Self::One(*code),
            Self::Narrow(codes) => Self::Narrow(taken(codes, rows)),
            Self::Middle(codes) => Self::Middle(taken(codes, rows)),
            Self::Wide(codes) => Self::Wide(taken(codes, rows)),
        }
    }

    /// Bytes of memory.
    fn bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Narrow(codes) => codes.len(),
            Self::Middle(codes) => codes.len() * 2,
            Self::Wide(codes) => codes.len() * 4,
        }
    }

    fn slice(&self, start: usize, length: usize) -> Self {
        match self {
            Self::One(code) => Self::One(*code),
            Self::Narrow(codes) => Self::Narrow(codes.slice(start, length)),
            Self::Middle(codes) => Self::Middle(codes.slice(start, length)),
            Self::Wide(codes) => Self::Wide(codes.slice(start, length)),
        }
    }

    /// The narrowest form of the codes.
    pub(crate) fn new(codes: Vec<u32>) -> Self {
        let largest = codes.iter().copied().max().unwrap_or(0);
        match codes.first() {
            Some(&first) if codes.iter().all(|&code| code == first) => Self::One(first),
            _ if largest <= u32::from(u8::MAX) => Self::Narrow(codes.into_iter().map(|code| code as u8).collect()),
            _ if largest <= u32::from(u16::MAX) => Self::Middle(codes.into_iter().map(|code| code as u16).collect()),
            _ => Self::Wide(codes.into()),
        }
    }

    /// The code of a row.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> u32 {
        match self {
            Self::One(code) => *code,
            Self::Narrow(codes) => u32::from(codes[row]),
            Self::Middle(codes) => u32::from(codes[row]),
            Self::Wide(codes) => codes[row],
        }
    }
}

impl Times {
    /// The narrowest form of the times.
    pub(crate) fn new(times: ScalarBuffer<i64>) -> Self {
        let (earliest, latest) = times.iter().fold((i64::MAX, i64::MIN), |(low, high), &time| (low.min(time), high.max(time)));
        if latest.checked_sub(earliest).is_some_and(|span| span <= i64::from(u32::MAX)) {
            return Self::Near(earliest, times.iter().map(|time| (time - earliest) as u32).collect());
        }
        Self::Far(times)
    }

    /// The time of a row.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> i64 {
        match self {
            Self::Near(base_ms, distances) => base_ms + i64::from(distances[row]),
            Self::Far(times) => times[row],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_narrow_and_say_the_same() {
        for (codes, bytes) in [(vec![7, 7, 7], 0), (vec![0, 255, 3], 3), (vec![256, 1, 2], 6), (vec![65_536, 0, 9], 12)] {
            let narrow = Codes::new(codes.clone());
            assert_eq!((0..3).map(|row| narrow.get(row)).collect::<Vec<_>>(), codes);
            let text = Decoded::Text(SharedText { codes: narrow, texts: Arc::new(TextCodes::new(Arc::default())) });
            assert_eq!(text.bytes() - Decoded::Absent.bytes(), bytes);
            let Decoded::Text(slice) = text.slice(1..3) else { panic!("a slice keeps its kind") };
            assert_eq!([slice.codes.get(0), slice.codes.get(1)], codes[1..]);
        }
        for times in [vec![5, 5 + i64::from(u32::MAX), 6], vec![0, 1 << 32, 7], vec![i64::MIN, i64::MAX, 0]] {
            let kept = Times::new(times.clone().into());
            assert_eq!((0..3).map(|row| kept.get(row)).collect::<Vec<_>>(), times);
        }
        assert!(matches!(Times::new(vec![1, 2].into()), Times::Near(1, _)));
    }
}
