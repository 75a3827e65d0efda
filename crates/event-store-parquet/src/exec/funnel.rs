//! The ordered funnel: events of the steps by person, then each person's attempt.

use std::sync::Mutex;

use arrow::array::RecordBatch;
use event_store::{FunnelGroup, FunnelPlan, FunnelStepResult, FunnelTable, QueryContext, QueryError, Value};
use rustc_hash::FxHashMap;

use super::attempt::{FunnelRule, MAX_STEPS, StepEvent};
use super::column::{Batch, Fields};
use super::filter::{Memos, Predicate, Preparation};
use super::group::{GroupCoder, GroupTable};
use super::numbers::quantile;
use super::pairs::{self, PairList, SortedPairs};
use super::person_property::PersonProperty;
use super::scan::{Query, Reserved};
use super::timeline::{MAX_LABEL, Timeline};
use super::value::compare_values;
use crate::columns::{self, ColumnRequest};
use crate::part::ScanRequest;

/// Answers a [`FunnelPlan`].
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub fn funnel(query: &Query<'_>, plan: &FunnelPlan) -> Result<FunnelTable, QueryError> {
    check_plan(plan)?;
    let scan = &plan.scan;
    let mut fields = Fields::default();
    let breakdown: Vec<usize> = plan.breakdown.iter().map(|field| fields.add(field)).collect();
    let mut preparation = Preparation::new(&mut fields);
    let filter = preparation.filter(&scan.filter)?;
    let mut step = |step: &event_store::FunnelStep| {
        let any = step.any_of.iter().map(|(names, filter)| preparation.selection(names.as_deref(), filter));
        Ok(Predicate::Any(any.collect::<Result<_, QueryError>>()?))
    };
    let steps = plan.steps.iter().map(&mut step).collect::<Result<Vec<_>, QueryError>>()?;
    let memo_count = preparation.memo_count();
    let mut stats = PersonProperty::load_all(query, &scan.app, &mut fields)?;

    let mut requests = fields.requests();
    requests.extend([columns::PERSON, columns::TIME].map(ColumnRequest::Fixed));
    let names = step_names(plan);
    let to_ms = match plan.window_ms {
        _ if plan.range_applies_to_all => scan.to_ms,
        Some(window_ms) => scan.to_ms.saturating_add(window_ms),
        None => i64::MAX,
    };
    let request = ScanRequest { app: &scan.app, from_ms: scan.from_ms, to_ms, events: names.as_deref(), columns: &requests };
    let gathering = Gathering {
        fields: &fields,
        filter: &filter,
        steps: &steps,
        groups: GroupTable::new(breakdown, query.context),
        labels: Mutex::default(),
        timeline: Timeline::from(scan.from_ms),
        entries_to_ms: scan.to_ms,
    };
    let make = || Worker::new(&gathering, memo_count, query.context);
    let (workers, scanned) = query.scan(&request, &make, &|worker, batch| worker.read(&gathering, batch))?;
    super::aggregate::add_stats(&mut stats, scanned);
    let events = PairList::merge(workers.into_iter().map(|worker| worker.events).collect(), query)?;
    let tallies = walk(query, plan, &gathering, &events)?;
    let (total, groups) = tables(plan, &gathering.groups.groups(), tallies);
    Ok(FunnelTable { total, groups, stats })
}

fn check_plan(plan: &FunnelPlan) -> Result<(), QueryError> {
    let invalid = |field: &str, message: String| Err(QueryError::Invalid { field: field.into(), message });
    if plan.steps.is_empty() || plan.steps.len() > MAX_STEPS {
        return invalid("steps", format!("a funnel has 1 to {MAX_STEPS} steps"));
    }
    if plan.window_ms.is_some_and(|window_ms| window_ms < 0) {
        return invalid("window", "a window is not negative".into());
    }
    Ok(())
}

