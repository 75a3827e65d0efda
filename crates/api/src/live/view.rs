use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
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
    sessions: Vec<u64>,
    /// Persons with the event that the conversion starts from.
    from_users: Vec<u64>,
    /// Persons with the event that the conversion ends with.
    to_users: Vec<u64>,
}

/// An event name by its count.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TopEvent {
    event: String,
    events: u64,
}

/// A page by its views.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TopPage {
    page: String,
    views: u64,
}

/// Users of one event as a share of the users of another, both within `minutes`, as sketches tell. They need not be the same persons:
/// who converts now may have begun before. A funnel (`/funnel`) follows each person.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ConversionNow {
    from: String,
    to: String,
    from_users: u64,
    to_users: u64,
    /// `to_users / from_users`, 1 at most: where more users ended than began within `minutes`, the others began before. Null without
    /// users to start from.
    rate: Option<f64>,
}

/// Which cells the view needs: `[from_ms, to_ms)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CellRange {
    pub(crate) from_ms: TimestampMs,
    pub(crate) to_ms: TimestampMs,
}

impl CellRange {
    pub(crate) fn of(question: &LiveQuestion, now_ms: TimestampMs) -> Self {
        let windows = (question.minutes as usize * WINDOWS_PER_MINUTE).max(ACTIVE_WINDOWS);
        let to_ms = Resolution::FiveSeconds.start_of(now_ms) + WINDOW_MS;
        Self { from_ms: to_ms - windows as i64 * WINDOW_MS, to_ms }
    }

    /// Start of the first of the last `windows` windows.
    fn last(self, windows: usize) -> TimestampMs {
        self.to_ms - windows as i64 * WINDOW_MS
    }
}

/// Turns an app's cells into the answer to one question, again and again as they change.
///
/// Only what changed costs: counts are kept as running totals, and the users of a window are estimated when its cell is new.
#[derive(Default)]
pub(crate) struct Viewer {
    windows: BTreeMap<TimestampMs, Seen>,
    /// Windows from here on are in `events` and `pages`.
    counted_from_ms: TimestampMs,
    events: Totals,
    pages: Totals,
}

struct Seen {
    cell: Arc<Cell>,
    users: u64,
    sessions: u64,
    from_users: u64,
    to_users: u64,
}

impl Seen {
    fn new(cell: Arc<Cell>, question: &LiveQuestion) -> Self {
        let users_of = |name: &str| cell.by_event.get(name).map_or(0, |event| round(event.users.estimate()));
        Self {
            users: round(cell.users.estimate()),
            sessions: round(cell.sessions.estimate()),
            from_users: users_of(&question.from),
            to_users: users_of(&question.to),
            cell,
        }
    }
}

impl Viewer {
    /// Takes the cells as they are now; windows that are not among them stay as they were, those before the range are forgotten.
    pub(crate) fn update(&mut self, cells: Vec<(TimestampMs, Arc<Cell>)>, question: &LiveQuestion, range: CellRange) {
        // Never back: a window that was counted out is not counted in again when the clock is set back.
        let counted_from_ms = range.last(question.minutes as usize * WINDOWS_PER_MINUTE).max(self.counted_from_ms);
        for (_, seen) in self.windows.range(self.counted_from_ms..counted_from_ms) {
            count_out(&mut self.events, &mut self.pages, &seen.cell);
        }
        self.counted_from_ms = counted_from_ms;
        self.windows = self.windows.split_off(&range.from_ms);
        for (start_ms, cell) in cells {
            let known = self.windows.get(&start_ms);
            if known.is_some_and(|seen| Arc::ptr_eq(&seen.cell, &cell)) {
                continue;
            }
            if start_ms >= counted_from_ms {
                if let Some(seen) = known {
                    count_out(&mut self.events, &mut self.pages, &seen.cell);
                }
                cell.by_event.iter().for_each(|(name, event)| self.events.add(name, event.events));
                cell.pages.iter().for_each(|(page, views)| self.pages.add(page, *views));
            }
            self.windows.insert(start_ms, Seen::new(cell, question));
        }
    }

