//! How long an event waits for its answer while eight heavy questions run beside it, with their threads standing back and without.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::load::{Load, Outcome, run as send};
use e2e::{App, Throng};
use serde_json::{Value, json};

use crate::report::{Table, machine, milliseconds, publish, thousands};

const EVENTS: u64 = 2_000_000;
const ASKERS: usize = 8;
const EVENTS_PER_SECOND: f64 = 10_000.0;
const DURATION: Duration = Duration::from_secs(20);

/// Questions that no cache and no rollup answers; `round` makes each one new.
fn heavy_questions(round: u64) -> [(&'static str, Value); 4] {
    [
        ("query", json!({"metrics": ["unique_users", "events"], "group_by": ["url", "country"], "range": "90d", "limit": 100 + round})),
        ("query", json!({"metric": "unique_users", "interval": "hour", "range": "90d", "limit": 100 + round})),
        (
            "query",
            json!({"metric": "events", "filters": [{"property": "url", "op": "matches", "value": format!("item-{}$", round % 90)}], "range": "90d"}),
        ),
        (
            "funnel",
            json!({"steps": ["page_view", "add_to_cart", "purchase"], "window": "7d", "range": "90d", "breakdown": "url", "limit": 100 + round}),
        ),
    ]
}

fn ingestion(server: &Throng, app: &App) -> Result<Outcome> {
    send(&Load {
        address: server.address(),
        path: "/api/v1/events/batch".to_owned(),
        key: app.write_key.clone(),
        connections: 4,
        batch_events: 20,
        duration: DURATION,
        events_per_second: Some(EVENTS_PER_SECOND),
    })
}

/// Ingestion beside questions: what came of it, and how many were answered.
fn beside_questions(server: &Throng, app: &App) -> Result<(Outcome, u64)> {
    let (stop, rounds, answered) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for asker in 0..ASKERS {
            let (client, stop, rounds, answered) = (server.client(), &stop, &rounds, &answered);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let (call, question) = &heavy_questions(rounds.fetch_add(1, Ordering::Relaxed))[asker % 4];
                    let path = format!("/api/v1/analytics/{}/{call}", app.id);
                    if matches!(client.post(&path, &app.read_key, question), Ok((200, _))) {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let outcome = ingestion(server, app);
        stop.store(true, Ordering::Relaxed);
        Ok((outcome?, answered.load(Ordering::Relaxed)))
    })
}

/// Measures both and publishes the table.
pub fn run() -> Result<()> {
    let mut table =
        Table::new(&["threads of questions", "beside ingestion", "answer p50", "p99", "worst", "refused", "questions answered"]);
    for niceness in [10, 0] {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("throng.toml");
        std::fs::write(&config, format!("[query]\nniceness = {niceness}\n"))?;
        let server = Throng::start(&["--config", &config.display().to_string()])?;
        let app = server.create_app("shop", &[])?;
        let (url, events) = (server.url(), EVENTS.to_string());
        let arguments =
            ["simulate", "--url", &url, "--write-key", &app.write_key, "--events", &events, "--days", "90", "--seed", "1", "--rate", "0"];
        anyhow::ensure!(Command::new(Throng::program()?).args(arguments).status()?.success(), "simulate failed");
        let alone = ingestion(&server, &app).context("alone")?;
        let (beside, answered) = beside_questions(&server, &app)?;
        for (what, outcome, answered) in [("nothing", alone, 0), ("8 heavy questions", beside, answered)] {
            let at = |share: f64| milliseconds(outcome.quantile(share));
            let cells = [
                format!("niceness {niceness}"),
                what.to_owned(),
                at(0.5),
                at(0.99),
                at(1.0),
                outcome.refused.to_string(),
                answered.to_string(),
            ];
            table.row(&cells);
        }
    }
    let words = format!(
        "{} events/s in requests of 20, each answered when durable, on a store of {} events; {}. Niceness 10 is the default, 0 lets questions compete as equals.",
        thousands(EVENTS_PER_SECOND),
        thousands(EVENTS as f64),
        machine()
    );
    publish("Ingestion beside heavy questions", &words, &table)
}
