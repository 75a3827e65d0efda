use std::sync::Arc;

use event_store::StoreError;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{Manifest, deletions, rollups, sql_error, tiers};
use crate::segment::{AppRows, MAX_LISTED_APPS, SegmentInfo};

/// One element of the `apps` column: `[app, rows, min ms, max ms]`.
#[derive(Serialize, Deserialize)]
struct EncodedApp(Arc<str>, u64, i64, i64);

impl Manifest {
    /// The live segments by age. Of a segment with many apps only the first and last are kept in memory.
    pub(crate) fn segments(&self) -> Result<Vec<SegmentInfo>, StoreError> {
        let reader = self.reader();
        let sql = "SELECT id, path, bytes, block_hashes, rows, min_ms, max_ms, apps FROM segments ORDER BY id";
        let mut statement = reader.prepare(sql).map_err(sql_error)?;
        let rows = statement.query_map([], read).map_err(sql_error)?;
        rows.collect::<Result<_, _>>().map_err(sql_error)
    }

    /// All apps of a segment; empty when the manifest does not name it any more.
    pub(crate) fn apps_of(&self, segment: u64) -> Result<Vec<AppRows>, StoreError> {
        let reader = self.reader();
        let apps = reader.query_row("SELECT apps FROM segments WHERE id = ?1", params![segment as i64], |row| decode_apps(row, 0));
        Ok(apps.optional().map_err(sql_error)?.unwrap_or_default())
    }

    /// Puts `new` in the place of `old`, at once or not at all. `dropped` are apps whose rows up to a time are gone with it.
    pub(crate) fn replace_segments(&self, old: &[u64], new: &[SegmentInfo], dropped: &[AppRows]) -> Result<(), StoreError> {
        self.transaction(|tx| {
            for id in old {
                tx.execute("DELETE FROM segments WHERE id = ?1", params![*id as i64])?;
                deletions::segment_replaced(tx, *id)?;
                tiers::segment_replaced(tx, *id)?;
            }
            for rows in dropped {
                rollups::raise_floor(tx, &rows.app, rows.max_ms + 1)?;
            }
            insert(tx, new)
        })
    }
}

pub(super) fn insert(tx: &Transaction<'_>, segments: &[SegmentInfo]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO segments (id, path, bytes, block_hashes, rows, min_ms, max_ms, apps) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let mut statement = tx.prepare_cached(sql)?;
    for info in segments {
        let hashes: Vec<u8> = info.block_hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        let apps = info.apps.iter().flatten().map(|rows| EncodedApp(rows.app.clone(), rows.rows, rows.min_ms, rows.max_ms));
        let apps =
            serde_json::to_string(&apps.collect::<Vec<_>>()).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        let values = params![info.id as i64, info.path, info.bytes as i64, hashes, info.rows as i64, info.min_ms, info.max_ms, apps];
        statement.execute(values)?;
    }
    let Some(last) = segments.iter().map(|info| info.id).max() else { return Ok(()) };
    let sql =
        "INSERT INTO meta (key, value) VALUES ('last_segment', ?1) ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)";
    tx.prepare_cached(sql)?.execute(params![last as i64]).map(|_| ())
}

fn read(row: &Row<'_>) -> rusqlite::Result<SegmentInfo> {
    let hashes = row.get_ref(3)?.as_blob()?.chunks_exact(8);
    let block_hashes: Arc<[u64]> = hashes.map(|h| u64::from_le_bytes([h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]])).collect();
    let apps = decode_apps(row, 7)?;
    let edge = |rows: Option<&AppRows>| rows.map_or_else(|| Arc::from(""), |rows| rows.app.clone());
    Ok(SegmentInfo {
        id: row.get::<_, i64>(0)? as u64,
        path: row.get(1)?,
        bytes: row.get::<_, i64>(2)? as u64,
        block_hashes,
        rows: row.get::<_, i64>(4)? as u64,
        min_app: edge(apps.first()),
        max_app: edge(apps.last()),
        min_ms: row.get(5)?,
        max_ms: row.get(6)?,
        apps: (apps.len() <= MAX_LISTED_APPS).then_some(apps),
    })
}

fn decode_apps(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<AppRows>> {
    let text = row.get_ref(column)?.as_str()?;
    let apps: Vec<EncodedApp> = serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into()))?;
    Ok(apps.into_iter().map(|EncodedApp(app, rows, min_ms, max_ms)| AppRows { app, rows, min_ms, max_ms }).collect())
}
