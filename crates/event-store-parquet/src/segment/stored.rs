//! What a segment's file has in the place of the columns that are given out.
//!
//! A segment of one app has its persons and session ids once (see [`super::persons`], [`super::sessions`]), so that of each row there is
//! only left which of them it has: the columns of [`Stored`] instead of `person`, `user_id`, `anonymous_id` and `session_id`. An
//! `insert_id` that begins as the row's session id does, as those of many SDKs do, is stored without that beginning.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, StringArray, StringBuilder, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type, Schema, SchemaRef, UInt64Type};

use super::persons::SegmentPersons;
use super::sessions::{SegmentSessions, SessionNumbers};
use super::write::IdTables;
use crate::columns;

/// Place of the row's person in the table of persons, from 0, `Int32`; null for a system event.
pub(super) const PERSON_NUMBER: &str = "person_number";
/// Whether the person's id is the row's `user_id`, else it is its `anonymous_id`; `Boolean`.
pub(super) const IS_USER: &str = "is_user";
/// Place of the row's session in the table of sessions, from 0, `Int32`; null where it has no session id.
pub(super) const SESSION_NUMBER: &str = "session_number";
/// The `insert_id` without the bytes it shares with the beginning of the session id, `Utf8`; null where the row has none.
pub(super) const INSERT_REST: &str = "insert_rest";
/// How many bytes these are, `Int32`. The last column of the file.
pub(super) const INSERT_SHARED: &str = "insert_shared";

/// Bytes that the insert ids of a sample share with their sessions' on average, from which on they are stored without them.
const LEAST_SHARED_BYTES: usize = 4;

/// The tables that the rows of a segment refer to, as far as they were read.
#[derive(Clone, Default)]
pub(crate) struct Tables {
    pub(super) persons: Option<SegmentPersons>,
    pub(super) person_ids: Option<Arc<StringArray>>,
    pub(super) sessions: Option<Arc<SegmentSessions>>,
}

/// Which tables columns need.
pub(super) struct NeededTables {
    pub(super) persons: bool,
    pub(super) person_ids: bool,
    pub(super) sessions: bool,
}

/// The columns of a file by their relation to those that are given out.
#[derive(Debug)]
pub(super) struct Stored {
    /// As they are in the file.
    fields: Vec<FieldRef>,
    /// As they are given out: in the order of the file, without [`INSERT_SHARED`], which is the last, so that places are the same in both.
    given: Vec<FieldRef>,
}