    /// The answer from the cells seen so far.
    pub(crate) fn view(&self, question: &LiveQuestion, range: CellRange) -> LiveAnswer {
        let windows = question.minutes as usize * WINDOWS_PER_MINUTE;
        let last = |windows: usize| self.windows.range(range.last(windows)..range.to_ms).map(|(_, seen)| seen.cell.as_ref());
        let events = |windows: usize| last(windows).map(|cell| cell.events).sum::<u64>();
        let closed = events(RATE_WINDOWS + 1) - events(1);
        let top_events = self.events.top().into_iter().map(|(event, events)| TopEvent { event, events }).collect();
        let top_pages = self.pages.top().into_iter().map(|(page, views)| TopPage { page, views }).collect();
        LiveAnswer {
            active_users: round(estimate(last(ACTIVE_NOW_WINDOWS).map(|cell| &cell.users))),
            active_users_30m: round(estimate(last(ACTIVE_WINDOWS).map(|cell| &cell.users))),
            active_sessions: round(estimate(last(ACTIVE_WINDOWS).map(|cell| &cell.sessions))),
            events_per_second: closed as f64 / (RATE_WINDOWS as i64 * WINDOW_MS / 1000) as f64,
            minutes: question.minutes,
            series: self.series(windows, range),
            top_events,
            top_pages,
            conversion: conversion(&last(windows), question),
            exact: false,
            relative_standard_error: UniqueSketch::RELATIVE_STANDARD_ERROR,
        }
    }

    fn series(&self, windows: usize, range: CellRange) -> LiveSeries {
        let from_ms = range.last(windows);
        let column = |read: fn(&Seen) -> u64| {
            let mut column = vec![0; windows];
            for (start_ms, seen) in self.windows.range(from_ms..range.to_ms) {
                column[((start_ms - from_ms) / WINDOW_MS) as usize] = read(seen);
            }
            column
        };
        LiveSeries {
            start: iso_utc(from_ms),
            step_ms: WINDOW_MS,
            events: column(|seen| seen.cell.events),
            users: column(|seen| seen.users),
            sessions: column(|seen| seen.sessions),
            from_users: column(|seen| seen.from_users),
            to_users: column(|seen| seen.to_users),
        }
    }
}

fn count_out(events: &mut Totals, pages: &mut Totals, cell: &Cell) {
    cell.by_event.iter().for_each(|(name, event)| events.subtract(name, event.events));
    cell.pages.iter().for_each(|(page, views)| pages.subtract(page, *views));
}

/// Counts by name over the windows shown.
#[derive(Default)]
struct Totals(HashMap<String, u64>);

impl Totals {
    fn add(&mut self, name: &str, count: u64) {
        match self.0.get_mut(name) {
            Some(total) => *total += count,
            None => {
                self.0.insert(name.to_owned(), count);
            }
        }
    }

    fn subtract(&mut self, name: &str, count: u64) {
        if let Some(total) = self.0.get_mut(name) {
            *total -= count;
            if *total == 0 {
                self.0.remove(name);
            }
        }
    }

    /// The largest counts, ties by name.
    fn top(&self) -> Vec<(String, u64)> {
        let mut ranked: Vec<(&String, u64)> = self.0.iter().map(|(name, count)| (name, *count)).collect();
        ranked.sort_unstable_by_key(|&(name, count)| (Reverse(count), name));
        ranked.into_iter().take(MAX_TOP).map(|(name, count)| (name.clone(), count)).collect()
    }
}

fn conversion<'c>(cells: &(impl Iterator<Item = &'c Cell> + Clone), question: &LiveQuestion) -> ConversionNow {
    let users = |name: &str| estimate(cells.clone().filter_map(|cell| cell.by_event.get(name)).map(|event| &event.users));
    let (from_users, to_users) = (users(&question.from), users(&question.to));
    ConversionNow {
        from: question.from.clone(),
        to: question.to.clone(),
        from_users: round(from_users),
        to_users: round(to_users),
        rate: (from_users > 0.0).then(|| (to_users / from_users).min(1.0)),
    }
}

