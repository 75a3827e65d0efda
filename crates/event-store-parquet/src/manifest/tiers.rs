use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use event_store::StoreError;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Manifest, sql_error};
use crate::segment::SegmentInfo;

/// Manifests of earlier versions know no object storage.
const VERSION_WITH_TIERS: i64 = 3;

impl Manifest {
    /// A number that no other store has, made when it is first asked for: the folder of this store's objects.
    pub(crate) fn store_id(&self) -> Result<u64, StoreError> {
        self.transaction(|tx| {
            tx.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('store', random())", [])?;
            tx.query_row("SELECT value FROM meta WHERE key = 'store'", [], |row| row.get::<_, i64>(0))
        })
        .map(|id| id as u64)
    }

    /// Objects by the segments that are kept there.
    pub(crate) fn tiered(&self) -> Result<HashMap<u64, Arc<str>>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare("SELECT segment, object FROM tiered").map_err(sql_error)?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?))).map_err(sql_error)?;
        rows.collect::<Result<_, _>>().map_err(sql_error)
    }

    /// As [`Manifest::tiered`], and nothing in a manifest from before there was object storage.
    pub(crate) fn tiered_if_any(&self) -> Result<HashMap<u64, Arc<str>>, StoreError> {
        if self.has_tiers()? { self.tiered() } else { Ok(HashMap::new()) }
    }

    fn has_tiers(&self) -> Result<bool, StoreError> {
        Ok(self.version()? >= VERSION_WITH_TIERS)
    }

    /// Every object that is named: those of segments and those that are about to be deleted.
    pub(crate) fn objects(&self) -> Result<HashSet<String>, StoreError> {
        if !self.has_tiers()? {
            return Ok(HashSet::new());
        }
        let reader = self.reader();
        let sql = "SELECT object FROM tiered UNION SELECT object FROM tier_garbage";
        let mut statement = reader.prepare(sql).map_err(sql_error)?;
        statement.query_map([], |row| row.get(0)).and_then(Iterator::collect).map_err(sql_error)
    }

    /// The number made by [`Manifest::store_id`], if it was.
    pub(crate) fn known_store_id(&self) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT value FROM meta WHERE key = 'store'";
        let found = self.reader().query_row(sql, [], |row| row.get::<_, i64>(0)).optional();
        Ok(found.map_err(sql_error)?.map(|id| id as u64))
    }

    /// Where the manifest says that a segment is now: `None` nowhere, `Some(None)` in the folder, `Some(Some(_))` in an object.
    pub(crate) fn place_of(&self, segment: &SegmentInfo) -> Result<Option<Option<Arc<str>>>, StoreError> {
        let sql = match self.has_tiers()? {
            true => "SELECT object FROM segments LEFT JOIN tiered ON segment = id WHERE id = ?1 AND path = ?2",
            false => "SELECT NULL FROM segments WHERE id = ?1 AND path = ?2",
        };
        let found = self.reader().query_row(sql, params![segment.id as i64, segment.path], |row| row.get(0)).optional();
        found.map_err(sql_error)
    }

    /// Writes an object down as needed by nobody, before it is uploaded for a segment.
    pub(crate) fn add_garbage(&self, object: &str, segment: u64) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO tier_garbage (object, segment) VALUES (?1, ?2)";
        self.transaction(|tx| tx.execute(sql, params![object, segment as i64]).map(|_| ()))
    }

    /// Objects that no segment needs.
    pub(crate) fn garbage(&self) -> Result<Vec<String>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached("SELECT object FROM tier_garbage ORDER BY object").map_err(sql_error)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(sql_error)?;
        rows.collect::<Result<_, _>>().map_err(sql_error)
    }

    /// True while objects of segments that a person was deleted from are still there.
    pub(crate) fn has_garbage_of(&self, deletion: &str) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM tier_garbage JOIN deletion_segments USING (segment) WHERE deletion = ?1)";
        self.reader().query_row(sql, params![deletion], |row| row.get(0)).map_err(sql_error)
    }

    /// The object is gone.
    pub(crate) fn garbage_deleted(&self, object: &str) -> Result<(), StoreError> {
        self.transaction(|tx| tx.execute("DELETE FROM tier_garbage WHERE object = ?1", params![object]).map(|_| ()))
    }

    /// The segment is in its object from now on.
    pub(crate) fn set_tiered(&self, segment: u64, object: &str) -> Result<(), StoreError> {
        self.transaction(|tx| {
            tx.execute("DELETE FROM tier_garbage WHERE object = ?1", params![object])?;
            tx.execute("INSERT INTO tiered (segment, object) VALUES (?1, ?2)", params![segment as i64, object]).map(|_| ())
        })
    }
}

/// The segment is not live any more, and nobody needs its object.
pub(super) fn segment_replaced(tx: &Transaction<'_>, segment: u64) -> rusqlite::Result<()> {
    let garbage = "INSERT OR IGNORE INTO tier_garbage (object, segment) SELECT object, segment FROM tiered WHERE segment = ?1";
    tx.prepare_cached(garbage)?.execute(params![segment as i64])?;
    tx.prepare_cached("DELETE FROM tiered WHERE segment = ?1")?.execute(params![segment as i64]).map(|_| ())
}

/// Makes of a copied manifest one whose segments are all in its folder, and which another store's objects are none of.
pub(crate) fn bring_home(copy: &Path) -> Result<(), StoreError> {
    let mut copied = Connection::open(copy).map_err(sql_error)?;
    // One plain file, with nothing beside it.
    copied.pragma_update(None, "journal_mode", "DELETE").map_err(sql_error)?;
    let tx = copied.transaction().map_err(sql_error)?;
    let version: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql_error)?;
    if version >= VERSION_WITH_TIERS {
        tx.execute_batch("DELETE FROM tiered; DELETE FROM tier_garbage; DELETE FROM meta WHERE key = 'store'").map_err(sql_error)?;
    }
    tx.commit().map_err(sql_error)
}
