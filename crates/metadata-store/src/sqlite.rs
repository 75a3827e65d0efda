mod check;
mod copy;
mod migrations;

pub use check::{MetadataCheck, check_metadata};
pub use copy::copy_metadata;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event::{AppId, TimestampMs};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior, named_params};

use crate::app::{App, WeekDay};
use crate::definition::{Definition, DefinitionKind};
use crate::key::{Key, KeyHash, KeyKind, KeyOwner, NewKey};
use crate::store::{Definitions, MAX_DEFINITIONS_PER_KIND, MetadataError, MetadataStore};

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
        self.change(|transaction| {
            let sql = "INSERT INTO apps (id, name, timezone, week_start, raw_retention_days, session_idle_minutes, created_at_ms)
                VALUES (:id, :name, :timezone, :week_start, :raw_retention_days, :session_idle_minutes, :created_at_ms)";
            let parameters = named_params! {
                ":id": app.id.as_str(), ":name": app.name, ":timezone": app.timezone, ":week_start": app.week_start.as_str(),
                ":raw_retention_days": app.raw_retention_days, ":session_idle_minutes": app.session_idle_minutes,
                ":created_at_ms": app.created_at_ms,
            };
            transaction.execute(sql, parameters).map_err(|error| not_twice(&error, &format!("app {}", app.id)))?;
            keys.iter().try_for_each(|key| insert_key(transaction, key))
        })
    }

    fn app(&self, id: &AppId) -> Result<Option<App>, MetadataError> {
        self.first(&format!("SELECT {APP_COLUMNS} FROM apps WHERE id = ?1"), [id.as_str()], read_app)
    }

    fn apps(&self) -> Result<Vec<App>, MetadataError> {
        self.all(&format!("SELECT {APP_COLUMNS} FROM apps ORDER BY created_at_ms, id"), [], read_app)
    }

    fn set_raw_retention(&self, app: &AppId, days: Option<u32>) -> Result<(), MetadataError> {
        self.change(|transaction| {
            let sql = "UPDATE apps SET raw_retention_days = ?2 WHERE id = ?1";
            match transaction.execute(sql, (app.as_str(), days)).map_err(unavailable)? {
                0 => Err(MetadataError::Missing(format!("app {app}"))),
                _ => Ok(()),
            }
        })
    }

    fn find_key(&self, hash: &KeyHash) -> Result<Option<KeyOwner>, MetadataError> {
        let sql = format!(
            "SELECT {APP_COLUMNS}, keys.kind FROM keys JOIN apps ON apps.id = keys.app WHERE keys.hash = ?1 AND keys.revoked_at_ms IS NULL"
        );
        self.first(&sql, [hash.as_bytes()], |row| Ok(KeyOwner { app: read_app(row)?, kind: read_name(row, 7, KeyKind::from_name)? }))
    }

    fn keys(&self, app: &AppId) -> Result<Vec<Key>, MetadataError> {
        let sql = "SELECT id, kind, created_at_ms, revoked_at_ms FROM keys WHERE app = ?1 ORDER BY created_at_ms, id";
        self.all(sql, [app.as_str()], |row| {
            Ok(Key {
                id: row.get(0)?,
                kind: read_name(row, 1, KeyKind::from_name)?,
                created_at_ms: row.get(2)?,
                revoked_at_ms: row.get(3)?,
            })
        })
    }

    fn add_key(&self, key: &NewKey) -> Result<(), MetadataError> {
        self.change(|transaction| insert_key(transaction, key))
    }

    fn revoke_key(&self, key_id: &str, now_ms: TimestampMs) -> Result<(), MetadataError> {
        self.change(|transaction| {
            let sql = "UPDATE keys SET revoked_at_ms = coalesce(revoked_at_ms, ?2) WHERE id = ?1";
            match transaction.execute(sql, (key_id, now_ms)).map_err(unavailable)? {
                0 => Err(MetadataError::Missing(format!("key {key_id}"))),
                _ => Ok(()),
            }
        })
    }
}

const DEFINITION_COLUMNS: &str = "id, app, kind, name, document, version, saved_at_ms";

impl Definitions for SqliteMetadataStore {
    fn definitions(&self, app: &AppId, kind: DefinitionKind) -> Result<Vec<Definition>, MetadataError> {
        let sql = format!("SELECT {DEFINITION_COLUMNS} FROM definitions WHERE app = ?1 AND kind = ?2 ORDER BY name, id");
        self.all(&sql, (app.as_str(), kind.as_str()), read_definition)
    }

