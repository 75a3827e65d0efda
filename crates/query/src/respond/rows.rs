use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;

use event::UniqueSketch;
use event_store::{AggregateTable, Field, MeasureFn, Measured, MemoryBudget, Value};
use serde_json::{Map, Value as Json, json};

use super::order::{Cell, compare_cells, compare_values};
use super::{add_period, frame, number_json, range, value_json};
use crate::answered::Held;
use crate::cache::NODE_BYTES;
use crate::calendar;
use crate::failure::QueryFailure;
use crate::planner::{ColumnSource, QueryPlan, SortKey};
use crate::request::Direction;

/// One row before it is written.
struct Row {
    /// Index into the labels of the range.
    bucket: usize,
    /// Index into the groups.
    group: usize,
    cells: Vec<Cell>,
}

/// The answer to a `/query` request: zero-filled, sorted rows in their frame.
///
/// # Errors
/// A limit, when there would be more than `max_rows`, or more than `memory` has room for.
pub(crate) fn query_answer(
    plan: &QueryPlan,
    table: &AggregateTable,
    max_rows: usize,
    memory: &MemoryBudget,
) -> Result<Map<String, Json>, QueryFailure> {
    let grid = Grid::new(plan, table, max_rows)?;
    let _rows = Held::take(memory, grid.groups.len() * grid.shown.len() * row_bytes(plan))?;
    let mut rows: Vec<Row> = Vec::new();
    for bucket in grid.shown.clone() {
        for group in 0..grid.groups.len() {
            rows.push(Row { bucket, group, cells: grid.cells(grid.first_current + bucket, group) });
        }
    }
    rows.sort_by(|a, b| compare_rows(plan, &grid, a, b));
    let is_rounded = rows.iter().any(|row| row.cells.iter().any(|cell| cell.is_rounded()));
    let results = rows.iter().map(|row| Json::Object(row_json(plan, &grid, row))).collect();
    let mut answer = frame("results", Json::Array(results), !plan.is_approximate() && !is_rounded, &table.stats);
    if plan.is_approximate() {
        answer.insert("relative_standard_error".to_owned(), json!(UniqueSketch::RELATIVE_STANDARD_ERROR));
    }
    if is_rounded {
        let reason = "a number of 2^53 or more that is not a sum, smallest or largest of 64-bit integers has 53 bits of precision";
        answer.insert("rounded".to_owned(), json!(reason));
    }
    answer.insert("group_by".to_owned(), plan.group_by.iter().map(|key| json!(key.name)).collect());
    answer.insert("metrics".to_owned(), plan.columns.iter().map(|column| json!(column.name)).collect());
    let saved = plan.columns.iter().filter_map(|column| {
        let saved = column.saved.as_ref()?;
        Some(json!({"metric": column.name, "id": saved.id, "name": saved.name, "unit": saved.unit}))
    });
    let saved: Vec<Json> = saved.collect();
    if !saved.is_empty() {
        answer.insert("saved_metrics".to_owned(), Json::Array(saved));
    }
    add_period(&mut answer, &plan.period);
    if let Some(previous) = &plan.timeline.previous {
        answer.insert("previous_range".to_owned(), range(&plan.period.zone, previous.from_ms, plan.period.from_ms));
    }
    Ok(answer)
}

/// Memory of one row while it is laid out: its cells, and its fields as JSON.
fn row_bytes(plan: &QueryPlan) -> usize {
    let fields = 1 + plan.group_by.len() + plan.columns.len();
    let shown = if plan.timeline.previous.is_some() { 2 * fields } else { fields };
    size_of::<Row>() + plan.columns.len() * size_of::<Cell>() + (1 + 2 * shown) * NODE_BYTES
}

/// The measures of every group in every bucket of the plan.
struct Grid<'t> {
    plan: &'t QueryPlan,
    groups: Vec<&'t [Value]>,
    /// By bucket of the plan and group; missing where no event matched.
    measured: HashMap<(usize, usize), &'t [Measured]>,
    /// Bucket of the plan with which the range begins.
    first_current: usize,
    /// Buckets of the range that are shown.
    shown: Range<usize>,
}

impl<'t> Grid<'t> {
    fn new(plan: &'t QueryPlan, table: &'t AggregateTable, max_rows: usize) -> Result<Self, QueryFailure> {
        const NO_GROUP: &[Value] = &[];
        let is_grouped = !plan.group_by.is_empty();
        let groups: Vec<&[Value]> = if is_grouped { table.totals.iter().map(|row| row.group.as_slice()).collect() } else { vec![NO_GROUP] };
        let shown = shown_buckets(plan, table);
        let rows = groups.len().saturating_mul(shown.len());
        if rows > max_rows {
            let message = format!(
                "the answer would have {rows} rows, at most {max_rows} are given: lower \"limit\", or ask for a longer interval or a shorter range"
            );
            return Err(QueryFailure::limit("query_row_limit", message));
        }
        let index: HashMap<Vec<KeyPart<'_>>, usize> = groups.iter().enumerate().map(|(i, group)| (group_key(group), i)).collect();
        let mut measured = HashMap::with_capacity(table.rows.len());
        for row in &table.rows {
            if let Some(&group) = index.get(&group_key(&row.group)) {
                measured.insert((row.bucket as usize, group), row.measures.as_slice());
            }
        }
        Ok(Self { plan, groups, measured, first_current: plan.first_current_bucket(), shown })
    }

    /// The metrics of one group in one bucket of the plan.
    fn cells(&self, bucket: usize, group: usize) -> Vec<Cell> {
        let measured = self.measured.get(&(bucket, group)).copied();
        let measures = &self.plan.aggregate.measures;
        let cell = |i: usize| cell(&measures[i].function, measured.and_then(|row| row.get(i)).copied());
        self.plan.columns.iter().map(|column| value(&column.source, &cell)).collect()
    }
}

