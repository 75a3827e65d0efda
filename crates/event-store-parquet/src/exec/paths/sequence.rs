//! The steps of one sequence, and the paths in it.

use event_store::{Occurrence, PathSide, PathsPlan, QueryError};

use super::path::Path;

/// What a path is of a sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathRule {
    anchor: Option<(PathSide, Occurrence)>,
    steps: usize,
    collapse_repeats: bool,
    full_length_only: bool,
}

impl PathRule {
    pub(super) fn of(plan: &PathsPlan) -> Self {
        Self {
            anchor: plan.anchor.as_ref().map(|anchor| (anchor.side, anchor.occurrence)),
            steps: plan.steps,
            collapse_repeats: plan.collapse_repeats,
            full_length_only: plan.full_length_only,
        }
    }

    /// Names of the longest path.
    pub(super) fn most_names(self) -> usize {
        self.steps + usize::from(self.anchor.is_some())
    }

    pub(super) fn side(self) -> Option<PathSide> {
        self.anchor.map(|(side, _)| side)
    }
}

/// A step; of those at one time, the smaller name comes first, and of one name that which matches the anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    /// The name's place in order.
    name: u32,
    is_no_anchor: bool,
}

/// Bytes of a step, for memory budgets.
pub(super) const STEP_BYTES: usize = size_of::<Step>();

/// The steps of one sequence so far.
#[derive(Default)]
pub(super) struct Sequence {
    steps: Vec<Step>,
    /// Where the steps of the latest time begin.
    latest: usize,
    latest_ms: i64,
}

impl Sequence {
    /// Adds a step that is no earlier than the ones before.
    #[inline]
    pub(super) fn push(&mut self, time_ms: i64, name: u32, is_anchor: bool) {
        if self.latest_ms != time_ms {
            self.order_latest();
            self.latest_ms = time_ms;
        }
        self.steps.push(Step { name, is_no_anchor: !is_anchor });
    }

    #[inline]
    fn order_latest(&mut self) {
        if self.steps.len() - self.latest > 1 {
            self.steps[self.latest..].sort_unstable();
        }
        self.latest = self.steps.len();
    }

    /// Gives out the paths, and begins anew.
    ///
    /// # Errors
    /// The first of `each`.
    pub(super) fn finish(&mut self, rule: PathRule, mut each: impl FnMut(Path) -> Result<(), QueryError>) -> Result<(), QueryError> {
        if self.steps.is_empty() {
            return Ok(());
        }
        self.order_latest();
        if rule.collapse_repeats {
            self.steps.dedup_by(|next, kept| {
                let same = next.name == kept.name;
                if same {
                    kept.is_no_anchor &= next.is_no_anchor;
                }
                same
            });
        }
        let steps = &self.steps;
        let mut anchors = (0..steps.len()).filter(|&at| !steps[at].is_no_anchor);
        let mut give = |at: usize| match rule.take(steps, at) {
            Some(path) => each(path),
            None => Ok(()),
        };
        let given = match rule.anchor {
            None => give(0),
            Some((_, Occurrence::First)) => anchors.next().map_or(Ok(()), give),
            Some((_, Occurrence::Last)) => anchors.next_back().map_or(Ok(()), give),
            Some((_, Occurrence::Every)) => anchors.try_for_each(give),
        };
        self.steps.clear();
        self.latest = 0;
        given
    }
}

impl PathRule {
    /// The path that begins, or ends, at a step.
    fn take(self, steps: &[Step], at: usize) -> Option<Path> {
        let most = self.most_names();
        let taken = match self.side() {
            Some(PathSide::End) => &steps[(at + 1).saturating_sub(most)..=at],
            Some(PathSide::Start) | None => &steps[at..steps.len().min(at + most)],
        };
        (taken.len() == most || !self.full_length_only).then(|| Path::of(taken.iter().map(|step| step.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `A` is name 0 and matches the anchor; steps one after the other.
    fn paths(text: &str, rule: PathRule) -> Vec<String> {
        let mut sequence = Sequence::default();
        for (time_ms, name) in (0..).zip(text.bytes()) {
            sequence.push(time_ms, u32::from(name - b'A'), name == b'A');
        }
        let mut found = Vec::new();
        let text = |path: Path| path.names().map(|name| char::from(b'A' + name as u8)).collect();
        sequence
            .finish(rule, |path| {
                found.push(text(path));
                Ok(())
            })
            .unwrap();
        assert!(sequence.steps.is_empty());
        found
    }

    fn rule(anchor: Option<(PathSide, Occurrence)>) -> PathRule {
        PathRule { anchor, steps: 2, collapse_repeats: false, full_length_only: false }
    }

    #[test]
    fn before_and_after() {
        let (start, end) = (PathSide::Start, PathSide::End);
        let text = "BBACCABA";
        assert_eq!(paths(text, rule(None)), ["BB"]);
        assert_eq!(paths(text, rule(Some((start, Occurrence::First)))), ["ACC"]);
        assert_eq!(paths(text, rule(Some((start, Occurrence::Last)))), ["A"]);
        assert_eq!(paths(text, rule(Some((start, Occurrence::Every)))), ["ACC", "ABA", "A"]);
        assert_eq!(paths(text, rule(Some((end, Occurrence::First)))), ["BBA"]);
        assert_eq!(paths(text, rule(Some((end, Occurrence::Last)))), ["ABA"]);
        assert_eq!(paths("AB", rule(Some((end, Occurrence::Every)))), ["A"]);
        let whole = PathRule { full_length_only: true, ..rule(Some((start, Occurrence::Every))) };
        assert_eq!(paths(text, whole), ["ACC", "ABA"]);
        let collapsed = PathRule { collapse_repeats: true, ..rule(Some((start, Occurrence::Every))) };
        assert_eq!(paths("AAACCABB", collapsed), ["ACA", "AB"]);
        assert_eq!(paths("BCB", rule(Some((start, Occurrence::First)))), Vec::<String>::new());
    }

    #[test]
    fn one_time_is_in_order_of_names() {
        let mut sequence = Sequence::default();
        for (time_ms, name, is_anchor) in [(5, 2, false), (5, 1, false), (5, 1, true), (9, 0, false)] {
            sequence.push(time_ms, name, is_anchor);
        }
        let mut found = Vec::new();
        let rule = PathRule { steps: 3, ..rule(Some((PathSide::Start, Occurrence::First))) };
        sequence
            .finish(rule, |path| {
                found.extend(path.names());
                Ok(())
            })
            .unwrap();
        assert_eq!(found, [1, 1, 2, 0]);
    }
}
