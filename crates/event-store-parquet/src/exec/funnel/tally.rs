//! What came of the persons' attempts, group by group of the breakdown.

use event_store::{FunnelGroup, FunnelPlan, FunnelStepResult, Value};
use rustc_hash::FxHashMap;

use crate::exec::numbers::quantile;
use crate::exec::scan::Reserved;
use crate::exec::value::compare_values;

/// The attempts of one group.
#[derive(Default)]
pub(super) struct GroupTally {
    /// Persons who reached each step.
    users: Vec<u64>,
    /// Times from the step before, by step; the first step has none.
    durations_ms: Vec<Vec<f64>>,
}

impl GroupTally {
    /// Adds an attempt by the times of its steps.
    pub(super) fn add(&mut self, times: &[i64]) {
        if self.users.len() < times.len() {
            self.users.resize(times.len(), 0);
            self.durations_ms.resize(times.len(), Vec::new());
        }
        self.users.iter_mut().zip(times).for_each(|(users, _)| *users += 1);
        for (step, pair) in times.windows(2).enumerate() {
            self.durations_ms[step + 1].push((pair[1] - pair[0]) as f64);
        }
    }

    fn merge(&mut self, other: &Self) {
        let steps = self.users.len().max(other.users.len());
        self.users.resize(steps, 0);
        self.durations_ms.resize(steps, Vec::new());
        self.users.iter_mut().zip(&other.users).for_each(|(all, users)| *all += users);
        self.durations_ms.iter_mut().zip(&other.durations_ms).for_each(|(all, durations)| all.extend_from_slice(durations));
    }

    fn results(&mut self, steps: usize) -> Vec<FunnelStepResult> {
        self.users.resize(steps, 0);
        self.durations_ms.resize(steps, Vec::new());
        let result = |(&users, durations): (&u64, &mut Vec<f64>)| FunnelStepResult {
            users,
            median_time_ms: quantile(durations, 0.5),
            // Sums of whole milliseconds, exact below 2^53.
            avg_time_ms: (!durations.is_empty()).then(|| durations.iter().sum::<f64>() / durations.len() as f64),
        };
        self.users.iter().zip(&mut self.durations_ms).map(result).collect()
    }
}

/// Each group's attempts, from all persons. Their memory is given back with the second part.
#[derive(Default)]
pub(super) struct Tallies {
    groups: FxHashMap<u32, GroupTally>,
    memory: Vec<Reserved>,
}

impl Tallies {
    /// Joins what a thread has seen, by group number.
    pub(super) fn add(&mut self, groups: FxHashMap<u32, GroupTally>, memory: Reserved) {
        groups.into_iter().for_each(|(group, tally)| self.groups.entry(group).or_default().merge(&tally));
        self.memory.push(memory);
    }

    /// The result of all, and of each group with the rest folded. `groups` has the values of each group number.
    pub(super) fn tables(self, plan: &FunnelPlan, groups: &[Vec<Value>]) -> (Vec<FunnelStepResult>, Vec<FunnelGroup>) {
        let Self { groups: tallies, memory: _memory } = self;
        let steps = plan.steps.len();
        let mut total = GroupTally::default();
        tallies.values().for_each(|tally| total.merge(tally));
        if plan.breakdown.is_none() {
            return (total.results(steps), Vec::new());
        }
        let mut by_value: Vec<(Value, GroupTally)> =
            tallies.into_iter().map(|(group, tally)| (groups[group as usize].first().cloned().unwrap_or(Value::Null), tally)).collect();
        by_value.sort_by(|(a_value, a), (b_value, b)| b.users.first().cmp(&a.users.first()).then_with(|| compare_values(a_value, b_value)));
        if by_value.len() > plan.fold_keep {
            let mut rest = GroupTally::default();
            by_value.drain(plan.fold_keep..).for_each(|(_, tally)| rest.merge(&tally));
            by_value.push((Value::Other, rest));
        }
        let group = |(value, mut tally): (Value, GroupTally)| FunnelGroup { value: Some(value), steps: tally.results(steps) };
        (total.results(steps), by_value.into_iter().map(group).collect())
    }
}
