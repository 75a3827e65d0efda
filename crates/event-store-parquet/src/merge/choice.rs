//! Which segments are worth merging into one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::segment::SegmentInfo;

const DAY_MS: i64 = 86_400_000;

/// Segments one compaction reads at most: each has a batch of rows in memory.
const MAX_INPUTS: usize = 32;
/// Segments of like size that make a compaction while their days are going on.
const MIN_INPUTS_OPEN: usize = 4;
/// Segments of like size that make a compaction once their days are over.
const MIN_INPUTS_CLOSED: usize = 2;
/// A day counts as going on for this long after its end, since most late events come soon.
const DAY_OPEN_AFTER_END_MS: i64 = 3_600_000;
/// A week likewise: until then its days stay apart, where a question about the last days reads few of them.
const WEEK_OPEN_AFTER_END_MS: i64 = DAY_MS;
/// Smaller segments count as this large: their cost is that they exist.
const SMALL_SEGMENT_BYTES: u64 = 256 * 1024;

/// The days that a segment has rows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Span {
    Day(i64),
    /// Monday to Sunday.
    Week(i64),
    /// Only an import of decades makes such segments.
    Longer,
}

impl Span {
    fn of(info: &SegmentInfo) -> Self {
        let (first, last) = (day_of(info.min_ms), day_of(info.max_ms));
        match (first == last, week_of(first) == week_of(last)) {
            (true, _) => Self::Day(first),
            (_, true) => Self::Week(week_of(first)),
            _ => Self::Longer,
        }
    }

    /// The span that this one becomes part of once that is over.
    fn longer(self, now_ms: i64) -> Option<Self> {
        let week = match self {
            Self::Day(day) => week_of(day),
            Self::Week(week) => week,
            Self::Longer => return None,
        };
        (first_day(week + 1) * DAY_MS + WEEK_OPEN_AFTER_END_MS <= now_ms).then_some(Self::Week(week))
    }

    fn min_inputs(self, now_ms: i64) -> usize {
        let is_closed = match self {
            Self::Day(day) => (day + 1) * DAY_MS + DAY_OPEN_AFTER_END_MS <= now_ms,
            Self::Week(_) => true,
            Self::Longer => false,
        };
        if is_closed { MIN_INPUTS_CLOSED } else { MIN_INPUTS_OPEN }
    }
}

fn day_of(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS)
}

/// 1970-01-01 was a Thursday.
fn week_of(day: i64) -> i64 {
    (day + 3).div_euclid(7)
}

fn first_day(week: i64) -> i64 {
    week * 7 - 3
}

/// How large segments and apps may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SizeLimits {
    /// No merge makes a segment larger than this.
    pub(crate) segment_bytes: u64,
    /// Rows of an app in one merge from which on it gets segments of its own.
    pub(crate) shared_app_rows: u64,
}

/// The app that has a segment for itself, because it is large.
fn owner(info: &SegmentInfo, limits: SizeLimits) -> Option<Arc<str>> {
    match info.apps.as_deref() {
        Some([only]) if only.rows >= limits.shared_app_rows => Some(only.app.clone()),
        _ => None,
    }
}

/// Groups of segments worth merging, as positions in `segments`: those of a day first, then those of a week that is over.
pub(crate) fn worth_merging(segments: &[&SegmentInfo], now_ms: i64, limits: SizeLimits) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<(Span, Option<Arc<str>>), Vec<usize>> = BTreeMap::new();
    for (at, info) in segments.iter().enumerate() {
        let (span, owner) = (Span::of(info), owner(info, limits));
        if let Some(longer) = span.longer(now_ms).filter(|longer| *longer != span) {
            groups.entry((longer, owner.clone())).or_default().push(at);
        }
        groups.entry((span, owner)).or_default().push(at);
    }
    let chosen = groups.into_iter().map(|((span, _), group)| choose(segments, group, span.min_inputs(now_ms), limits.segment_bytes));
    chosen.filter(|chosen| !chosen.is_empty()).collect()
}

