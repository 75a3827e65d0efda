//! Answers from rollups: whole hours and days as they were counted at the flush, what is not flushed yet and the ends of the range
//! from raw events.
//!
//! Rollups and raw rows are read as of one moment, so every event is in exactly one of the three.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use event::UniqueSketch;
use event_store::{
    AggregatePlan, AggregateRow, AggregateTable, MeasureFn, Measured, QueryContext, QueryError, RollupPlan, RollupSize, RollupSpan,
    ScanStats, StoreError, Table, Value,
};
use hashbrown::HashMap;

use crate::decoded::DecodedCache;
use crate::exec::{NamePredicate, Query, Reach, Reserved, check_filled};
use crate::manifest::{ManifestView, RollupRange};
use crate::part::Part;
use crate::retention::dropped_before;
use crate::rolled_raw::count_raw;
use crate::rollup::{MAX_NAMES_PER_PERIOD, TOTAL};
use crate::snapshot::Snapshot;

/// Rows of rollups between two looks at the limits of the query.
const CHECK_ROWS: u64 = 512;
/// Memory of one cell without its sketches.
const CELL_BYTES: usize = 64;

/// Rollups and raw rows as of one moment.
pub(crate) struct Moment<'s> {
    pub(crate) view: ManifestView<'s>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) decoded: &'s Arc<DecodedCache>,
}

/// What came of trying.
pub(crate) enum Rolled {
    /// The answer.
    Table(AggregateTable),
    /// Rollups cannot tell; the reason, as a clause.
    NeedsRaw(String),
}

/// Answers `plan` as `rollup` says.
pub(crate) fn aggregate(
    moment: &Moment<'_>,
    plan: &AggregatePlan,
    rollup: &RollupPlan,
    context: &QueryContext,
    threads: usize,
) -> Result<Rolled, QueryError> {
    let started = Instant::now();
    let mut stats = ScanStats::default();
    let mut cells = Cells::new(plan, context)?;
    let names = if rollup.needs_names { names(moment, plan, rollup, &mut cells)? } else { Some(vec![Arc::from(TOTAL)]) };
    let Some(names) = names else {
        return Ok(Rolled::NeedsRaw(format!(
            "the app has {MAX_NAMES_PER_PERIOD} event names or more, and rollups keep no more than so many in an hour"
        )));
    };
    for span in &rollup.spans {
        read_span(moment, plan, span, &names, rollup.needs_users, &mut cells, &mut stats, context)?;
    }
    stats.work.stage("rollups", started);

    let started = Instant::now();
    let in_memory = moment.snapshot.parts.iter().filter(|part| matches!(&***part, Part::Memory(_))).cloned().collect();
    let unflushed = Snapshot { parts: in_memory, ..Snapshot::default() };
    let of_periods = (&unflushed, (rollup.from_ms(), rollup.to_ms()));
    // Sketches have ids as they came, so that what is added to them must have them too.
    let raw = Snapshot { parts: moment.snapshot.parts.clone(), ..Snapshot::default() };
    for (snapshot, range) in std::iter::once(of_periods).chain(rollup.edges.iter().map(|edge| (&raw, *edge))) {
        let query = Query { snapshot, context, threads, decoded: moment.decoded };
        for (name, bucket, cell) in count_raw(&query, plan, range, rollup.needs_users, &mut stats)? {
            if let Some(name) = cells.name(&name)? {
                cells.add(name, bucket, cell.events, Some(&cell.users))?;
            }
        }
    }
    stats.work.stage("raw events", started);
    moment.snapshot.note_parts(&mut stats.work);
    stats.work.threads = threads;
    let floor_ms = moment.view.raw_floor(plan.scan.app.as_str()).map_err(store_error)?;
    stats.work.reason = reason(rollup, floor_ms);
    if rollup.needs_users && !moment.snapshot.identity(&plan.scan.app).is_empty() {
        stats.work.reason.push_str("; raw events of the range are not all kept any more, so persons with several ids count once for each");
    }
    if rollup.edges.iter().any(|(from_ms, _)| *from_ms < floor_ms) {
        stats.missing.push(dropped_before(floor_ms));
    }
    Ok(Rolled::Table(cells.table(stats)?))
}

