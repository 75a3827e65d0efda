//! Live traffic: sessions begin at random moments so that events come at the asked rate, each sent within a quarter of a second of its time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;

use super::send::{body_of, post_batch};
use super::shop::{Shop, SimulatedEvent};
use crate::http_client::{HttpClient, Target};
use crate::output;

const TICK: Duration = Duration::from_millis(200);
/// As SDKs send.
const BATCH_EVENTS: usize = 20;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Sessions that began before the start are in full swing at the start.
const RUN_IN_MS: i64 = 10 * 60_000;

/// Sends until `stop` is set.
pub(super) fn run(mut shop: Shop, target: &Target, key: &str, rate: f64, stop: &AtomicBool) -> Result<()> {
    let client = HttpClient::new(target, key, REQUEST_TIMEOUT)?;
    output::note(&format!("live traffic: {rate} events a second until stopped"));
    let mut waiting = BinaryHeap::new();
    let started_ms = Timestamp::now().as_millisecond();
    let mut drawn_until_ms = started_ms - RUN_IN_MS;
    let mut owed_events = 0.0;
    while !stop.load(Ordering::Relaxed) {
        let now_ms = Timestamp::now().as_millisecond();
        owed_events += rate * (now_ms - drawn_until_ms) as f64 / 1e3;
        let length_ms = now_ms - drawn_until_ms;
        while owed_events > 0.0 {
            let mut session = Vec::new();
            let start_ms = shop.start_within(drawn_until_ms, length_ms);
            owed_events -= shop.session(start_ms, &mut session) as f64;
            waiting.extend(session.into_iter().filter(|event| event.time_ms >= started_ms).map(Reverse));
        }
        drawn_until_ms = now_ms;
        let due = take_due(&mut waiting, now_ms);
        for batch in due.chunks(BATCH_EVENTS) {
            post_batch(&client, &body_of(batch.iter().map(|event| event.json.as_str())))?;
        }
        std::thread::sleep(TICK);
    }
    Ok(())
}

fn take_due(waiting: &mut BinaryHeap<Reverse<SimulatedEvent>>, now_ms: i64) -> Vec<SimulatedEvent> {
    let mut due = Vec::new();
    while waiting.peek().is_some_and(|Reverse(event)| event.time_ms <= now_ms) {
        due.extend(waiting.pop().map(|Reverse(event)| event));
    }
    due
}
