//! Tuples of dictionary codes as positions in one table: the groups of rows whose keys are all text.

use std::sync::Arc;

use event_store::QueryError;

use super::batch::Batch;
use super::column::Column;
use super::group::MAX_KEYS;
use super::rows::Rows;
use super::text::Text;
use crate::decoded::{Codes, TextCodes};

/// Most positions; tuples of larger dictionaries are numbered by hashing.
const MAX_BITS: u32 = 20;
/// No number yet.
const UNKNOWN: u32 = u32::MAX;

/// The dictionary of one key, and where its codes are in a position.
#[derive(Clone)]
struct Key {
    /// `None` as long as every row had no text.
    texts: Option<Arc<TextCodes>>,
    bits: u32,
    shift: u32,
}

/// What is known of each position.
#[derive(Default)]
pub(super) struct TupleTable {
    keys: Vec<Key>,
    numbers: Vec<u32>,
    counts: Vec<u64>,
    counted: bool,
    /// Counts by tuple of codes from before the dictionaries grew.
    moved: Vec<Counted>,
}

/// Rows counted by position, with the keys the positions are of.
struct Counted {
    keys: Vec<Key>,
    counts: Vec<(usize, u64)>,
}

/// What is done with a tuple of texts and how often it occurs.
type EachCount<'e> = dyn FnMut(&[Option<&str>], u64) -> Result<(), QueryError> + 'e;

/// What is done with a tuple of texts.
type EachTuple<'e, T> = dyn FnMut(&[Option<&str>]) -> Result<T, QueryError> + 'e;

impl TupleTable {
    /// Writes the position of each row's tuple into `out`; false where the keys are not all text of shared dictionaries that are small
    /// enough.
    pub(super) fn positions(&mut self, batch: &Batch, fields: &[usize], rows: Rows<'_>, out: &mut Vec<u32>) -> bool {
        let mut codes: [Option<&Codes>; MAX_KEYS] = [None; MAX_KEYS];
        if !self.attach(batch, fields, &mut codes) {
            return false;
        }
        out.clear();
        out.resize(rows.count(), 0);
        for (key, codes) in self.keys.iter().zip(codes) {
            match codes {
                None => {}
                Some(Codes::One(code)) => out.iter_mut().for_each(|position| *position |= code << key.shift),
                Some(Codes::Narrow(codes)) => place(codes, key.shift, rows, out),
                Some(Codes::Middle(codes)) => place(codes, key.shift, rows, out),
                Some(Codes::Wide(codes)) => place(codes, key.shift, rows, out),
            }
        }
        true
    }

    /// Turns positions into numbers, which `number_of` gives for a tuple that is new; returns the number of all, where it is one.
    ///
    /// # Errors
    /// Those of `number_of`.
    pub(super) fn number(&mut self, positions: &mut [u32], number_of: &mut EachTuple<'_, u32>) -> Result<Option<u32>, QueryError> {
        let first = positions.first().copied().unwrap_or(0);
        let mut is_one = true;
        let Self { keys, numbers, .. } = self;
        for position in positions.iter_mut() {
            is_one &= *position == first;
            let number = &mut numbers[*position as usize];
            if *number == UNKNOWN {
                *number = with_texts(keys, *position as usize, number_of)?;
            }
            *position = *number;
        }
        Ok(positions.first().copied().filter(|_| is_one))
    }

    /// Counts the rows by position; false as for [`TupleTable::positions`], or where dictionaries are large.
    pub(super) fn count(&mut self, batch: &Batch, fields: &[usize], rows: Rows<'_>) -> bool {
        let mut codes: [Option<&Codes>; MAX_KEYS] = [None; MAX_KEYS];
        if fields.is_empty() || !self.attach(batch, fields, &mut codes) {
            return false;
        }
        self.counts.resize(self.numbers.len(), 0);
        self.counted = true;
        let counts = &mut self.counts[..];
        match (&self.keys[..], codes[0]) {
            ([_], Some(Codes::Narrow(codes))) => tally(codes, rows, counts),
            ([_], Some(Codes::Middle(codes))) => tally(codes, rows, counts),
            ([_], Some(Codes::Wide(codes))) => tally(codes, rows, counts),
            _ => {
                let mut positions = Vec::new();
                if !self.positions(batch, fields, rows, &mut positions) {
                    return false;
                }
                positions.iter().for_each(|&position| self.counts[position as usize] += 1);
            }
        }
        true
    }

