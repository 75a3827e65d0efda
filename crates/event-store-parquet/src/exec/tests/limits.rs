//! Every limit of a query stops it, and names itself.

use event_store::{ActivityKind, ActivityPlan, RetentionEntry, RetentionMode, RetentionPlan};
use event_store::{
    AggregatePlan, Buckets, EventsPlan, Field, Filter, Fold, FunnelPlan, FunnelStep, Measure, MeasureFn, MemoryBudget, Op, QueryContext,
    QueryError, Scan,
};

use super::world::{BASE_MS, Keeping, PartForm, PlainEvent, app, cache, context, snapshot};
use crate::exec::value::OwnedScalar;
use crate::exec::{Query, activity, aggregate, events, funnel, retention};

pub(super) fn everything() -> Scan {
    Scan { app: app(), from_ms: 0, to_ms: i64::MAX, events: None, filter: Filter::all() }
}

fn plan(function: MeasureFn, group_by: Vec<Field>) -> AggregatePlan {
    AggregatePlan {
        scan: everything(),
        buckets: None,
        group_by,
        measures: vec![Measure::of(function)],
        fold: Fold { keep: 25, by_measure: 0, descending: true },
    }
}

/// Events of one name, each a millisecond after the one before, by a person and with a property value of its own.
pub(super) fn distinct_events(count: i64) -> Vec<PlainEvent> {
    let event = |i: i64| PlainEvent {
        name: "a".into(),
        time_ms: BASE_MS + i,
        received_at_ms: BASE_MS,
        user_id: Some(format!("u{i}")),
        anonymous_id: None,
        session_id: None,
        insert_id: None,
        counts_as: None,
        properties: vec![("id".into(), OwnedScalar::Str(format!("value {i}").into()))],
    };
    (0..count).map(event).collect()
}

