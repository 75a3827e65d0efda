//! Live traffic: sessions begin at random moments so that events come at the asked rate, each sent within a quarter of a second of its time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;

use super::shop::{Shop, SimulatedEvent};
use crate::sender::Sender;

const TICK: Duration = Duration::from_millis(200);
/// A server that takes less than the rate gets fewer events, not a growing pile: at most this much time is made up for at once.
const MAX_CATCH_UP_MS: i64 = 1_000;
/// Sessions that began before the start are in full swing at the start.
const RUN_IN_MS: i64 = 10 * 60_000;

/// Up to this rate visitors take their time.
const UNHURRIED_EVENTS_PER_SECOND: f64 = 2_000.0;

/// What visitors' pauses are multiplied by: at higher rates they hurry, so that no more of them are in the shop at a time and
/// the memory for what they are about to do has a bound.
pub(super) fn pace(rate: f64) -> f64 {
    (UNHURRIED_EVENTS_PER_SECOND / rate).min(1.0)
}

/// Sends until `stop` is set.
pub(super) fn run(shop: Shop, mut sender: Sender, rate: f64, started_ms: i64, stop: &AtomicBool) -> Result<()> {
    let mut visits = Visits::new(shop);
    visits.begin_between(started_ms - (RUN_IN_MS as f64 * pace(rate)) as i64, started_ms, rate);
    visits.forget_before(started_ms);
    let mut drawn_until_ms = started_ms;
    while !stop.load(Ordering::Relaxed) {
        let now_ms = Timestamp::now().as_millisecond();
        visits.begin_between(drawn_until_ms.max(now_ms - MAX_CATCH_UP_MS), now_ms, rate);
        drawn_until_ms = now_ms;
        while let Some(event) = visits.take_due(now_ms) {
            sender.push(0, event.json.as_bytes())?;
        }
        sender.flush()?;
        std::thread::sleep(TICK);
    }
    sender.finish()?;
    Ok(())
}

/// Who is in the shop.
pub(super) struct Visits {
    shop: Shop,
    owed_events: f64,
    /// Events of begun sessions, the earliest on top.
    waiting: BinaryHeap<Reverse<SimulatedEvent>>,
}

impl Visits {
    /// Nobody yet.
    pub(super) fn new(shop: Shop) -> Self {
        Self { shop, owed_events: 0.0, waiting: BinaryHeap::new() }
    }

    /// Lets sessions begin in `[from_ms, to_ms)`, as many as make `rate` events a second in the long run.
    pub(super) fn begin_between(&mut self, from_ms: i64, to_ms: i64, rate: f64) {
        let length_ms = (to_ms - from_ms).max(0);
        self.owed_events += rate * length_ms as f64 / 1e3;
        let mut session = Vec::new();
        while self.owed_events > 0.0 {
            let start_ms = self.shop.start_within(from_ms, length_ms);
            self.owed_events -= self.shop.session(start_ms, &mut session) as f64;
            self.waiting.extend(session.drain(..).map(Reverse));
        }
    }

    fn forget_before(&mut self, moment_ms: i64) {
        self.waiting.retain(|Reverse(event)| event.time_ms >= moment_ms);
    }

    /// The earliest event until `now_ms`.
    pub(super) fn take_due(&mut self, now_ms: i64) -> Option<SimulatedEvent> {
        let is_due = self.waiting.peek().is_some_and(|Reverse(event)| event.time_ms <= now_ms);
        if is_due { self.waiting.pop().map(|Reverse(event)| event) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_at_the_rate_from_the_first_second_on() {
        let started_ms = 1_780_000_000_000;
        let mut visits = Visits::new(Shop::new(5, 1_000, started_ms));
        visits.begin_between(started_ms - RUN_IN_MS, started_ms, 200.0);
        visits.forget_before(started_ms);
        let mut minutes = Vec::new();
        for minute in 0..5 {
            let mut events = 0;
            for tick in 0..300 {
                let now_ms = started_ms + (minute * 300 + tick) * 200;
                visits.begin_between(now_ms - 200, now_ms, 200.0);
                while let Some(event) = visits.take_due(now_ms) {
                    assert!(event.time_ms > now_ms - 400, "sent late");
                    events += 1;
                }
            }
            minutes.push(events);
        }
        assert!(minutes.iter().all(|events| (9_600..14_400).contains(events)), "200 a second were asked for: {minutes:?} a minute");
    }
}
