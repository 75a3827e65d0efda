//! What is lost is told, and mended where it can be: records of the log that were damaged before they were stored, files of insert ids.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what it found by panicking")]

mod acknowledged;

use acknowledged::{BATCH_EVENTS, batch, quick_config, recount, wait_for_recount};
use anyhow::{Context, Result, ensure};
use e2e::{App, Client, Throng};
use serde_json::{Value, json};
use tempfile::TempDir;

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

/// Insert ids that were lost, one file or all of them, are known again after the next start: what is sent again is not stored again.
#[test]
fn lost_insert_ids_are_collected_from_the_stored_events() -> Result<()> {
    let folder = TempDir::new()?;
    let mut server = Throng::start(&["--config", &quick_config(folder.path(), "")?])?;
    let app = server.create_app("insert-ids", &[])?;
    let send_all = |server: &Throng| -> Result<()> {
        for number in 0..20 {
            ensure!(server.client().post("/api/v1/events/batch", &app.write_key, &batch(number * BATCH_EVENTS, 0))?.0 == 200);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Ok(())
    };
    send_all(&server)?;
    let dedupe = server.data().join("stream/dedupe");
    for lost in ["one file", "all of them"] {
        wait_for_recount(&server.client(), &app, 20 * BATCH_EVENTS).with_context(|| lost.to_owned())?;
        ensure!(server.terminate()?.1);
        server.check().with_context(|| format!("before {lost}"))?;
        if lost == "all of them" {
            std::fs::remove_dir_all(&dedupe)?;
        } else {
            let mut runs: Vec<_> = std::fs::read_dir(&dedupe)?.flatten().map(|entry| entry.path()).collect();
            runs.retain(|path| path.extension().is_some_and(|extension| extension == "run"));
            runs.sort();
            std::fs::remove_file(runs.first().context("a run")?)?;
        }
        let found = server.try_command(&["check", "--json"], None)?;
        ensure!(String::from_utf8_lossy(&found.stdout).contains("\"dedupe\"") && !found.status.success(), "{lost}: {found:?}");
        server.restart()?;
        send_all(&server)?;
        std::thread::sleep(std::time::Duration::from_millis(500));
        ensure!(recount(&server.client(), &app)? == (20 * BATCH_EVENTS, true), "{lost}");
    }
    ensure!(server.terminate()?.1);
    server.check()?;
    Ok(())
}
