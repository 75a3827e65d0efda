//! What came of the attempts, by group of the breakdown and by period.

use event_store::{
    ConversionTime, ConversionTimes, FunnelGroup, FunnelPlan, FunnelStepResult, FunnelTable, QueryContext, QueryError, Value,
};
use rustc_hash::FxHashMap;

use crate::exec::attempt::{NOT_DONE, Scope};
use crate::exec::numbers::quantile;
use crate::exec::scan::Reserved;
use crate::exec::value::compare_values;

/// The group of attempts without the event that the breakdown looks at.
pub(super) const NO_VALUE: u32 = u32::MAX;

/// Attempts that one thread has seen.
pub(super) struct Tally<'p> {
    groups: FxHashMap<(Scope, u32), GroupTally>,
    /// Times from one step to another, where they are asked for.
    conversions_ms: Vec<f64>,
    conversion_time: Option<ConversionTime>,
    before: &'p [Option<usize>],
    memory: Reserved,
}

/// The attempts of one group.
#[derive(Clone, Default)]
struct GroupTally {
    /// Attempts that have each step.
    users: Vec<u64>,
    /// Times from the step before that is not optional, by step; the first step has none.
    durations_ms: Vec<Vec<f64>>,
}

impl<'p> Tally<'p> {
    /// `before` names the step before each step that is not optional.
    pub(super) fn new(plan: &FunnelPlan, before: &'p [Option<usize>], context: &QueryContext) -> Self {
        let conversion_time = plan.conversion_time;
        Self { groups: FxHashMap::default(), conversions_ms: Vec::new(), conversion_time, before, memory: Reserved::new(context) }
    }

    /// Adds an attempt by the times of its steps.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    pub(super) fn add(&mut self, scope: Scope, group: u32, times: &[i64]) -> Result<(), QueryError> {
        if times.len() > 1 {
            self.memory.grow((times.len() - 1) * size_of::<f64>())?;
        }
        let tally = self.groups.entry((scope, group)).or_default();
        if tally.users.len() < times.len() {
            self.memory.grow((times.len() - tally.users.len()) * (size_of::<u64>() + size_of::<Vec<f64>>()))?;
            tally.users.resize(times.len(), 0);
            tally.durations_ms.resize(times.len(), Vec::new());
        }
        let done = |step: usize| times.get(step).copied().filter(|&time_ms| time_ms != NOT_DONE);
        for step in 0..times.len() {
            let Some(time_ms) = done(step) else { continue };
            tally.users[step] += 1;
            if let Some(before_ms) = self.before[step].and_then(done) {
                tally.durations_ms[step].push((time_ms - before_ms) as f64);
            }
        }
        let between = self.conversion_time.filter(|_| scope == Scope::Range);
        if let Some((from_ms, to_ms)) = between.and_then(|between| Some((done(between.from_step)?, done(between.to_step)?))) {
            self.memory.grow(size_of::<f64>())?;
            self.conversions_ms.push((to_ms - from_ms) as f64);
        }
        Ok(())
    }
}

impl GroupTally {
    fn merge(&mut self, other: &Self) {
        let steps = self.users.len().max(other.users.len());
        self.users.resize(steps, 0);
        self.durations_ms.resize(steps, Vec::new());
        self.users.iter_mut().zip(&other.users).for_each(|(all, users)| *all += users);
        self.durations_ms.iter_mut().zip(&other.durations_ms).for_each(|(all, durations)| all.extend_from_slice(durations));
    }

    fn results(mut self, steps: usize) -> Vec<FunnelStepResult> {
        self.users.resize(steps, 0);
        self.durations_ms.resize(steps, Vec::new());
        let result = |(&users, durations): (&u64, &mut Vec<f64>)| FunnelStepResult {
            users,
            median_time_ms: quantile(durations, 0.5),
            avg_time_ms: mean(durations),
        };
        self.users.iter().zip(&mut self.durations_ms).map(result).collect()
    }
}

/// Sums of whole milliseconds, exact below 2^53.
fn mean(durations_ms: &[f64]) -> Option<f64> {
    (!durations_ms.is_empty()).then(|| durations_ms.iter().sum::<f64>() / durations_ms.len() as f64)
}

/// Each group's attempts, from all threads. Their memory is given back with the last part.
#[derive(Default)]
pub(super) struct Tallies {
    groups: FxHashMap<(Scope, u32), GroupTally>,
    conversions_ms: Vec<f64>,
    memory: Vec<Reserved>,
}

/// One group: its attempts, and those of each period.
type ByPeriod = (GroupTally, FxHashMap<u32, GroupTally>);

