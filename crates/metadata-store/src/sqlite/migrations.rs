use rusqlite::{Connection, TransactionBehavior};

use super::unavailable;
use crate::store::MetadataError;

/// Numbered from 1; a published one never changes, the next change is the next number.
const MIGRATIONS: [&str; 3] =
    [include_str!("0001-apps-keys-definitions.sql"), include_str!("0002-admin-keys.sql"), include_str!("0003-accounts.sql")];

/// Brings the database to the newest format. Several processes may do this at once: one works, the others wait and find it done.
pub(super) fn migrate(connection: &mut Connection, now_ms: i64) -> Result<(), MetadataError> {
    let newest = MIGRATIONS.len() as u32;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unavailable)?;
    let create = "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, applied_at_ms INTEGER NOT NULL) STRICT";
    transaction.execute(create, []).map_err(unavailable)?;
    let applied: u32 =
        transaction.query_row("SELECT coalesce(max(number), 0) FROM migrations", [], |row| row.get(0)).map_err(unavailable)?;
    if applied > newest {
        return Err(MetadataError::Newer { found: applied, known: newest });
    }
    for (number, sql) in (1..=newest).zip(MIGRATIONS).skip(applied as usize) {
        transaction.execute_batch(sql).map_err(unavailable)?;
        transaction.execute("INSERT INTO migrations (number, applied_at_ms) VALUES (?1, ?2)", (number, now_ms)).map_err(unavailable)?;
    }
    transaction.commit().map_err(unavailable)
}
