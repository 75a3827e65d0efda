//! Prints events per second and per CPU second of the server for 20-event batches over loopback, beside a server that only
//! reads the bodies. The server is a process of its own, so its CPU time does not hold the client's.
//!
//! `cargo run --release -p gateway --example ingest_speed [-- SECONDS CONNECTIONS]`

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use axum::routing::post;
use event::AppId;
use event_log::{EventLog, FileLog, FileLogOptions, MemoryLog, MemoryLogOptions};
use gateway::{AppAccess, Gateway, GatewayOptions, KeyLookup, KeysUnavailable, ServeOptions, WriteKeys, serve};
use tokio_util::sync::CancellationToken;

#[path = "support/shop.rs"]
mod shop;

use shop::{EVENTS_PER_BATCH, body};

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, kind] = &arguments[..]
        && mode == "serve"
    {
        return run_server(kind);
    }
    let seconds = arguments.first().map_or(Ok(4.0), |argument| argument.parse())?;
    let connections = arguments.get(1).map_or(Ok(32), |argument| argument.parse())?;
    println!("{connections} connections, {EVENTS_PER_BATCH} events a batch");
    for (kind, what) in [("bare", "reads bodies only"), ("memory", "gateway, log in memory"), ("file", "gateway, durable log")] {
        measure(kind, what, Duration::from_secs_f64(seconds), connections)?;
    }
    Ok(())
}

struct AnyKey;

impl WriteKeys for AnyKey {
    fn look_up(&self, _: &str) -> Result<KeyLookup, KeysUnavailable> {
        let app = AppId::new("APP-1").ok_or_else(|| KeysUnavailable("no app".into()))?;
        Ok(KeyLookup::Write(AppAccess { app, raw_retention_ms: None }))
    }
}

/// Serves until its standard input ends; prints the port first.
#[tokio::main]
async fn run_server(kind: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log: Option<Arc<dyn EventLog>> = match kind {
        "memory" => Some(Arc::new(MemoryLog::new(MemoryLogOptions { max_held_bytes: usize::MAX, ..MemoryLogOptions::default() }))),
        "file" => Some(Arc::new(FileLog::open(folder.path(), FileLogOptions::default())?)),
        _ => None,
    };
    let router = match log {
        Some(log) => {
            let registry = prometheus::Registry::new();
            Arc::new(Gateway::new(log, Arc::new(AnyKey), None, &registry, GatewayOptions::default())?).router()
        }
        None => axum::Router::new().route("/api/v1/events/batch", post(|body: bytes::Bytes| async move { body.len().to_string() })),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        stop.cancel();
    });
    Ok(serve(listener, router, shutdown, ServeOptions::default()).await?)
}

fn start_server(kind: &str) -> Result<(Child, u16)> {
    let mut child = Command::new(std::env::current_exe()?).args(["serve", kind]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
    Ok((child, line.trim().parse().context("the server printed no port")?))
}

fn measure(kind: &str, what: &str, duration: Duration, connections: usize) -> Result<()> {
    let (mut child, port) = start_server(kind)?;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..connections)
        .map(|seed| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || client(port, seed, &stop))
        })
        .collect();
    // The first moments warm buffers up.
    std::thread::sleep(duration / 4);
    let (cpu_before, started) = (cpu_seconds(child.id())?, Instant::now());
    std::thread::sleep(duration);
    let (cpu, elapsed) = (cpu_seconds(child.id())? - cpu_before, started.elapsed());
    stop.store(true, Ordering::Relaxed);
    let mut answered: Vec<(Instant, Duration)> = Vec::new();
    for client in clients {
        match client.join() {
            Ok(answers) => answered.extend(answers?),
            Err(_) => bail!("a client failed"),
        }
    }
    drop(child.stdin.take());
    child.wait()?;
    let mut times: Vec<Duration> =
        answered.iter().filter(|(at, _)| *at >= started && *at < started + elapsed).map(|(_, took)| *took).collect();
    ensure!(!times.is_empty(), "no request was answered");
    times.sort_unstable();
    let events = (times.len() * EVENTS_PER_BATCH) as f64;
    let percentile = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{what:<24} {:>9.0} events/s  {:>9.0} events per CPU second  {:>5.1} us CPU a request  p50 {:.2} ms  p99 {:.2} ms",
        events / elapsed.as_secs_f64(),
        events / cpu,
        cpu * 1e6 / times.len() as f64,
        percentile(0.5),
        percentile(0.99)
    );
    Ok(())
}

/// User and system time of all threads of a process, to the nanosecond.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let mut nanoseconds = 0u64;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let schedstat = std::fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += schedstat.split(' ').next().and_then(|field| field.parse::<u64>().ok()).context("schedstat")?;
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// Sends batches one after the other; when and how long each took.
fn client(port: u16, seed: usize, stop: &AtomicBool) -> Result<Vec<(Instant, Duration)>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let requests: Vec<Vec<u8>> = (0..16)
        .map(|i| {
            let body = body(seed * 16 + i);
            let head = format!(
                "POST /api/v1/events/batch HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer wk_0123456789abcdef\r\n\
                 content-type: application/json\r\nuser-agent: bench/1\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            [head.into_bytes(), body].concat()
        })
        .collect();
    let mut answers = Vec::new();
    let mut buffer = [0; 4096];
    for request in requests.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let started = Instant::now();
        stream.write_all(request)?;
        let length = stream.read(&mut buffer)?;
        ensure!(buffer[..length].starts_with(b"HTTP/1.1 200"), "answered {}", String::from_utf8_lossy(&buffer[..length]));
        answers.push((Instant::now(), started.elapsed()));
    }
    Ok(answers)
}
