//! Rollups and ledger as they are asked for, and rollups counted again from raw events.

use std::collections::BTreeMap;
use std::sync::Arc;

use event::AppId;
use event_store::{EventNameInfo, Ledger, LedgerRow, QueryContext, QueryError, RejectedPage, RollupRow, RollupSize, StoreError};

use crate::columns::{self, ColumnRequest};
use crate::ledger::Counts;
use crate::part::{Part, ScanRequest};
use crate::rollup::{AppRollups, PeriodCells, RollupCell, RollupDelta, TOTAL, cap_names, merge_into};
use crate::store::{ParquetStore, locked};

/// What a recount reads.
const COUNTED: [ColumnRequest; 3] =
    [ColumnRequest::Fixed(columns::EVENT), ColumnRequest::Fixed(columns::PERSON), ColumnRequest::Fixed(columns::TIME)];

const ALL_TIME: (i64, i64) = (i64::MIN, i64::MAX);

impl ParquetStore {
    /// Rollups of the periods that begin in `[from_ms, to_ms)`, unflushed rows included, by event then start.
    ///
    /// # Errors
    /// [`QueryError::Store`].
    pub fn rollup_rows(&self, app: &AppId, size: RollupSize, from_ms: i64, to_ms: i64) -> Result<Vec<RollupRow>, QueryError> {
        let (stored, unflushed) = {
            let _consistent = self.consistent();
            (self.manifest.rollups(app.as_str(), size, from_ms, to_ms), self.unflushed_parts())
        };
        let mut periods: BTreeMap<i64, PeriodCells> = BTreeMap::new();
        for rollup in stored.map_err(|error| QueryError::Store(error.to_string()))? {
            periods.entry(rollup.start_ms).or_default().insert(rollup.event, rollup.cell);
        }
        let counted = count(app, &unflushed).map_err(QueryError::Store)?;
        for (&start, cells) in counted.of_size(size).range(from_ms..to_ms.max(from_ms)) {
            let period = periods.entry(start).or_default();
            cells.iter().for_each(|(name, cell)| merge_into(period, name, cell));
            cap_names(period);
        }
        let mut rows: Vec<RollupRow> =
            periods.into_iter().flat_map(|(start, cells)| cells.into_iter().map(move |cell| row(start, cell))).collect();
        rows.sort_by(|a, b| (&a.event, a.start_ms).cmp(&(&b.event, b.start_ms)));
        Ok(rows)
    }

    /// Every event name of the app with its count, unflushed rows included, most frequent first.
    ///
    /// # Errors
    /// As for [`event_store::EventSource::aggregate`].
    pub(crate) fn named_events(&self, app: &AppId, context: &QueryContext) -> Result<Vec<EventNameInfo>, QueryError> {
        let moment = self.moment().map_err(|error| QueryError::Store(error.to_string()))?;
        let mut names: BTreeMap<Arc<str>, EventNameInfo> = BTreeMap::new();
        let mut stopped = Ok(());
        let read = moment.view.event_totals(app.as_str(), &mut |total| {
            let name = total.event.to_string();
            let info = EventNameInfo { name, events: total.events, first_hour_ms: total.first_hour_ms, last_hour_ms: total.last_hour_ms };
            names.insert(total.event, info);
            stopped = context.check();
            stopped.is_ok()
        });
        stopped?;
        read.map_err(|error| QueryError::Store(error.to_string()))?;
        let unflushed: Vec<Arc<Part>> = moment.snapshot.parts.iter().filter(|part| matches!(&***part, Part::Memory(_))).cloned().collect();
        for (start, cells) in count(app, &unflushed).map_err(QueryError::Store)?.hours {
            context.check()?;
            for (event, cell) in cells.into_iter().filter(|(event, _)| &**event != TOTAL) {
                let new = EventNameInfo { name: event.to_string(), events: 0, first_hour_ms: start, last_hour_ms: start };
                let info = names.entry(event).or_insert(new);
                info.events += cell.events;
                info.first_hour_ms = info.first_hour_ms.min(start);
                info.last_hour_ms = info.last_hour_ms.max(start);
            }
        }
        let mut names: Vec<EventNameInfo> = names.into_values().collect();
        names.sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.name.cmp(&b.name)));
        Ok(names)
    }

    fn unflushed_parts(&self) -> Vec<Arc<Part>> {
        self.state().unflushed().flat_map(|pending| &pending.parts).cloned().collect()
    }

    fn segments(&self) -> Vec<Arc<Part>> {
        self.state().segments.clone()
    }

    /// Counts all rollups of an app again.
    pub(crate) fn recount_rollups(&self, app: &AppId) -> Result<(), StoreError> {
        let _upkeep = locked(&self.upkeep);
        self.count_while_flushing(app, (i64::MIN, i64::MAX), |counted| {
            let floor_ms = self.manifest.raw_floor(app.as_str())?;
            self.commit(|| self.manifest.replace_rollups(app.as_str(), floor_ms, counted), |_| {})
        })
    }

    /// Counts the segments' rows in a range without stopping flushes, then stops them for as long as it takes to count what they added and to
    /// `commit`. The lock of upkeep is held.
    pub(crate) fn count_while_flushing(
        &self,
        app: &AppId,
        range: (i64, i64),
        commit: impl FnOnce(&AppRollups) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let before = self.segments();
        let mut delta = RollupDelta::default();
        count_into(&mut delta, app, &before, range).map_err(StoreError::Damaged)?;
        let _flushing = locked(&self.flushing);
        let now = self.segments();
        let is_in = |part: &Arc<Part>, parts: &[Arc<Part>]| parts.iter().any(|known| Arc::ptr_eq(known, part));
        let added: Vec<Arc<Part>> = if before.iter().all(|part| is_in(part, &now)) {
            now.into_iter().filter(|part| !is_in(part, &before)).collect()
        } else {
            // A deletion hid rows that are counted already.
            delta = RollupDelta::default();
            now
        };
        count_into(&mut delta, app, &added, range).map_err(StoreError::Damaged)?;
        commit(&delta.finish().remove(app.as_str()).unwrap_or_default())
    }
}

