//! The view `persons`: a row a person, with the latest value of each user property that is asked for.

use std::sync::{Mutex, PoisonError};

use event_store::{Cell, Field};
use rustc_hash::FxHashMap;

use super::ViewColumn;
use super::batch::BatchMaker;
use super::events::{all_events, each_row, text};
use super::view::{Outlet, ReadResult, Reading};

/// Parts under a lock each; a power of two.
const SHARDS: usize = 64;
const USER_ID: usize = 0;
const ANONYMOUS_ID: usize = 1;
/// Fields before the properties.
const FIXED_FIELDS: usize = 2;
/// Memory of a person beside their text.
const PERSON_BYTES: usize = 160;
/// Memory of a value beside its text.
const VALUE_BYTES: usize = 32;

struct Person {
    /// Of a person with several ids, the one that stands for it.
    linked_id: Option<Box<str>>,
    user_id: Option<Box<str>>,
    anonymous_id: Option<Box<str>>,
    first_ms: i64,
    last_ms: i64,
    events: i64,
    values: Vec<OwnedCell>,
}

enum OwnedCell {
    Null,
    Bool(bool),
    Int(i64),
    BigUint(u64),
    Float(f64),
    Text(Box<str>),
    Json(Box<str>),
}

impl OwnedCell {
    fn of(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Bool(value) => Self::Bool(value),
            Cell::Int(value) => Self::Int(value),
            Cell::BigUint(value) => Self::BigUint(value),
            Cell::Float(value) => Self::Float(value),
            Cell::Text(text) => Self::Text(text.into()),
            Cell::Json(text) => Self::Json(text.into()),
        }
    }

    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Bool(value) => Cell::Bool(*value),
            Self::Int(value) => Cell::Int(*value),
            Self::BigUint(value) => Cell::BigUint(*value),
            Self::Float(value) => Cell::Float(*value),
            Self::Text(text) => Cell::Text(text),
            Self::Json(text) => Cell::Json(text),
        }
    }

    fn text_bytes(&self) -> usize {
        match self {
            Self::Text(text) | Self::Json(text) => text.len(),
            _ => 0,
        }
    }
}

/// Gathers the persons of all of an app's events.
pub(super) fn read(reading: &Reading, outlet: &Outlet) -> ReadResult {
    let memory = &reading.shared.context.memory;
    let shards: Vec<Mutex<FxHashMap<u64, Person>>> = (0..SHARDS).map(|_| Mutex::default()).collect();
    let mut fields = vec![Field::UserId, Field::AnonymousId];
    let properties = reading.columns.iter().filter_map(|column| match column {
        ViewColumn::Property(property) => Some(Field::UserProperty(property.name.clone())),
        _ => None,
    });
    fields.extend(properties);
    let values = fields.len() - FIXED_FIELDS;
    let plan = all_events(reading, fields);
    let stats = reading.shared.rows.read(&plan, &reading.shared.context, &|block| {
        each_row(reading, block, |row| {
            let Some(key) = block.person(row) else { return Ok(()) };
            let mut shard = shards[key as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
            let time_ms = block.time_ms(row);
            let mut bytes = 0;
            let person = shard.entry(key).or_insert_with(|| {
                let values: Vec<OwnedCell> = (0..values).map(|i| OwnedCell::of(block.cell(FIXED_FIELDS + i, row))).collect();
                bytes += block.linked_id(row).map_or(0, str::len);
                bytes += PERSON_BYTES + values.iter().map(|value| VALUE_BYTES + value.text_bytes()).sum::<usize>();
                Person {
                    linked_id: block.linked_id(row).map(Box::from),
                    user_id: None,
                    anonymous_id: None,
                    first_ms: time_ms,
                    last_ms: time_ms,
                    events: 0,
                    values,
                }
            });
            person.events += 1;
            person.first_ms = person.first_ms.min(time_ms);
            person.last_ms = person.last_ms.max(time_ms);
            bytes += keep_smallest(&mut person.user_id, text(block.cell(USER_ID, row)));
            bytes += keep_smallest(&mut person.anonymous_id, text(block.cell(ANONYMOUS_ID, row)));
            if bytes > 0 { memory.grow(bytes) } else { Ok(()) }
        })
    })?;
    let mut maker = BatchMaker::new(&reading.schema, outlet);
    for shard in shards {
        reading.shared.context.check()?;
        for person in shard.into_inner().unwrap_or_else(PoisonError::into_inner).into_values() {
            append(reading, &person, &mut maker);
            maker.end_row()?;
        }
    }
    maker.send()?;
    Ok(stats)
}

/// Keeps the first id by bytes, so that the order of rows decides nothing. Returns the bytes it takes more.
fn keep_smallest(kept: &mut Option<Box<str>>, new: Option<&str>) -> usize {
    let Some(new) = new else { return 0 };
    if kept.as_deref().is_some_and(|kept| kept <= new) {
        return 0;
    }
    *kept = Some(new.into());
    new.len()
}

fn append(reading: &Reading, person: &Person, maker: &mut BatchMaker<'_>) {
    let mut value = person.values.iter();
    for (i, column) in reading.columns.iter().enumerate() {
        match column {
            ViewColumn::Person => {
                let id = person.linked_id.as_deref().or(person.user_id.as_deref());
                maker.text(i, id.or(person.anonymous_id.as_deref()));
            }
            ViewColumn::UserId => maker.text(i, person.user_id.as_deref()),
            ViewColumn::AnonymousId => maker.text(i, person.anonymous_id.as_deref()),
            ViewColumn::FirstSeen => maker.integer(i, Some(person.first_ms)),
            ViewColumn::LastSeen => maker.integer(i, Some(person.last_ms)),
            ViewColumn::Property(property) => maker.property(i, value.next().map_or(Cell::Null, OwnedCell::cell), property.reading),
            _ => maker.integer(i, Some(person.events)),
        }
    }
}
