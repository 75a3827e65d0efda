//! Groups as dense numbers, the same in every thread of a query.

use std::sync::{Mutex, MutexGuard};

use event_store::{Field, QueryContext, QueryError, Value};
use rustc_hash::FxHashMap;

use super::batch::Batch;
use super::rows::{RowCells, Rows};
use super::scan::Reserved;
use super::text::TextMemo;
use super::tuples::TupleTable;
use super::value::{Scalar, compare_groups};
use super::value_table::{ENTRY_BYTES, ValueTable};

/// Most group keys of one plan.
pub(super) const MAX_KEYS: usize = 4;

/// All groups seen by a query: a group is a tuple of value codes, and its number is a position.
pub(super) struct GroupTable {
    fields: Vec<usize>,
    max_groups: usize,
    shared: Mutex<Shared>,
}

struct Shared {
    values: Vec<ValueTable>,
    numbers: FxHashMap<u128, u32>,
    tuples: Vec<[u32; MAX_KEYS]>,
    memory: Reserved,
}

impl GroupTable {
    /// Groups by these fields (positions in the plan's fields, [`MAX_KEYS`] at most).
    pub(super) fn new(fields: Vec<usize>, context: &QueryContext) -> Self {
        let values = fields.iter().map(|_| ValueTable::default()).collect();
        let shared = Shared { values, numbers: FxHashMap::default(), tuples: Vec::new(), memory: Reserved::new(context) };
        Self { fields, max_groups: context.max_groups, shared: Mutex::new(shared) }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // A thread that panicked has ended its query; what it left is consistent, since each change is one push.
        self.shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn value_code(&self, key: usize, value: Scalar<'_>) -> Result<u32, QueryError> {
        let mut shared = self.shared();
        let (code, new) = shared.values[key].intern(value);
        if new {
            self.check_count(shared.values[key].len())?;
            shared.memory.grow(ENTRY_BYTES + value.to_owned().text_bytes())?;
        }
        Ok(code)
    }

    fn tuple_number(&self, tuple: [u32; MAX_KEYS]) -> Result<u32, QueryError> {
        let mut shared = self.shared();
        let next = shared.tuples.len() as u32;
        let number = *shared.numbers.entry(pack(tuple)).or_insert(next);
        if number == next {
            self.check_count(next as usize + 1)?;
            shared.tuples.push(tuple);
            shared.memory.grow(ENTRY_BYTES)?;
        }
        Ok(number)
    }

    fn check_count(&self, groups: usize) -> Result<(), QueryError> {
        if groups > self.max_groups { Err(QueryError::Groups { limit: self.max_groups }) } else { Ok(()) }
    }

    /// Whether the values of one group come before those of another.
    pub(super) fn is_before(&self, group: u32, other: u32) -> bool {
        let shared = self.shared();
        let values =
            |group: u32| shared.tuples[group as usize].iter().zip(&shared.values).map(|(&code, values)| values.get(code).to_value());
        group != other && compare_groups(&values(group).collect::<Vec<_>>(), &values(other).collect::<Vec<_>>()).is_lt()
    }

    /// The values of every group, by number.
    pub(super) fn groups(&self) -> Vec<Vec<Value>> {
        let shared = self.shared();
        let value = |(key, code): (usize, &u32)| shared.values[key].get(*code).to_value();
        shared.tuples.iter().map(|tuple| tuple[..self.fields.len()].iter().enumerate().map(value).collect()).collect()
    }
}

/// Checks the number of group keys.
///
/// # Errors
/// [`QueryError::Invalid`].
pub(super) fn check_keys(group_by: &[Field]) -> Result<(), QueryError> {
    if group_by.len() <= MAX_KEYS {
        return Ok(());
    }
    Err(QueryError::Invalid { field: "group_by".into(), message: format!("at most {MAX_KEYS} group keys") })
}

fn pack(tuple: [u32; MAX_KEYS]) -> u128 {
    tuple.iter().fold(0, |packed, &code| packed << 32 | u128::from(code))
}

/// What one thread knows of the groups, so that it asks the shared table only for new ones.
pub(super) struct GroupCoder<'t> {
    table: &'t GroupTable,
    keys: Vec<KeyCoder>,
    numbers: FxHashMap<u128, u32>,
    codes: [Vec<u32>; MAX_KEYS],
    tuples: TupleTable,
}

#[derive(Default)]
struct KeyCoder {
    memo: TextMemo<u32>,
    local: ValueTable,
    shared_codes: Vec<u32>,
}

