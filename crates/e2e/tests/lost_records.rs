//! Records of the log that are damaged before they were stored: the rest is served, and answers over their time say what is missing.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what it found by panicking")]

mod acknowledged;

use acknowledged::{BATCH_EVENTS, batch, recount};
use anyhow::{Context, Result, ensure};
use e2e::{App, Client, Throng};
use serde_json::{Value, json};

const BATCHES: u64 = 200;

fn ask(client: &Client, app: &App, from: &str, to: &str) -> Result<Value> {
    client.ask(app, "query", &json!({"metric": "events", "from": from, "to": to}))
}

#[test]
fn lost_records_are_told_by_answers_metrics_and_check() -> Result<()> {
    let mut server = Throng::start(&[])?;
    let app = server.create_app("lost", &[])?;
    let client = server.client();
    for number in 0..BATCHES {
        ensure!(client.post("/api/v1/events/batch", &app.write_key, &batch(number * BATCH_EVENTS, 0))?.0 == 200);
    }
    server.kill()?;
    let log = std::fs::read_dir(server.data().join("log"))?.flatten().map(|entry| entry.path());
    let path = log.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "log")).context("a log file")?;
    let mut bytes = std::fs::read(&path)?;
    let middle = bytes.len() / 2;
    bytes[middle..middle + 3_000].fill(0xa5);
    std::fs::write(&path, bytes)?;
    let found = server.try_command(&["check", "--json"], None)?;
    let found: Value = serde_json::from_slice(&found.stdout)?;
    ensure!(
        found["findings"].as_array().is_some_and(|all| all.iter().any(|f| f["kind"] == "log" && f["severity"] == "problem")),
        "{found}"
    );

    for start in ["the first start", "the second start"] {
        server.restart()?;
        let client = server.client();
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        let (count, complete) = recount(&client, &app)?;
        let lost = BATCHES - count / BATCH_EVENTS;
        ensure!(!complete && lost > 0 && lost < 50 && count % BATCH_EVENTS == 0, "{start}: {count} of {BATCHES} batches, {complete}");
        let answer = ask(&client, &app, "1990-01-01T00:00:00Z", "2100-01-01T00:00:00Z")?;
        let missing = answer["missing"][0].as_str().unwrap_or_default().to_owned();
        ensure!(answer["complete"] == false && missing.contains(&format!("{lost} requests")), "{start}: {answer}");
        // Long before and long after nothing is missing.
        for (from, to) in [("1990-01-01T00:00:00Z", "2020-01-01T00:00:00Z"), ("2099-01-01T00:00:00Z", "2100-01-01T00:00:00Z")] {
            let answer = ask(&client, &app, from, to)?;
            ensure!(answer["complete"] == true, "{start}: {answer}");
        }
        let (_, metrics) = client.get("/metrics")?;
        let metrics = metrics.as_str().context("metrics")?;
        ensure!(metrics.contains(&format!("throng_store_lost_log_records {lost}\n")), "{start}");
        ensure!(server.terminate()?.1);
        let checked = server.check()?;
        let notes = checked["findings"].as_array().context("findings")?;
        ensure!(notes.iter().any(|finding| finding["kind"] == "lost_records"), "{start}: {checked}");
    }
    Ok(())
}
