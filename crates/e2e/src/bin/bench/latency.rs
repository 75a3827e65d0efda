//! From the answer 200 to the event in `/query` and on the live stream, while half of the peak load runs beside it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::load::{Load, run as send};
use e2e::{App, Client, Throng};
use serde_json::{Value, json};

use crate::report::{Table, machine, milliseconds, publish, thousands};

const PROBES: usize = 200;
const LOADS: [f64; 2] = [0.0, 50_000.0];

/// Follows `/realtime/stream` and keeps the newest count of probe events it has shown.
fn follow(address: std::net::SocketAddr, app: &App, shown: &AtomicU64) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let path = format!("/api/v1/analytics/{}/realtime/stream?minutes=60", app.id);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: throng\r\nauthorization: Bearer {}\r\n\r\n", app.read_key)?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let Some(data) = line.strip_prefix("data:") else { continue };
        let Ok(value) = serde_json::from_str::<Value>(data) else { continue };
        let events = value["top_events"].as_array().into_iter().flatten();
        let count = events.filter(|event| event["event"] == json!("probe")).filter_map(|event| event["events"].as_u64()).max();
        if let Some(count) = count {
            shown.fetch_max(count, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn wait(mut done: impl FnMut() -> Result<bool>) -> Result<Duration> {
    let started = Instant::now();
    while !done()? {
        anyhow::ensure!(started.elapsed() < Duration::from_secs(30), "a probe did not arrive within 30 s");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(started.elapsed())
}

/// Times from the answer to `/query` and to the stream, ascending.
fn probe(client: &Client, app: &App, shown: &AtomicU64, first: usize) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let (mut to_query, mut to_stream) = (Vec::new(), Vec::new());
    for n in first..first + PROBES {
        client.send(app, &[json!({"name": "probe", "user_id": format!("p{n}"), "insert_id": format!("probe-{n}")})])?;
        let wanted = n as u64 + 1;
        to_stream.push(wait(|| Ok(shown.load(Ordering::Relaxed) >= wanted))?);
        client.send(app, &[json!({"name": "query_probe", "user_id": "q", "insert_id": format!("query-{n}"), "properties": {"n": n}})])?;
        let request = |turn: u64| json!({"metric": "events", "event": "query_probe", "range": "1h", "filters": [{"property": "n", "op": "between", "value": [n, n as f64 + turn as f64 / 1e6]}]});
        let mut turn = 0;
        to_query.push(wait(|| {
            turn += 1;
            Ok(client.ask(app, "query", &request(turn))?["results"][0]["events"] == json!(1))
        })?);
    }
    to_query.sort_unstable();
    to_stream.sort_unstable();
    Ok((to_query, to_stream))
}

/// Runs without and with load and publishes the table.
pub fn run() -> Result<()> {
    let server = Throng::start(&[])?;
    let (app, other) = (server.create_app("probes", &[])?, server.create_app("load", &[])?);
    let client = server.client();
    let shown = &*Box::leak(Box::new(AtomicU64::new(0)));
    let (address, follower) = (server.address(), app.clone());
    std::thread::spawn(move || follow(address, &follower, shown));
    let mut table = Table::new(&["load", "from 200 to", "p50", "p99", "worst"]);
    for (round, rate) in LOADS.into_iter().enumerate() {
        let measured = std::thread::scope(|scope| {
            let path = "/api/v1/events/batch".to_owned();
            let load = Load {
                address,
                path,
                key: other.write_key.clone(),
                connections: 16,
                batch_events: 20,
                duration: Duration::from_secs(60),
                events_per_second: Some(rate),
            };
            if rate > 0.0 {
                scope.spawn(move || send(&load));
            }
            probe(&client, &app, shown, round * PROBES)
        })?;
        for (name, times) in [("`/query`", measured.0), ("the live stream", measured.1)] {
            let at = |share: f64| times.get(((times.len() - 1) as f64 * share).round() as usize).copied().context("no probes");
            let load = format!("{} events/s", thousands(rate));
            table.row(&[load, name.to_owned(), milliseconds(at(0.5)?), milliseconds(at(0.99)?), milliseconds(at(1.0)?)]);
        }
    }
    publish(
        "From the answer to the chart",
        &format!("{PROBES} probes each, one after the other; {}. The goal is 1,000 ms at p99.", machine()),
        &table,
    )
}
