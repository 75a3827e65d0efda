use event_store::{LostRecords, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Manifest, sql_error};

/// Made at every open: a store of before has none, and a program of before leaves it alone.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS lost_records (
    from_offset INTEGER NOT NULL, to_offset INTEGER NOT NULL, records INTEGER NOT NULL, from_ms INTEGER, to_ms INTEGER NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY (from_offset, to_offset)
) WITHOUT ROWID";

pub(super) fn create(connection: &Connection) -> Result<(), StoreError> {
    connection.execute(TABLE, []).map(|_| ()).map_err(sql_error)
}

impl Manifest {
    /// Log records that were lost before their events were stored, oldest first.
    pub(crate) fn lost(&self) -> Result<Vec<LostRecords>, StoreError> {
        let reader = self.reader();
        let exists = reader.query_row("SELECT 1 FROM sqlite_master WHERE name = 'lost_records'", [], |_| Ok(())).optional();
        if exists.map_err(sql_error)?.is_none() {
            return Ok(Vec::new());
        }
        let sql = "SELECT from_offset, to_offset, records, from_ms, to_ms, reason FROM lost_records ORDER BY from_offset, to_offset";
        let mut statement = reader.prepare(sql).map_err(sql_error)?;
        let rows = statement.query_map([], read).map_err(sql_error)?;
        rows.collect::<Result<_, _>>().map_err(sql_error)
    }

    /// The newest minute of receipt in the accounts, ms.
    pub(crate) fn newest_minute(&self) -> Result<Option<i64>, StoreError> {
        self.reader().query_row("SELECT max(minute_ms) FROM ledger", [], |row| row.get(0)).map_err(sql_error)
    }
}

/// Puts `all` in the place of what was there.
pub(super) fn replace(tx: &Transaction<'_>, all: &[LostRecords]) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM lost_records", [])?;
    let sql = "INSERT INTO lost_records (from_offset, to_offset, records, from_ms, to_ms, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut insert = tx.prepare_cached(sql)?;
    for lost in all {
        insert.execute(params![lost.from as i64, lost.to as i64, lost.records as i64, lost.from_ms, lost.to_ms, lost.reason])?;
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<LostRecords> {
    let number = |at: usize| row.get::<_, i64>(at).map(|n| n as u64);
    Ok(LostRecords { from: number(0)?, to: number(1)?, records: number(2)?, from_ms: row.get(3)?, to_ms: row.get(4)?, reason: row.get(5)? })
}
