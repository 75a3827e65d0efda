//! What checks and backups ask of a manifest that another process may be writing.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use event_store::{RollupSize, StoreError};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::deletions::{SegmentCover, StoredDeletion};
use super::view::Idle;
use super::{FILE, Manifest, VERSION, sql_error};

/// How long a read waits for another process that recovers or checkpoints the database.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// One minute of an app's accounts that does not add up.
pub(crate) struct UnbalancedMinute {
    pub(crate) app: String,
    pub(crate) minute_ms: i64,
    pub(crate) received: i64,
    pub(crate) stored: i64,
    pub(crate) duplicate: i64,
    pub(crate) rejected: i64,
}

impl Manifest {
    /// Opens the manifest in `dir` for reading only; the process that writes it goes on undisturbed.
    pub(crate) fn open_to_read(dir: &Path) -> Result<Self, StoreError> {
        Self::open_file_to_read(&dir.join(FILE))
    }

    /// As [`Manifest::open_to_read`], for a copy under any name.
    pub(crate) fn open_file_to_read(path: &Path) -> Result<Self, StoreError> {
        if !std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0) {
            return Err(StoreError::Damaged(format!("{} is missing or empty", path.display())));
        }
        let open = || {
            let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX);
            let connection = connection.map_err(sql_error)?;
            connection.busy_timeout(BUSY_TIMEOUT).map_err(sql_error)?;
            Ok::<_, StoreError>(connection)
        };
        let reader = open()?;
        let version: i64 = reader.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql_error)?;
        if !(1..=VERSION).contains(&version) {
            let text = format!("{} has format {version}; this version of throng reads formats 1 to {VERSION}", path.display());
            return Err(StoreError::Damaged(text));
        }
        Ok(Self {
            path: path.to_owned(),
            idle: Idle::default(),
            writer: Mutex::new(open()?),
            reader: Mutex::new(reader),
            in_doubt: AtomicBool::new(false),
        })
    }

    /// Lets everything that `work` reads be of one moment. For one thread.
    pub(crate) fn at_one_moment<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.reader().execute_batch("BEGIN").map_err(sql_error)?;
        let result = work();
        self.reader().execute_batch("COMMIT").map_err(sql_error)?;
        result
    }

    /// Differs from the value before when another process has committed meanwhile.
    pub(crate) fn data_version(&self) -> Result<i64, StoreError> {
        self.reader().query_row("PRAGMA data_version", [], |row| row.get(0)).map_err(sql_error)
    }

    /// All deletions of persons, those that are not finished alone if wanted; none in a manifest from before there were any.
    pub(crate) fn deletions_if_any(&self, unfinished_only: bool) -> Result<Vec<StoredDeletion>, StoreError> {
        if self.has_deletions()? { self.all_deletions(unfinished_only) } else { Ok(Vec::new()) }
    }

    /// What is hidden in live segments, by segment; nothing in a manifest from before there were deletions.
    pub(crate) fn covers_if_any(&self) -> Result<HashMap<u64, SegmentCover>, StoreError> {
        if self.has_deletions()? { self.segment_covers() } else { Ok(HashMap::new()) }
    }

    fn has_deletions(&self) -> Result<bool, StoreError> {
        Ok(self.version()? >= 2)
    }

    pub(super) fn version(&self) -> Result<i64, StoreError> {
        self.reader().query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql_error)
    }

    /// What SQLite itself finds wrong, a line each; nothing when the database is sound.
    pub(crate) fn integrity_findings(&self) -> Result<Vec<String>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare("PRAGMA integrity_check(20)").map_err(sql_error)?;
        let lines: Vec<String> = statement.query_map([], |row| row.get(0)).and_then(Iterator::collect).map_err(sql_error)?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    /// Apps with rollups, ascending, at most `limit`; rollups are never dropped, so that is every app that has ever stored an event.
    pub(crate) fn apps(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        let reader = self.reader();
        let mut next = reader.prepare("SELECT app FROM rollups WHERE app > ?1 ORDER BY app LIMIT 1").map_err(sql_error)?;
        let mut apps: Vec<String> = Vec::new();
        while apps.len() < limit {
            let after = apps.last().map_or("", String::as_str);
            match next.query_row(params![after], |row| row.get(0)).optional().map_err(sql_error)? {
                Some(app) => apps.push(app),
                None => break,
            }
        }
        Ok(apps)
    }

    /// Starts of the periods of this size that the app has rollups of, from `from_ms` on, ascending.
    pub(crate) fn rollup_starts(&self, app: &str, size: RollupSize, from_ms: i64) -> Result<Vec<i64>, StoreError> {
        let reader = self.reader();
        let sql = "SELECT DISTINCT start_ms FROM rollups WHERE app = ?1 AND size = ?2 AND start_ms >= ?3 ORDER BY start_ms";
        let mut statement = reader.prepare_cached(sql).map_err(sql_error)?;
        let starts = statement.query_map(params![app, super::rollups::size_code(size), from_ms], |row| row.get(0));
        starts.and_then(Iterator::collect).map_err(sql_error)
    }

    /// Minutes whose accounts do not add up, at most `limit`.
    pub(crate) fn unbalanced_minutes(&self, limit: usize) -> Result<Vec<UnbalancedMinute>, StoreError> {
        let reader = self.reader();
        let sql = "SELECT * FROM (SELECT app, minute_ms, received, stored, duplicate,
                       (SELECT coalesce(sum(value), 0) FROM json_each(ledger.rejected)) AS refused FROM ledger)
                   WHERE received <> stored + duplicate + refused LIMIT ?1";
        let mut statement = reader.prepare(sql).map_err(sql_error)?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(UnbalancedMinute {
                app: row.get(0)?,
                minute_ms: row.get(1)?,
                received: row.get(2)?,
                stored: row.get(3)?,
                duplicate: row.get(4)?,
                rejected: row.get(5)?,
            })
        };
        statement.query_map([limit as i64], read).and_then(Iterator::collect).map_err(sql_error)
    }

    /// Events that the accounts call stored in the minutes from `from_ms` on, by app.
    pub(crate) fn stored_since(&self, from_ms: i64) -> Result<Vec<(Arc<str>, u64)>, StoreError> {
        let reader = self.reader();
        let sql = "SELECT app, sum(stored) FROM ledger WHERE minute_ms >= ?1 GROUP BY app";
        let mut statement = reader.prepare(sql).map_err(sql_error)?;
        let rows = statement.query_map([from_ms], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)));
        rows.and_then(Iterator::collect).map_err(sql_error)
    }
}
