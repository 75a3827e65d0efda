//! Paths over stored parts against nested loops over plain events.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use event_store::{
    Field, Filter, MemoryBudget, Occurrence, PathAnchor, PathBound, PathCount, PathEdge, PathRow, PathSide, PathsPlan, PathsTable,
    QueryContext, QueryError, Selection, SessionRule, Value,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::aggregate::any_scan;
use super::filter_oracle::{any_field, any_filter, field_value, group_value, holds, selected};
use super::funnel::{any_dense_event, any_selections};
use super::limits::{everything, held};
use super::world::{BASE_MS, Keeping, MINUTE_MS, PartForm, PlainEvent, any_forms, any_keeping, any_world, cache, context, crowd, snapshot};
use crate::exec::value::compare_values;
use crate::exec::{Query, paths};

/// A step: its time, the place of its name, and whether it is no anchor.
type Step = (i64, usize, bool);

/// A path: whose, the names' places, and the place of its first step.
type Taken<'w> = (&'w str, Vec<usize>, i32);

struct Oracle<'w> {
    world: &'w [PlainEvent],
    plan: &'w PathsPlan,
    /// All values of the field that names steps, in order.
    names: Vec<Value>,
}

impl<'w> Oracle<'w> {
    fn new(world: &'w [PlainEvent], plan: &'w PathsPlan) -> Self {
        let mut names: Vec<Value> = world.iter().map(|event| group_value(&field_value(world, event, &plan.step_by))).collect();
        names.sort_by(compare_values);
        names.dedup();
        Self { world, plan, names }
    }

    /// The step an event is, if it is one.
    fn step(&self, event: &PlainEvent) -> Option<Step> {
        let Self { world, plan, names } = self;
        let matches = |any_of: &[Selection]| any_of.iter().any(|(names, filter)| selected(world, event, names.as_deref(), filter));
        if !holds(world, event, &plan.scan.filter) {
            return None;
        }
        let value = group_value(&field_value(world, event, &plan.step_by));
        let is_anchor = plan.anchor.as_ref().is_some_and(|anchor| matches(&anchor.any_of));
        let is_named = plan.scan.events.as_ref().is_none_or(|events| events.contains(&event.name)) && value != Value::Null;
        let is_step = is_anchor || (is_named && !matches(&plan.exclude));
        is_step.then(|| (event.time_ms, names.iter().position(|name| *name == value).unwrap(), !is_anchor))
    }

    /// The steps of each sequence of a person.
    fn sequences(&self, person: &str) -> Vec<Vec<Step>> {
        let scan = &self.plan.scan;
        let is_own = |event: &&PlainEvent| event.person() == Some(person) && event.time_ms >= scan.from_ms && event.time_ms < scan.to_ms;
        let mut events: Vec<&PlainEvent> = self.world.iter().filter(is_own).collect();
        events.sort_by_key(|event| event.time_ms);
        let (rule, has_ids) = match self.plan.bound {
            PathBound::Session(rule) => (rule, true),
            PathBound::Gap(gap_ms) => {
                events.retain(|event| self.step(event).is_some());
                (SessionRule { idle_ms: gap_ms.unwrap_or(i64::MAX), max_ms: None }, false)
            }
        };
        let mut by_id: BTreeMap<&str, Vec<&PlainEvent>> = BTreeMap::new();
        let mut cut: Vec<Vec<&PlainEvent>> = Vec::new();
        for event in events {
            if let Some(id) = event.session_id.as_ref().filter(|_| has_ids) {
                by_id.entry(id).or_default().push(event);
                continue;
            }
            let goes_on = cut.last().is_some_and(|open| {
                event.time_ms - open.last().unwrap().time_ms <= rule.idle_ms
                    && rule.max_ms.is_none_or(|max_ms| event.time_ms - open[0].time_ms <= max_ms)
            });
            if !goes_on {
                cut.push(Vec::new());
            }
            cut.last_mut().unwrap().push(event);
        }
        let steps = |events: Vec<&PlainEvent>| {
            let mut steps: Vec<Step> = events.into_iter().filter_map(|event| self.step(event)).collect();
            steps.sort_unstable();
            if !self.plan.collapse_repeats {
                return steps;
            }
            let mut collapsed: Vec<Step> = Vec::new();
            for step in steps {
                match collapsed.last_mut() {
                    Some(last) if last.1 == step.1 => last.2 &= step.2,
                    _ => collapsed.push(step),
                }
            }
            collapsed
        };
        by_id.into_values().chain(cut).map(steps).collect()
    }

