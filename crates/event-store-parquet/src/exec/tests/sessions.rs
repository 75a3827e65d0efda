//! Sessions over stored parts against nested loops over plain events.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use event_store::{
    BounceRule, Buckets, Field, Filter, MAX_LENGTH_BINS, MemoryBudget, PageRow, PageRule, QueryContext, QueryError, Selection,
    SessionFigures, SessionRule, SessionsPlan, SessionsRow, SessionsTable, Value,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::filter_oracle::{any_field, any_filter, field_value, group_value, selected};
use super::funnel::any_selections;
use super::limits::{everything, held};
use super::world::{
    BASE_MS, Keeping, MINUTE_MS, PartForm, PlainEvent, any_event, any_forms, any_keeping, any_names, any_world, app, cache, context, crowd,
    snapshot,
};
use crate::exec::value::{compare_groups, compare_values};
use crate::exec::{Query, sessions};

const STEP_MS: i64 = 10 * MINUTE_MS;
const DAY_MS: i64 = 144 * STEP_MS;

/// A session that counts.
struct Counted<'w> {
    person: &'w str,
    group: Vec<Value>,
    bucket: u32,
    length_ms: i64,
    events: u64,
    pages: u64,
    bounces: bool,
    entry: Option<Value>,
    exit: Option<Value>,
}

struct Oracle<'w> {
    world: &'w [PlainEvent],
    plan: &'w SessionsPlan,
}

impl<'w> Oracle<'w> {
    fn any_of(&self, event: &PlainEvent, any_of: &[Selection]) -> bool {
        any_of.is_empty() || any_of.iter().any(|(names, filter)| selected(self.world, event, names.as_deref(), filter))
    }