impl<'t> GroupCoder<'t> {
    pub(super) fn new(table: &'t GroupTable) -> Self {
        let keys = table.fields.iter().map(|_| KeyCoder::default()).collect();
        Self { table, keys, numbers: FxHashMap::default(), codes: Default::default(), tuples: TupleTable::default() }
    }

    /// The group number of each of `rows`, in `out` where they are not all of one group.
    ///
    /// # Errors
    /// [`QueryError::Groups`], [`QueryError::Memory`].
    pub(super) fn code<'o>(&mut self, batch: &Batch, rows: Rows<'_>, out: &'o mut Vec<u32>) -> Result<RowCells<'o>, QueryError> {
        out.clear();
        if rows.count() == 0 {
            return Ok(RowCells::Each(out));
        }
        if self.table.fields.is_empty() {
            return Ok(RowCells::One(self.tuple_number([0; MAX_KEYS])?));
        }
        let mut tuples = std::mem::take(&mut self.tuples);
        let coded = match tuples.positions(batch, &self.table.fields, rows, out) {
            true => tuples.number(out, &mut |texts| self.group_of_texts(texts)).map(Some),
            false => self.code_values(batch, rows, out).map(|()| None),
        };
        self.tuples = tuples;
        Ok(match coded? {
            Some(Some(number)) => RowCells::One(number),
            _ => RowCells::Each(out),
        })
    }

    /// Counts rows by group without numbering each; false where that is not possible. [`GroupCoder::take_counts`] gives the counts.
    pub(super) fn count(&mut self, batch: &Batch, rows: Rows<'_>) -> bool {
        self.tuples.count(batch, &self.table.fields, rows)
    }

    /// Gives out the rows counted since the last time, by group.
    ///
    /// # Errors
    /// [`QueryError::Groups`], [`QueryError::Memory`]; those of `each`.
    pub(super) fn take_counts(&mut self, each: &mut dyn FnMut(u32, u64) -> Result<(), QueryError>) -> Result<(), QueryError> {
        let mut tuples = std::mem::take(&mut self.tuples);
        let taken = tuples.take_counts(&mut |texts, count| each(self.group_of_texts(texts)?, count));
        self.tuples = tuples;
        taken
    }

    /// The group of a tuple of texts; `None` is no text.
    fn group_of_texts(&mut self, texts: &[Option<&str>]) -> Result<u32, QueryError> {
        let mut tuple = [0; MAX_KEYS];
        for (key, text) in texts.iter().enumerate() {
            let KeyCoder { local, shared_codes, .. } = &mut self.keys[key];
            tuple[key] = shared_code(self.table, key, text.map_or(Scalar::Null, Scalar::Str), local, shared_codes)?;
        }
        self.tuple_number(tuple)
    }

    fn tuple_number(&mut self, tuple: [u32; MAX_KEYS]) -> Result<u32, QueryError> {
        let packed = pack(tuple);
        if let Some(&number) = self.numbers.get(&packed) {
            return Ok(number);
        }
        let number = self.table.tuple_number(tuple)?;
        self.numbers.insert(packed, number);
        Ok(number)
    }

    /// Numbers rows whose keys are of any type.
    fn code_values(&mut self, batch: &Batch, rows: Rows<'_>, out: &mut Vec<u32>) -> Result<(), QueryError> {
        for (key, coder) in self.keys.iter_mut().enumerate() {
            let table = self.table;
            let KeyCoder { memo, local, shared_codes } = coder;
            let codes = &mut self.codes[key];
            codes.clear();
            batch
                .column(table.fields[key])
                .number_rows(rows, memo, codes, &mut |value| shared_code(table, key, value, local, shared_codes))?;
        }
        let mut last: Option<([u32; MAX_KEYS], u32)> = None;
        out.clear();
        for i in 0..rows.count() {
            let mut tuple = [0; MAX_KEYS];
            tuple.iter_mut().zip(&self.codes[..self.keys.len()]).for_each(|(code, codes)| *code = codes[i]);
            let number = match last {
                Some((known, number)) if known == tuple => number,
                _ => self.tuple_number(tuple)?,
            };
            last = Some((tuple, number));
            out.push(number);
        }
        Ok(())
    }
}

fn shared_code(
    table: &GroupTable,
    key: usize,
    value: Scalar<'_>,
    local: &mut ValueTable,
    shared_codes: &mut Vec<u32>,
) -> Result<u32, QueryError> {
    // Values that show alike are one group: see [`Scalar::to_value`].
    let value = match value {
        Scalar::Json(text) => Scalar::Str(text),
        other => other,
    };
    let (code, new) = local.intern(value);
    if new {
        shared_codes.push(table.value_code(key, value)?);
    }
    Ok(shared_codes[code as usize])
}
