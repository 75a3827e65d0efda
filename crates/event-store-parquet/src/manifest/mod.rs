//! The manifest: a SQLite database that says what exists. Segments, rollups, ledger and log position change in one transaction.

mod deletions;
mod inspect;
mod ledger;
mod links;
mod lost;
mod rollups;
mod segments;
mod tiers;
mod view;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use event_store::{LostRecords, StoreError};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::identity::LinkDelta;
use crate::ledger::LedgerDelta;
use crate::rollup::AppRollups;
use crate::segment::SegmentInfo;

pub(crate) use deletions::{SegmentCover, SegmentFinding, StoredDeletion, StoredDeletionSegment};
pub(crate) use inspect::UnbalancedMinute;
pub(crate) use rollups::{StoredRollup, first_whole_period};
pub(crate) use tiers::bring_home;
pub(crate) use view::{ManifestView, RollupRange};

/// File name in the store's folder.
pub(crate) const FILE: &str = "manifest.db";

/// Layout of the database; a later one is refused, earlier ones are brought to this one.
const VERSION: i64 = 4;

/// Of a new database. With SQLite's 4 KiB a sketch of more than 1 KiB has an overflow page of its own, and the rollups of a busy shop
/// take 2.3 times the room.
const PAGE_BYTES: i64 = 8_192;

const SCHEMA: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL, block_hashes BLOB NOT NULL, rows INTEGER NOT NULL,
    min_ms INTEGER NOT NULL, max_ms INTEGER NOT NULL, apps TEXT NOT NULL
);
CREATE TABLE rollups (
    app TEXT NOT NULL, size INTEGER NOT NULL, start_ms INTEGER NOT NULL, event TEXT NOT NULL,
    events INTEGER NOT NULL, users BLOB NOT NULL, PRIMARY KEY (app, size, start_ms, event)
) WITHOUT ROWID;
CREATE TABLE raw_floors (app TEXT PRIMARY KEY, from_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE ledger (
    app TEXT NOT NULL, minute_ms INTEGER NOT NULL, received INTEGER NOT NULL, stored INTEGER NOT NULL, duplicate INTEGER NOT NULL,
    rejected TEXT NOT NULL, PRIMARY KEY (app, minute_ms)
) WITHOUT ROWID;
CREATE INDEX ledger_by_minute ON ledger (minute_ms);
CREATE TABLE rejected (
    id INTEGER PRIMARY KEY, app TEXT NOT NULL, received_at_ms INTEGER NOT NULL, event_index INTEGER NOT NULL, code TEXT NOT NULL,
    message TEXT NOT NULL, raw BLOB NOT NULL
);
CREATE INDEX rejected_by_app ON rejected (app, id);
CREATE INDEX rejected_by_time ON rejected (received_at_ms);
";

/// Counts without the sketches beside them, by name: what most questions about rollups read. Made at every open, since a store may
/// have been written before it existed.
const COUNTS_INDEX: &str = "CREATE INDEX IF NOT EXISTS rollup_counts ON rollups (app, size, event, start_ms, events)";
/// From version 1 to 2: deletions of persons. An older program would show deleted rows again, so it must refuse this.
const DELETIONS: &str = "
CREATE TABLE deletions (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, app TEXT NOT NULL, person INTEGER NOT NULL, person_sha256 BLOB NOT NULL,
    requested_at_ms INTEGER NOT NULL, refuse_later INTEGER NOT NULL, rows INTEGER NOT NULL, rejected INTEGER NOT NULL, days TEXT NOT NULL,
    log_until_ms INTEGER, finished_at_ms INTEGER
);
CREATE INDEX deletions_by_app ON deletions (app, number);
CREATE INDEX deletions_unfinished ON deletions (number) WHERE finished_at_ms IS NULL;
CREATE TABLE deletion_segments (
    deletion TEXT NOT NULL, segment INTEGER NOT NULL, path TEXT NOT NULL, rows INTEGER, hidden TEXT, rewritten INTEGER NOT NULL,
    PRIMARY KEY (deletion, segment)
) WITHOUT ROWID;
CREATE INDEX deletion_segments_by_segment ON deletion_segments (segment);
";

/// From version 2 to 3: segments in object storage. An older program would look for their files and find none.
const TIERS: &str = "
CREATE TABLE tiered (segment INTEGER PRIMARY KEY, object TEXT NOT NULL);
CREATE TABLE tier_garbage (object TEXT PRIMARY KEY, segment INTEGER NOT NULL) WITHOUT ROWID;
";

/// From version 3 to 4: links between ids, which an older program would not add to, nor take out those of a deleted person; and sketches in their
/// packed form, which it cannot read. Sketches that are there stay as they are.
const LINKS: &str = "
CREATE TABLE links (
    app TEXT NOT NULL, source INTEGER NOT NULL, source_id TEXT NOT NULL, target_id TEXT NOT NULL, time_ms INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL, PRIMARY KEY (app, source)
) WITHOUT ROWID;
CREATE TABLE deletion_ids (
    deletion TEXT NOT NULL, person INTEGER NOT NULL, person_sha256 BLOB NOT NULL, PRIMARY KEY (deletion, person)
) WITHOUT ROWID;
INSERT INTO meta (key, value) SELECT 'links_unread', 1 WHERE EXISTS (SELECT 1 FROM segments);
";

/// What brings a manifest of each version, from 1 on, to the next.
const UPGRADES: [&str; 3] = [DELETIONS, TIERS, LINKS];

/// Everything a flush makes durable.
pub(crate) struct FlushRecord<'a> {
    pub(crate) segments: &'a [SegmentInfo],
    pub(crate) rollups: &'a std::collections::BTreeMap<std::sync::Arc<str>, AppRollups>,
    pub(crate) ledger: &'a LedgerDelta,
    pub(crate) links: &'a LinkDelta,
    pub(crate) position: u64,
    /// All losses, when there are new ones.
    pub(crate) lost: Option<&'a [LostRecords]>,
}

