//! Counting raw events the way rollups count them: per event name and bucket, with persons where they are asked for.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMillisecondType, UInt64Type};
use event::PersonHash;
use event_store::{AggregatePlan, QueryContext, QueryError, ScanStats};
use hashbrown::HashMap;

use crate::columns::{self, ColumnRequest};
use crate::exec::{Query, Reserved};
use crate::part::ScanRequest;
use crate::rolled::BucketStarts;
use crate::rollup::RollupCell;

const COUNTS: [ColumnRequest; 2] = [ColumnRequest::Fixed(columns::EVENT), ColumnRequest::Fixed(columns::TIME)];
const USERS: [ColumnRequest; 3] =
    [ColumnRequest::Fixed(columns::EVENT), ColumnRequest::Fixed(columns::TIME), ColumnRequest::Fixed(columns::PERSON)];

/// Memory of one cell without its sketch.
const CELL_BYTES: usize = 96;

/// Events of the plan's names in `[from_ms, to_ms)`: name, bucket, count and persons.
pub(crate) fn count_raw(
    query: &Query<'_>,
    plan: &AggregatePlan,
    (from_ms, to_ms): (i64, i64),
    needs_users: bool,
    stats: &mut ScanStats,
) -> Result<Vec<(Arc<str>, u32, RollupCell)>, QueryError> {
    let requested: &[ColumnRequest] = if needs_users { &USERS } else { &COUNTS };
    let request = ScanRequest { app: &plan.scan.app, from_ms, to_ms, events: plan.scan.events.as_deref(), columns: requested };
    let buckets = BucketStarts::of(plan);
    let make = || Worker { cells: HashMap::new(), memory: Reserved::new(query.context) };
    let (workers, pass) = query.scan(&request, &make, &|worker, batch| worker.add(batch, &buckets, query.context))?;
    stats.scanned_events += pass.scanned_events;
    stats.work.add(&pass.work);
    for missing in pass.missing {
        if !stats.missing.contains(&missing) {
            stats.missing.push(missing);
        }
    }
    let counted = workers
        .into_iter()
        .flat_map(|worker| worker.cells)
        .flat_map(|(name, cells)| cells.into_iter().map(move |(bucket, cell)| (name.clone(), bucket, cell)));
    Ok(counted.collect())
}

/// What one thread has counted.
struct Worker {
    cells: HashMap<Arc<str>, HashMap<u32, RollupCell>>,
    memory: Reserved,
}

impl Worker {
    fn add(&mut self, batch: &RecordBatch, buckets: &BucketStarts<'_>, context: &QueryContext) -> Result<(), QueryError> {
        context.check()?;
        let (Some(events), Some(times)) = (batch.column_by_name(columns::EVENT), batch.column_by_name(columns::TIME)) else {
            return Ok(());
        };
        let events = events.as_dictionary::<Int32Type>();
        let (keys, names) = (events.keys().values(), events.values().as_string::<i32>());
        let times = times.as_primitive::<TimestampMillisecondType>().values();
        let persons = batch.column_by_name(columns::PERSON).map(|column| column.as_primitive::<UInt64Type>());
        let mut start = 0;
        while start < keys.len() {
            let end = (start + 1..keys.len()).find(|&row| keys[row] != keys[start]).unwrap_or(keys.len());
            let name = names.value(keys[start] as usize);
            if !self.cells.contains_key(name) {
                self.memory.grow(CELL_BYTES + name.len())?;
                self.cells.insert(Arc::from(name), HashMap::new());
            }
            if let Some(cells) = self.cells.get_mut(name) {
                let mut run = Run { cells, memory: &mut self.memory, buckets };
                run.add(start, &times[start..end], persons)?;
            }
            start = end;
        }
        Ok(())
    }
}

/// Neighbouring rows of one event name.
struct Run<'r> {
    cells: &'r mut HashMap<u32, RollupCell>,
    memory: &'r mut Reserved,
    buckets: &'r BucketStarts<'r>,
}

impl Run<'_> {
    fn add(&mut self, first_row: usize, times: &[i64], persons: Option<&arrow::array::UInt64Array>) -> Result<(), QueryError> {
        let mut at = 0;
        while at < times.len() {
            // Rows are sorted by person and most questions have few buckets: neighbours are mostly in one.
            let bucket = self.buckets.find(times[at]);
            let end_ms = self.buckets.end(bucket);
            let start_ms = self.buckets.start(bucket);
            let length = times[at..].iter().take_while(|&&time| time >= start_ms && time < end_ms).count().max(1);
            self.add_stretch(bucket, first_row + at, length, persons)?;
            at += length;
        }
        Ok(())
    }

    fn add_stretch(
        &mut self,
        bucket: u32,
        first_row: usize,
        rows: usize,
        persons: Option<&arrow::array::UInt64Array>,
    ) -> Result<(), QueryError> {
        let mut grown = 0;
        let cell = self.cells.entry(bucket).or_insert_with(|| {
            grown += CELL_BYTES;
            RollupCell::default()
        });
        cell.events += rows as u64;
        if let Some(persons) = persons {
            let before = cell.users.memory_bytes();
            let mut last = None;
            for row in (first_row..first_row + rows).filter(|&row| persons.is_valid(row)) {
                // Rows of a person are neighbours.
                let person = persons.value(row);
                if last != Some(person) {
                    last = Some(person);
                    cell.users.insert(PersonHash(person));
                }
            }
            grown += cell.users.memory_bytes().saturating_sub(before);
        }
        if grown > 0 { self.memory.grow(grown) } else { Ok(()) }
    }
}
