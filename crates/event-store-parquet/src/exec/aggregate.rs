//! Counting, grouped: one pass over the rows, a merge of what the threads counted, then ranking and folding.

use std::sync::Arc;
use std::time::Instant;

use event_store::{
    AggregatePlan, AggregateRow, AggregateTable, Field, Filter, Fold, Measure, MeasureFn, QueryContext, QueryError, Scan, ScanStats, Value,
};

use super::batch::{Batch, Fields};
use super::bucket::BucketFinder;
use super::cells::{CellTable, group_and_bucket};
use super::column_scan::{ColumnScan, Reading, TimeUse};
use super::distinct::ThreadCells;
use super::filter::{Memos, Predicate, Preparation};
use super::group::{GroupCoder, GroupTable, check_keys};
use super::layout::{Layout, ranked};
use super::mask::Mask;
use super::narrow::Narrowing;
use super::person_property::PersonProperty;
use super::reach::{Reach, check_filled};
use super::rows::{RowCells, Rows, Selection};
use super::scan::{Query, Reserved};
use super::sessions;
use super::tally::{CELL_BYTES, Merged, Results, Tally, Update};

/// Answers an [`AggregatePlan`].
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub fn aggregate(query: &Query<'_>, plan: &AggregatePlan) -> Result<AggregateTable, QueryError> {
    check_plan(plan)?;
    query.with_persons(&plan.scan.app, |reading| answer(query, plan, reading))
}

fn answer(query: &Query<'_>, plan: &AggregatePlan, reading: &Reading) -> Result<AggregateTable, QueryError> {
    let mut stats = ScanStats::default();
    let preparing = Instant::now();
    let prepared = Prepared::new(query, plan, reading, &mut stats)?;
    stats.work.stage("prepare", preparing);
    let scanning = Instant::now();
    let workers = prepared.scan(query, plan, &mut stats)?;
    let sessions = sessions::count::count(query, plan, &prepared, &mut stats)?;
    stats.work.stage("scan", scanning);
    let merging = Instant::now();
    let counted = Counted::merge(query, plan, &prepared, workers, &sessions)?;
    stats.work.stage("merge", merging);
    let ranking = Instant::now();
    let groups = prepared.groups.groups();
    let mut filled = Reserved::new(query.context);
    let layout = counted.layout(query, plan, &groups, &mut filled)?;
    let results: Vec<Results> = counted.results(query, plan, &layout)?;
    let mut table = table(&groups, &layout, &results, stats);
    let used = counted.cells.keys().iter().map(|&key| group_and_bucket(key).1);
    table.used = used.clone().min().zip(used.max());
    table.stats.work.stage("rank", ranking);
    Ok(table)
}

fn check_plan(plan: &AggregatePlan) -> Result<(), QueryError> {
    let invalid = |field: &str, message: &str| Err(QueryError::Invalid { field: field.into(), message: message.into() });
    check_keys(&plan.group_by)?;
    if plan.measures.is_empty() {
        return invalid("metrics", "at least one metric is needed");
    }
    if plan.fold.by_measure >= plan.measures.len() {
        return invalid("order_by", "there is no such metric to order by");
    }
    if plan.buckets.as_ref().is_some_and(|buckets| buckets.starts.is_empty()) {
        return invalid("interval", "the range has no bucket");
    }
    let buckets = plan.buckets.as_ref().map_or(0, |buckets| buckets.starts.len());
    let is_reach =
        |since: &Arc<[u32]>| since.len() == buckets && since.is_sorted() && since.iter().zip(0..).all(|(&since, own)| since <= own);
    if !plan.measures.iter().filter_map(|measure| measure.since.as_ref()).all(is_reach) {
        return invalid("metrics", "a metric reaches back to a bucket for each bucket");
    }
    Ok(())
}

/// A plan with its filters compiled, its fields numbered and its tables of persons read.
pub(super) struct Prepared<'p> {
    pub(super) reading: &'p Reading,
    pub(super) fields: Fields,
    pub(super) filter: Predicate,
    /// The scan's event names, for the pass that reads all names.
    pub(super) scan_names: Predicate,
    pub(super) measures: Vec<PreparedMeasure>,
    /// The field of the client's session ids, where sessions are counted.
    pub(super) session_ids: Option<usize>,
    pub(super) groups: GroupTable,
    pub(super) buckets: BucketFinder,
    pub(super) memo_count: usize,
}

