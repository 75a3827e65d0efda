//! Reading decoded columns: row group by row group, on several threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use event::AppId;
use event_store::{QueryError, ScanStats, Segment, Table};

use super::batch::{Batch, BatchRows, EventName, Fields, Places};
use super::bucket::BucketFinder;
use super::column::Column;
use super::filter::Memos;
use super::mask::Mask;
use super::narrow::{Narrowed, Narrowing, Thread};
use super::scan::{Query, Reserved};
use super::segment::Members;
use super::value::Scalar;
use crate::columns::{self, ColumnRequest};
use crate::decoded::{
    AppSpace, CanonicalOrdinals, Codes, Decoded, LoadFailure, Loaded, Loader, PersonForm, Piece, ScanTask, SharedText, plan_tasks,
};
use crate::identity::Identity;
use crate::part::{Part, SCAN_BATCH_ROWS, ScanRequest};

/// Fewer rows than this are not worth a second thread; tests have few, and mean all threads.
const MIN_ROWS_PER_THREAD: usize = if cfg!(test) { 1 } else { 65_536 };

/// What the columns of one query have in common.
pub(super) struct Reading {
    pub(super) space: Arc<AppSpace>,
    pub(super) persons: PersonForm,
    pub(super) identity: Arc<Identity>,
    /// Where persons are ordinals and some have several ids.
    pub(super) canonical: Option<Arc<CanonicalOrdinals>>,
    persons_full: AtomicBool,
    /// Who is in the segments of the question, as far as they were asked for.
    members: Mutex<Vec<(Arc<Segment>, Arc<Members>)>>,
}

impl Reading {
    /// With ordinals; `None` where there are not enough of them.
    fn of_ordinals(space: &Arc<AppSpace>, identity: &Arc<Identity>) -> Option<Self> {
        let canonical = if identity.is_empty() { None } else { Some(space.canonical(identity)?) };
        Some(Self { canonical, ..Self::new(space.clone(), PersonForm::Ordinals, identity.clone()) })
    }

    fn new(space: Arc<AppSpace>, persons: PersonForm, identity: Arc<Identity>) -> Self {
        Self { space, persons, identity, canonical: None, persons_full: AtomicBool::new(false), members: Mutex::default() }
    }

    /// For a question that reads keys, whatever there is of ordinals.
    pub(super) fn of_keys(query: &Query<'_>, app: &AppId) -> Self {
        Self::new(query.decoded.space(app), PersonForm::Keys, query.snapshot.identity(app))
    }

    /// Who is in a segment, where that was found before.
    pub(super) fn members_of(&self, segment: &Segment) -> Option<Arc<Members>> {
        let known = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(of, _)| **of == *segment).map(|(_, members)| members.clone())
    }

    /// Keeps who is in a segment for as long as the question runs.
    pub(super) fn keep_members(&self, segment: Arc<Segment>, members: Arc<Members>) {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).push((segment, members));
    }

    /// True when persons are ordinals.
    pub(super) fn has_ordinals(&self) -> bool {
        self.persons == PersonForm::Ordinals
    }

    /// Ends the attempt with ordinals: [`Query::with_persons`] asks again.
    pub(super) fn persons_full(&self) -> QueryError {
        self.persons_full.store(true, Ordering::Relaxed);
        QueryError::Store("there are more persons than ordinals".into())
    }
}

/// When a scan reads the times of events.
#[derive(Clone, Copy)]
pub(super) enum TimeUse<'t> {
    /// Where a batch may lie in more than one bucket, or beyond the range.
    Buckets(&'t BucketFinder),
    /// Always.
    Always,
}

/// What a column scan reads.
pub(super) struct ColumnScan<'s> {
    pub(super) app: &'s AppId,
    /// First millisecond in.
    pub(super) from_ms: i64,
    /// First millisecond out.
    pub(super) to_ms: i64,
    /// Only these event names; `None` reads all.
    pub(super) events: Option<&'s [String]>,
    pub(super) fields: &'s Fields,
    /// Whether batches have persons.
    pub(super) persons: bool,
    pub(super) times: TimeUse<'s>,
    /// A filter that rows must pass to be of use, where the scan may leave the others out: who reads batches still asks it of every row.
    pub(super) narrowing: Option<Narrowing<'s>>,
    pub(super) reading: &'s Reading,
}

