//! Strict funnels: the events of an attempt stand next to one another among all events of the person.
//!
//! Events of equal time stand in any order. So all events of a time strictly between the first and the last of an attempt are part of
//! it, and of these two times any of them.

use super::matching::advance;
use super::{Rule, StepEvent};

/// The times of the attempt shown.
pub(super) fn best(rule: &Rule<'_>, events: &[StepEvent], entries: (i64, i64)) -> Option<Vec<i64>> {
    let ordered = rule.ordered(entries);
    let mut best: Option<Vec<i64>> = None;
    let mut first = 0;
    for group in events.chunk_by(|a, b| a.time_ms == b.time_ms) {
        let rest = &events[first + group.len()..];
        first += group.len();
        if group[0].time_ms >= entries.1 {
            break;
        }
        if !group.iter().any(|event| ordered.is_entry(event)) {
            continue;
        }
        let most = advance(group, 0, rule.required);
        // More steps at the time of the entry are earlier times, but fewer may go on to more.
        for start in (1..=most).rev() {
            let times = follow(rule, vec![group[0].time_ms; start], rest);
            if times.len() > best.as_ref().map_or(0, Vec::len) {
                best = Some(times);
            }
        }
        if best.as_ref().is_some_and(|times| times.len() == rule.required) {
            break;
        }
    }
    best
}

/// Goes on with the groups that follow the entry's.
fn follow(rule: &Rule<'_>, mut times: Vec<i64>, rest: &[StepEvent]) -> Vec<i64> {
    let entry_ms = times[0];
    for group in rest.chunk_by(|a, b| a.time_ms == b.time_ms) {
        let comes_next = !group.iter().any(|event| event.others.before) && rule.in_window(entry_ms, group[0].time_ms);
        if !comes_next || times.len() == rule.required {
            break;
        }
        let level = times.len();
        let reached = advance(group, level, rule.required);
        times.resize(reached, group[0].time_ms);
        let uses_all = reached == level + group.len() && !group.iter().any(|event| event.others.beside);
        if !uses_all {
            break;
        }
    }
    times
}
