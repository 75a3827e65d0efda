//! The plain ordered funnel: how far, and the attempt that is shown.
//!
//! The rule is existence: step k is reached when distinct events in order of time match steps 1 to k within the window, where
//! events of equal time stand in any order. Times are walked as groups of equal time. Within one, going from level j as far as
//! possible is a matching of the next steps to distinct events; between groups, events are distinct by themselves, and a higher
//! level is never worse than a lower one with the same entry. So three linear passes are exact: forward, with the latest entry that
//! reaches each level, for how far; backward, with the earliest end from each level, for the earliest entry that gets there;
//! forward again from that entry for its times.

use event_store::MAX_FUNNEL_STEPS;

use super::StepEvent;
use super::matching::advance;

const NEVER: i64 = i64::MIN;

/// What a plain ordered funnel allows.
#[derive(Clone, Copy, Debug)]
pub(in crate::exec) struct OrderedRule {
    /// 1 to [`MAX_FUNNEL_STEPS`].
    pub(in crate::exec) steps: usize,
    /// Longest time from entry to the last step, inclusive.
    pub(in crate::exec) window_ms: Option<i64>,
    /// An entry lies at or after this, ...
    pub(in crate::exec) from_ms: i64,
    /// ... and before this.
    pub(in crate::exec) to_ms: i64,
}

impl OrderedRule {
    /// The times of the steps of the attempt shown, for the events of one person, ascending by time; `None` when nothing is an entry.
    pub(in crate::exec) fn best(&self, events: &[StepEvent]) -> Option<Vec<i64>> {
        let first_ms = events.iter().find(|event| self.is_entry(event))?.time_ms;
        // All events of that time: another step's event may come before the entry in a tie.
        let first = events.partition_point(|event| event.time_ms < first_ms);
        // Where no other time can have an entry, there is nothing to choose.
        if self.to_ms.saturating_sub(first_ms) == 1 {
            return Some(self.times(&events[first..]));
        }
        let entry = match self.reach(&events[first..]) {
            1 => first,
            levels => first + self.earliest_entry(&events[first..], levels)?,
        };
        Some(self.times(&events[entry..]))
    }

    /// The times of the steps of the attempt that enters at `entry_ms` and goes on with events of later steps alone (ascending by
    /// time), each as early as possible.
    pub(in crate::exec) fn times_from(&self, entry_ms: i64, later: &[StepEvent], times: &mut Vec<i64>) {
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

    pub(super) fn is_entry(&self, event: &StepEvent) -> bool {
        event.mask & 1 == 1 && event.time_ms >= self.from_ms && event.time_ms < self.to_ms
    }

    #[inline]
    pub(in crate::exec) fn in_window(&self, entry_ms: i64, time_ms: i64) -> bool {
        self.window_ms.is_none_or(|window_ms| time_ms.saturating_sub(entry_ms) <= window_ms)
    }

    /// Most steps that any attempt reaches.
    pub(super) fn reach(&self, events: &[StepEvent]) -> usize {
        // The latest entry that has reached each level.
        let mut latest = [NEVER; MAX_FUNNEL_STEPS + 1];
        let mut reached = 0;
        for group in events.chunk_by(|a, b| a.time_ms == b.time_ms) {
            let time_ms = group[0].time_ms;
            let enters = group.iter().any(|event| self.is_entry(event));
            let levels = (1 << self.steps.min(reached + 1)) - 1;
            let mut open = group.iter().fold(0, |masks, event| masks | event.mask) & levels;
            // Descending, so that each level starts from what was reached before this group.
            while open != 0 {
                let level = open.ilog2() as usize;
                open &= !(1 << level);
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
        let mut ends = [i64::MAX; MAX_FUNNEL_STEPS + 1];
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

    /// The times of the steps of the attempt that enters at the first of `events`, each as early as possible.
    pub(super) fn times(&self, events: &[StepEvent]) -> Vec<i64> {
        let mut times = Vec::with_capacity(self.steps);
        self.find_times(events, &mut times);
        times
    }

    /// As [`OrderedRule::times`], into `times`.
    pub(super) fn find_times(&self, events: &[StepEvent], times: &mut Vec<i64>) {
        times.clear();
        let Some(entry_ms) = events.first().map(|event| event.time_ms) else { return };
        for group in events.chunk_by(|a, b| a.time_ms == b.time_ms) {
            let time_ms = group[0].time_ms;
            if times.len() == self.steps || !self.in_window(entry_ms, time_ms) {
                break;
            }
            times.resize(advance(group, times.len(), self.steps), time_ms);
        }
    }
}
