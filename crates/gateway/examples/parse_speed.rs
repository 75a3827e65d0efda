//! Prints how many events per second one core parses, checks and encodes, beside merely adding up the same bytes.
//!
//! `cargo run --release -p gateway --example parse_speed [-- SECONDS]`

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use event::AppId;
use gateway::BatchParser;

#[path = "support/shop.rs"]
mod shop;

use shop::{EVENTS_PER_BATCH, RECEIVED_AT_MS, body};

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
