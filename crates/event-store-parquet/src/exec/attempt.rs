//! One person's way through an ordered funnel: how far, and the attempt that is shown.
//!
//! The rule is existence: step k is reached when distinct events in order of time match steps 1 to k within the window, where
//! events of equal time stand in any order. Times are walked as groups of equal time. Within one, going from level j as far as
//! possible is a matching of the next steps to distinct events; between groups, events are distinct by themselves, and a higher
//! level is never worse than a lower one with the same entry. So three linear passes are exact: forward, with the latest entry that
//! reaches each level, for how far; backward, with the earliest end from each level, for the earliest entry that gets there;
//! forward again from that entry for its times.

/// Most steps of a funnel.
pub(super) const MAX_STEPS: usize = 50;
const NEVER: i64 = i64::MIN;
/// A larger group of equal time is first reduced to the events that can matter.
const LARGE_GROUP: usize = 32;

/// An event of one person that matches some step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StepEvent {
    pub(super) time_ms: i64,
    /// Bit k is set when the event matches step k, counted from 0.
    pub(super) mask: u64,
    /// Decides between entries of equal time; the smallest wins.
    pub(super) order: u32,
}

/// What a funnel allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct FunnelRule {
    /// 1 to [`MAX_STEPS`].
    pub(super) steps: usize,
    /// Longest time from entry to the last step, inclusive.
    pub(super) window_ms: Option<i64>,
    /// An entry lies at or after this, ...
    pub(super) from_ms: i64,
    /// ... and before this.
    pub(super) to_ms: i64,
    /// Only the earliest time with a step-1 event in range opens an attempt.
    pub(super) first_entry_only: bool,
}

/// The attempt that is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempt {
    /// The time of each step reached.
    pub(super) times: Vec<i64>,
    /// [`StepEvent::order`] of the entry.
    pub(super) entry_order: u32,
}

impl FunnelRule {
    /// The attempt shown for the events of one person, ascending by time; `None` when nothing is an entry.
    pub(super) fn attempt(&self, events: &[StepEvent]) -> Option<Attempt> {
        let first_ms = events.iter().find(|event| self.is_entry(event))?.time_ms;
        // All events of that time: another step's event may come before the entry in a tie.
        let first = events.partition_point(|event| event.time_ms < first_ms);
        let entry = if self.first_entry_only {
            first
        } else {
            match self.reach(&events[first..]) {
                1 => first,
                levels => first + self.earliest_entry(&events[first..], levels)?,
            }
        };
        let group_end = entry + group_length(&events[entry..]);
        let times = self.times(&events[entry..], None);
        let mut candidates: Vec<usize> = (entry..group_end).filter(|&i| self.is_entry(&events[i])).collect();
        candidates.sort_by_key(|&i| (events[i].order, events[i].mask));
        candidates.dedup_by_key(|i| (events[*i].order, events[*i].mask));
        let all_alike = candidates.first().zip(candidates.last()).is_some_and(|(&a, &b)| events[a].order == events[b].order);
        // The times are those of the attempt whichever entry of equal time is named; so only an entry that allows them is one.
        let allows = |&i: &usize| all_alike || self.times(&events[entry..], Some(i - entry)) == times;
        candidates.into_iter().find(allows).map(|i| Attempt { times, entry_order: events[i].order })
    }

    /// The times of the steps of the attempt that enters at `entry_ms` and goes on with events of later steps alone (ascending by
    /// time), each as early as possible.
    pub(super) fn times_from(&self, entry_ms: i64, later: &[StepEvent], times: &mut Vec<i64>) {
        times.clear();
        times.push(entry_ms);
        let from = later.partition_point(|event| event.time_ms < entry_ms);
        for group in later[from..].chunk_by(|a, b| a.time_ms == b.time_ms) {
            let time_ms = group[0].time_ms;
            if times.len() == self.steps || !self.in_window(entry_ms, time_ms) {
                break;
            }
            times.resize(advance(group, times.len(), self.steps), time_ms);
        }
    }

    fn is_entry(&self, event: &StepEvent) -> bool {
        event.mask & 1 == 1 && event.time_ms >= self.from_ms && event.time_ms < self.to_ms
    }

    #[inline]
    pub(super) fn in_window(&self, entry_ms: i64, time_ms: i64) -> bool {
        self.window_ms.is_none_or(|window_ms| time_ms.saturating_sub(entry_ms) <= window_ms)
    }

