//! Counting, grouped: one pass over the rows, a merge of what the threads counted, then ranking and folding.

use arrow::array::RecordBatch;
use event_store::{
    AggregatePlan, AggregateRow, AggregateTable, Field, Filter, Fold, Measure, MeasureFn, Measured, QueryContext, QueryError, ScanStats,
    Value,
};

use super::bucket::BucketFinder;
use super::cells::{CellTable, group_and_bucket};
use super::column::{Batch, Fields};
use super::filter::{Memos, Predicate, Preparation};
use super::group::{GroupCoder, GroupTable, check_keys};
use super::layout::{Layout, ranked};
use super::pairs::{PairList, SortedPairs};
use super::person_property::PersonProperty;
use super::scan::{Query, Reserved};
use super::sessions;
use super::tally::{CELL_BYTES, Results, Selection, Tally};
use crate::columns::{self, ColumnRequest};
use crate::part::ScanRequest;

/// Answers an [`AggregatePlan`].
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub fn aggregate(query: &Query<'_>, plan: &AggregatePlan) -> Result<AggregateTable, QueryError> {
    check_plan(plan)?;
    let mut stats = ScanStats::default();
    let prepared = Prepared::new(query, plan, &mut stats)?;
    let workers = prepared.scan(query, plan, &mut stats)?;
    let sessions = sessions::count(query, plan, &prepared, &mut stats)?;
    let counted = Counted::merge(query, plan, &prepared, workers, &sessions)?;
    let groups = prepared.groups.groups();
    let layout = counted.layout(query, plan, &groups)?;
    let results: Vec<Results> = counted.results(query, plan, &layout)?;
    Ok(table(&groups, &layout, &results, stats))
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
    Ok(())
}

/// A plan with its filters compiled, its fields numbered and its tables of persons read.
pub(super) struct Prepared {
    pub(super) fields: Fields,
    pub(super) filter: Predicate,
    /// The scan's event names, for the pass that reads all names.
    pub(super) scan_names: Predicate,
    pub(super) measures: Vec<PreparedMeasure>,
    pub(super) groups: GroupTable,
    pub(super) buckets: BucketFinder,
    pub(super) memo_count: usize,
}

/// A measure's selection and the column it reads.
pub(super) struct PreparedMeasure {
    pub(super) predicate: Predicate,
    field: Option<usize>,
}

impl Prepared {
    fn new(query: &Query<'_>, plan: &AggregatePlan, stats: &mut ScanStats) -> Result<Self, QueryError> {
        let mut fields = Fields::default();
        let keys: Vec<usize> = plan.group_by.iter().map(|field| fields.add(field)).collect();
        let measured: Vec<Option<usize>> = plan.measures.iter().map(|m| read_field(&m.function).map(|field| fields.add(field))).collect();
        let mut preparation = Preparation::new(&mut fields);
        let filter = preparation.filter(&plan.scan.filter)?;
        let has_sessions = plan.measures.iter().any(|measure| matches!(measure.function, MeasureFn::Sessions(_)));
        let names = plan.scan.events.as_deref().filter(|_| has_sessions);
        let scan_names = preparation.selection(names, &Filter::all())?;
        let selection = |(measure, field): (&Measure, Option<usize>)| {
            let predicate = preparation.selection(measure.events.as_deref(), &measure.filter)?;
            Ok(PreparedMeasure { predicate, field })
        };
        let measures = plan.measures.iter().zip(measured).map(selection).collect::<Result<Vec<_>, QueryError>>()?;
        let memo_count = preparation.memo_count();
        *stats = PersonProperty::load_all(query, &plan.scan.app, &mut fields)?;
        let starts = plan.buckets.as_ref().map_or_else(|| vec![plan.scan.from_ms], |buckets| buckets.starts.clone());
        Ok(Self {
            fields,
            filter,
            scan_names,
            measures,
            groups: GroupTable::new(keys, query.context),
            buckets: BucketFinder::new(&starts, plan.scan.to_ms),
            memo_count,
        })
    }

    fn requests(&self, plan: &AggregatePlan) -> Vec<ColumnRequest> {
        let mut requests = self.fields.requests();
        if self.buckets.count() > 1 {
            requests.push(ColumnRequest::Fixed(columns::TIME));
        }
        if plan.measures.iter().any(|measure| needs_person(&measure.function)) {
            requests.push(ColumnRequest::Fixed(columns::PERSON));
        }
        requests
    }

    fn scan(&self, query: &Query<'_>, plan: &AggregatePlan, stats: &mut ScanStats) -> Result<Vec<Worker<'_>>, QueryError> {
        let requests = self.requests(plan);
        let scan = &plan.scan;
        let request =
            ScanRequest { app: &scan.app, from_ms: scan.from_ms, to_ms: scan.to_ms, events: scan.events.as_deref(), columns: &requests };
        let make = || Worker::new(self, plan, query.context);
        let (workers, scanned) = query.scan(&request, &make, &|worker, batch| worker.update(plan, batch))?;
        add_stats(stats, scanned);
        Ok(workers)
    }
}

/// Adds one pass to the account of an answer; passes that read the same rows count them once.
pub(super) fn add_stats(stats: &mut ScanStats, pass: ScanStats) {
    stats.scanned_events = stats.scanned_events.max(pass.scanned_events);
    stats.work.add(&pass.work);
    for missing in pass.missing {
        if !stats.missing.contains(&missing) {
            stats.missing.push(missing);
        }
    }
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
    prepared: &'p Prepared,
    memos: Memos,
    coder: GroupCoder<'p>,
    cells: CellTable,
    tallies: Vec<Tally<PairList>>,
    memory: Reserved,
    rows: Vec<u32>,
    groups: Vec<u32>,
    row_cells: Vec<u32>,
}

impl<'p> Worker<'p> {
    fn new(prepared: &'p Prepared, plan: &AggregatePlan, context: &QueryContext) -> Self {
        Self {
            prepared,
            memos: Memos::new(prepared.memo_count),
            coder: GroupCoder::new(&prepared.groups),
            cells: CellTable::new(prepared.buckets.count()),
            tallies: plan.measures.iter().map(|measure| Tally::new(&measure.function, context)).collect(),
            memory: Reserved::new(context),
            rows: Vec::new(),
            groups: Vec::new(),
            row_cells: Vec::new(),
        }
    }

