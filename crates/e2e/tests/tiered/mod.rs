//! A server whose old segments go to object storage at once, and where they are.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{App, Client, Throng};
use serde_json::Value;

use crate::acknowledged::{manifest, quick_config};

const PATIENCE: Duration = Duration::from_secs(30);

/// A configuration in which what is older than a day moves; returns its path.
pub fn tiered_config(folder: &Path, url: &str, more: &str) -> Result<String> {
    quick_config(folder, &format!("[query]\ncache_ttl_ms = 0\n{more}\n[event_store.tier]\nurl = \"{url}\"\nafter_days = 1\n"))
}

/// Where a server's segments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    pub local: u64,
    pub tiered: u64,
    /// Objects that are to be deleted.
    pub garbage: u64,
    /// In both.
    pub rows: u64,
}

/// What the manifest says, also beside the running server.
pub fn places(server: &Throng) -> Result<Places> {
    let sql = "SELECT (SELECT count(*) FROM segments) - (SELECT count(*) FROM tiered), (SELECT count(*) FROM tiered),
                   (SELECT count(*) FROM tier_garbage), (SELECT coalesce(sum(rows), 0) FROM segments)";
    let count = |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column).map(|count| count as u64);
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Places { local: count(row, 0)?, tiered: count(row, 1)?, garbage: count(row, 2)?, rows: count(row, 3)? })
    };
    Ok(manifest(server)?.query_row(sql, [], read)?)
}

/// Waits until all rows are in object storage, and nothing else is.
pub fn wait_until_moved(server: &Throng, rows: u64) -> Result<()> {
    let started = Instant::now();
    loop {
        let now = places(server)?;
        if now.local == 0 && now.garbage == 0 && now.rows == rows {
            return Ok(());
        }
        ensure!(started.elapsed() < PATIENCE, "{now:?}, {rows} rows are to move:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// All files under a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] }).collect()
}

/// Segment files in the data folder.
pub fn local_files(server: &Throng) -> Vec<PathBuf> {
    let mut found = files(&server.data().join("store"));
    found.retain(|path| path.extension().is_some_and(|extension| extension == "parquet") && path.to_string_lossy().contains("/date="));
    found.retain(|path| !path.to_string_lossy().contains("tier-cache"));
    found
}

/// Deletes a person; its receipt's id.
pub fn delete_person(client: &Client, app: &App, admin_key: &str, person: &str) -> Result<String> {
    let (status, receipt) = client.delete(&format!("/api/v1/analytics/{}/persons/{person}", app.id), admin_key)?;
    ensure!(status == 202, "{status} {receipt}");
    Ok(receipt["deletion_id"].as_str().context("id")?.to_owned())
}

/// Waits until nothing of the person is left in any file or object.
pub fn wait_until_deleted(client: &Client, app: &App, admin_key: &str, id: &str) -> Result<()> {
    let started = Instant::now();
    loop {
        let receipt = client.get_with_key(&format!("/api/v1/analytics/{}/deletions/{id}", app.id), admin_key)?.1;
        if receipt["state"] == "finished" {
            return Ok(());
        }
        ensure!(started.elapsed() < PATIENCE, "{receipt}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A key that may delete.
pub fn admin_key(server: &Throng, app: &App) -> Result<String> {
    let made: Value = serde_json::from_str(&server.command(&["app", "add-key", &app.id, "--kind", "admin"])?)?;
    Ok(made["key"].as_str().context("a key")?.to_owned())
}