fn reason(rollup: &RollupPlan, floor_ms: i64) -> String {
    let counted = if rollup.needs_users { "counts and sketches" } else { "counts" };
    let mut reason = format!("{counted} by event name and whole hours of UTC are what rollups keep");
    if !rollup.edges.is_empty() {
        reason.push_str("; the ends of the range that cut an hour are counted from raw events");
    }
    if rollup.edges.iter().any(|(from_ms, _)| *from_ms < floor_ms) {
        reason.push_str(", those of which before ");
        reason.push_str(&floor_ms.to_string());
        reason.push_str(" ms have passed their retention and are gone");
    }
    reason
}

/// The names to read, or `None` when some may have been dropped from the rollups.
fn names(
    moment: &Moment<'_>,
    plan: &AggregatePlan,
    rollup: &RollupPlan,
    cells: &mut Cells<'_>,
) -> Result<Option<Vec<Arc<str>>>, QueryError> {
    let mut all: Vec<Arc<str>> = Vec::new();
    for size in [RollupSize::Hour, RollupSize::Day] {
        if !rollup.spans.iter().any(|span| span.size == size) {
            continue;
        }
        let mut of_size = 0;
        let visit = &mut |name: Arc<str>| {
            of_size += 1;
            all.push(name);
            of_size < MAX_NAMES_PER_PERIOD
        };
        moment.view.names(plan.scan.app.as_str(), size, visit).map_err(store_error)?;
        // A period that ever had too many names still has as many as are allowed.
        if of_size >= MAX_NAMES_PER_PERIOD {
            return Ok(None);
        }
    }
    all.sort_unstable();
    all.dedup();
    let mut selected = Vec::new();
    for name in all {
        if cells.name(&name)?.is_some() {
            selected.push(name);
        }
    }
    Ok(Some(selected))
}

#[allow(clippy::too_many_arguments, reason = "the parts of one loop, read once")]
fn read_span(
    moment: &Moment<'_>,
    plan: &AggregatePlan,
    span: &RollupSpan,
    names: &[Arc<str>],
    needs_users: bool,
    cells: &mut Cells<'_>,
    stats: &mut ScanStats,
    context: &QueryContext,
) -> Result<(), QueryError> {
    let range = RollupRange { app: plan.scan.app.as_str(), size: span.size, from_ms: span.from_ms, to_ms: span.to_ms };
    let mut rows = 0;
    for name in names {
        let Some(number) = cells.name(name)? else { continue };
        let mut stopped = Ok(());
        let mut take = |start_ms: i64, events: u64, users: Option<&UniqueSketch>| {
            rows += 1;
            let checked = if rows % CHECK_ROWS == 0 { context.check() } else { Ok(()) };
            stopped = checked.and_then(|()| {
                let bucket = cells.buckets.find(start_ms);
                cells.add(number, bucket, events, users)
            });
            stopped.is_ok()
        };
        let read = if needs_users {
            moment.view.sketches(range, name, &mut |count, users| take(count.start_ms, count.events, Some(users)))
        } else {
            moment.view.counts(range, name, &mut |count| take(count.start_ms, count.events, None))
        };
        stopped?;
        read.map_err(store_error)?;
    }
    let table = match span.size {
        RollupSize::Hour => Table::RollupHour,
        RollupSize::Day => Table::RollupDay,
    };
    stats.work.table(table).rows += rows;
    Ok(())
}

#[allow(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn store_error(error: StoreError) -> QueryError {
    QueryError::Store(error.to_string())
}

/// The buckets of a plan.
pub(crate) struct BucketStarts<'p>(&'p [i64]);

impl<'p> BucketStarts<'p> {
    pub(crate) fn of(plan: &'p AggregatePlan) -> Self {
        Self(plan.buckets.as_ref().map_or(&[], |buckets| &buckets.starts))
    }

    /// The bucket of a time in the range.
    pub(crate) fn find(&self, time_ms: i64) -> u32 {
        self.0.partition_point(|&start| start <= time_ms).saturating_sub(1) as u32
    }

    /// First millisecond of a bucket; the first one reaches back as far as the range does.
    pub(crate) fn start(&self, bucket: u32) -> i64 {
        if bucket == 0 { i64::MIN } else { self.0.get(bucket as usize).copied().unwrap_or(i64::MIN) }
    }

    /// First millisecond after a bucket; the last one reaches as far as the range does.
    pub(crate) fn end(&self, bucket: u32) -> i64 {
        self.0.get(bucket as usize + 1).copied().unwrap_or(i64::MAX)
    }
}

/// Which events a plan or one of its measures selects.
struct Selection {
    names: Option<Vec<String>>,
    filter: NamePredicate,
}

