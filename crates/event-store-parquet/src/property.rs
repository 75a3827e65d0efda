//! The properties of the rows being columnized: sparse values per name and type, then columns for the frequent ones and JSON for the rest.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array};
use arrow::buffer::{BooleanBuffer, MutableBuffer, NullBuffer};
use arrow::datatypes::FieldRef;
use arrow::error::ArrowError;
use event::{EventBatch, EventView, PropertyValue};
use hashbrown::HashMap;

use crate::columns::{self, MAX_EXACT_FLOAT, PropertyKind};
use crate::overflow::OverflowColumn;
use crate::text::TextDictionary;

const NO_SLOT: u32 = u32::MAX;
const NO_ROW: u32 = u32::MAX;

/// The values of one property name, by type; a row is in one of the lists at most.
#[derive(Default)]
struct Slot<'a> {
    name: &'a str,
    /// Row of the last value and the list it is in, to undo it when the event repeats the name.
    last: Option<(u32, List)>,
    text: Option<Box<TextList>>,
    numbers: Vec<(u32, f64)>,
    big_ints: Vec<(u32, i64)>,
    bools: Vec<(u32, bool)>,
    json: Vec<(u32, &'a str)>,
}

#[derive(Default)]
struct TextList {
    rows: Vec<(u32, i32)>,
    dictionary: TextDictionary,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Column(PropertyKind),
    Json,
}

impl<'a> Slot<'a> {
    fn push(&mut self, row: u32, value: PropertyValue<'a>) {
        if let Some((last_row, list)) = self.last
            && last_row == row
        {
            self.pop(list);
            self.last = None;
        }
        let list = match value {
            PropertyValue::Null => return,
            PropertyValue::Bool(b) => {
                self.bools.push((row, b));
                List::Column(PropertyKind::Bool)
            }
            PropertyValue::Int(i) if (-MAX_EXACT_FLOAT..=MAX_EXACT_FLOAT).contains(&i) => {
                self.numbers.push((row, i as f64));
                List::Column(PropertyKind::Number)
            }
            PropertyValue::Int(i) => {
                self.big_ints.push((row, i));
                List::Column(PropertyKind::BigInt)
            }
            PropertyValue::Float(f) => {
                self.numbers.push((row, f));
                List::Column(PropertyKind::Number)
            }
            PropertyValue::Str(text) => {
                let list = self.text.get_or_insert_default();
                let code = list.dictionary.intern(text);
                list.rows.push((row, code));
                List::Column(PropertyKind::Text)
            }
            PropertyValue::Json(json) => {
                self.json.push((row, json));
                List::Json
            }
        };
        self.last = Some((row, list));
    }

    fn pop(&mut self, list: List) {
        match list {
            List::Column(PropertyKind::Text) => drop(self.text.as_mut().and_then(|list| list.rows.pop())),
            List::Column(PropertyKind::Number) => drop(self.numbers.pop()),
            List::Column(PropertyKind::BigInt) => drop(self.big_ints.pop()),
            List::Column(PropertyKind::Bool) => drop(self.bools.pop()),
            List::Json => drop(self.json.pop()),
        }
    }

    fn len(&self, kind: PropertyKind) -> usize {
        match kind {
            PropertyKind::Text => self.text.as_ref().map_or(0, |list| list.rows.len()),
            PropertyKind::Number => self.numbers.len(),
            PropertyKind::BigInt => self.big_ints.len(),
            PropertyKind::Bool => self.bools.len(),
        }
    }

    /// The column of one kind; `position` says where each row goes. The values are taken out.
    fn take_column(&mut self, kind: PropertyKind, position: &[u32]) -> Result<ArrayRef, ArrowError> {
        let n = position.len();
        let at = |row: u32| position[row as usize] as usize;
        match kind {
            PropertyKind::Text => {
                let list = self.text.take().unwrap_or_default();
                let (codes, nulls) = scatter(n, list.rows.iter().map(|&(row, code)| (at(row), code)));
                list.dictionary.into_array(codes, nulls)
            }
            PropertyKind::Number => {
                let (values, nulls) = scatter(n, std::mem::take(&mut self.numbers).into_iter().map(|(row, value)| (at(row), value)));
                Ok(Arc::new(Float64Array::try_new(values.into(), nulls)?))
            }
            PropertyKind::BigInt => {
                let (values, nulls) = scatter(n, std::mem::take(&mut self.big_ints).into_iter().map(|(row, value)| (at(row), value)));
                Ok(Arc::new(Int64Array::try_new(values.into(), nulls)?))
            }
            PropertyKind::Bool => {
                let (values, nulls) = scatter(n, std::mem::take(&mut self.bools).into_iter().map(|(row, value)| (at(row), value)));
                Ok(Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls)))
            }
        }
    }

    /// Writes what is left into the overflow.
    fn spill(&self, position: &[u32], overflow: &mut OverflowColumn) {
        let mut add = |row: u32, value: PropertyValue<'_>| {
            overflow.add(position[row as usize], self.name, &mut |out| value.write_json(out));
        };
        if let Some(list) = &self.text {
            list.rows.iter().for_each(|&(row, code)| add(row, PropertyValue::Str(list.dictionary.get(code))));
        }
        self.numbers.iter().for_each(|&(row, value)| add(row, PropertyValue::Float(value)));
        self.big_ints.iter().for_each(|&(row, value)| add(row, PropertyValue::Int(value)));
        self.bools.iter().for_each(|&(row, value)| add(row, PropertyValue::Bool(value)));
        self.json.iter().for_each(|&(row, json)| add(row, PropertyValue::Json(json)));
    }
}