impl Stored {
    /// The columns of a file by their names; `None` where one lies where it must not.
    pub(super) fn of_file<'n>(names: impl Iterator<Item = &'n str>) -> Option<Self> {
        let fields: Vec<FieldRef> = names.map(stored_field).collect();
        let shared = fields.iter().position(|field| field.name() == INSERT_SHARED);
        shared.is_none_or(|at| at + 1 == fields.len()).then_some(())?;
        let given =
            fields.iter().filter(|field| field.name() != INSERT_SHARED).map(|field| columns::field(given_name(field.name()))).collect();
        Some(Self { fields, given })
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.fields.clone()))
    }

    pub(super) fn given(&self) -> &[FieldRef] {
        &self.given
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.place(name).is_some()
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name() == name)
    }

    /// The columns of the file (ascending) that columns which are given out are made of.
    pub(super) fn needed(&self, given: &[usize]) -> Vec<usize> {
        let mut needed = given.to_vec();
        for &column in given {
            let others: &[&str] = match self.fields[column].name().as_str() {
                IS_USER => &[PERSON_NUMBER],
                columns::ANONYMOUS_ID if self.has(IS_USER) => &[PERSON_NUMBER, IS_USER],
                INSERT_REST => &[SESSION_NUMBER, INSERT_SHARED],
                _ => &[],
            };
            needed.extend(others.iter().filter_map(|other| self.place(other)));
        }
        needed.sort_unstable();
        needed.dedup();
        needed
    }

    /// The tables that columns which are given out need. With numbers, persons and sessions themselves need none.
    pub(super) fn needed_tables(&self, given: &[usize], with_numbers: bool) -> NeededTables {
        let has = |name: &str| given.iter().any(|&column| self.fields[column].name() == name);
        NeededTables {
            persons: !with_numbers && has(PERSON_NUMBER),
            person_ids: has(IS_USER) || (has(columns::ANONYMOUS_ID) && self.has(IS_USER)),
            sessions: has(INSERT_REST) || (!with_numbers && has(SESSION_NUMBER)),
        }
    }

    /// Columns as they are given out, of what was read of [`Stored::needed`].
    ///
    /// # Errors
    /// What is wrong with the rows.
    pub(super) fn give(&self, given: &[usize], read: &[ArrayRef], tables: &Tables) -> Result<Vec<ArrayRef>, String> {
        self.assemble(given, read, tables, false)
    }

    /// As [`Stored::give`], but persons and sessions as numbers where the file has numbers.
    ///
    /// # Errors
    /// What is wrong with the rows.
    pub(super) fn with_numbers(&self, given: &[usize], read: &[ArrayRef], tables: &Tables) -> Result<Vec<ArrayRef>, String> {
        self.assemble(given, read, tables, true)
    }

    fn assemble(&self, given: &[usize], read: &[ArrayRef], tables: &Tables, with_numbers: bool) -> Result<Vec<ArrayRef>, String> {
        let needed = self.needed(given);
        let of_place = |place: usize| needed.binary_search(&place).ok().and_then(|at| read.get(at));
        let array = |name: &str| self.place(name).and_then(of_place).ok_or_else(|| format!("lacks the column {name}"));
        let numbers = |name: &str| array(name)?.as_primitive_opt::<Int32Type>().ok_or_else(|| format!("{name} has no numbers"));
        let persons = || tables.persons.as_ref().ok_or("its persons were not read");
        let person_ids = || tables.person_ids.as_ref().ok_or("the ids of its persons were not read");
        let sessions = || tables.sessions.as_ref().ok_or("its sessions were not read");
        let each = |&column: &usize| -> Result<ArrayRef, String> {
            let stored = of_place(column).ok_or_else(|| format!("lacks column {column}"))?;
            Ok(match self.fields[column].name().as_str() {
                PERSON_NUMBER if !with_numbers => Arc::new(persons()?.keys_of(numbers(PERSON_NUMBER)?)?),
                SESSION_NUMBER if !with_numbers => Arc::new(sessions()?.ids_of(numbers(SESSION_NUMBER)?)?),
                IS_USER => Arc::new(ids(person_ids()?, numbers(PERSON_NUMBER)?, array(IS_USER)?, true, None)?),
                columns::ANONYMOUS_ID if self.has(IS_USER) => {
                    let own = stored.as_string_opt::<i32>().ok_or("anonymous ids are no text")?;
                    Arc::new(ids(person_ids()?, numbers(PERSON_NUMBER)?, array(IS_USER)?, false, Some(own))?)
                }
                INSERT_REST => {
                    let rest = stored.as_string_opt::<i32>().ok_or("insert ids are no text")?;
                    Arc::new(insert_ids(sessions()?, numbers(SESSION_NUMBER)?, numbers(INSERT_SHARED)?, rest)?)
                }
                _ => stored.clone(),
            })
        };
        given.iter().map(each).collect()
    }
}

/// The field of a column in the file by its name.
fn stored_field(name: &str) -> FieldRef {
    match name {
        PERSON_NUMBER | SESSION_NUMBER => Arc::new(Field::new(name, DataType::Int32, true)),
        INSERT_SHARED => Arc::new(Field::new(name, DataType::Int32, false)),
        IS_USER => Arc::new(Field::new(name, DataType::Boolean, false)),
        INSERT_REST => Arc::new(Field::new(name, DataType::Utf8, true)),
        other => columns::field(other),
    }
}

/// The name under which a column of the file is given out.
fn given_name(name: &str) -> &str {
    match name {
        PERSON_NUMBER => columns::PERSON,
        IS_USER => columns::USER_ID,
        SESSION_NUMBER => columns::SESSION_ID,
        INSERT_REST => columns::INSERT_ID,
        other => other,
    }
}

