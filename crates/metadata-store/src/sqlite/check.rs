use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{BUSY_TIMEOUT, unavailable};
use crate::store::MetadataError;

/// What a check of the database found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataCheck {
    /// Apps in it.
    pub apps: usize,
    /// What SQLite finds wrong, a line each.
    pub damage: Vec<String>,
}

/// Verifies the database at `path`, reading only; whoever uses it goes on undisturbed.
///
/// # Errors
/// [`MetadataError::Missing`] when there is none, [`MetadataError::Unavailable`] when it cannot be read.
pub fn check_metadata(path: &Path) -> Result<MetadataCheck, MetadataError> {
    if !std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0) {
        return Err(MetadataError::Missing(format!("{}, or it is empty", path.display())));
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unavailable)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unavailable)?;
    let mut damage = lines(&connection, "PRAGMA integrity_check(20)")?;
    damage.retain(|line| line != "ok");
    let mut statement = connection.prepare("PRAGMA foreign_key_check").map_err(unavailable)?;
    let orphans = statement.query_map([], |row| row.get::<_, String>(0)).map_err(unavailable)?;
    damage.extend(orphans.flatten().map(|table| format!("a row of {table} belongs to no app")));
    let apps = connection.query_row("SELECT count(*) FROM apps", [], |row| row.get::<_, i64>(0)).map_err(unavailable)?;
    Ok(MetadataCheck { apps: apps as usize, damage })
}

fn lines(connection: &Connection, sql: &str) -> Result<Vec<String>, MetadataError> {
    let mut statement = connection.prepare(sql).map_err(unavailable)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(unavailable)?;
    rows.collect::<Result<_, _>>().map_err(unavailable)
}