fn answer(context: &QueryContext, run: impl Fn(&Query<'_>) -> Result<(), QueryError>) -> Result<(), QueryError> {
    answer_keeping(Keeping::Nothing, context, run)
}

fn answer_keeping(keeping: Keeping, context: &QueryContext, run: impl Fn(&Query<'_>) -> Result<(), QueryError>) -> Result<(), QueryError> {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(&distinct_events(3_000), &[PartForm { segment: false, crowded: false, haunted: false }; 2], folder.path());
    let result = run(&Query { snapshot: &snapshot, context, threads: 2, decoded: &cache(keeping) });
    assert_eq!(held(&context.memory), 0, "a query gives its memory back");
    result
}

/// Bytes a budget counts as taken.
pub(super) fn held(memory: &MemoryBudget) -> usize {
    const PROBE: usize = 1 << 40;
    let Err(QueryError::Memory { limit_bytes }) = memory.grow(PROBE) else { panic!("the limit is below the probe") };
    memory.shrink(PROBE);
    let mut free = limit_bytes;
    while memory.grow(free).is_err() {
        memory.shrink(free);
        free -= 1;
    }
    memory.shrink(free);
    limit_bytes - free
}

fn by_id() -> Vec<Field> {
    vec![Field::Property("id".into())]
}

#[test]
fn groups() {
    let narrow = QueryContext { max_groups: 2_999, ..context() };
    let run = |query: &Query<'_>| aggregate(query, &plan(MeasureFn::Events, by_id())).map(drop);
    assert_eq!(answer(&narrow, run), Err(QueryError::Groups { limit: 2_999 }));
    assert_eq!(answer(&QueryContext { max_groups: 3_000, ..context() }, run), Ok(()));
}

#[test]
fn memory() {
    let limit_bytes = 40_000;
    let functions = [
        (MeasureFn::UniqueUsers, Vec::new()),
        (MeasureFn::Events, by_id()),
        (MeasureFn::Quantile(Field::Time, 0.5), Vec::new()),
        (MeasureFn::Sessions(event_store::SessionRule { idle_ms: 1, max_ms: None }), Vec::new()),
        (MeasureFn::CountDistinct(Field::UserId), Vec::new()),
    ];
    for (function, group_by) in functions {
        let small = QueryContext { memory: MemoryBudget::new(limit_bytes), ..context() };
        let result = answer(&small, |query| aggregate(query, &plan(function.clone(), group_by.clone())).map(drop));
        assert_eq!(result, Err(QueryError::Memory { limit_bytes }), "{function:?}");
        let large = QueryContext { memory: MemoryBudget::new(8 << 20), ..context() };
        assert_eq!(answer(&large, |query| aggregate(query, &plan(function.clone(), group_by.clone())).map(drop)), Ok(()), "{function:?}");
    }
    let small = QueryContext { memory: MemoryBudget::new(limit_bytes), ..context() };
    let page = EventsPlan { scan: everything(), limit: 2_000, skip: 0 };
    assert_eq!(answer(&small, |query| events(query, &page).map(drop)), Err(QueryError::Memory { limit_bytes }));
}

fn funnel_plan(steps: usize) -> FunnelPlan {
    let step = FunnelStep::required(vec![(None, Filter::all())]);
    FunnelPlan { fold_keep: 25, ..FunnelPlan::ordered(everything(), vec![step; steps]) }
}

#[test]
fn time_and_cancellation() {
    let late = QueryContext { deadline: std::time::Instant::now(), limit_ms: 7, ..context() };
    std::thread::sleep(std::time::Duration::from_millis(2));
    let timeout = Err(QueryError::Timeout { limit_ms: 7 });
    assert_eq!(answer(&late, |query| aggregate(query, &plan(MeasureFn::Events, Vec::new())).map(drop)), timeout);
    assert_eq!(answer(&late, |query| funnel(query, &funnel_plan(2)).map(drop)), timeout);
    let gone = context();
    gone.cancel.cancel();
    let page = EventsPlan { scan: everything(), limit: 10, skip: 0 };
    assert_eq!(answer(&gone, |query| events(query, &page).map(drop)), Err(QueryError::Cancelled));
}

fn any_event() -> Vec<event_store::Selection> {
    vec![(None, Filter::all())]
}

fn retention_plan(rolling_ms: Option<i64>, breakdown: Option<Field>) -> RetentionPlan {
    let day_ms = 86_400_000;
    RetentionPlan {
        scan: Scan { from_ms: BASE_MS, to_ms: BASE_MS + 800 * day_ms, ..everything() },
        start: any_event(),
        returns: vec![(Some(vec!["a".into()]), Filter::all())],
        returns_to_ms: i64::MAX,
        periods: Buckets { starts: (0..800).map(|day| BASE_MS + day * day_ms).collect() },
        cohorts: 800,
        max_period: 100,
        entry: RetentionEntry::Recurring,
        mode: RetentionMode::On,
        rolling_ms,
        breakdown,
        fold_keep: 25,
    }
}

fn activity_plan(kind: ActivityKind, breakdown: Option<Field>) -> ActivityPlan {
    let RetentionPlan { scan, periods, fold_keep, .. } = retention_plan(None, None);
    ActivityPlan { scan, any_of: any_event(), periods, kind, breakdown, fold_keep }
}

#[test]
fn periods_of_persons_keep_to_the_limits() {
    let id = || Some(Field::Property("id".into()));
    let retentions = [(None, None), (Some(1_000), None), (None, id())].map(|(rolling_ms, breakdown)| retention_plan(rolling_ms, breakdown));
    let activities =
        [(ActivityKind::Lifecycle, None), (ActivityKind::Stickiness, id())].map(|(kind, breakdown)| activity_plan(kind, breakdown));
    let run = |context: &QueryContext, keeping: Keeping| -> Vec<Result<(), QueryError>> {
        let of_retentions = retentions.iter().map(|plan| answer_keeping(keeping, context, |query| retention(query, plan).map(drop)));
        let of_activities = activities.iter().map(|plan| answer_keeping(keeping, context, |query| activity(query, plan).map(drop)));
        of_retentions.chain(of_activities).collect()
    };
    for keeping in [Keeping::Nothing, Keeping::FewPersons] {
        let limit_bytes = 40_000;
        let small = QueryContext { memory: MemoryBudget::new(limit_bytes), ..context() };
        assert_eq!(run(&small, keeping), vec![Err(QueryError::Memory { limit_bytes }); 5], "{keeping:?}");
        assert_eq!(run(&context(), keeping), vec![Ok(()); 5], "{keeping:?}");
    }
    let gone = context();
    gone.cancel.cancel();
    assert_eq!(run(&gone, Keeping::Nothing), vec![Err(QueryError::Cancelled); 5]);
    let narrow = QueryContext { max_groups: 2_999, ..context() };
    assert_eq!(run(&narrow, Keeping::Nothing)[2], Err(QueryError::Groups { limit: 2_999 }));
    assert_eq!(run(&narrow, Keeping::Nothing)[4], Err(QueryError::Groups { limit: 2_999 }));
    let refused =
        |plan: RetentionPlan| matches!(answer(&context(), |query| retention(query, &plan).map(drop)), Err(QueryError::Invalid { .. }));
    let good = || retention_plan(None, None);
    assert!(refused(RetentionPlan { max_period: 1_000, ..good() }) && refused(RetentionPlan { cohorts: 801, ..good() }));
    assert!(refused(RetentionPlan { returns_to_ms: BASE_MS, ..good() }) && refused(retention_plan(Some(0), None)));
    let none = ActivityPlan { periods: Buckets { starts: vec![BASE_MS] }, ..activity_plan(ActivityKind::Lifecycle, None) };
    assert!(matches!(answer(&context(), |query| activity(query, &none).map(drop)), Err(QueryError::Invalid { .. })));
}

#[test]
fn impossible_plans_are_refused() {
    let invalid = |result: Result<(), QueryError>| matches!(result, Err(QueryError::Invalid { .. }));
    let refused = |plan: AggregatePlan| invalid(answer(&context(), |query| aggregate(query, &plan).map(drop)));
    let good = || plan(MeasureFn::Events, Vec::new());
    assert!(!refused(good()));
    assert!(refused(AggregatePlan { measures: Vec::new(), ..good() }));
    assert!(refused(AggregatePlan { fold: Fold { keep: 1, by_measure: 1, descending: true }, ..good() }));
    assert!(refused(AggregatePlan { buckets: Some(Buckets { starts: Vec::new() }), ..good() }));
    assert!(refused(AggregatePlan { group_by: vec![Field::Event; 5], ..good() }));
    let mut bad_regex = good();
    bad_regex.scan.filter = Filter::Compare(Field::Event, Op::Matches("(".into()));
    assert!(refused(bad_regex));
    for steps in [0, 51] {
        assert!(invalid(answer(&context(), |query| funnel(query, &funnel_plan(steps)).map(drop))));
    }
    assert!(invalid(answer(&context(), |query| funnel(query, &FunnelPlan { window_ms: Some(-1), ..funnel_plan(1) }).map(drop))));
}

#[test]
fn decoded_columns_count_while_they_are_used() {
    let run = |query: &Query<'_>| aggregate(query, &plan(MeasureFn::UniqueUsers, Vec::new())).map(drop);
    let limit_bytes = 4_000;
    let small = QueryContext { memory: MemoryBudget::new(limit_bytes), ..context() };
    assert_eq!(answer_keeping(Keeping::Everything, &small, run), Err(QueryError::Memory { limit_bytes }));
    // Bitmaps take less than the lists of keys that do not fit in as much.
    let enough = QueryContext { memory: MemoryBudget::new(40_000), ..context() };
    assert_eq!(answer_keeping(Keeping::Everything, &enough, run), Ok(()));
    assert!(answer_keeping(Keeping::FewPersons, &enough, run).is_err());
}
