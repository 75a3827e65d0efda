use std::collections::BTreeSet;

use event::AppId;
use rusqlite::{OptionalExtension, Row, Transaction, named_params};

use super::{SqliteMetadataStore, needs_app, read_name, unavailable};
use crate::definition::{Definition, DefinitionKind};
use crate::store::{Definitions, MAX_DEFINITIONS_PER_KIND, MetadataError};

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
