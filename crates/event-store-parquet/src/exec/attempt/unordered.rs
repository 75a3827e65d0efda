//! Unordered funnels: as many different steps as can be done, each with an event of its own, within the window of the first.
//!
//! A window slides over the entries. The number of steps that have any event in it bounds how many can be done, and is that number
//! where no event matches two steps; only an entry that may do better than the best so far is followed.

use event_store::{MAX_FUNNEL_STEPS, QueryError};

use super::matching::Held;
use super::{EXCLUSION_SHIFT, Rule, STEP_BITS, StepEvent};

/// By number of steps done, the time at which so many were done in the attempt shown.
pub(super) fn best(rule: &Rule<'_>, events: &[StepEvent], entries: (i64, i64)) -> Result<Option<Vec<i64>>, QueryError> {
    // One entry alone needs no window that slides.
    if entries.1 - entries.0 == 1 {
        let times = follow(events, rule.required);
        let begins = times.first().is_some_and(|&entry_ms| entry_ms < entries.1);
        return Ok((begins && !is_void(rule, events, &times)).then_some(times));
    }
    let mut window = Window { counts: [0; MAX_FUNNEL_STEPS], steps: 0 };
    let mut best: Option<Vec<i64>> = None;
    let mut end = 0;
    let mut first = 0;
    for group in events.chunk_by(|a, b| a.time_ms == b.time_ms) {
        let entry_ms = group[0].time_ms;
        let most = best.as_ref().map_or(0, Vec::len);
        if entry_ms >= entries.1 || most == rule.required {
            break;
        }
        while let Some(event) = events.get(end).filter(|event| rule.in_window(entry_ms, event.time_ms)) {
            window.add(event.mask);
            end += 1;
        }
        if window.steps > most && entry_ms >= entries.0 && group.iter().any(|event| event.mask & STEP_BITS != 0) {
            rule.context.check()?;
            let times = follow(&events[first..end], window.steps);
            if times.len() > most && !is_void(rule, &events[first..end], &times) {
                best = Some(times);
            }
        }
        group.iter().for_each(|event| window.remove(event.mask));
        first += group.len();
    }
    Ok(best)
}

/// How many events of each step are in the window, and how many steps have any.
struct Window {
    counts: [u32; MAX_FUNNEL_STEPS],
    steps: usize,
}

impl Window {
    fn add(&mut self, mask: u64) {
        each_step(mask, |step| {
            self.steps += usize::from(self.counts[step] == 0);
            self.counts[step] += 1;
        });
    }

    fn remove(&mut self, mask: u64) {
        each_step(mask, |step| {
            self.counts[step] -= 1;
            self.steps -= usize::from(self.counts[step] == 0);
        });
    }
}

fn each_step(mask: u64, mut each: impl FnMut(usize)) {
    let mut steps = mask & STEP_BITS;
    while steps != 0 {
        each(steps.trailing_zeros() as usize);
        steps &= steps - 1;
    }
}

/// The times at which one, two, ... of at most `most` steps are done.
fn follow(events: &[StepEvent], most: usize) -> Vec<i64> {
    let mut held = Held::new();
    let mut times = Vec::with_capacity(most);
    for event in events {
        if held.add(event.mask & STEP_BITS) {
            times.push(event.time_ms);
        }
        if times.len() == most {
            break;
        }
    }
    times
}

/// Whether an excluded event lies strictly between the entry and the last step, or the end of the window where that is not reached.
fn is_void(rule: &Rule<'_>, events: &[StepEvent], times: &[i64]) -> bool {
    let (Some(&entry_ms), Some(&last_ms)) = (times.first(), times.last()) else { return false };
    let is_complete = times.len() == rule.required;
    let lies_between = |time_ms: i64| time_ms > entry_ms && (!is_complete || time_ms < last_ms);
    let mut between = events.iter().skip_while(|event| event.time_ms == entry_ms).take_while(|event| lies_between(event.time_ms));
    between.any(|event| event.mask >> EXCLUSION_SHIFT != 0)
}
