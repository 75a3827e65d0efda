//! A small real event store for the stream's tests: durable by one atomic rename a flush, and able to fail when told to.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use event::AppId;
use event_store::{ActivityPlan, ActivityTable, RetentionPlan, RetentionTable};
use event_store::{
    AggregatePlan, AggregateTable, Commit, EventNameInfo, EventSink, EventSource, EventsPage, EventsPlan, ExportVisitor, FunnelPersonPlan,
    FunnelPersonsPage, FunnelPersonsPlan, FunnelPlan, FunnelStory, FunnelTable, LostRecords, PathsPlan, PathsTable, QueryContext,
    QueryError, RollupRow, RollupSize, Scan, ScanStats, Schema, SegmentPersonsPage, SegmentPersonsPlan, SessionsPlan, SessionsTable,
    StoreError, WindowRow,
};

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub app: String,
    pub name: String,
    pub time_ms: i64,
    pub user_id: Option<String>,
    pub session_id: Option<String>,
    pub insert_id: Option<String>,
    pub page: Option<String>,
}

/// Where the store fails next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// An append is refused for good: the process dies with rows that no flush has seen.
    Append,
    /// A flush fails before anything is durable: the run and the snapshot are there already.
    BeforeFlush,
    /// A flush is durable and the process dies before anybody knows.
    AfterFlush,
    /// The next flush takes so many milliseconds longer.
    SlowFlush(u64),
    /// No space for so many more flushes.
    FullFlushes(u32),
}

#[derive(Default)]
struct State {
    rows: Vec<Row>,
    duplicates: u64,
    rejected: u64,
    position: u64,
    durable: u64,
    /// Rows and counts at the line, and the position there.
    line: Option<(usize, u64, u64, u64)>,
    flushed_rows: usize,
}

/// Everything in one file: position, counts, rows.
pub struct SmallStore {
    path: PathBuf,
    max_unflushed_rows: usize,
    state: Mutex<State>,
    fault: Mutex<Fault>,
    lost: Mutex<Vec<LostRecords>>,
}

impl SmallStore {
    pub fn open(dir: &Path, max_unflushed_rows: usize) -> Self {
        let path = dir.join("store");
        let state = fs::read_to_string(&path).map(|text| State::parse(&text)).unwrap_or_default();
        Self { path, max_unflushed_rows, state: Mutex::new(state), fault: Mutex::new(Fault::None), lost: Mutex::default() }
    }

    pub fn fail(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// What was told to be lost.
    pub fn lost(&self) -> Vec<LostRecords> {
        self.lost.lock().unwrap().clone()
    }

    /// Visible rows, sorted.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = self.state.lock().unwrap().rows.clone();
        rows.sort();
        rows
    }

    /// Visible rows, duplicates and rejected events.
    pub fn counts(&self) -> (usize, u64, u64) {
        let state = self.state.lock().unwrap();
        (state.rows.len(), state.duplicates, state.rejected)
    }

    fn take_fault(&self, wanted: Fault) -> bool {
        let mut fault = self.fault.lock().unwrap();
        let hit = *fault == wanted;
        if hit {
            *fault = Fault::None;
        }
        hit
    }

    fn is_full(&self) -> bool {
        let mut fault = self.fault.lock().unwrap();
        match *fault {
            Fault::FullFlushes(left) if left > 0 => {
                *fault = Fault::FullFlushes(left - 1);
                true
            }
            _ => false,
        }
    }
}

impl State {
    fn text(&self, rows: usize, duplicates: u64, rejected: u64, position: u64) -> String {
        let mut text = format!("{position} {duplicates} {rejected}\n");
        for row in &self.rows[..rows] {
            let field = |field: &Option<String>| field.clone().unwrap_or_else(|| "-".to_owned());
            let optional = [&row.user_id, &row.session_id, &row.insert_id, &row.page].map(field).join("\t");
            text.push_str(&format!("{}\t{}\t{}\t{optional}\n", row.app, row.name, row.time_ms));
        }
        text
    }

    fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let head: Vec<u64> = lines.next().unwrap().split(' ').map(|number| number.parse().unwrap()).collect();
        let row = |line: &str| {
            let fields: Vec<&str> = line.split('\t').collect();
            let optional = |index: usize| (fields[index] != "-").then(|| fields[index].to_owned());
            let (app, name, time_ms) = (fields[0].to_owned(), fields[1].to_owned(), fields[2].parse().unwrap());
            Row { app, name, time_ms, user_id: optional(3), session_id: optional(4), insert_id: optional(5), page: optional(6) }
        };
        let rows: Vec<Row> = lines.map(row).collect();
        let flushed_rows = rows.len();
        Self { rows, duplicates: head[1], rejected: head[2], position: head[0], durable: head[0], line: None, flushed_rows }
    }

    fn line(&mut self) -> (usize, u64, u64, u64) {
        let here = (self.rows.len(), self.duplicates, self.rejected, self.position);
        *self.line.get_or_insert(here)
    }
}

impl EventSink for SmallStore {
    fn position(&self) -> u64 {
        let state = self.state.lock().unwrap();
        state.durable
    }

    fn append(&self, commit: Commit) -> Result<(), StoreError> {
        if self.take_fault(Fault::Append) {
            return Err(StoreError::Io("told to fail".to_owned()));
        }
        let mut state = self.state.lock().unwrap();
        if state.rows.len() - state.flushed_rows > self.max_unflushed_rows {
            return Err(StoreError::Full("too many unflushed rows".to_owned()));
        }
        assert!(commit.end > state.position, "commits advance: {} after {}", commit.end, state.position);
        for appended in &commit.batches {
            state.duplicates += appended.duplicates.len() as u64;
            state.rejected += appended.batch.rejected().len() as u64;
            for event in appended.batch.iter() {
                if appended.duplicates.contains(&(event.index as u32)) {
                    continue;
                }
                let page = event.properties.clone().find_map(|(_, key, value)| match value {
                    event::PropertyValue::Str(page) if key == "url" => Some(page.to_owned()),
                    _ => None,
                });
                let owned = |id: Option<&str>| id.map(str::to_owned);
                state.rows.push(Row {
                    app: appended.batch.app().as_str().to_owned(),
                    name: event.name.to_owned(),
                    time_ms: event.time_ms,
                    user_id: owned(event.user_id),
                    session_id: owned(event.session_id),
                    insert_id: owned(event.insert_id),
                    page,
                });
            }
        }
        state.position = commit.end;
        Ok(())
    }

    fn unflushed(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        let rows = state.rows.len() - state.flushed_rows;
        (rows, rows * 100)
    }

    fn seal(&self) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.line = None;
        state.line().3
    }

    fn flush(&self) -> Result<u64, StoreError> {
        if self.is_full() {
            return Err(StoreError::Full("told to be full".to_owned()));
        }
        if self.take_fault(Fault::BeforeFlush) {
            return Err(StoreError::Damaged("told to fail before the flush".to_owned()));
        }
        let (rows, position, text) = {
            let mut state = self.state.lock().unwrap();
            let (rows, duplicates, rejected, position) = state.line();
            (rows, position, state.text(rows, duplicates, rejected, position))
        };
        let slow = *self.fault.lock().unwrap();
        if let Fault::SlowFlush(pause_ms) = slow {
            self.fail(Fault::None);
            std::thread::sleep(Duration::from_millis(pause_ms));
        }
        let temporary = self.path.with_extension("tmp");
        fs::write(&temporary, text).unwrap();
        fs::rename(&temporary, &self.path).unwrap();
        if self.take_fault(Fault::AfterFlush) {
            return Err(StoreError::Damaged("told to fail after the flush".to_owned()));
        }
        let mut state = self.state.lock().unwrap();
        (state.flushed_rows, state.durable, state.line) = (rows, position, None);
        Ok(position)
    }

    fn maintain(&self, _now_ms: i64) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn rebuild_rollups(&self, _app: &AppId) -> Result<(), StoreError> {
        Ok(())
    }

    fn lose(&self, lost: LostRecords) -> Result<(), StoreError> {
        self.lost.lock().unwrap().push(lost);
        Ok(())
    }
}

