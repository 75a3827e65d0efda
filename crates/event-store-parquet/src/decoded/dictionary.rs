//! Text of one column as codes that all parts of an app share.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use arrow::array::{Array, StringArray};
use hashbrown::{DefaultHashBuilder, HashTable};

/// Most distinct texts that have codes; a column with more keeps what has a code, and newer parts keep their own dictionaries.
const MAX_TEXTS: usize = 1 << 20;
/// Most bytes of these texts.
const MAX_TEXT_BYTES: usize = 32 << 20;
/// Bytes of a text beside its own.
const ENTRY_BYTES: usize = 40;
/// Each chunk holds twice as many texts as the one before it, the first one this many.
const FIRST_CHUNK_BITS: u32 = 8;
const CHUNKS: usize = 14;

/// Distinct texts with dense codes from 1, in the order of first sight; 0 stands for no text. A text stays where it is, so that it can be
/// read without a lock while others are added.
pub(crate) struct TextCodes {
    chunks: [OnceLock<Chunk>; CHUNKS],
    codes: RwLock<HashTable<u32>>,
    hasher: DefaultHashBuilder,
    count: AtomicU32,
    bytes: AtomicUsize,
    /// What is left for texts of all columns of the app.
    bytes_left: Arc<AtomicUsize>,
    full: AtomicBool,
}

type Chunk = Box<[OnceLock<Box<str>>]>;

impl TextCodes {
    /// Takes its bytes from what is left for the app.
    pub(crate) fn new(bytes_left: Arc<AtomicUsize>) -> Self {
        Self {
            chunks: Default::default(),
            codes: RwLock::default(),
            hasher: DefaultHashBuilder::default(),
            count: AtomicU32::new(0),
            bytes: AtomicUsize::new(0),
            bytes_left,
            full: AtomicBool::new(false),
        }
    }

    /// One more than the largest code given so far.
    pub(crate) fn code_count(&self) -> usize {
        self.count.load(Ordering::Acquire) as usize + 1
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// True when it takes no more texts.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// The text of a code; empty for one that was never given.
    pub(crate) fn text(&self, code: u32) -> &str {
        let (chunk, place) = place_of(code);
        self.chunks.get(chunk).and_then(OnceLock::get).and_then(|chunk| chunk.get(place)?.get()).map_or("", |text| text)
    }

    /// The code of one text, given to it where it has none; `None` when it has no place.
    pub(crate) fn code_of(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        let known = self.codes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(&code) = known.find(hash, |&code| self.text(code) == text) {
            return Some(code);
        }
        drop(known);
        self.codes_of(&StringArray::from(vec![text])).and_then(|codes| codes.first().copied())
    }

    /// The code of each text, given to those that have none; `None` when one has no place. Empty slots of `texts` get 0.
    pub(crate) fn codes_of(&self, texts: &StringArray) -> Option<Vec<u32>> {
        let mut codes = vec![0; texts.len()];
        let mut unknown = Vec::new();
        {
            let known = self.codes.read().unwrap_or_else(PoisonError::into_inner);
            for (place, text) in texts.iter().enumerate() {
                let Some(text) = text else { continue };
                match known.find(self.hasher.hash_one(text), |&code| self.text(code) == text) {
                    Some(&code) => codes[place] = code,
                    None => unknown.push(place),
                }
            }
        }
        if unknown.is_empty() {
            return Some(codes);
        }
        if self.is_full() {
            return None;
        }
        let mut known = self.codes.write().unwrap_or_else(PoisonError::into_inner);
        for place in unknown {
            match self.insert(&mut known, texts.value(place)) {
                Some(code) => codes[place] = code,
                None => {
                    self.full.store(true, Ordering::Relaxed);
                    return None;
                }
            }
        }
        Some(codes)
    }

    fn insert(&self, known: &mut HashTable<u32>, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        if let Some(&code) = known.find(hash, |&code| self.text(code) == text) {
            return Some(code);
        }
        let entry_bytes = text.len() + ENTRY_BYTES;
        let bytes = self.bytes() + entry_bytes;
        let code = self.code_count() as u32;
        if code as usize > MAX_TEXTS || bytes > MAX_TEXT_BYTES {
            return None;
        }
        self.bytes_left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(entry_bytes)).ok()?;
        let (chunk, place) = place_of(code);
        let chunk = self.chunks.get(chunk)?.get_or_init(|| (0..chunk_length(chunk)).map(|_| OnceLock::new()).collect());
        chunk.get(place)?.set(text.into()).ok()?;
        known.insert_unique(hash, code, |&code| self.hasher.hash_one(self.text(code)));
        self.bytes.store(bytes, Ordering::Relaxed);
        // Whoever sees the count sees the text.
        self.count.store(code, Ordering::Release);
        Some(code)
    }
}

fn chunk_length(chunk: usize) -> usize {
    1 << (FIRST_CHUNK_BITS + chunk as u32)
}

/// Chunk and place in it: with `code + first length`, the chunk is the number of bits and the place the rest of them.
fn place_of(code: u32) -> (usize, usize) {
    let shifted = u64::from(code) + (1 << FIRST_CHUNK_BITS);
    let bits = shifted.ilog2();
    ((bits - FIRST_CHUNK_BITS) as usize, (shifted - (1 << bits)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts_within(bytes: usize) -> TextCodes {
        TextCodes::new(Arc::new(AtomicUsize::new(bytes)))
    }

    #[test]
    fn codes_are_dense_and_texts_come_back() {
        let texts = texts_within(1 << 30);
        let names: Vec<String> = (0..10_000).map(|i| format!("text {i}")).collect();
        let array = |range: std::ops::Range<usize>| StringArray::from(names[range].to_vec());
        assert_eq!(texts.codes_of(&array(0..6_000)), Some((1..=6_000).collect()));
        let mixed = StringArray::from(vec![Some("text 9999"), None, Some("text 5")]);
        assert_eq!(texts.codes_of(&mixed), Some(vec![6_001, 0, 6]));
        assert_eq!(texts.codes_of(&array(6_000..9_999)), Some((6_002..=10_000).collect()));
        assert_eq!((texts.text(6_001), texts.text(1), texts.text(0), texts.text(1 << 30)), ("text 9999", "text 0", "", ""));
        assert_eq!(texts.code_count(), 10_001);
    }

    #[test]
    fn it_takes_no_more_than_its_bound() {
        let texts = texts_within(1 << 30);
        let long = "x".repeat(MAX_TEXT_BYTES / 4);
        let array = |i: u32| StringArray::from(vec![format!("{i}{long}")]);
        let taken = (0..10).take_while(|&i| texts.codes_of(&array(i)).is_some()).count();
        assert_eq!((taken, texts.is_full()), (3, true));
        assert_eq!(texts.codes_of(&array(0)), Some(vec![1]));
        assert_eq!(texts.codes_of(&array(11)), None);
        assert!(texts.bytes() <= MAX_TEXT_BYTES);

        let small = texts_within(100);
        let two = StringArray::from(vec!["a", "b", "c"]);
        assert_eq!((small.codes_of(&two), small.is_full()), (None, true));
        assert!(small.bytes() <= 100);
    }
}
