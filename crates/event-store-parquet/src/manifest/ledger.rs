use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use event_store::{RejectedRow, StoreError};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Manifest, sql_error};
use crate::ledger::{Counts, LEDGER_KEPT_MS, LedgerDelta, MAX_REJECTED_PER_APP, REJECTED_KEPT_MS};

/// Rows that one piece of upkeep deletes at most.
const PURGE_ROWS: i64 = 10_000;

impl Manifest {
    /// Minutes of one app in `[from_ms, to_ms)`, ascending.
    pub(crate) fn ledger(&self, app: &str, from_ms: i64, to_ms: i64) -> Result<BTreeMap<i64, Counts>, StoreError> {
        let reader = self.reader();
        let sql =
            "SELECT minute_ms, received, stored, duplicate, rejected FROM ledger WHERE app = ?1 AND minute_ms >= ?2 AND minute_ms < ?3";
        let mut statement = reader.prepare_cached(sql).map_err(sql_error)?;
        let rows = statement.query_map(params![app, from_ms, to_ms], |row| Ok((row.get(0)?, read_counts(row, 1)?))).map_err(sql_error)?;
        rows.collect::<Result<_, _>>().map_err(sql_error)
    }

    /// The newest refused events of one app, newest first.
    pub(crate) fn rejected(&self, app: &str, limit: usize) -> Result<Vec<RejectedRow>, StoreError> {
        let reader = self.reader();
        let sql = "SELECT received_at_ms, event_index, code, message, raw FROM rejected WHERE app = ?1 ORDER BY id DESC LIMIT ?2";
        let mut statement = reader.prepare_cached(sql).map_err(sql_error)?;
        let read = |row: &Row<'_>| {
            let (received_at_ms, index) = (row.get(0)?, row.get(1)?);
            Ok(RejectedRow { received_at_ms, index, code: row.get(2)?, message: row.get(3)?, raw: row.get(4)? })
        };
        let rows = statement.query_map(params![app, limit.min(MAX_REJECTED_PER_APP) as i64], read).map_err(sql_error)?;
        rows.collect::<Result<_, _>>().map_err(sql_error)
    }

    /// Deletes refused events and accounts that were kept long enough; false when there were none.
    pub(crate) fn purge(&self, now_ms: i64) -> Result<bool, StoreError> {
        let rejected = "DELETE FROM rejected WHERE id IN (SELECT id FROM rejected WHERE received_at_ms < ?1 LIMIT ?2)";
        let ledger = "DELETE FROM ledger WHERE (app, minute_ms) IN (SELECT app, minute_ms FROM ledger WHERE minute_ms < ?1 LIMIT ?2)";
        for (oldest, delete, kept_ms) in [
            ("SELECT 1 FROM rejected WHERE received_at_ms < ?1 LIMIT 1", rejected, REJECTED_KEPT_MS),
            ("SELECT 1 FROM ledger WHERE minute_ms < ?1 LIMIT 1", ledger, LEDGER_KEPT_MS),
        ] {
            let before_ms = now_ms.saturating_sub(kept_ms);
            if self.reader().query_row(oldest, params![before_ms], |_| Ok(())).optional().map_err(sql_error)?.is_some() {
                self.transaction(|tx| tx.execute(delete, params![before_ms, PURGE_ROWS]))?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Adds to the stored, absolute values.
pub(super) fn merge(tx: &Transaction<'_>, delta: &LedgerDelta) -> rusqlite::Result<()> {
    let mut stored = tx.prepare_cached("SELECT received, stored, duplicate, rejected FROM ledger WHERE app = ?1 AND minute_ms = ?2")?;
    let mut upsert = tx.prepare_cached(
        "INSERT INTO ledger (app, minute_ms, received, stored, duplicate, rejected) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (app, minute_ms) DO UPDATE SET received = excluded.received, stored = excluded.stored,
         duplicate = excluded.duplicate, rejected = excluded.rejected",
    )?;
    for ((app, minute_ms), counts) in &delta.minutes {
        let before = stored.query_row(params![app, minute_ms], |row| read_counts(row, 0)).optional()?;
        let mut sum = counts.clone();
        before.iter().for_each(|before| sum.merge(before));
        let codes = serde_json::to_string(&sum.rejected).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        upsert.execute(params![app, minute_ms, sum.received as i64, sum.stored as i64, sum.duplicate as i64, codes])?;
    }
    insert_rejected(tx, delta)
}

fn insert_rejected(tx: &Transaction<'_>, delta: &LedgerDelta) -> rusqlite::Result<()> {
    let mut insert =
        tx.prepare_cached("INSERT INTO rejected (app, received_at_ms, event_index, code, message, raw) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let mut apps: BTreeSet<&Arc<str>> = BTreeSet::new();
    for entry in &delta.rejected {
        let row = &entry.row;
        insert.execute(params![entry.app, row.received_at_ms, row.index, row.code, row.message, row.raw])?;
        apps.insert(&entry.app);
    }
    let mut trim = tx.prepare_cached(
        "DELETE FROM rejected WHERE app = ?1 AND id <= (SELECT id FROM rejected WHERE app = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?;
    for app in apps {
        trim.execute(params![app, MAX_REJECTED_PER_APP as i64])?;
    }
    Ok(())
}

/// Reads `received, stored, duplicate, rejected` from four columns.
fn read_counts(row: &Row<'_>, column: usize) -> rusqlite::Result<Counts> {
    let count = |at: usize| row.get::<_, i64>(column + at).map(|n| n as u64);
    let codes = serde_json::from_str(row.get_ref(column + 3)?.as_str()?);
    let rejected =
        codes.map_err(|error| rusqlite::Error::FromSqlConversionFailure(column + 3, rusqlite::types::Type::Text, error.into()))?;
    Ok(Counts { received: count(0)?, stored: count(1)?, duplicate: count(2)?, rejected })
}
