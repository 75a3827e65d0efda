//! Why a funnel counts one person as it does.

use std::sync::Arc;

use event::AppId;
use event_store::{
    Field, Filter, FunnelEvent, FunnelMode, FunnelPersonPlan, FunnelPlan, FunnelStop, FunnelStory, Op, QueryError, ScanStats, Segment,
    SegmentRule, Value,
};

use super::side::Side;
use super::streams::Streams;
use super::{check_plan, rule};
use crate::exec::attempt::{Attempt, EXCLUSION_SHIFT, NOT_DONE, Rule, Scope, StepEvent};
use crate::exec::group::MAX_KEYS;
use crate::exec::scan::Query;

/// Answers a [`FunnelPersonPlan`].
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub fn funnel_person(query: &Query<'_>, plan: &FunnelPersonPlan) -> Result<FunnelStory, QueryError> {
    let scan = event_store::Scan {
        filter: Filter::And(vec![of_person(query, &plan.funnel.scan.app, &plan.person), plan.funnel.scan.filter.clone()]),
        ..plan.funnel.scan.clone()
    };
    let funnel = FunnelPlan { scan, breakdown: None, buckets: None, ..plan.funnel.clone() };
    check_plan(&funnel)?;
    // The name and the values held constant come along with each event.
    let fields: Vec<Field> = std::iter::once(Field::Event).chain(funnel.hold_constant.iter().take(MAX_KEYS - 1).cloned()).collect();
    query.with_persons(&funnel.scan.app, |reading| {
        let mut stats = ScanStats::default();
        let side = Side::with_values(query, &funnel, (&fields, u64::MAX), reading, &mut stats)?;
        let streams = Streams::gather(query, &funnel, &side, reading, &mut stats)?;
        let rule = rule(query, &funnel);
        let people = streams.for_each(query, &Vec::new, &|people: &mut Vec<Vec<StepEvent>>, _, events| {
            people.push(events.to_vec());
            Ok(())
        })?;
        let events = people.into_iter().flatten().next().unwrap_or_default();
        let groups = side.groups.groups();
        let values = |event: &StepEvent| &groups[streams.by_order[event.order as usize] as usize];
        let mut story = told(&rule, &events)?;
        story.more = events.len() > plan.limit;
        story.events = events.iter().take(plan.limit).map(|event| shown(&rule, event, values(event))).collect();
        Ok(FunnelStory { stats, ..story })
    })
}

/// The events of the person: where persons have several ids, of all of them; else see [`event::person_hash`].
fn of_person(query: &Query<'_>, app: &AppId, id: &str) -> Filter {
    if !query.snapshot.identity(app).is_empty() {
        let segment = Segment { name: "person".to_owned(), rule: SegmentRule::Listed(Arc::from([id.to_owned()])) };
        return Filter::Compare(Field::InSegment(Arc::new(segment)), Op::In(vec![Value::Bool(true)]));
    }
    let is = |field: Field| Filter::Compare(field, Op::In(vec![Value::Str(id.to_owned())]));
    let has_user = Filter::Compare(Field::UserId, Op::IsSet);
    Filter::Or(vec![is(Field::UserId), Filter::And(vec![Filter::Not(Box::new(has_user)), is(Field::AnonymousId)])])
}

fn shown(rule: &Rule<'_>, event: &StepEvent, values: &[Value]) -> FunnelEvent {
    let name = match values.first() {
        Some(Value::Str(name)) => name.clone(),
        _ => String::new(),
    };
    FunnelEvent {
        time_ms: event.time_ms,
        name,
        steps: (0..rule.bits.len()).filter(|&step| event.mask >> rule.bits[step] & 1 == 1).collect(),
        exclusions: (0..rule.exclusions.len()).filter(|i| event.mask >> EXCLUSION_SHIFT >> i & 1 == 1).collect(),
        held: values.iter().skip(1).cloned().collect(),
    }
}