    /// All paths of all persons.
    fn taken(&self) -> Vec<Taken<'w>> {
        let steps = self.plan.steps;
        let persons: BTreeSet<&str> = self.world.iter().filter_map(PlainEvent::person).collect();
        let mut taken = Vec::new();
        for person in persons {
            for sequence in self.sequences(person) {
                let names: Vec<usize> = sequence.iter().map(|step| step.1).collect();
                let anchors: Vec<usize> = (0..sequence.len()).filter(|&at| !sequence[at].2).collect();
                let chosen = match self.plan.anchor.as_ref().map(|anchor| anchor.occurrence) {
                    None => (0..sequence.len().min(1)).collect(),
                    Some(Occurrence::First) => anchors.into_iter().take(1).collect(),
                    Some(Occurrence::Last) => anchors.into_iter().rev().take(1).collect(),
                    Some(Occurrence::Every) => anchors,
                };
                for at in chosen {
                    let (path, first, whole) = match self.plan.anchor.as_ref().map(|anchor| anchor.side) {
                        None => (names.iter().take(steps).copied().collect::<Vec<_>>(), 1, steps),
                        Some(PathSide::Start) => (names[at..].iter().take(steps + 1).copied().collect(), 0, steps + 1),
                        Some(PathSide::End) => {
                            let before = at.min(steps);
                            (names[at - before..=at].to_vec(), -(before as i32), steps + 1)
                        }
                    };
                    if path.len() == whole || !self.plan.full_length_only {
                        taken.push((person, path, first));
                    }
                }
            }
        }
        taken
    }

    fn values(&self, path: &[usize]) -> Vec<Value> {
        path.iter().map(|&name| self.names[name].clone()).collect()
    }

    fn table(&self) -> PathsTable {
        let taken = self.taken();
        let count = |is: &dyn Fn(&Taken<'_>) -> bool| {
            let found: Vec<_> = taken.iter().filter(|one| is(one)).collect();
            let users: BTreeSet<&str> = found.iter().map(|one| one.0).collect();
            PathCount { sequences: found.len() as u64, users: users.len() as u64 }
        };
        let mut paths: Vec<Vec<usize>> = taken.iter().map(|one| one.1.clone()).collect();
        paths.sort();
        paths.dedup();
        let distinct_paths = paths.len() as u64;
        paths.sort_by_key(|path| std::cmp::Reverse(count(&|one| one.1 == *path).sequences));
        let rest = paths.split_off(paths.len().min(self.plan.keep));
        let places: BTreeSet<i32> = taken.iter().flat_map(|(_, path, first)| (0..path.len()).map(move |at| first + at as i32)).collect();
        let reaches = |one: &Taken<'_>, place: i32| (one.2..one.2 + one.1.len() as i32).contains(&place);
        let mut edges = Vec::new();
        for &place in &places {
            let names_at = |one: &Taken<'_>| {
                let at = (place - one.2) as usize;
                (reaches(one, place) && reaches(one, place + 1)).then(|| (one.1[at], one.1[at + 1]))
            };
            let mut all: Vec<(usize, usize)> = taken.iter().filter_map(names_at).collect();
            all.sort_unstable();
            all.dedup();
            all.sort_by_key(|edge| std::cmp::Reverse(count(&|one| names_at(one) == Some(*edge)).sequences));
            let rest = all.split_off(all.len().min(self.plan.keep));
            for edge in all {
                let count = count(&|one| names_at(one) == Some(edge));
                edges.push(PathEdge { from_place: place, from: self.names[edge.0].clone(), to: self.names[edge.1].clone(), count });
            }
            let count = count(&|one| names_at(one).is_some_and(|edge| rest.contains(&edge)));
            if !rest.is_empty() {
                edges.push(PathEdge { from_place: place, from: Value::Other, to: Value::Other, count });
            }
        }
        PathsTable {
            paths: paths.iter().map(|path| PathRow { names: self.values(path), count: count(&|one| one.1 == *path) }).collect(),
            other: (!rest.is_empty()).then(|| count(&|one| rest.contains(&one.1))),
            places: places.into_iter().map(|place| (place, count(&|one| reaches(one, place)))).collect(),
            edges,
            total: count(&|_| true),
            distinct_paths,
            ..PathsTable::default()
        }
    }
}

