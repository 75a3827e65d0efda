//! Funnels.
//!
//! A plain ordered funnel whose entry has event names of its own lays out only the events of later steps person by person; entries
//! stream by and each person keeps the best ([`entries`]). Any other funnel lays out the events of all steps and exclusions by person
//! ([`streams`]) and asks the [`Rule`] what they count for ([`walk`]).

mod entries;
mod gates;
mod others;
mod persons;
mod side;
mod story;
mod streams;
mod tally;
mod walk;

use event_store::{
    Attribution, FunnelMode, FunnelPlan, FunnelTable, MAX_FUNNEL_EXCLUSIONS, MAX_FUNNEL_STEPS, QueryError, ScanStats, Value,
};

use super::attempt::Rule;
use super::scan::Query;
use side::Side;

pub use persons::funnel_persons;
pub use story::funnel_person;

/// Answers a [`FunnelPlan`].
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub fn funnel(query: &Query<'_>, plan: &FunnelPlan) -> Result<FunnelTable, QueryError> {
    check_plan(plan)?;
    query.with_persons(&plan.scan.app, |reading| {
        let mut stats = ScanStats::default();
        let (tallies, values) = match is_plain(plan) && entry_is_apart(plan) && reading.has_ordinals() {
            true => {
                let entry = Side::of_steps(query, plan, 0..1, reading, &mut stats)?;
                let later = Side::of_steps(query, plan, 1..plan.steps.len(), reading, &mut stats)?;
                let tallies = entries::walk(query, plan, &entry, &later, reading, &mut stats)?;
                (tallies, first_values(entry.groups.groups()))
            }
            false => walk::walk(query, plan, &Side::of_all(query, plan, reading, &mut stats)?, reading, &mut stats)?,
        };
        Ok(FunnelTable { stats, ..tallies.table(plan, &values) })
    })
}

fn check_plan(plan: &FunnelPlan) -> Result<(), QueryError> {
    let steps = plan.steps.len();
    let is_required = |step: usize| plan.steps.get(step).is_some_and(|step| !step.optional);
    let ordered = plan.mode == FunnelMode::Ordered;
    let whole = |from: usize, to: usize| from == 0 && to + 1 == steps;
    let excluded = |from: usize, to: usize| from < to && is_required(from) && is_required(to) && (ordered || whole(from, to));
    let rules = [
        ((1..=MAX_FUNNEL_STEPS).contains(&steps), "steps", format!("a funnel has 1 to {MAX_FUNNEL_STEPS} steps")),
        (is_required(0), "steps[0].optional", "the first step is not optional".to_owned()),
        (ordered || (0..steps).all(is_required), "steps", "only an ordered funnel has optional steps".to_owned()),
        (plan.window_ms.is_none_or(|window_ms| window_ms >= 0), "window", "a window is not negative".to_owned()),
        (plan.exclusions.len() <= MAX_FUNNEL_EXCLUSIONS, "exclusions", format!("a funnel has at most {MAX_FUNNEL_EXCLUSIONS} exclusions")),
        (plan.mode != FunnelMode::Strict || plan.exclusions.is_empty(), "exclusions", "nothing comes between strict steps".to_owned()),
        (
            plan.exclusions.iter().all(|exclusion| excluded(exclusion.from_step, exclusion.to_step)),
            "exclusions",
            "an exclusion lies between two steps that are not optional, and in an unordered funnel between the first and the last"
                .to_owned(),
        ),
        (
            !matches!(plan.attribution, Attribution::Step(step) if !is_required(step) || plan.mode == FunnelMode::Unordered),
            "attribution",
            "there is no such step that is not optional".to_owned(),
        ),
        (
            plan.conversion_time.is_none_or(|time| time.from_step < time.to_step && time.to_step < steps && time.bins != Some(0)),
            "time_to_convert",
            "times run from a step to a later one".to_owned(),
        ),
        (plan.buckets.as_ref().is_none_or(|buckets| !buckets.starts.is_empty()), "interval", "the range has no bucket".to_owned()),
    ];
    match rules.into_iter().find(|(holds, _, _)| !holds) {
        Some((_, field, message)) => Err(QueryError::Invalid { field: field.into(), message }),
        None => Ok(()),
    }
}

/// True for a funnel that looks at nothing but the attempt of each person, and of it at the entry.
fn is_plain(plan: &FunnelPlan) -> bool {
    plan.mode == FunnelMode::Ordered
        && plan.exclusions.is_empty()
        && plan.hold_constant.is_empty()
        && !plan.counts_attempts
        && plan.steps.iter().all(|step| !step.optional)
        && (plan.breakdown.is_none() || plan.attribution == Attribution::First)
        && plan.buckets.is_none()
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

/// By step: its bit in a mask. Steps that are not optional come first.
fn step_bits(plan: &FunnelPlan) -> Vec<usize> {
    let (mut required, mut optional) = (0, plan.steps.iter().filter(|step| !step.optional).count());
    let next = |bit: &mut usize| {
        *bit += 1;
        *bit - 1
    };
    plan.steps.iter().map(|step| next(if step.optional { &mut optional } else { &mut required })).collect()
}

/// By step: the step before it that is not optional.
fn steps_before(plan: &FunnelPlan) -> Vec<Option<usize>> {
    (0..plan.steps.len()).map(|step| (0..step).rev().find(|&before| !plan.steps[before].optional)).collect()
}

fn rule<'q>(query: &Query<'q>, plan: &FunnelPlan) -> Rule<'q> {
    let bits = step_bits(plan);
    let exclusions = plan.exclusions.iter().map(|exclusion| (bits[exclusion.from_step] + 1, bits[exclusion.to_step] + 1)).collect();
    Rule {
        mode: plan.mode,
        required: plan.steps.iter().filter(|step| !step.optional).count(),
        bits,
        window_ms: plan.window_ms,
        from_ms: plan.scan.from_ms,
        to_ms: plan.scan.to_ms,
        first_entry_only: plan.first_entry_only,
        exclusions,
        is_held: !plan.hold_constant.is_empty(),
        counts_attempts: plan.counts_attempts,
        attribution: plan.breakdown.as_ref().map(|_| plan.attribution),
        period_starts: plan.buckets.as_ref().map_or(Vec::new(), |buckets| buckets.starts.clone()),
        context: query.context,
    }
}

/// The only value of each group, null where groups have none.
fn first_values(groups: Vec<Vec<Value>>) -> Vec<Value> {
    groups.into_iter().map(|group| group.into_iter().next().unwrap_or(Value::Null)).collect()
}