impl Tallies {
    /// Joins what a thread has seen.
    pub(super) fn add(&mut self, tally: Tally<'_>) {
        tally.groups.into_iter().for_each(|(group, tally)| self.groups.entry(group).or_default().merge(&tally));
        self.conversions_ms.extend(tally.conversions_ms);
        self.memory.push(tally.memory);
    }

    /// The results of all, and of each group with the rest folded. `values` has the value of each group number.
    pub(super) fn table(self, plan: &FunnelPlan, values: &[Value]) -> FunnelTable {
        let Self { groups: tallies, conversions_ms, memory: _memory } = self;
        let mut total = ByPeriod::default();
        // Groups whose attempts lack the event have no value, as those whose event has none.
        let mut by_value: Vec<(Value, ByPeriod)> = Vec::new();
        let mut place_of: FxHashMap<u32, usize> = FxHashMap::default();
        for ((scope, group), tally) in tallies {
            add(&mut total, scope, &tally);
            if plan.breakdown.is_some() {
                let value = values.get(group as usize).cloned().unwrap_or(Value::Null);
                let place = *place_of.entry(group).or_insert_with(|| place_for(&mut by_value, value));
                add(&mut by_value[place].1, scope, &tally);
            }
        }
        let first = |(tally, _): &ByPeriod| tally.users.first().copied();
        by_value.sort_by(|(a_value, a), (b_value, b)| first(b).cmp(&first(a)).then_with(|| compare_values(a_value, b_value)));
        if by_value.len() > plan.fold_keep {
            let mut rest = ByPeriod::default();
            for (_, (tally, periods)) in by_value.drain(plan.fold_keep..) {
                add(&mut rest, Scope::Range, &tally);
                periods.iter().for_each(|(period, tally)| add(&mut rest, Scope::Period(*period), tally));
            }
            by_value.push((Value::Other, rest));
        }
        let group = |(value, tally)| {
            let (steps, buckets) = results(plan, tally);
            FunnelGroup { value: Some(value), steps, buckets }
        };
        let groups = by_value.into_iter().map(group).collect();
        let (total, buckets) = results(plan, total);
        let conversion_times = plan.conversion_time.map(|asked| conversion_times(asked, conversions_ms));
        FunnelTable { total, buckets, groups, conversion_times, ..FunnelTable::default() }
    }
}

/// Where the attempts of a new group go.
fn place_for(by_value: &mut Vec<(Value, ByPeriod)>, value: Value) -> usize {
    let known = if value == Value::Null { by_value.iter().position(|(known, _)| *known == Value::Null) } else { None };
    known.unwrap_or_else(|| {
        by_value.push((value, ByPeriod::default()));
        by_value.len() - 1
    })
}

fn add((range, periods): &mut ByPeriod, scope: Scope, tally: &GroupTally) {
    match scope {
        Scope::Range => range.merge(tally),
        Scope::Period(period) => periods.entry(period).or_default().merge(tally),
    }
}

fn results(plan: &FunnelPlan, (range, mut periods): ByPeriod) -> (Vec<FunnelStepResult>, Vec<Vec<FunnelStepResult>>) {
    let steps = plan.steps.len();
    let count = plan.buckets.as_ref().map_or(0, |buckets| buckets.starts.len()) as u32;
    (range.results(steps), (0..count).map(|period| periods.remove(&period).unwrap_or_default().results(steps)).collect())
}

fn conversion_times(asked: ConversionTime, mut times_ms: Vec<f64>) -> ConversionTimes {
    let (Some(min_ms), Some(max_ms)) = (times_ms.iter().copied().reduce(f64::min), times_ms.iter().copied().reduce(f64::max)) else {
        return ConversionTimes { bin_width_ms: 1, ..ConversionTimes::default() };
    };
    let (min_ms, max_ms) = (min_ms as i64, max_ms as i64);
    let wanted = asked.bins.unwrap_or_else(|| (times_ms.len() as f64).cbrt().ceil() as usize).max(1) as i64;
    let bin_width_ms = (max_ms - min_ms).div_euclid(wanted) + i64::from((max_ms - min_ms) % wanted != 0);
    let bin_width_ms = bin_width_ms.max(1);
    let bin = |time_ms: i64| ((time_ms - min_ms) / bin_width_ms) as usize;
    let mut bins = vec![0; bin(max_ms) + 1];
    times_ms.iter().for_each(|&time_ms| bins[bin(time_ms as i64)] += 1);
    ConversionTimes {
        count: times_ms.len() as u64,
        avg_ms: mean(&times_ms),
        median_ms: quantile(&mut times_ms, 0.5),
        min_ms: Some(min_ms),
        max_ms: Some(max_ms),
        bin_width_ms,
        bins,
    }
}
