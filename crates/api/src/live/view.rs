use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use event::{TimestampMs, UniqueSketch};
use realtime_store::{Cell, Resolution};
use serde::Serialize;
use utoipa::ToSchema;

use super::params::LiveQuestion;
use crate::time::iso_utc;

pub(crate) const WINDOW_MS: i64 = 5_000;
const WINDOWS_PER_MINUTE: usize = 12;
/// Active users now: the last 5 minutes.
const ACTIVE_NOW_WINDOWS: usize = 5 * WINDOWS_PER_MINUTE;
/// Active users and sessions: the last 30 minutes.
const ACTIVE_WINDOWS: usize = 30 * WINDOWS_PER_MINUTE;
/// Closed windows behind the events per second.
const RATE_WINDOWS: usize = 2;
const MAX_TOP: usize = 20;

/// The last minutes of an app.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct LiveAnswer {
    /// Persons with an event in the last 5 minutes.
    active_users: u64,
    /// Persons with an event in the last 30 minutes.
    active_users_30m: u64,
    /// Sessions with an event in the last 30 minutes.
    active_sessions: u64,
    /// Events a second over the last two closed 5-second windows.
    events_per_second: f64,
    /// Minutes that `series`, `top_events`, `top_pages` and `conversion` cover.
    minutes: u32,
    series: LiveSeries,
    /// Most frequent first, 20 at most.
    top_events: Vec<TopEvent>,
    /// Most viewed first, 20 at most.
    top_pages: Vec<TopPage>,
    conversion: ConversionNow,
    /// Always false: users and sessions come from sketches; events are exact.
    exact: bool,
    /// Relative standard error of users and sessions.
    relative_standard_error: f64,
}

/// One entry a window, oldest first; the last window is still open.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct LiveSeries {
    /// Start of the first window, ISO 8601.
    start: String,
    /// Length of a window.
    #[schema(example = 5000)]
    step_ms: i64,
    events: Vec<u64>,
    users: Vec<u64>,
}

/// An event name by its count.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TopEvent {
    event: String,
    events: u64,
    users: u64,
}

/// A page by its views.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TopPage {
    page: String,
    views: u64,
}

/// Users of one event over users of another, as sketches tell.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ConversionNow {
    from: String,
    to: String,
    from_users: u64,
    to_users: u64,
    /// `to_users / from_users`; null without users to start from.
    rate: Option<f64>,
}

/// Which cells the view needs: `[from_ms, to_ms)`.
pub(crate) fn cell_range(question: &LiveQuestion, now_ms: TimestampMs) -> (TimestampMs, TimestampMs) {
    let windows = (question.minutes as usize * WINDOWS_PER_MINUTE).max(ACTIVE_WINDOWS);
    let to_ms = Resolution::FiveSeconds.start_of(now_ms) + WINDOW_MS;
    (to_ms - windows as i64 * WINDOW_MS, to_ms)
}

/// Turns an app's cells, ascending in `range`, into the answer.
#[derive(Default)]
pub(crate) struct Viewer {
    /// Users per window, estimated when its cell was last seen: most windows are closed and an estimate costs more than a look-up.
    estimates: HashMap<TimestampMs, (Arc<Cell>, u64)>,
}

impl Viewer {
    pub(crate) fn view(&mut self, cells: &[(TimestampMs, Arc<Cell>)], question: &LiveQuestion, range: (TimestampMs, TimestampMs)) -> LiveAnswer {
        let (from_ms, to_ms) = range;
        let windows = question.minutes as usize * WINDOWS_PER_MINUTE;
        let shown_from_ms = to_ms - windows as i64 * WINDOW_MS;
        self.estimates.retain(|start_ms, _| *start_ms >= from_ms);
        let last = |windows: usize| {
            let since = to_ms - windows as i64 * WINDOW_MS;
            cells.iter().filter(move |(start_ms, _)| *start_ms >= since).map(|(_, cell)| cell.as_ref())
        };
        let closed = last(RATE_WINDOWS + 1).map(|cell| cell.events).sum::<u64>() - last(1).map(|cell| cell.events).sum::<u64>();
        LiveAnswer {
            active_users: count(last(ACTIVE_NOW_WINDOWS).map(|cell| &cell.users)),
            active_users_30m: count(last(ACTIVE_WINDOWS).map(|cell| &cell.users)),
            active_sessions: count(last(ACTIVE_WINDOWS).map(|cell| &cell.sessions)),
            events_per_second: closed as f64 / (RATE_WINDOWS as i64 * WINDOW_MS / 1000) as f64,
            minutes: question.minutes,
            series: self.series(cells, shown_from_ms, windows),
            top_events: top_events(&last(windows)),
            top_pages: top_pages(last(windows)),
            conversion: conversion(&last(windows), question),
            exact: false,
            relative_standard_error: UniqueSketch::RELATIVE_STANDARD_ERROR,
        }
    }