    /// Most steps that any attempt reaches.
    fn reach(&self, events: &[StepEvent]) -> usize {
        // The latest entry that has reached each level.
        let mut latest = [NEVER; MAX_STEPS + 1];
        let mut reached = 0;
        for group in events.chunk_by(|a, b| a.time_ms == b.time_ms) {
            let time_ms = group[0].time_ms;
            let enters = group.iter().any(|event| self.is_entry(event));
            // Descending, so that each level starts from what was reached before this group.
            for level in (0..self.steps.min(reached + 1)).rev() {
                let entry_ms = if level == 0 { time_ms } else { latest[level] };
                let starts = if level == 0 { enters } else { entry_ms != NEVER && self.in_window(entry_ms, time_ms) };
                if !starts {
                    continue;
                }
                let end = advance(group, level, self.steps);
                for latest in &mut latest[level + 1..=end] {
                    *latest = (*latest).max(entry_ms);
                }
                reached = reached.max(end);
            }
            if reached == self.steps {
                break;
            }
        }
        reached
    }

    /// Position of the first event at the earliest entry time from which `levels` steps are reached.
    fn earliest_entry(&self, events: &[StepEvent], levels: usize) -> Option<usize> {
        // The earliest end of steps k..levels with the events seen so far, which are the later ones.
        let mut ends = [i64::MAX; MAX_STEPS + 1];
        let mut found = None;
        let mut group_end = events.len();
        while group_end > 0 {
            let time_ms = events[group_end - 1].time_ms;
            let group_start = events[..group_end].partition_point(|event| event.time_ms < time_ms);
            let group = &events[group_start..group_end];
            // Ascending, so that each level goes on from what the later groups have reached.
            for level in 0..levels {
                let reached = advance(group, level, levels);
                if reached > level {
                    ends[level] = if reached == levels { time_ms } else { ends[reached] };
                }
            }
            let enters = group.iter().any(|event| self.is_entry(event));
            if enters && ends[0] != i64::MAX && self.in_window(time_ms, ends[0]) {
                found = Some(group_start);
            }
            group_end = group_start;
        }
        found
    }

    /// The times of the steps of the attempt that enters at the first of `events`, each as early as possible; with `entry`, that
    /// event of the first group is step 1.
    fn times(&self, events: &[StepEvent], entry: Option<usize>) -> Vec<i64> {
        let mut times = Vec::with_capacity(self.steps);
        let Some(entry_ms) = events.first().map(|event| event.time_ms) else { return times };
        let mut rest = events;
        if let Some(entry) = entry {
            let mut group = events[..group_length(events)].to_vec();
            rest = &events[group.len()..];
            group.swap_remove(entry);
            times.resize(advance(&group, 1, self.steps), entry_ms);
        }
        for group in rest.chunk_by(|a, b| a.time_ms == b.time_ms) {
            let time_ms = group[0].time_ms;
            if times.len() == self.steps || !self.in_window(entry_ms, time_ms) {
                break;
            }
            times.resize(advance(group, times.len(), self.steps), time_ms);
        }
        times
    }
}

fn group_length(events: &[StepEvent]) -> usize {
    events.iter().take_while(|event| event.time_ms == events[0].time_ms).count()
}

/// The level reached from `level` with events of equal time, each used once, `steps` at most.
pub(super) fn advance(group: &[StepEvent], level: usize, steps: usize) -> usize {
    if let [event] = group {
        return level + usize::from(level < steps && event.mask >> level & 1 == 1);
    }
    if level < steps && !group.iter().any(|event| event.mask >> level & 1 == 1) {
        return level;
    }
    let mut masks: Vec<u64> = group.iter().map(|event| event.mask).collect();
    if masks.len() > LARGE_GROUP {
        reduce(&mut masks);
    }
    let mut matching = Matching { masks, step_of: vec![None; group.len()] };
    (level..steps).find(|&step| !matching.add(step)).unwrap_or(steps)
}

/// Of equal masks, more than they have steps never matter.
fn reduce(masks: &mut Vec<u64>) {
    masks.sort_unstable();
    let (mut last, mut copies) = (0, 0);
    masks.retain(|&mask| {
        copies = if mask == last { copies + 1 } else { 1 };
        last = mask;
        copies <= mask.count_ones()
    });
}

/// A matching of steps to events, grown by augmenting paths (Kuhn).
struct Matching {
    masks: Vec<u64>,
    step_of: Vec<Option<usize>>,
}

impl Matching {
    /// Gives `step` an event, moving others where that is possible.
    fn add(&mut self, step: usize) -> bool {
        let mut visited = vec![false; self.masks.len()];
        self.augment(step, &mut visited)
    }

