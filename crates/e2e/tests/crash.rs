//! Nothing acknowledged is lost or doubled, whenever the process is killed. The control arm runs the same with dedupe switched off and must find doubles.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what it found by panicking")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use e2e::{App, Client, Throng};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

const KILLS: usize = 20;
const SENDERS: usize = 4;
const BATCH_EVENTS: u64 = 20;
const MAX_RESTART: Duration = Duration::from_secs(5);

fn batch(first: u64) -> Value {
    let events: Vec<Value> = (first..first + BATCH_EVENTS)
        .map(
            |n| json!({"name": "page_view", "user_id": format!("u{}", n % 997), "insert_id": format!("crash-{n}"), "properties": {"n": n}}),
        )
        .collect();
    json!({ "events": events })
}

/// Sends batches until told to stop; one that got no answer, or a refusal that asks to try again, is sent again. Returns events answered 200.
fn send_until(client: &Client, app: &App, next: &AtomicU64, stop: &AtomicBool, resend_share: f64, seed: u64) -> u64 {
    let mut random = StdRng::seed_from_u64(seed);
    let mut answered = 0;
    let mut waiting: VecDeque<u64> = VecDeque::new();
    while !stop.load(Ordering::Relaxed) || !waiting.is_empty() {
        let first = waiting.pop_front().unwrap_or_else(|| next.fetch_add(BATCH_EVENTS, Ordering::Relaxed));
        let body = batch(first);
        match client.post("/api/v1/events/batch", &app.write_key, &body) {
            Ok((200, _)) => {
                answered += BATCH_EVENTS;
                if random.random_bool(resend_share) {
                    // A client whose answer was lost on the way sends the same again.
                    let _ = client.post("/api/v1/events/batch", &app.write_key, &body);
                }
            }
            Ok((503 | 429, _)) | Err(_) => {
                waiting.push_back(first);
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok((status, answer)) => panic!("{status}: {answer}"),
        }
    }
    answered
}

/// Runs load, kills the server `KILLS` times, and returns `(events sent, events stored)`.
fn crash_run(arguments: &[&str], seed: u64) -> Result<(u64, u64)> {
    let mut server = Throng::start(arguments)?;
    let app = server.create_app("crash", &[])?;
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut random = StdRng::seed_from_u64(seed);
    let client = server.client();
    let mut slowest = Duration::ZERO;
    let sent = std::thread::scope(|scope| -> Result<u64> {
        let (client, app, next, stop) = (&client, &app, &next, &stop);
        let senders: Vec<_> =
            (0..SENDERS as u64).map(|i| scope.spawn(move || send_until(client, app, next, stop, 0.05, seed + i))).collect();
        for _ in 0..KILLS {
            std::thread::sleep(Duration::from_millis(random.random_range(20..600)));
            server.kill()?;
            slowest = slowest.max(server.restart()?);
        }
        stop.store(true, Ordering::Relaxed);
        Ok(senders.into_iter().map(|sender| sender.join().unwrap()).sum())
    })?;
    assert!(slowest < MAX_RESTART, "a restart took {slowest:?}");
    assert!(sent > 0);
    let stored = settled_count(&client, &app, sent)?;
    eprintln!("{KILLS} kills: {sent} events answered, {stored} stored, slowest restart {slowest:?}");
    assert_ledger_adds_up(&client, &app, stored)?;
    Ok((sent, stored))
}

/// The count once it no longer moves, and at least `sent`.
fn settled_count(client: &Client, app: &App, sent: u64) -> Result<u64> {
    let mut last = 0;
    for _ in 0..60 {
        std::thread::sleep(Duration::from_secs(1));
        // A different limit each time passes the result cache.
        let now = client.count_events(app)?;
        if now == last && now >= sent {
            break;
        }
        last = now;
    }
    Ok(last)
}

fn assert_ledger_adds_up(client: &Client, app: &App, stored: u64) -> Result<()> {
    let (status, ledger) = client
        .get_with_key(&format!("/api/v1/analytics/{}/ledger?from=1990-01-01T00:00:00Z&to=2100-01-01T00:00:00Z", app.id), &app.read_key)?;
    assert_eq!(status, 200, "{ledger}");
    let total = |field: &str| ledger["totals"][field].as_u64().unwrap_or_else(|| panic!("{field} in {ledger}"));
    assert_eq!(total("received"), total("stored") + total("duplicate") + total("rejected"), "{ledger}");
    assert_eq!(total("stored"), stored, "{ledger}");
    Ok(())
}

#[test]
fn twenty_kills_lose_and_double_nothing() -> Result<()> {
    let (sent, stored) = crash_run(&[], 1)?;
    assert_eq!(stored, sent);
    Ok(())
}

#[test]
fn control_arm_without_dedupe_finds_doubles() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("throng.toml");
    std::fs::write(&config, "[stream]\ndedupe_enabled = false\n")?;
    let (sent, stored) = crash_run(&["--config", &config.display().to_string()], 2)?;
    assert!(stored > sent, "without dedupe {stored} events are stored for {sent} sent: the test above could not fail");
    Ok(())
}
