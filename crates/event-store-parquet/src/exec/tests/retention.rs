//! Retention, lifecycle, stickiness and active users over stored parts against a person by person, period by period re-computation.

use std::collections::BTreeMap;

use event_store::{
    ACTIVE_LOOK_BACK, ACTIVE_WINDOWS, ActivityGroup, ActivityKind, ActivityPlan, Buckets, Field, Filter, LifecycleCounts, RetentionCohort,
    RetentionEntry, RetentionGroup, RetentionMode, RetentionPlan, Scan, Selection, Value,
};
use proptest::prelude::*;

use super::filter_oracle::{any_field, any_filter, field_value, group_value, selected};
use super::funnel::any_selections;
use super::world::{
    BASE_MS, Keeping, MINUTE_MS, PartForm, PlainEvent, any_event, any_forms, any_keeping, any_names, any_world, app, cache, context,
    snapshot,
};
use crate::exec::value::compare_values;
use crate::exec::{Query, activity, retention};

const STEP_MS: i64 = 10 * MINUTE_MS;
/// Steps in which there are events.
const STEPS: i64 = 24;

fn any_returning_world() -> impl Strategy<Value = Vec<PlainEvent>> {
    let event = (any_event(), 0..STEPS, 0u8..10).prop_map(|(event, step, crowd)| {
        // Most of few persons, so that they come back.
        let user_id = if crowd < 6 { Some(format!("u{}", crowd / 2)) } else { event.user_id.clone() };
        PlainEvent { time_ms: BASE_MS + step * STEP_MS, user_id, ..event }
    });
    any_world(event, 0..26)
}

fn any_scan() -> impl Strategy<Value = Scan> {
    let filter = prop_oneof![3 => Just(Filter::all()), 1 => any_filter()];
    let names = prop_oneof![4 => Just(None), 1 => any_names()];
    (0..STEPS / 2, 1..STEPS, names, filter).prop_map(|(from, length, events, filter)| Scan {
        app: app(),
        from_ms: BASE_MS + from * STEP_MS,
        to_ms: BASE_MS + (from + length) * STEP_MS,
        events,
        filter,
    })
}

/// Periods of uneven length from a time on, the first of them beginning before `end_ms`.
fn periods(from_ms: i64, widths: &[i64], end_ms: i64) -> Vec<i64> {
    let starts = widths.iter().scan(from_ms, |start_ms, width| Some(std::mem::replace(start_ms, *start_ms + width * STEP_MS)));
    starts.take_while(|&start_ms| start_ms < end_ms).collect()
}

fn any_retention_plan() -> impl Strategy<Value = RetentionPlan> {
    let entry = prop::sample::select(vec![RetentionEntry::FirstTime, RetentionEntry::FirstInRange, RetentionEntry::Recurring]);
    let mode = prop::sample::select(vec![RetentionMode::On, RetentionMode::OnOrAfter]);
    let selections = (any_selections(), any_selections(), prop::bool::weighted(0.3));
    let lengths = (prop::collection::vec(1i64..6, 40), prop::option::weighted(0.4, 1i64..7), 0usize..6, 0i64..8);
    let groups = (prop::option::weighted(0.5, any_field()), 0usize..4);
    (any_scan(), selections, entry, mode, lengths, groups).prop_map(
        |(scan, (start, returns, is_same), entry, mode, (widths, rolling, max_period, later), (breakdown, fold_keep))| {
            let returns_to_ms = scan.to_ms + later * STEP_MS;
            let cohorts = periods(scan.from_ms, &widths, scan.to_ms).len();
            RetentionPlan {
                periods: Buckets { starts: periods(scan.from_ms, &widths, returns_to_ms) },
                returns: if is_same { start.clone() } else { returns },
                rolling_ms: rolling.map(|steps| steps * STEP_MS),
                scan,
                start,
                returns_to_ms,
                cohorts,
                max_period,
                entry,
                mode,
                breakdown,
                fold_keep,
            }
        },
    )
}

fn period_of(starts: &[i64], time_ms: i64) -> usize {
    starts.iter().rposition(|&start_ms| start_ms <= time_ms).unwrap()
}