/// Where a task's batches go; the mask has the rows that are asked for, where they are not all.
type Give<'g> = dyn FnMut(&Batch, Option<&Mask>) -> Result<(), QueryError> + 'g;

/// As [`Give`], with the batch's first row in its block; a batch of which no row is asked for comes as well.
type GiveEach<'g> = dyn FnMut(usize, &Batch, Option<&Mask>) -> Result<(), QueryError> + 'g;

/// What is done with a batch in the state of the thread; the mask has the rows that are asked for, where they are not all.
type EachBatch<'e, W> = dyn Fn(&mut W, &Batch, Option<&Mask>) -> Result<(), QueryError> + Sync + 'e;

impl Query<'_> {
    /// Runs a question with persons as ordinals, and once more with keys where the app turns out to have more persons than ordinals.
    ///
    /// # Errors
    /// Those of `ask`.
    pub(super) fn with_persons<T>(&self, app: &AppId, ask: impl Fn(&Reading) -> Result<T, QueryError>) -> Result<T, QueryError> {
        let (space, identity) = (self.decoded.space(app), self.snapshot.identity(app));
        let with_ordinals = if space.persons().is_full() { None } else { Reading::of_ordinals(&space, &identity) };
        if let Some(reading) = with_ordinals {
            let answer = ask(&reading);
            if !reading.persons_full.load(Ordering::Relaxed) {
                return answer;
            }
        }
        ask(&Reading::new(space, PersonForm::Keys, identity))
    }

    /// Reads batches of decoded columns on several threads, each with a state of its own. A row group comes to one thread in row order.
    ///
    /// # Errors
    /// The first error of `each` or of reading; limits as in [`event_store::QueryContext::check`], checked before each batch.
    pub(super) fn scan_columns<W: Send>(
        &self,
        scan: &ColumnScan<'_>,
        make: &(dyn Fn() -> W + Sync),
        each: &EachBatch<'_, W>,
    ) -> Result<(Vec<W>, ScanStats), QueryError> {
        let mut stats = ScanStats::default();
        let tasks = scan.tasks(self, &mut stats);
        let rows: usize =
            tasks.iter().flat_map(|(_, task, _)| &task.blocks).flat_map(|(_, pieces)| pieces).map(|piece| piece.rows.len()).sum();
        let account = Account::new(self.snapshot.parts.len());
        let threads = self.threads.min(rows.div_ceil(MIN_ROWS_PER_THREAD)).max(1);
        let narrow = Query { threads, ..*self };
        let memo_count = scan.narrowing.as_ref().map_or(0, |narrowing| narrowing.memo_count);
        let make_state = || (make(), Memos::new(memo_count, self.context), Reserved::new(self.context));
        let states = narrow.parallel(tasks.len(), &make_state, &|(state, memos, held), task| {
            let (part, task, columns) = &tasks[task];
            let mut each = |batch: &Batch, wanted: Option<&Mask>| self.context.check().and_then(|()| each(state, batch, wanted));
            let mut thread = Thread { query: self, account: &account, memos, held };
            match scan.narrowed(task, columns, &mut thread)? {
                Narrowed::Few { asked, task, blocks } => {
                    if asked > 0 {
                        account.rows(*part, &task.part, asked as u64);
                    }
                    scan.give(&task, columns, &blocks, &mut each)?;
                }
                Narrowed::Missing => {}
                Narrowed::All => {
                    if let Some(blocks) = scan.load(&scan.loader(self), task, columns, &account)? {
                        held.set(blocks.iter().flatten().map(Decoded::bytes).sum())?;
                        scan.give(task, columns, &blocks, &mut |batch, wanted| {
                            account.rows(*part, &task.part, wanted.map_or(batch.rows(), Mask::count) as u64);
                            each(batch, wanted)
                        })?;
                    }
                }
            }
            held.set(0)
        })?;
        account.settle(self, &mut stats);
        Ok((states.into_iter().map(|(state, _, _)| state).collect(), stats))
    }
}

/// What the threads have read.
pub(super) struct Account {
    /// Of segments, and of what is in memory.
    rows: [AtomicU64; 2],
    read_bytes: AtomicU64,
    /// By part of the snapshot.
    has_rows: Vec<AtomicBool>,
    missing: Mutex<Vec<String>>,
}

impl Account {
    fn new(parts: usize) -> Self {
        let has_rows = (0..parts).map(|_| AtomicBool::new(false)).collect();
        Self { rows: Default::default(), read_bytes: AtomicU64::new(0), has_rows, missing: Mutex::default() }
    }