/// The value of a column, from those of the measures.
fn value(source: &ColumnSource, cell: &dyn Fn(usize) -> Cell) -> Cell {
    match source {
        ColumnSource::Measure(measure) => cell(*measure),
        ColumnSource::Formula(formula, series) => {
            let series = |letter| series.iter().find(|(known, _)| *known == letter).and_then(|(_, source)| value(source, cell).number());
            Cell::Number(formula.evaluate(&series))
        }
    }
}

/// All buckets of the range; of the range "all", from the first to the last one with an event.
fn shown_buckets(plan: &QueryPlan, table: &AggregateTable) -> Range<usize> {
    if !(plan.period.is_all && plan.timeline.has_interval) {
        return 0..plan.timeline.labels.len();
    }
    match table.used {
        Some((first, last)) => first as usize..(last as usize + 1).min(plan.timeline.labels.len()),
        None => 0..0,
    }
}

/// What nothing measured amounts to: counts and sums are zero, all else is null.
fn cell(function: &MeasureFn, measured: Option<Measured>) -> Cell {
    match (measured, function) {
        (Some(Measured::Count(count)), _) => Cell::Count(count),
        (Some(Measured::Number(Some(number))), _) => Cell::Number(Some(number)),
        (Some(Measured::Integer(integer)), _) => Cell::Integer(integer),
        (_, MeasureFn::Sum(_)) => Cell::Number(Some(0.0)),
        (_, function) if is_count(function) => Cell::Count(0),
        _ => Cell::Number(None),
    }
}

fn is_count(function: &MeasureFn) -> bool {
    use MeasureFn::{CountDistinct, Events, Sessions, UniqueUsers, UniqueUsersApprox};
    matches!(function, Events | UniqueUsers | UniqueUsersApprox | Sessions(_) | CountDistinct(_))
}

/// A group value that can be hashed; numbers of the same size are one value.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum KeyPart<'t> {
    Null,
    Bool(bool),
    Int(i64),
    BigUint(u64),
    FloatBits(u64),
    Str(&'t str),
    Other,
}

pub(super) fn group_key(group: &[Value]) -> Vec<KeyPart<'_>> {
    let part = |value| match value {
        &Value::Null => KeyPart::Null,
        &Value::Bool(value) => KeyPart::Bool(value),
        &Value::Int(value) => KeyPart::Int(value),
        &Value::BigUint(value) => KeyPart::BigUint(value),
        &Value::Float(value) if value.fract() == 0.0 && value.abs() < 9.2e18 => KeyPart::Int(value as i64),
        &Value::Float(value) => KeyPart::FloatBits(value.to_bits()),
        Value::Str(value) => KeyPart::Str(value),
        &Value::Other => KeyPart::Other,
    };
    group.iter().map(part).collect()
}

fn compare_rows(plan: &QueryPlan, grid: &Grid<'_>, a: &Row, b: &Row) -> Ordering {
    let (a_group, b_group) = (grid.groups[a.group], grid.groups[b.group]);
    let is_rest = |group: &[Value]| group.first() == Some(&Value::Other);
    let mut rest_decided = false;
    for (key, direction) in &plan.order {
        // The rest is not one group among others: it stands after them, within its bucket where time comes first.
        if *key != SortKey::Time && !rest_decided {
            rest_decided = true;
            let ordering = is_rest(a_group).cmp(&is_rest(b_group));
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        let is_descending = *direction == Direction::Descending;
        let ordering = match *key {
            SortKey::Time => directed(a.bucket.cmp(&b.bucket), is_descending),
            SortKey::Group(i) => directed(compare_values(&a_group[i], &b_group[i]), is_descending),
            SortKey::Column(i) => compare_cells(a.cells[i], b.cells[i], is_descending),
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    Ordering::Equal
}

fn directed(ordering: Ordering, is_descending: bool) -> Ordering {
    if is_descending { ordering.reverse() } else { ordering }
}

fn row_json(plan: &QueryPlan, grid: &Grid<'_>, row: &Row) -> Map<String, Json> {
    let zone = &plan.period.zone;
    let mut out = Map::new();
    if plan.timeline.has_interval {
        out.insert("time".to_owned(), json!(calendar::iso(zone, plan.timeline.labels[row.bucket])));
    }
    for (key, value) in plan.group_by.iter().zip(grid.groups[row.group]) {
        let value = match (&key.field, value) {
            (Field::ReceivedAt, Value::Int(ms)) => json!(calendar::iso(zone, *ms)),
            _ => value_json(value),
        };
        out.insert(key.name.clone(), value);
    }
    add_cells(&mut out, plan, &row.cells);
    if let Some(previous) = &plan.timeline.previous {
        let paired = previous.labels.get(row.bucket).map(|label_ms| {
            let mut out = Map::new();
            if plan.timeline.has_interval {
                out.insert("time".to_owned(), json!(calendar::iso(zone, *label_ms)));
            }
            add_cells(&mut out, plan, &grid.cells(plan.timeline.look_back + row.bucket, row.group));
            Json::Object(out)
        });
        out.insert("previous".to_owned(), paired.unwrap_or(Json::Null));
    }
    out
}

fn add_cells(out: &mut Map<String, Json>, plan: &QueryPlan, cells: &[Cell]) {
    for (column, cell) in plan.columns.iter().zip(cells) {
        let value = match *cell {
            Cell::Count(count) => json!(count),
            Cell::Number(number) => number.map_or(Json::Null, number_json),
            Cell::Integer(integer) => serde_json::Number::from_i128(integer).map_or_else(|| json!(integer as f64), Json::Number),
        };
        out.insert(column.name.clone(), value);
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