    fn series(&mut self, cells: &[(TimestampMs, Arc<Cell>)], from_ms: TimestampMs, windows: usize) -> LiveSeries {
        let (mut events, mut users) = (vec![0; windows], vec![0; windows]);
        for (start_ms, cell) in cells.iter().filter(|(start_ms, _)| *start_ms >= from_ms) {
            let window = ((start_ms - from_ms) / WINDOW_MS) as usize;
            let known = self.estimates.get(start_ms).filter(|(seen, _)| Arc::ptr_eq(seen, cell)).map(|(_, users)| *users);
            let estimated = known.unwrap_or_else(|| {
                let estimated = round(cell.users.estimate());
                self.estimates.insert(*start_ms, (Arc::clone(cell), estimated));
                estimated
            });
            if window < windows {
                (events[window], users[window]) = (cell.events, estimated);
            }
        }
        LiveSeries { start: iso_utc(from_ms), step_ms: WINDOW_MS, events, users }
    }
}

fn top_events<'c>(cells: &(impl Iterator<Item = &'c Cell> + Clone)) -> Vec<TopEvent> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    cells.clone().flat_map(|cell| cell.by_event.iter()).for_each(|(name, event)| *counts.entry(name).or_default() += event.events);
    let users = |name: &str| count(cells.clone().filter_map(|cell| cell.by_event.get(name)).map(|event| &event.users));
    top(counts).into_iter().map(|(name, events)| TopEvent { event: name.to_owned(), events, users: users(name) }).collect()
}

fn top_pages<'c>(cells: impl Iterator<Item = &'c Cell>) -> Vec<TopPage> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    cells.flat_map(|cell| cell.pages.iter()).for_each(|(page, views)| *counts.entry(page).or_default() += views);
    top(counts).into_iter().map(|(page, views)| TopPage { page: page.to_owned(), views }).collect()
}

/// The largest counts, ties by name.
fn top(counts: HashMap<&str, u64>) -> Vec<(&str, u64)> {
    let mut ranked: Vec<_> = counts.into_iter().collect();
    ranked.sort_unstable_by_key(|&(name, count)| (Reverse(count), name));
    ranked.truncate(MAX_TOP);
    ranked
}

fn conversion<'c>(cells: &(impl Iterator<Item = &'c Cell> + Clone), question: &LiveQuestion) -> ConversionNow {
    let users = |name: &str| estimate(cells.clone().filter_map(|cell| cell.by_event.get(name)).map(|event| &event.users));
    let (from_users, to_users) = (users(&question.from), users(&question.to));
    ConversionNow {
        from: question.from.clone(),
        to: question.to.clone(),
        from_users: round(from_users),
        to_users: round(to_users),
        rate: (from_users > 0.0).then(|| to_users / from_users),
    }
}

fn estimate<'c>(sketches: impl Iterator<Item = &'c UniqueSketch>) -> f64 {
    let mut all = UniqueSketch::default();
    sketches.for_each(|sketch| all.merge(sketch));
    all.estimate()
}

fn count<'c>(sketches: impl Iterator<Item = &'c UniqueSketch>) -> u64 {
    round(estimate(sketches))
}

