//! The ordered funnel.
//!
//! Where the entry has event names of its own, only the events of later steps are laid out person by person; entries stream by and
//! each person keeps the best ([`entries`]). Any other funnel gathers the events of all steps by person ([`gathered`]).

mod entries;
mod gates;
mod gathered;
mod tally;

use event_store::{FunnelPlan, FunnelTable, QueryError, ScanStats};

use super::attempt::{FunnelRule, MAX_STEPS};
use super::batch::{Batch, Fields};
use super::column_scan::Reading;
use super::filter::{Memos, Predicate, Preparation};
use super::group::GroupTable;
use super::mask::Mask;
use super::person_property::PersonProperty;
use super::scan::Query;

/// Answers a [`FunnelPlan`].
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub fn funnel(query: &Query<'_>, plan: &FunnelPlan) -> Result<FunnelTable, QueryError> {
    check_plan(plan)?;
    query.with_persons(&plan.scan.app, |reading| {
        let mut stats = ScanStats::default();
        let steps = 0..plan.steps.len();
        let (tallies, groups) = match entry_is_apart(plan) && reading.has_ordinals() {
            true => {
                let entry = Side::new(query, plan, 0..1, true, reading, &mut stats)?;
                let later = Side::new(query, plan, 1..steps.end, false, reading, &mut stats)?;
                (entries::walk(query, plan, &entry, &later, reading, &mut stats)?, entry.groups)
            }
            false => {
                let side = Side::new(query, plan, steps, true, reading, &mut stats)?;
                (gathered::walk(query, plan, &side, reading, &mut stats)?, side.groups)
            }
        };
        let (total, groups) = tallies.tables(plan, &groups.groups());
        Ok(FunnelTable { total, groups, stats })
    })
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

/// True when no event can be an entry and another step.
fn entry_is_apart(plan: &FunnelPlan) -> bool {
    let names = |steps: std::ops::Range<usize>| plan.steps[steps].iter().flat_map(|step| &step.any_of).map(|(names, _)| names.as_deref());
    let entry: Option<Vec<&[String]>> = names(0..1).collect();
    let later: Option<Vec<&[String]>> = names(1..plan.steps.len()).collect();
    match (entry, later) {
        (Some(entry), Some(later)) => !entry.concat().iter().any(|name| later.iter().any(|names| names.contains(name))),
        _ => false,
    }
}

fn rule(plan: &FunnelPlan) -> FunnelRule {
    FunnelRule {
        steps: plan.steps.len(),
        window_ms: plan.window_ms,
        from_ms: plan.scan.from_ms,
        to_ms: plan.scan.to_ms,
        first_entry_only: plan.first_entry_only,
    }
}

/// The end of the events that can be later steps.
fn later_to_ms(plan: &FunnelPlan) -> i64 {
    match plan.window_ms {
        _ if plan.range_applies_to_all => plan.scan.to_ms,
        Some(window_ms) => plan.scan.to_ms.saturating_add(window_ms),
        None => i64::MAX,
    }
}

/// Some steps of a funnel as one scan sees them.
struct Side {
    fields: Fields,
    filter: Predicate,
    /// By number of the step, counted from 0.
    steps: Vec<(usize, Predicate)>,
    memo_count: usize,
    /// Values of the breakdown.
    groups: GroupTable,
    /// The event names that can match a step, `None` when any can.
    names: Option<Vec<String>>,
}

impl Side {
    fn new(
        query: &Query<'_>,
        plan: &FunnelPlan,
        steps: std::ops::Range<usize>,
        has_breakdown: bool,
        reading: &Reading,
        stats: &mut ScanStats,
    ) -> Result<Self, QueryError> {
        let mut fields = Fields::default();
        let breakdown: Vec<usize> = plan.breakdown.iter().filter(|_| has_breakdown).map(|field| fields.add(field)).collect();
        let mut preparation = Preparation::new(&mut fields);
        let filter = preparation.filter(&plan.scan.filter)?;
        let mut step = |step: usize| {
            let any = plan.steps[step].any_of.iter().map(|(names, filter)| preparation.selection(names.as_deref(), filter));
            Ok((step, Predicate::Any(any.collect::<Result<_, QueryError>>()?)))
        };
        let predicates = steps.clone().map(&mut step).collect::<Result<Vec<_>, QueryError>>()?;
        let memo_count = preparation.memo_count();
        super::aggregate::add_stats(stats, PersonProperty::load_all(query, &plan.scan.app, &mut fields, Some(reading))?);
        let groups = GroupTable::new(breakdown, query.context);
        Ok(Self { fields, filter, steps: predicates, memo_count, groups, names: step_names(plan, steps) })
    }

    /// Calls `each` with every step and the rows that match it.
    fn match_steps(&self, batch: &Batch, wanted: Option<&Mask>, memos: &mut Memos, mut each: impl FnMut(usize, &Mask)) {
        let filter = (!self.filter.is_always()).then(|| self.filter.evaluate(batch, wanted, memos));
        let candidates = filter.as_ref().or(wanted);
        for (step, predicate) in &self.steps {
            each(*step, &predicate.evaluate(batch, candidates, memos));
        }
    }
}

fn step_names(plan: &FunnelPlan, steps: std::ops::Range<usize>) -> Option<Vec<String>> {
    let selections = || plan.steps[steps.clone()].iter().flat_map(|step| &step.any_of);
    if selections().any(|(names, _)| names.is_none()) {
        return plan.scan.events.clone();
    }
    let mut names: Vec<String> = selections().filter_map(|(names, _)| names.as_ref()).flatten().cloned().collect();
    names.sort();
    names.dedup();
    names.retain(|name| plan.scan.events.as_ref().is_none_or(|events| events.contains(name)));
    Some(names)
}
