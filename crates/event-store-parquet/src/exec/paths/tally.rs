//! Paths counted by one thread, and which persons took which.

use std::hash::BuildHasher;

use event_store::{PathCount, QueryContext, QueryError};
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use super::path::Path;
use crate::exec::scan::Reserved;

/// Set at the first path of a person.
const PERSON_BEGINS: u32 = 1 << 31;
/// Paths between two looks at the query's limits.
const PATHS_PER_CHECK: u32 = 4_096;
/// Bytes of an entry of the table beside the path.
const TABLE_ENTRY_BYTES: usize = 2 * size_of::<u32>();

const PART_BITS: u32 = 4;
/// Bits of the hash that choose the table: neither the lowest nor the highest, with which a table finds its entries.
const PART_SHIFT: u32 = 40;
/// Paths are counted in so many tables, by their hash, so that the tables of threads are joined side by side.
pub(super) const PARTS: usize = 1 << PART_BITS;
/// Most paths of a table: numbers of paths leave room for [`PERSON_BEGINS`].
const MAX_ROWS: usize = 1 << (31 - PART_BITS);

/// A path's table, and its place in there.
#[inline]
pub(super) fn part_of(number: u32) -> (usize, usize) {
    (number as usize & (PARTS - 1), (number >> PART_BITS) as usize)
}

/// The number of the path at a place of a table.
pub(super) fn number_of(part: usize, place: usize) -> u32 {
    (place as u32) << PART_BITS | part as u32
}

/// One path.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) path: Path,
    pub(super) count: PathCount,
    /// The number of the last person who took it.
    last_person: u32,
    /// Whether it is among the most frequent, once these are known.
    pub(super) is_kept: bool,
}

/// Distinct paths with dense places.
#[derive(Default)]
pub(super) struct PathTable {
    places: HashTable<u32>,
    pub(super) rows: Vec<Row>,
}

impl PathTable {
    /// The place of a path, new or known.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; [`QueryError::Groups`] beyond [`MAX_ROWS`] paths.
    #[inline]
    pub(super) fn intern(&mut self, path: Path, memory: &mut Reserved) -> Result<usize, QueryError> {
        self.intern_hashed(path, FxBuildHasher.hash_one(path), memory)
    }

    #[inline]
    fn intern_hashed(&mut self, path: Path, hash: u64, memory: &mut Reserved) -> Result<usize, QueryError> {
        let Self { places, rows } = self;
        if let Some(&place) = places.find(hash, |&place| rows[place as usize].path == path) {
            return Ok(place as usize);
        }
        if rows.len() == MAX_ROWS {
            return Err(QueryError::Groups { limit: MAX_ROWS * PARTS });
        }
        if rows.len() == rows.capacity() {
            let more = rows.capacity().max(64);
            // The table has up to twice the places that are taken.
            memory.grow(more * (size_of::<Row>() + TABLE_ENTRY_BYTES))?;
            rows.reserve_exact(more);
        }
        let place = rows.len();
        rows.push(Row { path, count: PathCount::default(), last_person: u32::MAX, is_kept: false });
        places.insert_unique(hash, place as u32, |&place| FxBuildHasher.hash_one(rows[place as usize].path));
        Ok(place)
    }
}

/// What one thread has found.
pub(super) struct Tally {
    pub(super) tables: [PathTable; PARTS],
    /// The different paths of each person, one person after the other.
    persons: Vec<u32>,
    person: u32,
    person_has_path: bool,
    since_check: u32,
    context: QueryContext,
    pub(super) memory: Reserved,
}

impl Tally {
    pub(super) fn new(context: &QueryContext) -> Self {
        Self {
            tables: Default::default(),
            persons: Vec::new(),
            person: 0,
            person_has_path: false,
            since_check: 0,
            context: context.clone(),
            memory: Reserved::new(context),
        }
    }

    /// The paths that follow are another person's.
    pub(super) fn begin_person(&mut self) {
        self.person += u32::from(std::mem::take(&mut self.person_has_path));
    }

    /// Counts a path of the person.
    ///
    /// # Errors
    /// Limits of the query.
    pub(super) fn add(&mut self, path: Path) -> Result<(), QueryError> {
        self.since_check += 1;
        if self.since_check == PATHS_PER_CHECK {
            self.since_check = 0;
            self.context.check()?;
        }
        let hash = FxBuildHasher.hash_one(path);
        let part = (hash >> PART_SHIFT) as usize & (PARTS - 1);
        let table = &mut self.tables[part];
        let place = table.intern_hashed(path, hash, &mut self.memory)?;
        let row = &mut table.rows[place];
        row.count.sequences += 1;
        if row.last_person == self.person {
            return Ok(());
        }
        row.last_person = self.person;
        row.count.users += 1;
        if self.persons.len() == self.persons.capacity() {
            let more = self.persons.capacity().max(64);
            self.memory.grow(more * size_of::<u32>())?;
            self.persons.reserve_exact(more);
        }
        let begins = if std::mem::replace(&mut self.person_has_path, true) { 0 } else { PERSON_BEGINS };
        self.persons.push(number_of(part, place) | begins);
        Ok(())
    }

    /// The numbers of the different paths of each person.
    pub(super) fn persons(&self) -> impl Iterator<Item = &[u32]> {
        self.persons.chunk_by(|_, next| next & PERSON_BEGINS == 0)
    }
}

/// A number as it stands among those of a person.
#[inline]
pub(super) fn path_number(entry: u32) -> u32 {
    entry & !PERSON_BEGINS
}
