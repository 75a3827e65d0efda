use std::sync::Arc;

use event::UniqueSketch;
use event_store::{RollupSize, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Manifest, sql_error};
use crate::rollup::{AppRollups, MAX_NAMES_PER_PERIOD, PeriodCells, RollupCell, TOTAL, period_start, size_ms};

/// A packed sketch of fewer bytes is not worth a frame.
const COMPRESSED_FROM_BYTES: usize = 64;
/// A dense sketch has 4,136 bytes as DataSketches has it, and in the packed form is stored only where that is no longer.
const MAX_SKETCH_BYTES: usize = 4_136;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// One stored period of one name.
#[derive(Clone, Debug)]
pub(crate) struct StoredRollup {
    pub(crate) event: Arc<str>,
    pub(crate) start_ms: i64,
    pub(crate) cell: RollupCell,
}

impl Manifest {
    /// The rollups of the periods that begin in `[from_ms, to_ms)`.
    pub(crate) fn rollups(&self, app: &str, size: RollupSize, from_ms: i64, to_ms: i64) -> Result<Vec<StoredRollup>, StoreError> {
        let reader = self.reader();
        let sql = "SELECT event, start_ms, events, users FROM rollups WHERE app = ?1 AND size = ?2 AND start_ms >= ?3 AND start_ms < ?4";
        let mut statement = reader.prepare_cached(sql).map_err(sql_error)?;
        let mut sketches = SketchReader::new();
        let read = |row: &Row<'_>| Ok(StoredRollup { event: row.get(0)?, start_ms: row.get(1)?, cell: read_cell(row, 2, &mut sketches)? });
        let rows = statement.query_map(params![app, size_code(size), from_ms, to_ms], read).map_err(sql_error)?;
        rows.collect::<Result<_, _>>().map_err(sql_error)
    }

    /// Start of the first day that has a rollup of the app.
    pub(crate) fn first_rollup_ms(&self, app: &str) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT min(start_ms) FROM rollups WHERE app = ?1 AND size = ?2 AND event = ?3";
        let reader = self.reader();
        let mut statement = reader.prepare_cached(sql).map_err(sql_error)?;
        statement.query_row(params![app, size_code(RollupSize::Day), TOTAL], |row| row.get(0)).map_err(sql_error)
    }

    /// From when on the raw events of the app are complete, ms; `i64::MIN` where nothing was dropped.
    pub(crate) fn raw_floor(&self, app: &str) -> Result<i64, StoreError> {
        raw_floor(&self.reader(), app)
    }

    /// Replaces the rollups of all periods that begin at or after `floor_ms`.
    pub(crate) fn replace_rollups(&self, app: &str, floor_ms: i64, counted: &AppRollups) -> Result<(), StoreError> {
        self.transaction(|tx| replace_range(tx, app, floor_ms, (i64::MIN, i64::MAX), counted))
    }
}

pub(super) fn raw_floor(connection: &Connection, app: &str) -> Result<i64, StoreError> {
    let floor = connection.query_row("SELECT from_ms FROM raw_floors WHERE app = ?1", params![app], |row| row.get(0));
    Ok(floor.optional().map_err(sql_error)?.unwrap_or(i64::MIN))
}

/// Replaces the rollups of the periods that begin in `[range.0, range.1)` and at or after `floor_ms`.
pub(super) fn replace_range(
    tx: &Transaction<'_>,
    app: &str,
    floor_ms: i64,
    range: (i64, i64),
    counted: &AppRollups,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM rollups WHERE app = ?1 AND size = ?2 AND start_ms >= ?3 AND start_ms < ?4";
    for size in [RollupSize::Hour, RollupSize::Day] {
        let first = first_whole_period(size, floor_ms).max(range.0);
        tx.execute(sql, params![app, size_code(size), first, range.1])?;
        for (&start, cells) in counted.of_size(size).range(first..range.1.max(first)) {
            merge_period(tx, app, size, start, cells)?;
        }
    }
    Ok(())
}

/// Start of the first period that lies wholly at or after `floor_ms`.
pub(crate) fn first_whole_period(size: RollupSize, floor_ms: i64) -> i64 {
    if floor_ms == i64::MIN {
        return floor_ms;
    }
    let start = period_start(size, floor_ms);
    if start == floor_ms { start } else { start + size_ms(size) }
}

/// Adds to the stored, absolute values.
pub(super) fn merge(tx: &Transaction<'_>, app: &str, rollups: &AppRollups) -> rusqlite::Result<()> {
    for size in [RollupSize::Hour, RollupSize::Day] {
        for (&start, cells) in rollups.of_size(size) {
            merge_period(tx, app, size, start, cells)?;
        }
    }
    Ok(())
}

fn merge_period(tx: &Transaction<'_>, app: &str, size: RollupSize, start_ms: i64, cells: &PeriodCells) -> rusqlite::Result<()> {
    let mut stored =
        tx.prepare_cached("SELECT events, users FROM rollups WHERE app = ?1 AND size = ?2 AND start_ms = ?3 AND event = ?4")?;
    let mut upsert = tx.prepare_cached(
        "INSERT INTO rollups (app, size, start_ms, event, events, users) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (app, size, start_ms, event) DO UPDATE SET events = excluded.events, users = excluded.users",
    )?;
    let code = size_code(size);
    let (mut new_names, mut sketches) = (false, SketchReader::new());
    for (event, cell) in cells {
        let before = stored.query_row(params![app, code, start_ms, event], |row| read_cell(row, 0, &mut sketches)).optional()?;
        let mut sum = cell.clone();
        match &before {
            Some(before) => sum.merge(before),
            None => new_names |= &**event != TOTAL,
        }
        upsert.execute(params![app, code, start_ms, event, sum.events as i64, encode_sketch(&sum.users)])?;
    }
    if new_names {
        drop_names_beyond_cap(tx, app, code, start_ms)?;
    }
    Ok(())
}

