//! Rollups never change a number: whatever they answer is what raw events answer.

use std::sync::Arc;

use event::AppId;
use event_store::{
    AggregatePlan, AggregateTable, Buckets, EventSink, EventSource, Field, Filter, Fold, Measure, MeasureFn, Measured, Op, RollupSize,
    Scan, Table, Value,
};
use proptest::prelude::*;

use super::world::{BASE_MS, DAY_MS, HOUR_MS, PlainEvent, commit, context, maintain_all, open, open_with};
use crate::exec::{self, Query};
use crate::options::ParquetStoreOptions;
use crate::rollup::MAX_NAMES_PER_PERIOD;
use crate::store::ParquetStore;

const NAMES: [&str; 4] = ["a", "ab", "b", "$identify"];
const DAYS: i64 = 5;

fn from_raw(store: &ParquetStore, plan: &AggregatePlan) -> AggregateTable {
    exec::aggregate(&Query { snapshot: &store.snapshot(), context: &context(), threads: 2, decoded: &store.decoded }, plan).unwrap()
}

/// Asks both ways; true when rollups answered.
fn assert_same(store: &ParquetStore, plan: &AggregatePlan) -> bool {
    let (answer, raw) = (store.aggregate(plan, &context()).unwrap(), from_raw(store, plan));
    assert_eq!(answer.rows, raw.rows, "{plan:?}");
    assert_eq!(answer.totals, raw.totals, "{plan:?}");
    used_rollups(&answer)
}

fn used_rollups(answer: &AggregateTable) -> bool {
    answer.stats.work.tables.iter().any(|read| matches!(read.table, Table::RollupDay | Table::RollupHour))
}

fn is_named(name: &str) -> Filter {
    Filter::Compare(Field::Event, Op::In(vec![Value::Str(name.to_owned())]))
}

fn plan(from_ms: i64, to_ms: i64) -> AggregatePlan {
    AggregatePlan {
        scan: Scan { app: AppId::new("A").unwrap(), from_ms, to_ms, events: None, filter: Filter::all() },
        buckets: None,
        group_by: Vec::new(),
        measures: vec![Measure::of(MeasureFn::Events)],
        fold: Fold { keep: 25, by_measure: 0, descending: true },
    }
}

fn any_event() -> impl Strategy<Value = PlainEvent> {
    let apps = prop::sample::select(vec!["A", "A", "A", "B"]);
    let minute = 0i64..DAYS * 24 * 60;
    (apps, prop::sample::select(NAMES.to_vec()), minute, prop::option::weighted(0.9, 0u32..40)).prop_map(|(app, name, minute, user)| {
        let mut event = PlainEvent::new(app, name, BASE_MS + minute * 60_000, "");
        event.user_id = user.map(|user| format!("U{user}"));
        event
    })
}

fn any_names() -> impl Strategy<Value = Option<Vec<String>>> {
    let name = prop::sample::select(vec!["a", "ab", "b", "$identify", "unknown"]).prop_map(str::to_owned);
    prop::option::weighted(0.4, prop::collection::vec(name, 0..3))
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let by_name = |op: Op| Filter::Compare(Field::Event, op);
    prop_oneof![
        6 => Just(Filter::all()),
        2 => prop::sample::select(NAMES.to_vec()).prop_map(is_named),
        2 => prop::sample::select(NAMES.to_vec()).prop_map(|name| Filter::Not(Box::new(is_named(name)))),
        1 => Just(by_name(Op::StartsWith("a".to_owned()))),
        1 => Just(by_name(Op::Matches("^.b|\\$".to_owned()))),
        1 => Just(by_name(Op::IsSet)),
        1 => Just(Filter::Or(Vec::new())),
        1 => Just(Filter::Not(Box::new(Filter::all()))),
        1 => Just(Filter::Or(vec![is_named("a"), Filter::And(vec![is_named("b"), by_name(Op::Contains("b".to_owned()))])])),
    ]
}

/// Buckets of a day's length or so, as zones make them: 23 to 25 hours, from any hour of UTC; sometimes from the half of one.
fn any_buckets() -> impl Strategy<Value = Option<(i64, Vec<i64>)>> {
    let half_hour = prop::bool::weighted(0.2).prop_map(|half| if half { HOUR_MS / 2 } else { 0 });
    let lengths = prop_oneof![
        prop::collection::vec(prop::sample::select(vec![23i64, 24, 24, 25]), 1..8),
        prop::collection::vec(Just(1i64), 1..80),
        prop::collection::vec(prop::sample::select(vec![168i64, 169, 31 * 24]), 1..3),
    ];
    let shape = (-30i64..30, half_hour, lengths).prop_map(|(first_hour, offset_ms, lengths)| {
        let first = BASE_MS + first_hour * HOUR_MS + offset_ms;
        let mut starts = vec![first];
        starts.extend(lengths.iter().scan(first, |at, hours| {
            *at += hours * HOUR_MS;
            Some(*at)
        }));
        (starts.pop().unwrap_or(first), starts)
    });
    prop::option::weighted(0.7, shape)
}