fn estimate<'c>(sketches: impl Iterator<Item = &'c UniqueSketch>) -> f64 {
    let mut all = UniqueSketch::default();
    sketches.for_each(|sketch| all.merge(sketch));
    all.estimate()
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

    fn view(cells: Vec<(TimestampMs, Arc<Cell>)>, question: &LiveQuestion) -> LiveAnswer {
        let (mut viewer, range) = (Viewer::default(), CellRange::of(question, NOW_MS));
        viewer.update(cells, question, range);
        viewer.view(question, range)
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
        let view = view(cells, &question(5));
        assert_eq!((view.active_users, view.active_users_30m, view.active_sessions), (4, 6, 6));
        assert_eq!(view.events_per_second, 0.3, "the two closed windows hold three events, the open one does not count");
        assert_eq!(view.series.events.len(), 60);
        assert_eq!(view.series.events[56..], [1, 1, 2, 2]);
        assert_eq!(view.series.users[56..], [1, 1, 2, 1]);
        assert_eq!(view.series.sessions[56..], [1, 1, 2, 1]);
        assert_eq!(view.series.from_users[56..], [0, 0, 2, 1]);
        assert_eq!(view.series.to_users[56..], [0, 0, 0, 1]);
        assert_eq!(view.series.events[0], 1, "a window 295 s ago is the first of five minutes");
        let names: Vec<_> = view.top_events.iter().map(|top| (top.event.as_str(), top.events)).collect();
        assert_eq!(names, [("page_view", 4), ("click", 2), ("purchase", 1)]);
        let pages: Vec<_> = view.top_pages.iter().map(|top| (top.page.as_str(), top.views)).collect();
        assert_eq!(pages, [("/", 3), ("/a", 1)]);
        assert_eq!((view.conversion.from_users, view.conversion.to_users), (3, 1));
        assert!((view.conversion.rate.unwrap() - 1.0 / 3.0).abs() < 1e-3);
    }

    #[test]
    fn a_share_is_never_more_than_all() {
        let cells = cells(&[(0, &[("purchase", 1, None), ("purchase", 2, None), ("page_view", 3, None)])]);
        let conversion = view(cells, &question(5)).conversion;
        assert_eq!((conversion.from_users, conversion.to_users, conversion.rate), (1, 2, Some(1.0)));
    }

    #[test]
    fn nothing_yet() {
        let view = view(Vec::new(), &question(120));
        assert_eq!(view.series.events, vec![0; 1440]);
        assert_eq!((view.active_users, view.conversion.rate), (0, None));
    }

    /// Running totals must equal a count from nothing, however windows change, arrive late and pass.
    #[test]
    fn following_equals_counting_anew() {
        let mut seed = 7u64;
        let mut random = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        const NAMES: [&str; 5] = ["page_view", "purchase", "click", "search", "login"];
        const PAGES: [Option<&str>; 4] = [None, Some("/"), Some("/a"), Some("/b")];
        for minutes in [1, 5, 30, 40] {
            let question = question(minutes);
            let mut world: BTreeMap<TimestampMs, Arc<Cell>> = BTreeMap::new();
            let mut following = Viewer::default();
            let mut now_ms = NOW_MS;
            for _ in 0..300 {
                now_ms += random(20_000) as i64;
                for _ in 0..random(4) {
                    let latest_ms = if random(4) == 0 { 3_000_000 } else { 10_000 };
                    let ago_ms = random(latest_ms) as i64;
                    let start_ms = Resolution::FiveSeconds.start_of(now_ms - ago_ms);
                    let mut cell = world.get(&start_ms).map(|cell| (**cell).clone()).unwrap_or_default();
                    let person = Some(PersonHash(random(50).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
                    cell.add(&WindowEvent { event: NAMES[random(5) as usize], person, session: person, page: PAGES[random(4) as usize] });
                    world.insert(start_ms, Arc::new(cell));
                }
                let range = CellRange::of(&question, now_ms);
                let cells = || world.range(range.from_ms..range.to_ms).map(|(start_ms, cell)| (*start_ms, Arc::clone(cell))).collect();
                following.update(cells(), &question, range);
                let mut anew = Viewer::default();
                anew.update(cells(), &question, range);
                assert_eq!(following.view(&question, range), anew.view(&question, range), "{minutes} minutes");
                assert!(following.windows.len() <= (minutes as usize * 12).max(ACTIVE_WINDOWS));
            }
        }
    }

    #[test]
    fn tops_are_bounded_and_ordered() {
        let mut totals = Totals::default();
        ["b", "a", "c"].iter().for_each(|name| totals.add(name, 1));
        totals.add("z", 2);
        let names = |totals: &Totals| totals.top().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&totals), ["z", "a", "b", "c"]);
        totals.subtract("z", 2);
        assert_eq!(names(&totals), ["a", "b", "c"]);
        (0..50).for_each(|n| totals.add(&format!("{n:02}"), 1));
        assert_eq!(totals.top().len(), MAX_TOP);
    }
}