    /// The events of every session of a person, in order of time.
    fn sessions(&self, person: &str) -> Vec<Vec<&'w PlainEvent>> {
        let SessionsPlan { scan, rule, .. } = self.plan;
        let around_ms = DAY_MS.max(rule.idle_ms).max(rule.max_ms.unwrap_or(0));
        let is_seen = |event: &&PlainEvent| (scan.from_ms - around_ms..scan.to_ms + around_ms).contains(&event.time_ms);
        let mut events: Vec<&PlainEvent> = self.world.iter().filter(|event| event.person() == Some(person)).filter(is_seen).collect();
        events.sort_by_key(|event| event.time_ms);
        let mut by_id: BTreeMap<&str, Vec<&PlainEvent>> = BTreeMap::new();
        let mut cut: Vec<Vec<&PlainEvent>> = Vec::new();
        for event in events {
            match (&event.session_id, cut.last_mut()) {
                (Some(id), _) => by_id.entry(id).or_default().push(event),
                (None, Some(open))
                    if event.time_ms - open[open.len() - 1].time_ms <= rule.idle_ms
                        && rule.max_ms.is_none_or(|max_ms| event.time_ms - open[0].time_ms <= max_ms) =>
                {
                    open.push(event);
                }
                _ => cut.push(vec![event]),
            }
        }
        by_id.into_values().chain(cut).collect()
    }

    fn page(&self, event: &PlainEvent) -> Option<Value> {
        let pages = self.plan.pages.as_ref()?;
        let value = group_value(&field_value(self.world, event, &pages.property));
        (value != Value::Null && self.any_of(event, &pages.any_of)).then_some(value)
    }

    fn counted(&self, person: &'w str, events: &[&PlainEvent]) -> Option<Counted<'w>> {
        let SessionsPlan { scan, bounce, .. } = self.plan;
        let (start_ms, length_ms) = (events[0].time_ms, events[events.len() - 1].time_ms - events[0].time_ms);
        let matches = |event: &&&PlainEvent| {
            (scan.from_ms..scan.to_ms).contains(&event.time_ms) && selected(self.world, event, scan.events.as_deref(), &scan.filter)
        };
        let first_ms = events.iter().find(matches)?.time_ms;
        let group =
            |event: &&PlainEvent| self.plan.group_by.iter().map(|field| group_value(&field_value(self.world, event, field))).collect();
        let groups = events.iter().filter(matches).filter(|event| event.time_ms == first_ms).map(group);
        let mut pages: Vec<(i64, Value)> = events.iter().filter_map(|event| Some((event.time_ms, self.page(event)?))).collect();
        pages.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| compare_values(&a.1, &b.1)));
        let counting = events.iter().filter(|event| self.any_of(event, &bounce.any_of)).count() as u64;
        let starts = self.plan.buckets.as_ref().map_or_else(|| vec![scan.from_ms], |buckets| buckets.starts.clone());
        (start_ms >= scan.from_ms).then(|| Counted {
            person,
            group: groups.min_by(|a: &Vec<Value>, b| compare_groups(a, b)).unwrap(),
            bucket: starts.iter().rposition(|&start| start <= start_ms).unwrap() as u32,
            length_ms,
            events: events.len() as u64,
            pages: pages.len() as u64,
            bounces: counting <= bounce.max_events && bounce.max_length_ms.is_none_or(|most_ms| length_ms <= most_ms),
            entry: pages.first().map(|(_, page)| page.clone()),
            exit: pages.last().map(|(_, page)| page.clone()),
        })
    }

    fn table(&self) -> SessionsTable {
        let persons: BTreeSet<&str> = self.world.iter().filter_map(PlainEvent::person).collect();
        let all: Vec<Counted<'_>> = persons
            .into_iter()
            .flat_map(|person| self.sessions(person).into_iter().filter_map(move |events| self.counted(person, &events)))
            .collect();
        let figures = |is: &dyn Fn(&Counted<'_>) -> bool| figures(&all.iter().filter(|session| is(session)).collect::<Vec<_>>());
        let mut groups: Vec<Vec<Value>> = all.iter().map(|session| session.group.clone()).collect();
        groups.sort_by(|a, b| compare_groups(a, b));
        groups.dedup();
        groups.sort_by_key(|group| std::cmp::Reverse(figures(&|session| session.group == *group).sessions));
        let keep = if self.plan.group_by.is_empty() { 1 } else { self.plan.fold_keep };
        let rest = groups.split_off(groups.len().min(keep));
        let mut ranked: Vec<(Vec<Value>, Vec<Vec<Value>>)> = groups.into_iter().map(|group| (group.clone(), vec![group])).collect();
        if !rest.is_empty() {
            ranked.push((vec![Value::Other; self.plan.group_by.len()], rest));
        }
        let buckets = self.plan.buckets.as_ref().map_or(1, |buckets| buckets.starts.len()) as u32;
        let mut rows = Vec::new();
        for bucket in 0..buckets {
            for (group, of) in &ranked {
                let figures = figures(&|session| session.bucket == bucket && of.contains(&session.group));
                rows.push(SessionsRow { bucket, group: group.clone(), figures });
            }
        }
        rows.retain(|row| row.figures.sessions > 0);
        let total = |(group, of): &(Vec<Value>, Vec<Vec<Value>>)| SessionsRow {
            bucket: 0,
            group: group.clone(),
            figures: figures(&|session| of.contains(&session.group)),
        };
        let bin = |at: usize| {
            let ends = &self.plan.bins;
            let (low, high) = (if at == 0 { i64::MIN } else { ends[at - 1] }, ends.get(at).copied().unwrap_or(i64::MAX));
            all.iter().filter(|session| (low..high).contains(&session.length_ms)).count() as u64
        };
        SessionsTable {
            rows,
            totals: ranked.iter().map(total).collect(),
            total: figures(&|_| true),
            with_page: all.iter().filter(|session| session.entry.is_some()).count() as u64,
            entry_pages: self.pages(all.iter().filter_map(|session| Some((session.entry.clone()?, session.bounces)))),
            exit_pages: self.pages(all.iter().filter_map(|session| Some((session.exit.clone()?, session.bounces)))),
            lengths: (0..=self.plan.bins.len()).map(bin).collect(),
            ..SessionsTable::default()
        }
    }

    fn pages(&self, taken: impl Iterator<Item = (Value, bool)>) -> Vec<PageRow> {
        let mut rows: Vec<PageRow> = Vec::new();
        for (page, bounces) in taken {
            let at = rows.iter().position(|row| row.page == page).unwrap_or_else(|| {
                rows.push(PageRow { page, sessions: 0, bounces: 0 });
                rows.len() - 1
            });
            rows[at].sessions += 1;
            rows[at].bounces += u64::from(bounces);
        }
        rows.sort_by(|a, b| b.sessions.cmp(&a.sessions).then_with(|| compare_values(&a.page, &b.page)));
        let rest = rows.split_off(rows.len().min(self.plan.pages.as_ref().map_or(0, |pages| pages.keep)));
        if !rest.is_empty() {
            let sum = |of: fn(&PageRow) -> u64| rest.iter().map(of).sum();
            rows.push(PageRow { page: Value::Other, sessions: sum(|row| row.sessions), bounces: sum(|row| row.bounces) });
        }
        rows
    }
}

