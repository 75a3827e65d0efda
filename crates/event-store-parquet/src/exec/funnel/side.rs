//! Steps and exclusions of a funnel as a scan sees them.

use std::ops::Range;

use event_store::{Attribution, Field, FunnelMode, FunnelPlan, QueryError, ScanStats, Selection};

use super::step_bits;
use crate::exec::aggregate::add_stats;
use crate::exec::attempt::{EXCLUSION_SHIFT, STEP_BITS};
use crate::exec::batch::{Batch, Fields};
use crate::exec::column_scan::Reading;
use crate::exec::filter::{Memos, Predicate, Preparation};
use crate::exec::group::GroupTable;
use crate::exec::mask::Mask;
use crate::exec::person_property::PersonProperty;
use crate::exec::scan::Query;

/// What one scan matches events with.
pub(super) struct Side {
    pub(super) fields: Fields,
    filter: Predicate,
    /// By bit of the mask.
    matched: Vec<(usize, Predicate)>,
    pub(super) memo_count: usize,
    /// The values of events that match one of `grouped`.
    pub(super) groups: GroupTable,
    /// Bits of the mask.
    pub(super) grouped: u64,
    /// The fields held constant.
    pub(super) held: Vec<usize>,
    /// The event names that can match, `None` when any can.
    pub(super) names: Option<Vec<String>>,
}

/// What is matched, which bit it sets.
type Matched<'p> = (usize, &'p [Selection]);

impl Side {
    /// Some steps of a plain funnel, by their own numbers; with the breakdown where the first is among them.
    pub(super) fn of_steps(
        query: &Query<'_>,
        plan: &FunnelPlan,
        steps: Range<usize>,
        reading: &Reading,
        stats: &mut ScanStats,
    ) -> Result<Self, QueryError> {
        let breakdown: Vec<Field> = plan.breakdown.iter().filter(|_| steps.start == 0).cloned().collect();
        let matched = steps.map(|step| (step, plan.steps[step].any_of.as_slice())).collect();
        Self::new(query, plan, matched, (&breakdown, 1), reading, stats)
    }

    /// All steps and exclusions, with the breakdown of the events that can be asked for it.
    pub(super) fn of_all(query: &Query<'_>, plan: &FunnelPlan, reading: &Reading, stats: &mut ScanStats) -> Result<Self, QueryError> {
        let breakdown: Vec<Field> = plan.breakdown.iter().cloned().collect();
        let grouped = match plan.attribution {
            _ if breakdown.is_empty() => 0,
            Attribution::First if plan.mode == FunnelMode::Unordered => STEP_BITS,
            Attribution::First => 1,
            Attribution::Last => STEP_BITS,
            Attribution::Step(step) => 1 << step_bits(plan)[step],
        };
        Self::with_values(query, plan, (&breakdown, grouped), reading, stats)
    }

    /// All steps and exclusions, with some values of the events that match one of some bits.
    pub(super) fn with_values(
        query: &Query<'_>,
        plan: &FunnelPlan,
        values: (&[Field], u64),
        reading: &Reading,
        stats: &mut ScanStats,
    ) -> Result<Self, QueryError> {
        let steps = step_bits(plan).into_iter().zip(&plan.steps).map(|(bit, step)| (bit, step.any_of.as_slice()));
        let exclusions = plan.exclusions.iter().zip(EXCLUSION_SHIFT as usize..);
        let matched = steps.chain(exclusions.map(|(exclusion, bit)| (bit, exclusion.any_of.as_slice()))).collect();
        Self::new(query, plan, matched, values, reading, stats)
    }

    fn new(
        query: &Query<'_>,
        plan: &FunnelPlan,
        matched: Vec<Matched<'_>>,
        (values, grouped): (&[Field], u64),
        reading: &Reading,
        stats: &mut ScanStats,
    ) -> Result<Self, QueryError> {
        let names = names(plan, &matched);
        let mut fields = Fields::default();
        let values: Vec<usize> = values.iter().map(|field| fields.add(field)).collect();
        let held: Vec<usize> = plan.hold_constant.iter().map(|field| fields.add(field)).collect();
        let mut preparation = Preparation::new(&mut fields);
        let filter = preparation.filter(&plan.scan.filter)?;
        let mut predicate = |(bit, any_of): Matched<'_>| {
            let any = any_of.iter().map(|(names, filter)| preparation.selection(of_scan(plan, names.as_ref()).as_deref(), filter));
            Ok((bit, Predicate::Any(any.collect::<Result<_, QueryError>>()?)))
        };
        let matched = matched.into_iter().map(&mut predicate).collect::<Result<Vec<_>, QueryError>>()?;
        let memo_count = preparation.memo_count();
        add_stats(stats, PersonProperty::load_all(query, &plan.scan.app, &mut fields, Some(reading))?);
        let groups = GroupTable::new(values, query.context);
        Ok(Self { fields, filter, matched, memo_count, groups, grouped, held, names })
    }

    /// True when nothing is matched.
    pub(super) fn is_empty(&self) -> bool {
        self.matched.is_empty()
    }

    /// Calls `each` with every bit and the rows that match it.
    pub(super) fn match_rows(&self, batch: &Batch, wanted: Option<&Mask>, memos: &mut Memos, mut each: impl FnMut(usize, &Mask)) {
        let filter = (!self.filter.is_always()).then(|| self.filter.evaluate(batch, wanted, memos));
        let candidates = filter.as_ref().or(wanted);
        for (bit, predicate) in &self.matched {
            each(*bit, &predicate.evaluate(batch, candidates, memos));
        }
    }
}

/// The event names of a selection that the plan's scan has too, `None` for any.
fn of_scan(plan: &FunnelPlan, names: Option<&Vec<String>>) -> Option<Vec<String>> {
    let mut names = names.or(plan.scan.events.as_ref())?.clone();
    names.retain(|name| plan.scan.events.as_ref().is_none_or(|events| events.contains(name)));
    Some(names)
}

fn names(plan: &FunnelPlan, matched: &[Matched<'_>]) -> Option<Vec<String>> {
    let selections = || matched.iter().flat_map(|(_, any_of)| any_of.iter());
    if selections().any(|(names, _)| names.is_none()) {
        return plan.scan.events.clone();
    }
    let mut names: Vec<String> = selections().filter_map(|(names, _)| names.as_ref()).flatten().cloned().collect();
    names.sort();
    names.dedup();
    names.retain(|name| plan.scan.events.as_ref().is_none_or(|events| events.contains(name)));
    Some(names)
}

/// The end of the events that can be later steps.
pub(super) fn later_to_ms(plan: &FunnelPlan) -> i64 {
    match plan.window_ms {
        _ if plan.range_applies_to_all => plan.scan.to_ms,
        Some(window_ms) => plan.scan.to_ms.saturating_add(window_ms),
        None => i64::MAX,
    }
}