/// The event names that can match a step, `None` when any can.
fn step_names(plan: &FunnelPlan) -> Option<Vec<String>> {
    let selections = || plan.steps.iter().flat_map(|step| &step.any_of);
    if selections().any(|(names, _)| names.is_none()) {
        return plan.scan.events.clone();
    }
    let mut names: Vec<String> = selections().filter_map(|(names, _)| names.as_ref()).flatten().cloned().collect();
    names.sort();
    names.dedup();
    names.retain(|name| plan.scan.events.as_ref().is_none_or(|events| events.contains(name)));
    Some(names)
}

/// What the threads share while they read.
struct Gathering<'g> {
    fields: &'g Fields,
    filter: &'g Predicate,
    steps: &'g [Predicate],
    groups: GroupTable,
    labels: Mutex<Labels>,
    timeline: Timeline,
    entries_to_ms: i64,
}

/// Distinct pairs of the steps an event matches and its value of the breakdown, where it can be an entry.
#[derive(Default)]
struct Labels {
    numbers: FxHashMap<(u64, u32), u32>,
    list: Vec<(u64, u32)>,
}

impl Gathering<'_> {
    fn label(&self, mask: u64, group: u32) -> Result<u32, QueryError> {
        let mut labels = self.labels.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let next = labels.list.len() as u32;
        if next >= MAX_LABEL {
            return Err(QueryError::Groups { limit: MAX_LABEL as usize });
        }
        let number = *labels.numbers.entry((mask, group)).or_insert(next);
        if number == next {
            labels.list.push((mask, group));
        }
        Ok(number)
    }
}

/// Events one thread has read.
struct Worker<'g> {
    memos: Memos,
    coder: GroupCoder<'g>,
    labels: FxHashMap<(u64, u32), u32>,
    events: PairList,
    masks: Vec<u64>,
    entries: Vec<u32>,
    entry_groups: Vec<u32>,
}

impl<'g> Worker<'g> {
    fn new(gathering: &'g Gathering<'_>, memo_count: usize, context: &QueryContext) -> Self {
        Self {
            memos: Memos::new(memo_count),
            coder: GroupCoder::new(&gathering.groups),
            labels: FxHashMap::default(),
            // Repeated events stay: steps "A, A" need two, however alike they are.
            events: PairList::repeating(context),
            masks: Vec::new(),
            entries: Vec::new(),
            entry_groups: Vec::new(),
        }
    }

    fn read(&mut self, gathering: &Gathering<'_>, batch: &RecordBatch) -> Result<(), QueryError> {
        let batch = Batch::new(batch, gathering.fields);
        self.match_steps(gathering, &batch);
        self.entries.clear();
        self.entries.extend((0..batch.rows() as u32).filter(|&row| self.masks[row as usize] & 1 == 1));
        self.coder.code(&batch, &self.entries, &mut self.entry_groups)?;
        let mut entry_groups = self.entry_groups.iter();
        let (persons, _) = batch.persons();
        let times = batch.times();
        let mut last: Option<((u64, u32), u32)> = None;
        for row in 0..batch.rows() {
            let mask = self.masks[row];
            if mask == 0 {
                continue;
            }
            let group = if mask & 1 == 1 { entry_groups.next().copied().unwrap_or(0) } else { 0 };
            let label = match last {
                Some((known, label)) if known == (mask, group) => label,
                _ => match self.labels.get(&(mask, group)) {
                    Some(&label) => label,
                    None => {
                        let label = gathering.label(mask, group)?;
                        self.labels.insert((mask, group), label);
                        label
                    }
                },
            };
            last = Some(((mask, group), label));
            self.events.push(persons[row], gathering.timeline.payload(times[row], label))?;
        }
        Ok(())
    }

