//! Rows with chosen columns, as the parts give them.

use arrow::array::RecordBatch;
use event_store::{Cell, Field, QueryError, RowBlock, RowVisitor, RowsPlan, ScanStats};

use super::aggregate::add_stats;
use super::batch::{Batch, Fields, Persons};
use super::filter::{Memos, Preparation};
use super::person_property::PersonProperty;
use super::row_reader::RowReader;
use super::scan::Query;
use super::value::Scalar;
use crate::columns::{self, ColumnRequest, FIXED};
use crate::identity::Identity;
use crate::part::ScanRequest;

/// Gives the rows of a plan to `visit`, on the query's threads, in no order.
///
/// # Errors
/// As for [`event_store::RowSource::read`].
pub fn read_rows(query: &Query<'_>, plan: &RowsPlan, visit: &RowVisitor<'_>) -> Result<ScanStats, QueryError> {
    let scan = &plan.scan;
    let mut fields = Fields::default();
    let mut preparation = Preparation::new(&mut fields);
    let filter = preparation.filter(&scan.filter)?;
    let memo_count = preparation.memo_count();
    let positions: Vec<usize> = plan.fields.iter().map(|field| fields.add(field)).collect();
    let mut stats = PersonProperty::load_all(query, &scan.app, &mut fields, None)?;
    let mut requests = fields.requests();
    if plan.is_whole {
        requests.extend(FIXED.map(ColumnRequest::Fixed));
        requests.push(ColumnRequest::AllProperties);
    } else {
        requests.extend([ColumnRequest::Fixed(columns::TIME), ColumnRequest::Fixed(columns::PERSON)]);
    }
    let request =
        ScanRequest { app: &scan.app, from_ms: scan.from_ms, to_ms: scan.to_ms, events: scan.events.as_deref(), columns: &requests };
    let identity = query.snapshot.identity(&scan.app);
    let make = || Memos::new(memo_count, query.context);
    let each = |memos: &mut Memos, record_batch: &RecordBatch| {
        let batch = Batch::of_record_batch(record_batch, &fields, &identity);
        let mask = filter.evaluate(&batch, None, memos);
        query.context.check()?;
        if mask.is_none() {
            return Ok(());
        }
        let chosen = (!filter.is_always()).then(|| mask.iter().collect());
        let reader = plan.is_whole.then(|| RowReader::new(record_batch));
        visit(&Block { batch: &batch, chosen, positions: &positions, fields: &plan.fields, identity: &identity, reader })
    };
    let (_, scanned) = query.scan(&request, &make, &each)?;
    add_stats(&mut stats, scanned);
    Ok(stats)
}

struct Block<'b> {
    batch: &'b Batch,
    /// The rows for which the filter holds; `None` for all.
    chosen: Option<Vec<u32>>,
    positions: &'b [usize],
    fields: &'b [Field],
    identity: &'b Identity,
    reader: Option<RowReader<'b>>,
}

impl Block<'_> {
    fn row(&self, row: usize) -> usize {
        self.chosen.as_ref().map_or(row, |chosen| chosen.get(row).map_or(usize::MAX, |&row| row as usize))
    }
}

impl RowBlock for Block<'_> {
    fn rows(&self) -> usize {
        self.chosen.as_ref().map_or(self.batch.rows(), Vec::len)
    }

    fn cell(&self, field: usize, row: usize) -> Cell<'_> {
        let row = self.row(row);
        let Some(&position) = self.positions.get(field) else { return Cell::Null };
        if row >= self.batch.rows() {
            return Cell::Null;
        }
        if self.fields[field] == Field::Time {
            return Cell::Int(self.batch.time(row));
        }
        match self.batch.column(position).get(row) {
            Scalar::Null => Cell::Null,
            Scalar::Bool(value) => Cell::Bool(value),
            Scalar::Int(value) => Cell::Int(value),
            Scalar::BigUint(value) => Cell::BigUint(value),
            Scalar::Float(value) => Cell::Float(value),
            Scalar::Str(text) => Cell::Text(text),
            Scalar::Json(text) => Cell::Json(text),
        }
    }

    fn person(&self, row: usize) -> Option<u64> {
        use arrow::array::Array;
        let row = self.row(row);
        match self.batch.persons() {
            Persons::Keys(keys) if row < keys.len() && keys.is_valid(row) => Some(keys.value(row)),
            _ => None,
        }
    }

    fn linked_id(&self, row: usize) -> Option<&str> {
        self.identity.id(self.person(row)?)
    }

    fn time_ms(&self, row: usize) -> i64 {
        let row = self.row(row);
        if row < self.batch.rows() { self.batch.time(row) } else { i64::MIN }
    }

    fn client_time_ms(&self, row: usize) -> i64 {
        self.reader.as_ref().map_or_else(|| self.time_ms(row), |reader| reader.client_time_ms(self.row(row)))
    }

    fn properties_json(&self, row: usize) -> String {
        self.reader.as_ref().map_or_else(|| "{}".to_owned(), |reader| reader.properties_json(self.row(row)))
    }
}
