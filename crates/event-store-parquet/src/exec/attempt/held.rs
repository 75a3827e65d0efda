//! One person's events cut into streams of which each has one value of what is held constant.

use rustc_hash::FxHashMap;

use super::{Others, StepEvent};

/// The stream of each value, in the order of their first events. In it, events of other values count as events that match nothing.
pub(super) fn streams(events: &[StepEvent]) -> Vec<Vec<StepEvent>> {
    let mut number_of: FxHashMap<u64, usize> = FxHashMap::default();
    let mut streams: Vec<Stream> = Vec::new();
    // Groups so far that others come before.
    let mut cuts = 0;
    for (at, group) in events.chunk_by(|a, b| a.time_ms == b.time_ms).enumerate() {
        cuts += usize::from(group.iter().any(|event| event.others.before));
        for event in group.iter().filter(|event| event.hold != 0) {
            let number = *number_of.entry(event.hold).or_insert_with(|| {
                streams.push(Stream::default());
                streams.len() - 1
            });
            streams[number].push(*event, at, cuts);
        }
        let has_beside = group.iter().any(|event| event.others.beside);
        let of_time = group.len();
        for event in group.iter().filter(|event| event.hold != 0) {
            streams[number_of[&event.hold]].close(at, of_time, has_beside);
        }
    }
    streams.into_iter().map(|stream| stream.events).collect()
}

#[derive(Default)]
struct Stream {
    events: Vec<StepEvent>,
    /// The group of the last event, by number.
    group: usize,
    /// Events of the last group.
    of_group: usize,
    /// Groups that others come before, up to that group.
    cuts: usize,
}

impl Stream {
    fn push(&mut self, event: StepEvent, group: usize, cuts: usize) {
        let mut before = false;
        if let Some(last) = self.events.last() {
            before = if self.group == group { last.others.before } else { cuts > self.cuts || group > self.group + 1 };
        }
        if self.events.is_empty() || self.group != group {
            (self.group, self.of_group, self.cuts) = (group, 0, cuts);
        }
        self.of_group += 1;
        self.events.push(StepEvent { others: Others { before, beside: false }, ..event });
    }

    fn close(&mut self, group: usize, of_time: usize, has_beside: bool) {
        if self.group == group && (has_beside || self.of_group < of_time) {
            let first = self.events.len() - self.of_group;
            self.events[first..].iter_mut().for_each(|event| event.others.beside = true);
        }
    }
}
