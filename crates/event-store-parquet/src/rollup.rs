//! Counting rows into hours and UTC days: per event name and for the whole app.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMillisecondType, UInt64Type};
use event::{PersonHash, UniqueSketch};
use event_store::RollupSize;
use hashbrown::HashMap;

use crate::columns;
use crate::memory::RunCutter;

/// Names that have a row of their own in one app and period; beyond, the shortest ones (then by bytes) stay and the rest
/// count in the total only. The choice depends on the set of names alone, so a recount in any order makes the same one.
pub const MAX_NAMES_PER_PERIOD: usize = 1_000;

/// The name under which the whole app is counted; no event has an empty name.
pub(crate) const TOTAL: &str = "";

/// Length of a period.
pub(crate) fn size_ms(size: RollupSize) -> i64 {
    match size {
        RollupSize::Hour => 3_600_000,
        RollupSize::Day => 86_400_000,
    }
}

/// First millisecond of the period of a time.
pub(crate) fn period_start(size: RollupSize, time_ms: i64) -> i64 {
    time_ms.div_euclid(size_ms(size)) * size_ms(size)
}

/// One period's count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RollupCell {
    pub(crate) events: u64,
    pub(crate) users: UniqueSketch,
}

impl RollupCell {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.events += other.events;
        self.users.merge(&other.users);
    }
}

/// The names of one app in one period, [`TOTAL`] among them.
pub(crate) type PeriodCells = BTreeMap<Arc<str>, RollupCell>;

/// The counts of one app: periods by size and start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AppRollups {
    pub(crate) hours: BTreeMap<i64, PeriodCells>,
    pub(crate) days: BTreeMap<i64, PeriodCells>,
}

impl AppRollups {
    pub(crate) fn of_size(&self, size: RollupSize) -> &BTreeMap<i64, PeriodCells> {
        match size {
            RollupSize::Hour => &self.hours,
            RollupSize::Day => &self.days,
        }
    }
}

/// What a set of rows adds to the rollups. Hours are counted per event name; [`RollupDelta::finish`] derives the rest from them.
#[derive(Default)]
pub(crate) struct RollupDelta {
    apps: BTreeMap<Arc<str>, BTreeMap<i64, PeriodCells>>,
}

impl RollupDelta {
    /// Adds sorted rows of any apps, with the columns app, event, person and time.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        for run in RunCutter::default().cut(batch) {
            self.add_run(&run.app, &run.first_event, &batch.slice(run.rows.start, run.rows.len()));
        }
    }

    /// Adds rows of one app, with the columns event, person and time.
    pub(crate) fn add_of_app(&mut self, app: &Arc<str>, batch: &RecordBatch) {
        let Some(events) = batch.column_by_name(columns::EVENT) else { return };
        let events = events.as_dictionary::<Int32Type>();
        let (keys, names) = (events.keys().values(), events.values().as_string::<i32>());
        let mut start = 0;
        while start < batch.num_rows() {
            let end = (start + 1..batch.num_rows()).find(|&i| keys[i] != keys[start]).unwrap_or(batch.num_rows());
            self.add_run(app, names.value(keys[start] as usize), &batch.slice(start, end - start));
            start = end;
        }
    }

    fn add_run(&mut self, app: &Arc<str>, event: &str, rows: &RecordBatch) {
        let (Some(persons), Some(times)) = (rows.column_by_name(columns::PERSON), rows.column_by_name(columns::TIME)) else { return };
        let (persons, times) = (persons.as_primitive::<UInt64Type>(), times.as_primitive::<TimestampMillisecondType>().values());
        let mut cells: HashMap<i64, (RollupCell, Option<u64>)> = HashMap::new();
        for (row, &time) in times.iter().enumerate() {
            let (cell, last) = cells.entry(period_start(RollupSize::Hour, time)).or_default();
            cell.events += 1;
            let person = persons.is_valid(row).then(|| persons.values()[row]);
            // Rows of a person are neighbours: most of a person's events in an hour are skipped here.
            if let Some(hash) = person.filter(|_| person != *last) {
                cell.users.insert(PersonHash(hash));
                *last = person;
            }
        }
        let name: Arc<str> = Arc::from(event);
        let hours = self.apps.entry(app.clone()).or_default();
        for (start, (cell, _)) in cells {
            merge_into(hours.entry(start).or_default(), &name, &cell);
        }
    }

    /// Hours and days, per name and in total, with the cap on names applied.
    pub(crate) fn finish(self) -> BTreeMap<Arc<str>, AppRollups> {
        self.apps.into_iter().map(|(app, hours)| (app, derive(hours))).collect()
    }
}