impl Selection {
    fn holds(&self, name: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.iter().any(|known| known == name)) && self.filter.holds(name)
    }
}

/// A selected name.
struct Name {
    group: u32,
    /// Whether each measure counts it.
    measures: Vec<bool>,
}

/// One group in one bucket, a value per measure.
#[derive(Clone)]
struct Cell(Vec<CellValue>);

#[derive(Clone)]
enum CellValue {
    Count(u64),
    Users(UniqueSketch),
}

impl CellValue {
    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Count(sum), Self::Count(count)) => *sum += count,
            (Self::Users(sum), Self::Users(users)) => sum.merge(users),
            _ => {}
        }
    }

    fn measured(&self) -> Measured {
        match self {
            Self::Count(count) => Measured::Count(*count),
            Self::Users(users) => Measured::Count(users.estimate().round() as u64),
        }
    }
}

/// What is counted so far.
struct Cells<'p> {
    plan: &'p AggregatePlan,
    scan: Selection,
    measures: Vec<Selection>,
    buckets: BucketStarts<'p>,
    /// `None` for a name that is not selected.
    numbers: HashMap<Arc<str>, Option<usize>>,
    names: Vec<Name>,
    groups: Vec<Value>,
    cells: BTreeMap<(u32, u32), Cell>,
    memory: Reserved,
    max_groups: usize,
}

impl<'p> Cells<'p> {
    fn new(plan: &'p AggregatePlan, context: &QueryContext) -> Result<Self, QueryError> {
        let selection = |names: &Option<Vec<String>>, filter| Ok(Selection { names: names.clone(), filter: NamePredicate::new(filter)? });
        let measures = plan.measures.iter().map(|measure| selection(&measure.events, &measure.filter));
        Ok(Self {
            plan,
            scan: selection(&plan.scan.events, &plan.scan.filter)?,
            measures: measures.collect::<Result<_, QueryError>>()?,
            buckets: BucketStarts::of(plan),
            numbers: HashMap::new(),
            names: Vec::new(),
            groups: Vec::new(),
            cells: BTreeMap::new(),
            memory: Reserved::new(context),
            max_groups: context.max_groups,
        })
    }

    /// The number of a name, `None` when the plan does not select it.
    fn name(&mut self, name: &Arc<str>) -> Result<Option<usize>, QueryError> {
        if let Some(known) = self.numbers.get(name) {
            return Ok(*known);
        }
        if !self.scan.holds(name) {
            self.numbers.insert(name.clone(), None);
            return Ok(None);
        }
        let group = if self.plan.group_by.is_empty() { 0 } else { self.names.len() as u32 };
        if !self.plan.group_by.is_empty() {
            if self.groups.len() >= self.max_groups {
                return Err(QueryError::Groups { limit: self.max_groups });
            }
            self.groups.push(Value::Str(name.to_string()));
        }
        let measures: Vec<bool> = self.measures.iter().map(|measure| measure.holds(name)).collect();
        self.memory.grow(CELL_BYTES + name.len() + measures.len())?;
        self.names.push(Name { group, measures });
        self.numbers.insert(name.clone(), Some(self.names.len() - 1));
        Ok(self.numbers[name])
    }

    /// Adds events of a name; `users` may be missing only where no measure needs them.
    fn add(&mut self, name: usize, bucket: u32, events: u64, users: Option<&UniqueSketch>) -> Result<(), QueryError> {
        let Name { group, measures } = &self.names[name];
        let mut grown = 0;
        let cell = self.cells.entry((*group, bucket)).or_insert_with(|| {
            grown += CELL_BYTES * (1 + measures.len());
            empty_cell(self.plan)
        });
        for (value, _) in cell.0.iter_mut().zip(measures).filter(|(_, counted)| **counted) {
            match value {
                CellValue::Count(count) => *count += events,
                CellValue::Users(sketch) => {
                    let before = sketch.memory_bytes();
                    users.into_iter().for_each(|users| sketch.merge(users));
                    grown += sketch.memory_bytes().saturating_sub(before);
                }
            }
        }
        if grown > 0 { self.memory.grow(grown) } else { Ok(()) }
    }

