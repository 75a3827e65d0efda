//! Aggregates against nested loops.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use event::{PersonHash, UniqueSketch};
use event_store::{AggregatePlan, AggregateRow, Buckets, Fold, Measure, MeasureFn, Measured, Scan, SessionRule, Value};
use proptest::prelude::*;

use super::filter_oracle::{any_field, any_filter, field_value, group_value, holds, quarters, selected};
use super::world::{
    BASE_MS, Keeping, MINUTE_MS, PartForm, PlainEvent, any_event, any_forms, any_keeping, any_names, any_world, app, cache, context,
    snapshot,
};
use crate::exec::value::{OwnedScalar, compare_groups};
use crate::exec::{Query, aggregate};

const DAY_MS: i64 = 86_400_000;

/// Events with their group and bucket.
type Placed<'w> = Vec<(Vec<Value>, u32, &'w PlainEvent)>;

struct Oracle<'w> {
    world: &'w [PlainEvent],
    plan: &'w AggregatePlan,
}

impl Oracle<'_> {
    fn bucket(&self, time_ms: i64) -> u32 {
        self.plan.buckets.as_ref().map_or(0, |buckets| buckets.starts.iter().filter(|&&start| start <= time_ms).count() as u32 - 1)
    }

    fn group(&self, event: &PlainEvent) -> Vec<Value> {
        self.plan.group_by.iter().map(|field| group_value(&field_value(self.world, event, field))).collect()
    }

    fn matching(&self) -> Placed<'_> {
        let scan = &self.plan.scan;
        let in_range = |event: &&PlainEvent| event.time_ms >= scan.from_ms && event.time_ms < scan.to_ms;
        let matches = |event: &&PlainEvent| selected(self.world, event, scan.events.as_deref(), &scan.filter);
        let found = self.world.iter().filter(in_range).filter(matches);
        found.map(|event| (self.group(event), self.bucket(event.time_ms), event)).collect()
    }

    /// The beginning of each session with a match, in its group and bucket.
    fn sessions(&self, measure: &Measure, rule: SessionRule) -> Vec<(Vec<Value>, u32)> {
        let scan = &self.plan.scan;
        let look_back = DAY_MS.max(rule.idle_ms).max(rule.max_ms.unwrap_or(0));
        let seen = self.world.iter().filter(|e| e.time_ms >= scan.from_ms - look_back && e.time_ms < scan.to_ms && e.person().is_some());
        let mut by_person: BTreeMap<&str, Vec<&PlainEvent>> = BTreeMap::new();
        seen.for_each(|event| by_person.entry(event.person().unwrap()).or_default().push(event));
        let mut sessions: Vec<Vec<&PlainEvent>> = Vec::new();
        for events in by_person.values_mut() {
            events.sort_by_key(|event| event.time_ms);
            let mut by_id: BTreeMap<&str, Vec<&PlainEvent>> = BTreeMap::new();
            let mut open: Vec<&PlainEvent> = Vec::new();
            for event in events.iter() {
                if let Some(id) = &event.session_id {
                    by_id.entry(id).or_default().push(event);
                    continue;
                }
                let cut = open.last().is_some_and(|last| event.time_ms - last.time_ms > rule.idle_ms)
                    || open.first().is_some_and(|first| rule.max_ms.is_some_and(|max_ms| event.time_ms - first.time_ms > max_ms));
                if cut {
                    sessions.push(std::mem::take(&mut open));
                }
                open.push(event);
            }
            sessions.extend(by_id.into_values());
            sessions.push(open);
        }
        let begun = sessions.into_iter().filter(|events| events.first().is_some_and(|first| first.time_ms >= scan.from_ms));
        let counted = begun.filter_map(|events| {
            let matches = |event: &&PlainEvent| {
                selected(self.world, event, scan.events.as_deref(), &scan.filter)
                    && selected(self.world, event, measure.events.as_deref(), &measure.filter)
            };
            let matching: Vec<&PlainEvent> = events.iter().copied().filter(matches).collect();
            let first_ms = matching.first()?.time_ms;
            let groups = matching.iter().filter(|e| e.time_ms == first_ms).map(|e| self.group(e));
            Some((groups.min_by(|a, b| compare_groups(a, b))?, self.bucket(events[0].time_ms)))
        });
        counted.collect()
    }

    /// Whether the value of a bucket is of the events in another.
    fn reaches(measure: &Measure, bucket: u32, other: u32) -> bool {
        measure.since.as_ref().map_or(bucket, |since| since[bucket as usize]) <= other && other <= bucket
    }

    fn measure(&self, measure: &Measure, events: &[&PlainEvent], sessions: u64) -> Measured {
        let own: Vec<&PlainEvent> =
            events.iter().copied().filter(|e| selected(self.world, e, measure.events.as_deref(), &measure.filter)).collect();
        let persons: BTreeSet<&str> = own.iter().filter_map(|e| e.person()).collect();
        let of_persons = |need_person: bool, field| -> Vec<i128> {
            let counted = own.iter().filter(|e| !need_person || e.person().is_some());
            counted.filter_map(|e| quarters(&field_value(self.world, e, field))).collect()
        };
        let ratio = |sum: i128, count: usize| Measured::Number((count > 0).then(|| sum as f64 / 4.0 / count as f64));
        let number = |quarters: Option<i128>| match quarters {
            Some(n) if n % 4 == 0 && (n / 4).abs() >= 1 << 53 => Measured::Integer(n / 4),
            other => Measured::Number(other.map(|n| n as f64 / 4.0)),
        };
        match &measure.function {
            MeasureFn::Events => Measured::Count(own.len() as u64),
            MeasureFn::UniqueUsers => Measured::Count(persons.len() as u64),
            MeasureFn::UniqueUsersApprox => {
                let mut sketch = UniqueSketch::default();
                persons.iter().for_each(|id| sketch.insert(event::person_hash(Some(id), None).unwrap_or(PersonHash(0))));
                Measured::Count(sketch.estimate().round() as u64)
            }
            MeasureFn::Sessions(_) => Measured::Count(sessions),
            MeasureFn::Sum(field) => {
                let values = of_persons(false, field);
                number((!values.is_empty()).then(|| values.iter().sum()))
            }
            MeasureFn::Avg(field) => {
                let values = of_persons(false, field);
                ratio(values.iter().sum(), values.len())
            }
            MeasureFn::Min(field) => number(of_persons(false, field).into_iter().min()),
            MeasureFn::Max(field) => number(of_persons(false, field).into_iter().max()),
            MeasureFn::Quantile(field, q) => {
                let mut values = of_persons(false, field);
                values.sort_unstable();
                let Some(last) = values.len().checked_sub(1) else { return Measured::Number(None) };
                let position = q * last as f64;
                let (low, high) = (values[position as usize] as f64 / 4.0, values[position.ceil() as usize] as f64 / 4.0);
                Measured::Number(Some(low + (high - low) * position.fract()))
            }
            MeasureFn::CountDistinct(field) => {
                let values = own.iter().map(|e| group_value(&field_value(self.world, e, field)));
                Measured::Count(
                    values.filter(|value| *value != Value::Null).map(|value| format!("{value:?}")).collect::<BTreeSet<_>>().len() as u64,
                )
            }
            MeasureFn::EventsPerUser => {
                let of_persons = own.iter().filter(|e| e.person().is_some()).count();
                Measured::Number((!persons.is_empty()).then(|| of_persons as f64 / persons.len() as f64))
            }
            MeasureFn::AvgPerUser(field) => {
                let with_number = own.iter().filter(|e| quarters(&field_value(self.world, e, field)).is_some());
                let persons: BTreeSet<&str> = with_number.filter_map(|e| e.person()).collect();
                ratio(of_persons(true, field).iter().sum(), persons.len())
            }
        }
    }

    /// Makes one group of those beyond the first.
    fn fold(&self, placed: &mut Placed<'_>, sessions: &mut [Vec<(Vec<Value>, u32)>], ranks: &mut Vec<Vec<Value>>) {
        let keep = self.plan.fold.keep;
        if self.plan.group_by.is_empty() || ranks.len() <= keep {
            return;
        }
        let other = vec![Value::Other; self.plan.group_by.len()];
        ranks.truncate(keep);
        let fold = |group: &mut Vec<Value>| {
            if !ranks.contains(group) {
                group.clone_from(&other);
            }
        };
        placed.iter_mut().for_each(|(group, ..)| fold(group));
        sessions.iter_mut().flatten().for_each(|(group, _)| fold(group));
        ranks.push(other);
    }

    fn answer(&self) -> (Vec<AggregateRow>, Vec<AggregateRow>) {
        let mut placed = self.matching();
        let sessions: Vec<Vec<(Vec<Value>, u32)>> = self
            .plan
            .measures
            .iter()
            .map(|measure| match measure.function {
                MeasureFn::Sessions(rule) => self.sessions(measure, rule),
                _ => Vec::new(),
            })
            .collect();
        let mut groups: Vec<Vec<Value>> = placed.iter().map(|(group, ..)| group.clone()).collect();
        groups.sort_by(|a, b| compare_groups(a, b));
        groups.dedup();
        let measures =
            |placed: &Placed<'_>, sessions: &[Vec<(Vec<Value>, u32)>], chosen: &dyn Fn(&[Value], u32) -> bool| -> Vec<Measured> {
                let events: Vec<&PlainEvent> =
                    placed.iter().filter(|(group, bucket, _)| chosen(group, *bucket)).map(|(.., event)| *event).collect();
                let count = |begun: &Vec<(Vec<Value>, u32)>| begun.iter().filter(|(group, bucket)| chosen(group, *bucket)).count() as u64;
                self.plan.measures.iter().zip(sessions).map(|(measure, begun)| self.measure(measure, &events, count(begun))).collect()
            };
        let Fold { by_measure, descending, .. } = self.plan.fold;
        let total = |group: &Vec<Value>| measures(&placed, &sessions, &|of, _| of == group)[by_measure];
        let mut ranked: Vec<(Measured, Vec<Value>)> = groups.iter().map(|group| (total(group), group.clone())).collect();
        ranked.sort_by(|(a, a_group), (b, b_group)| {
            let order = match (number(a), number(b)) {
                (Some(_), Some(_)) if descending => exact_order(b, a),
                (Some(_), Some(_)) => exact_order(a, b),
                (a, b) => a.is_none().cmp(&b.is_none()),
            };
            order.then_with(|| compare_groups(a_group, b_group))
        });
        let mut ranks: Vec<Vec<Value>> = ranked.into_iter().map(|(_, group)| group).collect();
        let mut sessions = sessions;
        self.fold(&mut placed, &mut sessions, &mut ranks);
        let reaches_back = self.plan.measures.iter().any(|measure| measure.since.is_some());
        let mut rows = Vec::new();
        for bucket in 0..self.plan.buckets.as_ref().map_or(1, |buckets| buckets.starts.len() as u32) {
            for group in &ranks {
                let chosen = |of: &[Value], in_bucket: u32| of == &group[..] && in_bucket == bucket;
                let is_seen = reaches_back
                    || placed.iter().any(|(of, b, _)| chosen(of, *b))
                    || sessions.iter().flatten().any(|(of, b)| chosen(of, *b));
                if is_seen {
                    let of_measure = |(place, measure): (usize, &Measure)| {
                        measures(&placed, &sessions, &|of, other| of == &group[..] && Self::reaches(measure, bucket, other))[place]
                    };
                    rows.push(AggregateRow {
                        bucket,
                        group: group.clone(),
                        measures: self.plan.measures.iter().enumerate().map(of_measure).collect(),
                    });
                }
            }
        }
        let totals = ranks.iter().map(|group| AggregateRow {
            bucket: 0,
            group: group.clone(),
            measures: measures(&placed, &sessions, &|of, _| of == &group[..]),
        });
        (rows, totals.collect())
    }
}

