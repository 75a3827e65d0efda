//! The past of a shop, oldest first, exactly as many events as asked for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::shop::{Shop, SimulatedEvent, rhythm};

const HOUR_MS: i64 = 3_600_000;

/// Gives the events of `[until - days, until)` in time order.
///
/// Sessions are drawn hour by hour, more in busy hours, until the hour's share of the total is reached; what of a session lies in a later hour waits in a heap.
/// Events that would fall behind `until` are left out and made up for by earlier sessions.
pub(super) struct History {
    shop: Shop,
    waiting: BinaryHeap<Reverse<SimulatedEvent>>,
    session: Vec<SimulatedEvent>,
    hour_ms: i64,
    until_ms: i64,
    total: u64,
    drawn: u64,
    given: u64,
    weight_so_far: f64,
    weight_total: f64,
}

impl History {
    pub(super) fn new(shop: Shop, days: u32, until_ms: i64, total: u64) -> Self {
        let from_ms = until_ms - i64::from(days.max(1)) * 24 * HOUR_MS;
        let hours = (0..).map(|n| from_ms + n * HOUR_MS).take_while(|hour| *hour < until_ms);
        let weight_total = hours.map(rhythm).sum();
        Self {
            shop,
            waiting: BinaryHeap::new(),
            session: Vec::new(),
            hour_ms: from_ms,
            until_ms,
            total,
            drawn: 0,
            given: 0,
            weight_so_far: 0.0,
            weight_total,
        }
    }

    fn draw_hour(&mut self) {
        self.weight_so_far += rhythm(self.hour_ms);
        let length_ms = HOUR_MS.min(self.until_ms - self.hour_ms);
        let share = (self.weight_so_far / self.weight_total).min(1.0);
        let is_last = self.hour_ms + HOUR_MS >= self.until_ms;
        let target = if is_last { self.total } else { (self.total as f64 * share) as u64 };
        while self.drawn < target {
            let start_ms = self.shop.start_within(self.hour_ms, length_ms);
            self.session.clear();
            self.shop.session(start_ms, &mut self.session);
            let until_ms = self.until_ms;
            self.session.retain(|event| event.time_ms < until_ms);
            self.drawn += self.session.len() as u64;
            self.waiting.extend(self.session.drain(..).map(Reverse));
        }
        self.hour_ms += HOUR_MS;
    }
}

impl Iterator for History {
    type Item = SimulatedEvent;

    fn next(&mut self) -> Option<SimulatedEvent> {
        if self.given == self.total {
            return None;
        }
        while self.hour_ms < self.until_ms && self.waiting.peek().is_none_or(|Reverse(event)| event.time_ms >= self.hour_ms) {
            self.draw_hour();
        }
        let Reverse(event) = self.waiting.pop()?;
        self.given += 1;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    const UNTIL: i64 = 1_780_000_000_000;

    fn history(seed: u64, total: u64) -> Vec<SimulatedEvent> {
        History::new(Shop::new(seed, 2_000, UNTIL), 30, UNTIL, total).collect()
    }

    #[test]
    fn exactly_as_many_in_order_and_the_same_for_a_seed() {
        let events = history(7, 20_000);
        assert_eq!(events.len(), 20_000);
        assert!(events.is_sorted_by_key(|event| event.time_ms));
        assert!(events.iter().all(|event| event.time_ms < UNTIL && event.time_ms >= UNTIL - 30 * 24 * HOUR_MS));
        assert_eq!(events, history(7, 20_000));
        assert_ne!(events, history(8, 20_000));
    }

    #[test]
    fn the_shares_of_events_are_those_of_the_benchmark() {
        let events = history(1, 100_000);
        let mut counts: BTreeMap<String, f64> = BTreeMap::new();
        let mut bytes = 0;
        for event in &events {
            let value: Value = serde_json::from_str(&event.json).unwrap();
            *counts.entry(value["name"].as_str().unwrap().to_owned()).or_default() += 1.0 / 1_000.0;
            bytes += event.json.len();
        }
        let wanted = [
            ("page_view", 50.0),
            ("click", 25.0),
            ("search", 10.0),
            ("add_to_cart", 6.0),
            ("video_play", 4.0),
            ("purchase", 2.0),
            ("custom", 2.0),
            ("signup", 1.0),
        ];
        for (name, percent) in wanted {
            let got = counts.get(name).copied().unwrap_or(0.0);
            assert!((got - percent).abs() < percent * 0.15 + 0.2, "{name}: {got} %, wanted {percent} %; {counts:?}");
        }
        let mean = bytes / events.len();
        assert!((250..350).contains(&mean), "{mean} bytes an event");
    }
}