    /// Ranks the groups, folds those beyond the limit, and reads everything out.
    fn table(mut self, stats: ScanStats) -> Result<AggregateTable, QueryError> {
        let is_grouped = !self.plan.group_by.is_empty();
        // Only groups that have an event are in the answer.
        let mut totals: BTreeMap<u32, Cell> = BTreeMap::new();
        for ((group, _), cell) in &self.cells {
            merge_cell(&mut totals, *group, cell);
        }
        let mut order: Vec<u32> = totals.keys().copied().collect();
        let fold = &self.plan.fold;
        order.sort_by(|a, b| {
            let rank = |group: &u32| match totals[group].0[fold.by_measure].measured() {
                Measured::Count(count) => count,
                Measured::Number(_) | Measured::Integer(_) => 0,
            };
            let by_measure = if fold.descending { rank(b).cmp(&rank(a)) } else { rank(a).cmp(&rank(b)) };
            let text = |group: &u32| self.groups.get(*group as usize).map(group_text);
            by_measure.then_with(|| text(a).cmp(&text(b)))
        });
        let kept = if is_grouped { fold.keep.min(order.len()) } else { order.len() };
        let rank_of: HashMap<u32, u32> = order.iter().enumerate().map(|(rank, &group)| (group, rank.min(kept) as u32)).collect();
        let mut rows: BTreeMap<(u32, u32), Cell> = BTreeMap::new();
        let mut by_rank: BTreeMap<u32, Cell> = BTreeMap::new();
        for ((group, bucket), cell) in &self.cells {
            merge_cell(&mut rows, (*bucket, rank_of[group]), cell);
            merge_cell(&mut by_rank, rank_of[group], cell);
        }
        let used = rows.keys().map(|(bucket, _)| *bucket);
        let used = used.clone().min().zip(used.max());
        if self.plan.measures.iter().any(|measure| measure.since.is_some()) {
            self.reach_back(&mut rows, by_rank.len())?;
        }
        let value_of = |rank: u32| match order.get(rank as usize) {
            _ if !is_grouped => Vec::new(),
            Some(group) if (rank as usize) < kept => vec![self.groups[*group as usize].clone()],
            _ => vec![Value::Other],
        };
        let row = |bucket: u32, rank: u32, cell: &Cell| AggregateRow {
            bucket,
            group: value_of(rank),
            measures: cell.0.iter().map(CellValue::measured).collect(),
        };
        Ok(AggregateTable {
            rows: rows.iter().map(|((bucket, rank), cell)| row(*bucket, *rank, cell)).collect(),
            totals: by_rank.iter().map(|(rank, cell)| row(0, *rank, cell)).collect(),
            used,
            stats,
        })
    }

    /// Fills all buckets of all ranks, and joins the values of measures that reach back.
    fn reach_back(&mut self, rows: &mut BTreeMap<(u32, u32), Cell>, ranks: usize) -> Result<(), QueryError> {
        let buckets = self.buckets.0.len();
        check_filled(ranks, buckets)?;
        self.memory.grow(ranks * buckets * CELL_BYTES * (1 + self.plan.measures.len()))?;
        for rank in 0..ranks as u32 {
            for bucket in 0..buckets as u32 {
                rows.entry((bucket, rank)).or_insert_with(|| empty_cell(self.plan));
            }
            for (measure, empty) in empty_cell(self.plan).0.iter().enumerate() {
                let Some(since) = &self.plan.measures[measure].since else { continue };
                let own: Vec<CellValue> = (0..buckets as u32).map(|bucket| rows[&(bucket, rank)].0[measure].clone()).collect();
                for (bucket, value) in (0..).zip(Reach::new(since).join(&own, empty, CellValue::merge)) {
                    if let Some(cell) = rows.get_mut(&(bucket, rank)) {
                        cell.0[measure] = value;
                    }
                }
            }
        }
        Ok(())
    }
}

fn group_text(value: &Value) -> &str {
    match value {
        Value::Str(text) => text,
        _ => "",
    }
}

fn empty_cell(plan: &AggregatePlan) -> Cell {
    let empty = |function: &MeasureFn| match function {
        MeasureFn::UniqueUsersApprox => CellValue::Users(UniqueSketch::default()),
        _ => CellValue::Count(0),
    };
    Cell(plan.measures.iter().map(|measure| empty(&measure.function)).collect())
}

fn merge_cell<K: Ord>(cells: &mut BTreeMap<K, Cell>, key: K, cell: &Cell) {
    match cells.get_mut(&key) {
        Some(sum) => sum.0.iter_mut().zip(&cell.0).for_each(|(sum, value)| sum.merge(value)),
        None => drop(cells.insert(key, cell.clone())),
    }
}
