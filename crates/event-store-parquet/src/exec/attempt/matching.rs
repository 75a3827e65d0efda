//! Steps and events of one time, each event used once.

use event_store::MAX_FUNNEL_STEPS;

use super::StepEvent;

/// A larger group of equal time is first reduced to the events that can matter.
const LARGE_GROUP: usize = 32;

/// The level reached from `level` with events of equal time, each used once, `steps` at most.
#[inline]
pub(in crate::exec) fn advance(group: &[StepEvent], level: usize, steps: usize) -> usize {
    match group {
        [event] => level + usize::from(level < steps && event.mask >> level & 1 == 1),
        group => advance_together(group, level, steps),
    }
}

fn advance_together(group: &[StepEvent], level: usize, steps: usize) -> usize {
    if level < steps && !group.iter().any(|event| event.mask >> level & 1 == 1) {
        return level;
    }
    let mut masks: Vec<u64> = group.iter().map(|event| event.mask).collect();
    if masks.len() > LARGE_GROUP {
        reduce(&mut masks);
    }
    let mut matching = Matching::new(masks);
    (level..steps).find(|&step| !matching.add(step)).unwrap_or(steps)
}

/// Whether each of `steps` can have an event of its own among `masks`.
pub(super) fn all_have_events(steps: &[usize], mut masks: Vec<u64>) -> bool {
    if masks.len() > LARGE_GROUP {
        reduce(&mut masks);
    }
    let mut matching = Matching::new(masks);
    steps.iter().all(|&step| matching.add(step))
}

/// Of equal masks, more than they have steps never matter.
fn reduce(masks: &mut Vec<u64>) {
    masks.sort_unstable();
    let (mut last, mut copies) = (0, 0);
    masks.retain(|&mask| {
        copies = if mask == last { copies + 1 } else { 1 };
        last = mask;
        copies <= mask.count_ones()
    });
}

/// A matching of steps to events, grown step by step by augmenting paths (Kuhn).
struct Matching {
    masks: Vec<u64>,
    step_of: Vec<Option<usize>>,
}

impl Matching {
    fn new(masks: Vec<u64>) -> Self {
        Self { step_of: vec![None; masks.len()], masks }
    }

    /// Gives `step` an event, moving others where that is possible.
    fn add(&mut self, step: usize) -> bool {
        let mut visited = vec![false; self.masks.len()];
        self.augment(step, &mut visited)
    }

    /// Recurses at most once per event, and a path has at most as many events as there are steps.
    fn augment(&mut self, step: usize, visited: &mut [bool]) -> bool {
        for event in 0..self.masks.len() {
            if self.masks[event] >> step & 1 == 0 || std::mem::replace(&mut visited[event], true) {
                continue;
            }
            let is_free = match self.step_of[event] {
                None => true,
                Some(other) => self.augment(other, visited),
            };
            if is_free {
                self.step_of[event] = Some(step);
                return true;
            }
        }
        false
    }
}

/// A matching of events to steps, grown event by event: of all events so far it holds as many as can be.
pub(super) struct Held {
    /// By step: the mask of the event that has it; 0 where none has.
    masks: [u64; MAX_FUNNEL_STEPS],
}

impl Held {
    pub(super) fn new() -> Self {
        Self { masks: [0; MAX_FUNNEL_STEPS] }
    }

    /// Gives an event with these steps one of them, moving others where that is possible; false where that is not.
    pub(super) fn add(&mut self, mask: u64) -> bool {
        self.augment(mask, &mut 0)
    }

    fn augment(&mut self, mask: u64, visited: &mut u64) -> bool {
        loop {
            let open = mask & !*visited;
            if open == 0 {
                return false;
            }
            let step = open.trailing_zeros() as usize;
            *visited |= 1 << step;
            if self.masks[step] == 0 || self.augment(self.masks[step], visited) {
                self.masks[step] = mask;
                return true;
            }
        }
    }
}