/// A measure's selection and the column it reads.
pub(super) struct PreparedMeasure {
    pub(super) predicate: Predicate,
    field: Option<usize>,
}

impl<'p> Prepared<'p> {
    fn new(query: &Query<'_>, plan: &AggregatePlan, reading: &'p Reading, stats: &mut ScanStats) -> Result<Self, QueryError> {
        let mut fields = Fields::default();
        let keys: Vec<usize> = plan.group_by.iter().map(|field| fields.add(field)).collect();
        let measured: Vec<Option<usize>> = plan.measures.iter().map(|m| read_field(&m.function).map(|field| fields.add(field))).collect();
        let is_session = |measure: &Measure| matches!(measure.function, MeasureFn::Sessions(_));
        let has_sessions = plan.measures.iter().any(is_session);
        let session_ids = has_sessions.then(|| fields.add(&Field::SessionId));
        let mut preparation = Preparation::new(&mut fields);
        let filter = preparation.filter(&plan.scan.filter)?;
        let names = plan.scan.events.as_deref().filter(|_| has_sessions);
        let scan_names = preparation.selection(names, &Filter::all())?;
        let selection = |(measure, field): (&Measure, Option<usize>)| {
            let predicate = preparation.selection(measure.events.as_deref(), &measure.filter)?;
            Ok(PreparedMeasure { predicate, field })
        };
        let measures = plan.measures.iter().zip(measured).map(selection).collect::<Result<Vec<_>, QueryError>>()?;
        let memo_count = preparation.memo_count();
        *stats = PersonProperty::load_all(query, &plan.scan.app, &mut fields, Some(reading))?;
        let starts = plan.buckets.as_ref().map_or_else(|| vec![plan.scan.from_ms], |buckets| buckets.starts.clone());
        Ok(Self {
            reading,
            fields,
            filter,
            scan_names,
            measures,
            session_ids,
            groups: GroupTable::new(keys, query.context),
            buckets: BucketFinder::new(&starts, plan.scan.to_ms),
            memo_count,
        })
    }

    fn scan(&self, query: &Query<'_>, plan: &AggregatePlan, stats: &mut ScanStats) -> Result<Vec<Worker<'_>>, QueryError> {
        let Scan { app, from_ms, to_ms, events, .. } = &plan.scan;
        let scan = ColumnScan {
            app,
            from_ms: *from_ms,
            to_ms: *to_ms,
            events: events.as_deref(),
            fields: &self.fields,
            persons: plan.measures.iter().any(|measure| needs_person(&measure.function)),
            times: TimeUse::Buckets(&self.buckets),
            narrowing: (!self.filter.is_always()).then_some(Narrowing { filter: &self.filter, memo_count: self.memo_count }),
            reading: self.reading,
        };
        let make = || Worker::new(self, plan, query.context);
        let each = |worker: &mut Worker<'_>, batch: &Batch, wanted: Option<&Mask>| worker.update(plan, query, batch, wanted);
        let (mut workers, scanned) = query.scan_columns(&scan, &make, &each)?;
        workers.iter_mut().try_for_each(Worker::finish)?;
        add_stats(stats, scanned);
        Ok(workers)
    }
}

/// Adds one pass to the account of an answer; passes that read the same rows count them once.
pub(super) fn add_stats(stats: &mut ScanStats, pass: ScanStats) {
    stats.scanned_events = stats.scanned_events.max(pass.scanned_events);
    stats.add_pass(pass);
}

/// The field whose values a measure reads.
fn read_field(function: &MeasureFn) -> Option<&Field> {
    match function {
        MeasureFn::Sum(field)
        | MeasureFn::Avg(field)
        | MeasureFn::Min(field)
        | MeasureFn::Max(field)
        | MeasureFn::Quantile(field, _)
        | MeasureFn::CountDistinct(field)
        | MeasureFn::AvgPerUser(field) => Some(field),
        MeasureFn::Events | MeasureFn::UniqueUsers | MeasureFn::UniqueUsersApprox | MeasureFn::Sessions(_) | MeasureFn::EventsPerUser => {
            None
        }
    }
}

fn needs_person(function: &MeasureFn) -> bool {
    use MeasureFn::{AvgPerUser, EventsPerUser, UniqueUsers, UniqueUsersApprox};
    matches!(function, UniqueUsers | UniqueUsersApprox | EventsPerUser | AvgPerUser(_))
}

/// What one thread has counted.
struct Worker<'p> {
    prepared: &'p Prepared<'p>,
    memos: Memos,
    coder: GroupCoder<'p>,
    cells: CellTable,
    tallies: Vec<Tally>,
    memory: Reserved,
    /// True when every measure counts all selected events.
    counts_only: bool,
    /// The bucket of the rows that the coder has counted.
    counted_bucket: u32,
    rows: Vec<u32>,
    row_cells: Vec<u32>,
}

