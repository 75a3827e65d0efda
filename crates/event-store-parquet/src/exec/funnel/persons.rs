//! The persons behind one number of a funnel.

use std::collections::BinaryHeap;

use event_store::{
    Field, FunnelPerson, FunnelPersonsPage, FunnelPersonsPlan, FunnelPlan, QueryContext, QueryError, ScanStats, StepOutcome,
};
use rustc_hash::FxHashMap;

use super::side::{Side, later_to_ms};
use super::streams::Streams;
use super::{check_plan, rule, steps_before};
use crate::exec::aggregate::add_stats;
use crate::exec::attempt::{Attempt, NOT_DONE};
use crate::exec::batch::Fields;
use crate::exec::column_scan::{ColumnScan, Reading, TimeUse};
use crate::exec::scan::{Query, Reserved};
use crate::exec::value::Scalar;

/// Answers a [`FunnelPersonsPlan`].
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub fn funnel_persons(query: &Query<'_>, plan: &FunnelPersonsPlan) -> Result<FunnelPersonsPage, QueryError> {
    let funnel = FunnelPlan { breakdown: None, buckets: None, ..plan.funnel.clone() };
    check_plan(&funnel)?;
    if plan.step >= funnel.steps.len() {
        return Err(QueryError::Invalid { field: "step".into(), message: "the funnel has no such step".into() });
    }
    query.with_persons(&funnel.scan.app, |reading| {
        let mut stats = ScanStats::default();
        let found = find(query, plan, &funnel, reading, &mut stats)?;
        let count = found.iter().map(|found| found.count).sum();
        let mut nearest: Vec<Found> = found.into_iter().flat_map(|found| found.nearest.into_vec()).collect();
        nearest.sort_unstable_by_key(|found| found.key);
        let more = nearest.len() > plan.limit;
        nearest.truncate(plan.limit);
        let ids = ids(query, &funnel, &nearest, reading, &mut stats)?;
        let id = |key: u64| reading.identity.id(key).map(str::to_owned).or_else(|| ids.get(&key).cloned());
        let person = |found: Found| FunnelPerson {
            id: id(found.key).unwrap_or_default(),
            key: found.key,
            entry_ms: found.entry_ms,
            last_step: found.last_step,
            last_step_ms: found.last_step_ms,
        };
        Ok(FunnelPersonsPage { persons: nearest.into_iter().map(person).collect(), count, more, stats })
    })
}

/// A person at the step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    key: u64,
    entry_ms: i64,
    last_step: usize,
    last_step_ms: i64,
}

/// What one thread has found: of the persons after the last page, those with the smallest keys, one more than the page holds.
struct Finder {
    nearest: BinaryHeap<Found>,
    count: u64,
    memory: Reserved,
}

impl Finder {
    fn new(context: &QueryContext) -> Self {
        Self { nearest: BinaryHeap::new(), count: 0, memory: Reserved::new(context) }
    }

    fn add(&mut self, plan: &FunnelPersonsPlan, found: Found) -> Result<(), QueryError> {
        self.count += 1;
        if plan.after.is_some_and(|after| found.key <= after) {
            return Ok(());
        }
        if self.nearest.len() > plan.limit {
            if let Some(mut farthest) = self.nearest.peek_mut()
                && found < *farthest
            {
                *farthest = found;
            }
            return Ok(());
        }
        self.nearest.push(found);
        self.memory.set(self.nearest.capacity() * size_of::<Found>())
    }
}

fn find(
    query: &Query<'_>,
    plan: &FunnelPersonsPlan,
    funnel: &FunnelPlan,
    reading: &Reading,
    stats: &mut ScanStats,
) -> Result<Vec<Finder>, QueryError> {
    let side = Side::of_all(query, funnel, reading, stats)?;
    let streams = Streams::gather(query, funnel, &side, reading, stats)?;
    let rule = rule(query, funnel);
    let before = steps_before(funnel)[plan.step];
    let has = |attempt: &Attempt, step: usize| attempt.times.get(step).is_some_and(|&time_ms| time_ms != NOT_DONE);
    let is_at = |attempt: &Attempt| match plan.outcome {
        StepOutcome::Reached => has(attempt, plan.step),
        StepOutcome::Dropped => before.is_some_and(|before| has(attempt, before)) && !has(attempt, plan.step),
    };
    streams.for_each(query, &|| Finder::new(query.context), &|finder, person, events| {
        let Some(attempt) = rule.shown(events)?.filter(is_at) else { return Ok(()) };
        let last_step = attempt.times.len() - 1;
        let found = Found { key: person.key(reading), entry_ms: attempt.entry_ms(), last_step, last_step_ms: attempt.times[last_step] };
        finder.add(plan, found)
    })
}

/// The id of each person that has only one, from the events of the steps.
fn ids(
    query: &Query<'_>,
    funnel: &FunnelPlan,
    persons: &[Found],
    reading: &Reading,
    stats: &mut ScanStats,
) -> Result<FxHashMap<u64, String>, QueryError> {
    let mut fields = Fields::default();
    let (user, anonymous) = (fields.add(&Field::UserId), fields.add(&Field::AnonymousId));
    let names = funnel.scan.events.as_deref();
    // Every one of them has the event of its entry.
    let persons: Vec<&Found> = persons.iter().filter(|found| reading.identity.id(found.key).is_none()).collect();
    let entries = persons.iter().map(|found| found.entry_ms);
    let (Some(from_ms), Some(last_ms)) = (entries.clone().min(), entries.max()) else { return Ok(FxHashMap::default()) };
    let scan = ColumnScan {
        app: &funnel.scan.app,
        from_ms,
        to_ms: last_ms.saturating_add(1).min(later_to_ms(funnel)),
        events: names,
        fields: &fields,
        persons: true,
        times: TimeUse::Always,
        narrowing: None,
        reading,
    };
    let wanted: FxHashMap<u64, ()> = persons.iter().map(|found| (found.key, ())).collect();
    let each = |ids: &mut FxHashMap<u64, String>, batch: &crate::exec::batch::Batch, _: Option<&crate::exec::mask::Mask>| {
        batch.persons().try_for_each_key(reading, |row, key| {
            if wanted.contains_key(&key) && !ids.contains_key(&key) {
                let texts = [user, anonymous].map(|field| batch.column(field).get(row));
                if let Some(Scalar::Str(id)) = texts.into_iter().find(|text| !text.is_null()) {
                    ids.insert(key, id.to_owned());
                }
            }
            Ok(())
        })
    };
    let (found, scanned) = query.scan_columns(&scan, &FxHashMap::default, &each)?;
    // These events were counted when they were matched.
    let events = stats.scanned_events.max(scanned.scanned_events);
    add_stats(stats, scanned);
    stats.scanned_events = events;
    Ok(found.into_iter().flatten().collect())
}
