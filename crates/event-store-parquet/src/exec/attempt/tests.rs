use event_store::{Attribution, FunnelMode};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::oracle::{counted, step_events};
use super::*;
use crate::exec::tests::world::context;

const MINUTE: i64 = 60_000;

fn rule(context: &QueryContext, steps: usize, window_ms: Option<i64>) -> Rule<'_> {
    Rule {
        mode: FunnelMode::Ordered,
        bits: (0..steps).collect(),
        required: steps,
        window_ms,
        from_ms: 0,
        to_ms: i64::MAX,
        first_entry_only: false,
        exclusions: Vec::new(),
        is_held: false,
        counts_attempts: false,
        attribution: None,
        period_starts: Vec::new(),
        context,
    }
}

fn event(time_ms: i64, mask: u64) -> StepEvent {
    StepEvent { time_ms, mask, ..StepEvent::default() }
}

fn reached(rule: &Rule<'_>, events: &[StepEvent]) -> usize {
    rule.shown(&step_events(events, rule.is_held)).unwrap().map_or(0, |attempt| attempt.times.len())
}

#[test]
fn the_worked_cases_of_the_semantics() {
    let context = context();
    let hour = |steps| rule(&context, steps, Some(60 * MINUTE));
    let events = [event(60 * MINUTE, 1), event(90 * MINUTE, 1), event(105 * MINUTE, 2), event(135 * MINUTE, 4)];
    let attempt = hour(3).shown(&events).unwrap().unwrap();
    assert_eq!(attempt.times, [90 * MINUTE, 105 * MINUTE, 135 * MINUTE]);
    assert_eq!(reached(&Rule { first_entry_only: true, ..hour(3) }, &events), 2);
    assert_eq!(reached(&hour(3), &[event(5, 2), event(5, 1)]), 2);
    assert_eq!(reached(&hour(2), &[event(5, 3)]), 1);
    assert_eq!(reached(&hour(2), &[event(5, 3), event(5, 3)]), 2);
    assert_eq!(reached(&hour(2), &[event(0, 1), event(60 * MINUTE, 2)]), 2);
    assert_eq!(reached(&hour(2), &[event(0, 1), event(60 * MINUTE + 1, 2)]), 1);
}

#[test]
fn an_excluded_event_voids_an_attempt_and_not_the_person() {
    let context = context();
    let excluded = 1 << EXCLUSION_SHIFT;
    let rule = Rule { exclusions: vec![(1, 2)], ..rule(&context, 2, Some(10)) };
    assert_eq!(reached(&rule, &[event(0, 1), event(1, excluded), event(2, 2)]), 0);
    assert_eq!(reached(&rule, &[event(0, 1), event(1, excluded)]), 0);
    assert_eq!(reached(&rule, &[event(0, 1), event(11, excluded)]), 1);
    assert_eq!(reached(&rule, &[event(0, 1), event(1, excluded), event(2, 1), event(3, 2)]), 2);
    assert_eq!(reached(&rule, &[event(0, 1), event(1, 2), event(1, excluded)]), 2);
    assert_eq!(reached(&rule, &[event(0, 1), event(0, excluded), event(1, 2), event(2, excluded)]), 2);
}

#[test]
fn strict_attempts_stand_together() {
    let context = context();
    let rule = Rule { mode: FunnelMode::Strict, ..rule(&context, 3, None) };
    assert_eq!(reached(&rule, &[event(0, 1), event(1, 2), event(2, 4)]), 3);
    assert_eq!(reached(&rule, &[event(0, 1), event(1, 2), event(2, 0), event(3, 4)]), 2);
    assert_eq!(reached(&rule, &[event(0, 1), event(1, 1), event(2, 2), event(3, 4)]), 3);
    assert_eq!(reached(&rule, &[event(0, 0), event(0, 1), event(1, 2), event(1, 0), event(2, 4)]), 2);
}

#[test]
fn a_huge_tie_and_a_long_life_are_walked_quickly() {
    let context = context();
    let ordered = rule(&context, 50, None);
    let events: Vec<StepEvent> = (0..200_000).map(|i| event(5, (1 << 50) - 1 - (i % 7))).collect();
    assert_eq!(ordered.shown(&events).unwrap().unwrap().level, 50);
    let events: Vec<StepEvent> = (0..200_000).map(|i| event(i, 1 << (i % 4))).collect();
    let unordered = Rule { mode: FunnelMode::Unordered, ..rule(&context, 5, Some(100_000)) };
    assert_eq!(unordered.shown(&events).unwrap().unwrap().level, 4);
    let totals = Rule { counts_attempts: true, ..rule(&context, 4, Some(100_000)) };
    let mut count = 0;
    totals
        .count(&events, &mut |_, attempt| {
            count += usize::from(attempt.level == 4);
            Ok(())
        })
        .unwrap();
    assert_eq!(count, 50_000);
}

/// A rule with any options that go together.
#[derive(Clone, Debug)]
struct Options {
    mode: FunnelMode,
    optional: Vec<bool>,
    window_ms: Option<i64>,
    range: (i64, i64),
    first_entry_only: bool,
    exclusions: Vec<(usize, usize)>,
    is_held: bool,
    counts_attempts: bool,
    attribution: Option<usize>,
    periods: Vec<i64>,
}

