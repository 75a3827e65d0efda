use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use event_store::{RollupSize, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Manifest, has_table, links, rollups, sql_error};
use crate::deletion::{FoundRows, PersonMark};
use crate::hidden::HiddenRows;
use crate::rollup::{AppRollups, TOTAL, period_start, size_ms};

/// One row of the table `deletions`.
#[derive(Clone, Debug)]
pub(crate) struct StoredDeletion {
    pub(crate) id: String,
    pub(crate) mark: PersonMark,
    pub(crate) requested_at_ms: i64,
    pub(crate) refuse_later: bool,
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
    /// First milliseconds of the UTC days whose rollups are still to be counted again, ascending.
    pub(crate) days: Vec<i64>,
    pub(crate) log_until_ms: Option<i64>,
    pub(crate) finished_at_ms: Option<i64>,
}

/// One row of the table `deletion_segments`.
#[derive(Clone, Debug)]
pub(crate) struct StoredDeletionSegment {
    pub(crate) segment: u64,
    pub(crate) path: String,
    pub(crate) rows: Option<u64>,
    pub(crate) rewritten: bool,
}

/// What a deletion found in one segment; `None` where it could not be read.
pub(crate) struct SegmentFinding<'a> {
    pub(crate) segment: u64,
    pub(crate) path: &'a str,
    pub(crate) found: Option<&'a FoundRows>,
}

/// What readers must not see of a live segment.
#[derive(Clone, Debug, Default)]
pub(crate) struct SegmentCover {
    pub(crate) hidden: HiddenRows,
    /// Persons it was not searched for, because it could not be read.
    pub(crate) unsearched: bool,
}

const COLUMNS: &str = "id, app, person, person_sha256, requested_at_ms, refuse_later, rows, rejected, days, log_until_ms, finished_at_ms";

impl Manifest {
    /// Adds a deletion with all that hides its rows and takes them out of the counts, at once or not at all. `refused` are the rows of
    /// `rejected` that go with it.
    pub(crate) fn insert_deletion(
        &self,
        deletion: &StoredDeletion,
        findings: &[SegmentFinding<'_>],
        refused: &[i64],
    ) -> Result<(), StoreError> {
        self.transaction(|tx| {
            let sql = format!("INSERT INTO deletions ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, NULL)");
            let StoredDeletion { id, mark, requested_at_ms, refuse_later, rows, rejected, days, log_until_ms, .. } = deletion;
            let days = json(days)?;
            let values = params![
                id,
                mark.app,
                mark.key as i64,
                mark.id.as_slice(),
                requested_at_ms,
                refuse_later,
                *rows as i64,
                *rejected as i64,
                days,
                log_until_ms
            ];
            tx.execute(&sql, values)?;
            let mut insert = tx.prepare_cached("INSERT INTO deletion_ids (deletion, person, person_sha256) VALUES (?1, ?2, ?3)")?;
            mark.linked.iter().try_for_each(|(key, hash)| insert.execute(params![id, *key as i64, hash.as_slice()]).map(|_| ()))?;
            links::forget(tx, &mark.app, &mark.ids().map(|(key, _)| key).collect::<Vec<_>>())?;
            for finding in findings {
                insert_finding(tx, id, finding)?;
                if let Some(found) = finding.found {
                    subtract(tx, &mark.app, found)?;
                }
            }
            let mut delete = tx.prepare_cached("DELETE FROM rejected WHERE id = ?1")?;
            refused.iter().try_for_each(|row| delete.execute(params![row]).map(|_| ()))
        })
    }

    /// Number of deletions ever.
    pub(crate) fn deletion_count(&self) -> Result<u64, StoreError> {
        let count = self.reader().query_row("SELECT count(*) FROM deletions", [], |row| row.get::<_, i64>(0));
        count.map(|count| count as u64).map_err(sql_error)
    }

    /// All deletions that match, oldest first.
    pub(crate) fn all_deletions(&self, unfinished_only: bool) -> Result<Vec<StoredDeletion>, StoreError> {
        let reader = self.reader();
        let filter = if unfinished_only { "WHERE finished_at_ms IS NULL" } else { "" };
        let mut statement =
            reader.prepare_cached(&format!("SELECT {COLUMNS} FROM deletions {filter} ORDER BY number")).map_err(sql_error)?;
        let rows = statement.query_map([], read_deletion).map_err(sql_error)?;
        rows.map(|row| row.and_then(|deletion| with_ids(&reader, deletion)).map_err(sql_error)).collect()
    }

    /// The newest deletions of an app, newest first.
    pub(crate) fn deletions_of(&self, app: &str, limit: usize) -> Result<Vec<StoredDeletion>, StoreError> {
        let reader = self.reader();
        let sql = format!("SELECT {COLUMNS} FROM deletions WHERE app = ?1 ORDER BY number DESC LIMIT ?2");
        let mut statement = reader.prepare_cached(&sql).map_err(sql_error)?;
        let rows = statement.query_map(params![app, limit as i64], read_deletion).map_err(sql_error)?;
        rows.map(|row| row.and_then(|deletion| with_ids(&reader, deletion)).map_err(sql_error)).collect()
    }

    /// One deletion of an app.
    pub(crate) fn deletion(&self, app: &str, id: &str) -> Result<Option<StoredDeletion>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM deletions WHERE app = ?1 AND id = ?2");
        let reader = self.reader();
        let stored = reader.query_row(&sql, params![app, id], read_deletion).and_then(|deletion| with_ids(&reader, deletion));
        stored.optional().map_err(sql_error)
    }

