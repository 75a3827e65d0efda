//! Funnels over stored parts against a search over all choices of events: see `crate::exec::attempt::oracle`.

use std::collections::BTreeMap;

use event_store::{
    Attribution, Buckets, ConversionTime, ConversionTimes, Field, FunnelExclusion, FunnelGroup, FunnelMode, FunnelPersonPlan,
    FunnelPersonsPlan, FunnelPlan, FunnelStep, FunnelStepResult, FunnelStop, FunnelTable, QueryContext, Selection, StepOutcome, Value,
};
use proptest::prelude::*;

use super::aggregate::any_scan;
use super::filter_oracle::{any_field, any_filter, field_value, group_value, holds, selected};
use super::world::{Keeping, MINUTE_MS, PlainEvent, any_event, any_forms, any_keeping, any_names, any_world, cache, context, snapshot};
use crate::exec::attempt::{Attempt, EXCLUSION_SHIFT, NOT_DONE, Rule, Scope, StepEvent, oracle};
use crate::exec::value::compare_values;
use crate::exec::{Query, funnel, funnel_person, funnel_persons};

/// What the events of all persons count for: scope, value of the breakdown, times of the steps.
fn counted(plan: &FunnelPlan, world: &[PlainEvent]) -> Vec<(Scope, Value, Vec<i64>)> {
    let context = context();
    let value_of = |event: &PlainEvent| plan.breakdown.as_ref().map_or(Value::Null, |field| group_value(&field_value(world, event, field)));
    let mut values: Vec<Value> = world.iter().map(value_of).collect();
    values.sort_by(compare_values);
    values.dedup();
    let mut holds: Vec<Vec<Value>> = Vec::new();
    let mut by_person: BTreeMap<&str, Vec<StepEvent>> = BTreeMap::new();
    let rule = rule(plan, &context);
    for event in world {
        let (Some(person), true) = (event.person(), event.time_ms >= plan.scan.from_ms) else { continue };
        if plan.range_applies_to_all && event.time_ms >= plan.scan.to_ms {
            continue;
        }
        let held: Vec<Value> = plan.hold_constant.iter().map(|field| group_value(&field_value(world, event, field))).collect();
        let hold = match holds.iter().position(|known| *known == held) {
            _ if held.contains(&Value::Null) || held.is_empty() => 0,
            Some(place) => place as u64 + 1,
            None => {
                holds.push(held);
                holds.len() as u64
            }
        };
        let order = values.iter().position(|value| *value == value_of(event)).unwrap() as u32;
        let mask = mask(plan, &rule, world, event);
        by_person.entry(person).or_default().push(StepEvent { time_ms: event.time_ms, mask, order, hold, ..StepEvent::default() });
    }
    let shown = |(scope, attempt): (Scope, Attempt)| {
        let value = attempt.order.map_or(Value::Null, |order| values[order as usize].clone());
        (scope, value, attempt.times)
    };
    by_person.values().flat_map(|events| oracle::counted(&rule, events)).map(shown).collect()
}

fn mask(plan: &FunnelPlan, rule: &Rule<'_>, world: &[PlainEvent], event: &PlainEvent) -> u64 {
    if !selected(world, event, plan.scan.events.as_deref(), &plan.scan.filter) {
        return 0;
    }
    let matches = |any_of: &[Selection]| any_of.iter().any(|(names, filter)| selected(world, event, names.as_deref(), filter));
    let steps = plan.steps.iter().zip(&rule.bits).filter(|(step, _)| matches(&step.any_of)).map(|(_, bit)| 1u64 << bit);
    let exclusions = plan.exclusions.iter().enumerate().filter(|(_, exclusion)| matches(&exclusion.any_of));
    steps.chain(exclusions.map(|(i, _)| 1 << (EXCLUSION_SHIFT as usize + i))).fold(0, |mask, bit| mask | bit)
}

fn rule<'q>(plan: &FunnelPlan, context: &'q QueryContext) -> Rule<'q> {
    let required = plan.steps.iter().filter(|step| !step.optional).count();
    let count = |optional: bool, end: usize| plan.steps[..end].iter().filter(|step| step.optional == optional).count();
    let bit = |(at, step): (usize, &FunnelStep)| if step.optional { required + count(true, at) } else { count(false, at) };
    Rule {
        mode: plan.mode,
        bits: plan.steps.iter().enumerate().map(bit).collect(),
        required,
        window_ms: plan.window_ms,
        from_ms: plan.scan.from_ms,
        to_ms: plan.scan.to_ms,
        first_entry_only: plan.first_entry_only,
        exclusions: plan.exclusions.iter().map(|e| (count(false, e.from_step + 1), count(false, e.to_step + 1))).collect(),
        is_held: !plan.hold_constant.is_empty(),
        counts_attempts: plan.counts_attempts,
        attribution: plan.breakdown.as_ref().map(|_| plan.attribution),
        period_starts: plan.buckets.as_ref().map_or(Vec::new(), |buckets| buckets.starts.clone()),
        context,
    }
}

