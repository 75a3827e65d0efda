//! Paths: the events of each person in order, cut into sequences, and the most frequent ways through them.
//!
//! One scan collects the steps of all persons ([`gather`]) as integers that sort by person, session and time ([`super::records`]); each person's
//! are laid out, cut and followed by itself ([`sequence`]). A path is four integers ([`path`]), counted by hashing ([`tally`]) and joined
//! table by table ([`merge`]); names are looked up for the answer alone ([`fold`]). Where the events of all persons do not fit into half of the query's memory, half of the
//! persons are followed at a time, or a quarter, and so on, each with a scan of its own: the answer is the same.

mod edges;
mod fold;
mod gather;
mod merge;
mod path;
mod sequence;
mod side;
mod tally;

use std::sync::{Mutex, PoisonError};

use event_store::{MAX_PATH_STEPS, PathBound, PathsPlan, PathsTable, QueryError, ScanStats, SessionCuts, SessionRule, Value};

use super::column_scan::Reading;
use super::records::{Keyed, NO_SESSION, Record, Slice, for_each_person};
use super::scan::{Query, Reserved};
use super::timeline::Timeline;
use super::value::compare_values;
use super::value_table::ENTRY_BYTES;
use gather::{gather, step_of};
use sequence::{PathRule, STEP_BYTES, Sequence};
use side::Side;
use tally::Tally;

/// Answers a [`PathsPlan`].
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub fn paths(query: &Query<'_>, plan: &PathsPlan) -> Result<PathsTable, QueryError> {
    check_plan(plan)?;
    query.with_persons(&plan.scan.app, |reading| match reading.has_ordinals() {
        true => follow::<u128>(query, plan, reading),
        false => follow::<Keyed>(query, plan, reading),
    })
}

fn check_plan(plan: &PathsPlan) -> Result<(), QueryError> {
    let rules = [
        ((1..=MAX_PATH_STEPS).contains(&plan.steps), "steps", format!("a path has 1 to {MAX_PATH_STEPS} steps")),
        (!matches!(plan.bound, PathBound::Gap(Some(gap_ms)) if gap_ms < 0), "gap", "a pause is not negative".to_owned()),
        (plan.anchor.as_ref().is_none_or(|anchor| !anchor.any_of.is_empty()), "start", "the anchor is an event".to_owned()),
    ];
    match rules.into_iter().find(|(holds, _, _)| !holds) {
        Some((_, field, message)) => Err(QueryError::Invalid { field: field.into(), message }),
        None => Ok(()),
    }
}

fn follow<R: Record>(query: &Query<'_>, plan: &PathsPlan, reading: &Reading) -> Result<PathsTable, QueryError> {
    let mut stats = ScanStats::default();
    let side = Side::new(query, plan, reading, &mut stats)?;
    let follower = Follower { rule: PathRule::of(plan), sessions: session_rule(plan), timeline: Timeline::from(plan.scan.from_ms) };
    let tallies = Mutex::new(Vec::new());
    let mut names: Option<Names> = None;
    let mut slices = vec![Slice::ALL];
    while let Some(slice) = slices.pop() {
        let (lists, narrowed) = gather::<R>(query, plan, &side, reading, slice, &mut stats)?;
        slices.extend(slice.without(narrowed));
        // A scan names the steps of all persons, so the first has seen every name.
        let names = match &mut names {
            Some(names) => names,
            none => none.insert(Names::of(query, &side)?),
        };
        let known = || tallies.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_else(|| Tally::new(query.context));
        let make = || Walker { tally: known(), sequence: Sequence::default(), memory: Reserved::new(query.context) };
        let walkers = for_each_person(query, lists, &make, &|walker, events: &[R]| follower.follow(walker, events, names))?;
        tallies.lock().unwrap_or_else(PoisonError::into_inner).extend(walkers.into_iter().map(|walker| walker.tally));
    }
    let tallies = tallies.into_inner().unwrap_or_else(PoisonError::into_inner);
    let values = names.as_ref().map_or(&[][..], |names| &names.values);
    Ok(PathsTable { stats, ..fold::fold(query, follower.rule, plan.keep, tallies, values)? })
}

/// Where sequences are cut that have no session id.
fn session_rule(plan: &PathsPlan) -> SessionRule {
    match plan.bound {
        PathBound::Session(rule) => rule,
        PathBound::Gap(gap_ms) => SessionRule { idle_ms: gap_ms.unwrap_or(i64::MAX), max_ms: None },
    }
}

/// The names of steps in order.
struct Names {
    values: Vec<Value>,
    /// By number: the place.
    places: Vec<u32>,
    _memory: Reserved,
}

impl Names {
    fn of(query: &Query<'_>, side: &Side) -> Result<Self, QueryError> {
        let groups = side.names.groups();
        let mut memory = Reserved::new(query.context);
        let text_bytes =
            |group: &Vec<Value>| -> usize { group.iter().map(|value| if let Value::Str(text) = value { text.len() } else { 0 }).sum() };
        memory.grow(groups.iter().map(text_bytes).sum::<usize>() + groups.len() * ENTRY_BYTES)?;
        let mut values: Vec<(Value, usize)> =
            groups.into_iter().map(|group| group.into_iter().next().unwrap_or(Value::Null)).zip(0..).collect();
        values.sort_unstable_by(|a, b| compare_values(&a.0, &b.0));
        let mut places = vec![0; values.len()];
        values.iter().zip(0..).for_each(|((_, number), place)| places[*number] = place);
        Ok(Self { values: values.into_iter().map(|(value, _)| value).collect(), places, _memory: memory })
    }
}

/// What one thread follows persons with.
struct Walker {
    tally: Tally,
    sequence: Sequence,
    memory: Reserved,
}

/// How persons are followed.
struct Follower {
    rule: PathRule,
    sessions: SessionRule,
    timeline: Timeline,
}

impl Follower {
    /// Follows one person, whose events are in order of session and time.
    fn follow<R: Record>(&self, walker: &mut Walker, events: &[R], names: &Names) -> Result<(), QueryError> {
        let Walker { tally, sequence, memory } = walker;
        let needed = events.len() * STEP_BYTES;
        if needed > memory.bytes() {
            memory.set(needed.next_power_of_two())?;
        }
        tally.begin_person();
        for session in events.chunk_by(|a, b| a.session() == b.session()) {
            let is_cut = session.first().is_some_and(|event| event.session() == NO_SESSION);
            let mut cuts = SessionCuts::new(self.sessions);
            for event in session {
                let moment = self.timeline.moment(event.payload());
                if is_cut && cuts.begins(moment.time_ms) {
                    sequence.finish(self.rule, |path| tally.add(path))?;
                }
                if let Some((name, is_anchor)) = step_of(moment.label) {
                    sequence.push(moment.time_ms, names.places[name as usize], is_anchor);
                }
            }
            sequence.finish(self.rule, |path| tally.add(path))?;
        }
        Ok(())
    }
}