    fn update(&mut self, plan: &AggregatePlan, batch: &RecordBatch) -> Result<(), QueryError> {
        let batch = Batch::new(batch, &self.prepared.fields);
        self.rows.clear();
        if self.prepared.filter.is_always() {
            self.rows.extend(0..batch.rows() as u32);
        } else {
            self.rows.extend(self.prepared.filter.evaluate(&batch, &mut self.memos).set_indices_u32());
        }
        self.find_cells(&batch)?;
        self.memory.set(self.cells.len() * (1 + self.tallies.len()) * CELL_BYTES)?;
        let (mut own_rows, mut own_cells) = (Vec::new(), Vec::new());
        for ((measure, prepared), tally) in plan.measures.iter().zip(&self.prepared.measures).zip(&mut self.tallies) {
            if matches!(measure.function, MeasureFn::Sessions(_)) {
                continue;
            }
            let (rows, cells) = if prepared.predicate.is_always() {
                (&self.rows, &self.row_cells)
            } else {
                let mask = prepared.predicate.evaluate(&batch, &mut self.memos);
                let chosen = || self.rows.iter().zip(&self.row_cells).filter(|(row, _)| mask.value(**row as usize));
                own_rows.clear();
                own_cells.clear();
                own_rows.extend(chosen().map(|(row, _)| *row));
                own_cells.extend(chosen().map(|(_, cell)| *cell));
                (&own_rows, &own_cells)
            };
            let field = prepared.field.map(|field| batch.column(field));
            tally.update(&batch, field, &Selection { rows, cells, cell_keys: self.cells.keys() })?;
        }
        Ok(())
    }

    /// The cell of each selected row.
    fn find_cells(&mut self, batch: &Batch) -> Result<(), QueryError> {
        self.coder.code(batch, &self.rows, &mut self.groups)?;
        self.row_cells.clear();
        if self.prepared.buckets.count() == 1 {
            let cells = &mut self.cells;
            self.row_cells.extend(self.groups.iter().map(|&group| cells.intern(group, 0)));
            return Ok(());
        }
        let times = batch.times();
        for (&row, &group) in self.rows.iter().zip(&self.groups) {
            let bucket = self.prepared.buckets.find(times[row as usize]);
            self.row_cells.push(self.cells.intern(group, bucket));
        }
        Ok(())
    }
}

/// Sessions of one measure: its position, and the sessions of each cell.
pub(super) type SessionCounts = Vec<(usize, Vec<(u64, u64)>)>;

/// What all threads have counted.
struct Counted {
    cells: CellTable,
    tallies: Vec<Tally<SortedPairs>>,
    buckets: usize,
    _memory: Reserved,
}

impl Counted {
    fn merge(
        query: &Query<'_>,
        plan: &AggregatePlan,
        prepared: &Prepared,
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

        let mut by_measure: Vec<Vec<Tally<PairList>>> = plan.measures.iter().map(|_| Vec::new()).collect();
        for worker in workers {
            by_measure.iter_mut().zip(worker.tallies).for_each(|(tallies, tally)| tallies.push(tally));
        }
        let merge = |(measure, tallies): (&Measure, Vec<_>)| Tally::merge(&measure.function, tallies, &maps, cells.len(), query);
        let mut tallies = plan.measures.iter().zip(by_measure).map(merge).collect::<Result<Vec<_>, _>>()?;
        for ((measure, counts), places) in sessions.iter().zip(session_cells) {
            if let Tally::Count(totals) = &mut tallies[*measure] {
                counts.iter().zip(places).for_each(|((_, count), place)| totals[place as usize] += count);
            }
        }
        Ok(Self { cells, tallies, buckets, _memory: memory })
    }

    /// Ranks the groups and folds those beyond the limit.
    fn layout(&self, query: &Query<'_>, plan: &AggregatePlan, groups: &[Vec<Value>]) -> Result<Layout, QueryError> {
        let unfolded = Layout::unfolded(groups.len(), &self.cells, self.buckets);
        if plan.group_by.is_empty() || groups.is_empty() {
            return Ok(unfolded);
        }
        let Fold { keep, by_measure, .. } = plan.fold;
        let totals: Vec<Measured> = self.tallies[by_measure].results(&plan.measures[by_measure].function, &unfolded, query)?.totals;
        Ok(Layout::new(&ranked(groups, &totals, &plan.fold), keep, &self.cells, self.buckets))
    }

    fn results(&self, query: &Query<'_>, plan: &AggregatePlan, layout: &Layout) -> Result<Vec<Results>, QueryError> {
        let result = |(tally, measure): (&Tally<SortedPairs>, &Measure)| tally.results(&measure.function, layout, query);
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
        stats,
    }
}
