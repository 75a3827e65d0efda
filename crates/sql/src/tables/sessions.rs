//! The view `sessions`: a row a session, cut as every other question cuts them.

use std::sync::{Mutex, PoisonError};

use event::{session_id_hash, session_key};
use event_store::{Field, QueryError, SessionCuts, SessionRule};
use rustc_hash::FxHashMap;

use super::ViewColumn;
use super::batch::BatchMaker;
use super::events::{all_events, each_row, person, text};
use super::view::{Outlet, ReadResult, Reading};

/// Parts that are sorted one after the other, so that a sort is short; a power of two.
const SHARDS: usize = 128;
const USER_ID: usize = 0;
const ANONYMOUS_ID: usize = 1;
const SESSION_ID: usize = 2;
/// Memory of an entry of a table beside its text.
const ENTRY_BYTES: usize = 64;

/// An event of a person.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    /// Of a client's session: true, and the hash of person and session id; else the person.
    has_id: bool,
    key: u64,
    time_ms: i64,
    person: u64,
}

#[derive(Default)]
struct Shard {
    moments: Vec<Moment>,
    persons: FxHashMap<u64, Box<str>>,
    ids: FxHashMap<u64, Box<str>>,
}

/// Cuts all of an app's events into sessions.
pub(super) fn read(reading: &Reading, outlet: &Outlet) -> ReadResult {
    let memory = &reading.shared.context.memory;
    let shards: Vec<Mutex<Shard>> = (0..SHARDS).map(|_| Mutex::default()).collect();
    let plan = all_events(reading, vec![Field::UserId, Field::AnonymousId, Field::SessionId]);
    let stats = reading.shared.rows.read(&plan, &reading.shared.context, &|block| {
        memory.grow(block.rows() * size_of::<Moment>())?;
        each_row(reading, block, |row| {
            let Some(key) = block.person(row) else { return Ok(()) };
            let session_id = text(block.cell(SESSION_ID, row));
            let moment = Moment {
                has_id: session_id.is_some(),
                key: session_id.map_or(key, |id| session_key(key, session_id_hash(id))),
                time_ms: block.time_ms(row),
                person: key,
            };
            let shard = &shards[key as usize % SHARDS];
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.moments.push(moment);
            let name = person(block, row, USER_ID, ANONYMOUS_ID).unwrap_or_default();
            let known = shard.persons.len() + shard.ids.len();
            let mut bytes = 0;
            shard.persons.entry(key).or_insert_with(|| named(name, &mut bytes));
            if let Some(id) = session_id {
                shard.ids.entry(moment.key).or_insert_with(|| named(id, &mut bytes));
            }
            if shard.persons.len() + shard.ids.len() > known { memory.grow(bytes) } else { Ok(()) }
        })
    })?;
    let mut maker = BatchMaker::new(&reading.schema, outlet);
    for shard in shards {
        reading.shared.context.check()?;
        let mut shard = shard.into_inner().unwrap_or_else(PoisonError::into_inner);
        shard.moments.sort_unstable();
        cut(reading, &shard, &mut maker)?;
    }
    maker.send()?;
    Ok(stats)
}

fn named(name: &str, bytes: &mut usize) -> Box<str> {
    *bytes += ENTRY_BYTES + name.len();
    name.into()
}

fn cut(reading: &Reading, shard: &Shard, maker: &mut BatchMaker<'_>) -> Result<(), QueryError> {
    let rule = SessionRule { idle_ms: reading.shared.app.session_idle_ms, max_ms: None };
    for of_key in shard.moments.chunk_by(|a, b| (a.has_id, a.key) == (b.has_id, b.key)) {
        let mut cuts = SessionCuts::new(rule);
        if let Some(first) = of_key.first() {
            cuts.begins(first.time_ms);
        }
        for session in of_key.chunk_by(|_, next| next.has_id || !cuts.begins(next.time_ms)) {
            row(reading, shard, session, maker)?;
        }
    }
    Ok(())
}

/// The row of one session.
fn row(reading: &Reading, shard: &Shard, session: &[Moment], maker: &mut BatchMaker<'_>) -> Result<(), QueryError> {
    let (Some(first), Some(last)) = (session.first(), session.last()) else { return Ok(()) };
    for (i, column) in reading.columns.iter().enumerate() {
        match column {
            ViewColumn::Person => maker.text(i, shard.persons.get(&first.person).map(AsRef::as_ref)),
            ViewColumn::SessionId => maker.text(i, shard.ids.get(&first.key).filter(|_| first.has_id).map(AsRef::as_ref)),
            ViewColumn::StartedAt => maker.integer(i, Some(first.time_ms)),
            ViewColumn::EndedAt => maker.integer(i, Some(last.time_ms)),
            ViewColumn::DurationMs => maker.integer(i, Some(last.time_ms - first.time_ms)),
            _ => maker.integer(i, Some(session.len() as i64)),
        }
    }
    maker.end_row()
}
