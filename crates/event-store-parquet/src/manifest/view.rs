//! The manifest as it was at one moment, read while later commits go on.

use std::sync::{Arc, Mutex, PoisonError};

use event::UniqueSketch;
use event_store::{RollupSize, StoreError};
use rusqlite::{Connection, OptionalExtension, params};

use super::rollups::{SketchReader, size_code};
use super::{Manifest, connect, sql_error};
use crate::rollup::{TOTAL, size_ms};

/// Connections that wait for the next reader; more are opened when needed and closed afterwards.
const MAX_IDLE: usize = 4;

/// Connections for views.
#[derive(Default)]
pub(super) struct Idle(Mutex<Vec<Connection>>);

impl Idle {
    fn take(&self) -> Option<Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }
}

/// What was committed when [`ManifestView::begin`] returned. It holds up no writer and no other reader.
pub(crate) struct ManifestView<'m> {
    idle: &'m Idle,
    /// Gone only in `drop`.
    connection: Option<Connection>,
}

/// One stored period: its start and its count.
pub(crate) struct PeriodCount {
    pub(crate) start_ms: i64,
    pub(crate) events: u64,
}

/// One event name over all time.
#[derive(Clone, Debug)]
pub(crate) struct EventTotals {
    pub(crate) event: Arc<str>,
    pub(crate) events: u64,
    pub(crate) first_hour_ms: i64,
    pub(crate) last_hour_ms: i64,
}

/// Which rollups of an app are read.
#[derive(Clone, Copy)]
pub(crate) struct RollupRange<'r> {
    pub(crate) app: &'r str,
    pub(crate) size: RollupSize,
    /// The start of a period is at or after this ...
    pub(crate) from_ms: i64,
    /// ... and before this.
    pub(crate) to_ms: i64,
}

impl Manifest {
    /// A connection for a view, which sees nothing yet. Opening one may take a while: do it before taking a lock.
    pub(crate) fn view(&self) -> Result<ManifestView<'_>, StoreError> {
        let connection = match self.idle.take() {
            Some(connection) => connection,
            None => {
                let connection = connect(&self.path)?;
                connection.pragma_update(None, "query_only", true).map_err(sql_error)?;
                connection
            }
        };
        Ok(ManifestView { idle: &self.idle, connection: Some(connection) })
    }
}

