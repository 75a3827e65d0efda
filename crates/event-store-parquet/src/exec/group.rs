//! Groups as dense numbers, the same in every thread of a query.

use std::sync::{Mutex, MutexGuard};

use event_store::{Field, QueryContext, QueryError, Value};
use rustc_hash::FxHashMap;

use super::column::{Batch, DictionaryMemo};
use super::scan::Reserved;
use super::value::Scalar;
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
}

#[derive(Default)]
struct KeyCoder {
    memo: DictionaryMemo,
    local: ValueTable,
    shared_codes: Vec<u32>,
}

impl<'t> GroupCoder<'t> {
    pub(super) fn new(table: &'t GroupTable) -> Self {
        let keys = table.fields.iter().map(|_| KeyCoder::default()).collect();
        Self { table, keys, numbers: FxHashMap::default(), codes: Default::default() }
    }

    /// Writes the group number of each selected row into `out`, in place of what was there.
    ///
    /// # Errors
    /// [`QueryError::Groups`], [`QueryError::Memory`].
    pub(super) fn code(&mut self, batch: &Batch, rows: &[u32], out: &mut Vec<u32>) -> Result<(), QueryError> {
        out.clear();
        if rows.is_empty() {
            return Ok(());
        }
        for (key, coder) in self.keys.iter_mut().enumerate() {
            let table = self.table;
            let KeyCoder { memo, local, shared_codes } = coder;
            let codes = &mut self.codes[key];
            codes.clear();
            batch
                .column(table.fields[key])
                .number_rows(rows, memo, codes, &mut |value| shared_code(table, key, value, local, shared_codes))?;
        }
        let mut last: Option<(u128, u32)> = None;
        for i in 0..rows.len() {
            let mut tuple = [0; MAX_KEYS];
            tuple.iter_mut().zip(&self.codes[..self.keys.len()]).for_each(|(code, codes)| *code = codes[i]);
            let packed = pack(tuple);
            let number = match last {
                Some((known, number)) if known == packed => number,
                _ => match self.numbers.get(&packed) {
                    Some(&number) => number,
                    None => {
                        let number = self.table.tuple_number(tuple)?;
                        self.numbers.insert(packed, number);
                        number
                    }
                },
            };
            last = Some((packed, number));
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
    let digits: String;
    let value = match value {
        Scalar::Json(text) => Scalar::Str(text),
        Scalar::BigUint(u) => {
            digits = u.to_string();
            Scalar::Str(&digits)
        }
        other => other,
    };
    let (code, new) = local.intern(value);
    if new {
        shared_codes.push(table.value_code(key, value)?);
    }
    Ok(shared_codes[code as usize])
}