fn time_of(times: &[i64], step: usize) -> Option<i64> {
    times.get(step).copied().filter(|&time_ms| time_ms != NOT_DONE)
}

fn middle_and_mean(mut times: Vec<i64>) -> (Option<f64>, Option<f64>) {
    times.sort_unstable();
    let middle = |i: usize| times[i] as f64;
    let n = times.len();
    ((n > 0).then(|| (middle((n - 1) / 2) + middle(n / 2)) / 2.0), (n > 0).then(|| times.iter().sum::<i64>() as f64 / n as f64))
}

fn results(plan: &FunnelPlan, attempts: &[&Vec<i64>]) -> Vec<FunnelStepResult> {
    let result = |step: usize| {
        let before = (0..step).rev().find(|&before| !plan.steps[before].optional);
        let durations = attempts.iter().filter_map(|times| Some(time_of(times, step)? - time_of(times, before?)?)).collect();
        let (median_time_ms, avg_time_ms) = middle_and_mean(durations);
        let users = attempts.iter().filter(|times| time_of(times, step).is_some()).count() as u64;
        FunnelStepResult { users, median_time_ms, avg_time_ms }
    };
    (0..plan.steps.len()).map(result).collect()
}

fn expected(plan: &FunnelPlan, world: &[PlainEvent]) -> FunnelTable {
    let all = counted(plan, world);
    let periods = plan.buckets.as_ref().map_or(0, |buckets| buckets.starts.len()) as u32;
    let pick = |wanted: Scope, keep: &dyn Fn(&Value) -> bool| {
        let times: Vec<&Vec<i64>> =
            all.iter().filter(|(scope, value, _)| *scope == wanted && keep(value)).map(|(_, _, times)| times).collect();
        results(plan, &times)
    };
    let by_period = |keep: &dyn Fn(&Value) -> bool| (0..periods).map(|period| pick(Scope::Period(period), keep)).collect::<Vec<_>>();
    let mut table = FunnelTable { total: pick(Scope::Range, &|_| true), buckets: by_period(&|_| true), ..FunnelTable::default() };
    if let Some(time) = plan.conversion_time {
        let ranges = all.iter().filter(|(scope, ..)| *scope == Scope::Range);
        let times = ranges.filter_map(|(_, _, times)| Some(time_of(times, time.to_step)? - time_of(times, time.from_step)?)).collect();
        table.conversion_times = Some(conversion_times(times, time.bins));
    }
    if plan.breakdown.is_none() {
        return table;
    }
    let mut values: Vec<Value> = all.iter().map(|(_, value, _)| value.clone()).collect();
    values.sort_by(compare_values);
    values.dedup();
    let users = |value: &Value| all.iter().filter(|(scope, v, _)| *scope == Scope::Range && v == value).count();
    values.sort_by_key(|value| std::cmp::Reverse(users(value)));
    let (kept, rest) = values.split_at(values.len().min(plan.fold_keep));
    let group = |value: Value, keep: &dyn Fn(&Value) -> bool| FunnelGroup {
        value: Some(value),
        steps: pick(Scope::Range, keep),
        buckets: by_period(keep),
    };
    table.groups = kept.iter().map(|value| group(value.clone(), &|v| v == value)).collect();
    if !rest.is_empty() {
        table.groups.push(group(Value::Other, &|v| rest.contains(v)));
    }
    table
}

fn conversion_times(times: Vec<i64>, bins: Option<usize>) -> ConversionTimes {
    let (min_ms, max_ms) = (times.iter().copied().min(), times.iter().copied().max());
    let mut found = ConversionTimes { count: times.len() as u64, min_ms, max_ms, bin_width_ms: 1, ..ConversionTimes::default() };
    if let (Some(min_ms), Some(max_ms)) = (min_ms, max_ms) {
        let wanted = bins.unwrap_or_else(|| (1..).find(|&n: &usize| n * n * n >= times.len()).unwrap()) as i64;
        found.bin_width_ms = (1..).find(|width| width * wanted >= max_ms - min_ms).unwrap();
        let edges = (0..).map(|i| min_ms + i * found.bin_width_ms).take_while(|&edge| edge <= max_ms);
        let within = |edge: i64| times.iter().filter(|&&time_ms| time_ms >= edge && time_ms < edge + found.bin_width_ms).count() as u64;
        found.bins = edges.map(within).collect();
    }
    (found.median_ms, found.avg_ms) = middle_and_mean(times);
    found
}

