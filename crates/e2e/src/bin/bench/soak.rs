//! Half an hour of ingestion and questions together: do the answers stay as fast, the segments as few, and the memory as small?

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::load::{Load, Outcome, run as send};
use e2e::{App, Client, Throng};
use serde_json::{Value, json};

use crate::disk::{self, Used};
use crate::report::{Table, machine, milliseconds, publish, thousands};

const DEFAULT_MINUTES: u64 = 30;
const HISTORY_EVENTS: u64 = 5_000_000;
const EVENTS_PER_SECOND: f64 = 2_000.0;
const PAUSE: Duration = Duration::from_millis(500);
/// Rows of the table: each is the same part of the time.
const PARTS: u64 = 6;

/// Questions about days that are over, whose times must not change, and one about the hour in which events come in. `round` makes
/// each one new, so that no answer is kept.
fn questions(round: usize) -> [(&'static str, Value); 6] {
    let limit = 100 + round;
    [
        ("query", json!({"metric": "unique_users", "interval": "day", "range": "90d", "limit": limit})),
        (
            "query",
            json!({"metrics": ["events", "unique_users"], "group_by": ["country", "device_type", "browser"], "range": "30d", "limit": limit}),
        ),
        (
            "query",
            json!({"metrics": ["sum:price", "p95:price"], "event": "purchase", "group_by": ["plan", "country"], "range": "90d", "limit": limit}),
        ),
        (
            "funnel",
            json!({"steps": ["page_view", "add_to_cart", "purchase"], "window": "7d", "range": "90d", "breakdown": "device_type", "limit": limit}),
        ),
        (
            "query",
            json!({"metric": "unique_users", "range": "90d", "filters": [{"property": "url", "op": "contains", "value": format!("item-{}", round % 900)}]}),
        ),
        ("query", json!({"metrics": ["events", "unique_users"], "group_by": "url", "range": "1h", "limit": limit})),
    ]
}

/// What one part of the time showed.
struct Part {
    ingested: Outcome,
    /// Ascending.
    question_times: Vec<Duration>,
    resident_bytes: u64,
    /// Bytes of decoded columns that are kept, a part of the resident ones.
    kept_bytes: f64,
    store: Used,
}

/// `bench soak [--minutes N]`: measures and publishes the table.
pub fn run(arguments: &[&str]) -> Result<()> {
    let minutes = match arguments {
        [] => DEFAULT_MINUTES,
        ["--minutes", minutes] => minutes.parse().context("--minutes takes a number")?,
        _ => bail!("usage: bench soak [--minutes N]"),
    };
    let server = Throng::start(&[])?;
    let app = server.create_app("shop", &[])?;
    let (url, events) = (server.url(), HISTORY_EVENTS.to_string());
    let simulate =
        ["simulate", "--url", &url, "--write-key", &app.write_key, "--events", &events, "--days", "90", "--seed", "1", "--rate", "0"];
    ensure!(Command::new(Throng::program()?).args(simulate).status()?.success(), "simulate failed");
    let length = Duration::from_secs(minutes * 60 / PARTS);
    // The first part begins once the history is compacted and the columns are warm.
    ask_all(&server.client(), &app, 0)?;
    let parts = (0..PARTS).map(|_| part(&server, &app, length)).collect::<Result<Vec<_>>>()?;
    let mut table = Table::new(&[
        "minutes",
        "events/s",
        "answer p99",
        "refused",
        "question p50",
        "question p95",
        "questions",
        "memory",
        "of it kept columns",
        "segments",
        "store on disk",
    ]);
    for (part, number) in parts.iter().zip(1u64..) {
        let at = |share: f64| milliseconds(part.question_times[((part.question_times.len() - 1) as f64 * share).round() as usize]);
        table.row(&[
            format!("{} to {}", (number - 1) * minutes / PARTS, number * minutes / PARTS),
            thousands(part.ingested.events as f64 / part.ingested.seconds),
            milliseconds(part.ingested.quantile(0.99)),
            part.ingested.refused.to_string(),
            at(0.5),
            at(0.95),
            part.question_times.len().to_string(),
            format!("{} MiB", part.resident_bytes >> 20),
            format!("{:.0} MiB", part.kept_bytes / f64::from(1 << 20)),
            part.store.segments.to_string(),
            format!("{} MiB", part.store.bytes >> 20),
        ]);
    }
    let words = format!(
        "{} events of history over 90 days, then {} events/s in requests of 20 and six kinds of questions in turn, one every {} ms; {}.",
        thousands(HISTORY_EVENTS as f64),
        thousands(EVENTS_PER_SECOND),
        PAUSE.as_millis(),
        machine()
    );
    publish("Half an hour of ingestion and questions", &words, &table)
}

fn part(server: &Throng, app: &App, length: Duration) -> Result<Part> {
    let stop = AtomicBool::new(false);
    let (ingested, question_times) = std::thread::scope(|scope| -> Result<_> {
        let asking = scope.spawn(|| ask_until(&stop, &server.client(), app));
        let ingested = send(&Load {
            address: server.address(),
            path: "/api/v1/events/batch".to_owned(),
            key: app.write_key.clone(),
            connections: 2,
            batch_events: 20,
            duration: length,
            events_per_second: Some(EVENTS_PER_SECOND),
        });
        stop.store(true, Ordering::Relaxed);
        let times = asking.join().map_err(|_| anyhow::anyhow!("the asker panicked"))?;
        Ok((ingested?, times?))
    })?;
    let (resident_bytes, _) = server.memory_bytes()?;
    let kept_bytes =
        server.client().metric("throng_store_decoded_column_bytes")? + server.client().metric("throng_store_decoded_space_bytes")?;
    Ok(Part { ingested, question_times, resident_bytes, kept_bytes, store: disk::used(&server.data().join("store")) })
}

fn ask_until(stop: &AtomicBool, client: &Client, app: &App) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        times.extend(ask_all(client, app, round)?);
    }
    times.sort_unstable();
    Ok(times)
}

/// Each question once, with a pause after it.
fn ask_all(client: &Client, app: &App, round: usize) -> Result<Vec<Duration>> {
    questions(round)
        .iter()
        .map(|(call, question)| {
            let asked = Instant::now();
            client.ask(app, call, question)?;
            let time = asked.elapsed();
            std::thread::sleep(PAUSE.saturating_sub(time));
            Ok(time)
        })
        .collect()
}