fn any_anchor() -> impl Strategy<Value = PathAnchor> {
    let side = prop::sample::select(vec![PathSide::Start, PathSide::End]);
    let occurrence = prop::sample::select(vec![Occurrence::First, Occurrence::Last, Occurrence::Every]);
    (side, any_selections(), occurrence).prop_map(|(side, any_of, occurrence)| PathAnchor { side, any_of, occurrence })
}

fn any_bound() -> impl Strategy<Value = PathBound> {
    let minutes = || (0i64..7).prop_map(|tens| tens * 10 * MINUTE_MS);
    prop_oneof![
        2 => (minutes(), prop::option::weighted(0.2, minutes())).prop_map(|(idle_ms, max_ms)| PathBound::Session(SessionRule { idle_ms, max_ms })),
        1 => prop::option::of(minutes()).prop_map(PathBound::Gap),
    ]
}

fn any_plan() -> impl Strategy<Value = PathsPlan> {
    let step_by = prop_oneof![2 => Just(Field::Event), 1 => any_field()];
    let filter = prop_oneof![3 => Just(Filter::all()), 1 => any_filter()];
    let exclude = prop_oneof![2 => Just(Vec::new()), 1 => any_selections()];
    let flags = (1usize..5, any::<bool>(), prop::bool::weighted(0.3), 1usize..6);
    (any_scan(), filter, exclude, step_by, prop::option::weighted(0.7, any_anchor()), any_bound(), flags).prop_map(
        |(mut scan, filter, exclude, step_by, anchor, bound, (steps, collapse_repeats, full_length_only, keep))| {
            scan.filter = filter;
            PathsPlan { scan, exclude, step_by, anchor, bound, steps, collapse_repeats, full_length_only, keep }
        },
    )
}

/// Gives how many different paths there were.
fn check(
    world: &[PlainEvent],
    mut plan: PathsPlan,
    (from, to): (i64, i64),
    forms: &[PartForm],
    keeping: Keeping,
) -> Result<u64, TestCaseError> {
    plan.scan.from_ms = BASE_MS + from * 10 * MINUTE_MS;
    plan.scan.to_ms = plan.scan.from_ms + to * 10 * MINUTE_MS;
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(world, forms, folder.path());
    let query = Query { snapshot: &snapshot, context: &context(), threads: 2, decoded: &cache(keeping) };
    let expected = Oracle::new(world, &plan).table();
    for round in ["decoded", "kept"] {
        same(&paths(&query, &plan).unwrap(), &expected, round)?;
    }
    Ok(expected.distinct_paths)
}

fn same(table: &PathsTable, expected: &PathsTable, round: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(&table.paths, &expected.paths, "{}", round);
    prop_assert_eq!(&table.other, &expected.other, "{}", round);
    prop_assert_eq!(&table.places, &expected.places, "{}", round);
    prop_assert_eq!(&table.edges, &expected.edges, "{}", round);
    prop_assert_eq!((table.total, table.distinct_paths), (expected.total, expected.distinct_paths), "{}", round);
    Ok(())
}

