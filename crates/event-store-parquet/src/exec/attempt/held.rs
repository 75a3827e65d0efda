//! One person's events cut into streams of which each has one value of what is held constant.

use super::{Others, StepEvent};

/// The streams one after the other. With `others`, events of other values count as events that match nothing in each.
pub(super) fn streams(events: &[StepEvent], others: bool) -> Vec<StepEvent> {
    if !others {
        let mut streams: Vec<StepEvent> = events.iter().filter(|event| event.hold != 0).copied().collect();
        streams.sort_by_key(|event| event.hold);
        return streams;
    }
    let mut placed = placed(events);
    placed.sort_by_key(|(event, _)| event.hold);
    for stream in placed.chunk_by_mut(|(a, _), (b, _)| a.hold == b.hold) {
        let mut last: Option<Place> = None;
        for group in stream.chunk_by_mut(|(_, a), (_, b)| a.group == b.group) {
            let place = group[0].1;
            let before = last.is_some_and(|last| place.cuts > last.cuts || place.group > last.group + 1);
            let beside = place.has_beside || group.len() < place.of_time;
            group.iter_mut().for_each(|(event, _)| event.others = Others { before, beside });
            last = Some(place);
        }
    }
    placed.into_iter().map(|(event, _)| event).collect()
}

/// Where the events of one time stand among all of the person.
#[derive(Clone, Copy)]
struct Place {
    /// Number of the time.
    group: usize,
    /// Events of that time.
    of_time: usize,
    /// Times up to this one that events which match nothing come before.
    cuts: usize,
    /// Whether events that match nothing have that time.
    has_beside: bool,
}

fn placed(events: &[StepEvent]) -> Vec<(StepEvent, Place)> {
    let mut placed = Vec::with_capacity(events.len());
    let mut cuts = 0;
    for (number, group) in events.chunk_by(|a, b| a.time_ms == b.time_ms).enumerate() {
        cuts += usize::from(group.iter().any(|event| event.others.before));
        let place = Place { group: number, of_time: group.len(), cuts, has_beside: group.iter().any(|event| event.others.beside) };
        placed.extend(group.iter().filter(|event| event.hold != 0).map(|event| (*event, place)));
    }
    placed
}
