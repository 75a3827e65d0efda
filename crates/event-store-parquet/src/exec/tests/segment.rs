//! Persons of segments, and questions about them, against nested loops.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use event::{PersonHash, person_hash};
use event_store::{
    AggregatePlan, DidRule, Field, Filter, Fold, HasRule, MAX_SEGMENT_DEPTH, Measure, MeasureFn, Op, QueryError, Scan, Segment,
    SegmentPersonsPlan, SegmentRule, Value,
};
use proptest::prelude::*;

use super::filter_oracle::{any_rule, in_segment};
use super::world::{
    BASE_MS, Keeping, MINUTE_MS, PartForm, PlainEvent, any_event, any_forms, any_keeping, any_world, app, cache, context, snapshot,
};
use crate::exec::{Query, aggregate, segment_persons};
use crate::snapshot::Snapshot;

const IN_MEMORY: PartForm = PartForm { segment: false, crowded: false, haunted: false };

fn key(id: &str) -> u64 {
    let PersonHash(key) = person_hash(Some(id), None).unwrap();
    key
}

/// All pages of a segment, `limit` persons each.
fn persons(query: &Query<'_>, rule: &SegmentRule, limit: usize) -> Vec<(u64, String)> {
    let segment = Arc::new(Segment { name: "segment".into(), rule: rule.clone() });
    let mut plan = SegmentPersonsPlan { app: app(), segment, after: None, limit };
    let mut all = Vec::new();
    loop {
        let page = segment_persons(query, &plan).unwrap();
        assert!(page.persons.len() <= limit);
        all.extend(page.persons.into_iter().map(|person| (person.key, person.id)));
        if !page.more {
            assert_eq!(page.count, all.len() as u64);
            return all;
        }
        plan.after = all.last().map(|(key, _)| *key);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn pages_have_everybody_who_is_in_and_has_an_event(
        world in any_world(any_event(), 0..40),
        forms in any_forms(),
        keeping in any_keeping(),
        rule in any_rule(),
        limit in 1usize..5,
        threads in 1usize..3,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (snapshot, context, decoded) = (snapshot(&world, &forms, folder.path()), context(), cache(keeping));
        let query = Query { snapshot: &snapshot, context: &context, threads, decoded: &decoded };
        let known: BTreeSet<&str> = world.iter().filter_map(PlainEvent::person).collect();
        let mut expected: Vec<(u64, String)> =
            known.into_iter().filter(|person| in_segment(&world, person, &rule)).map(|person| (key(person), person.to_owned())).collect();
        expected.sort();
        prop_assert_eq!(persons(&query, &rule, limit), expected);
        prop_assert!(context.memory.grow(512 << 20).is_ok(), "a segment keeps nothing of the budget");
    }
}

fn event(person: &str, minute: i64, name: &str) -> PlainEvent {
    PlainEvent {
        name: name.into(),
        time_ms: BASE_MS + minute * MINUTE_MS,
        received_at_ms: BASE_MS + 300 * MINUTE_MS,
        user_id: Some(person.into()),
        anonymous_id: None,
        session_id: None,
        insert_id: None,
        counts_as: None,
        properties: Vec::new(),
    }
}

fn did(name: &str, at_least: u32) -> SegmentRule {
    let events = Some(vec![name.to_owned()]);
    SegmentRule::Did(DidRule { from_ms: i64::MIN, to_ms: i64::MAX, events, filter: Filter::all(), at_least, at_most: None })
}

fn counted(filter: Filter, group_by: Vec<Field>) -> AggregatePlan {
    AggregatePlan {
        scan: Scan { app: app(), from_ms: BASE_MS, to_ms: BASE_MS + 300 * MINUTE_MS, events: None, filter },
        buckets: None,
        group_by,
        measures: vec![Measure::of(MeasureFn::UniqueUsers)],
        fold: Fold { keep: 10, by_measure: 0, descending: true },
    }
}

fn in_it(segment: &Arc<Segment>) -> Filter {
    Filter::Compare(Field::InSegment(segment.clone()), Op::In(vec![Value::Bool(true)]))
}

fn ask<T>(world: &[PlainEvent], ask: impl FnOnce(&Query<'_>) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let (snapshot, context, decoded) = (snapshot(world, &[IN_MEMORY], folder.path()), context(), cache(Keeping::Everything));
    ask(&Query { snapshot: &snapshot, context: &context, threads: 2, decoded: &decoded })
}

#[test]
fn a_segment_is_found_once_for_a_question_and_accounted_for_apart() {
    let world: Vec<PlainEvent> = (0..100).map(|i| event(&format!("u{}", i % 10), i, if i % 10 < 3 { "buy" } else { "view" })).collect();
    let segment = Arc::new(Segment { name: "cohort:buyers".into(), rule: did("buy", 2) });
    let plan = counted(
        Filter::And(vec![in_it(&segment), Filter::Not(Box::new(Filter::Not(Box::new(in_it(&segment)))))]),
        vec![Field::InSegment(segment.clone())],
    );
    let table = ask(&world, |query| aggregate(query, &plan)).unwrap();
    assert_eq!(table.totals.len(), 1);
    assert_eq!(table.totals[0].group, [Value::Bool(true)]);
    assert_eq!(table.stats.scanned_events, 100, "the events of the rule are not among those of the question");
    let [read] = &table.stats.segments[..] else { panic!("{:?}", table.stats.segments) };
    assert_eq!((read.name.as_str(), read.events, read.persons), ("cohort:buyers", 30, Some(3)));
}

#[test]
fn groups_are_in_out_and_nobody() {
    let mut world: Vec<PlainEvent> = (0..30).map(|i| event(&format!("u{}", i % 6), i, if i % 6 == 0 { "buy" } else { "view" })).collect();
    world.push(PlainEvent { user_id: None, ..event("", 50, "system") });
    let segment = Arc::new(Segment { name: "segment".into(), rule: did("buy", 1) });
    let table = ask(&world, |query| aggregate(query, &counted(Filter::all(), vec![Field::InSegment(segment)]))).unwrap();
    let groups: Vec<&[Value]> = table.totals.iter().map(|row| row.group.as_slice()).collect();
    assert_eq!(groups, [&[Value::Bool(false)][..], &[Value::Bool(true)], &[Value::Null]]);
}

#[test]
fn a_segment_stays_within_the_budget_and_stops_when_told() {
    let world: Vec<PlainEvent> = (0..5_000).map(|i| event(&format!("u{i}"), i % 300, "buy")).collect();
    let folder = tempfile::tempdir().unwrap();
    let snapshot: Snapshot = snapshot(&world, &[IN_MEMORY], folder.path());
    for keeping in [Keeping::Everything, Keeping::FewPersons] {
        let decoded = cache(keeping);
        let segment = Arc::new(Segment { name: "segment".into(), rule: did("buy", 2) });
        let plan = counted(in_it(&segment), Vec::new());
        let small = event_store::QueryContext { memory: event_store::MemoryBudget::new(8 << 10), ..context() };
        let query = Query { snapshot: &snapshot, context: &small, threads: 1, decoded: &decoded };
        assert!(matches!(aggregate(&query, &plan), Err(QueryError::Memory { .. })), "{keeping:?}");
        let gone = context();
        gone.cancel.cancel();
        let query = Query { snapshot: &snapshot, context: &gone, threads: 1, decoded: &decoded };
        assert_eq!(aggregate(&query, &plan).unwrap_err(), QueryError::Cancelled);
        let late = event_store::QueryContext { deadline: Instant::now(), ..context() };
        let query = Query { snapshot: &snapshot, context: &late, threads: 1, decoded: &decoded };
        assert!(matches!(aggregate(&query, &plan), Err(QueryError::Timeout { .. })));
    }
}

#[test]
fn what_cannot_be_a_rule_is_refused() {
    let mut deep = did("buy", 1);
    for _ in 0..MAX_SEGMENT_DEPTH {
        deep = SegmentRule::Not(Box::new(deep));
    }
    let no_expression = SegmentRule::Has(HasRule { property: "p".into(), op: Op::Matches("(".into()), before_ms: i64::MAX });
    for rule in [deep, no_expression] {
        let segment = Arc::new(Segment { name: "segment".into(), rule });
        let refused = ask(&[event("u", 1, "buy")], |query| aggregate(query, &counted(in_it(&segment), Vec::new())));
        assert!(matches!(refused, Err(QueryError::Invalid { .. })));
    }
}

#[test]
fn a_list_gives_no_ordinals_to_ids_that_are_of_nobody() {
    let world = [event("u1", 1, "a"), event("u2", 2, "b")];
    let folder = tempfile::tempdir().unwrap();
    let (snapshot, context, decoded) = (snapshot(&world, &[IN_MEMORY], folder.path()), context(), cache(Keeping::Everything));
    let query = Query { snapshot: &snapshot, context: &context, threads: 1, decoded: &decoded };
    let ids: Vec<String> = (0..1_000).map(|i| format!("u{i}")).collect();
    let found = persons(&query, &SegmentRule::Listed(ids.into()), 10);
    assert_eq!(found.len(), 2);
    assert_eq!(decoded.space(&app()).persons().with_keys(<[u64]>::len), 3, "nobody, and two persons");
}