/// The events of each person that match.
fn by_person<'w>(world: &'w [PlainEvent], scan: &Scan, any_of: &[Selection], range: (i64, i64)) -> BTreeMap<&'w str, Vec<&'w PlainEvent>> {
    let mut found: BTreeMap<&str, Vec<&PlainEvent>> = BTreeMap::new();
    for event in world.iter().filter(|event| (range.0..range.1).contains(&event.time_ms)) {
        let matches = any_of.iter().any(|(names, filter)| selected(world, event, names.as_deref(), filter));
        if let (Some(person), true) = (event.person(), matches && selected(world, event, scan.events.as_deref(), &scan.filter)) {
            found.entry(person).or_default().push(event);
        }
    }
    found
}

fn value_of(world: &[PlainEvent], event: &PlainEvent, breakdown: Option<&Field>) -> Value {
    breakdown.map_or(Value::Null, |field| group_value(&field_value(world, event, field)))
}

/// Everybody in a cohort: its period, the value, and the periods in which the person has returned.
fn entered(plan: &RetentionPlan, world: &[PlainEvent]) -> Vec<(usize, Value, Vec<usize>)> {
    let starts = by_person(world, &plan.scan, &plan.start, (i64::MIN, plan.scan.to_ms));
    let returns = by_person(world, &plan.scan, &plan.returns, (plan.scan.from_ms, plan.returns_to_ms));
    let mut entered = Vec::new();
    for (person, events) in starts {
        let in_range = |event: &&&PlainEvent| event.time_ms >= plan.scan.from_ms;
        let first_ms = events.iter().map(|event| event.time_ms).min().unwrap();
        let mut opening: BTreeMap<usize, i64> = BTreeMap::new();
        for event in events.iter().filter(in_range) {
            let opened = opening.entry(period_of(&plan.periods.starts, event.time_ms)).or_insert(event.time_ms);
            *opened = event.time_ms.min(*opened);
        }
        let opening: Vec<(usize, i64)> = match plan.entry {
            RetentionEntry::Recurring => opening.into_iter().collect(),
            RetentionEntry::FirstInRange => opening.into_iter().take(1).collect(),
            RetentionEntry::FirstTime => opening.into_iter().take(1).filter(|&(_, time_ms)| time_ms == first_ms).collect(),
        };
        for (cohort, start_ms) in opening {
            let at_start = events.iter().filter(|event| event.time_ms == start_ms);
            let value = at_start.map(|event| value_of(world, event, plan.breakdown.as_ref())).min_by(compare_values).unwrap();
            let since = |event: &&PlainEvent| match plan.rolling_ms {
                Some(length_ms) => (event.time_ms >= start_ms).then(|| ((event.time_ms - start_ms) / length_ms) as usize),
                None => period_of(&plan.periods.starts, event.time_ms).checked_sub(cohort),
            };
            entered.push((cohort, value, returns.get(person).into_iter().flatten().filter_map(since).collect()));
        }
    }
    entered
}

fn cohorts(plan: &RetentionPlan, entered: &[&(usize, Value, Vec<usize>)]) -> Vec<RetentionCohort> {
    let cohort = |number: usize| {
        let members: Vec<_> = entered.iter().filter(|(cohort, ..)| *cohort == number).collect();
        let has_returned = |period: usize| {
            let is_return = |&since: &usize| if plan.mode == RetentionMode::On { since == period } else { since >= period };
            members.iter().filter(|(_, _, returns)| returns.iter().any(is_return)).count() as u64
        };
        RetentionCohort { size: members.len() as u64, returned: (0..=plan.max_period).map(has_returned).collect() }
    };
    (0..plan.cohorts).map(cohort).collect()
}

/// Values by how many they stand for, and which of them are folded.
fn ranked(counts: Vec<(Value, usize)>, keep: usize) -> (Vec<Value>, Vec<Value>) {
    let mut counts = counts;
    counts.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| compare_values(a, b)));
    let mut values: Vec<Value> = counts.into_iter().map(|(value, _)| value).collect();
    let rest = values.split_off(keep.min(values.len()));
    (values, rest)
}

