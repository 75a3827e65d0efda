//! Optional steps: the others decide how far an attempt goes; an optional one is done where an event that no other step uses lies
//! between the steps around it.

use super::matching::all_have_events;
use super::{NOT_DONE, Rule, StepEvent};

impl Rule<'_> {
    /// The time of each step, [`NOT_DONE`] where it was left out, for the `times` of the steps that are not optional.
    /// `events` are those of the person, ascending by time.
    pub(super) fn with_optional(&self, events: &[StepEvent], times: &[i64]) -> Vec<i64> {
        let mut rows = vec![NOT_DONE; self.bits.len()];
        let mut used: Vec<usize> = Vec::new();
        let mut done = 0;
        for (row, &bit) in self.bits.iter().enumerate() {
            if bit < self.required {
                let Some(&time_ms) = times.get(bit) else { break };
                rows[row] = time_ms;
                done = bit + 1;
                continue;
            }
            let from_ms = times[done - 1];
            let to_ms = times.get(done).copied().unwrap_or_else(|| self.window_end(times[0]));
            let first = events.partition_point(|event| event.time_ms < from_ms);
            let between = (first..events.len()).take_while(|&at| events[at].time_ms <= to_ms);
            let mut free = between.filter(|&at| events[at].mask >> bit & 1 == 1 && !used.contains(&at));
            if let Some(at) = free.find(|&at| self.is_spare(events, times, &used, at)) {
                used.push(at);
                rows[row] = events[at].time_ms;
            }
        }
        rows
    }

    /// Whether the other steps of its time have events of their own without this one and those `used`.
    fn is_spare(&self, events: &[StepEvent], times: &[i64], used: &[usize], at: usize) -> bool {
        let time_ms = events[at].time_ms;
        let steps: Vec<usize> = (0..times.len()).filter(|&step| times[step] == time_ms).collect();
        if steps.is_empty() {
            return true;
        }
        let first = events.partition_point(|event| event.time_ms < time_ms);
        let group = (first..events.len()).take_while(|&other| events[other].time_ms == time_ms);
        all_have_events(&steps, group.filter(|other| *other != at && !used.contains(other)).map(|other| events[other].mask).collect())
    }
}
