//! Funnels over stored parts against a search over all choices of events.

use std::collections::BTreeMap;

use event_store::{Field, FunnelGroup, FunnelPlan, FunnelStep, FunnelStepResult, Value};
use proptest::prelude::*;

use super::aggregate::any_scan;
use super::filter_oracle::{any_field, any_filter, field_value, group_value, holds, selected};
use super::world::{Keeping, MINUTE_MS, PlainEvent, any_event, any_forms, any_keeping, any_names, cache, context, snapshot};
use crate::exec::value::compare_values;
use crate::exec::{Query, funnel};

/// The attempt shown for one person: times of the steps and the value on the entry event.
fn shown(plan: &FunnelPlan, world: &[PlainEvent], events: &[&PlainEvent]) -> Option<(Vec<i64>, Value)> {
    let scan = &plan.scan;
    let eligible = |event: &PlainEvent| {
        selected(world, event, scan.events.as_deref(), &scan.filter)
            && event.time_ms >= scan.from_ms
            && (!plan.range_applies_to_all || event.time_ms < scan.to_ms)
    };
    let matches = |event: &PlainEvent, step: usize| {
        eligible(event) && plan.steps[step].any_of.iter().any(|(names, filter)| selected(world, event, names.as_deref(), filter))
    };
    let is_entry = |event: &PlainEvent| matches(event, 0) && event.time_ms < scan.to_ms;
    let first_ms = events.iter().filter(|event| is_entry(event)).map(|event| event.time_ms).min()?;
    let mut open: Vec<Vec<usize>> = vec![Vec::new()];
    let mut best: Option<(std::cmp::Reverse<usize>, Vec<i64>, Value)> = None;
    while let Some(chosen) = open.pop() {
        if let Some(&entry) = chosen.first() {
            let value = plan.breakdown.as_ref().map_or(Value::Null, |field| group_value(&field_value(world, events[entry], field)));
            let times: Vec<i64> = chosen.iter().map(|&i| events[i].time_ms).collect();
            let better = best.as_ref().is_none_or(|(length, best_times, best_value)| {
                let order = (&std::cmp::Reverse(times.len()), &times).cmp(&(length, best_times));
                order.then_with(|| compare_values(&value, best_value)).is_lt()
            });
            if better {
                best = Some((std::cmp::Reverse(times.len()), times, value));
            }
        }
        if chosen.len() == plan.steps.len() {
            continue;
        }
        for (i, event) in events.iter().enumerate() {
            let fits = match (chosen.first(), chosen.last()) {
                (Some(&first), Some(&last)) => {
                    let elapsed = event.time_ms - events[first].time_ms;
                    matches(event, chosen.len()) && event.time_ms >= events[last].time_ms && plan.window_ms.is_none_or(|w| elapsed <= w)
                }
                _ => is_entry(event) && (!plan.first_entry_only || event.time_ms == first_ms),
            };
            if fits && !chosen.contains(&i) {
                open.push([&chosen[..], &[i]].concat());
            }
        }
    }
    best.map(|(_, times, value)| (times, value))
}

fn results(steps: usize, attempts: &[&Vec<i64>]) -> Vec<FunnelStepResult> {
    let result = |step: usize| {
        let reached: Vec<&&Vec<i64>> = attempts.iter().filter(|times| times.len() > step).collect();
        let mut durations: Vec<i64> = if step == 0 { Vec::new() } else { reached.iter().map(|t| t[step] - t[step - 1]).collect() };
        durations.sort_unstable();
        let middle = |i: usize| durations[i] as f64;
        let n = durations.len();
        FunnelStepResult {
            users: reached.len() as u64,
            median_time_ms: (n > 0).then(|| (middle((n - 1) / 2) + middle(n / 2)) / 2.0),
            avg_time_ms: (n > 0).then(|| durations.iter().sum::<i64>() as f64 / n as f64),
        }
    };
    (0..steps).map(result).collect()
}

fn expected(plan: &FunnelPlan, world: &[PlainEvent]) -> (Vec<FunnelStepResult>, Vec<FunnelGroup>) {
    let mut by_person: BTreeMap<&str, Vec<&PlainEvent>> = BTreeMap::new();
    world.iter().filter_map(|event| Some((event.person()?, event))).for_each(|(id, event)| by_person.entry(id).or_default().push(event));
    let attempts: Vec<(Vec<i64>, Value)> = by_person.values().filter_map(|events| shown(plan, world, events)).collect();
    let steps = plan.steps.len();
    let total = results(steps, &attempts.iter().map(|(times, _)| times).collect::<Vec<_>>());
    if plan.breakdown.is_none() {
        return (total, Vec::new());
    }
    let mut values: Vec<Value> = attempts.iter().map(|(_, value)| value.clone()).collect();
    values.sort_by(compare_values);
    values.dedup();
    let of = |value: &Value| attempts.iter().filter(|(_, v)| v == value).map(|(times, _)| times).collect::<Vec<_>>();
    values.sort_by_key(|value| std::cmp::Reverse(of(value).len()));
    let rest: Vec<&Vec<i64>> = values.iter().skip(plan.fold_keep).flat_map(of).collect();
    let kept = values.iter().take(plan.fold_keep);
    let mut groups: Vec<FunnelGroup> =
        kept.map(|value| FunnelGroup { value: Some(value.clone()), steps: results(steps, &of(value)) }).collect();
    if values.len() > plan.fold_keep {
        groups.push(FunnelGroup { value: Some(Value::Other), steps: results(steps, &rest) });
    }
    (total, groups)
}

