//! Who has returned when, by group and cohort.

use event_store::{QueryContext, QueryError, RetentionCohort, RetentionGroup, RetentionMode, RetentionPlan, RetentionTable, Value};
use rustc_hash::FxHashMap;

use super::nobody;
use crate::exec::scan::Reserved;
use crate::exec::value::compare_values;

/// What one thread has counted.
pub(super) struct Tally {
    /// By group and cohort. With on-or-after, `returned[N]` has those who returned in period N for the last time.
    cohorts: FxHashMap<(u32, u32), RetentionCohort>,
    mode: RetentionMode,
    max_period: usize,
    memory: Reserved,
}

impl Tally {
    pub(super) fn new(plan: &RetentionPlan, context: &QueryContext) -> Self {
        Self { cohorts: FxHashMap::default(), mode: plan.mode, max_period: plan.max_period, memory: Reserved::new(context) }
    }

    /// Adds a person to a cohort with the periods of the return events, ascending.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    pub(super) fn add(&mut self, group: u32, cohort: usize, since: impl Iterator<Item = usize>) -> Result<(), QueryError> {
        let max_period = self.max_period;
        let found = self.cohorts.entry((group, cohort as u32)).or_default();
        if found.returned.is_empty() {
            self.memory.grow(size_of::<((u32, u32), RetentionCohort)>() + (max_period + 1) * size_of::<u64>())?;
            found.returned.resize(max_period + 1, 0);
        }
        found.size += 1;
        match self.mode {
            RetentionMode::On => {
                let mut last = None;
                since.take_while(|&period| period <= max_period).for_each(|period| {
                    // Windows that begin with an event may have several return events.
                    found.returned[period] += u64::from(last != Some(period));
                    last = Some(period);
                });
            }
            RetentionMode::OnOrAfter => {
                if let Some(period) = since.last() {
                    found.returned[period.min(max_period)] += 1;
                }
            }
        }
        Ok(())
    }
}

/// Joins what the threads have counted: all persons, and each group with the rest folded.
pub(super) fn table(plan: &RetentionPlan, tallies: &[Tally], values: &[Value]) -> RetentionTable {
    let found = || tallies.iter().flat_map(|tally| &tally.cohorts);
    let mut total = vec![nobody(plan); plan.cohorts];
    found().for_each(|((_, cohort), found)| add(&mut total[*cohort as usize], found));
    let mut groups = if plan.breakdown.is_some() { by_group(plan, &found, values) } else { Vec::new() };
    if plan.mode == RetentionMode::OnOrAfter {
        total.iter_mut().chain(groups.iter_mut().flat_map(|group| &mut group.cohorts)).for_each(or_after);
    }
    RetentionTable { total, groups, ..RetentionTable::default() }
}

/// The largest groups, then the rest as one.
fn by_group<'t, F: Iterator<Item = (&'t (u32, u32), &'t RetentionCohort)>>(
    plan: &RetentionPlan,
    found: &dyn Fn() -> F,
    values: &[Value],
) -> Vec<RetentionGroup> {
    let mut sizes: FxHashMap<u32, u64> = FxHashMap::default();
    found().for_each(|((group, _), found)| *sizes.entry(*group).or_default() += found.size);
    let value = |group: u32| values.get(group as usize).cloned().unwrap_or(Value::Null);
    let mut ranked: Vec<(u32, u64, Value)> = sizes.into_iter().map(|(group, size)| (group, size, value(group))).collect();
    ranked.sort_by(|(_, a_size, a), (_, b_size, b)| b_size.cmp(a_size).then_with(|| compare_values(a, b)));
    let places: FxHashMap<u32, usize> = ranked.iter().enumerate().map(|(place, (group, ..))| (*group, place.min(plan.fold_keep))).collect();
    let has_rest = ranked.len() > plan.fold_keep;
    let kept = ranked.into_iter().take(plan.fold_keep).map(|(_, _, value)| value).chain(has_rest.then_some(Value::Other));
    let mut groups: Vec<RetentionGroup> = kept.map(|value| RetentionGroup { value, cohorts: vec![nobody(plan); plan.cohorts] }).collect();
    found().for_each(|((group, cohort), found)| add(&mut groups[places[group]].cohorts[*cohort as usize], found));
    groups
}

fn add(all: &mut RetentionCohort, cohort: &RetentionCohort) {
    all.size += cohort.size;
    all.returned.iter_mut().zip(&cohort.returned).for_each(|(all, returned)| *all += returned);
}

/// From those who returned for the last time to those who returned then or later.
fn or_after(cohort: &mut RetentionCohort) {
    let mut later = 0;
    for returned in cohort.returned.iter_mut().rev() {
        later += *returned;
        *returned = later;
    }
}
