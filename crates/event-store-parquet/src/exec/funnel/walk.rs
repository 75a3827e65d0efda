//! Any funnel: the events of all steps by person, then what each person's count for.

use event_store::{FunnelPlan, QueryError, ScanStats, Value};

use super::side::Side;
use super::streams::Streams;
use super::tally::{NO_VALUE, Tallies, Tally};
use super::{first_values, rule, steps_before};
use crate::exec::column_scan::Reading;
use crate::exec::scan::Query;

/// Walks all persons; gives what they count for, and the values that the numbers of groups stand for.
pub(super) fn walk(
    query: &Query<'_>,
    plan: &FunnelPlan,
    side: &Side,
    reading: &Reading,
    stats: &mut ScanStats,
) -> Result<(Tallies, Vec<Value>), QueryError> {
    let streams = Streams::gather(query, plan, side, reading, stats)?;
    let rule = rule(query, plan);
    let before = steps_before(plan);
    let make = || Tally::new(plan, &before, query.context);
    let tallied = streams.for_each(query, &make, &|tally, _, events| {
        rule.count(events, &mut |scope, attempt| {
            let group = attempt.order.map_or(NO_VALUE, |order| streams.by_order[order as usize]);
            tally.add(scope, group, &attempt.times)
        })
    })?;
    let mut tallies = Tallies::default();
    tallied.into_iter().for_each(|tally| tallies.add(tally));
    Ok((tallies, first_values(side.groups.groups())))
}