    /// The segments of a deletion, by path.
    pub(crate) fn deletion_segments(&self, id: &str) -> Result<Vec<StoredDeletionSegment>, StoreError> {
        let reader = self.reader();
        let sql = "SELECT segment, path, rows, rewritten FROM deletion_segments WHERE deletion = ?1 ORDER BY path";
        let mut statement = reader.prepare_cached(sql).map_err(sql_error)?;
        let read = |row: &Row<'_>| {
            let rows: Option<i64> = row.get(2)?;
            let segment = row.get::<_, i64>(0)? as u64;
            Ok(StoredDeletionSegment { segment, path: row.get(1)?, rows: rows.map(|rows| rows as u64), rewritten: row.get(3)? })
        };
        let rows = statement.query_map(params![id], read).map_err(sql_error)?;
        rows.collect::<Result<_, _>>().map_err(sql_error)
    }

    /// What is hidden in live segments, by segment.
    pub(crate) fn segment_covers(&self) -> Result<HashMap<u64, SegmentCover>, StoreError> {
        let reader = self.reader();
        let sql = "SELECT segment, hidden FROM deletion_segments WHERE rewritten = 0";
        let mut statement = reader.prepare(sql).map_err(sql_error)?;
        let mut covers: HashMap<u64, SegmentCover> = HashMap::new();
        let mut rows = statement.query([]).map_err(sql_error)?;
        while let Some(row) = rows.next().map_err(sql_error)? {
            let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, Option<String>>(1)?));
            let (segment, hidden) = read(row).map_err(sql_error)?;
            let cover = covers.entry(segment).or_default();
            match hidden {
                Some(text) => cover.hidden = cover.hidden.with(&decode_ranges(&text)?),
                None => cover.unsearched = true,
            }
        }
        Ok(covers)
    }

    /// Says what a segment that could not be read before holds of a deletion.
    pub(crate) fn search_done(&self, deletion: &StoredDeletion, segment: u64, found: &FoundRows, days: &[i64]) -> Result<(), StoreError> {
        self.transaction(|tx| {
            let rows = found.rows.rows() as i64;
            let sql = "UPDATE deletion_segments SET rows = ?3, hidden = ?4, rewritten = ?5 WHERE deletion = ?1 AND segment = ?2";
            let nothing = found.rows.is_empty();
            tx.execute(sql, params![deletion.id, segment as i64, rows, encode_ranges(&found.rows)?, nothing])?;
            tx.execute("UPDATE deletions SET rows = rows + ?2, days = ?3 WHERE id = ?1", params![deletion.id, rows, json(&days)?])?;
            subtract(tx, &deletion.mark.app, found)
        })
    }

    /// Replaces the rollups of one UTC day as far as its periods begin at or after `floor_ms`, and takes the day off the deletion's list.
    pub(crate) fn replace_rollup_day(
        &self,
        deletion: &StoredDeletion,
        day_ms: i64,
        floor_ms: i64,
        counted: &AppRollups,
    ) -> Result<(), StoreError> {
        self.transaction(|tx| {
            rollups::replace_range(tx, &deletion.mark.app, floor_ms, (day_ms, day_ms + size_ms(RollupSize::Day)), counted)?;
            let days: Vec<i64> = deletion.days.iter().copied().filter(|&day| day != day_ms).collect();
            tx.execute("UPDATE deletions SET days = ?2 WHERE id = ?1", params![deletion.id, json(&days)?])?;
            Ok(())
        })
    }

    /// Counts rows that were hidden while the deletion was being committed.
    pub(crate) fn add_deleted_rows(&self, id: &str, rows: u64, rejected: u64) -> Result<(), StoreError> {
        let sql = "UPDATE deletions SET rows = rows + ?2, rejected = rejected + ?3 WHERE id = ?1";
        self.transaction(|tx| tx.execute(sql, params![id, rows as i64, rejected as i64]).map(|_| ()))
    }

    /// The last step of a deletion. What was deleted from the database is overwritten by then; this empties its write-ahead log too.
    pub(crate) fn finish_deletion(&self, id: &str, now_ms: i64) -> Result<(), StoreError> {
        self.transaction(|tx| tx.execute("UPDATE deletions SET finished_at_ms = ?2 WHERE id = ?1", params![id, now_ms]).map(|_| ()))
    }

    /// Brings everything from the write-ahead log into the database and empties it; false when a reader is in the way.
    pub(crate) fn empty_write_ahead_log(&self) -> Result<bool, StoreError> {
        let busy = self.writer().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        busy.map(|busy| busy == 0).map_err(sql_error)
    }

    /// The refused events of an app for which `is_wanted` holds, by row.
    pub(crate) fn find_refused(&self, app: &str, is_wanted: &dyn Fn(&[u8]) -> bool) -> Result<Vec<i64>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached("SELECT id, raw FROM rejected WHERE app = ?1").map_err(sql_error)?;
        let mut rows = statement.query(params![app]).map_err(sql_error)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(sql_error)? {
            if row.get_ref(1).map_err(sql_error)?.as_blob().is_ok_and(is_wanted) {
                found.push(row.get(0).map_err(sql_error)?);
            }
        }
        Ok(found)
    }
}