fn figures(sessions: &[&Counted<'_>]) -> SessionFigures {
    let mut lengths: Vec<f64> = sessions.iter().map(|session| session.length_ms as f64).collect();
    lengths.sort_by(f64::total_cmp);
    let quantile = |q: f64| {
        let position = q * (lengths.len().checked_sub(1)?) as f64;
        let (low, high) = (lengths[position.floor() as usize], lengths[position.ceil() as usize]);
        Some(low + (high - low) * (position - position.floor()))
    };
    SessionFigures {
        sessions: sessions.len() as u64,
        users: sessions.iter().map(|session| session.person).collect::<BTreeSet<_>>().len() as u64,
        events: sessions.iter().map(|session| session.events).sum(),
        pages: sessions.iter().map(|session| session.pages).sum(),
        bounces: sessions.iter().filter(|session| session.bounces).count() as u64,
        length_sum_ms: sessions.iter().map(|session| session.length_ms as u128).sum(),
        median_length_ms: quantile(0.5),
        p90_length_ms: quantile(0.9),
    }
}

/// Most of few persons and close to one another, some a day later, where the sight of a range ends.
fn any_dense_world() -> impl Strategy<Value = Vec<PlainEvent>> {
    let step = prop_oneof![5 => 0i64..12, 1 => 138i64..162];
    let event = (any_event(), step).prop_map(|(event, step)| {
        let user_id = event.user_id.as_ref().map(|id| if id.as_str() < "u2" { "u0".to_owned() } else { "u1".to_owned() });
        PlainEvent { time_ms: BASE_MS + step * STEP_MS, user_id, ..event }
    });
    any_world(event, 0..24)
}

fn any_plan() -> impl Strategy<Value = SessionsPlan> {
    let filter = prop_oneof![3 => Just(Filter::all()), 1 => any_filter()];
    let names = prop_oneof![3 => Just(None), 1 => any_names()];
    let range = (prop_oneof![4 => 0i64..6, 1 => 140i64..150], 1i64..30);
    let rule = (0i64..7, prop::option::weighted(0.3, 0i64..9));
    let selections = || prop_oneof![1 => Just(Vec::new()), 1 => any_selections()];
    let bounce = (0u64..4, selections(), prop::option::weighted(0.3, 0i64..4));
    let pages = prop::option::weighted(0.7, (selections(), any_field(), 0usize..4));
    let groups = (prop::collection::vec(any_field(), 0..3), 0usize..4);
    let cuts = (prop::option::of(prop::collection::vec(1i64..8, 0..5)), prop::collection::btree_set(0i64..8, 0..4));
    ((filter, names, range), rule, bounce, pages, groups, cuts).prop_map(
        |((filter, events, (from, length)), (idle, max), (max_events, any_of, most), pages, (group_by, fold_keep), (widths, bins))| {
            let from_ms = BASE_MS + from * STEP_MS;
            let to_ms = from_ms + length * STEP_MS;
            let buckets = widths.map(|widths| {
                let starts = widths.iter().scan(from_ms, |start_ms, width| {
                    *start_ms += width * STEP_MS;
                    Some(*start_ms)
                });
                Buckets { starts: std::iter::once(from_ms).chain(starts.take_while(|&start_ms| start_ms < to_ms)).collect() }
            });
            SessionsPlan {
                scan: event_store::Scan { app: app(), from_ms, to_ms, events, filter },
                buckets,
                group_by,
                rule: SessionRule { idle_ms: idle * STEP_MS, max_ms: max.map(|max| max * STEP_MS) },
                bounce: BounceRule { max_events, any_of, max_length_ms: most.map(|most| most * STEP_MS) },
                pages: pages.map(|(any_of, property, keep)| PageRule { any_of, property, keep }),
                bins: bins.into_iter().map(|end| end * STEP_MS).collect(),
                fold_keep,
            }
        },
    )
}

fn same(table: &SessionsTable, expected: &SessionsTable, round: &str) -> Result<(), TestCaseError> {
    let rounded = |figures: &SessionFigures| SessionFigures {
        median_length_ms: figures.median_length_ms.map(f64::round),
        p90_length_ms: figures.p90_length_ms.map(f64::round),
        ..*figures
    };
    let rows = |rows: &[SessionsRow]| -> Vec<SessionsRow> {
        rows.iter().map(|row| SessionsRow { figures: rounded(&row.figures), ..row.clone() }).collect()
    };
    prop_assert_eq!(rows(&table.rows), rows(&expected.rows), "{}", round);
    prop_assert_eq!(rows(&table.totals), rows(&expected.totals), "{}", round);
    prop_assert_eq!(rounded(&table.total), rounded(&expected.total), "{}", round);
    prop_assert_eq!(&table.entry_pages, &expected.entry_pages, "{}", round);
    prop_assert_eq!(&table.exit_pages, &expected.exit_pages, "{}", round);
    prop_assert_eq!((table.with_page, &table.lengths), (expected.with_page, &expected.lengths), "{}", round);
    Ok(())
}

#[test]
fn every_option_agrees_with_nested_loops() {
    const WORLDS: u32 = 10_000;
    let telling = Cell::new(0);
    let worlds = (any_dense_world(), any_plan(), any_forms(), any_keeping());
    let run = TestRunner::new(ProptestConfig::with_cases(WORLDS)).run(&worlds, |(world, plan, forms, keeping)| {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = snapshot(&world, &forms, folder.path());
        let query = Query { snapshot: &snapshot, context: &context(), threads: 2, decoded: &cache(keeping) };
        let expected = Oracle { world: &world, plan: &plan }.table();
        for round in ["decoded", "kept"] {
            same(&sessions(&query, &plan).unwrap(), &expected, round)?;
        }
        telling.set(telling.get() + u32::from(expected.total.sessions > 1));
        Ok(())
    });
    run.unwrap();
    assert!(telling.get() > WORLDS / 3, "only {} of {WORLDS} worlds had several sessions", telling.get());
    println!("{WORLDS} worlds of sessions agree with nested loops, {} with several", telling.get());
}

fn crowd_plan() -> SessionsPlan {
    SessionsPlan {
        scan: everything(),
        buckets: None,
        group_by: vec![Field::Event],
        rule: SessionRule { idle_ms: 30 * MINUTE_MS, max_ms: None },
        bounce: BounceRule { max_events: 2, any_of: Vec::new(), max_length_ms: None },
        pages: Some(PageRule { any_of: Vec::new(), property: Field::Event, keep: 2 }),
        bins: vec![STEP_MS, 2 * STEP_MS],
        fold_keep: 2,
    }
}

#[test]
fn what_does_not_fit_is_followed_in_slices_with_the_same_answer() {
    let (world, mut plan) = (crowd(), crowd_plan());
    (plan.scan.from_ms, plan.scan.to_ms) = (BASE_MS, BASE_MS + DAY_MS);
    let expected = Oracle { world: &world, plan: &plan }.table();
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(&world, &[PartForm { segment: false, crowded: false, haunted: false }; 2], folder.path());
    for keeping in [Keeping::Everything, Keeping::FewPersons] {
        let decoded = cache(keeping);
        let (mut sliced, mut refused) = (0, 0);
        for limit_bytes in [40_000, 200_000, 350_000, 500_000, 700_000, 1_000_000, 64 << 20] {
            let context = QueryContext { memory: MemoryBudget::new(limit_bytes), ..context() };
            let query = Query { snapshot: &snapshot, context: &context, threads: 2, decoded: &decoded };
            match sessions(&query, &plan) {
                Ok(table) => {
                    same(&table, &expected, &format!("{limit_bytes} bytes")).unwrap();
                    let rows: u64 = table.stats.work.tables.iter().map(|read| read.rows).sum();
                    sliced += u64::from(rows > 12_000);
                    assert_eq!(table.stats.scanned_events, 12_000);
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
fn plans_that_cannot_be_are_refused() {
    let snapshot = crate::snapshot::Snapshot::default();
    let query = Query { snapshot: &snapshot, context: &context(), threads: 2, decoded: &cache(Keeping::Nothing) };
    let plan = crowd_plan();
    let nothing = sessions(&query, &plan).unwrap();
    assert_eq!((nothing.total, nothing.lengths), (SessionFigures::default(), vec![0; 3]));
    let refused = [
        (SessionsPlan { group_by: vec![Field::Event; 5], ..plan.clone() }, "group_by"),
        (SessionsPlan { rule: SessionRule { idle_ms: -1, max_ms: None }, ..plan.clone() }, "session"),
        (SessionsPlan { bins: vec![2, 2], ..plan.clone() }, "length_bins"),
        (SessionsPlan { bins: (0..=MAX_LENGTH_BINS as i64).collect(), ..plan.clone() }, "length_bins"),
        (SessionsPlan { buckets: Some(Buckets { starts: Vec::new() }), ..plan }, "interval"),
    ];
    for (plan, place) in refused {
        let Err(QueryError::Invalid { field, .. }) = sessions(&query, &plan) else { panic!("{plan:?} was answered") };
        assert_eq!(field, place);
    }
}