fn round(estimate: f64) -> u64 {
    estimate.round().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use event::PersonHash;
    use realtime_store::WindowEvent;

    use super::*;

    const NOW_MS: i64 = 1_780_000_002_000;

    fn question(minutes: u32) -> LiveQuestion {
        LiveQuestion { minutes, from: "page_view".to_owned(), to: "purchase".to_owned() }
    }

    /// Name, person, page.
    type Event = (&'static str, u64, Option<&'static str>);

    /// Windows by how many seconds they start before the open one; persons are spread, as hashes are.
    fn cells(windows: &[(i64, &[Event])]) -> Vec<(TimestampMs, Arc<Cell>)> {
        let open = Resolution::FiveSeconds.start_of(NOW_MS);
        let cell_of = |events: &[Event]| {
            let mut cell = Cell::default();
            for &(event, person, page) in events {
                let person = Some(PersonHash(person.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
                cell.add(&WindowEvent { event, person, session: person, page });
            }
            Arc::new(cell)
        };
        let mut cells: Vec<_> = windows.iter().map(|(ago, events)| (open - ago * 1000, cell_of(events))).collect();
        cells.sort_by_key(|(start_ms, _)| *start_ms);
        cells
    }

    #[test]
    fn numbers_of_a_small_world() {
        let cells = cells(&[
            (0, &[("page_view", 1, Some("/")), ("purchase", 1, None)]),
            (5, &[("page_view", 1, Some("/")), ("page_view", 2, Some("/a"))]),
            (10, &[("click", 3, None)]),
            (15, &[("click", 3, None)]),
            (295, &[("page_view", 4, Some("/"))]),
            (300, &[("page_view", 5, Some("/b"))]),
            (1795, &[("click", 6, None)]),
        ]);
        let question = question(5);
        let view = Viewer::default().view(&cells, &question, cell_range(&question, NOW_MS));
        assert_eq!((view.active_users, view.active_users_30m, view.active_sessions), (4, 6, 6));
        assert_eq!(view.events_per_second, 0.3, "the two closed windows hold three events, the open one does not count");
        assert_eq!(view.series.events.len(), 60);
        assert_eq!(view.series.events[56..], [1, 1, 2, 2]);
        assert_eq!(view.series.users[56..], [1, 1, 2, 1]);
        assert_eq!(view.series.events[0], 1, "a window 295 s ago is the first of five minutes");
        let names: Vec<_> = view.top_events.iter().map(|top| (top.event.as_str(), top.events, top.users)).collect();
        assert_eq!(names, [("page_view", 4, 3), ("click", 2, 1), ("purchase", 1, 1)]);
        let pages: Vec<_> = view.top_pages.iter().map(|top| (top.page.as_str(), top.views)).collect();
        assert_eq!(pages, [("/", 3), ("/a", 1)]);
        assert_eq!((view.conversion.from_users, view.conversion.to_users), (3, 1));
        assert!((view.conversion.rate.unwrap() - 1.0 / 3.0).abs() < 1e-3);
    }

    #[test]
    fn nothing_yet() {
        let question = question(120);
        let view = Viewer::default().view(&[], &question, cell_range(&question, NOW_MS));
        assert_eq!(view.series.events, vec![0; 1440]);
        assert_eq!((view.active_users, view.conversion.rate), (0, None));
    }

    #[test]
    fn a_changed_window_is_estimated_again_and_old_ones_are_forgotten() {
        let question = question(1);
        let mut viewer = Viewer::default();
        let range = cell_range(&question, NOW_MS);
        viewer.view(&cells(&[(0, &[("a", 1, None)])]), &question, range);
        let changed = viewer.view(&cells(&[(0, &[("a", 1, None), ("a", 2, None)])]), &question, range);
        assert_eq!(changed.series.users.last(), Some(&2));
        viewer.view(&[], &question, cell_range(&question, NOW_MS + 2 * 3_600_000));
        assert!(viewer.estimates.is_empty());
    }

    #[test]
    fn tops_are_bounded_and_ordered() {
        let counts: HashMap<&str, u64> = ["b", "a", "c"].into_iter().map(|name| (name, 1)).collect();
        assert_eq!(top(counts), [("a", 1), ("b", 1), ("c", 1)]);
        let names: Vec<String> = (0..50).map(|n| format!("{n:02}")).collect();
        let many = names.iter().map(|name| (name.as_str(), 1)).collect();
        assert_eq!(top(many).len(), MAX_TOP);
    }
}