/// The segment is not live any more: whatever was hidden in it is gone with it.
pub(super) fn segment_replaced(tx: &Transaction<'_>, segment: u64) -> rusqlite::Result<()> {
    let sql = "UPDATE deletion_segments SET rewritten = 1, hidden = NULL WHERE segment = ?1 AND rewritten = 0";
    tx.prepare_cached(sql)?.execute(params![segment as i64]).map(|_| ())
}

fn insert_finding(tx: &Transaction<'_>, deletion: &str, finding: &SegmentFinding<'_>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO deletion_segments (deletion, segment, path, rows, hidden, rewritten) VALUES (?1, ?2, ?3, ?4, ?5, 0)";
    let rows = finding.found.map(|found| found.rows.rows() as i64);
    let hidden = finding.found.map(|found| encode_ranges(&found.rows)).transpose()?;
    tx.prepare_cached(sql)?.execute(params![deletion, finding.segment as i64, finding.path, rows, hidden]).map(|_| ())
}

/// Takes found rows out of the counts. Sketches cannot forget: they are right again when their day was counted again.
fn subtract(tx: &Transaction<'_>, app: &str, found: &FoundRows) -> rusqlite::Result<()> {
    let place = "app = ?1 AND size = ?2 AND start_ms = ?3 AND event = ?4";
    let mut update = tx.prepare_cached(&format!("UPDATE rollups SET events = events - ?5 WHERE {place}"))?;
    let mut delete = tx.prepare_cached(&format!("DELETE FROM rollups WHERE {place} AND events <= 0"))?;
    for ((hour_ms, name), count) in &found.counts {
        for size in [RollupSize::Hour, RollupSize::Day] {
            for event in [&**name, TOTAL] {
                let (size, start_ms) = (rollups::size_code(size), period_start(size, *hour_ms));
                update.execute(params![app, size, start_ms, event, *count as i64])?;
                delete.execute(params![app, size, start_ms, event])?;
            }
        }
    }
    Ok(())
}

fn read_deletion(row: &Row<'_>) -> rusqlite::Result<StoredDeletion> {
    let wrong = |column: usize, reason: &str| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, reason.to_owned().into())
    };
    let app: Arc<str> = row.get(1)?;
    let id = row.get_ref(3)?.as_blob()?.try_into().map_err(|_| wrong(3, "not a hash"))?;
    let days = serde_json::from_str(row.get_ref(8)?.as_str()?).map_err(|error| wrong(8, &error.to_string()))?;
    Ok(StoredDeletion {
        id: row.get(0)?,
        mark: PersonMark { app, key: row.get::<_, i64>(2)? as u64, id, linked: Vec::new() },
        requested_at_ms: row.get(4)?,
        refuse_later: row.get(5)?,
        rows: row.get::<_, i64>(6)? as u64,
        rejected: row.get::<_, i64>(7)? as u64,
        days,
        log_until_ms: row.get(9)?,
        finished_at_ms: row.get(10)?,
    })
}

/// The deletion with the other ids of its person.
fn with_ids(reader: &Connection, mut deletion: StoredDeletion) -> rusqlite::Result<StoredDeletion> {
    let sql = "SELECT person, person_sha256 FROM deletion_ids WHERE deletion = ?1";
    if !has_table(reader, "deletion_ids")? {
        return Ok(deletion);
    }
    let mut statement = reader.prepare_cached(sql)?;
    let ids = statement.query_map(params![deletion.id], |row| {
        let hash = row.get_ref(1)?.as_blob()?.try_into();
        let hash = hash.map_err(|_| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Blob, "not a hash".into()))?;
        Ok((row.get::<_, i64>(0)? as u64, hash))
    })?;
    deletion.mark.linked = ids.collect::<rusqlite::Result<_>>()?;
    deletion.mark.linked.sort_unstable();
    Ok(deletion)
}

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// `[[first row, row after the last], ...]`.
fn encode_ranges(rows: &HiddenRows) -> rusqlite::Result<String> {
    json(&rows.ranges().iter().map(|range| (range.start, range.end)).collect::<Vec<_>>())
}

fn decode_ranges(text: &str) -> Result<HiddenRows, StoreError> {
    let pairs: Result<Vec<(usize, usize)>, _> = serde_json::from_str(text);
    let pairs = pairs.map_err(|error| StoreError::Damaged(format!("manifest: hidden rows: {error}")))?;
    Ok(HiddenRows::new(pairs.into_iter().map(|(start, end)| Range { start, end }).collect()))
}