fn any_options() -> impl Strategy<Value = Options> {
    let mode = prop::sample::select(vec![FunnelMode::Ordered, FunnelMode::Ordered, FunnelMode::Strict, FunnelMode::Unordered]);
    let steps = (mode, prop::collection::vec(prop::bool::weighted(0.25), 1..5), prop::collection::vec((0usize..4, 0usize..4), 0..3));
    let range = (prop_oneof![Just(None), (0i64..8).prop_map(Some)], 0i64..4, 1i64..10);
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.3), prop::bool::weighted(0.3), prop::option::of(0usize..6));
    (steps, range, flags, prop::collection::vec(0i64..12, 0..3)).prop_map(
        |((mode, optional, exclusions), (window_ms, from_ms, length), (first_entry_only, is_held, counts, attribution), periods)| Options {
            mode,
            optional,
            window_ms,
            range: (from_ms, from_ms + length),
            first_entry_only,
            exclusions,
            is_held,
            counts_attempts: counts && !first_entry_only,
            attribution,
            periods,
        },
    )
}

impl Options {
    fn rule<'q>(&self, context: &'q QueryContext) -> Rule<'q> {
        let is_optional = |row: usize| row > 0 && self.mode == FunnelMode::Ordered && self.optional[row];
        let steps = self.optional.len();
        let required = (0..steps).filter(|&row| !is_optional(row)).count();
        let (mut next, mut spare) = (0..required, required..steps);
        let bits: Vec<usize> = (0..steps).filter_map(|row| if is_optional(row) { spare.next() } else { next.next() }).collect();
        let exclusions = match self.mode {
            FunnelMode::Strict => Vec::new(),
            FunnelMode::Unordered => self.exclusions.iter().filter(|_| required > 1).map(|_| (1, required)).collect(),
            FunnelMode::Ordered => {
                let place = |&(from, length): &(usize, usize)| (1 + from % required, 2 + from % required + length);
                self.exclusions.iter().map(place).filter(|&(_, to)| to <= required).collect()
            }
        };
        let attribution = self.attribution.and_then(|at| match at {
            0 => Some(Attribution::First),
            1 => Some(Attribution::Last),
            row if self.mode == FunnelMode::Unordered || row >= steps || is_optional(row) => None,
            row => Some(Attribution::Step(row)),
        });
        let (from_ms, to_ms) = self.range;
        let mut period_starts = if self.periods.is_empty() { Vec::new() } else { vec![from_ms] };
        period_starts.extend(self.periods.iter().filter(|&&start_ms| start_ms > from_ms && start_ms < to_ms));
        period_starts.sort_unstable();
        period_starts.dedup();
        Rule {
            mode: self.mode,
            bits,
            required,
            window_ms: self.window_ms,
            from_ms,
            to_ms,
            first_entry_only: self.first_entry_only,
            exclusions,
            is_held: self.is_held,
            counts_attempts: self.counts_attempts,
            attribution,
            period_starts,
            context,
        }
    }
}

fn any_person() -> impl Strategy<Value = Vec<StepEvent>> {
    let mask = prop_oneof![2 => (0u32..4).prop_map(|step| 1u64 << step), 2 => 0u64..16, 1 => (0u32..2).prop_map(|i| 1u64 << (EXCLUSION_SHIFT + i))];
    let event = (0i64..9, mask, 0u32..3, prop::sample::select(vec![0u64, 7, 7, 8, 8])).prop_map(|(time_ms, mask, order, hold)| StepEvent {
        time_ms,
        mask,
        order,
        hold,
        ..StepEvent::default()
    });
    prop::collection::vec(event, 0..9)
}

#[test]
fn agrees_with_a_search_over_all_choices() {
    const PERSONS: u32 = 200_000;
    let mut runner = TestRunner::new(ProptestConfig::with_cases(PERSONS));
    let compared = runner.run(&(any_options(), any_person()), |(options, events)| {
        let context = context();
        let rule = options.rule(&context);
        let steps = ((1u64 << rule.bits.len()) - 1) | (((1 << rule.exclusions.len()) - 1) << EXCLUSION_SHIFT);
        let events: Vec<StepEvent> = events.into_iter().map(|event| StepEvent { mask: event.mask & steps, ..event }).collect();
        let mut expected = counted(&rule, &events);
        let mut found = Vec::new();
        let counted = rule.count(&step_events(&events, rule.is_held), &mut |scope, attempt| {
            found.push((scope, attempt.clone()));
            Ok(())
        });
        prop_assert_eq!(counted, Ok(()));
        let key = |(scope, attempt): &(Scope, Attempt)| (*scope == Scope::Range, format!("{scope:?} {attempt:?}"));
        expected.sort_by_key(key);
        found.sort_by_key(key);
        prop_assert_eq!(found, expected, "{:?}", options);
        Ok(())
    });
    compared.unwrap();
    println!("funnels: {PERSONS} random persons with random rules agree with a search over all choices");
}