fn any_measure() -> impl Strategy<Value = Measure> {
    let function = prop_oneof![2 => Just(MeasureFn::Events), 1 => Just(MeasureFn::UniqueUsersApprox)];
    (function, any_names(), any_filter()).prop_map(|(function, events, filter)| Measure { function, events, filter, since: None })
}

prop_compose! {
    fn any_plan()(
        buckets in any_buckets(),
        from_minute in -200i64..DAYS * 24 * 60,
        minutes in 1i64..DAYS * 24 * 60 + 500,
        on_hours in any::<bool>(),
        events in any_names(),
        filter in any_filter(),
        measures in prop::collection::vec(any_measure(), 1..4),
        by_event in any::<bool>(),
        keep in 1usize..6,
        by_measure in 0usize..3,
        descending in any::<bool>(),
        reach in prop::option::weighted(0.3, 1u32..4),
    ) -> AggregatePlan {
        let unit = if on_hours { HOUR_MS } else { 60_000 };
        let floor = |ms: i64| ms.div_euclid(unit) * unit;
        let (mut from_ms, mut to_ms) = (floor(BASE_MS + from_minute * 60_000), 0);
        to_ms += floor(from_ms + minutes * 60_000).max(from_ms + unit);
        let buckets = buckets.map(|(end_ms, starts)| {
            // The range lies in the buckets and begins in the first one.
            let last_start = *starts.last().unwrap();
            from_ms = from_ms.clamp(starts[0], starts.get(1).map_or(end_ms, |second| *second) - 1);
            to_ms = to_ms.clamp(last_start + 1, end_ms).max(from_ms + 1);
            Buckets { starts }
        });
        let by_measure = by_measure.min(measures.len() - 1);
        let count = buckets.as_ref().map_or(0, |buckets: &Buckets| buckets.starts.len() as u32);
        let since = reach.filter(|_| count > 0).map(|reach| (0..count).map(|bucket| bucket.saturating_sub(reach)).collect());
        let measures = measures.into_iter().map(|measure| Measure { since: since.clone(), ..measure }).collect();
        AggregatePlan {
            scan: Scan { app: AppId::new("A").unwrap(), from_ms, to_ms, events, filter },
            buckets,
            group_by: if by_event { vec![Field::Event] } else { Vec::new() },
            measures,
            fold: Fold { keep, by_measure, descending },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn rollups_answer_what_raw_events_answer(
        pieces in prop::collection::vec((prop::collection::vec(any_event(), 1..60), any::<bool>()), 1..6),
        plans in prop::collection::vec(any_plan(), 12),
        compact in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for (i, (events, flush)) in pieces.iter().enumerate() {
            store.append(commit(events, i as u64 + 1)).unwrap();
            if *flush {
                store.flush().unwrap();
            }
        }
        if compact {
            maintain_all(&store, BASE_MS + 30 * DAY_MS);
        }
        for plan in &plans {
            let rolled = assert_same(&store, plan);
            let starts = plan.buckets.as_ref().map_or(&[][..], |buckets| &buckets.starts);
            let cuts_hours = starts.iter().skip(1).any(|start| start.rem_euclid(HOUR_MS) != 0);
            prop_assert!(!(rolled && cuts_hours), "a half-hour zone was answered from rollups: {plan:?}");
            let whole_hours = plan.scan.to_ms.div_euclid(HOUR_MS) - (plan.scan.from_ms + HOUR_MS - 1).div_euclid(HOUR_MS);
            prop_assert_eq!(rolled || !read_anything(&store, plan), !cuts_hours && whole_hours > 0 || !read_anything(&store, plan));
        }
    }
}

/// Whether rollups would have had a row to read: an empty answer does not tell who gave it.
fn read_anything(store: &ParquetStore, plan: &AggregatePlan) -> bool {
    let stored = store.manifest.rollups("A", RollupSize::Hour, plan.scan.from_ms, plan.scan.to_ms).unwrap();
    !stored.is_empty() && !from_raw(store, plan).rows.is_empty()
}

#[test]
fn a_thousand_names_are_counted_from_raw_events() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let names = |range: std::ops::Range<usize>| -> Vec<PlainEvent> {
        range.map(|i| PlainEvent::new("A", &format!("event {i:05}"), BASE_MS + (i as i64 % 7) * 60_000, "U")).collect()
    };
    let mut by_event = plan(BASE_MS, BASE_MS + DAY_MS);
    by_event.group_by = vec![Field::Event];
    by_event.fold.keep = 10_000;
    store.append(commit(&names(0..MAX_NAMES_PER_PERIOD - 1), 1)).unwrap();
    store.flush().unwrap();
    assert!(assert_same(&store, &by_event));
    // Names beyond the bound that are only in memory are counted whole.
    store.append(commit(&names(500..MAX_NAMES_PER_PERIOD + 300), 2)).unwrap();
    assert!(assert_same(&store, &by_event));
    store.flush().unwrap();
    assert!(!assert_same(&store, &by_event));
    let mut of_one = plan(BASE_MS, BASE_MS + DAY_MS);
    of_one.scan.events = Some(vec!["event 01200".to_owned()]);
    assert!(!assert_same(&store, &of_one));
    // The total has no names to lose.
    assert!(assert_same(&store, &plan(BASE_MS, BASE_MS + DAY_MS)));
}

#[test]
fn aggregates_outlive_their_events() {
    let dir = tempfile::tempdir().unwrap();
    let keep_ten_days = |_: &AppId| Some(10 * DAY_MS);
    let store = open_with(dir.path(), ParquetStoreOptions::default(), Arc::new(keep_ten_days)).unwrap();
    let event = |i: i64| PlainEvent::new("A", NAMES[(i % 3) as usize], BASE_MS + i * 13 * 60_000, &format!("U{}", i % 50));
    let events: Vec<PlainEvent> = (0..3_000).map(event).collect();
    store.append(commit(&events, 1)).unwrap();
    store.flush().unwrap();
    let mut daily = plan(BASE_MS, BASE_MS + 28 * DAY_MS);
    daily.buckets = Some(Buckets { starts: (0..28).map(|day| BASE_MS + day * DAY_MS).collect() });
    daily.group_by = vec![Field::Event];
    daily.measures.push(Measure::of(MeasureFn::UniqueUsersApprox));
    assert!(assert_same(&store, &daily));
    let before = store.aggregate(&daily, &context()).unwrap();
    maintain_all(&store, BASE_MS + 30 * DAY_MS);
    let after = store.aggregate(&daily, &context()).unwrap();
    assert_eq!((&after.rows, &after.totals), (&before.rows, &before.totals));
    let raw = from_raw(&store, &daily);
    assert!(raw.rows.len() < after.rows.len(), "the test is about events that are gone");

    // Where raw events are asked, the explanation says from when on there are any.
    let mut exact = daily.clone();
    exact.measures[1].function = MeasureFn::UniqueUsers;
    let reason = store.aggregate(&exact, &context()).unwrap().stats.work.reason;
    assert!(reason.contains("exact") && reason.contains("retention"), "{reason}");
}

#[test]
fn an_answer_is_of_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let round = |i: i64| -> Vec<PlainEvent> {
        (0..100).map(|k| PlainEvent::new("A", "a", BASE_MS + (i * 37 + k * 11) % 4_000 * 60_000, &format!("U{k}"))).collect()
    };
    let asked = plan(BASE_MS, BASE_MS + 10 * DAY_MS);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for i in 0..60 {
                store.append(commit(&round(i), i as u64 + 1)).unwrap();
                if i % 3 == 2 {
                    store.flush().unwrap();
                    store.maintain(BASE_MS).unwrap();
                }
            }
        });
        let mut last = 0;
        while !writer.is_finished() {
            let table = store.aggregate(&asked, &context()).unwrap();
            let events = match table.totals.first().map(|row| row.measures[0]) {
                Some(Measured::Count(events)) => events,
                _ => 0,
            };
            // Each append is seen whole, once, and stays seen.
            assert_eq!(events % 100, 0);
            assert!(events >= last);
            last = events;
        }
    });
    assert!(assert_same(&store, &asked));
    assert_eq!(store.aggregate(&asked, &context()).unwrap().totals[0].measures[0], Measured::Count(6_000));
}

