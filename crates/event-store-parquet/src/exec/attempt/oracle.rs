//! What attempts count, worked out by trying every event for every step: slow, and as the words of `docs/semantics.md` say it.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use event_store::{Attribution, FunnelMode};

use super::{Attempt, EXCLUSION_SHIFT, NOT_DONE, Others, Rule, STEP_BITS, Scope, StepEvent};

/// What the events of one person count for. Unlike those of [`Rule::count`], the events are all of the person, those with an empty mask
/// too, in any order.
pub(in crate::exec) fn counted(rule: &Rule<'_>, events: &[StepEvent]) -> Vec<(Scope, Attempt)> {
    let holds: BTreeSet<u64> = events.iter().map(|event| event.hold).filter(|&hold| !rule.is_held || hold != 0).collect();
    let holds: Vec<Option<u64>> = if rule.is_held { holds.into_iter().map(Some).collect() } else { vec![None] };
    let is_entry = |event: &StepEvent| enters(rule, event) && (!rule.is_held || event.hold != 0);
    let Some(first_ms) = events.iter().filter(|event| is_entry(event)).map(|event| event.time_ms).min() else { return Vec::new() };
    let to_ms = if rule.first_entry_only { first_ms + 1 } else { rule.to_ms };
    let entry_times = |hold: Option<u64>| -> BTreeSet<i64> {
        let of_hold = |event: &&StepEvent| is_entry(event) && event.time_ms < to_ms && hold.is_none_or(|hold| event.hold == hold);
        events.iter().filter(of_hold).map(|event| event.time_ms).collect()
    };
    let period = |time_ms: i64| rule.period_starts.iter().rposition(|&start_ms| start_ms <= time_ms).unwrap_or(0) as u32;
    let mut found = Vec::new();
    if rule.counts_attempts {
        for &hold in &holds {
            let mut free_from = i64::MIN;
            for entry_ms in entry_times(hold) {
                let Some(attempt) = attempt_at(rule, events, hold, entry_ms).filter(|_| entry_ms >= free_from) else { continue };
                let last_ms = last_required(rule, &attempt);
                let is_over = attempt.level == rule.required || rule.mode == FunnelMode::Strict;
                let window_end = rule.window_ms.map_or(i64::MAX - 1, |window_ms| entry_ms + window_ms);
                free_from = if is_over { last_ms } else { window_end } + 1;
                found.push((Scope::Range, attempt.clone()));
                if !rule.period_starts.is_empty() {
                    found.push((Scope::Period(period(entry_ms)), attempt));
                }
            }
        }
        return found;
    }
    let mut all: Vec<Attempt> = Vec::new();
    for &hold in &holds {
        all.extend(entry_times(hold).into_iter().filter_map(|entry_ms| attempt_at(rule, events, hold, entry_ms)));
    }
    let rank = |attempt: &Attempt| {
        let mut rows: Vec<i64> = attempt.times.iter().map(|&time_ms| if time_ms == NOT_DONE { i64::MAX } else { time_ms }).collect();
        rows.resize(rule.bits.len(), i64::MAX);
        (Reverse(attempt.level), attempt.times[0], rows, attempt.order, attempt.hold)
    };
    found.extend(all.iter().min_by_key(|attempt| rank(attempt)).map(|best| (Scope::Range, best.clone())));
    for number in 0..rule.period_starts.len() as u32 {
        let of_period = all.iter().filter(|attempt| period(attempt.times[0]) == number);
        found.extend(of_period.min_by_key(|attempt| rank(attempt)).map(|best| (Scope::Period(number), best.clone())));
    }
    found
}

fn enters(rule: &Rule<'_>, event: &StepEvent) -> bool {
    let bits = if rule.mode == FunnelMode::Unordered { STEP_BITS } else { 1 };
    event.mask & bits != 0 && event.time_ms >= rule.from_ms && event.time_ms < rule.to_ms
}

fn last_required(rule: &Rule<'_>, attempt: &Attempt) -> i64 {
    let required = rule.bits.iter().zip(&attempt.times).filter(|(bit, _)| **bit < rule.required);
    required.map(|(_, time_ms)| *time_ms).max().unwrap()
}

