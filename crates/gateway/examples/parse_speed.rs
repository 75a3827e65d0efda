//! Prints how many events per second one core parses, checks and encodes, beside merely adding up the same bytes.
//!
//! `cargo run --release -p gateway --example parse_speed [-- SECONDS]`

use std::hint::black_box;
use std::time::{Duration, Instant};

use event::AppId;
use gateway::BatchParser;

const EVENTS_PER_BATCH: usize = 20;
const RECEIVED_AT_MS: i64 = 1_780_000_000_000;
const DERIVED: [(&str, &str); 5] =
    [("country", "US"), ("browser", "Chrome"), ("os", "Windows 10"), ("device_type", "desktop"), ("$lib", "web")];

fn main() {
    let seconds = std::env::args().nth(1).and_then(|argument| argument.parse().ok()).unwrap_or(2.0);
    let bodies: Vec<Vec<u8>> = (0..64).map(body).collect();
    let bytes = bodies.iter().map(Vec::len).sum::<usize>() / bodies.len();
    println!("bodies of {EVENTS_PER_BATCH} events, {bytes} bytes, {} bytes an event; one core", bytes / EVENTS_PER_BATCH);

    let mut parser = BatchParser::default();
    let app = AppId::new("APP-1").unwrap_or_else(|| unreachable!("the id is valid"));
    let mut record = Vec::new();
    measure("add up the bytes (baseline)", seconds, &bodies, |body| body.iter().map(|byte| u64::from(*byte)).sum::<u64>() as usize);
    measure("check UTF-8 only", seconds, &bodies, |body| simdutf8::basic::from_utf8(body).map_or(0, str::len));
    measure("parse and check", seconds, &bodies, |body| parser.read(body, RECEIVED_AT_MS, &[], 2000).map_or(0, |batch| batch.len()));
    measure("parse, check and encode", seconds, &bodies, |body| {
        record.clear();
        if let Ok(batch) = parser.read(body, RECEIVED_AT_MS, &[], 2000) {
            batch.encode(&app, &mut record);
        }
        record.len()
    });
    measure("parse, check, enrich and encode", seconds, &bodies, |body| {
        record.clear();
        if let Ok(batch) = parser.read(body, RECEIVED_AT_MS, &DERIVED, 2000) {
            batch.encode(&app, &mut record);
        }
        record.len()
    });
    println!("a record has {} bytes, {:.2} of its body", record.len(), record.len() as f64 / bytes as f64);
}

fn measure(what: &str, seconds: f64, bodies: &[Vec<u8>], mut work: impl FnMut(&[u8]) -> usize) {
    let mut best = f64::MAX;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs_f64(seconds) {
        let round = Instant::now();
        for _ in 0..16 {
            for body in bodies {
                black_box(work(black_box(body)));
            }
        }
        best = best.min(round.elapsed().as_secs_f64() / (16 * bodies.len()) as f64);
    }
    let per_second = EVENTS_PER_BATCH as f64 / best;
    println!("{what:<34} {:>8.2} million events/s  {:>7.0} ns an event", per_second / 1e6, best * 1e9 / EVENTS_PER_BATCH as f64);
}

/// A batch of a shop's events as an SDK sends it, different for each seed.
fn body(seed: usize) -> Vec<u8> {
    let mut random = seed as u64 * 2 + 1;
    let mut next = move |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let mut events = Vec::new();
    for i in 0..EVENTS_PER_BATCH {
        let name = ["page_view", "page_view", "click", "search", "add_to_cart", "purchase"][next(6) as usize];
        let price = if name == "purchase" { format!(",\"price\":{}.{:02}", next(500), next(100)) } else { String::new() };
        events.push(format!(
            "{{\"name\":\"{name}\",\"user_id\":\"user-{:06}\",\"timestamp\":{},\"insert_id\":\"{:016x}{:04x}\",\"session_id\":\"s-{:08x}\",\
             \"properties\":{{\"url\":\"/products/item-{}\",\"country\":\"{}\",\"device\":\"{}\",\"browser\":\"{}\",\"plan\":\"{}\",\
             \"request\":\"{:08x}{:08x}\"{price}}}}}",
            next(500_000),
            RECEIVED_AT_MS as u64 - 20_000 + i as u64 * 731,
            next(u64::MAX),
            next(65536),
            next(1 << 32),
            next(5000),
            ["US", "DE", "FR", "JP", "BR"][next(5) as usize],
            ["mobile", "desktop", "tablet"][next(3) as usize],
            ["Chrome", "Safari", "Firefox"][next(3) as usize],
            ["free", "pro", "team"][next(3) as usize],
            next(1 << 32),
            next(1 << 32),
        ));
    }
    format!("{{\"app_id\":\"APP-1\",\"sent_at\":{RECEIVED_AT_MS},\"events\":[{}]}}", events.join(",")).into_bytes()
}
