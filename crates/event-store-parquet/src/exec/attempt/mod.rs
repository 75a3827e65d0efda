//! One person's way through a funnel: how far, and the attempt that is shown.
//!
//! A [`Rule`] says what a funnel allows. A person's events that match a step or an exclusion come as [`StepEvent`]s in order of time;
//! the rule gives the attempts that count. Each mode has an evaluator of its own that answers one question: of the entries in a range,
//! which attempt reaches most steps, then begins first, and when is each step done, as early as can be. First entries, periods, attempts
//! one after the other and properties held constant are all that question with another range or another part of the events.

mod clear;
mod held;
mod matching;
mod optional;
#[cfg(test)]
pub(super) mod oracle;
mod ordered;
mod strict;
#[cfg(test)]
mod tests;
mod unordered;

use event_store::{Attribution, FunnelMode, QueryContext, QueryError};

pub(super) use matching::advance;
pub(super) use ordered::OrderedRule;

/// The first bit of a mask that stands for an exclusion.
pub(super) const EXCLUSION_SHIFT: u32 = event_store::MAX_FUNNEL_STEPS as u32;
/// The bits of a mask that stand for steps.
pub(super) const STEP_BITS: u64 = (1 << EXCLUSION_SHIFT) - 1;
/// The time of a step that an attempt does not have.
pub(super) const NOT_DONE: i64 = i64::MIN;

/// An event of one person that matches a step or an exclusion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StepEvent {
    pub(super) time_ms: i64,
    /// Bit k is set when the event matches the step with that bit; from [`EXCLUSION_SHIFT`] on, the exclusions.
    pub(super) mask: u64,
    /// Decides between events of equal time; the smallest wins.
    pub(super) order: u32,
    /// Stands for the values held constant; 0 where nothing is, or where one of them is missing.
    pub(super) hold: u64,
    /// For strict funnels.
    pub(super) others: Others,
}

/// Where events of the person that match nothing stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Others {
    /// Some come after the events of the time before, and before this time.
    pub(super) before: bool,
    /// Some have the same time.
    pub(super) beside: bool,
}

/// What a funnel allows.
pub(super) struct Rule<'q> {
    pub(super) mode: FunnelMode,
    /// By step: its bit. Those that are not optional have the bits from 0 on, in order.
    pub(super) bits: Vec<usize>,
    /// Steps that are not optional.
    pub(super) required: usize,
    /// Longest time from entry to the last step, inclusive.
    pub(super) window_ms: Option<i64>,
    /// An entry lies at or after this, ...
    pub(super) from_ms: i64,
    /// ... and before this.
    pub(super) to_ms: i64,
    /// Only the earliest time with an entry in range opens an attempt.
    pub(super) first_entry_only: bool,
    /// By bit: after so many steps that are not optional, and before so many.
    pub(super) exclusions: Vec<(usize, usize)>,
    /// Whether all events of an attempt must have one [`StepEvent::hold`].
    pub(super) is_held: bool,
    /// Counts attempts one after the other, not persons.
    pub(super) counts_attempts: bool,
    /// Whose [`StepEvent::order`] an attempt has; `None` where nobody asks.
    pub(super) attribution: Option<Attribution>,
    /// Where each period of entries begins; the last one ends with the range. Empty where there are none.
    pub(super) period_starts: Vec<i64>,
    pub(super) context: &'q QueryContext,
}

/// An attempt that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempt {
    /// The time of each step, [`NOT_DONE`] for those it does not have; ends with the last it has. In an unordered funnel, of so many steps.
    pub(super) times: Vec<i64>,
    /// Steps that are not optional and done.
    pub(super) level: usize,
    /// [`StepEvent::order`] of the event that the attribution names; `None` where the attempt does not have it, or nobody asks.
    pub(super) order: Option<u32>,
    /// [`StepEvent::hold`] of its events; 0 where nothing is held constant.
    pub(super) hold: u64,
}

/// What an attempt counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    /// The whole range.
    Range,
    /// One period of entries, by number.
    Period(u32),
}

impl Attempt {
    /// When it began.
    pub(super) fn entry_ms(&self) -> i64 {
        self.times.first().copied().unwrap_or(NOT_DONE)
    }

    /// Whether it is shown before another of the same person.
    fn is_before(&self, other: &Self) -> bool {
        let key = |attempt: &Self| (std::cmp::Reverse(attempt.level), attempt.entry_ms());
        let steps = self.times.len().max(other.times.len());
        // A step that is done comes before one that is not.
        let time =
            |attempt: &Self, step: usize| attempt.times.get(step).copied().filter(|&time_ms| time_ms != NOT_DONE).unwrap_or(i64::MAX);
        let times = (0..steps).map(|step| time(self, step)).cmp((0..steps).map(|step| time(other, step)));
        key(self).cmp(&key(other)).then(times).then((self.order, self.hold).cmp(&(other.order, other.hold))).is_lt()
    }
}

