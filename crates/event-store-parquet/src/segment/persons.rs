//! The persons of a segment of one app: their keys once, ascending, and numbers in the rows.
//!
//! A person has rows in many runs of a segment, one for each event name, and a key is 8 bytes that look random. Numbers of a table
//! shared by all runs ascend by small steps, which pack into a bit or two a row, and a reader looks each key up once a segment and
//! not once a run (`docs/decisions/0017-persons-once-a-segment.md`).

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type, Schema, SchemaRef, UInt64Type};

use crate::columns;

/// The column of the numbers in the file, `Int32`: the place of the row's person in the table, from 0; null for a system event.
pub(super) const PERSON_NUMBER: &str = "person_number";

/// Most persons of a table: numbers are 32-bit.
const MAX_PERSONS: usize = i32::MAX as usize;
/// Level for the bytes of distances, of which most look random.
const ZSTD_LEVEL: i32 = 1;

/// Person keys of one segment. Invariant: ascending, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentPersons(Arc<[u64]>);

/// Gathers the keys of a table.
#[derive(Default)]
pub(crate) struct PersonGatherer {
    keys: Vec<u64>,
    /// Of `keys`, those that are a table by now.
    gathered: usize,
}

impl PersonGatherer {
    /// A row's person; rows of one run come one after the other.
    pub(crate) fn add(&mut self, key: u64) {
        /// Fewer keys than this are not worth a look.
        const MIN_NEW_KEYS: usize = 65_536;
        if self.keys.last() == Some(&key) {
            return;
        }
        self.keys.push(key);
        if self.keys.len() > 2 * self.gathered + MIN_NEW_KEYS {
            self.tidy();
        }
    }

    /// The persons of a person column.
    pub(crate) fn add_all(&mut self, persons: &UInt64Array) {
        persons.iter().flatten().for_each(|key| self.add(key));
    }

    fn tidy(&mut self) {
        self.keys.sort_unstable();
        self.keys.dedup();
        self.gathered = self.keys.len();
    }

    /// The table; `None` where there are more persons than numbers.
    pub(crate) fn finish(mut self) -> Option<SegmentPersons> {
        self.tidy();
        (self.keys.len() <= MAX_PERSONS).then(|| SegmentPersons(self.keys.into()))
    }
}

impl SegmentPersons {
    /// The keys by number.
    pub(crate) fn keys(&self) -> &[u64] {
        &self.0
    }

    /// The number of a person; `None` where the segment has no row of it.
    pub(crate) fn number(&self, key: u64) -> Option<i32> {
        self.0.binary_search(&key).ok().map(|number| number as i32)
    }

    /// The bytes of the table in a file: distances from key to key, 8 bytes little-endian each, the first bytes of all, then the second
    /// ones and so on, compressed by zstd. The upper bytes of distances are zeros.
    pub(super) fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut planes = vec![0; self.0.len() * 8];
        let mut last = 0;
        for (number, &key) in self.0.iter().enumerate() {
            for (plane, byte) in (key - last).to_le_bytes().into_iter().enumerate() {
                planes[plane * self.0.len() + number] = byte;
            }
            last = key;
        }
        zstd::bulk::compress(&planes, ZSTD_LEVEL)
    }

    /// The table of `persons` keys from its bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn decode(bytes: &[u8], persons: usize) -> Result<Self, String> {
        let planes = zstd::bulk::decompress(bytes, persons.saturating_mul(8)).map_err(|error| format!("its persons: {error}"))?;
        if planes.len() != persons * 8 {
            return Err(format!("its persons are {} bytes, not {}", planes.len(), persons * 8));
        }
        let mut distances = vec![0u64; persons];
        for (plane, bytes) in planes.chunks(persons.max(1)).enumerate() {
            for (distance, &byte) in distances.iter_mut().zip(bytes) {
                *distance |= u64::from(byte) << (8 * plane);
            }
        }
        let mut last = None;
        for distance in &mut distances {
            let key = match last {
                None => Some(*distance),
                Some(_) if *distance == 0 => None,
                Some(last) => distance.checked_add(last),
            };
            let key = key.ok_or("its persons do not ascend")?;
            (*distance, last) = (key, Some(key));
        }
        Ok(Self(distances.into()))
    }

    /// Rows with numbers in the place of keys; `schema` is [`with_numbers`] of theirs.
    ///
    /// # Errors
    /// A person that the table lacks.
    pub(super) fn to_numbers(&self, schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, String> {
        let mut arrays = batch.columns().to_vec();
        if let Some((at, _)) = schema.column_with_name(PERSON_NUMBER) {
            let keys = arrays[at].as_primitive_opt::<UInt64Type>().ok_or("its persons are no keys")?;
            let mut last: Option<(u64, i32)> = None;
            let mut number = |key: u64| match last {
                Some((known, number)) if known == key => Ok(number),
                _ => {
                    let number = self.number(key).ok_or("a row's person is not among those of the segment")?;
                    last = Some((key, number));
                    Ok(number)
                }
            };
            let numbers = keys.iter().map(|key| key.map(&mut number).transpose()).collect::<Result<Int32Array, &str>>()?;
            arrays[at] = Arc::new(numbers);
        }
        RecordBatch::try_new(schema.clone(), arrays).map_err(|error| error.to_string())
    }

    /// The keys of numbers.
    ///
    /// # Errors
    /// A number that the table lacks.
    pub(super) fn to_keys(&self, numbers: &Int32Array) -> Result<UInt64Array, String> {
        let beyond = numbers.iter().flatten().any(|number| number as usize >= self.0.len());
        if beyond {
            return Err("a row has a person that its table lacks".to_owned());
        }
        // What lies under a null is not looked at.
        let key = |&number: &i32| self.0.get(number as usize).copied().unwrap_or(0);
        Ok(UInt64Array::new(numbers.values().iter().map(key).collect(), numbers.nulls().cloned()))
    }

    /// A batch as it was read, with keys in the place of numbers.
    pub(super) fn batch_with_keys(&self, batch: &RecordBatch) -> Result<RecordBatch, String> {
        let Some((at, _)) = batch.schema_ref().column_with_name(PERSON_NUMBER) else { return Ok(batch.clone()) };
        let numbers = batch.column(at).as_primitive_opt::<Int32Type>().ok_or("its persons are no numbers")?;
        let mut arrays = batch.columns().to_vec();
        arrays[at] = Arc::new(self.to_keys(numbers)?);
        RecordBatch::try_new(with_keys(batch.schema_ref()), arrays).map_err(|error| error.to_string())
    }
}