/// Floats that are equal may stand for integers that are not.
fn exact_order(a: &Measured, b: &Measured) -> Ordering {
    let whole = |measured: &Measured| match measured {
        Measured::Integer(integer) => *integer,
        other => number(other).unwrap() as i128,
    };
    number(a).partial_cmp(&number(b)).unwrap().then(whole(a).cmp(&whole(b)))
}

fn number(measured: &Measured) -> Option<f64> {
    match measured {
        Measured::Count(count) => Some(*count as f64),
        Measured::Number(number) => *number,
        Measured::Integer(integer) => Some(*integer as f64),
    }
}

fn same(a: &[AggregateRow], b: &[AggregateRow]) -> bool {
    let close = |a: &Measured, b: &Measured| match (a, b, number(a), number(b)) {
        (Measured::Integer(a), Measured::Integer(b), ..) => a == b,
        (_, _, Some(a), Some(b)) => (a - b).abs() <= 1e-12 * a.abs().max(1.0),
        (_, _, a, b) => a.is_none() && b.is_none(),
    };
    let same_row = |a: &AggregateRow, b: &AggregateRow| {
        a.bucket == b.bucket && a.group == b.group && a.measures.iter().zip(&b.measures).all(|(a, b)| close(a, b))
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_row(a, b))
}