/// The attempt shown of one person, and why it ends where it does.
fn told(rule: &Rule<'_>, events: &[StepEvent]) -> Result<FunnelStory, QueryError> {
    let attempt = rule.shown(events)?;
    let mut attempts = 0;
    rule.count(events, &mut |scope, _| {
        attempts += u64::from(scope == Scope::Range);
        Ok(())
    })?;
    let stop = match &attempt {
        Some(attempt) if attempt.level == rule.required => FunnelStop::Converted,
        Some(attempt) => why_it_ends(rule, events, attempt),
        None => why_there_is_none(rule, events),
    };
    let mut times: Vec<Option<i64>> = Vec::new();
    if let Some(attempt) = attempt {
        times.extend(attempt.times.iter().map(|&time_ms| (time_ms != NOT_DONE).then_some(time_ms)));
        times.resize(rule.bits.len(), None);
    }
    Ok(FunnelStory { attempt: times, stop, attempts, ..FunnelStory::default() })
}

fn why_there_is_none(rule: &Rule<'_>, events: &[StepEvent]) -> FunnelStop {
    let in_range = |event: &&StepEvent| event.time_ms >= rule.from_ms && event.time_ms < rule.to_ms;
    let Some(entry) = events.iter().filter(in_range).find(|event| rule.is_entry(event)) else { return FunnelStop::NoEntry };
    let excluded = events.iter().find(|event| event.mask >> EXCLUSION_SHIFT != 0 && event.time_ms > entry.time_ms);
    excluded.map_or(FunnelStop::NoEntry, |event| FunnelStop::Excluded {
        exclusion: (event.mask >> EXCLUSION_SHIFT).trailing_zeros() as usize,
        at_ms: event.time_ms,
    })
}

fn why_it_ends(rule: &Rule<'_>, events: &[StepEvent], attempt: &Attempt) -> FunnelStop {
    let entry_ms = attempt.entry_ms();
    let window_end_ms = rule.window_end(entry_ms);
    let is_own = |event: &&StepEvent| !rule.is_held || event.hold == attempt.hold;
    let of_bit = |bit: usize| events.iter().filter(move |event| event.mask >> bit & 1 == 1);
    let in_window = |event: &&StepEvent| event.time_ms >= entry_ms && event.time_ms <= window_end_ms;
    let is_missing = |bit: &usize| !of_bit(*bit).any(|event| is_own(&event) && in_window(&event));
    let (bit, last_ms) = match rule.mode {
        // Any step that was not done; where each has an event, one of them is used twice.
        FunnelMode::Unordered => ((0..rule.required).find(is_missing).unwrap_or(attempt.level), entry_ms),
        FunnelMode::Ordered | FunnelMode::Strict => {
            let last_ms = rule.bits.iter().zip(&attempt.times).filter(|(bit, _)| **bit < rule.required).map(|(_, &time_ms)| time_ms).max();
            (attempt.level, last_ms.unwrap_or(entry_ms))
        }
    };
    let step = rule.bits.iter().position(|&of_step| of_step == bit).unwrap_or(bit);
    let follows = |event: &&StepEvent| event.time_ms >= last_ms && event.time_ms <= window_end_ms;
    if rule.mode == FunnelMode::Strict && of_bit(bit).any(|event| is_own(&event) && follows(&event)) {
        return FunnelStop::Interrupted { step };
    }
    if let Some(other) = of_bit(bit).find(|event| !is_own(event) && follows(event)) {
        return FunnelStop::OtherValue { step, at_ms: other.time_ms };
    }
    if let Some(late) = of_bit(bit).find(|event| is_own(event) && event.time_ms > window_end_ms) {
        return FunnelStop::Late { step, at_ms: late.time_ms, window_end_ms };
    }
    match of_bit(bit).rfind(|event| is_own(event) && event.time_ms < last_ms) {
        Some(early) => FunnelStop::Early { step, at_ms: early.time_ms },
        None => FunnelStop::Never { step },
    }
}