    /// Fills `masks` with the steps each row matches; none where it has no person or comes too late for all it matches.
    fn match_steps(&mut self, gathering: &Gathering<'_>, batch: &Batch) {
        self.masks.clear();
        self.masks.resize(batch.rows(), 0);
        let filter = (!gathering.filter.is_always()).then(|| gathering.filter.evaluate(batch, &mut self.memos));
        for (step, predicate) in gathering.steps.iter().enumerate() {
            let matches = predicate.evaluate(batch, &mut self.memos);
            let matches = filter.as_ref().map_or_else(|| matches.clone(), |filter| filter & &matches);
            matches.set_indices().for_each(|row| self.masks[row] |= 1 << step);
        }
        let (_, nulls) = batch.persons();
        for (row, (mask, &time_ms)) in self.masks.iter_mut().zip(batch.times()).enumerate() {
            if time_ms >= gathering.entries_to_ms {
                *mask &= !1;
            }
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                *mask = 0;
            }
        }
    }
}

/// The attempts of one group.
#[derive(Default)]
struct GroupTally {
    /// Persons who reached each step.
    users: Vec<u64>,
    /// Times from the step before, by step; the first step has none.
    durations_ms: Vec<Vec<f64>>,
}

impl GroupTally {
    fn add(&mut self, times: &[i64]) {
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

/// What one thread has seen of the persons: attempts by group number of the breakdown.
struct Walker {
    groups: FxHashMap<u32, GroupTally>,
    events: Vec<StepEvent>,
    memory: Reserved,
}

/// Each group's attempts, from all persons. Their memory is given back with the second part.
type Tallies = (FxHashMap<u32, GroupTally>, Vec<Reserved>);

fn walk(query: &Query<'_>, plan: &FunnelPlan, gathering: &Gathering<'_>, events: &SortedPairs) -> Result<Tallies, QueryError> {
    let rule = FunnelRule {
        steps: plan.steps.len(),
        window_ms: plan.window_ms,
        from_ms: plan.scan.from_ms,
        to_ms: plan.scan.to_ms,
        first_entry_only: plan.first_entry_only,
    };
    let values: Vec<Value> = gathering.groups.groups().into_iter().map(|mut group| group.pop().unwrap_or(Value::Null)).collect();
    let mut group_by_order: Vec<u32> = (0..values.len() as u32).collect();
    group_by_order.sort_by(|&a, &b| compare_values(&values[a as usize], &values[b as usize]));
    let mut order_of_group = vec![0u32; values.len()];
    group_by_order.iter().zip(0..).for_each(|(&group, order)| order_of_group[group as usize] = order);
    let labels = gathering.labels.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let labels: Vec<(u64, u32)> =
        labels.list.iter().map(|&(mask, group)| (mask, order_of_group.get(group as usize).copied().unwrap_or(0))).collect();

    let make = || Walker { groups: FxHashMap::default(), events: Vec::new(), memory: Reserved::new(query.context) };
    let walkers = events.for_each_key(query, &make, &|walker, pairs| {
        walker.events.clear();
        walker.events.extend(pairs.iter().map(|&pair| {
            let moment = gathering.timeline.moment(pairs::payload(pair));
            let (mask, order) = labels[moment.label as usize];
            StepEvent { time_ms: moment.time_ms, mask, order }
        }));
        let Some(attempt) = rule.attempt(&walker.events) else { return Ok(()) };
        if attempt.times.len() > 1 {
            walker.memory.grow((attempt.times.len() - 1) * size_of::<f64>())?;
        }
        walker.groups.entry(group_by_order[attempt.entry_order as usize]).or_default().add(&attempt.times);
        Ok(())
    })?;
    let mut all: FxHashMap<u32, GroupTally> = FxHashMap::default();
    let mut memory = Vec::new();
    for walker in walkers {
        walker.groups.into_iter().for_each(|(group, tally)| all.entry(group).or_default().merge(&tally));
        memory.push(walker.memory);
    }
    Ok((all, memory))
}

fn tables(plan: &FunnelPlan, groups: &[Vec<Value>], (tallies, _memory): Tallies) -> (Vec<FunnelStepResult>, Vec<FunnelGroup>) {
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
