//! The persons of a segment of one app: their ids once, in the order of their keys, and numbers in the rows.
//!
//! A person has rows in many runs of a segment, one for each event name. Numbers of a table shared by all runs ascend by small steps,
//! which pack into a bit or two a row; keys are hashes of ids, so that a table of ids is one of keys as well; and a reader looks each
//! person up once a segment and not once a run (`docs/decisions/0017-persons-once-a-segment.md`).

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, Int32Array, StringArray, UInt64Array};
use event::person_hash;
use rustc_hash::FxHashMap;

use super::texts::{self, MAX_TEXT_BYTES, TextList, TextsPlace};

/// Most bytes of the ids of a table.
const MAX_ID_BYTES: usize = 256 << 20;

/// Persons of one segment by number. Invariant: keys ascend, each once.
#[derive(Clone, Debug)]
pub(crate) struct SegmentPersons(Arc<Table>);

#[derive(Debug)]
struct Table {
    /// `None` in a segment of format 2, whose table has keys alone.
    ids: Option<StringArray>,
    /// Made of the ids when all are asked for.
    keys: OnceLock<Box<[u64]>>,
}

/// Where in its file the table of the persons is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum PersonPlace {
    /// Ids: format 3.
    Ids(TextsPlace),
    /// Keys: format 2.
    Keys { start: u64, bytes: usize, persons: usize },
}

impl PersonPlace {
    /// Number of persons.
    pub(super) fn persons(&self) -> usize {
        match self {
            Self::Ids(place) => place.texts,
            Self::Keys { persons, .. } => *persons,
        }
    }

    /// First byte in the file, and number of bytes.
    pub(super) fn bytes(&self) -> (u64, usize) {
        match self {
            Self::Ids(place) => (place.start, place.bytes),
            Self::Keys { start, bytes, .. } => (*start, *bytes),
        }
    }
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

    /// The table; `None` where there can be none: more ids than it may have, or two with one key. Rows keep their ids and keys then.
    pub(crate) fn finish(self) -> Option<SegmentPersons> {
        if self.impossible {
            return None;
        }
        let mut ascending: Vec<(u64, u32)> = self.places.into_iter().collect();
        ascending.sort_unstable();
        let ids = self.ids.in_order(ascending.iter().map(|(_, place)| *place));
        let keys = OnceLock::from(ascending.into_iter().map(|(key, _)| key).collect::<Box<[u64]>>());
        Some(SegmentPersons(Arc::new(Table { ids: Some(ids), keys })))
    }
}

impl SegmentPersons {
    /// Number of persons.
    pub(crate) fn len(&self) -> usize {
        match &self.0.ids {
            Some(ids) => ids.len(),
            None => self.keys().len(),
        }
    }

    /// The keys by number.
    pub(crate) fn keys(&self) -> &[u64] {
        self.0.keys.get_or_init(|| self.ids().iter().flat_map(|ids| ids.iter().map(key_of)).collect())
    }

    /// The key of a number; `None` for one that the table lacks. All keys are made only by [`SegmentPersons::keys`].
    pub(crate) fn key(&self, number: i32) -> Option<u64> {
        let number = usize::try_from(number).ok()?;
        match (self.0.keys.get(), &self.0.ids) {
            (Some(keys), _) => keys.get(number).copied(),
            (None, Some(ids)) => (number < ids.len()).then(|| key_of(Some(ids.value(number)))),
            (None, None) => None,
        }
    }

    /// The ids by number; `None` where the table has keys alone.
    pub(crate) fn ids(&self) -> Option<&StringArray> {
        self.0.ids.as_ref()
    }

