//! How far a person gets from an entry at any time, worked out from the later steps alone.

use crate::exec::attempt::{OrderedRule, StepEvent, advance};

/// No end.
const NEVER: i64 = i64::MAX;

/// The gates of several persons, one after the other.
///
/// A gate is a time at which some end changes, and for each step from the second on the earliest time at which the steps up to it are
/// done with events from the gate's time on. An entry goes through the first gate that is not before it.
pub(super) struct Gates {
    times: Vec<i64>,
    /// By gate: the ends of steps 2, 3, ...
    ends: Vec<i64>,
    /// Ends of one gate.
    stride: usize,
    /// By `level * steps + target`: the earliest end of the steps after the first `level` up to the first `target`, of the person at work.
    open: Vec<i64>,
}

/// The gates of one person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) first: u32,
    pub(super) count: u32,
}

impl Gates {
    pub(super) fn new(steps: usize) -> Self {
        Self { times: Vec::new(), ends: Vec::new(), stride: steps - 1, open: vec![NEVER; steps * (steps + 1)] }
    }

    /// Adds the gates of one person, whose later events are ascending by time.
    pub(super) fn add(&mut self, rule: &OrderedRule, events: &[StepEvent]) -> Way {
        let steps = rule.steps;
        let first = self.times.len();
        self.open.fill(NEVER);
        let mut group_end = events.len();
        while group_end > 0 {
            let time_ms = events[group_end - 1].time_ms;
            let group_start = events[..group_end].partition_point(|event| event.time_ms < time_ms);
            if walk(&events[group_start..group_end], steps, &mut self.open) {
                self.times.push(time_ms);
                self.ends.extend_from_slice(&self.open[steps + 2..=2 * steps]);
            }
            group_end = group_start;
        }
        self.times[first..].reverse();
        if self.stride > 0 {
            let ends = &mut self.ends[first * self.stride..];
            ends.reverse();
            ends.chunks_exact_mut(self.stride).for_each(<[i64]>::reverse);
        }
        Way { first: first as u32, count: (self.times.len() - first) as u32 }
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        (self.times.capacity() + self.ends.capacity()) * size_of::<i64>()
    }

    /// Steps reached by an entry at `time_ms`, at least 1.
    pub(super) fn level(&self, rule: &OrderedRule, way: Way, time_ms: i64) -> usize {
        match self.gate_of(way, time_ms) {
            Some(gate) => self.level_through(rule, gate, time_ms),
            None => 1,
        }
    }

    /// The earliest time after `time_ms` at which an entry reaches more than `level` steps.
    pub(super) fn next_better(&self, rule: &OrderedRule, way: Way, time_ms: i64, level: usize) -> Option<i64> {
        if level >= rule.steps {
            return None;
        }
        let mut earliest_ms = time_ms.saturating_add(1);
        for gate in self.gate_of(way, earliest_ms)?..(way.first + way.count) as usize {
            let gate_ms = self.times[gate];
            // Of the entries that go through a gate, one at its very time gets farthest.
            if self.level_through(rule, gate, gate_ms) > level {
                let end = self.ends[gate * self.stride + level - 1];
                return Some(rule.window_ms.map_or(earliest_ms, |window_ms| earliest_ms.max(end.saturating_sub(window_ms))));
            }
            earliest_ms = gate_ms.saturating_add(1);
        }
        None
    }

    /// The first gate that is not before a time.
    fn gate_of(&self, way: Way, time_ms: i64) -> Option<usize> {
        let times = &self.times[way.first as usize..(way.first + way.count) as usize];
        let before = times.partition_point(|&gate_ms| gate_ms < time_ms);
        (before < times.len()).then_some(way.first as usize + before)
    }

    fn level_through(&self, rule: &OrderedRule, gate: usize, time_ms: i64) -> usize {
        let ends = &self.ends[gate * self.stride..(gate + 1) * self.stride];
        // Later steps end later.
        1 + ends.iter().take_while(|&&end| end != NEVER && rule.in_window(time_ms, end)).count()
    }
}

/// Puts events of one time before those that were walked; true when an end from the entry on has changed.
fn walk(group: &[StepEvent], steps: usize, ends: &mut [i64]) -> bool {
    let time_ms = group[0].time_ms;
    let mut has_changed = false;
    // Ascending, so that each level goes on from what the later events have reached.
    for level in 1..steps {
        let reached = advance(group, level, steps);
        if reached == level {
            continue;
        }
        for target in level + 1..=steps {
            let end = if target <= reached { time_ms } else { ends[reached * steps + target] };
            has_changed |= level == 1 && ends[level * steps + target] != end;
            ends[level * steps + target] = end;
        }
    }
    has_changed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn every_entry_reaches_what_its_attempt_reaches(
            steps in 1usize..5,
            window in prop_oneof![Just(None), (0i64..8).prop_map(Some)],
            events in prop::collection::vec((0i64..9, 1u64..16), 0..8),
            entries in prop::collection::vec(0i64..10, 1..6),
        ) {
            let rule = OrderedRule { steps, window_ms: window, from_ms: 0, to_ms: 100 };
            let mut later: Vec<StepEvent> =
                events.into_iter().map(|(time_ms, mask)| StepEvent { time_ms, mask: mask & !1 & ((1 << steps) - 1), ..StepEvent::default() }).collect();
            later.retain(|event| event.mask != 0);
            later.sort_by_key(|event| event.time_ms);
            let mut gates = Gates::new(steps);
            // A person before, so that gates do not begin at 0.
            gates.add(&rule, &later);
            let way = gates.add(&rule, &later);
            let levels: Vec<usize> = (0..20).map(|time_ms| gates.level(&rule, way, time_ms)).collect();
            for entry_ms in entries {
                let mut events = later.clone();
                events.push(StepEvent { time_ms: entry_ms, mask: 1, ..StepEvent::default() });
                events.sort_by_key(|event| event.time_ms);
                let times = rule.best(&events).unwrap();
                prop_assert_eq!(levels[entry_ms as usize], times.len(), "entry {} of {:?}", entry_ms, events);
                for level in 1..=steps {
                    let better = (entry_ms + 1..20).find(|&time_ms| levels[time_ms as usize] > level);
                    prop_assert_eq!(gates.next_better(&rule, way, entry_ms, level), better, "{} after {}", level, entry_ms);
                }
            }
        }
    }
}