impl<'p> Worker<'p> {
    fn new(prepared: &'p Prepared<'p>, plan: &AggregatePlan, context: &QueryContext) -> Self {
        let mut measures = plan.measures.iter().zip(&prepared.measures);
        let counts_only = |(measure, prepared): (&Measure, &PreparedMeasure)| {
            matches!(measure.function, MeasureFn::Events) && prepared.predicate.is_always()
        };
        Self {
            prepared,
            memos: Memos::new(prepared.memo_count, context),
            coder: GroupCoder::new(&prepared.groups),
            cells: CellTable::new(prepared.buckets.count()),
            tallies: plan.measures.iter().map(|measure| Tally::new(&measure.function, prepared.reading, context)).collect(),
            memory: Reserved::new(context),
            counts_only: measures.all(counts_only),
            counted_bucket: 0,
            rows: Vec::new(),
            row_cells: Vec::new(),
        }
    }

    fn update(&mut self, plan: &AggregatePlan, query: &Query<'_>, batch: &Batch, wanted: Option<&Mask>) -> Result<(), QueryError> {
        let prepared = self.prepared;
        let filtered = (!prepared.filter.is_always()).then(|| prepared.filter.evaluate(batch, wanted, &mut self.memos));
        let selected = filtered.as_ref().or(wanted);
        let mut row_numbers = std::mem::take(&mut self.rows);
        let rows = select(selected, batch, &mut row_numbers);
        let updated = if rows.count() == 0 { Ok(()) } else { self.update_rows(plan, query, batch, selected, rows) };
        self.rows = row_numbers;
        updated
    }

    fn update_rows(
        &mut self,
        plan: &AggregatePlan,
        query: &Query<'_>,
        batch: &Batch,
        selected: Option<&Mask>,
        rows: Rows<'_>,
    ) -> Result<(), QueryError> {
        let bucket = self.bucket_of_all(plan, batch);
        if self.counts_only
            && let Some(bucket) = bucket
        {
            if bucket != self.counted_bucket {
                self.finish()?;
                self.counted_bucket = bucket;
            }
            if self.coder.count(batch, rows) {
                return Ok(());
            }
        }
        let mut row_cells = std::mem::take(&mut self.row_cells);
        let cells = self.find_cells(batch, bucket, rows, &mut row_cells)?;
        self.memory.set(self.cells.len() * (1 + self.tallies.len()) * CELL_BYTES)?;
        self.update_tallies(plan, query, batch, selected, Selection { rows, cells })?;
        self.row_cells = row_cells;
        Ok(())
    }

    fn update_tallies(
        &mut self,
        plan: &AggregatePlan,
        query: &Query<'_>,
        batch: &Batch,
        selected: Option<&Mask>,
        selection: Selection<'_>,
    ) -> Result<(), QueryError> {
        let (mut own_rows, mut own_cells) = (Vec::new(), Vec::new());
        for ((measure, prepared), tally) in plan.measures.iter().zip(&self.prepared.measures).zip(&mut self.tallies) {
            if matches!(measure.function, MeasureFn::Sessions(_)) {
                continue;
            }
            let selection = if prepared.predicate.is_always() {
                selection
            } else {
                let mask = prepared.predicate.evaluate(batch, selected, &mut self.memos);
                own_rows.clear();
                own_cells.clear();
                selection.for_each(|row, cell| {
                    if mask.has(row) {
                        own_rows.push(row as u32);
                        own_cells.push(cell as u32);
                    }
                });
                let cells = if let RowCells::One(cell) = selection.cells { RowCells::One(cell) } else { RowCells::Each(&own_cells) };
                Selection { rows: Rows::Some(&own_rows), cells }
            };
            if selection.rows.count() > 0 {
                let field = prepared.field.map(|field| batch.column(field));
                let (cell_keys, reading, context) = (self.cells.keys(), self.prepared.reading, query.context);
                tally.update(&Update { batch, field, selection, cell_keys, reading, context })?;
            }
        }
        Ok(())
    }

