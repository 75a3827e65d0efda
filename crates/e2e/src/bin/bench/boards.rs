//! A thousand who watch one dashboard of 20 tiles: how regularly they hear of it, what it costs, and what ingestion beside it loses.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::load::{Load, Outcome, run as send};
use e2e::{App, Throng};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::report::{Table, machine, milliseconds, publish, thousands};

const EVENTS: u64 = 1_000_000;
const VIEWERS: usize = 1_000;
const TILES: usize = 20;
const DURATION: Duration = Duration::from_secs(30);
const MIB: f64 = (1 << 20) as f64;

/// Twenty questions, no two the same.
fn tiles() -> Vec<Value> {
    const KEYS: [&str; 4] = ["country", "device_type", "browser", "url"];
    let question = |at: usize| match at % 5 {
        0 => ("query", json!({"metric": "unique_users", "interval": "day", "limit": 8 + at})),
        1 => ("query", json!({"metric": "events", "group_by": KEYS[at / 5], "limit": 10})),
        2 => ("funnel", json!({"steps": ["page_view", "add_to_cart", "purchase"], "window": format!("{}d", 1 + at)})),
        3 => ("lifecycle", json!({"period": "day", "limit": 1 + at})),
        _ => ("sessions", json!({"interval": "day", "limit": 1 + at})),
    };
    let tile = |at: usize| {
        let (call, request) = question(at);
        json!({"x": at % 4 * 3, "y": at / 4 * 3, "w": 3, "h": 3, "call": call, "request": request})
    };
    (0..TILES).map(tile).collect()
}

/// What the viewers have seen.
#[derive(Default)]
struct Seen {
    ticks: Mutex<Vec<Duration>>,
    tiles: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    counts: AtomicBool,
}

/// Watches the dashboard, and writes down the time from one tick to the next as long as that counts.
async fn watch(address: std::net::SocketAddr, app: &App, seen: &Seen) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let path = format!("/api/v1/apps/{}/dashboards/bench/stream", app.id);
    let request = format!("GET {path} HTTP/1.1\r\nhost: throng\r\nauthorization: Bearer {}\r\n\r\n", app.read_key);
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::with_capacity(16 << 10, stream);
    let (mut line, mut last) = (Vec::new(), None::<Instant>);
    while lines.read_until(b'\n', &mut line).await? > 0 {
        let counts = seen.counts.load(Ordering::Relaxed);
        if counts {
            seen.bytes.fetch_add(line.len() as u64, Ordering::Relaxed);
        }
        if line.starts_with(b"event: tile") && counts {
            seen.tiles.fetch_add(1, Ordering::Relaxed);
        }
        if line.starts_with(b"event: tick") {
            let before = last.replace(Instant::now());
            if let Some(before) = before.filter(|_| counts) {
                seen.ticks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(before.elapsed());
            }
        }
        line.clear();
    }
    seen.lost.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn ingestion(server: &Throng, app: &App) -> Result<Outcome> {
    send(&Load {
        address: server.address(),
        path: "/api/v1/events/batch".to_owned(),
        key: app.write_key.clone(),
        connections: 16,
        batch_events: 20,
        duration: DURATION,
        events_per_second: None,
    })
}

fn prepare(server: &Throng) -> Result<App> {
    let app = server.create_app("shop", &[])?;
    let (url, events) = (server.url(), EVENTS.to_string());
    let arguments =
        ["simulate", "--url", &url, "--write-key", &app.write_key, "--events", &events, "--days", "30", "--seed", "1", "--rate", "0"];
    ensure!(Command::new(Throng::program()?).args(arguments).status()?.success(), "simulate failed");
    let key: Value = serde_json::from_str(&server.command(&["app", "add-key", &app.id, "--kind", "admin"])?)?;
    let key = key["key"].as_str().context("no key")?;
    let board = json!({"id": "bench", "name": "Bench", "range": "30d", "tiles": tiles()});
    let (status, answer) = server.client().post(&format!("/api/v1/apps/{}/dashboards", app.id), key, &board)?;
    ensure!(status == 201, "{answer}");
    Ok(app)
}

