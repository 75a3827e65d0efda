//! The session ids of a segment of one app: each once, in the order of their persons, and numbers in the rows.
//!
//! A session has rows in the run of each of its event names. Numbers of a table shared by all runs ascend from row to row by small steps, and a
//! reader finds out what it wants of a session once a segment (`docs/decisions/0019-ids-once-a-segment.md`).

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, Int32Array, StringArray};
use event::session_id_hash;
use hashbrown::HashTable;

use super::texts::{self, MAX_TEXT_BYTES, TextList, TextsPlace};

/// Most bytes of the ids of a table.
const MAX_ID_BYTES: usize = 256 << 20;
/// A table has at most one id for so many rows: where most rows have an id of their own, numbers would come on top of them.
const ROWS_PER_ID: usize = 2;

/// Session ids of one segment by number, each once.
#[derive(Debug)]
pub(crate) struct SegmentSessions {
    ids: StringArray,
    /// Made of the ids when they are first asked for.
    hashes: OnceLock<Box<[u64]>>,
}

/// Where a session of a person is first seen; nobody's come first.
type FirstSeen = (Option<u64>, i64);

/// Gathers the session ids of a table.
#[derive(Default)]
pub(crate) struct SessionGatherer {
    /// Places by id.
    places: HashTable<u32>,
    ids: TextList,
    first_seen: Vec<FirstSeen>,
    last: Option<u32>,
    rows: usize,
    /// Set once there can be no table.
    impossible: bool,
}

impl SessionGatherer {
    /// A row with this session id.
    pub(crate) fn add(&mut self, person: Option<u64>, time_ms: i64, id: &str) {
        self.rows += 1;
        if self.impossible {
            return;
        }
        let place = match self.last {
            Some(place) if self.ids.get(place) == id => place,
            _ => self.place(id),
        };
        self.last = Some(place);
        let seen = (person, time_ms);
        match self.first_seen.get_mut(place as usize) {
            Some(first) => *first = seen.min(*first),
            None => self.first_seen.push(seen),
        }
    }

    fn place(&mut self, id: &str) -> u32 {
        let hash = session_id_hash(id);
        if let Some(&place) = self.places.find(hash, |&place| self.ids.get(place) == id) {
            return place;
        }
        let place = self.ids.len() as u32;
        self.ids.push(id);
        self.impossible = id.len() > MAX_TEXT_BYTES || self.ids.text_bytes() > MAX_ID_BYTES;
        self.places.insert_unique(hash, place, |&place| session_id_hash(self.ids.get(place)));
        place
    }

    /// The table; `None` where rows should keep their ids: too many differ, or there are none.
    pub(crate) fn finish(self) -> Option<Arc<SegmentSessions>> {
        if self.impossible || self.rows == 0 || self.ids.len() * ROWS_PER_ID > self.rows {
            return None;
        }
        let mut order: Vec<u32> = (0..self.ids.len() as u32).collect();
        order.sort_unstable_by_key(|&place| (self.first_seen[place as usize], place));
        Some(Arc::new(SegmentSessions::new(self.ids.in_order(order.into_iter()))))
    }
}

impl SegmentSessions {
    fn new(ids: StringArray) -> Self {
        Self { ids, hashes: OnceLock::new() }
    }

    /// The ids by number.
    pub(crate) fn ids(&self) -> &StringArray {
        &self.ids
    }

    /// [`session_id_hash`] of each id, by number.
    pub(crate) fn hashes(&self) -> &[u64] {
        self.hashes.get_or_init(|| self.ids.iter().map(|id| session_id_hash(id.unwrap_or_default())).collect())
    }