    fn rows(&self, at: usize, part: &Part, rows: u64) {
        let kind = usize::from(matches!(part, Part::Memory(_)));
        self.rows[kind].fetch_add(rows, Ordering::Relaxed);
        self.has_rows[at].store(true, Ordering::Relaxed);
    }

    fn miss(&self, reason: String) {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).push(reason);
    }

    fn settle(self, query: &Query<'_>, stats: &mut ScanStats) {
        for (part, has_rows) in query.snapshot.parts.iter().zip(&self.has_rows) {
            stats.work.table(part.table()).read_parts += u64::from(has_rows.load(Ordering::Relaxed));
        }
        for (table, rows) in [Table::RawSegments, Table::Unflushed].into_iter().zip(self.rows) {
            let rows = rows.into_inner();
            stats.scanned_events += rows;
            if rows > 0 {
                stats.work.table(table).rows += rows;
            }
        }
        if let Some(read) = stats.work.tables.iter_mut().find(|read| read.table == Table::RawSegments) {
            read.bytes = Some(self.read_bytes.into_inner());
        }
        for reason in self.missing.into_inner().unwrap_or_else(PoisonError::into_inner) {
            if !stats.missing.contains(&reason) {
                stats.missing.push(reason);
            }
        }
    }
}

/// The columns that are read of a part.
struct PartColumns {
    /// Places among the part's columns, ascending, without the time where only some tasks need it.
    always: Vec<usize>,
    time: Option<usize>,
    event: Option<usize>,
}

