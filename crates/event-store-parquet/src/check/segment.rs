//! One segment against what the manifest and its own footer say of it.

use std::path::{Component, Path};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{TimestampMillisecondType, UInt64Type};

use super::ReceivedRows;
use crate::columns;
use crate::deletion::Tombstones;
use crate::hidden::HiddenRows;
use crate::memory::RunCutter;
use crate::runs::Run;
use crate::segment::{AppRows, Segment, SegmentFailure, SegmentInfo, WholeScan};

/// Rows decoded at once.
const BATCH_ROWS: usize = 8_192;

/// A row's place in the order within its app and event: person, then time.
type Place = (Option<u64>, i64);

/// Walks the rows of one segment.
pub(super) struct SegmentCheck<'s> {
    index: &'s [Run],
    /// The index entry that the next row belongs to, and what its rows were so far.
    entry: usize,
    seen: Option<SeenEntry>,
    last: Option<(Arc<str>, Arc<str>, Place)>,
    rows: usize,
    apps: Vec<AppRows>,
    counted_from_ms: i64,
    received: ReceivedRows,
}

/// What the rows of one index entry were.
struct SeenEntry {
    first_event: Arc<str>,
    last_event: Arc<str>,
    min_ms: i64,
    max_ms: i64,
}

impl<'s> SegmentCheck<'s> {
    /// Reads the whole segment. Returns by app the rows received at or after `counted_from_ms`, or what is wrong.
    pub(super) fn run(
        segment: &Segment,
        listed: &[AppRows],
        counted_from_ms: i64,
        tombstones: &Tombstones,
    ) -> Result<ReceivedRows, SegmentFailure> {
        let named = |failure: SegmentFailure| segment.failed(failure);
        check_entry(segment.info(), listed)?;
        let open = segment.open()?;
        open.verify_all().map_err(named)?;
        if open.persons().map_err(named)?.is_some_and(|persons| !persons.ascends()) {
            return Err(named("its persons are not in the order of their keys".into()));
        }
        let mut scan = WholeScan::new(open.clone(), HiddenRows::default(), BATCH_ROWS);
        let mut rows_of_deleted = 0;
        let index = open.runs().runs();
        let (last, received) = (None, ReceivedRows::new());
        let mut check = SegmentCheck { index, entry: 0, seen: None, last, rows: 0, apps: Vec::new(), counted_from_ms, received };
        while let Some(batch) = scan.next_batch().map_err(named)? {
            rows_of_deleted += tombstones.left_in(&batch, check.rows, segment.hidden());
            check.add(&batch)?;
        }
        if rows_of_deleted > 0 {
            return Err(format!("holds {rows_of_deleted} rows of deleted persons that are not hidden").into());
        }
        Ok(check.end(segment.info(), listed)?)
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| format!("lacks the column {name}"));
        let persons = column(columns::PERSON)?.as_primitive::<UInt64Type>();
        let times = column(columns::TIME)?.as_primitive::<TimestampMillisecondType>().values();
        let received = column(columns::RECEIVED_AT)?.as_primitive::<TimestampMillisecondType>().values();
        for run in RunCutter::default().cut(batch) {
            for row in run.rows.clone() {
                let place = (persons.is_valid(row).then(|| persons.values()[row]), times[row]);
                self.check_order(&run, place)?;
                self.check_index(&run, times[row])?;
                self.rows += 1;
            }
            let since = received[run.rows.clone()].iter().filter(|&&at| at >= self.counted_from_ms).count() as u64;
            *self.received.entry(run.app.clone()).or_default() += since;
            self.count(&run);
        }
        Ok(())
    }

    fn check_order(&mut self, run: &Run, place: Place) -> Result<(), String> {
        match &mut self.last {
            Some((app, event, last)) if *app == run.app && *event == run.first_event => {
                if *last > place {
                    return Err(format!("row {} is out of order", self.rows));
                }
                *last = place;
            }
            last => {
                if last.as_ref().is_some_and(|(app, event, _)| (app, event) > (&run.app, &run.first_event)) {
                    return Err(format!("row {} is out of order", self.rows));
                }
                *last = Some((run.app.clone(), run.first_event.clone(), place));
            }
        }
        Ok(())
    }

    /// The row is where the footer's index says that rows of its app and event are.
    fn check_index(&mut self, run: &Run, time_ms: i64) -> Result<(), String> {
        if self.index.get(self.entry).is_some_and(|entry| entry.rows.end == self.rows) {
            self.end_entry()?;
        }
        let entry = self.index.get(self.entry).filter(|entry| entry.rows.contains(&self.rows) && entry.app == run.app);
        if entry.is_none() {
            return Err(format!("its run index has row {} elsewhere", self.rows));
        }
        let event = &run.first_event;
        match &mut self.seen {
            Some(seen) => {
                if seen.last_event != *event {
                    seen.last_event = event.clone();
                }
                (seen.min_ms, seen.max_ms) = (seen.min_ms.min(time_ms), seen.max_ms.max(time_ms));
            }
            none => *none = Some(SeenEntry { first_event: event.clone(), last_event: event.clone(), min_ms: time_ms, max_ms: time_ms }),
        }
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), String> {
        let (Some(entry), Some(seen)) = (self.index.get(self.entry), self.seen.take()) else { return Ok(()) };
        let same_events = entry.first_event == seen.first_event && entry.last_event == seen.last_event;
        if !same_events || (entry.min_ms, entry.max_ms) != (seen.min_ms, seen.max_ms) {
            return Err(format!("entry {} of its run index has other events or times than its rows", self.entry));
        }
        self.entry += 1;
        Ok(())
    }

    fn count(&mut self, run: &Run) {
        let rows = run.rows.len() as u64;
        match self.apps.last_mut() {
            Some(last) if last.app == run.app => {
                last.rows += rows;
                last.min_ms = last.min_ms.min(run.min_ms);
                last.max_ms = last.max_ms.max(run.max_ms);
            }
            _ => self.apps.push(AppRows { app: run.app.clone(), rows, min_ms: run.min_ms, max_ms: run.max_ms }),
        }
    }

    fn end(mut self, info: &SegmentInfo, listed: &[AppRows]) -> Result<ReceivedRows, String> {
        self.end_entry()?;
        if self.rows as u64 != info.rows || self.entry != self.index.len() {
            return Err(format!("has {} rows, not the {} that the manifest says", self.rows, info.rows));
        }
        if self.apps != listed {
            return Err("has not the apps, rows and times that the manifest says".to_owned());
        }
        Ok(self.received)
    }
}

/// The manifest's entry in itself.
fn check_entry(info: &SegmentInfo, listed: &[AppRows]) -> Result<(), String> {
    let mut parts = Path::new(&info.path).components();
    let folder = matches!(parts.next(), Some(Component::Normal(name)) if name.to_string_lossy().starts_with("date="));
    let file = matches!(parts.next(), Some(Component::Normal(name)) if name.to_string_lossy() == format!("{:012}.parquet", info.id));
    if !folder || !file || parts.next().is_some() {
        return Err("the manifest names it under a path that no segment has".to_owned());
    }
    let edges = listed.iter().map(|rows| rows.min_ms).min().zip(listed.iter().map(|rows| rows.max_ms).max());
    let rows: u64 = listed.iter().map(|rows| rows.rows).sum();
    if rows != info.rows || edges != Some((info.min_ms, info.max_ms)) {
        return Err("the manifest's rows and times of it are not those of its apps together".to_owned());
    }
    Ok(())
}