fn not_asked<T>() -> Result<T, QueryError> {
    Err(QueryError::Store("the small store only scans".to_owned()))
}

impl EventSource for SmallStore {
    fn first_event_ms(&self, _: &AppId) -> Result<Option<i64>, QueryError> {
        Ok(None)
    }

    fn aggregate(&self, _plan: &AggregatePlan, _context: &QueryContext) -> Result<AggregateTable, QueryError> {
        not_asked()
    }

    fn funnel(&self, _plan: &FunnelPlan, _context: &QueryContext) -> Result<FunnelTable, QueryError> {
        not_asked()
    }

    fn funnel_persons(&self, _plan: &FunnelPersonsPlan, _context: &QueryContext) -> Result<FunnelPersonsPage, QueryError> {
        not_asked()
    }

    fn funnel_person(&self, _plan: &FunnelPersonPlan, _context: &QueryContext) -> Result<FunnelStory, QueryError> {
        not_asked()
    }

    fn paths(&self, _plan: &PathsPlan, _context: &QueryContext) -> Result<PathsTable, QueryError> {
        not_asked()
    }

    fn sessions(&self, _plan: &SessionsPlan, _context: &QueryContext) -> Result<SessionsTable, QueryError> {
        not_asked()
    }

    fn retention(&self, _plan: &RetentionPlan, _context: &QueryContext) -> Result<RetentionTable, QueryError> {
        not_asked()
    }

    fn activity(&self, _plan: &ActivityPlan, _context: &QueryContext) -> Result<ActivityTable, QueryError> {
        not_asked()
    }

    fn segment_persons(&self, _plan: &SegmentPersonsPlan, _context: &QueryContext) -> Result<SegmentPersonsPage, QueryError> {
        not_asked()
    }

    fn events(&self, _plan: &EventsPlan, _context: &QueryContext) -> Result<EventsPage, QueryError> {
        not_asked()
    }

    fn export(&self, _scan: &Scan, _context: &QueryContext, _visit: &mut ExportVisitor<'_>) -> Result<ScanStats, QueryError> {
        not_asked()
    }

    fn rows_of(&self, _app: &AppId) -> Result<std::sync::Arc<dyn event_store::RowSource>, QueryError> {
        not_asked()
    }

    fn schema(&self, _app: &AppId, _context: &QueryContext) -> Result<Schema, QueryError> {
        not_asked()
    }

    fn event_names(&self, _app: &AppId, _context: &QueryContext) -> Result<Vec<EventNameInfo>, QueryError> {
        not_asked()
    }

    fn rollups(&self, _app: &AppId, _size: RollupSize, _from_ms: i64, _to_ms: i64) -> Result<Vec<RollupRow>, QueryError> {
        not_asked()
    }

    fn scan_for_windows(&self, from_ms: i64, visit: &mut dyn FnMut(&WindowRow<'_>)) -> Result<(), QueryError> {
        let apps: HashMap<&str, AppId> = ["A", "B"].into_iter().map(|app| (app, AppId::new(app).unwrap())).collect();
        for row in self.rows().iter().filter(|row| row.time_ms >= from_ms) {
            visit(&WindowRow {
                app: &apps[row.app.as_str()],
                event: &row.name,
                time_ms: row.time_ms,
                user_id: row.user_id.as_deref(),
                anonymous_id: None,
                session_id: row.session_id.as_deref(),
                page: row.page.as_deref(),
            });
        }
        Ok(())
    }

    fn scan_insert_ids(&self, from_ms: i64, visit: &mut dyn FnMut(&AppId, &str, i64)) -> Result<Vec<String>, QueryError> {
        for row in self.rows().iter().filter(|row| row.time_ms >= from_ms) {
            if let Some(insert_id) = &row.insert_id {
                visit(&AppId::new(&row.app).unwrap(), insert_id, row.time_ms);
            }
        }
        Ok(Vec::new())
    }
}
