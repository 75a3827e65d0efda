//! Raw events, newest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use event_store::{EventRow, EventsPage, EventsPlan, QueryContext, QueryError, ScanStats};

use super::aggregate::add_stats;
use super::batch::{Batch, Fields};
use super::filter::{Memos, Predicate, Preparation};
use super::person_property::PersonProperty;
use super::row_reader::RowReader;
use super::scan::{Query, Reserved};
use crate::columns::{self, ColumnRequest, FIXED};
use crate::identity::Identity;
use crate::part::ScanRequest;

/// The first look back from the newest event; each further one is this many times longer.
const FIRST_SPAN_MS: i64 = 3_600_000;
const SPAN_GROWTH: i64 = 8;

/// Answers an [`EventsPlan`].
///
/// Two passes: times alone, over a growing span, until the last row of the page is known; then whole rows from there on.
/// Rows of one millisecond come by event name, person, dedupe key, then properties as text.
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub fn events(query: &Query<'_>, plan: &EventsPlan) -> Result<EventsPage, QueryError> {
    let mut fields = Fields::default();
    let mut preparation = Preparation::new(&mut fields);
    let filter = preparation.filter(&plan.scan.filter)?;
    let memo_count = preparation.memo_count();
    let stats = PersonProperty::load_all(query, &plan.scan.app, &mut fields, None)?;
    // One more than the page shows whether more remain.
    let wanted = plan.limit.saturating_add(plan.skip).saturating_add(1);
    let identity = query.snapshot.identity(&plan.scan.app);
    let mut reading = Reading { query, plan, identity, fields, filter, memo_count, wanted, stats };
    let Some(from_ms) = reading.oldest_time()? else {
        return Ok(EventsPage { stats: reading.stats, ..EventsPage::default() });
    };
    let rows = reading.rows(from_ms)?;
    let newest_ms = plan.scan.to_ms.saturating_sub(1);
    let skipped = rows.iter().take(plan.skip).take_while(|row| row.row.time_ms == newest_ms).count();
    let more = rows.len() - skipped > plan.limit;
    let page = rows.into_iter().skip(skipped).take(plan.limit).map(|sorted| sorted.row);
    Ok(EventsPage { rows: page.collect(), more, stats: reading.stats })
}

struct Reading<'r> {
    query: &'r Query<'r>,
    plan: &'r EventsPlan,
    identity: Arc<Identity>,
    fields: Fields,
    filter: Predicate,
    memo_count: usize,
    wanted: usize,
    stats: ScanStats,
}

/// The newest times one thread has seen, `wanted` at most.
struct NewestTimes {
    memos: Memos,
    times: BinaryHeap<Reverse<i64>>,
    memory: Reserved,
}

impl NewestTimes {
    fn push(&mut self, time_ms: i64, wanted: usize) {
        if self.times.len() < wanted {
            self.times.push(Reverse(time_ms));
        } else if let Some(mut oldest) = self.times.peek_mut()
            && oldest.0 < time_ms
        {
            *oldest = Reverse(time_ms);
        }
    }
}