/// Dense values and their nulls out of sparse ones; a place nobody writes is null.
fn scatter<T: Copy + Default>(rows: usize, values: impl ExactSizeIterator<Item = (usize, T)>) -> (Vec<T>, Option<NullBuffer>) {
    let mut dense = vec![T::default(); rows];
    if values.len() == rows {
        values.for_each(|(at, value)| dense[at] = value);
        return (dense, None);
    }
    let mut valid = MutableBuffer::new_null(rows);
    let bits = valid.as_slice_mut();
    for (at, value) in values {
        dense[at] = value;
        bits[at / 8] |= 1 << (at % 8);
    }
    (dense, Some(NullBuffer::new(BooleanBuffer::new(valid.into(), 0, rows))))
}

/// The properties of all rows so far. Rows are numbered in the order of [`Properties::add`].
#[derive(Default)]
pub(crate) struct Properties<'a> {
    slots: Vec<Slot<'a>>,
    by_name: HashMap<&'a str, u32>,
}

/// Which slot each key of one batch has; begun anew for every batch.
#[derive(Default)]
pub(crate) struct BatchKeys {
    slots: Vec<u32>,
}

impl BatchKeys {
    pub(crate) fn start(&mut self, batch: &EventBatch) {
        self.slots.clear();
        self.slots.resize(batch.keys().len(), NO_SLOT);
    }
}

impl<'a> Properties<'a> {
    /// Adds the properties of one event; of a name that it has twice, the last value counts.
    pub(crate) fn add(&mut self, row: u32, event: &EventView<'a>, keys: &mut BatchKeys) {
        debug_assert_ne!(row, NO_ROW);
        for (key, name, value) in event.properties.clone() {
            let Some(slot) = keys.slots.get_mut(key as usize) else { continue };
            if *slot == NO_SLOT {
                let slots = &mut self.slots;
                *slot = *self.by_name.entry(name).or_insert_with(|| {
                    slots.push(Slot { name, ..Slot::default() });
                    slots.len() as u32 - 1
                });
            }
            self.slots[*slot as usize].push(row, value);
        }
    }

    /// The property columns and the overflow; `position[row]` is where a row goes.
    pub(crate) fn finish(mut self, position: &[u32]) -> Result<(Vec<(FieldRef, ArrayRef)>, OverflowColumn), ArrowError> {
        let counts = self.slots.iter().enumerate().flat_map(|(i, slot)| PropertyKind::ALL.map(|kind| (i, kind, slot.len(kind) as u64)));
        let counts = counts.map(|(i, kind, count)| ((self.slots[i].name, kind), i, count));
        let chosen = choose_columns(counts.map(|(key, i, count)| (key, count, i)).collect(), position.len() as u64);
        let mut columns = Vec::with_capacity(chosen.len());
        for ((name, kind), i) in chosen {
            columns.push((columns::field(&columns::property_column(kind, name)), self.slots[i].take_column(kind, position)?));
        }
        let mut overflow = OverflowColumn::new(position.len());
        self.slots.iter().for_each(|slot| slot.spill(position, &mut overflow));
        Ok((columns, overflow))
    }
}

/// The pairs that become columns: frequent enough, at most [`columns::MAX_PROPERTY_COLUMNS`], most frequent first; returned by name, then kind.
pub(crate) fn choose_columns<T>(counts: Vec<((&str, PropertyKind), u64, T)>, rows: u64) -> Vec<((&str, PropertyKind), T)> {
    let least = rows.div_ceil(columns::COLUMN_PER_ROWS).max(1);
    let mut chosen: Vec<_> = counts.into_iter().filter(|(_, count, _)| *count >= least).collect();
    chosen.sort_by(|(a, a_count, _), (b, b_count, _)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
    chosen.truncate(columns::MAX_PROPERTY_COLUMNS);
    chosen.sort_by_key(|(key, ..)| *key);
    chosen.into_iter().map(|(key, _, payload)| (key, payload)).collect()
}