impl ManifestView<'_> {
    /// Fixes the moment. Takes no longer than one look-up.
    pub(crate) fn begin(&self) -> Result<(), StoreError> {
        let connection = self.connection()?;
        connection.execute_batch("BEGIN").map_err(sql_error)?;
        // A transaction begins to see when it first reads.
        connection.query_row("SELECT count(*) FROM meta", [], |_| Ok(())).map_err(sql_error)
    }

    fn connection(&self) -> Result<&Connection, StoreError> {
        self.connection.as_ref().ok_or_else(|| StoreError::Io("the view of the manifest is closed".to_owned()))
    }

    /// The event names that have a row of this size, ascending, [`TOTAL`] not among them: one look-up a name, whatever the number of rows.
    pub(crate) fn names(&self, app: &str, size: RollupSize, visit: &mut dyn FnMut(Arc<str>) -> bool) -> Result<(), StoreError> {
        let sql = "SELECT event FROM rollups INDEXED BY rollup_counts WHERE app = ?1 AND size = ?2 AND event > ?3 ORDER BY event LIMIT 1";
        let mut next = self.connection()?.prepare_cached(sql).map_err(sql_error)?;
        let mut last: Arc<str> = Arc::from(TOTAL);
        while let Some(name) =
            next.query_row(params![app, size_code(size), last], |row| row.get::<_, Arc<str>>(0)).optional().map_err(sql_error)?
        {
            last = name.clone();
            if !visit(name) {
                break;
            }
        }
        Ok(())
    }

    /// Counts of one name by start, from the index alone. Stops when `visit` returns false.
    pub(crate) fn counts(&self, range: RollupRange<'_>, event: &str, visit: &mut dyn FnMut(PeriodCount) -> bool) -> Result<(), StoreError> {
        let sql = "SELECT start_ms, events FROM rollups INDEXED BY rollup_counts
                   WHERE app = ?1 AND size = ?2 AND event = ?3 AND start_ms >= ?4 AND start_ms < ?5";
        let mut statement = self.connection()?.prepare_cached(sql).map_err(sql_error)?;
        let mut rows = statement.query(params![range.app, size_code(range.size), event, range.from_ms, range.to_ms]).map_err(sql_error)?;
        while let Some(row) = rows.next().map_err(sql_error)? {
            let (start_ms, events): (i64, i64) = (row.get(0).map_err(sql_error)?, row.get(1).map_err(sql_error)?);
            if !visit(PeriodCount { start_ms, events: events as u64 }) {
                break;
            }
        }
        Ok(())
    }

    /// As [`ManifestView::counts`], with the persons of each period.
    pub(crate) fn sketches(
        &self,
        range: RollupRange<'_>,
        event: &str,
        visit: &mut dyn FnMut(PeriodCount, &UniqueSketch) -> bool,
    ) -> Result<(), StoreError> {
        let mut reader = SketchReader::new();
        let sql = "SELECT start_ms, events, users FROM rollups INDEXED BY rollup_counts
                   WHERE app = ?1 AND size = ?2 AND event = ?3 AND start_ms >= ?4 AND start_ms < ?5";
        let mut statement = self.connection()?.prepare_cached(sql).map_err(sql_error)?;
        let mut rows = statement.query(params![range.app, size_code(range.size), event, range.from_ms, range.to_ms]).map_err(sql_error)?;
        while let Some(row) = rows.next().map_err(sql_error)? {
            let (start_ms, events): (i64, i64) = (row.get(0).map_err(sql_error)?, row.get(1).map_err(sql_error)?);
            let bytes = row.get_ref(2).map_err(sql_error)?.as_blob().map_err(|error| StoreError::Damaged(error.to_string()))?;
            let Some(users) = reader.read(bytes) else {
                return Err(StoreError::Damaged(format!("manifest: the rollup of {event:?} at {start_ms} holds no sketch")));
            };
            if !visit(PeriodCount { start_ms, events: events as u64 }, &users) {
                break;
            }
        }
        Ok(())
    }

    /// From when on the raw events of the app are complete, ms; `i64::MIN` where nothing was dropped.
    pub(crate) fn raw_floor(&self, app: &str) -> Result<i64, StoreError> {
        super::rollups::raw_floor(self.connection()?, app)
    }

    /// Every event name of the app with its total: counts from days, hours only in the first and last day of a name. Stops when
    /// `visit` returns false.
    pub(crate) fn event_totals(&self, app: &str, visit: &mut dyn FnMut(EventTotals) -> bool) -> Result<(), StoreError> {
        let mut names: Vec<Arc<str>> = Vec::new();
        self.names(app, RollupSize::Day, &mut |name| {
            names.push(name);
            true
        })?;
        for event in names {
            if !visit(self.totals_of(app, event)?) {
                break;
            }
        }
        Ok(())
    }

    fn totals_of(&self, app: &str, event: Arc<str>) -> Result<EventTotals, StoreError> {
        let connection = self.connection()?;
        let sql = "SELECT sum(events), min(start_ms), max(start_ms) FROM rollups INDEXED BY rollup_counts
                   WHERE app = ?1 AND size = ?2 AND event = ?3";
        let mut days = connection.prepare_cached(sql).map_err(sql_error)?;
        let day_code = size_code(RollupSize::Day);
        let (events, first_day, last_day): (i64, i64, i64) =
            days.query_row(params![app, day_code, event], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(sql_error)?;
        let edge = |order: &str, day_ms: i64| -> Result<i64, StoreError> {
            let sql = format!(
                "SELECT start_ms FROM rollups INDEXED BY rollup_counts
                 WHERE app = ?1 AND size = ?2 AND event = ?3 AND start_ms >= ?4 AND start_ms < ?5 ORDER BY start_ms {order} LIMIT 1"
            );
            let mut hour = connection.prepare_cached(&sql).map_err(sql_error)?;
            let values = params![app, size_code(RollupSize::Hour), event, day_ms, day_ms + size_ms(RollupSize::Day)];
            Ok(hour.query_row(values, |row| row.get(0)).optional().map_err(sql_error)?.unwrap_or(day_ms))
        };
        let (first_hour_ms, last_hour_ms) = (edge("ASC", first_day)?, edge("DESC", last_day)?);
        Ok(EventTotals { event, events: events as u64, first_hour_ms, last_hour_ms })
    }
}

impl Drop for ManifestView<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // A connection whose transaction cannot be ended is closed instead of kept.
        if connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok() {
            self.idle.give_back(connection);
        }
    }
}
