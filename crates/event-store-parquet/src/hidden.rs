//! The rows of a segment that a person's deletion hides until the segment is written again.

use std::ops::Range;
use std::sync::Arc;

/// Rows of one segment that no reader may see. Invariant: ascending ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HiddenRows(Option<Arc<[Range<usize>]>>);

impl HiddenRows {
    /// Of ranges in any order.
    pub(crate) fn new(mut ranges: Vec<Range<usize>>) -> Self {
        ranges.retain(|range| !range.is_empty());
        ranges.sort_unstable_by_key(|range| (range.start, range.end));
        let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        Self((!joined.is_empty()).then(|| joined.into()))
    }

    /// The ranges.
    pub(crate) fn ranges(&self) -> &[Range<usize>] {
        self.0.as_deref().unwrap_or_default()
    }

    /// True for nearly every segment.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Number of hidden rows.
    pub(crate) fn rows(&self) -> u64 {
        self.ranges().iter().map(|range| range.len() as u64).sum()
    }

    /// What either hides.
    pub(crate) fn with(&self, other: &Self) -> Self {
        Self::new([self.ranges(), other.ranges()].concat())
    }

    /// The visible pieces of `rows`, ascending.
    pub(crate) fn visible_in(&self, rows: Range<usize>) -> Vec<Range<usize>> {
        let ranges = self.ranges();
        let first = ranges.partition_point(|range| range.end <= rows.start);
        let mut pieces = Vec::new();
        let mut start = rows.start;
        for hidden in ranges[first..].iter().take_while(|hidden| hidden.start < rows.end) {
            if start < hidden.start {
                pieces.push(start..hidden.start);
            }
            start = hidden.end;
        }
        if start < rows.end {
            pieces.push(start..rows.end);
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn visible_rows_are_those_not_hidden(
            hidden in prop::collection::vec((0usize..60, 0usize..9).prop_map(|(start, length)| start..start + length), 0..8),
            start in 0usize..60, length in 0usize..40,
        ) {
            let rows = HiddenRows::new(hidden.clone());
            prop_assert!(rows.ranges().windows(2).all(|pair| pair[0].end < pair[1].start));
            let is_hidden = |row: usize| hidden.iter().any(|range| range.contains(&row));
            prop_assert_eq!(rows.rows() as usize, (0..100).filter(|&row| is_hidden(row)).count());
            let visible: Vec<usize> = rows.visible_in(start..start + length).into_iter().flatten().collect();
            prop_assert_eq!(visible, (start..start + length).filter(|&row| !is_hidden(row)).collect::<Vec<_>>());
            let halves = hidden.split_at(hidden.len() / 2);
            prop_assert_eq!(HiddenRows::new(halves.0.to_vec()).with(&HiddenRows::new(halves.1.to_vec())), rows);
        }
    }
}