/// Measures ingestion alone, then beside the viewers, and publishes the table.
pub fn run() -> Result<()> {
    let server = Throng::start(&[])?;
    let app = prepare(&server)?;
    let alone = ingestion(&server, &app).context("alone")?;
    let (memory_before, _) = server.memory_bytes()?;
    let seen = Arc::new(Seen::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    for _ in 0..VIEWERS {
        let (app, seen, address) = (app.clone(), Arc::clone(&seen), server.address());
        runtime.spawn(async move { watch(address, &app, &seen).await });
    }
    // Until all have connected and every tile has its first answer.
    std::thread::sleep(Duration::from_secs(15));
    let quiet = measured(&server, &seen, || {
        std::thread::sleep(DURATION);
        Ok(None)
    })?;
    let beside = measured(&server, &seen, || ingestion(&server, &app).map(Some))?;
    ensure!(seen.lost.load(Ordering::Relaxed) == 0, "viewers were lost");
    tell(&alone, memory_before, &quiet, &beside)
}

fn tell(alone: &Outcome, memory_before: u64, quiet: &Round, beside: &Round) -> Result<()> {
    const HEADS: [&str; 10] =
        ["", "ticks p50", "p99", "worst", "computations/s", "tile events/s", "MB/s pushed", "memory", "events/s ingested", "answer p99"];
    let mut table = Table::new(&HEADS);
    let memory = |bytes: u64| format!("{:.0} MiB", bytes as f64 / MIB);
    for (name, round) in [("viewers only", quiet), ("viewers and ingestion", beside)] {
        let at = |share: f64| milliseconds(round.ticks[((round.ticks.len() - 1) as f64 * share).round() as usize]);
        let (rate, answer) = round.ingested.as_ref().map_or(("-".to_owned(), "-".to_owned()), rates);
        let per_second = |count: f64| format!("{:.1}", count / DURATION.as_secs_f64());
        let costs = [per_second(round.computed), per_second(round.tiles as f64), per_second(round.bytes as f64 / 1e6)];
        table.row(&[vec![name.to_owned(), at(0.5), at(0.99), at(1.0)], costs.to_vec(), vec![memory(round.memory), rate, answer]].concat());
    }
    let (rate, answer) = rates(alone);
    table.row(&[vec!["ingestion only".to_owned()], vec!["-".to_owned(); 6], vec![memory(memory_before), rate, answer]].concat());
    let rate = |outcome: &Outcome| outcome.events as f64 / outcome.seconds;
    let ratio = beside.ingested.as_ref().map_or(0.0, rate) / rate(alone);
    let words = format!(
        "{} viewers of one dashboard of {TILES} tiles over {} events, whose viewers run on the same machine; {}. A tick is meant every 4,000 ms. \
         Ingestion as fast as answers come, requests of 20: beside the viewers {ratio:.2} of what it is alone.",
        thousands(VIEWERS as f64),
        thousands(EVENTS as f64),
        machine()
    );
    publish("A dashboard that a thousand watch", &words, &table)
}

fn rates(outcome: &Outcome) -> (String, String) {
    (thousands(outcome.events as f64 / outcome.seconds), milliseconds(outcome.quantile(0.99)))
}

/// What was seen in one round.
struct Round {
    /// Ascending.
    ticks: Vec<Duration>,
    tiles: u64,
    bytes: u64,
    computed: f64,
    memory: u64,
    ingested: Option<Outcome>,
}

fn measured(server: &Throng, seen: &Seen, work: impl FnOnce() -> Result<Option<Outcome>>) -> Result<Round> {
    const COMPUTED: &str = "throng_api_dashboard_computations_total";
    let before = server.client().metric(COMPUTED)?;
    let taken = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
    let _ = (taken(&seen.tiles), taken(&seen.bytes));
    seen.counts.store(true, Ordering::Relaxed);
    let ingested = work()?;
    seen.counts.store(false, Ordering::Relaxed);
    let mut ticks = std::mem::take(&mut *seen.ticks.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    ensure!(ticks.len() > VIEWERS, "{} ticks", ticks.len());
    ticks.sort_unstable();
    let computed = server.client().metric(COMPUTED)? - before;
    Ok(Round { ticks, tiles: taken(&seen.tiles), bytes: taken(&seen.bytes), computed, memory: server.memory_bytes()?.0, ingested })
}