fn any_plan() -> impl Strategy<Value = FunnelPlan> {
    let filter = prop_oneof![3 => Just(event_store::Filter::all()), 1 => any_filter()];
    let step = prop::collection::vec((any_names(), filter), 1..3).prop_map(|any_of| FunnelStep { any_of });
    let window = prop::option::of((0i64..40).prop_map(|steps| steps * 10 * MINUTE_MS));
    let rest = (any::<bool>(), prop::option::of(any_field()), 0usize..4, any::<bool>());
    (any_scan(), prop::collection::vec(step, 1..4), window, rest).prop_map(
        |(mut scan, steps, window_ms, (range_applies_to_all, breakdown, fold_keep, first_entry_only))| {
            // The filter of all steps is tried elsewhere; here it would leave too little.
            scan.filter = event_store::Filter::all();
            FunnelPlan { scan, steps, window_ms, range_applies_to_all, breakdown, fold_keep, first_entry_only }
        },
    )
}

fn any_dense_event() -> impl Strategy<Value = PlainEvent> {
    (any_event(), 0i64..12).prop_map(|(event, step)| {
        let user = event.user_id.as_ref().map(|id| if id.as_str() < "u2" { "u0".to_string() } else { "u1".to_string() });
        PlainEvent { time_ms: super::world::BASE_MS + step * 10 * MINUTE_MS, user_id: user, ..event }
    })
}

/// Both ways a funnel is walked: [`any_plan`] seldom has an entry with names of its own.
fn any_plan_with_own_entry() -> impl Strategy<Value = FunnelPlan> {
    let later = || prop::collection::vec(prop::sample::select(vec!["b", "c", "$identify"]).prop_map(String::from), 1..3);
    (any_plan(), prop::collection::vec(later(), 3), prop::sample::select(vec![vec!["a"], vec!["a", "$set"]])).prop_map(
        |(mut plan, later, entry)| {
            let entry: Vec<String> = entry.into_iter().map(String::from).collect();
            for (step, names) in plan.steps.iter_mut().zip(std::iter::once(entry).chain(later)) {
                step.any_of.iter_mut().for_each(|(of_step, _)| *of_step = Some(names.clone()));
            }
            plan
        },
    )
}

fn check(
    world: &[PlainEvent],
    mut plan: FunnelPlan,
    (from, to): (i64, i64),
    forms: &[super::world::PartForm],
    keeping: Keeping,
) -> Result<(), TestCaseError> {
    plan.scan.from_ms = super::world::BASE_MS + from * 10 * MINUTE_MS;
    plan.scan.to_ms = plan.scan.from_ms + to * 10 * MINUTE_MS;
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(world, forms, folder.path());
    let query = Query { snapshot: &snapshot, context: &context(), threads: 2, decoded: &cache(keeping) };
    let (total, groups) = expected(&plan, world);
    for round in ["decoded", "kept"] {
        let table = funnel(&query, &plan).unwrap();
        prop_assert_eq!(&table.total, &total, "{}", round);
        prop_assert_eq!(&table.groups, &groups, "{}", round);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn agrees_with_a_search_over_all_choices(
        world in prop::collection::vec(any_dense_event(), 0..14),
        plan in any_plan(),
        range in (0i64..6, 1i64..12),
        forms in any_forms(),
        keeping in any_keeping(),
    ) {
        check(&world, plan, range, &forms, keeping)?;
    }

    #[test]
    fn an_entry_of_its_own_agrees_with_a_search_over_all_choices(
        world in prop::collection::vec(any_dense_event(), 0..14),
        plan in any_plan_with_own_entry(),
        range in (0i64..6, 1i64..12),
        forms in any_forms(),
        keeping in any_keeping(),
    ) {
        check(&world, plan, range, &forms, keeping)?;
    }
}

#[test]
fn a_filter_narrows_every_step() {
    let event = |name: &str, country: &str, minute: i64| PlainEvent {
        name: name.into(),
        time_ms: super::world::BASE_MS + minute * MINUTE_MS,
        received_at_ms: super::world::BASE_MS,
        user_id: Some("u".into()),
        anonymous_id: None,
        session_id: None,
        insert_id: None,
        properties: vec![("country".into(), crate::exec::value::OwnedScalar::Str(country.into()))],
    };
    let world = [event("a", "US", 0), event("b", "DE", 1), event("b", "US", 2)];
    let step = |name: &str| FunnelStep { any_of: vec![(Some(vec![name.into()]), event_store::Filter::all())] };
    let country = Field::Property("country".into());
    let plan = FunnelPlan {
        scan: event_store::Scan {
            app: super::world::app(),
            from_ms: super::world::BASE_MS,
            to_ms: super::world::BASE_MS + MINUTE_MS,
            events: None,
            filter: event_store::Filter::Compare(country.clone(), event_store::Op::In(vec![Value::Str("US".into())])),
        },
        steps: vec![step("a"), step("b")],
        window_ms: Some(2 * MINUTE_MS),
        range_applies_to_all: false,
        breakdown: Some(country),
        fold_keep: 5,
        first_entry_only: false,
    };
    assert!(holds(&world, &world[0], &plan.scan.filter));
    let folder = tempfile::tempdir().unwrap();
    let forms = [super::world::PartForm { segment: false, crowded: false, haunted: false }];
    let snapshot = snapshot(&world, &forms, folder.path());
    let query = Query { snapshot: &snapshot, context: &context(), threads: 2, decoded: &cache(Keeping::Everything) };
    let table = funnel(&query, &plan).unwrap();
    assert_eq!(table.total[1], FunnelStepResult { users: 1, median_time_ms: Some(120_000.0), avg_time_ms: Some(120_000.0) });
    assert_eq!(table.groups.iter().map(|group| group.value.clone()).collect::<Vec<_>>(), [Some(Value::Str("US".into()))]);
}
