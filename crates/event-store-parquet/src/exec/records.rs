//! Events of persons as they are collected: one integer each, or three where an app has more persons than ordinals.

use std::sync::{Mutex, PoisonError};

use event_store::{QueryContext, QueryError};

use crate::decoded::NO_PERSON;
use crate::exec::batch::{Batch, Persons};
use crate::exec::by_ordinal::{PARTITION_PERSONS, partition_of};
use crate::exec::column_scan::Reading;
use crate::exec::scan::{Query, Reserved};

/// Bits of a session's key. Sessions are told apart within one person only: even a person with a million of them has two that meet in one case of 500.
const SESSION_BITS: u32 = 48;
/// The session of events without an id of one.
pub(super) const NO_SESSION: u64 = 0;
/// Partitions of persons known by key.
const KEY_PARTITION_BITS: u32 = 6;
/// Most parts the persons of an app are cut into when their events do not fit together.
const MAX_SLICES: u64 = 1 << 12;
/// Records of a piece of a list: the first is small, the others this many.
const CHUNK_RECORDS: usize = 4_096;
const FIRST_CHUNK_RECORDS: usize = 64;

/// One event: it sorts by person, then by session, then by time.
pub(super) trait Record: Copy + Ord + Send {
    /// Packs one; a session is a key of any 64 bits, or [`NO_SESSION`].
    fn new(person: u64, session: u64, payload: u64) -> Self;
    /// Where the events of a person are.
    fn partition(person: u64) -> usize;
    /// Tells persons of one partition apart; the lowest bits are those of the person.
    fn person(self) -> u64;
    /// The session of that person.
    fn session(self) -> u64;
    /// Time and label.
    fn payload(self) -> u64;
    /// Calls `each` with every row that has a person, and the person.
    fn for_each_row(batch: &Batch, reading: &Reading, each: impl FnMut(usize, u64) -> Result<(), QueryError>) -> Result<(), QueryError>;

    /// All events of a partition in order.
    fn lay_out(chunks: Chunks<Self>) -> Vec<Self> {
        let mut records = chunks.concat();
        drop(chunks);
        records.sort_unstable();
        records
    }
}

fn session_bits(session: u64) -> u64 {
    if session == NO_SESSION { NO_SESSION } else { (session >> (u64::BITS - SESSION_BITS)).max(1) }
}

/// Of a person with an ordinal: its place in the partition, the session, the payload.
impl Record for u128 {
    #[inline]
    fn new(person: u64, session: u64, payload: u64) -> Self {
        let (_, place) = partition_of(person as u32);
        (place as u128) << (u64::BITS + SESSION_BITS) | u128::from(session_bits(session)) << u64::BITS | u128::from(payload)
    }

    #[inline]
    fn partition(person: u64) -> usize {
        partition_of(person as u32).0
    }

    #[inline]
    fn person(self) -> u64 {
        (self >> (u64::BITS + SESSION_BITS)) as u64
    }

    #[inline]
    fn session(self) -> u64 {
        (self >> u64::BITS) as u64 & ((1 << SESSION_BITS) - 1)
    }

    #[inline]
    fn payload(self) -> u64 {
        self as u64
    }

    fn for_each_row(batch: &Batch, _reading: &Reading, each: impl FnMut(usize, u64) -> Result<(), QueryError>) -> Result<(), QueryError> {
        let Persons::Ordinals(ordinals) = batch.persons() else { return Ok(()) };
        let mut each = each;
        let mut rows = ordinals.values.iter().enumerate().filter(|(_, ordinal)| **ordinal != NO_PERSON);
        rows.try_for_each(|(row, &ordinal)| each(row, u64::from(ordinal)))
    }

    /// A counting sort by person; then each person's few events.
    fn lay_out(chunks: Chunks<Self>) -> Vec<Self> {
        let mut ends = vec![0usize; PARTITION_PERSONS + 1];
        chunks.iter().flatten().for_each(|record| ends[record.person() as usize + 1] += 1);
        (1..ends.len()).for_each(|place| ends[place] += ends[place - 1]);
        let mut records = vec![0; ends.last().copied().unwrap_or(0)];
        for chunk in chunks {
            for record in chunk {
                let end = &mut ends[record.person() as usize];
                records[*end] = record;
                *end += 1;
            }
        }
        // Each end is now where the next person begins.
        let mut start = 0;
        for &end in &ends[..PARTITION_PERSONS] {
            records[start..end].sort_unstable();
            start = end;
        }
        records
    }
}