fn derive(mut hours: BTreeMap<i64, PeriodCells>) -> AppRollups {
    let total: Arc<str> = Arc::from(TOTAL);
    let mut days: BTreeMap<i64, PeriodCells> = BTreeMap::new();
    for (start, names) in &mut hours {
        let mut sum = RollupCell::default();
        names.values().for_each(|cell| sum.merge(cell));
        names.insert(total.clone(), sum);
        let day = days.entry(period_start(RollupSize::Day, *start)).or_default();
        for (name, cell) in names.iter() {
            merge_into(day, name, cell);
        }
    }
    hours.values_mut().chain(days.values_mut()).for_each(cap_names);
    AppRollups { hours, days }
}

pub(crate) fn merge_into(cells: &mut PeriodCells, name: &Arc<str>, cell: &RollupCell) {
    match cells.get_mut(name) {
        Some(known) => known.merge(cell),
        None => drop(cells.insert(name.clone(), cell.clone())),
    }
}

/// Drops the names beyond [`MAX_NAMES_PER_PERIOD`].
pub(crate) fn cap_names(cells: &mut PeriodCells) {
    if cells.len() <= MAX_NAMES_PER_PERIOD + usize::from(cells.contains_key(TOTAL)) {
        return;
    }
    let mut names: Vec<Arc<str>> = cells.keys().filter(|name| &***name != TOTAL).cloned().collect();
    names.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    for name in names.drain(MAX_NAMES_PER_PERIOD..) {
        cells.remove(&name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(names: impl Iterator<Item = usize>) -> PeriodCells {
        let mut cells: PeriodCells =
            names.map(|i| (Arc::from(format!("event {i}")), RollupCell { events: 1, users: UniqueSketch::default() })).collect();
        cells.insert(Arc::from(TOTAL), RollupCell::default());
        cells
    }

    #[test]
    fn the_names_that_stay_do_not_depend_on_the_order_of_arrival() {
        let mut at_once = cells(0..3_000);
        cap_names(&mut at_once);
        assert_eq!(at_once.len(), MAX_NAMES_PER_PERIOD + 1);
        let mut in_parts = PeriodCells::new();
        for part in [2_500..3_000, 0..700, 500..2_600] {
            cells(part).iter().for_each(|(name, cell)| merge_into(&mut in_parts, name, cell));
            cap_names(&mut in_parts);
        }
        assert!(at_once.keys().eq(in_parts.keys()));
    }

    #[test]
    fn days_hold_their_hours() {
        let day = 20_000 * size_ms(RollupSize::Day);
        let cell = |persons: std::ops::Range<u64>| {
            let mut cell = RollupCell { events: persons.end - persons.start, users: UniqueSketch::default() };
            persons.for_each(|p| cell.users.insert(PersonHash(p)));
            cell
        };
        let hours = BTreeMap::from([
            (day, PeriodCells::from([("a".into(), cell(0..5)), ("b".into(), cell(3..8))])),
            (day + 3_600_000, PeriodCells::from([("a".into(), cell(4..6))])),
            (day - 3_600_000, PeriodCells::from([("a".into(), cell(0..1))])),
        ]);
        let rollups = derive(hours);
        assert_eq!(rollups.hours[&day][TOTAL].events, 10);
        assert_eq!(rollups.hours[&day][TOTAL].users, cell(0..8).users);
        assert_eq!(rollups.days[&day]["a"].events, 7);
        assert_eq!(rollups.days[&day]["a"].users, cell(0..6).users);
        assert_eq!(rollups.days[&day][TOTAL].events, 12);
        assert_eq!(rollups.days.len(), 2);
    }
}