/// The attempt that enters at a time, unless it is void.
fn attempt_at(rule: &Rule<'_>, all: &[StepEvent], hold: Option<u64>, entry_ms: i64) -> Option<Attempt> {
    let events: Vec<StepEvent> = all.iter().filter(|event| hold.is_none_or(|hold| event.hold == hold)).copied().collect();
    if rule.mode == FunnelMode::Unordered {
        return unordered(rule, &events, entry_ms).map(|attempt| Attempt { hold: hold.unwrap_or(0), ..attempt });
    }
    let chains = chains(rule, all, &events, entry_ms);
    let longest = chains.iter().map(Vec::len).max()?;
    let times = |chain: &Vec<usize>| chain.iter().map(|&i| events[i].time_ms).collect::<Vec<i64>>();
    let clear: Vec<&Vec<usize>> = chains.iter().filter(|chain| chain.len() == longest && is_clear(rule, &events, &times(chain))).collect();
    let best = clear.iter().map(|chain| times(chain)).min()?;
    let shown: Vec<&Vec<usize>> = clear.into_iter().filter(|chain| times(chain) == best).collect();
    let step = match rule.attribution {
        None => None,
        Some(Attribution::First) => Some(0),
        Some(Attribution::Last) => Some(longest - 1),
        Some(Attribution::Step(row)) => Some(rule.bits[row]).filter(|&bit| bit < longest),
    };
    let order = step.and_then(|step| shown.iter().map(|chain| events[chain[step]].order).min());
    let mut rows = with_optional(rule, &events, &shown, &best);
    while rows.last() == Some(&NOT_DONE) {
        rows.pop();
    }
    Some(Attempt { times: rows, level: longest, order, hold: hold.unwrap_or(0) })
}

/// Every way to give the first steps events of their own, from an entry at a time.
fn chains(rule: &Rule<'_>, all: &[StepEvent], events: &[StepEvent], entry_ms: i64) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    let mut open: Vec<Vec<usize>> = vec![Vec::new()];
    while let Some(chosen) = open.pop() {
        let stands_together = || {
            let (from_ms, to_ms) = (events[chosen[0]].time_ms, events[*chosen.last().unwrap()].time_ms);
            let between = |time_ms: i64| time_ms > from_ms && time_ms < to_ms;
            let used = chosen.iter().filter(|&&i| between(events[i].time_ms)).count();
            all.iter().filter(|event| between(event.time_ms)).count() == used
        };
        if !chosen.is_empty() && (rule.mode != FunnelMode::Strict || stands_together()) {
            found.push(chosen.clone());
        }
        if chosen.len() == rule.required {
            continue;
        }
        for (i, candidate) in events.iter().enumerate() {
            let fits = candidate.mask >> chosen.len() & 1 == 1 && !chosen.contains(&i);
            let in_order = match chosen.last() {
                Some(&last) => {
                    let elapsed = candidate.time_ms - entry_ms;
                    candidate.time_ms >= events[last].time_ms && rule.window_ms.is_none_or(|window_ms| elapsed <= window_ms)
                }
                None => candidate.time_ms == entry_ms,
            };
            if fits && in_order {
                open.push([&chosen[..], &[i]].concat());
            }
        }
    }
    found
}

fn is_clear(rule: &Rule<'_>, events: &[StepEvent], times: &[i64]) -> bool {
    let window_end = rule.window_ms.map_or(i64::MAX, |window_ms| times[0] + window_ms);
    rule.exclusions.iter().enumerate().all(|(i, &(from, to))| {
        let Some(&from_ms) = times.get(from - 1) else { return true };
        let before = |time_ms: i64| times.get(to - 1).map_or(time_ms <= window_end, |&to_ms| time_ms < to_ms);
        !events.iter().any(|event| event.mask >> EXCLUSION_SHIFT >> i & 1 == 1 && event.time_ms > from_ms && before(event.time_ms))
    })
}

