//! The sessions of one person after the other, and what each thread keeps of them.

use event_store::{QueryContext, QueryError, SessionCuts, SessionsPlan};

use super::labels::{Mark, Marks, NONE};
use crate::exec::bucket::BucketFinder;
use crate::exec::cells::CellTable;
use crate::exec::records::{NO_SESSION, Record};
use crate::exec::scan::Reserved;
use crate::exec::timeline::Timeline;

/// Set at the first session of a person.
const PERSON_BEGINS: u32 = 1 << 31;
/// Bytes that are kept of a session.
const SESSION_BYTES: usize = size_of::<u32>() + size_of::<f64>();

/// What sessions of one group in one bucket come to, beside what needs all of them.
#[derive(Clone, Copy, Default)]
pub(super) struct CellSums {
    pub(super) sessions: u64,
    pub(super) events: u64,
    pub(super) pages: u64,
    pub(super) bounces: u64,
    pub(super) length_ms: u128,
}

impl CellSums {
    /// Adds other sessions.
    pub(super) fn add(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.events += other.events;
        self.pages += other.pages;
        self.bounces += other.bounces;
        self.length_ms += other.length_ms;
    }
}

/// Sessions that begin with a page, and those that end with it.
#[derive(Clone, Copy, Default)]
pub(super) struct PageSums {
    /// All of them, and those that bounced.
    pub(super) entries: (u64, u64),
    pub(super) exits: (u64, u64),
}

impl PageSums {
    /// Adds other sessions.
    pub(super) fn add(&mut self, other: &Self) {
        for (own, other) in [(&mut self.entries, other.entries), (&mut self.exits, other.exits)] {
            own.0 += other.0;
            own.1 += other.1;
        }
    }
}

/// What one thread has found.
pub(super) struct Tally {
    pub(super) cells: CellTable,
    /// By cell of the thread.
    pub(super) sums: Vec<CellSums>,
    /// Of each session its cell, one person after the other.
    sessions: Vec<u32>,
    /// Of each session its length in milliseconds: below 2^53.
    pub(super) lengths: Vec<f64>,
    /// By place of the page.
    pub(super) pages: Vec<PageSums>,
    /// By bin.
    pub(super) bins: Vec<u64>,
    pub(super) with_page: u64,
    person_has_session: bool,
    memory: Reserved,
}

impl Tally {
    pub(super) fn new(follower: &Follower<'_>, context: &QueryContext) -> Self {
        Self {
            cells: CellTable::new(follower.buckets.count()),
            sums: Vec::new(),
            sessions: Vec::new(),
            lengths: Vec::new(),
            pages: Vec::new(),
            bins: vec![0; follower.plan.bins.len() + 1],
            with_page: 0,
            person_has_session: false,
            memory: Reserved::new(context),
        }
    }

    /// The cells of the sessions of each person.
    pub(super) fn persons(&self) -> impl Iterator<Item = &[u32]> {
        self.sessions.chunk_by(|_, next| next & PERSON_BEGINS == 0)
    }

    /// The cell of each session, in the order of the lengths.
    pub(super) fn cells_of_sessions(&self) -> impl Iterator<Item = usize> {
        self.sessions.iter().map(|&entry| cell_of(entry))
    }