/// The persons' ids of the rows in which `is_user` is `wanted`; of the other rows those of `others`.
fn ids(
    table: &StringArray,
    numbers: &Int32Array,
    is_user: &ArrayRef,
    wanted: bool,
    others: Option<&StringArray>,
) -> Result<StringArray, String> {
    let is_user = is_user.as_boolean_opt().ok_or("is_user is no truth value")?;
    let mut ids = StringBuilder::with_capacity(numbers.len(), numbers.len() * 16);
    for row in 0..numbers.len() {
        if is_user.value(row) != wanted {
            ids.append_option(others.filter(|others| others.is_valid(row)).map(|others| others.value(row)));
            continue;
        }
        let number = numbers.is_valid(row).then(|| numbers.value(row) as usize);
        if number.is_some_and(|number| number >= table.len()) {
            return Err("a row has a person that its table lacks".to_owned());
        }
        ids.append_option(number.map(|number| table.value(number)));
    }
    Ok(ids.finish())
}

/// Insert ids of what they share with their sessions' and the rest.
fn insert_ids(sessions: &SegmentSessions, numbers: &Int32Array, shared: &Int32Array, rest: &StringArray) -> Result<StringArray, String> {
    let mut ids = StringBuilder::with_capacity(rest.len(), rest.len() * 24);
    let mut id = String::new();
    for row in 0..rest.len() {
        if rest.is_null(row) {
            ids.append_null();
            continue;
        }
        let length = usize::try_from(shared.value(row)).map_err(|error| error.to_string())?;
        id.clear();
        if length > 0 {
            let number = numbers.is_valid(row).then(|| numbers.value(row) as usize).filter(|&number| number < sessions.ids().len());
            let session = number.map_or("", |number| sessions.ids().value(number));
            id.push_str(session.get(..length).ok_or("an insert id shares more with its session's than that has")?);
        }
        id.push_str(rest.value(row));
        ids.append_value(&id);
    }
    Ok(ids.finish())
}

/// Brings rows into the form of a segment of one app.
pub(super) struct Numbering {
    persons: SegmentPersons,
    person_ids: StringArray,
    sessions: Option<SessionNumbers>,
    /// Whether insert ids are stored without what they share; told by the first rows.
    cuts_insert_ids: bool,
}

impl Numbering {
    /// For rows whose ids are all in these tables. `sample` has some of them.
    pub(super) fn new(tables: IdTables, sample: &RecordBatch) -> Self {
        let IdTables { persons, person_ids, sessions } = tables;
        let cuts_insert_ids = sessions.is_some() && share_beginnings(sample);
        Self { persons, person_ids, sessions: sessions.map(SessionNumbers::new), cuts_insert_ids }
    }

    pub(super) fn persons(&self) -> &SegmentPersons {
        &self.persons
    }

    /// Texts by person and by session, the latter where there is a table of them.
    pub(super) fn texts(&self) -> (&StringArray, Option<&StringArray>) {
        (&self.person_ids, self.sessions.as_ref().map(|sessions| sessions.sessions().ids()))
    }

