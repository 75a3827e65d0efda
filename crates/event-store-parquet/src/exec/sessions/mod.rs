//! Sessions, derived from all events of each person.
//!
//! Events of a person with the same client session id are one session. A person's other events are cut where the gap is longer than
//! the idle time, and where a session would become longer than its maximum. A session counts where it begins; to see whether one
//! began before the range, rows up to [`LOOK_AROUND_MS`] (or the idle time, or the maximum, whichever is longest) before it are read.
//!
//! The measure of that name needs to know where sessions begin alone ([`count`]). An analysis of sessions needs all their events: each gets a
//! label that says all that matters of it ([`labels`]), each person's are followed in order ([`walk`]), and of each session a cell, a length and a
//! few sums are left ([`fold`]). Where the events of all persons do not fit into half of the query's memory, a part of the persons is followed at
//! a time, each with a scan of its own: the answer is the same.

pub(super) mod count;
mod fold;
mod labels;
mod tables;
mod walk;

use std::sync::{Mutex, PoisonError};

use event_store::{MAX_LENGTH_BINS, QueryError, ScanStats, SessionRule, SessionsPlan, SessionsTable};

use super::aggregate::add_stats;
use super::bucket::BucketFinder;
use super::column_scan::{ColumnScan, Reading, TimeUse};
use super::gather::{Gathering, Unlabelled};
use super::group::check_keys;
use super::records::{Keyed, Record, Slice, for_each_person};
use super::scan::Query;
use super::timeline::Timeline;
use labels::{EventLabels, Marks, Side};
use walk::{Follower, Tally};

/// How far before the range a session's beginning is looked for, and how far after it its events, at least.
const LOOK_AROUND_MS: i64 = 86_400_000;

/// How far around a range the events of its sessions are looked for.
fn look_around_ms(rule: SessionRule) -> i64 {
    LOOK_AROUND_MS.max(rule.idle_ms).max(rule.max_ms.unwrap_or(0))
}

/// Answers a [`SessionsPlan`].
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub fn sessions(query: &Query<'_>, plan: &SessionsPlan) -> Result<SessionsTable, QueryError> {
    check_plan(plan)?;
    query.with_persons(&plan.scan.app, |reading| match reading.has_ordinals() {
        true => follow::<u128>(query, plan, reading),
        false => follow::<Keyed>(query, plan, reading),
    })
}

fn check_plan(plan: &SessionsPlan) -> Result<(), QueryError> {
    check_keys(&plan.group_by)?;
    let bins = &plan.bins;
    let rules = [
        (plan.rule.idle_ms >= 0 && plan.rule.max_ms.is_none_or(|max_ms| max_ms >= 0), "session", "a pause is not negative".to_owned()),
        (bins.len() <= MAX_LENGTH_BINS, "length_bins", format!("at most {MAX_LENGTH_BINS} ends of bins")),
        (bins.is_sorted_by(|a, b| a < b), "length_bins", "the ends of bins are ascending".to_owned()),
        (plan.buckets.as_ref().is_none_or(|buckets| !buckets.starts.is_empty()), "interval", "the range has no bucket".to_owned()),
    ];
    match rules.into_iter().find(|(holds, ..)| !holds) {
        Some((_, field, message)) => Err(QueryError::Invalid { field: field.into(), message }),
        None => Ok(()),
    }
}

fn follow<R: Record>(query: &Query<'_>, plan: &SessionsPlan, reading: &Reading) -> Result<SessionsTable, QueryError> {
    let mut stats = ScanStats::default();
    let side = Side::new(query, plan, reading, &mut stats)?;
    let look_around_ms = look_around_ms(plan.rule);
    let (from_ms, to_ms) = (plan.scan.from_ms.saturating_sub(look_around_ms), plan.scan.to_ms.saturating_add(look_around_ms));
    let starts = plan.buckets.as_ref().map_or_else(|| vec![plan.scan.from_ms], |buckets| buckets.starts.clone());
    let buckets = BucketFinder::new(&starts, plan.scan.to_ms);
    let gathering = Gathering {
        query,
        scan: ColumnScan {
            app: &plan.scan.app,
            from_ms,
            to_ms,
            events: None,
            fields: &side.fields,
            persons: true,
            times: TimeUse::Always,
            narrowing: None,
            reading,
        },
        timeline: Timeline::from(from_ms),
        session_id: Some(side.session_id),
        unlabelled: Unlabelled::Kept,
    };
    let tallies = Mutex::new(Vec::new());
    let mut marks: Option<Marks> = None;
    let mut slices = vec![Slice::ALL];
    while let Some(slice) = slices.pop() {
        let (lists, narrowed, scanned) = gathering.gather::<_, R>(slice, &|| EventLabels::new(&side, plan, query.context))?;
        add_stats(&mut stats, scanned);
        slices.extend(slice.without(narrowed));
        // A scan labels the events of all persons, so the first has seen every label.
        let marks = match &mut marks {
            Some(marks) => marks,
            none => none.insert(side.marks(query.context)?),
        };
        let follower = Follower { plan, timeline: gathering.timeline, marks, buckets: &buckets };
        let known = || tallies.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_else(|| Tally::new(&follower, query.context));
        let walked = for_each_person(query, lists, &known, &|tally: &mut Tally, events: &[R]| follower.follow(tally, events))?;
        tallies.lock().unwrap_or_else(PoisonError::into_inner).extend(walked);
    }
    let tallies = tallies.into_inner().unwrap_or_else(PoisonError::into_inner);
    let marks = marks.unwrap_or_default();
    Ok(SessionsTable { stats, ..fold::fold(query, plan, &tallies, &marks, buckets.count())? })
}