impl Rule<'_> {
    /// Calls `each` with what one person's events count for; events come ascending by time.
    ///
    /// # Errors
    /// The limits of the query; those of `each`.
    pub(super) fn count(
        &self,
        events: &[StepEvent],
        each: &mut dyn FnMut(Scope, &Attempt) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        self.with_streams(events, |streams| {
            let Some(range) = self.entries(streams) else { return Ok(()) };
            if self.counts_attempts {
                return streams.iter().try_for_each(|stream| self.one_after_the_other(stream, range, each));
            }
            if let Some(best) = self.best(streams, range)? {
                each(Scope::Range, &best)?;
            }
            let mut from_ms = range.0;
            while let Some((number, period)) = self.next_period(streams, (from_ms, range.1)) {
                if let Some(best) = self.best(streams, period)? {
                    each(Scope::Period(number), &best)?;
                }
                from_ms = period.1;
            }
            Ok(())
        })
    }

    /// The attempt shown of one person, whether or not attempts are counted.
    ///
    /// # Errors
    /// The limits of the query.
    pub(super) fn shown(&self, events: &[StepEvent]) -> Result<Option<Attempt>, QueryError> {
        self.with_streams(events, |streams| self.entries(streams).map_or(Ok(None), |range| self.best(streams, range)))
    }

    /// The parts of a person's events of which each can make attempts by itself.
    fn with_streams<T>(&self, events: &[StepEvent], work: impl FnOnce(&[&[StepEvent]]) -> T) -> T {
        if !self.is_held {
            return work(&[events]);
        }
        let events = held::streams(events, self.mode == FunnelMode::Strict);
        let streams: Vec<&[StepEvent]> = events.chunk_by(|a, b| a.hold == b.hold).collect();
        work(&streams)
    }

    /// Between which times entries are looked for: from the first one on. `None` where there is none.
    fn entries(&self, streams: &[&[StepEvent]]) -> Option<(i64, i64)> {
        let first_ms = self.first_entry(streams, (self.from_ms, self.to_ms))?;
        Some((first_ms, if self.first_entry_only { first_ms + 1 } else { self.to_ms }))
    }

    fn first_entry(&self, streams: &[&[StepEvent]], range: (i64, i64)) -> Option<i64> {
        streams.iter().filter_map(|stream| self.next_entry(stream, range)).min()
    }

    /// The time of the first entry in a range.
    fn next_entry(&self, events: &[StepEvent], (from_ms, to_ms): (i64, i64)) -> Option<i64> {
        let first = events.partition_point(|event| event.time_ms < from_ms);
        let entry = events[first..].iter().find(|event| self.is_entry(event))?;
        (entry.time_ms < to_ms).then_some(entry.time_ms)
    }

    /// Whether an event of any time can begin an attempt.
    pub(super) fn is_entry(&self, event: &StepEvent) -> bool {
        let bits = if self.mode == FunnelMode::Unordered { STEP_BITS } else { 1 };
        event.mask & bits != 0
    }

    /// The number of the period of the first entry in a range, and what of it lies there.
    fn next_period(&self, streams: &[&[StepEvent]], range: (i64, i64)) -> Option<(u32, (i64, i64))> {
        if self.period_starts.is_empty() {
            return None;
        }
        let next = self.period_of(self.first_entry(streams, range)?) + 1;
        let end_ms = self.period_starts.get(next).map_or(range.1, |&start_ms| start_ms.min(range.1));
        Some((next as u32 - 1, (range.0.max(self.period_starts[next - 1]), end_ms)))
    }

    /// The number of the period a time lies in.
    fn period_of(&self, time_ms: i64) -> usize {
        self.period_starts.partition_point(|&start_ms| start_ms <= time_ms).max(1) - 1
    }

    /// Attempts of which each begins when the one before has converted or timed out. One that is void counts for nothing, and the next
    /// may begin right after its entry.
    fn one_after_the_other(
        &self,
        stream: &[StepEvent],
        range: (i64, i64),
        each: &mut dyn FnMut(Scope, &Attempt) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let mut from_ms = range.0;
        while let Some(entry_ms) = self.next_entry(stream, (from_ms, range.1)) {
            self.context.check()?;
            from_ms = entry_ms.saturating_add(1);
            let Some(attempt) = self.best_of_stream(stream, (entry_ms, from_ms))? else { continue };
            each(Scope::Range, &attempt)?;
            if !self.period_starts.is_empty() {
                each(Scope::Period(self.period_of(entry_ms) as u32), &attempt)?;
            }
            from_ms = self.end_of(&attempt).saturating_add(1);
        }
        Ok(())
    }

    /// The last millisecond that belongs to an attempt.
    fn end_of(&self, attempt: &Attempt) -> i64 {
        let last_ms = || self.bits.iter().zip(&attempt.times).filter(|(bit, _)| **bit < self.required).map(|(_, time_ms)| *time_ms).max();
        match self.mode {
            FunnelMode::Ordered | FunnelMode::Unordered if attempt.level < self.required => self.window_end(attempt.entry_ms()),
            _ => last_ms().unwrap_or(attempt.entry_ms()),
        }
    }

    /// The last millisecond of the window of an entry.
    pub(super) fn window_end(&self, entry_ms: i64) -> i64 {
        self.window_ms.map_or(i64::MAX, |window_ms| entry_ms.saturating_add(window_ms))
    }

    fn in_window(&self, entry_ms: i64, time_ms: i64) -> bool {
        time_ms <= self.window_end(entry_ms)
    }

    fn ordered(&self, (from_ms, to_ms): (i64, i64)) -> OrderedRule {
        OrderedRule { steps: self.required, window_ms: self.window_ms, from_ms, to_ms }
    }

    /// The attempt shown of those that enter in a range.
    fn best(&self, streams: &[&[StepEvent]], entries: (i64, i64)) -> Result<Option<Attempt>, QueryError> {
        let mut best: Option<Attempt> = None;
        for stream in streams {
            if let Some(attempt) = self.best_of_stream(stream, entries)?
                && best.as_ref().is_none_or(|best| attempt.is_before(best))
            {
                best = Some(attempt);
            }
        }
        Ok(best)
    }

    fn best_of_stream(&self, stream: &[StepEvent], entries: (i64, i64)) -> Result<Option<Attempt>, QueryError> {
        let Some(entry_ms) = self.next_entry(stream, entries) else { return Ok(None) };
        let first = stream.partition_point(|event| event.time_ms < entry_ms);
        let end = stream.partition_point(|event| event.time_ms <= self.window_end(entries.1 - 1));
        let events = &stream[first..end.max(first)];
        let times = match self.mode {
            FunnelMode::Ordered if self.exclusions.is_empty() => self.ordered(entries).best(events),
            FunnelMode::Ordered => clear::best(self, events, entries)?,
            FunnelMode::Strict => strict::best(self, events, entries),
            FunnelMode::Unordered => unordered::best(self, events, entries)?,
        };
        Ok(times.map(|times| self.attempt(events, times)))
    }

    /// The attempt with these times of the steps that are not optional.
    fn attempt(&self, events: &[StepEvent], times: Vec<i64>) -> Attempt {
        let level = times.len();
        let order = self.order(events, &times);
        let mut rows = if self.required < self.bits.len() { self.with_optional(events, &times) } else { times };
        rows.truncate(rows.iter().rposition(|&time_ms| time_ms != NOT_DONE).map_or(0, |last| last + 1));
        let hold = if self.is_held { events.first().map_or(0, |event| event.hold) } else { 0 };
        Attempt { times: rows, level, order, hold }
    }

    /// The smallest order of the events that can be the one that the attribution names.
    fn order(&self, events: &[StepEvent], times: &[i64]) -> Option<u32> {
        let step = match self.attribution? {
            Attribution::First => 0,
            Attribution::Last => times.len().checked_sub(1)?,
            Attribution::Step(row) => *self.bits.get(row)?,
        };
        let time_ms = *times.get(step)?;
        let first = events.partition_point(|event| event.time_ms < time_ms);
        let group = &events[first..first + events[first..].partition_point(|event| event.time_ms == time_ms)];
        if self.mode == FunnelMode::Unordered {
            return group.iter().filter(|event| event.mask & STEP_BITS != 0).map(|event| event.order).min();
        }
        let mut candidates: Vec<usize> = (0..group.len()).filter(|&at| group[at].mask >> step & 1 == 1).collect();
        candidates.sort_by_key(|&at| (group[at].order, group[at].mask));
        candidates.dedup_by_key(|at| (group[*at].order, group[*at].mask));
        if let [first, .., last] = candidates[..]
            && group[first].order == group[last].order
        {
            candidates.truncate(1);
        }
        if let [only] = candidates[..] {
            return Some(group[only].order);
        }
        // The other steps of that time must have events of their own.
        let others: Vec<usize> = (0..times.len()).filter(|&other| other != step && times[other] == time_ms).collect();
        let without = |at: usize| group.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, event)| event.mask).collect();
        candidates.into_iter().find(|&at| matching::all_have_events(&others, without(at))).map(|at| group[at].order)
    }
}