fn distinct(values: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut values: Vec<Value> = values.collect();
    values.sort_by(compare_values);
    values.dedup();
    values
}

fn check_retention(world: &[PlainEvent], plan: &RetentionPlan, forms: &[PartForm], keeping: Keeping) -> Result<(), TestCaseError> {
    let entered = entered(plan, world);
    let with = |keep: &dyn Fn(&Value) -> bool| cohorts(plan, &entered.iter().filter(|(_, value, _)| keep(value)).collect::<Vec<_>>());
    let mut groups = Vec::new();
    if plan.breakdown.is_some() {
        let count = |value: Value| (value.clone(), entered.iter().filter(|(_, of, _)| *of == value).count());
        let counts = distinct(entered.iter().map(|(_, value, _)| value.clone())).into_iter().map(count).collect();
        let (kept, rest) = ranked(counts, plan.fold_keep);
        groups.extend(kept.into_iter().map(|value| RetentionGroup { cohorts: with(&|of| *of == value), value }));
        groups.extend((!rest.is_empty()).then(|| RetentionGroup { value: Value::Other, cohorts: with(&|of| rest.contains(of)) }));
    }
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(world, forms, folder.path());
    let query = Query { snapshot: &snapshot, context: &context(), threads: 2, decoded: &cache(keeping) };
    for round in ["decoded", "kept"] {
        let table = retention(&query, plan).unwrap();
        prop_assert_eq!(&table.total, &with(&|_| true), "{}", round);
        prop_assert_eq!(&table.groups, &groups, "{}", round);
    }
    Ok(())
}

fn any_activity_plan(kind: ActivityKind) -> impl Strategy<Value = ActivityPlan> {
    let groups = (prop::option::weighted(0.5, any_field()), 0usize..4);
    (any_scan(), any_selections(), prop::collection::vec(1i64..6, 40), groups).prop_map(
        move |(mut scan, any_of, widths, (breakdown, fold_keep))| {
            // A lifecycle has at least the period before the range and one of it; active users look back to more than there are steps.
            let widths = if kind == ActivityKind::ActiveUsers { vec![1; 60] } else { widths };
            match kind {
                ActivityKind::Lifecycle => scan.to_ms = scan.to_ms.max(scan.from_ms + (widths[0] + 1) * STEP_MS),
                ActivityKind::ActiveUsers => {
                    scan.to_ms = scan.to_ms.max(scan.from_ms + STEP_MS);
                    scan.from_ms -= ACTIVE_LOOK_BACK as i64 * STEP_MS;
                }
                ActivityKind::Stickiness => {}
            }
            let starts = periods(scan.from_ms, &widths, scan.to_ms);
            ActivityPlan { scan, any_of, periods: Buckets { starts }, kind, breakdown, fold_keep }
        },
    )
}

/// What the active periods of persons come to; those of a lifecycle begin with -1, where everything earlier is.
fn group_of(plan: &ActivityPlan, persons: &[Vec<i64>], value: Option<Value>) -> ActivityGroup {
    let count = plan.periods.starts.len() as i64;
    let users = persons.iter().filter(|periods| periods.iter().any(|&period| period >= 0)).count() as u64;
    let with = |holds: &dyn Fn(&[i64]) -> bool| persons.iter().filter(|periods| holds(periods)).count() as u64;
    let (mut lifecycle, mut stickiness, mut active) = (Vec::new(), Vec::new(), Vec::new());
    match plan.kind {
        ActivityKind::Stickiness => {
            stickiness = (1..=count as usize).map(|number| with(&|periods| periods.len() == number)).collect();
        }
        ActivityKind::ActiveUsers => {
            let within = |period: i64, length: usize| {
                with(&|periods| periods.iter().any(|other| (period - length as i64 + 1..=period).contains(other)))
            };
            active = (ACTIVE_LOOK_BACK as i64..count).map(|period| ACTIVE_WINDOWS.map(|length| within(period, length))).collect();
        }
        ActivityKind::Lifecycle => {
            let counts = |period: i64| LifecycleCounts {
                new: with(&|periods| periods.contains(&period) && !periods.iter().any(|&other| other < period)),
                returning: with(&|periods| periods.contains(&period) && periods.contains(&(period - 1))),
                resurrected: with(&|periods| {
                    periods.contains(&period) && !periods.contains(&(period - 1)) && periods.iter().any(|&other| other < period)
                }),
                dormant: with(&|periods| !periods.contains(&period) && periods.contains(&(period - 1))),
            };
            lifecycle = (1..count).map(counts).collect();
        }
    }
    ActivityGroup { value, users, lifecycle, stickiness, active }
}

