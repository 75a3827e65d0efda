mod accounts;
mod check;
mod copy;
mod definitions;
mod invitations;
mod logins;
mod members;
mod migrations;

pub use check::{MetadataCheck, check_metadata};
pub use copy::copy_metadata;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event::{AppId, TimestampMs};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior, named_params};

use crate::app::{App, AppChange, WeekDay};
use crate::key::{Key, KeyHash, KeyKind, KeyOwner, NewKey};
use crate::store::{MetadataError, MetadataStore};

/// How long a call waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const APP_COLUMNS: &str =
    "apps.id, apps.name, apps.timezone, apps.week_start, apps.raw_retention_days, apps.session_idle_minutes, apps.created_at_ms";

/// The embedded metadata store: one SQLite file in write-ahead mode, so readers never wait for a writer.
///
/// One connection behind a lock: calls are rare, since keys are cached by whoever asks often.
pub struct SqliteMetadataStore {
    connection: Mutex<Connection>,
}

impl SqliteMetadataStore {
    /// Opens the file, creates it where it is missing and brings it to the newest format.
    ///
    /// # Errors
    /// [`MetadataError::Newer`], [`MetadataError::Unavailable`].
    pub fn open(path: &Path, now_ms: TimestampMs) -> Result<Self, MetadataError> {
        let damaged = |found: &dyn std::fmt::Display| {
            MetadataError::Unavailable(format!("{} is damaged ({found}): restore it from a backup", path.display()))
        };
        let at = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(&error),
            _ => MetadataError::Unavailable(format!("{}: {error}", path.display())),
        };
        let mut connection = Connection::open(path).map_err(at)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(at)?;
        connection.pragma_update(None, "journal_mode", "wal").map_err(at)?;
        // FULL: an app whose keys were printed is there after a power cut.
        connection.pragma_update(None, "synchronous", "full").map_err(at)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(at)?;
        let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(at)?;
        if found != "ok" {
            return Err(damaged(&found));
        }
        migrations::migrate(&mut connection, now_ms)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// A panic while holding the lock leaves no half transaction behind (it rolls back), so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&Transaction<'_>) -> Result<T, MetadataError>) -> Result<T, MetadataError> {
        let mut connection = self.lock();
        // Immediate: a transaction that began as a reader could not wait for its turn to write.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unavailable)?;
        let result = change(&transaction)?;
        transaction.commit().map_err(unavailable)?;
        Ok(result)
    }

    fn all<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, MetadataError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql).map_err(unavailable)?;
        let rows = statement.query_map(parameters, read).map_err(unavailable)?;
        rows.collect::<Result<Vec<T>, _>>().map_err(unavailable)
    }

    fn first<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, MetadataError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql).map_err(unavailable)?;
        statement.query_row(parameters, read).optional().map_err(unavailable)
    }
}

impl MetadataStore for SqliteMetadataStore {
    fn create_app(&self, app: &App, keys: &[NewKey]) -> Result<(), MetadataError> {
        self.change(|transaction| insert_app(transaction, app, keys))
    }

    fn app(&self, id: &AppId) -> Result<Option<App>, MetadataError> {
        self.first(&format!("SELECT {APP_COLUMNS} FROM apps WHERE id = ?1"), [id.as_str()], read_app)
    }

    fn apps(&self) -> Result<Vec<App>, MetadataError> {
        self.all(&format!("SELECT {APP_COLUMNS} FROM apps ORDER BY created_at_ms, id"), [], read_app)
    }

    fn change_app(&self, app: &AppId, change: &AppChange) -> Result<App, MetadataError> {
        self.change(|transaction| {
            let stored = transaction.query_row(&format!("SELECT {APP_COLUMNS} FROM apps WHERE id = ?1"), [app.as_str()], read_app);
            let stored = stored.optional().map_err(unavailable)?.ok_or_else(|| MetadataError::Missing(format!("app {app}")))?;
            let app = change.clone().applied_to(stored);
            let sql = "UPDATE apps SET name = ?2, timezone = ?3, week_start = ?4, raw_retention_days = ?5 WHERE id = ?1";
            let parameters = (app.id.as_str(), &app.name, &app.timezone, app.week_start.as_str(), app.raw_retention_days);
            transaction.execute(sql, parameters).map_err(unavailable)?;
            Ok(app)
        })
    }

    fn find_key(&self, hash: &KeyHash, now_ms: TimestampMs) -> Result<Option<KeyOwner>, MetadataError> {
        let sql = format!(
            "SELECT {APP_COLUMNS}, keys.kind FROM keys JOIN apps ON apps.id = keys.app
            WHERE keys.hash = ?1 AND (keys.revoked_at_ms IS NULL OR keys.revoked_at_ms > ?2)"
        );
        self.first(&sql, (hash.as_bytes(), now_ms), |row| {
            Ok(KeyOwner { app: read_app(row)?, kind: read_name(row, 7, KeyKind::from_name)? })
        })
    }

    fn keys(&self, app: &AppId) -> Result<Vec<Key>, MetadataError> {
        let sql = "SELECT id, kind, created_at_ms, revoked_at_ms, last_used_at_ms FROM keys WHERE app = ?1 ORDER BY created_at_ms, id";
        self.all(sql, [app.as_str()], |row| {
            Ok(Key {
                id: row.get(0)?,
                kind: read_name(row, 1, KeyKind::from_name)?,
                created_at_ms: row.get(2)?,
                revoked_at_ms: row.get(3)?,
                last_used_at_ms: row.get(4)?,
            })
        })
    }

