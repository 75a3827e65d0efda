use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Distinct strings in order of first appearance; an id is a string's position.
///
/// Clients send the same names in the same order event after event, so [`Dictionary::intern_after`] first tries the string
/// that followed the previous one last time: one comparison instead of a hash.
#[derive(Clone, Default)]
pub struct Dictionary {
    ends: Vec<u32>,
    bytes: String,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// `successor[id + 1]` is the string that last followed `id`; entry 0 is for the start of an event.
    successor: Vec<u32>,
}

impl Dictionary {
    /// Number of distinct strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when nothing was interned.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The string with this id; empty for an id that was never given out.
    pub fn get(&self, id: u32) -> &str {
        let index = id as usize;
        let Some(&end) = self.ends.get(index) else { return "" };
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start as usize..end as usize]
    }

    /// The strings in id order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|id| self.get(id as u32))
    }

    /// The id of `text`, added when new.
    pub fn intern(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text);
        let (ends, bytes) = (&self.ends, &self.bytes);
        let slice = |id: u32| {
            let index = id as usize;
            let start = if index == 0 { 0 } else { ends[index - 1] as usize };
            &bytes[start..ends[index] as usize]
        };
        if let Some(&id) = self.table.find(hash, |&id| slice(id) == text) {
            return id;
        }
        let id = self.push(text);
        let (ends, bytes, hasher) = (&self.ends, &self.bytes, &self.hasher);
        self.table.insert_unique(hash, id, |&id| {
            let index = id as usize;
            let start = if index == 0 { 0 } else { ends[index - 1] as usize };
            hasher.hash_one(&bytes[start..ends[index] as usize])
        });
        id
    }

    /// As [`Dictionary::intern`], guessing from the id that came before (`None` at the start of an event).
    pub fn intern_after(&mut self, previous: Option<u32>, text: &str) -> u32 {
        let slot = previous.map_or(0, |id| id as usize + 1);
        if let Some(&guess) = self.successor.get(slot)
            && self.get(guess) == text
            && guess < self.ends.len() as u32
        {
            return guess;
        }
        let id = self.intern(text);
        if self.successor.len() <= slot {
            self.successor.resize(slot + 1, u32::MAX);
        }
        self.successor[slot] = id;
        id
    }

    /// Appends without looking for an equal string; for decoding, where the writer already made them distinct.
    pub(crate) fn push(&mut self, text: &str) -> u32 {
        let id = self.ends.len() as u32;
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len() as u32);
        id
    }

    /// Bytes of memory held.
    pub(crate) fn retained_bytes(&self) -> usize {
        self.bytes.capacity() + 4 * (self.ends.capacity() + self.successor.capacity()) + 5 * self.table.capacity()
    }

    /// Forgets all strings, keeps the memory.
    pub fn clear(&mut self) {
        self.ends.clear();
        self.bytes.clear();
        self.table.clear();
        self.successor.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_guesses_never_lie() {
        let mut d = Dictionary::default();
        let mut previous = None;
        for round in 0..3 {
            for name in ["url", "country", "", "price"] {
                let id = d.intern_after(previous, name);
                assert_eq!(d.get(id), name, "round {round}");
                previous = Some(id);
            }
            previous = None;
        }
        assert_eq!(d.len(), 4);
        assert_eq!(d.intern_after(None, "price"), 3);
        assert_eq!(d.iter().collect::<Vec<_>>(), ["url", "country", "", "price"]);
    }
}