pub(super) fn any_selections() -> impl Strategy<Value = Vec<Selection>> {
    let filter = prop_oneof![3 => Just(event_store::Filter::all()), 1 => any_filter()];
    prop::collection::vec((any_names(), filter), 1..3)
}

/// An ordered funnel without exclusions and the like.
fn any_plan() -> impl Strategy<Value = FunnelPlan> {
    let window = prop::option::of((0i64..40).prop_map(|steps| steps * 10 * MINUTE_MS));
    let rest = (any::<bool>(), prop::option::of(any_field()), 0usize..4, any::<bool>());
    (any_scan(), prop::collection::vec(any_selections().prop_map(FunnelStep::required), 1..4), window, rest).prop_map(
        |(mut scan, steps, window_ms, (range_applies_to_all, breakdown, fold_keep, first_entry_only))| {
            // The filter of all steps is tried elsewhere; here it would leave too little.
            scan.filter = event_store::Filter::all();
            FunnelPlan { window_ms, range_applies_to_all, breakdown, fold_keep, first_entry_only, ..FunnelPlan::ordered(scan, steps) }
        },
    )
}

/// Any options that go together.
fn any_full_plan() -> impl Strategy<Value = FunnelPlan> {
    let mode = prop::sample::select(vec![FunnelMode::Ordered, FunnelMode::Ordered, FunnelMode::Strict, FunnelMode::Unordered]);
    let exclusions = prop::collection::vec((any_selections(), 0usize..3, 1usize..3), 0..2);
    let steps = (mode, prop::collection::vec(prop::bool::weighted(0.25), 3), exclusions);
    let held = prop::collection::vec(prop::sample::select(vec!["p", "q"]).prop_map(|name| Field::Property(name.into())), 0..2);
    let flags = (held, prop::bool::weighted(0.3), 0usize..5);
    let buckets = prop::option::of(prop::collection::vec(1i64..12, 0..3));
    let time = prop::option::of((0usize..2, 1usize..3, prop::option::of(1usize..4)));
    (any_plan(), steps, flags, buckets, time).prop_map(
        |(mut plan, (mode, optional, exclusions), (hold_constant, counts_attempts, attribution), buckets, time)| {
            let last = plan.steps.len() - 1;
            plan.mode = mode;
            for (at, step) in plan.steps.iter_mut().enumerate() {
                step.optional = mode == FunnelMode::Ordered && at > 0 && optional[at];
            }
            let is_required = |plan: &FunnelPlan, at: usize| plan.steps.get(at).is_some_and(|step| !step.optional);
            for (any_of, from_step, length) in exclusions {
                let (from_step, to_step) = if mode == FunnelMode::Unordered { (0, last) } else { (from_step, from_step + length) };
                if mode != FunnelMode::Strict && from_step < to_step && is_required(&plan, from_step) && is_required(&plan, to_step) {
                    plan.exclusions.push(FunnelExclusion { any_of, from_step, to_step });
                }
            }
            plan.hold_constant = hold_constant;
            plan.counts_attempts = counts_attempts && !plan.first_entry_only;
            plan.attribution = match attribution {
                0 => Attribution::Last,
                at if at < 3 && mode != FunnelMode::Unordered && is_required(&plan, at) => Attribution::Step(at),
                _ => Attribution::First,
            };
            // In tens of minutes after the range's beginning, which is known later.
            plan.buckets = buckets.map(|starts| Buckets { starts: std::iter::once(0).chain(starts).collect() });
            plan.conversion_time = time.map(|(from_step, length, bins)| ConversionTime { from_step, to_step: from_step + length, bins });
            plan.conversion_time = plan.conversion_time.filter(|time| time.to_step <= last);
            plan
        },
    )
}

pub(super) fn any_dense_event() -> impl Strategy<Value = PlainEvent> {
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
    if let Some(Buckets { starts }) = &mut plan.buckets {
        starts.iter_mut().for_each(|start| *start = plan.scan.from_ms + *start * 10 * MINUTE_MS);
        starts.retain(|&start| start < plan.scan.to_ms);
        starts.sort_unstable();
        starts.dedup();
    }
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(world, forms, folder.path());
    let query = Query { snapshot: &snapshot, context: &context(), threads: 2, decoded: &cache(keeping) };
    let expected = expected(&plan, world);
    for round in ["decoded", "kept"] {
        let table = funnel(&query, &plan).unwrap();
        prop_assert_eq!(&table.total, &expected.total, "{}", round);
        prop_assert_eq!(&table.buckets, &expected.buckets, "{}", round);
        prop_assert_eq!(&table.groups, &expected.groups, "{}", round);
        prop_assert_eq!(&table.conversion_times, &expected.conversion_times, "{}", round);
    }
    check_persons(&query, &plan, world)
}

