use std::collections::BTreeMap;

use event::{AppId, PersonHash, TimestampMs, UniqueSketch};
use xxhash_rust::xxh3::xxh3_64;

/// Event names counted one by one in a cell; the rest is the difference to the total.
pub const MAX_EVENT_NAMES: usize = 200;
/// Pages counted one by one in a cell.
pub const MAX_PAGES: usize = 500;
/// Name of what is not counted one by one.
pub const OTHER: &str = "$other";

/// Length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resolution {
    /// 5 seconds, kept for 2 hours.
    FiveSeconds,
    /// 1 minute, kept for 7 days.
    Minute,
}

impl Resolution {
    /// Length of a window, milliseconds.
    pub fn length_ms(self) -> i64 {
        match self {
            Self::FiveSeconds => 5_000,
            Self::Minute => 60_000,
        }
    }

    /// How long after its start a cell is kept, milliseconds.
    pub fn kept_ms(self) -> i64 {
        match self {
            Self::FiveSeconds => 2 * 3_600_000,
            Self::Minute => 7 * 86_400_000,
        }
    }

    /// Start of the window that holds `time_ms`.
    pub fn start_of(self, time_ms: TimestampMs) -> TimestampMs {
        time_ms - time_ms.rem_euclid(self.length_ms())
    }
}

/// Which cell: one app, one window.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellKey {
    /// The app.
    pub app: AppId,
    /// Length of the window.
    pub resolution: Resolution,
    /// First millisecond of the window, a multiple of its length.
    pub start_ms: TimestampMs,
}

/// One event name in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventCell {
    /// Events.
    pub events: u64,
    /// Distinct persons.
    pub users: UniqueSketch,
}

/// What happened in one window. Equal events give equal cells, in whatever order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// All events.
    pub events: u64,
    /// Distinct persons.
    pub users: UniqueSketch,
    /// Distinct sessions: the client's session id, else the person (who has one active session at a time).
    pub sessions: UniqueSketch,
    /// By name; the [`MAX_EVENT_NAMES`] names with the smallest hashes, exact. See [`Cell::add`].
    pub by_event: BTreeMap<String, EventCell>,
    /// Page views by page; the [`MAX_PAGES`] pages with the smallest hashes, exact.
    pub pages: BTreeMap<String, u64>,
}

/// One event as a cell counts it.
#[derive(Clone, Copy, Debug)]
pub struct WindowEvent<'a> {
    /// The event name.
    pub event: &'a str,
    /// The person, if any.
    pub person: Option<PersonHash>,
    /// Hash of the session id, else the person.
    pub session: Option<PersonHash>,
    /// The page of a page view.
    pub page: Option<&'a str>,
}

impl Cell {
    /// Counts one event.
    ///
    /// When a map is full it keeps the names with the smallest XXH3 hashes: whatever the order of arrival, the same names stay and
    /// their counts are exact, so a rebuilt cell is identical. (Keeping the most frequent would depend on the order.)
    pub fn add(&mut self, event: &WindowEvent<'_>) {
        self.events += 1;
        if let Some(person) = event.person {
            self.users.insert(person);
        }
        if let Some(session) = event.session {
            self.sessions.insert(session);
        }
        if let Some(cell) = bounded_entry(&mut self.by_event, event.event, MAX_EVENT_NAMES) {
            cell.events += 1;
            if let Some(person) = event.person {
                cell.users.insert(person);
            }
        }
        if let Some(page) = event.page
            && let Some(count) = bounded_entry(&mut self.pages, page, MAX_PAGES)
        {
            *count += 1;
        }
    }

    /// Adds all of another window, for coarser windows and for ranges.
    pub fn merge(&mut self, other: &Cell) {
        self.events += other.events;
        self.users.merge(&other.users);
        self.sessions.merge(&other.sessions);
        for (name, theirs) in &other.by_event {
            if let Some(ours) = bounded_entry(&mut self.by_event, name, MAX_EVENT_NAMES) {
                ours.events += theirs.events;
                ours.users.merge(&theirs.users);
            }
        }
        for (page, theirs) in &other.pages {
            if let Some(ours) = bounded_entry(&mut self.pages, page, MAX_PAGES) {
                *ours += theirs;
            }
        }
    }
}

/// The entry of `name`, or `None` when the map is full of names with smaller hashes.
fn bounded_entry<'m, V: Default>(map: &'m mut BTreeMap<String, V>, name: &str, max_len: usize) -> Option<&'m mut V> {
    if !map.contains_key(name) {
        if map.len() >= max_len {
            let rank = |name: &str| (xxh3_64(name.as_bytes()), name.to_owned());
            let last = map.keys().max_by_key(|name| rank(name))?.clone();
            if rank(name) > rank(&last) {
                return None;
            }
            map.remove(&last);
        }
        map.insert(name.to_owned(), V::default());
    }
    map.get_mut(name)
}
