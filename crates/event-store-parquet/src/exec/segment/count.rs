//! How often each person did something.

use event_store::{DidRule, QueryContext, QueryError};
use rustc_hash::FxHashMap;

use super::set::{PersonSet, SetForm, look};
use crate::decoded::NO_PERSON;
use crate::exec::batch::{Batch, Persons};
use crate::exec::column_scan::Reading;
use crate::exec::mask::Mask;
use crate::exec::scan::Reserved;

const WORD_BITS: usize = 64;
/// Bytes a person takes in a map of counts.
const MAP_ENTRY_BYTES: usize = 32;
/// Places added at once, so that few batches make a table grow.
const GROWTH: usize = 8_192;

/// Matching events of each person, as one thread has seen them.
pub(super) struct Counter {
    counts: Counts,
    memory: Reserved,
}

enum Counts {
    /// A bit by ordinal: whether there was any, where more is not asked.
    Seen(Vec<u64>),
    /// By ordinal.
    Ordinals(Vec<u32>),
    /// By key.
    Keys(FxHashMap<u64, u32>),
}

impl Counter {
    /// For a question in this form that asks, or does not, for more than whether there was any.
    pub(super) fn new(only_seen: bool, reading: &Reading, context: &QueryContext) -> Self {
        let counts = match (reading.has_ordinals(), only_seen) {
            (true, true) => Counts::Seen(Vec::new()),
            (true, false) => Counts::Ordinals(Vec::new()),
            (false, _) => Counts::Keys(FxHashMap::default()),
        };
        Self { counts, memory: Reserved::new(context) }
    }

    /// Counts the rows of a batch that are in the mask, all of them without one.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    pub(super) fn add(&mut self, batch: &Batch, rows: Option<&Mask>) -> Result<(), QueryError> {
        match (&mut self.counts, batch.persons()) {
            (Counts::Seen(seen), Persons::Ordinals(ordinals)) => {
                grow(seen, ordinals.largest as usize / WORD_BITS, &mut self.memory)?;
                let mut see = |ordinal: u32| seen[ordinal as usize / WORD_BITS] |= 1 << (ordinal as usize % WORD_BITS);
                match rows {
                    None => ordinals.values.iter().for_each(|&ordinal| see(ordinal)),
                    Some(rows) => rows.iter().for_each(|row| see(ordinals.values[row as usize])),
                }
            }
            (Counts::Ordinals(counts), Persons::Ordinals(ordinals)) => {
                grow(counts, ordinals.largest as usize, &mut self.memory)?;
                let mut count = |ordinal: u32| {
                    let count = &mut counts[ordinal as usize];
                    *count = count.saturating_add(1);
                };
                match rows {
                    None => ordinals.values.iter().for_each(|&ordinal| count(ordinal)),
                    Some(rows) => rows.iter().for_each(|row| count(ordinals.values[row as usize])),
                }
            }
            (Counts::Keys(counts), Persons::Keys(keys)) => {
                let mut count = |row: usize| {
                    let count = counts.entry(keys.value(row)).or_insert(0);
                    *count = count.saturating_add(1);
                };
                let persons = batch.persons();
                match rows {
                    None => (0..batch.rows()).filter(|&row| persons.is_set(row)).for_each(&mut count),
                    Some(rows) => rows.iter().map(|row| row as usize).filter(|&row| persons.is_set(row)).for_each(&mut count),
                }
                self.memory.set(counts.capacity() * MAP_ENTRY_BYTES)?;
            }
            // Rows without persons, or none that the reading knows.
            _ => {}
        }
        Ok(())
    }

    /// The persons whose counts the rule takes, of all threads.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; limits of the query.
    pub(super) fn persons(threads: Vec<Self>, rule: &DidRule, reading: &Reading, context: &QueryContext) -> Result<PersonSet, QueryError> {
        let takes = |count: u32| count >= rule.at_least && rule.at_most.is_none_or(|most| count <= most);
        // Whoever has no event is not in the table: where none is enough, the set has those who are not in.
        let is_complement = takes(0);
        let mut memory = Vec::with_capacity(threads.len());
        let mut all: Option<Counts> = None;
        for thread in threads {
            memory.push(thread.memory);
            all = Some(match all {
                None => thread.counts,
                Some(counts) => counts.add(thread.counts, context)?,
            });
        }
        let form = match all {
            None => SetForm::empty(reading),
            Some(Counts::Seen(mut words)) => {
                clear_nobody(&mut words);
                SetForm::Ordinals(if takes(1) == is_complement { Vec::new() } else { words })
            }
            Some(Counts::Ordinals(counts)) => {
                let mut words = vec![0u64; counts.len().div_ceil(WORD_BITS)];
                for (at, (word, counts)) in words.iter_mut().zip(counts.chunks(WORD_BITS)).enumerate() {
                    let bits = counts.iter().enumerate().map(|(bit, &count)| u64::from(takes(count) != is_complement) << bit);
                    *word = bits.fold(0, |word, bit| word | bit);
                    look(at * WORD_BITS, context)?;
                }
                clear_nobody(&mut words);
                SetForm::Ordinals(words)
            }
            Some(Counts::Keys(counts)) => {
                let mut keys: Vec<u64> =
                    counts.into_iter().filter(|(_, count)| takes(*count) != is_complement).map(|(key, _)| key).collect();
                keys.sort_unstable();
                SetForm::Keys(keys)
            }
        };
        PersonSet::new(form, is_complement, context)
    }
}

impl Counts {
    fn add(self, other: Self, context: &QueryContext) -> Result<Self, QueryError> {
        Ok(match (self, other) {
            (Self::Seen(a), Self::Seen(b)) => {
                let (mut longer, shorter) = if a.len() < b.len() { (b, a) } else { (a, b) };
                longer.iter_mut().zip(shorter).for_each(|(word, other)| *word |= other);
                Self::Seen(longer)
            }
            (Self::Ordinals(a), Self::Ordinals(b)) => {
                let (mut longer, shorter) = if a.len() < b.len() { (b, a) } else { (a, b) };
                for (at, (count, other)) in longer.iter_mut().zip(shorter).enumerate() {
                    *count = count.saturating_add(other);
                    look(at, context)?;
                }
                Self::Ordinals(longer)
            }
            (Self::Keys(a), Self::Keys(b)) => {
                let (mut larger, smaller) = if a.len() < b.len() { (b, a) } else { (a, b) };
                for (at, (key, other)) in smaller.into_iter().enumerate() {
                    let count = larger.entry(key).or_insert(0);
                    *count = count.saturating_add(other);
                    look(at, context)?;
                }
                Self::Keys(larger)
            }
            // All threads of a question count in the form of its one reading.
            _ => return Err(QueryError::Store("two threads counted persons in different forms".into())),
        })
    }
}

/// Makes place for an index.
fn grow<T: Clone + Default>(table: &mut Vec<T>, largest: usize, memory: &mut Reserved) -> Result<(), QueryError> {
    if largest < table.len() {
        return Ok(());
    }
    let length = (largest + 1).next_multiple_of(GROWTH).max(table.len() * 2);
    memory.set(length * size_of::<T>())?;
    table.resize(length, T::default());
    Ok(())
}

fn clear_nobody(words: &mut [u64]) {
    if let Some(first) = words.first_mut() {
        *first &= !(1 << NO_PERSON);
    }
}
