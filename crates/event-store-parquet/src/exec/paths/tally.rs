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

/// One path.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) path: Path,
    pub(super) count: PathCount,
    /// The number of the last person who took it.
    last_person: u32,
}

/// Distinct paths with dense numbers.
#[derive(Default)]
pub(super) struct PathTable {
    numbers: HashTable<u32>,
    pub(super) rows: Vec<Row>,
}

impl PathTable {
    /// The number of a path, new or known.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; [`QueryError::Groups`] beyond 2^31 paths.
    #[inline]
    pub(super) fn intern(&mut self, path: Path, memory: &mut Reserved) -> Result<u32, QueryError> {
        let Self { numbers, rows } = self;
        let hash = FxBuildHasher.hash_one(path);
        if let Some(&number) = numbers.find(hash, |&number| rows[number as usize].path == path) {
            return Ok(number);
        }
        let number = rows.len() as u32;
        if number >= PERSON_BEGINS {
            return Err(QueryError::Groups { limit: PERSON_BEGINS as usize });
        }
        if rows.len() == rows.capacity() {
            let more = rows.capacity().max(64);
            // The table has up to twice the places that are taken.
            memory.grow(more * (size_of::<Row>() + TABLE_ENTRY_BYTES))?;
            rows.reserve_exact(more);
        }
        rows.push(Row { path, count: PathCount::default(), last_person: u32::MAX });
        numbers.insert_unique(hash, number, |&number| FxBuildHasher.hash_one(rows[number as usize].path));
        Ok(number)
    }
}

/// What one thread has found.
pub(super) struct Tally {
    pub(super) table: PathTable,
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
            table: PathTable::default(),
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
        let number = self.table.intern(path, &mut self.memory)?;
        let row = &mut self.table.rows[number as usize];
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
        self.persons.push(number | begins);
        Ok(())
    }

    /// The numbers of the different paths of each person.
    pub(super) fn persons(&self) -> impl Iterator<Item = &[u32]> {
        self.persons.chunk_by(|_, next| next & PERSON_BEGINS == 0)
    }
}

/// A number as it stands among those of a person.
#[inline]
pub(super) fn path_number(entry: u32) -> usize {
    (entry & !PERSON_BEGINS) as usize
}