    fn add(&mut self, follower: &Follower<'_>, session: &Session, group: u32) -> Result<(), QueryError> {
        let plan = follower.plan;
        let length_ms = session.last_ms - session.start_ms;
        let bounces = session.counting <= plan.bounce.max_events && plan.bounce.max_length_ms.is_none_or(|most_ms| length_ms <= most_ms);
        let cell = self.cells.intern(group, follower.buckets.find(session.start_ms));
        if self.sums.len() < self.cells.len() {
            self.memory.grow((self.cells.len() - self.sums.len()) * 2 * size_of::<CellSums>())?;
            self.sums.resize(self.cells.len(), CellSums::default());
        }
        self.sums[cell as usize].add(&CellSums {
            sessions: 1,
            events: session.events,
            pages: session.pages,
            bounces: u64::from(bounces),
            length_ms: length_ms as u128,
        });
        self.bins[plan.bins.partition_point(|&end_ms| end_ms <= length_ms)] += 1;
        if let (Some((_, entry)), Some((_, exit))) = (session.entry, session.exit) {
            self.with_page += 1;
            if self.pages.is_empty() {
                self.memory.grow(follower.marks.pages.len() * size_of::<PageSums>())?;
                self.pages.resize(follower.marks.pages.len(), PageSums::default());
            }
            let bounced = u64::from(bounces);
            self.pages[entry as usize].add(&PageSums { entries: (1, bounced), exits: (0, 0) });
            self.pages[exit as usize].add(&PageSums { entries: (0, 0), exits: (1, bounced) });
        }
        if self.lengths.len() == self.lengths.capacity() {
            let more = self.lengths.capacity().max(64);
            self.memory.grow(more * SESSION_BYTES)?;
            self.lengths.reserve_exact(more);
            self.sessions.reserve_exact(more);
        }
        let begins = if std::mem::replace(&mut self.person_has_session, true) { 0 } else { PERSON_BEGINS };
        self.sessions.push(cell | begins);
        self.lengths.push(length_ms as f64);
        Ok(())
    }
}

/// A cell as it stands among those of a person.
pub(super) fn cell_of(entry: u32) -> usize {
    (entry & !PERSON_BEGINS) as usize
}

/// A session so far.
struct Session {
    start_ms: i64,
    last_ms: i64,
    events: u64,
    counting: u64,
    pages: u64,
    /// Time and group of the first event that matches; of those of one time, the first group in order.
    first_match: Option<(i64, u32)>,
    /// Time and page of the first page, of those of one time the first in order; and of the last, the last.
    entry: Option<(i64, u32)>,
    exit: Option<(i64, u32)>,
}

impl Session {
    fn new(start_ms: i64) -> Self {
        Self { start_ms, last_ms: start_ms, events: 0, counting: 0, pages: 0, first_match: None, entry: None, exit: None }
    }

    /// Adds an event that is no earlier than those before.
    #[inline]
    fn add(&mut self, time_ms: i64, mark: Mark) {
        self.last_ms = time_ms;
        self.events += 1;
        self.counting += u64::from(mark.counts);
        if mark.group != NONE {
            let group = (time_ms, mark.group);
            self.first_match = Some(self.first_match.map_or(group, |first| first.min(group)));
        }
        if mark.page != NONE {
            let page = (time_ms, mark.page);
            self.pages += 1;
            self.entry = Some(self.entry.map_or(page, |entry| entry.min(page)));
            self.exit = Some(self.exit.map_or(page, |exit| exit.max(page)));
        }
    }
}

/// How persons are followed.
pub(super) struct Follower<'f> {
    pub(super) plan: &'f SessionsPlan,
    pub(super) timeline: Timeline,
    pub(super) marks: &'f Marks,
    pub(super) buckets: &'f BucketFinder,
}

impl Follower<'_> {
    /// Follows one person, whose events are in order of session and time.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    pub(super) fn follow<R: Record>(&self, tally: &mut Tally, events: &[R]) -> Result<(), QueryError> {
        tally.person_has_session = false;
        for of_id in events.chunk_by(|a, b| a.session() == b.session()) {
            let is_cut = of_id.first().is_some_and(|event| event.session() == NO_SESSION);
            let mut cuts = SessionCuts::new(self.plan.rule);
            let mut open: Option<Session> = None;
            for event in of_id {
                let moment = self.timeline.moment(event.payload());
                if is_cut && cuts.begins(moment.time_ms) {
                    self.close(tally, open.take())?;
                }
                let session = open.get_or_insert_with(|| Session::new(moment.time_ms));
                session.add(moment.time_ms, self.marks.by_label[moment.label as usize]);
            }
            self.close(tally, open)?;
        }
        Ok(())
    }

    /// Counts a session that begins in the range and has a match.
    fn close(&self, tally: &mut Tally, session: Option<Session>) -> Result<(), QueryError> {
        match session {
            Some(session) if session.start_ms >= self.plan.scan.from_ms => match session.first_match {
                Some((_, group)) => tally.add(self, &session, group),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
