use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

/// Values by name, at most `MAX` of them: the names with the smallest XXH3-64 hashes stay, ties by name.
///
/// Which names stay depends on the set of names alone, never on their order of arrival or on how partial maps were merged: a name
/// among the `MAX` smallest of all is among the `MAX` smallest of any part, so it was never refused or pushed out and its value
/// is complete. (Keeping the most frequent names would depend on the order.)
///
/// Invariant: entries ascend by `(hash, name)`, so whether a full map takes a name is one comparison with its last entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundedMap<V, const MAX: usize> {
    entries: Vec<Entry<V>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry<V> {
    hash: u64,
    /// Shared between the cells of neighbouring windows, which mostly have the same names.
    name: Arc<str>,
    value: V,
}

impl<V, const MAX: usize> Default for BoundedMap<V, MAX> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<V, const MAX: usize> BoundedMap<V, MAX> {
    /// Number of names.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without names.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True when the map holds all it may, so that names may be missing.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= MAX
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&V> {
        let index = self.find(xxh3_64(name.as_bytes()), name).ok()?;
        Some(&self.entries[index].value)
    }

    /// Names and values in a fixed order that means nothing to a reader.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &V)> {
        self.entries.iter().map(|entry| (&*entry.name, &entry.value))
    }

    /// Names and values, the name as it is shared.
    pub(crate) fn iter_shared(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &V)> {
        self.entries.iter().map(|entry| (&entry.name, &entry.value))
    }

    fn find(&self, hash: u64, name: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.hash.cmp(&hash).then_with(|| entry.name.as_ref().cmp(name)))
    }

    /// Bytes of memory of the entries themselves; shared names count in each map that holds them.
    pub(crate) fn memory_bytes(&self) -> usize {
        const ARC_HEADER: usize = 16;
        self.entries.capacity() * size_of::<Entry<V>>() + self.entries.iter().map(|entry| entry.name.len() + ARC_HEADER).sum::<usize>()
    }
}

impl<V: Default, const MAX: usize> BoundedMap<V, MAX> {
    /// The value of `name`, a new one if need be; `None` when the map is full of names with smaller hashes.
    pub(crate) fn entry(&mut self, name: &str) -> Option<&mut V> {
        let index = self.place(name, || Arc::from(name))?;
        Some(&mut self.entries[index].value)
    }

    /// As [`BoundedMap::entry`], sharing the name instead of copying it.
    pub(crate) fn entry_shared(&mut self, name: &Arc<str>) -> Option<&mut V> {
        let index = self.place(name, || Arc::clone(name))?;
        Some(&mut self.entries[index].value)
    }

    fn place(&mut self, name: &str, make_name: impl FnOnce() -> Arc<str>) -> Option<usize> {
        let hash = xxh3_64(name.as_bytes());
        match self.find(hash, name) {
            Ok(index) => Some(index),
            Err(index) if index >= MAX => None,
            Err(index) => {
                if self.is_full() {
                    self.entries.pop();
                }
                self.entries.insert(index, Entry { hash, name: make_name(), value: V::default() });
                Some(index)
            }
        }
    }
}

impl<'a, V, const MAX: usize> IntoIterator for &'a BoundedMap<V, MAX> {
    type Item = (&'a str, &'a V);
    type IntoIter = Box<dyn Iterator<Item = Self::Item> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_map_keeps_the_smallest_hashes_and_their_values() {
        let names: Vec<String> = (0..50).map(|i| format!("/page/{i}")).collect();
        let mut map = BoundedMap::<u64, 7>::default();
        for name in names.iter().chain(names.iter().rev()) {
            if let Some(count) = map.entry(name) {
                *count += 1;
            }
        }
        let mut expected = names.clone();
        expected.sort_by_key(|name| xxh3_64(name.as_bytes()));
        let kept: Vec<&str> = map.iter().map(|(name, _)| name).collect();
        assert_eq!(kept, expected[..7].iter().map(String::as_str).collect::<Vec<_>>());
        assert!(map.iter().all(|(_, &count)| count == 2));
        assert_eq!(map.get(&expected[0]), Some(&2));
        assert_eq!(map.get(&expected[7]), None);
    }
}