/// The field of numbers.
pub(super) fn number_field() -> FieldRef {
    Arc::new(Field::new(PERSON_NUMBER, DataType::Int32, true))
}

/// The schema of rows with numbers in the place of keys.
pub(super) fn with_numbers(schema: &Schema) -> SchemaRef {
    replaced(schema, columns::PERSON, &number_field())
}

/// The schema of rows with keys, whatever the file has.
pub(super) fn with_keys(schema: &Schema) -> SchemaRef {
    replaced(schema, PERSON_NUMBER, &columns::field(columns::PERSON))
}

fn replaced(schema: &Schema, name: &str, by: &FieldRef) -> SchemaRef {
    let field = |field: &FieldRef| if field.name() == name { by.clone() } else { field.clone() };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(keys: impl IntoIterator<Item = u64>) -> SegmentPersons {
        let mut gatherer = PersonGatherer::default();
        keys.into_iter().for_each(|key| gatherer.add(key));
        gatherer.finish().unwrap()
    }

    proptest! {
        #[test]
        fn a_table_comes_back_from_its_bytes(mut keys in prop::collection::vec(any::<u64>(), 0..300), edges in any::<bool>()) {
            if edges {
                keys.extend([0, 1, u64::MAX]);
            }
            let table = table(keys.clone());
            keys.sort_unstable();
            keys.dedup();
            prop_assert_eq!(table.keys(), &keys[..]);
            let bytes = table.encode().unwrap();
            prop_assert_eq!(&SegmentPersons::decode(&bytes, keys.len()).unwrap(), &table);
            prop_assert!(SegmentPersons::decode(&bytes, keys.len() + 1).is_err());
            prop_assert!(keys.is_empty() || SegmentPersons::decode(&bytes, keys.len() - 1).is_err());
        }

        #[test]
        fn any_bytes_are_a_table_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), persons in 0usize..50) {
            if let Ok(table) = SegmentPersons::decode(&bytes, persons) {
                prop_assert!(table.keys().windows(2).all(|pair| pair[0] < pair[1]));
            }
            let planes = zstd::bulk::compress(&bytes, 1).unwrap();
            if let Ok(table) = SegmentPersons::decode(&planes, bytes.len() / 8) {
                prop_assert!(table.keys().windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }

    #[test]
    fn numbers_stand_for_keys() {
        let table = table([9, 5, 5, u64::MAX, 7, 5]);
        let schema = Schema::new(vec![columns::field(columns::PERSON), columns::field(columns::TIME)]);
        let keys = UInt64Array::from(vec![None, Some(5), Some(5), Some(9), Some(u64::MAX), Some(7)]);
        let times = arrow::array::TimestampMillisecondArray::from(vec![1; 6]).with_timezone("UTC");
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(keys), Arc::new(times)]).unwrap();
        let numbered = table.to_numbers(&with_numbers(batch.schema_ref()), &batch).unwrap();
        let numbers = Int32Array::from(vec![None, Some(0), Some(0), Some(2), Some(3), Some(1)]);
        assert_eq!(numbered.column(0).as_primitive::<Int32Type>(), &numbers);
        assert_eq!(table.batch_with_keys(&numbered).unwrap(), batch);
        assert!(table.to_keys(&Int32Array::from(vec![4])).is_err());
        assert!(table.to_keys(&Int32Array::from(vec![-1])).is_err());
        let other = SegmentPersons(Arc::from([5]));
        assert!(other.to_numbers(&with_numbers(batch.schema_ref()), &batch).is_err());
    }

    #[test]
    fn many_rows_take_the_memory_of_their_persons() {
        let mut gatherer = PersonGatherer::default();
        (0..2_000_000u64).for_each(|row| gatherer.add(row % 1_000));
        assert!(gatherer.keys.capacity() < 300_000, "{}", gatherer.keys.capacity());
        assert_eq!(gatherer.finish().unwrap().keys().len(), 1_000);
    }
}