#[test]
fn limits_hold_for_rollups_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let events: Vec<PlainEvent> =
        (0..20_000).map(|i| PlainEvent::new("A", NAMES[i % 4], BASE_MS + i as i64 * 60_000, &format!("U{}", i * 7))).collect();
    store.append(commit(&events, 1)).unwrap();
    store.flush().unwrap();
    let mut hourly = plan(BASE_MS, BASE_MS + 14 * DAY_MS);
    hourly.buckets = Some(Buckets { starts: (0..14 * 24).map(|hour| BASE_MS + hour * HOUR_MS).collect() });
    hourly.group_by = vec![Field::Event];
    hourly.measures[0].function = MeasureFn::UniqueUsersApprox;
    let narrow = event_store::QueryContext { memory: event_store::MemoryBudget::new(20_000), ..context() };
    assert!(matches!(store.aggregate(&hourly, &narrow), Err(event_store::QueryError::Memory { limit_bytes: 20_000 })));
    let few = event_store::QueryContext { max_groups: 3, ..context() };
    assert!(matches!(store.aggregate(&hourly, &few), Err(event_store::QueryError::Groups { limit: 3 })));
    let gone = context();
    gone.cancel.cancel();
    assert!(matches!(store.aggregate(&hourly, &gone), Err(event_store::QueryError::Cancelled)));
    assert!(assert_same(&store, &hourly));
}