    fn add_key(&self, key: &NewKey) -> Result<(), MetadataError> {
        self.change(|transaction| insert_key(transaction, key))
    }

    fn revoke_key(&self, key_id: &str, now_ms: TimestampMs) -> Result<(), MetadataError> {
        self.change(|transaction| {
            let sql = "UPDATE keys SET revoked_at_ms = min(coalesce(revoked_at_ms, ?2), ?2) WHERE id = ?1";
            match transaction.execute(sql, (key_id, now_ms)).map_err(unavailable)? {
                0 => Err(MetadataError::Missing(format!("key {key_id}"))),
                _ => Ok(()),
            }
        })
    }

    fn rotate_key(&self, old_id: &str, key: &NewKey, until_ms: TimestampMs) -> Result<(), MetadataError> {
        self.change(|transaction| {
            let sql = "UPDATE keys SET revoked_at_ms = ?4 WHERE id = ?1 AND app = ?2 AND kind = ?3 AND revoked_at_ms IS NULL";
            let parameters = (old_id, key.app.as_str(), key.kind.as_str(), until_ms);
            match transaction.execute(sql, parameters).map_err(unavailable)? {
                0 => Err(MetadataError::Missing(format!("{} key {old_id} that is not revoked", key.kind.as_str()))),
                _ => insert_key(transaction, key),
            }
        })
    }

    fn note_keys_used(&self, used: &[(KeyHash, TimestampMs)]) -> Result<(), MetadataError> {
        self.change(|transaction| {
            let sql = "UPDATE keys SET last_used_at_ms = ?2 WHERE hash = ?1 AND (last_used_at_ms IS NULL OR last_used_at_ms < ?2)";
            let mut statement = transaction.prepare_cached(sql).map_err(unavailable)?;
            used.iter().try_for_each(|(hash, time_ms)| statement.execute((hash.as_bytes(), time_ms)).map(|_| ()).map_err(unavailable))
        })
    }
}

fn insert_app(transaction: &Transaction<'_>, app: &App, keys: &[NewKey]) -> Result<(), MetadataError> {
    let sql = "INSERT INTO apps (id, name, timezone, week_start, raw_retention_days, session_idle_minutes, created_at_ms)
        VALUES (:id, :name, :timezone, :week_start, :raw_retention_days, :session_idle_minutes, :created_at_ms)";
    let parameters = named_params! {
        ":id": app.id.as_str(), ":name": app.name, ":timezone": app.timezone, ":week_start": app.week_start.as_str(),
        ":raw_retention_days": app.raw_retention_days, ":session_idle_minutes": app.session_idle_minutes,
        ":created_at_ms": app.created_at_ms,
    };
    transaction.execute(sql, parameters).map_err(|error| not_twice(&error, &format!("app {}", app.id)))?;
    keys.iter().try_for_each(|key| insert_key(transaction, key))
}

fn insert_key(transaction: &Transaction<'_>, key: &NewKey) -> Result<(), MetadataError> {
    let sql = "INSERT INTO keys (hash, id, app, kind, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
    let parameters = (key.hash.as_bytes(), &key.id, key.app.as_str(), key.kind.as_str(), key.created_at_ms);
    match transaction.execute(sql, parameters) {
        Ok(_) => Ok(()),
        Err(error) if is(&error, rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Err(needs_app(&error, &key.app)),
        Err(error) => Err(not_twice(&error, &format!("key {}", key.id))),
    }
}

fn read_app(row: &Row<'_>) -> rusqlite::Result<App> {
    Ok(App {
        id: read_name(row, 0, AppId::new)?,
        name: row.get(1)?,
        timezone: row.get(2)?,
        week_start: read_name(row, 3, WeekDay::from_name)?,
        raw_retention_days: row.get(4)?,
        session_idle_minutes: row.get(5)?,
        created_at_ms: row.get(6)?,
    })
}

/// Reads a text column that only certain texts may stand in.
fn read_name<T>(row: &Row<'_>, column: usize, parse: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| {
        let message = format!("{text:?} is not a value this version knows");
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, message.into())
    })
}

fn is(error: &rusqlite::Error, extended_code: i32) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == extended_code)
}

fn not_twice(error: &rusqlite::Error, what: &str) -> MetadataError {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => MetadataError::Taken(what.to_owned()),
        _ => MetadataError::Unavailable(error.to_string()),
    }
}

fn needs_app(error: &rusqlite::Error, app: &AppId) -> MetadataError {
    match is(error, rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY) {
        true => MetadataError::Missing(format!("app {app}")),
        false => MetadataError::Unavailable(error.to_string()),
    }
}

fn needs_account(error: &rusqlite::Error, account: &str) -> MetadataError {
    match is(error, rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY) {
        true => MetadataError::Missing(format!("account {account}")),
        false => MetadataError::Unavailable(error.to_string()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as the function of map_err")]
fn unavailable(error: rusqlite::Error) -> MetadataError {
    MetadataError::Unavailable(error.to_string())
}
