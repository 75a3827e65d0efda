//! Prints what an append costs: CPU time per append and latency, for several rates and waits; beside it the same load on the log in
//! memory, which is what load generator and runtime cost by themselves.
//!
//! `cargo run --release -p event-log --example append_cost [FOLDER]`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring tool prints, and stops where it cannot measure")]

use bytes::Bytes;
use event_log::{EventLog, FileLog, FileLogOptions, MemoryLog, MemoryLogOptions};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

const PAYLOAD_BYTES: usize = 2_000;
const SECONDS: u64 = 3;

fn main() {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join(format!("append-cost-{}", std::process::id()));
    println!("{PAYLOAD_BYTES}-byte records, durable answers; CPU of the whole process, with the load generator and one reader");
    println!("{:>8} {:>8} {:>10} {:>12} {:>8} {:>8}", "wait_us", "tasks", "appends/s", "cpu_us/append", "p50_us", "p99_us");
    for (tasks, pause_us) in [(1, 0), (16, 0), (64, 6_400), (128, 6_400), (256, 0), (1_024, 0)] {
        let pause = Duration::from_micros(pause_us);
        if !pause.is_zero() {
            let options = MemoryLogOptions { max_held_bytes: usize::MAX, ..MemoryLogOptions::default() };
            measure("memory", &(Arc::new(MemoryLog::new(options)) as Arc<dyn EventLog>), tasks, pause);
        }
        for wait_us in [0, 500, 1_000, 2_000] {
            let _ = std::fs::remove_dir_all(&folder);
            let options = FileLogOptions { group_commit_wait: Duration::from_micros(wait_us), ..FileLogOptions::default() };
            let log = Arc::new(FileLog::open(&folder, options).unwrap());
            measure(&wait_us.to_string(), &(Arc::clone(&log) as Arc<dyn EventLog>), tasks, pause);
            println!("{:>8} {} commits", "", log.figures().commits_total);
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// `tasks` clients append one after the other, each resting `pause` in between.
fn measure(wait: &str, log: &Arc<dyn EventLog>, tasks: usize, pause: Duration) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (cpu, begin) = (cpu_seconds(), Instant::now());
    let mut latencies: Vec<u64> = runtime.block_on(async {
        let mut reader = log.read_from(0).unwrap();
        let follower = tokio::spawn(async move { while reader.next(1 << 20).await.is_ok() {} });
        let mut clients = JoinSet::new();
        for _ in 0..tasks {
            let log = Arc::clone(log);
            clients.spawn(async move { client(log.as_ref(), begin, pause).await });
        }
        let latencies = clients.join_all().await.into_iter().flatten().collect();
        follower.abort();
        latencies
    });
    let (cpu, seconds) = (cpu_seconds() - cpu, begin.elapsed().as_secs_f64());
    latencies.sort_unstable();
    let appends = latencies.len() as f64;
    println!(
        "{wait:>8} {tasks:>8} {:>10.0} {:>12.2} {:>8} {:>8}",
        appends / seconds,
        cpu * 1e6 / appends,
        latencies[latencies.len() / 2],
        latencies[latencies.len() * 99 / 100],
    );
}

async fn client(log: &dyn EventLog, begin: Instant, pause: Duration) -> Vec<u64> {
    let payload = Bytes::from(vec![42; PAYLOAD_BYTES]);
    let mut latencies = Vec::new();
    while begin.elapsed() < Duration::from_secs(SECONDS) {
        let asked = Instant::now();
        log.append(payload.clone()).await.unwrap();
        latencies.push(asked.elapsed().as_micros() as u64);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    latencies
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // Clock ticks are hundredths of a second on every Linux this runs on.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
