//! The time before live traffic begins: it grows from what the history has to the live rate, so that no figure jumps where they meet.

use super::live::{Visits, pace};
use super::shop::{Shop, SimulatedEvent};

const MINUTE_MS: i64 = 60_000;
/// The rate grows for so long, and then stays until the live traffic takes over; the web app's live page looks half an hour back.
const GROWING_MS: i64 = 55 * MINUTE_MS;
const STEADY_MS: i64 = 35 * MINUTE_MS;
/// Sessions begin in steps of this length.
const STEP_MS: i64 = 10_000;
/// At high rates the run-up is shorter, so that it has no more events.
const MAX_EVENTS: f64 = 500_000.0;

/// The events that `[end - 90 min, end)` has beyond the history's `history_rate`, in time order; none where the live rate is no higher.
///
/// The same arguments give the same events, with ids that neither history nor live traffic has.
pub(super) fn run_up(seed: u64, users: u64, history_rate: f64, live_rate: f64, end_ms: i64) -> Vec<SimulatedEvent> {
    let extra = live_rate - history_rate;
    if extra <= 0.0 {
        return Vec::new();
    }
    // The growth is that of a square, whose mean is a third.
    let full = extra * (GROWING_MS as f64 / 3.0 + STEADY_MS as f64) / 1e3;
    let scale = (MAX_EVENTS / full).min(1.0);
    let (growing_ms, steady_ms) = ((GROWING_MS as f64 * scale) as i64, (STEADY_MS as f64 * scale) as i64);
    let start_ms = end_ms - steady_ms - growing_ms;
    let mut visits = Visits::new(Shop::from_moment(seed, users, start_ms, pace(live_rate)));
    let mut from_ms = start_ms;
    while from_ms < end_ms {
        let to_ms = (from_ms + STEP_MS).min(end_ms);
        let grown = ((from_ms - start_ms) as f64 / growing_ms.max(1) as f64).min(1.0);
        visits.begin_between(from_ms, to_ms, extra * grown * grown);
        from_ms = to_ms;
    }
    std::iter::from_fn(|| visits.take_due(end_ms - 1)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::history::History;
    use super::*;

    #[test]
    fn history_run_up_and_live_traffic_meet() {
        const NOW_MS: i64 = 1_780_000_000_000;
        const LIVE_RATE: f64 = 25.0;
        let history_rate = 60_000.0 / (10.0 * 86_400.0);
        let mut per_minute = [0.0_f64; 100];
        let mut count = |time_ms: i64| {
            let minute = (NOW_MS - 1 - time_ms) / MINUTE_MS;
            if let Some(events) = per_minute.get_mut(minute as usize) {
                *events += 1.0;
            }
        };
        History::new(Shop::new(3, 1_000, NOW_MS), 10, NOW_MS, 60_000).for_each(|event| count(event.time_ms));
        let events = run_up(3, 1_000, history_rate, LIVE_RATE, NOW_MS);
        assert!(events.is_sorted() && events.iter().all(|event| event.time_ms < NOW_MS));
        events.iter().for_each(|event| count(event.time_ms));
        let live = LIVE_RATE * 60.0;
        assert!(per_minute[..30].iter().all(|events| (0.8 * live..1.2 * live).contains(events)), "{per_minute:?}");
        assert!(per_minute[88..].iter().all(|events| *events < 0.1 * live), "it begins at the history's rate: {per_minute:?}");
        let means: Vec<f64> = per_minute.chunks(5).map(|minutes| minutes.iter().sum::<f64>() / 5.0).collect();
        assert!(means.windows(2).all(|pair| pair[0] - pair[1] < 0.25 * live), "no step is a cliff: {means:?}");
    }

    #[test]
    fn a_run_up_is_bounded_and_repeats_itself() {
        let few = run_up(1, 100, 0.0, 1.0, 1_780_000_000_000);
        assert_eq!(few, run_up(1, 100, 0.0, 1.0, 1_780_000_000_000));
        assert!(run_up(1, 100, 5.0, 5.0, 1_780_000_000_000).is_empty());
        let many = run_up(1, 100, 0.0, 20_000.0, 1_780_000_000_000).len() as f64;
        assert!(many < 1.1 * MAX_EVENTS, "{many}");
        let ids: BTreeSet<&str> = few.iter().map(|event| event.json.as_str()).collect();
        assert_eq!(ids.len(), few.len());
    }
}
