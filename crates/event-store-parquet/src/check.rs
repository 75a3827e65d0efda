//! `throng check`: is everything that the manifest names there, whole, in order, and counted right?

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{TimestampMillisecondType, UInt64Type};
use event::AppId;
use event_store::{RollupSize, StoreError};

use crate::columns;
use crate::deletion::Tombstones;
use crate::hidden::HiddenRows;
use crate::manifest::first_whole_period;
use crate::part::Part;
use crate::recount::count;
use crate::rollup::period_start;
use crate::segment::{AppRows, Segment, SegmentFailure, WholeScan};
use crate::store::{ParquetStore, locked};

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckSummary {
    /// Segments read from first to last byte.
    pub segments: usize,
    /// Rows in them.
    pub rows: u64,
    /// Apps whose rollups were counted again.
    pub apps: usize,
    /// What is wrong; each was reported in words.
    pub problems: usize,
}

impl ParquetStore {
    /// Verifies length, hashes, order and accounts of every segment, the manifest, and the rollups against a recount.
    /// `report` gets a line per segment and per problem. Flushes and upkeep wait meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] when the manifest itself cannot be read; damage to segments is a problem in the summary.
    pub fn check(&self, report: &mut dyn FnMut(&str)) -> Result<CheckSummary, StoreError> {
        let _upkeep = locked(&self.upkeep);
        let _flushing = locked(&self.flushing);
        let mut summary = CheckSummary::default();
        let mut problem = |summary: &mut CheckSummary, text: &str| {
            summary.problems += 1;
            report(&format!("PROBLEM {text}"));
        };
        let integrity = self.manifest.integrity()?;
        if integrity != "ok" {
            problem(&mut summary, &format!("manifest: {integrity}"));
        }
        let segments = self.segments_to_maintain();
        let mut apps: BTreeSet<Arc<str>> = BTreeSet::new();
        for part in &segments {
            let Part::Segment(segment) = &**part else { continue };
            let listed = self.manifest.apps_of(segment.info().id)?;
            if let Err(reason) = check_segment(segment, &listed, &self.tombstones()) {
                problem(&mut summary, &format!("segment {}: {reason}", segment.info().path));
            }
            apps.extend(listed.into_iter().map(|rows| rows.app));
            summary.segments += 1;
            summary.rows += segment.info().rows;
        }
        for name in &apps {
            let Some(app) = AppId::new(name) else { continue };
            if let Err(reason) = self.check_rollups(&app, &segments)? {
                problem(&mut summary, &format!("rollups of {name}: {reason}"));
            }
            summary.apps += 1;
        }
        report(&format!(
            "{} segments with {} rows of {} apps, {} problems",
            summary.segments, summary.rows, summary.apps, summary.problems
        ));
        Ok(summary)
    }

    fn check_rollups(&self, app: &AppId, segments: &[Arc<Part>]) -> Result<Result<(), String>, StoreError> {
        let counted = match count(app, segments) {
            Ok(counted) => counted,
            Err(reason) => return Ok(Err(reason)),
        };
        let floor_ms = self.manifest.raw_floor(app.as_str())?;
        // Days whose sketches a deletion has still to count again.
        let unfinished = self.manifest.all_deletions(true)?;
        let stale: BTreeSet<i64> = unfinished.into_iter().filter(|d| *d.mark.app == *app.as_str()).flat_map(|d| d.days).collect();
        let is_settled = |start_ms: &i64| !stale.contains(&period_start(RollupSize::Day, *start_ms));
        for size in [RollupSize::Hour, RollupSize::Day] {
            let first = first_whole_period(size, floor_ms);
            let mut stored = self.manifest.rollups(app.as_str(), size, first, i64::MAX)?;
            stored.retain(|row| is_settled(&row.start_ms));
            let counted_periods = counted.of_size(size).range(first..).filter(|(start_ms, _)| is_settled(start_ms));
            let expected: usize = counted_periods.map(|(_, cells)| cells.len()).sum();
            let same = stored
                .iter()
                .filter(|row| counted.of_size(size).get(&row.start_ms).and_then(|cells| cells.get(&row.event)) == Some(&row.cell));
            let same = same.count();
            if same != expected || same != stored.len() {
                return Ok(Err(format!(
                    "of {} stored {size:?} rows {same} equal one of the {expected} counted from raw events",
                    stored.len()
                )));
            }
        }
        Ok(Ok(()))
    }
}

fn check_segment(segment: &Segment, listed: &[AppRows], tombstones: &Tombstones) -> Result<(), String> {
    let text = |failure: SegmentFailure| failure.to_string();
    let open = segment.open().map_err(text)?;
    let mut rows_of_deleted = 0;
    open.verify_all().map_err(|failure| text(segment.failed(failure)))?;
    let mut scan = WholeScan::new(open, HiddenRows::default(), 8_192);
    let mut checker = OrderCheck::default();
    while let Some(batch) = scan.next_batch().map_err(|failure| text(segment.failed(failure)))? {
        rows_of_deleted += tombstones.left_in(&batch, checker.rows as usize, segment.hidden());
        checker.add(&batch)?;
    }
    if rows_of_deleted > 0 {
        return Err(format!("holds {rows_of_deleted} rows of deleted persons that are not hidden"));
    }
    let info = segment.info();
    if checker.rows != info.rows || checker.apps != listed {
        return Err(format!("has {} rows, and not of the apps and times that the manifest says", checker.rows));
    }
    Ok(())
}

/// A row's sort key.
type Key = (Arc<str>, Arc<str>, Option<u64>, i64);

#[derive(Default)]
struct OrderCheck {
    last: Option<Key>,
    rows: u64,
    apps: Vec<AppRows>,
}

impl OrderCheck {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| format!("lacks the column {name}"));
        let persons = column(columns::PERSON)?.as_primitive::<UInt64Type>();
        let times = column(columns::TIME)?.as_primitive::<TimestampMillisecondType>().values();
        for run in crate::memory::RunCutter::default().cut(batch) {
            for row in run.rows.clone() {
                let key = (run.app.clone(), run.first_event.clone(), persons.is_valid(row).then(|| persons.values()[row]), times[row]);
                if self.last.as_ref().is_some_and(|last| *last > key) {
                    return Err(format!("row {} is out of order", self.rows));
                }
                self.last = Some(key);
                self.rows += 1;
            }
            self.count(&run);
        }
        Ok(())
    }

    fn count(&mut self, run: &crate::runs::Run) {
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
}