#[test]
fn every_option_agrees_with_nested_loops() {
    const WORLDS: u32 = 10_000;
    let worlds = (any_world(any_dense_event(), 0..28), any_plan(), (0i64..4, 1i64..14), any_forms(), any_keeping());
    let telling = Cell::new(0);
    let run = TestRunner::new(ProptestConfig::with_cases(WORLDS)).run(&worlds, |(world, plan, range, forms, keeping)| {
        let paths = check(&world, plan, range, &forms, keeping)?;
        telling.set(telling.get() + u32::from(paths > 1));
        Ok(())
    });
    run.unwrap();
    assert!(telling.get() > WORLDS / 5, "only {} of {WORLDS} worlds had several paths", telling.get());
}

fn crowd_plan() -> PathsPlan {
    PathsPlan {
        scan: everything(),
        exclude: Vec::new(),
        step_by: Field::Event,
        anchor: Some(PathAnchor {
            side: PathSide::Start,
            any_of: vec![(Some(vec!["a".into()]), Filter::all())],
            occurrence: Occurrence::Every,
        }),
        bound: PathBound::Session(SessionRule { idle_ms: 30 * MINUTE_MS, max_ms: None }),
        steps: 3,
        collapse_repeats: false,
        full_length_only: false,
        keep: 5,
    }
}

#[test]
fn what_does_not_fit_is_followed_in_slices_with_the_same_answer() {
    let (world, plan) = (crowd(), crowd_plan());
    let expected = Oracle::new(&world, &plan).table();
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(&world, &[PartForm { segment: false, crowded: false, haunted: false }; 2], folder.path());
    for keeping in [Keeping::Everything, Keeping::FewPersons] {
        let decoded = cache(keeping);
        let (mut sliced, mut refused) = (0, 0);
        for limit_bytes in [40_000, 200_000, 350_000, 500_000, 700_000, 1_000_000, 64 << 20] {
            let context = QueryContext { memory: MemoryBudget::new(limit_bytes), ..context() };
            let query = Query { snapshot: &snapshot, context: &context, threads: 2, decoded: &decoded };
            match paths(&query, &plan) {
                Ok(table) => {
                    same(&table, &expected, &format!("{limit_bytes} bytes")).unwrap();
                    let rows: u64 = table.stats.work.tables.iter().map(|read| read.rows).sum();
                    sliced += u64::from(rows > 12_000);
                    assert_eq!(table.stats.scanned_events, 12_000);
                    assert!(limit_bytes < 64 << 20 || rows == 12_000, "{rows}");
                }
                Err(error) => {
                    assert_eq!(error, QueryError::Memory { limit_bytes });
                    refused += 1;
                }
            }
            assert_eq!(held(&context.memory), 0, "a query gives its memory back");
        }
        assert!(sliced > 0 && refused > 0, "{keeping:?}: {sliced} in slices, {refused} refused");
    }
}

#[test]
fn a_query_that_must_stop_stops() {
    let (world, plan) = (crowd(), crowd_plan());
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(&world, &[PartForm { segment: false, crowded: false, haunted: false }], folder.path());
    let context = context();
    context.cancel.cancel();
    let query = Query { snapshot: &snapshot, context: &context, threads: 2, decoded: &cache(Keeping::Everything) };
    assert_eq!(paths(&query, &plan).map(drop), Err(QueryError::Cancelled));
}

#[test]
fn plans_that_cannot_be_are_refused() {
    let snapshot = crate::snapshot::Snapshot::default();
    let query = Query { snapshot: &snapshot, context: &context(), threads: 2, decoded: &cache(Keeping::Nothing) };
    let plan = crowd_plan();
    assert_eq!(paths(&query, &plan).unwrap().total, PathCount::default());
    let no_anchor = PathAnchor { any_of: Vec::new(), ..plan.anchor.clone().unwrap() };
    let refused = [
        (PathsPlan { steps: 0, ..plan.clone() }, "steps"),
        (PathsPlan { steps: 11, ..plan.clone() }, "steps"),
        (PathsPlan { bound: PathBound::Gap(Some(-5)), ..plan.clone() }, "gap"),
        (PathsPlan { anchor: Some(no_anchor), ..plan }, "start"),
    ];
    for (plan, place) in refused {
        let Err(QueryError::Invalid { field, .. }) = paths(&query, &plan) else { panic!("{plan:?} was answered") };
        assert_eq!(field, place);
    }
}