fn check_activity(world: &[PlainEvent], plan: &ActivityPlan, forms: &[PartForm], keeping: Keeping) -> Result<(), TestCaseError> {
    let from_ms = if plan.kind == ActivityKind::Lifecycle { i64::MIN } else { plan.scan.from_ms };
    let events = by_person(world, &plan.scan, &plan.any_of, (from_ms, plan.scan.to_ms));
    let active = |keep: &dyn Fn(&Value) -> bool| -> Vec<Vec<i64>> {
        let of_person = |events: &Vec<&PlainEvent>| {
            let kept = events.iter().filter(|event| keep(&value_of(world, event, plan.breakdown.as_ref())));
            let mut periods: Vec<i64> = kept
                .map(|event| if event.time_ms < plan.scan.from_ms { -1 } else { period_of(&plan.periods.starts, event.time_ms) as i64 })
                .collect();
            periods.sort_unstable();
            periods.dedup();
            periods
        };
        events.values().map(of_person).filter(|periods| !periods.is_empty()).collect()
    };
    let mut groups = Vec::new();
    if plan.breakdown.is_some() {
        let all = distinct(events.values().flatten().map(|event| value_of(world, event, plan.breakdown.as_ref())));
        let users = |value: &Value| active(&|of| of == value).iter().filter(|periods| periods.iter().any(|&period| period >= 0)).count();
        let counts = all.into_iter().map(|value| (value.clone(), users(&value))).filter(|(_, users)| *users > 0).collect();
        let (kept, rest) = ranked(counts, plan.fold_keep);
        groups.extend(kept.iter().map(|value| group_of(plan, &active(&|of| of == value), Some(value.clone()))));
        // All other values are in the rest, those too that nobody has in the range.
        groups.extend((!rest.is_empty()).then(|| group_of(plan, &active(&|of| !kept.contains(of)), Some(Value::Other))));
    }
    let total = group_of(plan, &active(&|_| true), None);
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(world, forms, folder.path());
    let query = Query { snapshot: &snapshot, context: &context(), threads: 2, decoded: &cache(keeping) };
    for round in ["decoded", "kept"] {
        let table = activity(&query, plan).unwrap();
        prop_assert_eq!(&table.total, &total, "{}", round);
        prop_assert_eq!(&table.groups, &groups, "{}", round);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn retention_agrees_with_each_person_on_its_own(
        world in any_returning_world(), plan in any_retention_plan(), forms in any_forms(), keeping in any_keeping(),
    ) {
        check_retention(&world, &plan, &forms, keeping)?;
    }

    #[test]
    fn lifecycle_agrees_with_each_person_on_its_own(
        world in any_returning_world(), plan in any_activity_plan(ActivityKind::Lifecycle), forms in any_forms(), keeping in any_keeping(),
    ) {
        check_activity(&world, &plan, &forms, keeping)?;
    }

    #[test]
    fn active_users_agree_with_each_person_on_its_own(
        world in any_returning_world(), plan in any_activity_plan(ActivityKind::ActiveUsers), forms in any_forms(), keeping in any_keeping(),
    ) {
        check_activity(&world, &plan, &forms, keeping)?;
    }

    #[test]
    fn stickiness_agrees_with_each_person_on_its_own(
        world in any_returning_world(), plan in any_activity_plan(ActivityKind::Stickiness), forms in any_forms(), keeping in any_keeping(),
    ) {
        check_activity(&world, &plan, &forms, keeping)?;
    }
}