/// The lists of persons have those who are counted, on pages of two, and each person's story ends where the count says.
fn check_persons(query: &Query<'_>, plan: &FunnelPlan, world: &[PlainEvent]) -> Result<(), TestCaseError> {
    let plan = FunnelPlan { counts_attempts: false, breakdown: None, buckets: None, conversion_time: None, ..plan.clone() };
    let step = plan.steps.len() - 1;
    let mut ids: Vec<&str> = world.iter().filter_map(PlainEvent::person).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut by_outcome: [Vec<(String, i64)>; 2] = Default::default();
    let before = (0..step).rev().find(|&before| !plan.steps[before].optional);
    for id in ids {
        let own: Vec<PlainEvent> = world.iter().filter(|event| event.person() == Some(id) || event.person().is_none()).cloned().collect();
        let attempt = counted(&plan, &own).pop().map(|(_, _, times)| times);
        let story = funnel_person(query, &FunnelPersonPlan { funnel: plan.clone(), person: id.to_owned(), limit: 100 }).unwrap();
        let mut times: Vec<Option<i64>> = attempt.iter().flatten().map(|&time_ms| Some(time_ms).filter(|_| time_ms != NOT_DONE)).collect();
        times.resize(if times.is_empty() { 0 } else { plan.steps.len() }, None);
        prop_assert_eq!(&story.attempt, &times, "{}", id);
        let Some(attempt) = attempt else { continue };
        let last_required = (0..=step).rev().find(|&step| !plan.steps[step].optional).unwrap();
        prop_assert_eq!(story.stop == FunnelStop::Converted, time_of(&attempt, last_required).is_some());
        match time_of(&attempt, step) {
            Some(_) => by_outcome[0].push((id.to_owned(), attempt[0])),
            None if before.is_some_and(|before| time_of(&attempt, before).is_some()) => by_outcome[1].push((id.to_owned(), attempt[0])),
            None => {}
        }
    }
    for (outcome, expected) in [StepOutcome::Reached, StepOutcome::Dropped].into_iter().zip(&mut by_outcome) {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = funnel_persons(query, &FunnelPersonsPlan { funnel: plan.clone(), step, outcome, after, limit: 2 }).unwrap();
            prop_assert_eq!(page.count, expected.len() as u64);
            found.extend(page.persons.iter().map(|person| (person.id.clone(), person.entry_ms)));
            after = page.persons.last().map(|person| person.key);
            if !page.more {
                break;
            }
        }
        found.sort();
        expected.sort();
        prop_assert_eq!(&found, &*expected);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    #[test]
    fn every_option_agrees_with_a_search_over_all_choices(
        world in any_world(any_dense_event(), 0..14),
        plan in any_full_plan(),
        range in (0i64..6, 1i64..12),
        forms in any_forms(),
        keeping in any_keeping(),
    ) {
        check(&world, plan, range, &forms, keeping)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn agrees_with_a_search_over_all_choices(
        world in any_world(any_dense_event(), 0..14),
        plan in any_plan(),
        range in (0i64..6, 1i64..12),
        forms in any_forms(),
        keeping in any_keeping(),
    ) {
        check(&world, plan, range, &forms, keeping)?;
    }

    #[test]
    fn an_entry_of_its_own_agrees_with_a_search_over_all_choices(
        world in any_world(any_dense_event(), 0..14),
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
        counts_as: None,
        properties: vec![("country".into(), crate::exec::value::OwnedScalar::Str(country.into()))],
    };
    let world = [event("a", "US", 0), event("b", "DE", 1), event("b", "US", 2)];
    let step = |name: &str| FunnelStep::required(vec![(Some(vec![name.into()]), event_store::Filter::all())]);
    let country = Field::Property("country".into());
    let scan = event_store::Scan {
        app: super::world::app(),
        from_ms: super::world::BASE_MS,
        to_ms: super::world::BASE_MS + MINUTE_MS,
        events: None,
        filter: event_store::Filter::Compare(country.clone(), event_store::Op::In(vec![Value::Str("US".into())])),
    };
    let plan = FunnelPlan {
        window_ms: Some(2 * MINUTE_MS),
        breakdown: Some(country),
        fold_keep: 5,
        ..FunnelPlan::ordered(scan, vec![step("a"), step("b")])
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