    /// Bytes of memory with all keys.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.ids().map_or(0, Array::get_array_memory_size) + self.len() * size_of::<u64>()
    }

    /// The number of a person; `None` where the segment has no row of it.
    pub(crate) fn number(&self, key: u64) -> Option<i32> {
        let (mut low, mut high) = (0, self.len() as i32);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle)?.cmp(&key) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The bytes of the table in a file, and its place but for the start.
    pub(super) fn encode(&self) -> std::io::Result<(Vec<u8>, TextsPlace)> {
        let ids = self.ids().ok_or_else(|| std::io::Error::other("persons without ids"))?;
        let bytes = texts::encode(ids)?;
        let place = TextsPlace { start: 0, bytes: bytes.len(), texts: ids.len(), text_bytes: texts::text_bytes(ids).len() };
        Ok((bytes, place))
    }

    /// The table from its bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn decode(bytes: &[u8], place: &PersonPlace) -> Result<Self, String> {
        let table = match place {
            PersonPlace::Ids(place) => {
                let ids = texts::decode(bytes, place).map_err(|reason| format!("its persons: {reason}"))?;
                Table { ids: Some(ids), keys: OnceLock::new() }
            }
            PersonPlace::Keys { persons, .. } => Table { ids: None, keys: OnceLock::from(decode_keys(bytes, *persons)?) },
        };
        Ok(Self(Arc::new(table)))
    }

    /// True where the keys ascend, as numbers are looked up by.
    pub(crate) fn ascends(&self) -> bool {
        self.keys().windows(2).all(|pair| pair[0] < pair[1])
    }

    /// The keys of numbers.
    ///
    /// # Errors
    /// A number that the table lacks.
    pub(super) fn keys_of(&self, numbers: &Int32Array) -> Result<UInt64Array, String> {
        let keys = self.keys();
        if numbers.iter().flatten().any(|number| number as usize >= keys.len()) {
            return Err("a row has a person that its table lacks".to_owned());
        }
        // What lies under a null is not looked at.
        let key = |&number: &i32| keys.get(number as usize).copied().unwrap_or(0);
        Ok(UInt64Array::new(numbers.values().iter().map(key).collect(), numbers.nulls().cloned()))
    }
}

fn key_of(id: Option<&str>) -> u64 {
    person_hash(id, None).map_or(0, |person| person.0)
}

/// The keys of a table of format 2: distances from key to key, 8 bytes little-endian each, the first bytes of all, then the second ones
/// and so on, compressed by zstd.
fn decode_keys(bytes: &[u8], persons: usize) -> Result<Box<[u64]>, String> {
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
    Ok(distances.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table<'i>(ids: impl IntoIterator<Item = &'i String>) -> SegmentPersons {
        let mut gatherer = PersonGatherer::default();
        ids.into_iter().for_each(|id| gatherer.add(key_of(Some(id)), id));
        gatherer.finish().unwrap()
    }

    /// As tables of format 2 were written.
    fn encode_keys(keys: &[u64]) -> Vec<u8> {
        let mut planes = vec![0; keys.len() * 8];
        let mut last = 0;
        for (number, &key) in keys.iter().enumerate() {
            for (plane, byte) in (key - last).to_le_bytes().into_iter().enumerate() {
                planes[plane * keys.len() + number] = byte;
            }
            last = key;
        }
        zstd::bulk::compress(&planes, 1).unwrap()
    }

    proptest! {
        #[test]
        fn a_table_comes_back_from_its_bytes(ids in prop::collection::vec("[a-z0-9-]{1,12}", 0..300)) {
            let table = table(&ids);
            let mut keys: Vec<u64> = ids.iter().map(|id| key_of(Some(id))).collect();
            keys.sort_unstable();
            keys.dedup();
            prop_assert_eq!(table.keys(), &keys[..]);
            let (bytes, place) = table.encode().unwrap();
            let read = SegmentPersons::decode(&bytes, &PersonPlace::Ids(place)).unwrap();
            prop_assert_eq!(read.ids(), table.ids());
            for (number, &key) in keys.iter().enumerate() {
                prop_assert_eq!(read.key(number as i32), Some(key));
                prop_assert_eq!(read.number(key), Some(number as i32));
                prop_assert_eq!(read.number(key ^ 1), keys.binary_search(&(key ^ 1)).ok().map(|number| number as i32));
            }
            prop_assert_eq!(read.key(-1), None);
            prop_assert_eq!(read.key(keys.len() as i32), None);
            prop_assert_eq!(read.keys(), &keys[..]);
            prop_assert!(read.ascends());
        }

        #[test]
        fn keys_of_format_2_come_back(mut keys in prop::collection::vec(any::<u64>(), 0..300), edges in any::<bool>()) {
            if edges {
                keys.extend([0, 1, u64::MAX]);
            }
            keys.sort_unstable();
            keys.dedup();
            let bytes = encode_keys(&keys);
            prop_assert_eq!(&decode_keys(&bytes, keys.len()).unwrap()[..], &keys[..]);
            prop_assert!(decode_keys(&bytes, keys.len() + 1).is_err());
            prop_assert!(keys.is_empty() || decode_keys(&bytes, keys.len() - 1).is_err());
        }

        #[test]
        fn any_bytes_are_keys_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), persons in 0usize..50) {
            for keys in [decode_keys(&bytes, persons), decode_keys(&zstd::bulk::compress(&bytes, 1).unwrap(), bytes.len() / 8)] {
                prop_assert!(keys.is_err() || keys.unwrap().windows(2).all(|pair| pair[0] < pair[1]));
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
        assert_eq!(gatherer.finish().unwrap().len(), 1_000);
    }
}
