use std::sync::Arc;

use event::person_hash;
use event_store::StoreError;
use rusqlite::{OptionalExtension, Params, Row, Transaction, params};

use super::{Manifest, has_table, sql_error};
use crate::identity::{LinkDelta, LinkOrder, Links, StoredLink};

impl Manifest {
    /// All links; `max_links` bounds those of an app that come later.
    pub(crate) fn load_links(&self, max_links: usize) -> Result<Links, StoreError> {
        let mut links = Links::new(max_links);
        let reader = self.reader();
        let sql = "SELECT app, source_id, target_id, time_ms, received_at_ms FROM links ORDER BY app, source";
        let mut statement = reader.prepare(sql).map_err(sql_error)?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, Arc<str>>(0)?, read(row)?))).map_err(sql_error)?;
        let mut of_app: Option<(Arc<str>, Vec<StoredLink>)> = None;
        for row in rows {
            let (app, link) = row.map_err(sql_error)?;
            match &mut of_app {
                Some((known, of_app)) if *known == app => of_app.push(link),
                _ => {
                    if let Some((app, of_app)) = of_app.replace((app, vec![link])) {
                        links.load(&app, of_app);
                    }
                }
            }
        }
        if let Some((app, of_app)) = of_app {
            links.load(&app, of_app);
        }
        Ok(links)
    }

    /// True for a store from before there were links, until those of its rows were written.
    pub(crate) fn links_unread(&self) -> Result<bool, StoreError> {
        let found = self.reader().query_row("SELECT 1 FROM meta WHERE key = 'links_unread'", [], |_| Ok(())).optional();
        found.map(|found| found.is_some()).map_err(sql_error)
    }

    /// Writes the links of the rows that could be read: all of them, or the next start reads again.
    pub(crate) fn insert_read_links(&self, links: &LinkDelta, are_all: bool) -> Result<(), StoreError> {
        self.transaction(|tx| {
            merge(tx, links)?;
            match are_all {
                true => tx.execute("DELETE FROM meta WHERE key = 'links_unread'", []).map(|_| ()),
                false => Ok(()),
            }
        })
    }

    /// The ids of these sources of links, as far as they are here.
    pub(crate) fn source_ids(&self, app: &str, sources: &[u64]) -> Result<Vec<String>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached("SELECT source_id FROM links WHERE app = ?1 AND source = ?2").map_err(sql_error)?;
        let mut ids = Vec::new();
        for &source in sources {
            let mut rows = statement.query(params![app, source as i64]).map_err(sql_error)?;
            if let Some(row) = rows.next().map_err(sql_error)? {
                ids.push(row.get(0).map_err(sql_error)?);
            }
        }
        Ok(ids)
    }

    /// Calls `each` with every link, its app, and the key it is stored by; there are none in a manifest from before there were any.
    pub(crate) fn each_link(&self, each: &mut dyn FnMut(&str, u64, StoredLink)) -> Result<(), StoreError> {
        self.links_where("", [], each)
    }

    /// As [`Manifest::each_link`], for one app.
    pub(crate) fn each_link_of(&self, app: &str, each: &mut dyn FnMut(u64, StoredLink)) -> Result<(), StoreError> {
        self.links_where("WHERE app = ?1", [app], &mut |_, source, link| each(source, link))
    }

    fn links_where(&self, filter: &str, values: impl Params, each: &mut dyn FnMut(&str, u64, StoredLink)) -> Result<(), StoreError> {
        let reader = self.reader();
        if !has_table(&reader, "links").map_err(sql_error)? {
            return Ok(());
        }
        let sql = format!("SELECT app, source_id, target_id, time_ms, received_at_ms, source FROM links {filter}");
        let mut statement = reader.prepare(&sql).map_err(sql_error)?;
        let mut rows = statement.query(values).map_err(sql_error)?;
        while let Some(row) = rows.next().map_err(sql_error)? {
            let app: Arc<str> = row.get(0).map_err(sql_error)?;
            each(&app, row.get::<_, i64>(5).map_err(sql_error)? as u64, read(row).map_err(sql_error)?);
        }
        Ok(())
    }
}

/// Writes what is new or has changed.
pub(super) fn merge(tx: &Transaction<'_>, delta: &LinkDelta) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO links (app, source, source_id, target_id, time_ms, received_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut insert = tx.prepare_cached(sql)?;
    for (app, links) in &delta.apps {
        for (source, link) in links {
            let StoredLink { source_id, target_id, order } = link;
            insert.execute(params![app, *source as i64, source_id, target_id, order.time_ms, order.received_at_ms])?;
        }
    }
    Ok(())
}

/// Takes out the links of these sources.
pub(super) fn forget(tx: &Transaction<'_>, app: &str, sources: &[u64]) -> rusqlite::Result<()> {
    let mut delete = tx.prepare_cached("DELETE FROM links WHERE app = ?1 AND source = ?2")?;
    sources.iter().try_for_each(|source| delete.execute(params![app, *source as i64]).map(|_| ()))
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredLink> {
    let target_id: Arc<str> = row.get(2)?;
    let target = person_hash(Some(&target_id), None).map_or(0, |hash| hash.0);
    let order = LinkOrder { time_ms: row.get(3)?, received_at_ms: row.get(4)?, target };
    Ok(StoredLink { source_id: row.get::<_, Box<str>>(1)?, target_id, order })
}
