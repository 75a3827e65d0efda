//! Load whose every acknowledged event is known, and the recount that must equal it.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::{App, Client, Throng};
use serde_json::{Value, json};

pub const BATCH_EVENTS: u64 = 20;

/// A configuration in which flushes and upkeep come so often that a test meets them; returns its path.
pub fn quick_config(folder: &std::path::Path, more: &str) -> Result<String> {
    let path = folder.join("throng.toml");
    std::fs::write(&path, format!("[stream]\nflush_interval_ms = 150\npublish_interval_ms = 20\nupkeep_interval_ms = 100\n{more}"))?;
    Ok(path.display().to_string())
}

/// The events `first..first + BATCH_EVENTS`; one and the same whenever it is sent. `time_ms` 0 leaves the time to the server.
pub fn batch(first: u64, time_ms: i64) -> Value {
    let event = |n: u64| {
        let mut event = json!({"name": format!("e{}", n % 3), "user_id": format!("u{}", n % 97), "insert_id": format!("id-{n}"), "properties": {"n": n}});
        if time_ms > 0 {
            event["timestamp"] = json!(time_ms + n as i64);
        }
        event
    };
    json!({ "events": (first..first + BATCH_EVENTS).map(event).collect::<Vec<_>>() })
}

/// Numbers of batches that were answered 200, all of `0..next` once a sender has ended.
#[derive(Default)]
pub struct Load {
    next: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    /// The events before `first` were sent.
    pub fn starting_at(first: u64) -> Self {
        Self { next: AtomicU64::new(first), ..Self::default() }
    }

    /// Events answered so far, or just about to be.
    pub fn begun(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Sends batches, each until it is answered 200, as an SDK does, until told to stop.
    pub fn send(&self, client: &Client, app: &App) -> Result<()> {
        let patience = Instant::now() + Duration::from_secs(60);
        while !self.stop.load(Ordering::SeqCst) {
            let first = self.next.fetch_add(BATCH_EVENTS, Ordering::SeqCst);
            while !matches!(client.post("/api/v1/events/batch", &app.write_key, &batch(first, 0)), Ok((200, _))) {
                ensure!(Instant::now() < patience, "events {first} and on were never answered");
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_millis(4));
        }
        Ok(())
    }
}

/// Stored events of all time, counted row by row: the filter on a property of every event keeps rollups out of it.
pub fn recount(client: &Client, app: &App) -> Result<(u64, bool)> {
    static ROUND: AtomicU64 = AtomicU64::new(0);
    // A range of its own each time passes the result cache.
    let round = ROUND.fetch_add(1, Ordering::Relaxed);
    let to = format!("2100-01-01T00:{:02}:{:02}.{:03}Z", round / 60_000 % 60, round / 1_000 % 60, round % 1_000);
    let filter = json!([{"property": "n", "op": "is_set"}]);
    let answer = client.ask(app, "query", &json!({"metric": "events", "from": "1990-01-01T00:00:00Z", "to": to, "filters": filter}))?;
    Ok((answer["results"][0]["events"].as_u64().unwrap_or(0), answer["complete"] == true))
}

/// Waits until the recount is this and nothing is missing.
pub fn wait_for_recount(client: &Client, app: &App, wanted: u64) -> Result<()> {
    wait_for(client, app, wanted, true)
}

/// As [`wait_for_recount`], where the answer says that older events were dropped.
pub fn wait_for_rest(client: &Client, app: &App, wanted: u64) -> Result<()> {
    wait_for(client, app, wanted, false)
}

fn wait_for(client: &Client, app: &App, wanted: u64, wanted_complete: bool) -> Result<()> {
    let started = Instant::now();
    loop {
        let (count, complete) = recount(client, app)?;
        if count == wanted && complete == wanted_complete {
            return Ok(());
        }
        if started.elapsed() > Duration::from_secs(15) {
            bail!("{count} events are stored (complete: {complete}), {wanted} were acknowledged");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Opens the manifest of a server that does not run.
pub fn manifest(server: &Throng) -> Result<rusqlite::Connection> {
    Ok(rusqlite::Connection::open(server.data().join("store/manifest.db"))?)
}

/// How long the apps of a stopped server keep raw events.
pub fn keep_days(server: &Throng, app: &App, days: i64) -> Result<()> {
    let metadata = rusqlite::Connection::open(server.data().join("metadata.sqlite"))?;
    ensure!(metadata.execute("UPDATE apps SET raw_retention_days = ?1 WHERE id = ?2", (days, &app.id))? == 1);
    Ok(())
}

pub fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}

/// The problems that a check of the stopped folder finds, by kind.
pub fn problems(server: &Throng, arguments: &[&str]) -> Result<Vec<String>> {
    let output = server.try_command(&[&["check", "--json"], arguments].concat(), None)?;
    let checked: Value = serde_json::from_slice(&output.stdout)?;
    let findings = checked["findings"].as_array().context("findings")?;
    let problems = findings.iter().filter(|finding| finding["severity"] == "problem");
    let kinds: Vec<String> = problems.filter_map(|finding| finding["kind"].as_str().map(str::to_owned)).collect();
    ensure!(output.status.success() == kinds.is_empty(), "{checked}");
    Ok(kinds)
}