    fn definition(&self, app: &AppId, id: &str) -> Result<Option<Definition>, MetadataError> {
        let sql = format!("SELECT {DEFINITION_COLUMNS} FROM definitions WHERE app = ?1 AND id = ?2");
        self.first(&sql, (app.as_str(), id), read_definition)
    }

    fn save_definition(&self, definition: &Definition, seen: Option<&[Definition]>) -> Result<u32, MetadataError> {
        self.change(|transaction| {
            if let Some(seen) = seen {
                still_stored(transaction, &definition.app, definition.kind, seen)?;
            }
            let place = (definition.app.as_str(), definition.id.as_str());
            let stored: Option<(u32, String)> = transaction
                .query_row("SELECT version, kind FROM definitions WHERE app = ?1 AND id = ?2", place, |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
                .map_err(unavailable)?;
            let (stored_version, stored_kind) = stored.unwrap_or_else(|| (0, definition.kind.as_str().to_owned()));
            if stored_kind != definition.kind.as_str() {
                return Err(MetadataError::Taken(format!("{stored_kind} {}", definition.id)));
            }
            if stored_version != definition.version {
                return Err(MetadataError::Conflict { expected: definition.version, stored: stored_version });
            }
            if stored_version == 0 {
                let sql = "SELECT count(*) FROM definitions WHERE app = ?1 AND kind = ?2";
                let of_kind = (definition.app.as_str(), definition.kind.as_str());
                let count: i64 = transaction.query_row(sql, of_kind, |row| row.get(0)).map_err(unavailable)?;
                if count as usize >= MAX_DEFINITIONS_PER_KIND {
                    return Err(MetadataError::TooMany { kind: definition.kind.as_str(), limit: MAX_DEFINITIONS_PER_KIND });
                }
            }
            let sql = "INSERT OR REPLACE INTO definitions (app, id, kind, name, document, version, saved_at_ms)
                VALUES (:app, :id, :kind, :name, :document, :version, :saved_at_ms)";
            let version = stored_version + 1;
            let parameters = named_params! {
                ":app": place.0, ":id": place.1, ":kind": definition.kind.as_str(), ":name": definition.name,
                ":document": definition.document.to_string(), ":version": version, ":saved_at_ms": definition.saved_at_ms,
            };
            transaction.execute(sql, parameters).map_err(|error| needs_app(&error, &definition.app))?;
            Ok(version)
        })
    }

    fn delete_definition(&self, app: &AppId, id: &str, seen: Option<&[Definition]>) -> Result<(), MetadataError> {
        self.change(|transaction| {
            if let Some(seen) = seen.filter(|seen| !seen.is_empty()) {
                still_stored(transaction, app, seen[0].kind, seen)?;
            }
            let sql = "DELETE FROM definitions WHERE app = ?1 AND id = ?2";
            match transaction.execute(sql, (app.as_str(), id)).map_err(unavailable)? {
                0 => Err(MetadataError::Missing(format!("definition {id}"))),
                _ => Ok(()),
            }
        })
    }
}

/// Whether the app's definitions of this kind are those that were seen, in the same versions.
fn still_stored(transaction: &Transaction<'_>, app: &AppId, kind: DefinitionKind, seen: &[Definition]) -> Result<(), MetadataError> {
    let sql = "SELECT id, version FROM definitions WHERE app = ?1 AND kind = ?2";
    let mut statement = transaction.prepare_cached(sql).map_err(unavailable)?;
    let rows = statement.query_map((app.as_str(), kind.as_str()), |row| Ok((row.get(0)?, row.get(1)?))).map_err(unavailable)?;
    let stored: BTreeSet<(String, u32)> = rows.collect::<Result<_, _>>().map_err(unavailable)?;
    let is_stored = |definition: &Definition| stored.contains(&(definition.id.clone(), definition.version));
    match stored.len() == seen.len() && seen.iter().all(is_stored) {
        true => Ok(()),
        false => Err(MetadataError::Changed { kind: kind.as_str() }),
    }
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

fn read_definition(row: &Row<'_>) -> rusqlite::Result<Definition> {
    Ok(Definition {
        id: row.get(0)?,
        app: read_name(row, 1, AppId::new)?,
        kind: read_name(row, 2, DefinitionKind::from_name)?,
        name: row.get(3)?,
        document: read_name(row, 4, |text| serde_json::from_str(text).ok())?,
        version: row.get(5)?,
        saved_at_ms: row.get(6)?,
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

#[expect(clippy::needless_pass_by_value, reason = "used as the function of map_err")]
fn unavailable(error: rusqlite::Error) -> MetadataError {
    MetadataError::Unavailable(error.to_string())
}
