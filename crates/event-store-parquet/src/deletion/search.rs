//! Finding a person's rows: their places in a part, and what they count in the rollups.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMillisecondType, UInt64Type};
use event_store::RollupSize;

use super::person::PersonMark;
use crate::columns;
use crate::hidden::HiddenRows;
use crate::memory::MemoryPart;
use crate::rollup::period_start;
use crate::segment::{OpenSegment, SegmentFailure};

/// Columns that tell whether a row is the person's, and where it counts.
const TOLD_BY: [&str; 5] = [columns::EVENT, columns::PERSON, columns::TIME, columns::USER_ID, columns::ANONYMOUS_ID];

/// The rows of one person in one part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FoundRows {
    pub(crate) rows: HiddenRows,
    /// Events by hour and name.
    pub(crate) counts: BTreeMap<(i64, Arc<str>), u64>,
}

impl FoundRows {
    /// In a segment; reads the person column of the app's rows, and more only where it holds the key.
    pub(crate) fn in_segment(mark: &PersonMark, open: &OpenSegment) -> Result<Self, SegmentFailure> {
        let of_app: Vec<Range<usize>> = open.runs().select(&mark.app, i64::MIN, i64::MAX, None).map(|run| run.rows.clone()).collect();
        let mut places = Vec::new();
        let keys: HashSet<u64> = mark.ids().map(|(key, _)| key).collect();
        open.read_places_near_persons(&keys, &[columns::PERSON], &of_app, &mut |rows, batch| {
            let Some(persons) = batch.column_by_name(columns::PERSON) else { return };
            let persons = persons.as_primitive::<UInt64Type>();
            let with_key = (0..persons.len()).filter(|&row| persons.is_valid(row) && keys.contains(&persons.values()[row]));
            places.extend(with_key.map(|row| rows[row]..rows[row] + 1));
        })?;
        let with_key = HiddenRows::new(places);
        let mut found = Collector::new(mark);
        open.read_places(&TOLD_BY, with_key.ranges(), &mut |rows, batch| found.add(batch, |row| rows[row]))?;
        Ok(found.finish())
    }

    /// In memory.
    pub(crate) fn in_memory(mark: &PersonMark, part: &MemoryPart) -> Self {
        let mut found = Collector::new(mark);
        let keys: HashSet<u64> = mark.ids().map(|(key, _)| key).collect();
        for run in part.runs().select(&mark.app, i64::MIN, i64::MAX, None) {
            let Some(persons) = part.batch().column_by_name(columns::PERSON) else { continue };
            let persons = persons.as_primitive::<UInt64Type>();
            let with_key = run.rows.clone().filter(|&row| persons.is_valid(row) && keys.contains(&persons.values()[row]));
            for rows in HiddenRows::new(with_key.map(|row| row..row + 1).collect()).ranges() {
                found.add(&part.batch().slice(rows.start, rows.len()), |row| rows.start + row);
            }
        }
        found.finish()
    }
}

struct Collector<'m> {
    mark: &'m PersonMark,
    places: Vec<Range<usize>>,
    counts: BTreeMap<(i64, Arc<str>), u64>,
}

impl<'m> Collector<'m> {
    fn new(mark: &'m PersonMark) -> Self {
        Self { mark, places: Vec::new(), counts: BTreeMap::new() }
    }

    /// Takes those of the rows, which have keys of the person's, that are the person's.
    fn add(&mut self, batch: &RecordBatch, place: impl Fn(usize) -> usize) {
        let [Some(events), Some(_), Some(times), Some(users), Some(anonymous)] = TOLD_BY.map(|name| batch.column_by_name(name)) else {
            return;
        };
        let events = events.as_dictionary::<Int32Type>();
        let names = events.values().as_string::<i32>();
        let times = times.as_primitive::<TimestampMillisecondType>();
        let (users, anonymous) = (users.as_string::<i32>(), anonymous.as_string::<i32>());
        for row in 0..batch.num_rows() {
            let id = |ids: &arrow::array::StringArray| ids.is_valid(row).then(|| ids.value(row).to_owned());
            if !self.mark.is_of(id(users).as_deref(), id(anonymous).as_deref()) {
                continue;
            }
            self.places.push(place(row)..place(row) + 1);
            let hour = period_start(RollupSize::Hour, times.value(row));
            let name: Arc<str> = Arc::from(names.value(events.keys().value(row) as usize));
            *self.counts.entry((hour, name)).or_default() += 1;
        }
    }

    fn finish(self) -> FoundRows {
        FoundRows { rows: HiddenRows::new(self.places), counts: self.counts }
    }
}