impl ColumnScan<'_> {
    fn request(&self) -> ScanRequest<'_> {
        ScanRequest { app: self.app, from_ms: self.from_ms, to_ms: self.to_ms, events: self.events, columns: &[] }
    }

    /// All tasks in the order of the parts, each with the place of its part and the columns it reads. Parts that cannot be read are accounted for in `stats`.
    fn tasks(&self, query: &Query<'_>, stats: &mut ScanStats) -> Vec<(usize, ScanTask, Vec<usize>)> {
        let request = self.request();
        let mut requests = self.fields.requests();
        // A name that is the same in all rows is not read.
        requests.retain(|request| *request != ColumnRequest::Fixed(columns::EVENT));
        if self.persons {
            requests.push(ColumnRequest::Fixed(columns::PERSON));
        }
        if matches!(self.times, TimeUse::Always) {
            requests.push(ColumnRequest::Fixed(columns::TIME));
        }
        let mut tasks = Vec::new();
        let parts = query.snapshot.parts.iter().enumerate();
        for (at, part) in parts.filter(|(_, part)| part.may_hold(self.app, self.from_ms, self.to_ms)) {
            match part.shape(query.decoded) {
                Ok(shape) => {
                    let place = |name: &str| shape.fields.iter().position(|field| field.name() == name);
                    let columns = PartColumns {
                        always: columns::resolve(&requests, &shape.fields, &shape.overflow),
                        time: place(columns::TIME),
                        event: place(columns::EVENT),
                    };
                    for task in plan_tasks(part, &shape, &request, self.fields.has_event()) {
                        let columns = self.columns_of(&task, &columns);
                        tasks.push((at, task, columns));
                    }
                }
                Err(reason) => stats.missing.push(reason),
            }
        }
        tasks
    }

    fn columns_of(&self, task: &ScanTask, columns: &PartColumns) -> Vec<usize> {
        let pieces = || task.blocks.iter().flat_map(|(_, pieces)| pieces);
        let mut read = columns.always.clone();
        if pieces().any(|piece| self.needs_time(piece)) {
            read.extend(columns.time);
        }
        if pieces().any(|piece| piece.check_event || (piece.event.is_none() && self.fields.has_event())) {
            read.extend(columns.event);
        }
        read.sort_unstable();
        read.dedup();
        read
    }

    pub(super) fn crosses_range(&self, piece: &Piece) -> bool {
        piece.earliest_ms < self.from_ms || piece.latest_ms >= self.to_ms
    }

    fn needs_time(&self, piece: &Piece) -> bool {
        let crosses_buckets = match self.times {
            TimeUse::Buckets(buckets) => {
                let (first, last) = (piece.earliest_ms.max(self.from_ms), piece.latest_ms.min(self.to_ms - 1));
                buckets.find(first) != buckets.find(last)
            }
            TimeUse::Always => false,
        };
        crosses_buckets || self.crosses_range(piece)
    }

    pub(super) fn loader<'l>(&'l self, query: &Query<'l>) -> Loader<'l> {
        Loader { cache: query.decoded, space: &self.reading.space, persons: self.reading.persons }
    }

    /// The columns of a task, block by block; `None` where the part cannot be read.
    pub(super) fn load(
        &self,
        loader: &Loader<'_>,
        task: &ScanTask,
        columns: &[usize],
        account: &Account,
    ) -> Result<Option<Vec<Vec<Decoded>>>, QueryError> {
        self.loaded(loader.load(task, columns), account)
    }

    /// As [`ColumnScan::load`], of what a loader gave.
    pub(super) fn loaded(&self, loaded: Result<Loaded, LoadFailure>, account: &Account) -> Result<Option<Vec<Vec<Decoded>>>, QueryError> {
        match loaded {
            Ok(Loaded { blocks, read_bytes }) => {
                account.read_bytes.fetch_add(read_bytes, Ordering::Relaxed);
                Ok(Some(blocks))
            }
            Err(LoadFailure::Missing(reason)) => {
                account.miss(reason);
                Ok(None)
            }
            Err(LoadFailure::PersonsFull) => Err(self.reading.persons_full()),
            Err(failure @ (LoadFailure::Damaged(_) | LoadFailure::Column(_))) => Err(QueryError::Store(failure.to_string())),
        }
    }

    /// Gives out the batches of a task.
    fn give(&self, task: &ScanTask, columns: &[usize], blocks: &[Vec<Decoded>], give: &mut Give<'_>) -> Result<(), QueryError> {
        let fields: Vec<_> = columns.iter().map(|&column| task.shape.fields[column].clone()).collect();
        let places = Places::new(self.fields, &fields);
        for ((_, pieces), columns) in task.blocks.iter().zip(blocks) {
            for piece in pieces {
                self.each_batch(piece, columns, &places, &mut |_, batch, wanted| match wanted {
                    Some(wanted) if wanted.is_none() => Ok(()),
                    wanted => give(batch, wanted),
                })?;
            }
        }
        Ok(())
    }

    /// Gives out the batches of one piece of a block that has these columns.
    pub(super) fn each_batch(
        &self,
        piece: &Piece,
        columns: &[Decoded],
        places: &Places,
        give: &mut GiveEach<'_>,
    ) -> Result<(), QueryError> {
        let name = piece.event.as_ref().filter(|_| self.fields.has_event()).map(|name| self.event_name(name));
        let events = places.event().and_then(|place| columns.get(place)).filter(|_| piece.check_event);
        for start in piece.rows.clone().step_by(SCAN_BATCH_ROWS) {
            let rows = start..piece.rows.end.min(start + SCAN_BATCH_ROWS);
            let rows = BatchRows { columns, rows, event: name.as_ref(), span_ms: (piece.earliest_ms, piece.latest_ms) };
            let batch = rows.batch(self.fields, places, self.reading);
            let wanted = self.wanted(piece, &batch, events.map(|events| events.slice(rows.rows.clone())));
            give(start, &batch, wanted.as_ref())?;
        }
        Ok(())
    }

    fn event_name(&self, name: &Arc<str>) -> EventName {
        let texts = self.reading.space.texts(columns::EVENT);
        let text = texts.code_of(name).map(|code| SharedText { codes: Codes::One(code), texts });
        EventName { name: name.clone(), text }
    }

    /// The rows of a batch that are in range and of a wanted event, `None` for all.
    fn wanted(&self, piece: &Piece, batch: &Batch, events: Option<Decoded>) -> Option<Mask> {
        let in_range = |row: usize| (self.from_ms..self.to_ms).contains(&batch.time(row));
        let in_time = self.crosses_range(piece).then(|| Mask::of_rows(batch.rows(), None, in_range));
        let of_events = events.and_then(|events| Some(self.of_wanted_events(&Column::decoded(events), self.events?, batch.rows())));
        match (in_time, of_events) {
            (Some(mut a), Some(b)) => {
                a.keep(&b);
                Some(a)
            }
            (a, b) => a.or(b),
        }
    }

    fn of_wanted_events(&self, column: &Column, wanted: &[String], rows: usize) -> Mask {
        Mask::of_rows(rows, None, |row| match column.get(row) {
            Scalar::Str(name) => wanted.iter().any(|wanted| wanted == name),
            _ => false,
        })
    }
}
