//! Merging parts that are in memory.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMillisecondType, UInt64Type};
use arrow::error::ArrowError;

use super::gather::{RowRef, gather};
use super::ids::{IdColumns, IdGatherer};
use super::layout::{InputColumns, Layout};
use crate::columns;
use crate::memory::MemoryPart;
use crate::segment::IdTables;
use crate::text::TextDictionary;

/// Parts with a common layout and the order of their rows.
pub(crate) struct Resident {
    layout: Layout,
    inputs: Vec<Vec<Option<ArrayRef>>>,
    rows: Vec<RowRef>,
}

impl Resident {
    pub(crate) fn new<'p>(parts: impl Iterator<Item = &'p MemoryPart> + Clone) -> Result<Self, ArrowError> {
        let layout = Layout::of(&parts.clone().map(input_columns).collect::<Vec<_>>());
        let inputs = parts.clone().map(|part| layout.conform(part.batch())).collect::<Result<_, _>>()?;
        Ok(Self { layout, inputs, rows: order(parts.map(MemoryPart::batch)) })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// All rows in stored order.
    pub(crate) fn rows(&self) -> &[RowRef] {
        &self.rows
    }

    /// Event time of a row, ms.
    pub(crate) fn times(&self) -> impl Fn(RowRef) -> i64 {
        let at = self.layout.schema().index_of(columns::TIME).unwrap_or_default();
        let times: Vec<_> =
            self.inputs.iter().map(|input| input[at].as_ref().map(|array| array.as_primitive::<TimestampMillisecondType>())).collect();
        move |row| times[row.input as usize].map_or(0, |times| times.values()[row.row as usize])
    }

    /// The tables of sorted rows that are all of one app; `None` where there are several apps, or there can be no table of the persons.
    pub(crate) fn tables_of_one_app(&self, rows: &[RowRef]) -> Option<IdTables> {
        let column = |name: &str| {
            let at = self.layout.schema().index_of(name).unwrap_or_default();
            self.inputs.iter().map(move |input| input[at].as_ref())
        };
        let apps: Vec<_> = column(columns::APP).map(|array| array.map(|array| array.as_dictionary::<Int32Type>())).collect();
        let app = |row: &RowRef| {
            let apps = apps[row.input as usize]?;
            Some(apps.values().as_string::<i32>().value(apps.keys().values()[row.row as usize] as usize))
        };
        let (first, last) = (rows.first()?, rows.last()?);
        if app(first)? != app(last)? {
            return None;
        }
        let inputs: Vec<Option<IdColumns<'_>>> =
            self.inputs.iter().map(|input| IdColumns::of_arrays(self.layout.schema(), input)).collect();
        let mut gatherer = IdGatherer::default();
        for row in rows {
            gatherer.add(inputs[row.input as usize].as_ref()?, row.row as usize);
        }
        gatherer.finish()
    }

    /// These rows as one batch with the columns of the layout.
    pub(crate) fn gather(&self, rows: &[RowRef]) -> Result<RecordBatch, ArrowError> {
        let inputs: Vec<&[Option<ArrayRef>]> = self.inputs.iter().map(Vec::as_slice).collect();
        gather(self.layout.schema(), &inputs, rows)
    }

    /// All rows as one part.
    pub(crate) fn into_part(self) -> Result<MemoryPart, ArrowError> {
        let batch = self.gather(&self.rows)?;
        Ok(MemoryPart::new(batch, self.layout.overflow().clone()))
    }
}

fn input_columns(part: &MemoryPart) -> InputColumns {
    let batch = part.batch();
    let values = batch.columns().iter().map(|column| (column.len() - column.null_count()) as u64).collect();
    InputColumns {
        fields: batch.schema().fields().iter().cloned().collect(),
        values,
        rows: batch.num_rows() as u64,
        overflow: part.overflow().clone(),
    }
}

/// A row's place: run, person (nulls first), time.
type Key = (u64, Option<u64>, i64);

/// The rows of sorted batches in merged order; equal keys by input. The stable sort merges the sorted stretches it is given.
fn order<'b>(batches: impl Iterator<Item = &'b RecordBatch> + Clone) -> Vec<RowRef> {
    let apps = Ranks::of(columns::APP, batches.clone());
    let events = Ranks::of(columns::EVENT, batches.clone());
    let mut keys: Vec<(Key, RowRef)> = Vec::with_capacity(batches.clone().map(RecordBatch::num_rows).sum());
    for (input, batch) in batches.enumerate() {
        let column = |name: &str| batch.column_by_name(name);
        let (Some(person), Some(time)) = (column(columns::PERSON), column(columns::TIME)) else { continue };
        let (person, time) = (person.as_primitive::<UInt64Type>(), time.as_primitive::<TimestampMillisecondType>().values());
        for row in 0..batch.num_rows() {
            let run = u64::from(apps.rank(input, row)) << 32 | u64::from(events.rank(input, row));
            let key = (run, person.is_valid(row).then(|| person.values()[row]), time[row]);
            keys.push((key, RowRef { input: input as u32, row: row as u32 }));
        }
    }
    keys.sort_by_key(|(key, _)| *key);
    keys.into_iter().map(|(_, row)| row).collect()
}

/// Order of the texts of one column over several batches.
struct Ranks<'b> {
    /// Per input: the column's codes and the rank of each code.
    inputs: Vec<(&'b [i32], Vec<u32>)>,
}

impl<'b> Ranks<'b> {
    fn of(name: &str, batches: impl Iterator<Item = &'b RecordBatch>) -> Self {
        let mut dictionary = TextDictionary::default();
        let mut inputs: Vec<(&[i32], Vec<u32>)> = Vec::new();
        for batch in batches {
            let Some(array) = batch.column_by_name(name) else { continue };
            let array = array.as_dictionary::<Int32Type>();
            let merged = array.values().as_string::<i32>().iter().map(|text| dictionary.intern(text.unwrap_or_default()) as u32).collect();
            inputs.push((&array.keys().values()[..], merged));
        }
        let ranks = dictionary.ranks();
        for (_, codes) in &mut inputs {
            codes.iter_mut().for_each(|code| *code = ranks[*code as usize]);
        }
        Self { inputs }
    }

    fn rank(&self, input: usize, row: usize) -> u32 {
        let (codes, ranks) = &self.inputs[input];
        ranks[codes[row] as usize]
    }
}