/// Of a person known by key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Keyed {
    person: u64,
    session: u64,
    payload: u64,
}

impl Record for Keyed {
    fn new(person: u64, session: u64, payload: u64) -> Self {
        Self { person, session: session_bits(session), payload }
    }

    fn partition(person: u64) -> usize {
        (person >> (u64::BITS - KEY_PARTITION_BITS)) as usize
    }

    fn person(self) -> u64 {
        self.person
    }

    fn session(self) -> u64 {
        self.session
    }

    fn payload(self) -> u64 {
        self.payload
    }

    fn for_each_row(batch: &Batch, reading: &Reading, each: impl FnMut(usize, u64) -> Result<(), QueryError>) -> Result<(), QueryError> {
        batch.persons().try_for_each_key(reading, each)
    }
}

/// Some of the persons: those whose lowest bits are `remainder`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// A power of two.
    modulus: u64,
    remainder: u64,
}

impl Slice {
    /// All persons.
    pub(super) const ALL: Self = Self { modulus: 1, remainder: 0 };

    #[inline]
    pub(super) fn has(self, person: u64) -> bool {
        person & (self.modulus - 1) == self.remainder
    }

    pub(super) fn modulus(self) -> u64 {
        self.modulus
    }

    /// The persons of this slice that are in a smaller one.
    pub(super) fn narrowed(self, modulus: u64) -> Self {
        Self { modulus: modulus.max(self.modulus), remainder: self.remainder }
    }

    /// The modulus of half as many persons, `None` where they are few already.
    pub(super) fn half(self) -> Option<u64> {
        (self.modulus < MAX_SLICES).then_some(self.modulus * 2)
    }

    /// What is left of this slice beside a narrowed one.
    pub(super) fn without(self, narrowed: Self) -> impl Iterator<Item = Self> {
        let moduli = std::iter::successors(Some(self.modulus), |modulus| Some(modulus * 2)).take_while(move |&m| m < narrowed.modulus);
        moduli.map(move |modulus| Self { modulus: modulus * 2, remainder: self.remainder + modulus })
    }
}

/// Pieces of a list.
type Chunks<R> = Vec<Vec<R>>;

/// What is done with the events of one person, in the state of the thread.
type EachPerson<'e, W, R> = dyn Fn(&mut W, &[R]) -> Result<(), QueryError> + Sync + 'e;

/// What one thread has collected, in pieces by partition: nothing is copied when it grows.
pub(super) struct RecordLists<R> {
    open: Vec<Vec<R>>,
    full: Vec<Chunks<R>>,
    memory: Reserved,
}

impl<R: Record> RecordLists<R> {
    pub(super) fn new(context: &QueryContext) -> Self {
        Self { open: Vec::new(), full: Vec::new(), memory: Reserved::new(context) }
    }

    /// Bytes taken of the budget.
    pub(super) fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Adds an event of a person.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    #[inline]
    pub(super) fn push(&mut self, person: u64, record: R) -> Result<(), QueryError> {
        let partition = R::partition(person);
        if self.open.get(partition).is_none_or(|open| open.len() == open.capacity()) {
            self.make_room(partition)?;
        }
        self.open[partition].push(record);
        Ok(())
    }

    #[cold]
    fn make_room(&mut self, partition: usize) -> Result<(), QueryError> {
        if partition >= self.open.len() {
            self.open.resize_with(partition + 1, Vec::new);
            self.full.resize_with(partition + 1, Vec::new);
        }
        let open = &mut self.open[partition];
        let capacity = (open.capacity() * 2).clamp(FIRST_CHUNK_RECORDS, CHUNK_RECORDS);
        self.memory.grow(capacity * size_of::<R>())?;
        let full = std::mem::replace(open, Vec::with_capacity(capacity));
        if full.capacity() > 0 {
            self.full[partition].push(full);
        }
        Ok(())
    }