/// The smallest segments of a group, as many as there are without one among them that is more than twice as large as all smaller ones
/// together: so every row is copied only a few times, and a large segment is not written again for a few late rows.
fn choose(segments: &[&SegmentInfo], mut group: Vec<usize>, least: usize, target_bytes: u64) -> Vec<usize> {
    group.sort_by_key(|&at| segments[at].bytes);
    let (mut total, mut chosen) = (0, 0);
    for (smaller, &at) in group.iter().enumerate().take(MAX_INPUTS) {
        let bytes = segments[at].bytes.max(SMALL_SEGMENT_BYTES);
        // Some that are much larger than the few before them may still be alike among themselves.
        let is_alike = bytes <= 2 * total;
        total += bytes;
        if total > target_bytes {
            break;
        }
        if is_alike && smaller + 1 >= least {
            chosen = smaller + 1;
        }
    }
    group.truncate(chosen);
    group
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::AppRows;

    const MIB: u64 = 1 << 20;
    const LARGE_APP_ROWS: u64 = 1_000;
    /// 2026-01-05, a Monday.
    const MONDAY: i64 = 20_458;

    fn segment(day: i64, days: i64, bytes: u64, apps: &[(&str, u64)]) -> SegmentInfo {
        let (min_ms, max_ms) = (day * DAY_MS, (day + days) * DAY_MS - 1);
        let apps: Vec<AppRows> = apps.iter().map(|&(app, rows)| AppRows { app: app.into(), rows, min_ms, max_ms }).collect();
        SegmentInfo {
            id: 0,
            path: String::new(),
            bytes,
            block_hashes: Arc::new([]),
            rows: apps.iter().map(|app| app.rows).sum(),
            min_app: apps[0].app.clone(),
            max_app: apps[apps.len() - 1].app.clone(),
            min_ms,
            max_ms,
            apps: Some(apps),
        }
    }

    fn chosen(segments: &[SegmentInfo], now_day: i64) -> Vec<Vec<usize>> {
        let limits = SizeLimits { segment_bytes: 192 * MIB, shared_app_rows: LARGE_APP_ROWS };
        worth_merging(&segments.iter().collect::<Vec<_>>(), now_day * DAY_MS, limits)
    }

    #[test]
    fn days_become_weeks_once_the_week_is_over() {
        let days: Vec<SegmentInfo> = (0..9).map(|day| segment(MONDAY + day, 1, 4 * MIB, &[("A", 100)])).collect();
        assert_eq!(chosen(&days, MONDAY + 7), Vec::<Vec<usize>>::new(), "Sunday's late events are still to come");
        assert_eq!(chosen(&days, MONDAY + 8), [(0..7).collect::<Vec<_>>()]);
        let week = [segment(MONDAY, 7, 30 * MIB, &[("A", 700)]), segment(MONDAY + 2, 1, MIB, &[("A", 1)])];
        assert_eq!(chosen(&week, MONDAY + 20), Vec::<Vec<usize>>::new(), "a week is not written again for a few late rows");
    }

    #[test]
    fn a_day_is_merged_early_when_there_is_much_and_later_when_there_is_little() {
        let two = [segment(MONDAY, 1, MIB, &[("A", 100)]), segment(MONDAY, 1, MIB, &[("A", 100)])];
        assert_eq!(chosen(&two, MONDAY + 1), Vec::<Vec<usize>>::new());
        assert_eq!(chosen(&two, MONDAY + 2), [vec![0, 1]]);
        let four: Vec<SegmentInfo> = (0..4).map(|_| segment(MONDAY, 1, MIB, &[("A", 100)])).collect();
        assert_eq!(chosen(&four, MONDAY), [vec![0, 1, 2, 3]]);
    }

    #[test]
    fn a_late_crumb_waits_for_company_and_stops_nobody() {
        let crumb = segment(MONDAY, 1, MIB / 16, &[("A", 1)]);
        let two = [segment(MONDAY, 1, 4 * MIB, &[("A", 100)]), crumb.clone()];
        assert_eq!(chosen(&two, MONDAY + 2), Vec::<Vec<usize>>::new());
        let with_another = [segment(MONDAY, 1, 4 * MIB, &[("A", 100)]), segment(MONDAY, 1, 3 * MIB, &[("A", 100)]), crumb];
        assert_eq!(chosen(&with_another, MONDAY + 2), [vec![2, 1, 0]]);
    }

    #[test]
    fn nothing_grows_beyond_the_target_and_large_apps_stay_apart() {
        let large: Vec<SegmentInfo> = (0..7).map(|day| segment(MONDAY + day, 1, 80 * MIB, &[("A", LARGE_APP_ROWS)])).collect();
        assert_eq!(chosen(&large, MONDAY + 20), [vec![0, 1]]);
        let mixed = [segment(MONDAY, 1, 2 * MIB, &[("A", LARGE_APP_ROWS)]), segment(MONDAY, 1, 2 * MIB, &[("B", 5), ("C", 5)])];
        assert_eq!(chosen(&mixed, MONDAY + 20), Vec::<Vec<usize>>::new());
    }
}