    /// Rows as they are written.
    ///
    /// # Errors
    /// A person or session that the tables lack.
    pub(super) fn stored(&self, batch: &RecordBatch) -> Result<RecordBatch, String> {
        let text =
            |name: &str| batch.column_by_name(name).and_then(|ids| ids.as_string_opt::<i32>()).ok_or_else(|| format!("lacks {name}"));
        let (users, session_ids, insert_ids) = (text(columns::USER_ID)?, text(columns::SESSION_ID)?, text(columns::INSERT_ID)?);
        let (shared, rest) = if self.cuts_insert_ids { cut(insert_ids, session_ids) } else { (None, None) };
        let mut stored: Vec<(&str, ArrayRef)> = Vec::with_capacity(batch.num_columns() + 1);
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            stored.push(match (field.name().as_str(), &self.sessions, &rest) {
                (columns::PERSON, ..) => (PERSON_NUMBER, Arc::new(self.numbers_of(array)?)),
                (columns::USER_ID, ..) => (IS_USER, Arc::new(is_valid(users))),
                // A row without a user has its person's id.
                (columns::ANONYMOUS_ID, ..) => (columns::ANONYMOUS_ID, only_where_valid(text(columns::ANONYMOUS_ID)?, users)?),
                (columns::SESSION_ID, Some(sessions), _) => (SESSION_NUMBER, Arc::new(sessions.numbers_of(session_ids)?)),
                (columns::INSERT_ID, _, Some(rest)) => (INSERT_REST, Arc::new(rest.clone())),
                (name, ..) => (name, array.clone()),
            });
        }
        stored.extend(shared.map(|shared| (INSERT_SHARED, Arc::new(shared) as ArrayRef)));
        let (names, arrays): (Vec<&str>, Vec<ArrayRef>) = stored.into_iter().unzip();
        let schema = Schema::new(names.into_iter().map(stored_field).collect::<Vec<_>>());
        RecordBatch::try_new(Arc::new(schema), arrays).map_err(|error| error.to_string())
    }

    fn numbers_of(&self, persons: &ArrayRef) -> Result<Int32Array, String> {
        let keys: &UInt64Array = persons.as_primitive_opt::<UInt64Type>().ok_or("its persons are no keys")?;
        let mut last: Option<(u64, i32)> = None;
        let mut number = |key: u64| match last {
            Some((known, number)) if known == key => Ok(number),
            _ => {
                let number = self.persons.number(key).ok_or("a row's person is not among those of the segment")?;
                last = Some((key, number));
                Ok(number)
            }
        };
        keys.iter().map(|key| key.map(&mut number).transpose()).collect::<Result<Int32Array, &str>>().map_err(str::to_owned)
    }
}

fn is_valid(array: &StringArray) -> BooleanArray {
    (0..array.len()).map(|row| Some(array.is_valid(row))).collect()
}

/// The texts of the rows in which `other` is set.
fn only_where_valid(array: &StringArray, other: &StringArray) -> Result<ArrayRef, String> {
    let is_unset = BooleanArray::new(arrow::compute::is_null(other).map_err(|error| error.to_string())?.values().clone(), None);
    arrow::compute::nullif(array, &is_unset).map_err(|error| error.to_string())
}

/// Bytes that two texts begin with alike, to the end of a character.
fn shared_bytes(a: &str, b: &str) -> usize {
    let mut shared = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    while !a.is_char_boundary(shared) {
        shared -= 1;
    }
    shared
}

/// What each insert id shares with its session's, and the rest of it.
fn cut(insert_ids: &StringArray, session_ids: &StringArray) -> (Option<Int32Array>, Option<StringArray>) {
    let mut shared = Vec::with_capacity(insert_ids.len());
    let mut rest = StringBuilder::with_capacity(insert_ids.len(), insert_ids.len() * 8);
    for (insert_id, session_id) in insert_ids.iter().zip(session_ids.iter()) {
        let bytes = insert_id.zip(session_id).map_or(0, |(insert_id, session_id)| shared_bytes(insert_id, session_id));
        shared.push(bytes as i32);
        rest.append_option(insert_id.map(|insert_id| &insert_id[bytes..]));
    }
    (Some(Int32Array::from(shared)), Some(rest.finish()))
}

/// True where insert ids begin as their sessions' do.
fn share_beginnings(sample: &RecordBatch) -> bool {
    let text = |name: &str| sample.column_by_name(name).and_then(|ids| ids.as_string_opt::<i32>());
    let Some((insert_ids, session_ids)) = text(columns::INSERT_ID).zip(text(columns::SESSION_ID)) else { return false };
    let (mut rows, mut shared) = (0, 0);
    for (insert_id, session_id) in insert_ids.iter().zip(session_ids.iter()) {
        let Some(insert_id) = insert_id else { continue };
        rows += 1;
        shared += session_id.map_or(0, |session_id| shared_bytes(insert_id, session_id));
    }
    rows > 0 && shared >= rows * LEAST_SHARED_BYTES
}