pub(super) fn check(world: &[PlainEvent], plan: &AggregatePlan, forms: &[PartForm], keeping: Keeping) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(world, forms, folder.path());
    let query = Query { snapshot: &snapshot, context: &context(), threads: 2, decoded: &cache(keeping) };
    let (rows, totals) = Oracle { world, plan }.answer();
    for round in ["decoded", "kept"] {
        let table = aggregate(&query, plan).unwrap();
        prop_assert_eq!(&table.stats.missing, &Vec::<String>::new());
        prop_assert!(same(&table.totals, &totals), "{}: totals\n{:#?}\nexpected\n{:#?}", round, table.totals, totals);
        prop_assert!(same(&table.rows, &rows), "{}: rows\n{:#?}\nexpected\n{:#?}", round, table.rows, rows);
    }
    Ok(())
}

fn any_measure() -> impl Strategy<Value = Measure> {
    let rule = (0i64..4, prop::option::of(0i64..8))
        .prop_map(|(idle, max)| SessionRule { idle_ms: idle * 10 * MINUTE_MS, max_ms: max.map(|max| max * 10 * MINUTE_MS) });
    let quantile = prop::sample::select(vec![0.0, 0.5, 0.9, 1.0]);
    let function = prop_oneof![
        Just(MeasureFn::Events),
        Just(MeasureFn::UniqueUsers),
        Just(MeasureFn::UniqueUsersApprox),
        Just(MeasureFn::EventsPerUser),
        rule.prop_map(MeasureFn::Sessions),
        any_field().prop_map(MeasureFn::Sum),
        any_field().prop_map(MeasureFn::Avg),
        any_field().prop_map(MeasureFn::Min),
        any_field().prop_map(MeasureFn::Max),
        (any_field(), quantile).prop_map(|(field, q)| MeasureFn::Quantile(field, q)),
        any_field().prop_map(MeasureFn::CountDistinct),
        any_field().prop_map(MeasureFn::AvgPerUser),
    ];
    let filter = prop_oneof![2 => Just(event_store::Filter::all()), 1 => any_filter()];
    (function, any_names(), filter).prop_map(|(function, events, filter)| Measure { function, events, filter, since: None })
}