    /// The bucket that all rows in range lie in, where that is known without looking at their times.
    fn bucket_of_all(&self, plan: &AggregatePlan, batch: &Batch) -> Option<u32> {
        let buckets = &self.prepared.buckets;
        if buckets.count() == 1 {
            return Some(0);
        }
        let (earliest_ms, latest_ms) = batch.span_ms()?;
        let first = buckets.find(earliest_ms.max(plan.scan.from_ms));
        (buckets.find(latest_ms.min(plan.scan.to_ms.saturating_sub(1))) == first).then_some(first)
    }

    /// The cell of each selected row, in `out` where they are not all in one.
    fn find_cells<'o>(
        &mut self,
        batch: &Batch,
        bucket: Option<u32>,
        rows: Rows<'_>,
        out: &'o mut Vec<u32>,
    ) -> Result<RowCells<'o>, QueryError> {
        let group = match self.coder.code(batch, rows, out)? {
            RowCells::One(group) => Some(group),
            RowCells::Each(_) => None,
        };
        match (group, bucket) {
            (Some(group), Some(bucket)) => return Ok(RowCells::One(self.cells.intern(group, bucket))),
            (None, Some(bucket)) => self.cells.intern_all(out, bucket),
            (group, None) => {
                if let Some(group) = group {
                    out.clear();
                    out.resize(rows.count(), group);
                }
                let mut cells = out.iter_mut();
                rows.try_for_each(|row| {
                    if let Some(cell) = cells.next() {
                        *cell = self.cells.intern(*cell, self.prepared.buckets.find(batch.time(row)));
                    }
                    Ok::<(), QueryError>(())
                })?;
            }
        }
        Ok(RowCells::Each(out))
    }

    /// Puts what the coder has counted into the tallies.
    fn finish(&mut self) -> Result<(), QueryError> {
        let Self { coder, cells, tallies, counted_bucket, .. } = self;
        coder.take_counts(&mut |group, count| {
            let cell = cells.intern(group, *counted_bucket) as usize;
            tallies.iter_mut().for_each(|tally| tally.count_events(cell, count));
            Ok(())
        })?;
        self.memory.set(self.cells.len() * (1 + self.tallies.len()) * CELL_BYTES)
    }
}

/// The rows of a mask, written into `numbers`; all of the batch where there is none.
fn select<'r>(mask: Option<&Mask>, batch: &Batch, numbers: &'r mut Vec<u32>) -> Rows<'r> {
    match mask {
        None => Rows::All(batch.rows()),
        Some(mask) => {
            numbers.clear();
            numbers.extend(mask.iter());
            if numbers.len() == batch.rows() { Rows::All(batch.rows()) } else { Rows::Some(numbers) }
        }
    }
}

/// Sessions of one measure: its position, and the sessions of each cell.
pub(super) type SessionCounts = Vec<(usize, Vec<(u64, u64)>)>;

/// What all threads have counted.
struct Counted {
    cells: CellTable,
    tallies: Vec<Merged>,
    buckets: usize,
    _memory: Reserved,
}