/// The rule of [`crate::rollup::cap_names`], in SQL.
fn drop_names_beyond_cap(tx: &Transaction<'_>, app: &str, size: i64, start_ms: i64) -> rusqlite::Result<()> {
    let count = "SELECT count(*) FROM rollups WHERE app = ?1 AND size = ?2 AND start_ms = ?3 AND event <> ''";
    let names: i64 = tx.prepare_cached(count)?.query_row(params![app, size, start_ms], |row| row.get(0))?;
    let surplus = names - MAX_NAMES_PER_PERIOD as i64;
    if surplus <= 0 {
        return Ok(());
    }
    let delete = "DELETE FROM rollups WHERE app = ?1 AND size = ?2 AND start_ms = ?3 AND event IN (
        SELECT event FROM rollups WHERE app = ?1 AND size = ?2 AND start_ms = ?3 AND event <> ''
        ORDER BY length(CAST(event AS BLOB)) DESC, event DESC LIMIT ?4)";
    tx.prepare_cached(delete)?.execute(params![app, size, start_ms, surplus])?;
    Ok(())
}

pub(super) fn raise_floor(tx: &Transaction<'_>, app: &str, from_ms: i64) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO raw_floors (app, from_ms) VALUES (?1, ?2) ON CONFLICT (app) DO UPDATE SET from_ms = max(from_ms, excluded.from_ms)";
    tx.prepare_cached(sql)?.execute(params![app, from_ms]).map(|_| ())
}

pub(super) fn size_code(size: RollupSize) -> i64 {
    match size {
        RollupSize::Hour => 0,
        RollupSize::Day => 1,
    }
}

fn encode_sketch(sketch: &UniqueSketch) -> Vec<u8> {
    let mut bytes = sketch.to_packed();
    // Ids can be chosen so that many registers are far above the smallest.
    if bytes.len() > MAX_SKETCH_BYTES {
        bytes = sketch.to_bytes();
    }
    if bytes.len() < COMPRESSED_FROM_BYTES {
        return bytes;
    }
    zstd::bulk::compress(&bytes, 1).unwrap_or(bytes)
}

/// Reads stored sketches one after the other.
pub(super) struct SketchReader {
    /// Making one costs more than what it does to a sketch.
    decompressor: Option<zstd::bulk::Decompressor<'static>>,
}

impl SketchReader {
    pub(super) fn new() -> Self {
        Self { decompressor: zstd::bulk::Decompressor::new().ok() }
    }

    /// `None` for bytes that are no sketch.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<UniqueSketch> {
        // Until version 3 of the manifest they were stored as DataSketches has them.
        let read = |bytes: &[u8]| UniqueSketch::from_packed(bytes).or_else(|| UniqueSketch::from_bytes(bytes));
        if bytes.starts_with(&ZSTD_MAGIC) {
            return read(&self.decompressor.as_mut()?.decompress(bytes, MAX_SKETCH_BYTES).ok()?);
        }
        read(bytes)
    }
}

/// Reads `events, users` from two columns.
fn read_cell(row: &Row<'_>, column: usize, sketches: &mut SketchReader) -> rusqlite::Result<RollupCell> {
    let bytes = row.get_ref(column + 1)?.as_blob()?;
    let users = sketches.read(bytes).ok_or_else(|| {
        let error = "not a sketch".into();
        rusqlite::Error::FromSqlConversionFailure(column + 1, rusqlite::types::Type::Blob, error)
    })?;
    Ok(RollupCell { events: row.get::<_, i64>(column)? as u64, users })
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::PersonHash;

    #[test]
    fn sketches_of_every_size_survive_the_database() {
        let mut reader = SketchReader::new();
        for persons in [0u64, 1, 100, 1_000, 50_000] {
            let mut sketch = UniqueSketch::default();
            (0..persons).for_each(|p| sketch.insert(PersonHash(p.wrapping_mul(0x9e37_79b9_7f4a_7c15))));
            assert_eq!(reader.read(&encode_sketch(&sketch)).as_ref(), Some(&sketch), "{persons}");
            // As versions 1 to 3 of the manifest have them.
            assert_eq!(reader.read(&sketch.to_bytes()).as_ref(), Some(&sketch), "{persons}");
            assert_eq!(reader.read(&zstd::bulk::compress(&sketch.to_bytes(), 1).unwrap()), Some(sketch), "{persons}");
        }
    }

    #[test]
    fn a_sketch_of_chosen_ids_is_no_larger_than_what_is_read() {
        let mut dense = UniqueSketch::default();
        (0..50_000u64).for_each(|p| dense.insert(PersonHash(p.wrapping_mul(0x9e37_79b9_7f4a_7c15))));
        let mut bytes = dense.to_bytes();
        let registers = bytes.len() - 4_096;
        for (slot, register) in bytes[registers..].iter_mut().enumerate() {
            *register = if slot % 3 == 0 { 0 } else { 15 + (slot * 7 % 40) as u8 };
        }
        let sketch = UniqueSketch::from_bytes(&bytes).unwrap();
        assert!(sketch.to_packed().len() > MAX_SKETCH_BYTES);
        assert_eq!(SketchReader::new().read(&encode_sketch(&sketch)), Some(sketch));
    }

    #[test]
    fn only_whole_periods_are_recounted() {
        assert_eq!(first_whole_period(RollupSize::Hour, 3_600_000), 3_600_000);
        assert_eq!(first_whole_period(RollupSize::Hour, 3_600_001), 7_200_000);
        assert_eq!(first_whole_period(RollupSize::Day, i64::MIN), i64::MIN);
    }
}