pub(super) fn any_scan() -> impl Strategy<Value = Scan> {
    (0i64..200, 1i64..320, any_names(), any_filter()).prop_map(|(from, length, events, filter)| Scan {
        app: app(),
        from_ms: BASE_MS + from * 10 * MINUTE_MS,
        to_ms: BASE_MS + (from + length) * 10 * MINUTE_MS,
        events,
        filter,
    })
}

/// Plans of whose measures so many reach back.
fn any_plan(reaching: f64) -> impl Strategy<Value = AggregatePlan> {
    let measures = prop::collection::vec(any_measure(), 1..4);
    let fold = (0usize..5, any::<prop::sample::Index>(), any::<bool>());
    let group_by = prop::collection::vec(any_field(), 0..4);
    let steps = prop::option::weighted(reaching, prop::collection::vec(prop::sample::select(vec![0u32, 0, 1, 1, 2, 7]), 8));
    let reaches = prop::collection::vec(steps, 4);
    let fold = (fold, reaches);
    let widths = prop::collection::vec(1i64..60, 0..6);
    (any_scan(), prop::option::weighted(0.5f64.max(reaching), (0i64..3, widths)), group_by, measures, fold).prop_map(
        |(scan, buckets, group_by, measures, ((keep, by_measure, descending), reaches))| {
            let buckets = buckets.map(|(before, widths)| {
                let mut starts = vec![scan.from_ms - before * 10 * MINUTE_MS];
                for width in widths {
                    let next = starts[starts.len() - 1].max(scan.from_ms) + width * 10 * MINUTE_MS;
                    if next < scan.to_ms {
                        starts.push(next);
                    }
                }
                Buckets { starts }
            });
            let fold = Fold { keep, by_measure: by_measure.index(measures.len()), descending };
            let buckets_count = buckets.as_ref().map_or(0, |buckets: &Buckets| buckets.starts.len());
            let mut measures: Vec<Measure> = measures;
            for (measure, steps) in measures.iter_mut().zip(reaches) {
                let since = steps.map(|steps| {
                    let sums = steps.into_iter().scan(0u32, |since, step| {
                        *since += step;
                        Some(*since)
                    });
                    sums.zip(0..buckets_count as u32).map(|(since, own)| since.min(own)).collect()
                });
                measure.since = since.filter(|_| buckets_count > 0);
            }
            AggregatePlan { scan, buckets, group_by, measures, fold }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn agrees_with_nested_loops(world in any_world(any_event(), 0..50), plan in any_plan(0.1), forms in any_forms(), keeping in any_keeping()) {
        check(&world, &plan, &forms, keeping)?;
    }

    #[test]
    fn filters_agree_with_the_book(world in any_world(any_event(), 0..30), filter in any_filter(), forms in any_forms(), keeping in any_keeping()) {
        let expected = world.iter().filter(|event| holds(&world, event, &filter)).count() as u64;
        let folder = tempfile::tempdir().unwrap();
        let snapshot = snapshot(&world, &forms, folder.path());
        let plan = AggregatePlan {
            scan: Scan { app: app(), from_ms: 0, to_ms: i64::MAX, events: None, filter },
            buckets: None,
            group_by: Vec::new(),
            measures: vec![Measure::of(MeasureFn::Events)],
            fold: Fold { keep: 25, by_measure: 0, descending: true },
        };
        let query = Query { snapshot: &snapshot, context: &context(), threads: 2, decoded: &cache(keeping) };
        let table = aggregate(&query, &plan).unwrap();
        prop_assert_eq!(table.totals.first().map_or(Measured::Count(0), |row| row.measures[0]), Measured::Count(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn values_that_reach_back_agree_with_nested_loops(
        world in any_world(any_event(), 0..30), plan in any_plan(0.8), forms in any_forms(), keeping in any_keeping(),
    ) {
        check(&world, &plan, &forms, keeping)?;
    }
}

#[test]
fn an_unordered_total_never_loses_a_group() {
    let order = |a: &[Value], b: &[Value]| compare_groups(a, b);
    assert_eq!(order(&[Value::Null], &[Value::Bool(false)]), Ordering::Less);
    assert_eq!(order(&[Value::Float(1.5)], &[Value::Int(1)]), Ordering::Greater);
    assert_eq!(order(&[Value::Int(9)], &[Value::Str("".into())]), Ordering::Less);
    assert_eq!(order(&[Value::Str("z".into())], &[Value::Other]), Ordering::Less);
    assert_eq!(group_value(&OwnedScalar::Float(3.0)), Value::Int(3));
}