    /// Keeps the persons of a slice only, and gives the memory of the others back.
    ///
    /// # Errors
    /// [`QueryError::Memory`], which is then for others' bytes.
    pub(super) fn keep(&mut self, slice: Slice) -> Result<(), QueryError> {
        let mut records = 0;
        let all = self.full.iter_mut().flatten().chain(&mut self.open);
        for chunk in all {
            chunk.retain(|record| slice.has(record.person()));
            chunk.shrink_to_fit();
            records += chunk.capacity();
        }
        self.full.iter_mut().for_each(|full| full.retain(|chunk| !chunk.is_empty()));
        self.memory.set(records * size_of::<R>())
    }

    /// The pieces of all threads by partition, and the memory they take.
    pub(super) fn by_partition(threads: Vec<Self>) -> (Vec<Mutex<Chunks<R>>>, Vec<Reserved>) {
        let count = threads.iter().map(|lists| lists.open.len()).max().unwrap_or(0);
        let mut partitions: Vec<Chunks<R>> = (0..count).map(|_| Vec::new()).collect();
        let mut memory = Vec::new();
        for lists in threads {
            memory.push(lists.memory);
            for (all, (full, open)) in partitions.iter_mut().zip(lists.full.into_iter().zip(lists.open)) {
                all.extend(full);
                all.push(open);
            }
        }
        (partitions.into_iter().map(Mutex::new).collect(), memory)
    }
}

/// Walks the persons partition by partition, on several threads: `each` gets all events of one person in order.
///
/// # Errors
/// The first of `each`; limits of the query.
pub(super) fn for_each_person<R: Record, W: Send>(
    query: &Query<'_>,
    lists: Vec<RecordLists<R>>,
    make: &(dyn Fn() -> W + Sync),
    each: &EachPerson<'_, W, R>,
) -> Result<Vec<W>, QueryError> {
    /// Persons between two looks at the query's limits.
    const PERSONS_PER_CHECK: usize = 1_024;
    let (partitions, _memory) = RecordLists::by_partition(lists);
    let make = || (make(), Reserved::new(query.context));
    let states = query.parallel(partitions.len(), &make, &|(state, memory): &mut (W, Reserved), partition| {
        let chunks = std::mem::take(&mut *partitions[partition].lock().unwrap_or_else(PoisonError::into_inner));
        memory.set(chunks.iter().map(Vec::len).sum::<usize>() * size_of::<R>())?;
        let records = R::lay_out(chunks);
        for (i, of_person) in records.chunk_by(|a, b| a.person() == b.person()).enumerate() {
            if i % PERSONS_PER_CHECK == 0 {
                query.context.check()?;
            }
            each(state, of_person)?;
        }
        drop(records);
        memory.set(0)
    })?;
    Ok(states.into_iter().map(|(state, _)| state).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_slice_and_the_slice_are_everybody_once() {
        for first in [Slice::ALL, Slice { modulus: 4, remainder: 3 }] {
            let narrowed = first.narrowed(32);
            let parts: Vec<Slice> = first.without(narrowed).chain([narrowed]).collect();
            for person in 0..200 {
                let times = parts.iter().filter(|slice| slice.has(person)).count();
                assert_eq!(times, usize::from(first.has(person)), "{person} {parts:?}");
            }
        }
        assert_eq!(Slice::ALL.without(Slice::ALL).count(), 0);
    }

    #[test]
    fn records_sort_by_person_session_and_time() {
        let pack = |person: u64, session: u64, payload: u64| u128::new(person, session << 16, payload);
        let records = [pack(8_191, 5, 1), pack(3, 0, u64::MAX - 1), pack(3, 7, 2), pack(3, 7, 1), pack(8_192 + 2, 1, 9)];
        let sorted = u128::lay_out(vec![records[..2].to_vec(), Vec::new(), records[2..].to_vec()]);
        let parts: Vec<(u64, u64, u64)> = sorted.iter().map(|record| (record.person(), record.session(), record.payload())).collect();
        assert_eq!(parts, [(2, 1, 9), (3, 0, u64::MAX - 1), (3, 7, 1), (3, 7, 2), (8_191, 5, 1)]);
    }
}