    /// Gives out what [`TupleTable::count`] has counted.
    ///
    /// # Errors
    /// Those of `each`.
    pub(super) fn take_counts(&mut self, each: &mut EachCount<'_>) -> Result<(), QueryError> {
        self.set_counts_aside();
        for Counted { keys, counts } in std::mem::take(&mut self.moved) {
            for (position, count) in counts {
                with_texts(&keys, position, &mut |texts| each(texts, count))?;
            }
        }
        Ok(())
    }

    fn set_counts_aside(&mut self) {
        if !std::mem::take(&mut self.counted) {
            return;
        }
        let counts = self.counts.iter_mut().enumerate().filter(|(_, count)| **count > 0);
        let counts: Vec<(usize, u64)> = counts.map(|(position, count)| (position, std::mem::take(count))).collect();
        self.moved.push(Counted { keys: self.keys.clone(), counts });
    }

    /// Makes the table fit the dictionaries of a batch.
    fn attach<'b>(&mut self, batch: &'b Batch, fields: &[usize], codes: &mut [Option<&'b Codes>; MAX_KEYS]) -> bool {
        let mut fits = self.keys.len() == fields.len();
        let mut texts: [Option<&Arc<TextCodes>>; MAX_KEYS] = [None; MAX_KEYS];
        for (key, &field) in fields.iter().enumerate() {
            match batch.column(field) {
                Column::Absent => {}
                Column::Text(Text::Shared(text)) => {
                    texts[key] = Some(&text.texts);
                    codes[key] = Some(&text.codes);
                    fits = fits && self.keys[key].holds(&text.texts);
                }
                _ => return false,
            }
        }
        fits || self.rebuild(&texts[..fields.len()])
    }

    fn rebuild(&mut self, texts: &[Option<&Arc<TextCodes>>]) -> bool {
        let mut keys: Vec<Key> = Vec::with_capacity(texts.len());
        let mut shift = 0;
        for (at, texts) in texts.iter().enumerate() {
            let known = self.keys.get(at).and_then(|key| key.texts.clone());
            let texts = texts.cloned().or(known);
            let bits = texts.as_ref().map_or(0, |texts| usize::BITS - (texts.code_count() - 1).leading_zeros());
            keys.push(Key { texts, bits, shift });
            shift += bits;
        }
        if shift > MAX_BITS {
            return false;
        }
        self.set_counts_aside();
        self.keys = keys;
        self.numbers.clear();
        self.numbers.resize(1 << shift, UNKNOWN);
        self.counts.clear();
        true
    }
}

impl Key {
    /// True when every code of the dictionary has its place.
    fn holds(&self, texts: &Arc<TextCodes>) -> bool {
        self.texts.as_ref().is_some_and(|known| Arc::ptr_eq(known, texts)) && texts.code_count() - 1 < 1 << self.bits
    }
}

fn with_texts<T>(keys: &[Key], position: usize, each: &mut EachTuple<'_, T>) -> Result<T, QueryError> {
    let mut texts: [Option<&str>; MAX_KEYS] = [None; MAX_KEYS];
    for (text, key) in texts.iter_mut().zip(keys) {
        let code = position >> key.shift & ((1 << key.bits) - 1);
        *text = key.texts.as_ref().filter(|_| code > 0).map(|texts| texts.text(code as u32));
    }
    each(&texts[..keys.len()])
}

fn place<T: Copy + Into<u32>>(codes: &[T], shift: u32, rows: Rows<'_>, out: &mut [u32]) {
    match rows {
        Rows::All(_) => out.iter_mut().zip(codes).for_each(|(position, &code)| *position |= code.into() << shift),
        Rows::Some(rows) => out.iter_mut().zip(rows).for_each(|(position, &row)| *position |= codes[row as usize].into() << shift),
    }
}

fn tally<T: Copy + Into<u32>>(codes: &[T], rows: Rows<'_>, counts: &mut [u64]) {
    match rows {
        Rows::All(count) => codes[..count].iter().for_each(|&code| counts[code.into() as usize] += 1),
        Rows::Some(rows) => rows.iter().for_each(|&row| counts[codes[row as usize].into() as usize] += 1),
    }
}