/// One connection that writes, one that reads what was committed while the other is in a transaction, and some for [`ManifestView`]s.
pub(crate) struct Manifest {
    path: PathBuf,
    idle: view::Idle,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    in_doubt: AtomicBool,
}

impl Manifest {
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let mut writer = connect(&path)?;
        let version: i64 = writer.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql_error)?;
        match version {
            0 => create(&mut writer)?,
            VERSION => {}
            earlier @ 1..VERSION => upgrade(&mut writer, earlier)?,
            other => {
                let text = format!("{} has format {other}; this version of throng reads formats 1 to {VERSION}", path.display());
                return Err(StoreError::Damaged(text));
            }
        }
        writer.execute_batch(COUNTS_INDEX).map_err(sql_error)?;
        lost::create(&writer)?;
        let reader = connect(&path)?;
        reader.pragma_update(None, "query_only", true).map_err(sql_error)?;
        Ok(Self {
            path,
            idle: view::Idle::default(),
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            in_doubt: AtomicBool::new(false),
        })
    }

    /// Log offset up to which everything is durable.
    pub(crate) fn position(&self) -> Result<u64, StoreError> {
        let reader = self.reader();
        let position = reader.query_row("SELECT value FROM meta WHERE key = 'position'", [], |row| row.get::<_, i64>(0)).optional();
        Ok(position.map_err(sql_error)?.unwrap_or(0) as u64)
    }

    /// One transaction for all of it.
    pub(crate) fn commit_flush(&self, record: &FlushRecord<'_>) -> Result<(), StoreError> {
        self.transaction(|tx| {
            segments::insert(tx, record.segments)?;
            for (app, rollups) in record.rollups {
                rollups::merge(tx, app, rollups)?;
            }
            ledger::merge(tx, record.ledger)?;
            links::merge(tx, record.links)?;
            if let Some(lost) = record.lost {
                lost::replace(tx, lost)?;
            }
            let sql = "INSERT INTO meta (key, value) VALUES ('position', ?1) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            tx.execute(sql, params![record.position as i64])?;
            Ok(())
        })
    }

    /// The largest number a segment ever had; a number is never given twice.
    pub(crate) fn last_segment(&self) -> Result<u64, StoreError> {
        let sql =
            "SELECT max(coalesce((SELECT value FROM meta WHERE key = 'last_segment'), 0), coalesce((SELECT max(id) FROM segments), 0))";
        self.reader().query_row(sql, [], |row| row.get::<_, i64>(0)).map(|id| id as u64).map_err(sql_error)
    }

    /// True after a commit of which nobody knows whether the next start will find it: no file it may name is deleted, and nothing
    /// more is written, as after a failed fsync of the log.
    pub(crate) fn in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Acquire)
    }

    fn failed_commit(&self, error: rusqlite::Error) -> StoreError {
        let error = sql_error(error);
        // Without room the frame that would make the transaction count was not written, so it surely does not.
        if !matches!(error, StoreError::Full(_)) {
            tracing::error!(%error, "a commit of the event store's manifest failed; the store takes no more writes; restart to recover");
            self.in_doubt.store(true, Ordering::Release);
        }
        error
    }

    fn transaction<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        if self.in_doubt() {
            return Err(StoreError::Io("manifest: an earlier commit failed; restart to recover".to_owned()));
        }
        let mut writer = self.writer();
        let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql_error)?;
        let result = work(&tx).map_err(sql_error)?;
        kill_point::reach("manifest.in_transaction");
        tx.commit().map_err(|error| self.failed_commit(error))?;
        Ok(result)
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(sql_error)?;
    // Means nothing to a database that exists, and must come before the first write to one that does not.
    connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(sql_error)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(sql_error)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(sql_error)?;
    connection.pragma_update(None, "cache_size", -4_096).map_err(sql_error)?;
    // What is deleted is overwritten: rows of a deleted person do not stay in free pages.
    connection.pragma_update(None, "secure_delete", true).map_err(sql_error)?;
    connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(sql_error)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Whether there is such a table: readers meet manifests of earlier versions.
fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1")?;
    statement.exists(params![name])
}

fn create(writer: &mut Connection) -> Result<(), StoreError> {
    let tx = writer.transaction().map_err(sql_error)?;
    tx.execute_batch(SCHEMA).map_err(sql_error)?;
    tx.commit().map_err(sql_error)?;
    upgrade(writer, 1)
}

fn upgrade(writer: &mut Connection, from: i64) -> Result<(), StoreError> {
    let tx = writer.transaction().map_err(sql_error)?;
    UPGRADES[from as usize - 1..].iter().try_for_each(|upgrade| tx.execute_batch(upgrade)).map_err(sql_error)?;
    tx.pragma_update(None, "user_version", VERSION).map_err(sql_error)?;
    tx.commit().map_err(sql_error)
}

/// What the caller can do about a failure of the database. Takes the error as `map_err` gives it.
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn sql_error(error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
    match error.sqlite_error_code() {
        Some(DiskFull) => StoreError::Full(format!("manifest: {error}")),
        Some(DatabaseCorrupt | NotADatabase) => StoreError::Damaged(format!("manifest: {error}")),
        _ => StoreError::Io(format!("manifest: {error}")),
    }
}