    /// Bytes of memory with all hashes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.ids.get_array_memory_size() + self.ids.len() * size_of::<u64>()
    }

    /// The bytes of the table in a file, and its place but for the start.
    pub(super) fn encode(&self) -> std::io::Result<(Vec<u8>, TextsPlace)> {
        let bytes = texts::encode(&self.ids)?;
        let place = TextsPlace { start: 0, bytes: bytes.len(), texts: self.ids.len(), text_bytes: texts::text_bytes(&self.ids).len() };
        Ok((bytes, place))
    }

    /// The table from its bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn decode(bytes: &[u8], place: &TextsPlace) -> Result<Self, String> {
        texts::decode(bytes, place).map(Self::new).map_err(|reason| format!("its sessions: {reason}"))
    }

    /// The ids of numbers.
    ///
    /// # Errors
    /// A number that the table lacks.
    pub(super) fn ids_of(&self, numbers: &Int32Array) -> Result<StringArray, String> {
        if numbers.iter().flatten().any(|number| number as usize >= self.ids.len()) {
            return Err("a row has a session that its table lacks".to_owned());
        }
        Ok(numbers.iter().map(|number| number.map(|number| self.ids.value(number as usize))).collect())
    }
}

/// Finds the number of each row's session id while a segment is written.
pub(super) struct SessionNumbers {
    sessions: Arc<SegmentSessions>,
    numbers: HashTable<i32>,
}

impl SessionNumbers {
    pub(super) fn new(sessions: Arc<SegmentSessions>) -> Self {
        let mut numbers = HashTable::with_capacity(sessions.ids.len());
        let hashes = sessions.hashes();
        for number in 0..sessions.ids.len() as i32 {
            numbers.insert_unique(hashes[number as usize], number, |&number| hashes[number as usize]);
        }
        Self { sessions, numbers }
    }

    pub(super) fn sessions(&self) -> &SegmentSessions {
        &self.sessions
    }

    /// The numbers of ids.
    ///
    /// # Errors
    /// An id that the table lacks.
    pub(super) fn numbers_of(&self, ids: &StringArray) -> Result<Int32Array, String> {
        let mut last: Option<(&str, i32)> = None;
        let mut number = |id| match last {
            Some((known, number)) if known == id => Ok(number),
            _ => {
                let same = |&number: &i32| self.sessions.ids.value(number as usize) == id;
                let number = *self.numbers.find(session_id_hash(id), same).ok_or("a row's session is not among those of the segment")?;
                last = Some((id, number));
                Ok(number)
            }
        };
        ids.iter().map(|id| id.map(&mut number).transpose()).collect::<Result<Int32Array, &str>>().map_err(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_in_the_order_of_persons_and_times() {
        let mut gatherer = SessionGatherer::default();
        let rows = [(Some(2), 5, "c"), (Some(1), 9, "b"), (Some(1), 3, "a"), (None, 7, "n"), (Some(2), 1, "d"), (Some(2), 0, "c")];
        for (person, time_ms, id) in rows.into_iter().chain(rows) {
            gatherer.add(person, time_ms, id);
        }
        let sessions = gatherer.finish().unwrap();
        assert_eq!(sessions.ids(), &StringArray::from(vec!["n", "a", "b", "c", "d"]));
        let (bytes, place) = sessions.encode().unwrap();
        let read = SegmentSessions::decode(&bytes, &place).unwrap();
        assert_eq!(read.ids(), sessions.ids());
        assert_eq!(read.hashes()[1], session_id_hash("a"));

        let numbers = SessionNumbers::new(sessions.clone());
        let ids = StringArray::from(vec![Some("d"), None, Some("n"), Some("n")]);
        let of_rows = numbers.numbers_of(&ids).unwrap();
        assert_eq!(of_rows, Int32Array::from(vec![Some(4), None, Some(0), Some(0)]));
        assert_eq!(sessions.ids_of(&of_rows).unwrap(), ids);
        assert!(numbers.numbers_of(&StringArray::from(vec!["z"])).is_err());
        assert!(sessions.ids_of(&Int32Array::from(vec![5])).is_err());
        assert!(sessions.ids_of(&Int32Array::from(vec![-1])).is_err());
    }

    #[test]
    fn ids_that_do_not_come_again_have_no_table() {
        let gathered = |ids: &[&str]| {
            let mut gatherer = SessionGatherer::default();
            ids.iter().for_each(|id| gatherer.add(None, 0, id));
            gatherer.finish()
        };
        assert!(gathered(&[]).is_none());
        assert!(gathered(&["a", "b", "b"]).is_none());
        assert!(gathered(&["a", "b", "b", "a"]).is_some());
        assert!(gathered(&["x".repeat(256).as_str(); 4]).is_none());
    }
}