    /// Recurses at most once per event, and a path has at most as many events as there are steps.
    fn augment(&mut self, step: usize, visited: &mut [bool]) -> bool {
        for event in 0..self.masks.len() {
            if self.masks[event] >> step & 1 == 0 || std::mem::replace(&mut visited[event], true) {
                continue;
            }
            let is_free = match self.step_of[event] {
                None => true,
                Some(other) => self.augment(other, visited),
            };
            if is_free {
                self.step_of[event] = Some(step);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: FunnelRule = FunnelRule { steps: 3, window_ms: Some(3_600_000), from_ms: 0, to_ms: i64::MAX, first_entry_only: false };
    const MINUTE: i64 = 60_000;

    fn event(time_ms: i64, mask: u64) -> StepEvent {
        StepEvent { time_ms, mask, order: 0 }
    }

    fn reached(rule: FunnelRule, events: &[StepEvent]) -> usize {
        rule.attempt(events).map_or(0, |attempt| attempt.times.len())
    }

    #[test]
    fn the_worked_cases_of_the_semantics() {
        let events = [event(60 * MINUTE, 1), event(90 * MINUTE, 1), event(105 * MINUTE, 2), event(135 * MINUTE, 4)];
        let attempt = RULE.attempt(&events).unwrap();
        assert_eq!(attempt.times, [90 * MINUTE, 105 * MINUTE, 135 * MINUTE]);
        assert_eq!(reached(FunnelRule { first_entry_only: true, ..RULE }, &events), 2);
        assert_eq!(reached(RULE, &[event(5, 2), event(5, 1)]), 2);
        let twice = FunnelRule { steps: 2, ..RULE };
        assert_eq!(reached(twice, &[event(5, 3)]), 1);
        assert_eq!(reached(twice, &[event(5, 3), event(5, 3)]), 2);
        assert_eq!(reached(twice, &[event(0, 1), event(3_600_000, 2)]), 2);
        assert_eq!(reached(twice, &[event(0, 1), event(3_600_001, 2)]), 1);
    }

    #[test]
    fn a_huge_tie_is_walked_quickly() {
        let rule = FunnelRule { steps: 50, ..RULE };
        let events: Vec<StepEvent> = (0..200_000).map(|i| event(5, (1 << 50) - 1 - (i % 7))).collect();
        assert_eq!(reached(rule, &events), 50);
    }

    /// Every attempt of a person, by trying every event for every step.
    fn attempts(rule: FunnelRule, events: &[StepEvent]) -> Vec<Vec<usize>> {
        let first_ms = events.iter().filter(|e| rule.is_entry(e)).map(|e| e.time_ms).min();
        let mut found: Vec<Vec<usize>> = Vec::new();
        let mut open: Vec<Vec<usize>> = vec![Vec::new()];
        while let Some(chosen) = open.pop() {
            if !chosen.is_empty() {
                found.push(chosen.clone());
            }
            if chosen.len() == rule.steps {
                continue;
            }
            for (i, candidate) in events.iter().enumerate() {
                let fits = candidate.mask >> chosen.len() & 1 == 1 && !chosen.contains(&i);
                let in_order = match (chosen.first(), chosen.last()) {
                    (Some(&first), Some(&last)) => {
                        let elapsed = candidate.time_ms - events[first].time_ms;
                        candidate.time_ms >= events[last].time_ms && rule.window_ms.is_none_or(|window_ms| elapsed <= window_ms)
                    }
                    _ => rule.is_entry(candidate) && (!rule.first_entry_only || Some(candidate.time_ms) == first_ms),
                };
                if fits && in_order {
                    open.push([&chosen[..], &[i]].concat());
                }
            }
        }
        found
    }

    fn shown_by_search(rule: FunnelRule, events: &[StepEvent]) -> Option<Attempt> {
        let shown = attempts(rule, events)
            .into_iter()
            .map(|chosen| Attempt { times: chosen.iter().map(|&i| events[i].time_ms).collect(), entry_order: events[chosen[0]].order });
        shown.min_by_key(|attempt| (std::cmp::Reverse(attempt.times.len()), attempt.times.clone(), attempt.entry_order))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn agrees_with_a_search_over_all_choices(
            steps in 1usize..5,
            window in prop_oneof![Just(None), (0i64..8).prop_map(Some)],
            (from_ms, length) in (0i64..4, 1i64..10),
            first_entry_only: bool,
            events in prop::collection::vec((0i64..9, 1u64..16, 0u32..3), 0..8),
        ) {
            let rule = FunnelRule { steps, window_ms: window, from_ms, to_ms: from_ms + length, first_entry_only };
            let mut events: Vec<_> = events.into_iter().map(|(time_ms, mask, order)| StepEvent { time_ms, mask, order }).collect();
            events.sort_by_key(|event| event.time_ms);
            prop_assert_eq!(rule.attempt(&events), shown_by_search(rule, &events));
        }
    }
}