impl Reading<'_> {
    /// The time of the oldest row wanted, `None` when no row matches.
    fn oldest_time(&mut self) -> Result<Option<i64>, QueryError> {
        let scan = &self.plan.scan;
        let parts = self.query.snapshot.parts_of(&scan.app, scan.from_ms, scan.to_ms);
        let Some(newest_ms) = parts.map(|part| part.time_range().1).max() else { return Ok(None) };
        let newest_ms = newest_ms.min(scan.to_ms);
        let mut span_ms = FIRST_SPAN_MS;
        loop {
            let from_ms = scan.from_ms.max(newest_ms.saturating_sub(span_ms));
            let mut times = self.newest_times(from_ms)?;
            if times.len() >= self.wanted || from_ms == scan.from_ms {
                times.sort_unstable_by_key(|&time_ms| Reverse(time_ms));
                times.truncate(self.wanted);
                return Ok(times.pop());
            }
            span_ms = span_ms.saturating_mul(SPAN_GROWTH);
        }
    }

    fn newest_times(&mut self, from_ms: i64) -> Result<Vec<i64>, QueryError> {
        let mut requests = self.fields.requests();
        requests.push(ColumnRequest::Fixed(columns::TIME));
        let request = self.request(from_ms, &requests);
        let make = || NewestTimes {
            memos: Memos::new(self.memo_count, self.query.context),
            times: BinaryHeap::new(),
            memory: Reserved::new(self.query.context),
        };
        let (newest, stats) = self.query.scan(&request, &make, &|newest, batch| {
            let batch = Batch::of_record_batch(batch, &self.fields, &self.identity);
            let mask = self.filter.evaluate(&batch, None, &mut newest.memos);
            mask.iter().for_each(|row| newest.push(batch.time(row as usize), self.wanted));
            newest.memory.set(newest.times.capacity() * size_of::<i64>())
        })?;
        add_stats(&mut self.stats, stats);
        Ok(newest.into_iter().flat_map(|newest| newest.times.into_vec()).map(|Reverse(time_ms)| time_ms).collect())
    }

    fn request<'q>(&'q self, from_ms: i64, columns: &'q [ColumnRequest]) -> ScanRequest<'q> {
        let scan = &self.plan.scan;
        ScanRequest { app: &scan.app, from_ms, to_ms: scan.to_ms, events: scan.events.as_deref(), columns }
    }

    /// The wanted rows, in the order of the answer.
    fn rows(&mut self, from_ms: i64) -> Result<Vec<SortedRow>, QueryError> {
        let mut requests = self.fields.requests();
        requests.extend(FIXED.map(ColumnRequest::Fixed));
        requests.push(ColumnRequest::AllProperties);
        let request = self.request(from_ms, &requests);
        let make = || NewestRows {
            memos: Memos::new(self.memo_count, self.query.context),
            rows: Vec::new(),
            bytes: 0,
            memory: Reserved::new(self.query.context),
        };
        let (newest, stats) = self.query.scan(&request, &make, &|newest, record_batch| {
            let batch = Batch::of_record_batch(record_batch, &self.fields, &self.identity);
            let mask = self.filter.evaluate(&batch, None, &mut newest.memos);
            if mask.is_none() {
                return Ok(());
            }
            let reader = RowReader::new(record_batch);
            mask.iter().map(|row| row as usize).try_for_each(|row| {
                let sorted = SortedRow { row: reader.read(row), person: reader.person(row) };
                newest.push(sorted, self.wanted, self.query.context)
            })
        })?;
        add_stats(&mut self.stats, stats);
        let mut rows: Vec<SortedRow> = newest.into_iter().flat_map(|newest| newest.rows).collect();
        rows.sort_by(SortedRow::compare);
        rows.truncate(self.wanted);
        Ok(rows)
    }
}

/// The newest rows one thread has seen, about `wanted`.
struct NewestRows {
    memos: Memos,
    rows: Vec<SortedRow>,
    bytes: usize,
    memory: Reserved,
}

impl NewestRows {
    fn push(&mut self, row: SortedRow, wanted: usize, context: &QueryContext) -> Result<(), QueryError> {
        self.bytes += row.bytes();
        self.rows.push(row);
        // Sorting twice as many as wanted at a time keeps both the memory and the work within a constant factor.
        if self.rows.len() >= wanted.saturating_mul(2).max(1_024) {
            context.check()?;
            self.rows.sort_by(SortedRow::compare);
            self.rows.truncate(wanted);
            self.bytes = self.rows.iter().map(SortedRow::bytes).sum();
        }
        self.memory.set(self.bytes)
    }
}

/// A row with what orders it.
struct SortedRow {
    row: EventRow,
    person: Option<u64>,
}

impl SortedRow {
    /// The order of the answer, total but for rows that are equal in every column.
    fn compare(a: &Self, b: &Self) -> std::cmp::Ordering {
        let key = |sorted: &Self| (Reverse(sorted.row.time_ms), sorted.person, sorted.row.client_time_ms, sorted.row.received_at_ms);
        let (a_key, b_key) = (key(a), key(b));
        let (a, b) = (&a.row, &b.row);
        let by_person = || a.name.cmp(&b.name).then_with(|| a_key.1.cmp(&b_key.1));
        let by_text = || {
            (&a.insert_id, &a.properties_json, &a.session_id, &a.user_id, &a.anonymous_id).cmp(&(
                &b.insert_id,
                &b.properties_json,
                &b.session_id,
                &b.user_id,
                &b.anonymous_id,
            ))
        };
        a_key.0.cmp(&b_key.0).then_with(by_person).then_with(by_text).then_with(|| (a_key.2, a_key.3).cmp(&(b_key.2, b_key.3)))
    }

    fn bytes(&self) -> usize {
        let row = &self.row;
        let ids = [&row.user_id, &row.anonymous_id, &row.insert_id, &row.session_id];
        let ids: usize = ids.into_iter().flatten().map(String::len).sum();
        size_of::<Self>() + row.name.len() + row.properties_json.len() + ids
    }
}
