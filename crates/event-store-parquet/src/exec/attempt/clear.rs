//! Ordered funnels with exclusions.
//!
//! An entry's attempt goes as far as its events allow. It is void where that cannot be done without an excluded event strictly between
//! the two steps of an exclusion; where the second of them is not reached, up to the end of the window.

use event_store::QueryError;

use super::matching::advance;
use super::{EXCLUSION_SHIFT, Rule, StepEvent};

/// Events looked at between two looks at the query's limits.
const EVENTS_PER_CHECK: usize = 1 << 14;

/// The times of the attempt shown: of the attempts that are not void, the one with the most steps, then the earliest.
pub(super) fn best(rule: &Rule<'_>, events: &[StepEvent], entries: (i64, i64)) -> Result<Option<Vec<i64>>, QueryError> {
    let ordered = rule.ordered(entries);
    // One entry alone is not worth another pass.
    let most = if entries.1 - entries.0 == 1 { rule.required } else { ordered.reach(events) };
    let mut best: Option<Vec<i64>> = None;
    let mut times = Vec::with_capacity(rule.required);
    let mut first = 0;
    let mut seen = 0;
    for group in events.chunk_by(|a, b| a.time_ms == b.time_ms) {
        let entry_ms = group[0].time_ms;
        if entry_ms >= entries.1 {
            break;
        }
        if group.iter().any(|event| ordered.is_entry(event)) {
            let last = first + events[first..].partition_point(|event| ordered.in_window(entry_ms, event.time_ms));
            let window = &events[first..last];
            seen += window.len();
            if seen > EVENTS_PER_CHECK {
                rule.context.check()?;
                seen = 0;
            }
            ordered.find_times(window, &mut times);
            if times.len() > best.as_ref().map_or(0, Vec::len) {
                best = rule.clear_times(window, &times).or(best);
            }
            if best.as_ref().is_some_and(|times| times.len() == most) {
                break;
            }
        }
        first += group.len();
    }
    Ok(best)
}

impl Rule<'_> {
    /// The earliest times of as many steps as `times` has, without an excluded event between; `None` where there are none.
    /// `window` begins with the entry and ends with its window.
    fn clear_times(&self, window: &[StepEvent], times: &[i64]) -> Option<Vec<i64>> {
        let entry_ms = times.first().copied()?;
        let excludes = |event: &StepEvent| event.mask >> EXCLUSION_SHIFT != 0 && event.time_ms > entry_ms;
        let is_complete = times.len() == self.required;
        let end_ms = times.last().copied().filter(|_| is_complete).unwrap_or(i64::MAX);
        if !window.iter().take_while(|event| event.time_ms < end_ms).any(excludes) {
            return Some(times.to_vec());
        }
        let levels = times.len();
        let groups: Vec<&[StepEvent]> = window.chunk_by(|a, b| a.time_ms == b.time_ms).collect();
        // By group: bit L is set where `levels` can be reached from L steps done up to and with this group.
        let mut open = vec![1u64 << levels; groups.len()];
        for at in (1..groups.len()).rev() {
            open[at - 1] = self.open_before(groups[at], open[at], levels);
        }
        let mut clear = Vec::with_capacity(levels);
        for (at, group) in groups.iter().enumerate() {
            let level = clear.len();
            let reached = advance(group, level, levels);
            // More steps at an earlier time are earlier times.
            let least = if at == 0 { 1 } else { level };
            let next = (least..=reached).rev().find(|&next| open[at] >> next & 1 == 1 && !self.voids(group, level, next))?;
            clear.resize(next, group[0].time_ms);
        }
        Some(clear)
    }

    /// The levels before a group from which a level that is open after it is reached.
    fn open_before(&self, group: &[StepEvent], open: u64, levels: usize) -> u64 {
        let can_go_on = |level: usize| {
            let reached = advance(group, level, levels);
            (level..=reached).any(|next| open >> next & 1 == 1 && !self.voids(group, level, next))
        };
        (1..=levels).filter(|&level| can_go_on(level)).fold(0, |bits, level| bits | 1 << level)
    }

    /// Whether the events of one time make an attempt void that has `level` steps before them and `next` with them.
    fn voids(&self, group: &[StepEvent], level: usize, next: usize) -> bool {
        let excluded = group.iter().fold(0, |bits, event| bits | event.mask >> EXCLUSION_SHIFT);
        let stands_open = |(i, &(from, to)): (usize, &(usize, usize))| excluded >> i & 1 == 1 && level >= from && next < to;
        excluded != 0 && self.exclusions.iter().enumerate().any(stands_open)
    }
}
