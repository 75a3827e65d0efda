use event::{AppId, PersonHash, TimestampMs, UniqueSketch};

use crate::bounded::BoundedMap;

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
    /// Every resolution, finest first.
    pub const ALL: [Resolution; 2] = [Self::FiveSeconds, Self::Minute];

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

/// What happened in one window. Equal events give equal cells, in whatever order they came and however they were merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// All events.
    pub events: u64,
    /// Distinct persons.
    pub users: UniqueSketch,
    /// Distinct sessions: the client's session id, else the person (who has one active session at a time).
    pub sessions: UniqueSketch,
    /// By name; the [`MAX_EVENT_NAMES`] names with the smallest hashes, exact. See [`BoundedMap`].
    pub by_event: BoundedMap<EventCell, MAX_EVENT_NAMES>,
    /// Page views by page; the [`MAX_PAGES`] pages with the smallest hashes, exact.
    pub pages: BoundedMap<u64, MAX_PAGES>,
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
    pub fn add(&mut self, event: &WindowEvent<'_>) {
        self.events += 1;
        if let Some(person) = event.person {
            self.users.insert(person);
        }
        if let Some(session) = event.session {
            self.sessions.insert(session);
        }
        if let Some(cell) = self.by_event.entry(event.event) {
            cell.events += 1;
            if let Some(person) = event.person {
                cell.users.insert(person);
            }
        }
        if let Some(page) = event.page
            && let Some(count) = self.pages.entry(page)
        {
            *count += 1;
        }
    }

    /// Adds all of another window, for coarser windows and for ranges.
    pub fn merge(&mut self, other: &Cell) {
        self.events += other.events;
        self.users.merge(&other.users);
        self.sessions.merge(&other.sessions);
        for (name, theirs) in other.by_event.iter_shared() {
            if let Some(ours) = self.by_event.entry_shared(name) {
                ours.events += theirs.events;
                ours.users.merge(&theirs.users);
            }
        }
        for (page, theirs) in other.pages.iter_shared() {
            if let Some(ours) = self.pages.entry_shared(page) {
                *ours += theirs;
            }
        }
    }

    /// Bytes of memory this cell holds, itself included.
    pub fn memory_bytes(&self) -> usize {
        let by_event: usize = self.by_event.iter().map(|(_, cell)| cell.users.memory_bytes()).sum();
        let sketches = self.users.memory_bytes() + self.sessions.memory_bytes() + by_event;
        size_of::<Self>() + sketches + self.by_event.memory_bytes() + self.pages.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    struct Sent {
        event: u16,
        person: Option<u64>,
        session: Option<u64>,
        page: Option<u16>,
    }

    fn sent() -> impl Strategy<Value = Sent> {
        let id = || proptest::option::weighted(0.9, 0u64..3_000);
        (0u16..400, id(), id(), proptest::option::of(0u16..1_200)).prop_map(|(event, person, session, page)| Sent {
            event,
            person,
            session,
            page,
        })
    }

    fn cell_of<'a>(events: impl IntoIterator<Item = &'a Sent>) -> Cell {
        let mut cell = Cell::default();
        for sent in events {
            let page = sent.page.map(|page| format!("/p/{page}"));
            cell.add(&WindowEvent {
                event: &format!("event {}", sent.event),
                person: sent.person.map(PersonHash),
                session: sent.session.map(PersonHash),
                page: page.as_deref(),
            });
        }
        cell
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Enough names to overflow both maps and enough persons to make sketches dense.
        #[test]
        fn any_order_and_any_partition_give_the_identical_cell(
            events in proptest::collection::vec(sent(), 0..3_000),
            order in any::<u64>(),
            parts in 1usize..9,
        ) {
            let direct = cell_of(&events);
            let mut shuffled: Vec<(u64, &Sent)> =
                events.iter().enumerate().map(|(i, sent)| ((i as u64 ^ order).wrapping_mul(0x9e37_79b9_7f4a_7c15), sent)).collect();
            shuffled.sort_by_key(|(key, _)| *key);
            prop_assert_eq!(&cell_of(shuffled.iter().map(|(_, sent)| *sent)), &direct);

            let mut partial = vec![Vec::new(); parts];
            shuffled.iter().for_each(|(key, sent)| partial[*key as usize % parts].push(*sent));
            let mut merged = Cell::default();
            partial.iter().for_each(|part| merged.merge(&cell_of(part.iter().copied())));
            prop_assert_eq!(&merged, &direct);

            let names: std::collections::HashSet<u16> = events.iter().map(|sent| sent.event).collect();
            prop_assert_eq!(direct.by_event.len(), names.len().min(MAX_EVENT_NAMES));
            for (name, cell) in &direct.by_event {
                let count = events.iter().filter(|sent| format!("event {}", sent.event) == name).count();
                prop_assert_eq!(cell.events, count as u64);
            }
        }
    }
}
