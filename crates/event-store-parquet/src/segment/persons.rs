//! The persons of a segment of one app: their keys and ids once, ascending by key, and numbers in the rows.
//!
//! A person has rows in many runs of a segment, one for each event name. Keys are 8 bytes that look random, and ids not much better. Numbers of
//! a table shared by all runs ascend by small steps, which pack into a bit or two a row, and a reader looks each key up once a segment
//! and not once a run (`docs/decisions/0017-persons-once-a-segment.md`, `docs/decisions/0019-ids-once-a-segment.md`).

use std::sync::Arc;

use arrow::array::{Array, Int32Array, StringArray, UInt64Array};
use event::person_hash;
use rustc_hash::FxHashMap;

use super::texts::{MAX_TEXT_BYTES, TextList};

/// Most bytes of the ids of a table.
const MAX_ID_BYTES: usize = 256 << 20;
/// Level for the bytes of distances, of which most look random.
const ZSTD_LEVEL: i32 = 1;

/// Person keys of one segment by number. Invariant: ascending, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentPersons(Arc<[u64]>);

/// Where in its file the table of the persons' keys is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct KeysPlace {
    pub(super) start: u64,
    pub(super) bytes: usize,
    pub(super) persons: usize,
}

/// Gathers the persons of a table.
#[derive(Default)]
pub(crate) struct PersonGatherer {
    /// By key, the place of the id.
    places: FxHashMap<u64, u32>,
    ids: TextList,
    last: Option<(u64, u32)>,
    /// Set once there can be no table.
    impossible: bool,
}

impl PersonGatherer {
    /// A row's person: its key, and the id that the key is a hash of. Rows of one run come one after the other.
    pub(crate) fn add(&mut self, key: u64, id: &str) {
        if self.impossible {
            return;
        }
        let place = match self.last {
            Some((last, place)) if last == key => place,
            _ => *self.places.entry(key).or_insert(self.ids.len() as u32),
        };
        self.last = Some((key, place));
        if place as usize == self.ids.len() {
            self.ids.push(id);
            self.impossible = id.len() > MAX_TEXT_BYTES || self.ids.text_bytes() > MAX_ID_BYTES;
        } else {
            // Two ids of one key are two texts for one number.
            self.impossible = self.ids.get(place) != id;
        }
    }

    /// The keys, and the ids by number. `None` where there can be no table: ids too long or too many for one, or two with one key. Rows keep
    /// their ids and keys then.
    pub(crate) fn finish(self) -> Option<(SegmentPersons, StringArray)> {
        if self.impossible {
            return None;
        }
        let mut ascending: Vec<(u64, u32)> = self.places.into_iter().collect();
        ascending.sort_unstable();
        let ids = self.ids.in_order(ascending.iter().map(|(_, place)| *place));
        Some((SegmentPersons(ascending.into_iter().map(|(key, _)| key).collect()), ids))
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

    /// True where these are the ids of the keys.
    pub(crate) fn are_of(&self, ids: &StringArray) -> bool {
        ids.len() == self.0.len() && ids.iter().zip(&*self.0).all(|(id, &key)| key_of(id) == key)
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

    /// The keys of numbers.
    ///
    /// # Errors
    /// A number that the table lacks.
    pub(super) fn keys_of(&self, numbers: &Int32Array) -> Result<UInt64Array, String> {
        if numbers.iter().flatten().any(|number| number as usize >= self.0.len()) {
            return Err("a row has a person that its table lacks".to_owned());
        }
        // What lies under a null is not looked at.
        let key = |&number: &i32| self.0.get(number as usize).copied().unwrap_or(0);
        Ok(UInt64Array::new(numbers.values().iter().map(key).collect(), numbers.nulls().cloned()))
    }
}

fn key_of(id: Option<&str>) -> u64 {
    person_hash(id, None).map_or(0, |person| person.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_table_comes_back_from_its_bytes(ids in prop::collection::vec("[a-z0-9-]{1,12}", 0..300)) {
            let mut gatherer = PersonGatherer::default();
            ids.iter().for_each(|id| gatherer.add(key_of(Some(id)), id));
            let (persons, of_number) = gatherer.finish().unwrap();
            let keys: Vec<u64> = ids.iter().map(|id| key_of(Some(id))).collect::<BTreeSet<u64>>().into_iter().collect();
            prop_assert_eq!(persons.keys(), &keys[..]);
            prop_assert!(persons.are_of(&of_number));
            prop_assert!(ids.is_empty() || !persons.are_of(&of_number.slice(1, of_number.len() - 1)));
            for (number, &key) in keys.iter().enumerate() {
                prop_assert_eq!(persons.number(key), Some(number as i32));
            }
        }

        #[test]
        fn keys_come_back_from_their_bytes(mut keys in prop::collection::vec(any::<u64>(), 0..300), edges in any::<bool>()) {
            if edges {
                keys.extend([0, 1, u64::MAX]);
            }
            keys.sort_unstable();
            keys.dedup();
            let table = SegmentPersons(keys.clone().into());
            let bytes = table.encode().unwrap();
            prop_assert_eq!(&SegmentPersons::decode(&bytes, keys.len()).unwrap(), &table);
            prop_assert!(SegmentPersons::decode(&bytes, keys.len() + 1).is_err());
            prop_assert!(keys.is_empty() || SegmentPersons::decode(&bytes, keys.len() - 1).is_err());
        }

        #[test]
        fn any_bytes_are_keys_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), persons in 0usize..50) {
            let planes = zstd::bulk::compress(&bytes, 1).unwrap();
            for table in [SegmentPersons::decode(&bytes, persons), SegmentPersons::decode(&planes, bytes.len() / 8)] {
                prop_assert!(table.is_err() || table.unwrap().keys().windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }

    #[test]
    fn two_ids_of_one_key_have_no_table() {
        let mut gatherer = PersonGatherer::default();
        for id in ["a", "a", "b", "a"] {
            gatherer.add(key_of(Some(id)), id);
        }
        gatherer.add(key_of(Some("a")), "c");
        assert!(gatherer.finish().is_none());
        let mut gatherer = PersonGatherer::default();
        gatherer.add(1, &"x".repeat(MAX_TEXT_BYTES + 1));
        assert!(gatherer.finish().is_none());
    }

    #[test]
    fn many_rows_take_the_memory_of_their_persons() {
        let ids: Vec<String> = (0..1_000).map(|i| format!("user {i}")).collect();
        let mut gatherer = PersonGatherer::default();
        (0..2_000_000).map(|row| &ids[row % 1_000]).for_each(|id| gatherer.add(key_of(Some(id)), id));
        assert!(gatherer.places.capacity() < 4_000 && gatherer.ids.len() == 1_000);
        assert_eq!(gatherer.finish().unwrap().0.keys().len(), 1_000);
    }
}