/// The rollups of these parts alone, or why one cannot be read.
pub(crate) fn count(app: &AppId, parts: &[Arc<Part>]) -> Result<AppRollups, String> {
    count_in(app, parts, ALL_TIME)
}

/// The rollups of the events of these parts in `[time.0, time.1)`, or why one cannot be read.
pub(crate) fn count_in(app: &AppId, parts: &[Arc<Part>], time: (i64, i64)) -> Result<AppRollups, String> {
    let mut delta = RollupDelta::default();
    count_into(&mut delta, app, parts, time)?;
    Ok(delta.finish().remove(app.as_str()).unwrap_or_default())
}

fn count_into(delta: &mut RollupDelta, app: &AppId, parts: &[Arc<Part>], (from_ms, to_ms): (i64, i64)) -> Result<(), String> {
    let name: Arc<str> = Arc::from(app.as_str());
    let request = ScanRequest { app, from_ms, to_ms, events: None, columns: &COUNTED };
    for part in parts.iter().filter(|part| part.may_hold(app, from_ms, to_ms)) {
        let mut scan = part.scan(&request);
        for batch in scan.by_ref() {
            delta.add_of_app(&name, &batch.map_err(|error| error.to_string())?);
        }
        if let Some(missing) = scan.missing() {
            return Err(missing.to_string());
        }
    }
    Ok(())
}

fn row(start_ms: i64, (event, cell): (Arc<str>, RollupCell)) -> RollupRow {
    let RollupCell { events, users } = cell;
    RollupRow { event: (&*event != TOTAL).then(|| event.to_string()), start_ms, events, users }
}

impl Ledger for ParquetStore {
    fn ledger(&self, app: &AppId, from_ms: i64, to_ms: i64) -> Result<Vec<LedgerRow>, QueryError> {
        let key = |minute_ms: i64| (Arc::<str>::from(app.as_str()), minute_ms);
        let _consistent = self.consistent();
        let mut minutes = self.manifest.ledger(app.as_str(), from_ms, to_ms).map_err(|error| QueryError::Store(error.to_string()))?;
        let state = self.state();
        for pending in state.unflushed() {
            for ((_, minute), counts) in pending.ledger.minutes.range(key(from_ms)..key(to_ms.max(from_ms))) {
                minutes.entry(*minute).or_insert_with(Counts::default).merge(counts);
            }
        }
        Ok(minutes.into_iter().map(|(minute_ms, counts)| counts.into_row(minute_ms)).collect())
    }

    fn rejected(&self, app: &AppId, limit: usize) -> Result<RejectedPage, QueryError> {
        let limit = limit.min(crate::ledger::MAX_REJECTED_PER_APP);
        let _consistent = self.consistent();
        let mut rows = Vec::new();
        {
            let state = self.state();
            let unflushed = state.unflushed().rev().flat_map(|pending| pending.ledger.rejected.iter().rev());
            rows.extend(unflushed.filter(|entry| *entry.app == *app.as_str()).take(limit).map(|entry| entry.row.clone()));
        }
        let stored = self.manifest.rejected(app.as_str(), limit - rows.len()).map_err(|error| QueryError::Store(error.to_string()))?;
        rows.extend(stored);
        Ok(RejectedPage { rows })
    }
}