fn with_optional(rule: &Rule<'_>, events: &[StepEvent], shown: &[&Vec<usize>], times: &[i64]) -> Vec<i64> {
    let window_end = rule.window_ms.map_or(i64::MAX, |window_ms| times[0] + window_ms);
    let mut used: Vec<usize> = Vec::new();
    let mut done = 0;
    let mut rows = Vec::new();
    for &bit in &rule.bits {
        if bit < rule.required {
            rows.push(times.get(bit).copied().unwrap_or(NOT_DONE));
            done = bit + 1;
            continue;
        }
        let mut best: Option<(i64, usize)> = None;
        for (i, event) in events.iter().enumerate() {
            let between =
                done <= times.len() && event.time_ms >= times[done - 1] && event.time_ms <= times.get(done).copied().unwrap_or(window_end);
            let is_spare = || shown.iter().any(|chain| !chain.contains(&i) && used.iter().all(|used| !chain.contains(used)));
            let is_better = best.is_none_or(|(time_ms, _)| event.time_ms < time_ms);
            if between && event.mask >> bit & 1 == 1 && !used.contains(&i) && is_better && is_spare() {
                best = Some((event.time_ms, i));
            }
        }
        used.extend(best.map(|(_, i)| i));
        rows.push(best.map_or(NOT_DONE, |(time_ms, _)| time_ms));
    }
    rows
}

fn unordered(rule: &Rule<'_>, events: &[StepEvent], entry_ms: i64) -> Option<Attempt> {
    let window_end = rule.window_ms.map_or(i64::MAX, |window_ms| entry_ms + window_ms);
    let mut window: Vec<&StepEvent> = events.iter().filter(|event| event.time_ms >= entry_ms && event.time_ms <= window_end).collect();
    window.sort_by_key(|event| event.time_ms);
    let mut times = Vec::new();
    for end in 1..=window.len() {
        let masks: Vec<u64> = window[..end].iter().map(|event| event.mask & STEP_BITS).collect();
        while times.len() < most_steps(&masks, 0) {
            times.push(window[end - 1].time_ms);
        }
    }
    let last_ms = *times.last()?;
    let is_complete = times.len() == rule.required;
    let is_between = |time_ms: i64| time_ms > entry_ms && (!is_complete || time_ms < last_ms);
    if window.iter().any(|event| event.mask >> EXCLUSION_SHIFT != 0 && is_between(event.time_ms)) {
        return None;
    }
    let named_ms = match rule.attribution {
        None => None,
        Some(Attribution::Last) => Some(last_ms),
        Some(_) => Some(entry_ms),
    };
    let of_time = |event: &&&StepEvent| Some(event.time_ms) == named_ms && event.mask & STEP_BITS != 0;
    let order = window.iter().filter(of_time).map(|event| event.order).min();
    Some(Attempt { level: times.len(), times, order, hold: 0 })
}

/// Most steps that can have an event of their own, some being taken.
fn most_steps(masks: &[u64], taken: u64) -> usize {
    let Some((&mask, rest)) = masks.split_first() else { return 0 };
    let without = most_steps(rest, taken);
    let with = (0..EXCLUSION_SHIFT).filter(|step| mask & !taken & 1 << step != 0).map(|step| 1 + most_steps(rest, taken | 1 << step));
    with.max().unwrap_or(0).max(without)
}

/// The events that match something, in order of time, with what [`Rule::count`] is told of the others.
pub(in crate::exec) fn step_events(all: &[StepEvent], is_held: bool) -> Vec<StepEvent> {
    let is_listed = |event: &&StepEvent| event.mask != 0 && (!is_held || event.hold != 0);
    let mut listed: Vec<StepEvent> = all.iter().filter(is_listed).copied().collect();
    listed.sort_by_key(|event| event.time_ms);
    for i in 0..listed.len() {
        let time_ms = listed[i].time_ms;
        let last_ms = listed.iter().map(|event| event.time_ms).filter(|&other_ms| other_ms < time_ms).max();
        let others = || all.iter().filter(|event| !is_listed(event)).map(|event| event.time_ms);
        listed[i].others = Others {
            before: others().any(|other_ms| other_ms < time_ms && last_ms.is_some_and(|last_ms| other_ms > last_ms)),
            beside: others().any(|other_ms| other_ms == time_ms),
        };
    }
    listed
}