impl Counted {
    fn merge(
        query: &Query<'_>,
        plan: &AggregatePlan,
        prepared: &Prepared<'_>,
        workers: Vec<Worker<'_>>,
        sessions: &SessionCounts,
    ) -> Result<Self, QueryError> {
        let buckets = prepared.buckets.count();
        let mut cells = CellTable::new(buckets);
        let mut intern = |keys: &[u64]| -> Vec<u32> {
            let number = |&key: &u64| {
                let (group, bucket) = group_and_bucket(key);
                cells.intern(group, bucket)
            };
            keys.iter().map(number).collect()
        };
        let maps: Vec<Vec<u32>> = workers.iter().map(|worker| intern(worker.cells.keys())).collect();
        let session_cells: Vec<Vec<u32>> =
            sessions.iter().map(|(_, counts)| intern(&counts.iter().map(|(key, _)| *key).collect::<Vec<_>>())).collect();
        let mut memory = Reserved::new(query.context);
        memory.grow(cells.len() * (1 + plan.measures.len()) * CELL_BYTES)?;

        let mut by_measure: Vec<Vec<Tally>> = plan.measures.iter().map(|_| Vec::new()).collect();
        let mut tables = Vec::new();
        for worker in workers {
            by_measure.iter_mut().zip(worker.tallies).for_each(|(tallies, tally)| tallies.push(tally));
            tables.push(worker.cells);
        }
        let thread_cells = ThreadCells { keys: tables.iter().map(CellTable::keys).collect(), maps, count: cells.len() };
        let merge =
            |(measure, tallies): (&Measure, Vec<_>)| Merged::new(&measure.function, tallies, &thread_cells, prepared.reading, query);
        let mut tallies = plan.measures.iter().zip(by_measure).map(merge).collect::<Result<Vec<_>, _>>()?;
        for ((measure, counts), places) in sessions.iter().zip(session_cells) {
            if let Merged::Count(totals) = &mut tallies[*measure] {
                counts.iter().zip(places).for_each(|((_, count), place)| totals[place as usize] += count);
            }
        }
        Ok(Self { cells, tallies, buckets, _memory: memory })
    }

    /// Ranks the groups and folds those beyond the limit.
    fn layout(&self, query: &Query<'_>, plan: &AggregatePlan, groups: &[Vec<Value>], memory: &mut Reserved) -> Result<Layout, QueryError> {
        let unfolded = Layout::unfolded(groups.len(), &self.cells, self.buckets);
        let reaches_back = plan.measures.iter().any(|measure| measure.since.is_some());
        let (order, keep) = if plan.group_by.is_empty() || groups.is_empty() {
            ((0..groups.len() as u32).collect(), groups.len())
        } else {
            let Fold { keep, by_measure, .. } = plan.fold;
            let totals = self.tallies[by_measure].results(&plan.measures[by_measure].function, &unfolded, None, query)?.totals;
            (ranked(groups, &totals, &plan.fold), keep)
        };
        if !reaches_back {
            return Ok(Layout::new(&order, keep, &self.cells, self.buckets));
        }
        let ranks = keep.min(order.len()) + usize::from(order.len() > keep);
        check_filled(ranks, self.buckets)?;
        memory.grow(ranks * self.buckets * (1 + plan.measures.len()) * CELL_BYTES)?;
        Ok(Layout::filled(&order, keep, &self.cells, self.buckets))
    }

    fn results(&self, query: &Query<'_>, plan: &AggregatePlan, layout: &Layout) -> Result<Vec<Results>, QueryError> {
        let result = |(tally, measure): (&Merged, &Measure)| {
            let reach = measure.since.as_deref().map(Reach::new);
            tally.results(&measure.function, layout, reach.as_ref(), query)
        };
        self.tallies.iter().zip(&plan.measures).map(result).collect()
    }
}

fn table(groups: &[Vec<Value>], layout: &Layout, results: &[Results], stats: ScanStats) -> AggregateTable {
    let mut by_rank: Vec<Vec<Value>> = vec![Vec::new(); layout.rank_count()];
    for (group, values) in groups.iter().enumerate() {
        let rank = layout.rank(group as u32);
        let folded = layout.is_rest(rank);
        by_rank[rank as usize] = values.iter().map(|value| if folded { Value::Other } else { value.clone() }).collect();
    }
    let row = |place: usize, &(rank, bucket): &(u32, u32)| AggregateRow {
        bucket,
        group: by_rank[rank as usize].clone(),
        measures: results.iter().map(|results| results.rows[place]).collect(),
    };
    let mut order: Vec<usize> = (0..layout.cells().len()).collect();
    order.sort_by_key(|&place| {
        let (rank, bucket) = layout.cells()[place];
        (bucket, rank)
    });
    let total = |(rank, group): (usize, &Vec<Value>)| AggregateRow {
        bucket: 0,
        group: group.clone(),
        measures: results.iter().map(|results| results.totals[rank]).collect(),
    };
    AggregateTable {
        rows: order.into_iter().map(|place| row(place, &layout.cells()[place])).collect(),
        totals: by_rank.iter().enumerate().map(total).collect(),
        used: None,
        stats,
    }
}
