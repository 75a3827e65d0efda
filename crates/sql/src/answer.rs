use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use event_store::{MemoryBudget, QueryContext, ScanStats};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::engine::SqlApp;
use crate::error::SqlError;
use crate::statement::shown_property;

/// Memory of a value beside its text.
const VALUE_BYTES: usize = 48;

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlColumn {
    /// As the statement names it; two columns may have one name.
    pub name: String,
    /// `text`, `integer`, `number`, `boolean`, `time` or `date`.
    pub kind: &'static str,
}

/// The answer to a statement.
#[derive(Clone, Debug, Default)]
pub struct SqlAnswer {
    /// In the order of the SELECT list.
    pub columns: Vec<SqlColumn>,
    /// A value a column: times in ISO 8601 with the zone's offset.
    pub rows: Vec<Vec<Value>>,
    /// What was read for it.
    pub stats: ScanStats,
}

/// Lays an answer out as its batches come.
pub(crate) struct AnswerMaker {
    answer: SqlAnswer,
    /// Of the batches' columns, those that were asked for.
    chosen: Vec<usize>,
    zone: TimeZone,
    memory: MemoryBudget,
    max_rows: usize,
    context: QueryContext,
}

impl AnswerMaker {
    pub(crate) fn new(schema: &Arc<Schema>, app: &SqlApp, context: &QueryContext, max_rows: usize) -> Result<Self, SqlError> {
        // SELECT * brings along the columns that stand for properties.
        let chosen: Vec<usize> = (0..schema.fields().len()).filter(|&i| shown_property(schema.field(i).name()).is_none()).collect();
        let column = |&i: &usize| SqlColumn { name: schema.field(i).name().clone(), kind: kind(schema.field(i).data_type()) };
        let columns = chosen.iter().map(column).collect();
        let zone = TimeZone::get(&app.timezone).map_err(|error| SqlError::Internal(error.to_string()))?;
        let answer = SqlAnswer { columns, ..SqlAnswer::default() };
        Ok(Self { answer, chosen, zone, memory: context.memory.clone(), max_rows, context: context.clone() })
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// The limit of rows, or of memory.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), SqlError> {
        let rows = batch.num_rows();
        if self.answer.rows.len() + rows > self.max_rows {
            return Err(SqlError::Limit {
                code: "sql_row_limit",
                message: format!(
                    "the answer has more than {} rows: add a LIMIT or GROUP BY, or take all events with /export",
                    self.max_rows
                ),
            });
        }
        self.context.check()?;
        let text_bytes: usize = self.chosen.iter().map(|&i| batch.column(i).to_data().get_slice_memory_size().unwrap_or(0)).sum();
        self.memory.grow(rows * self.chosen.len() * VALUE_BYTES + text_bytes)?;
        let from = self.answer.rows.len();
        self.answer.rows.extend((0..rows).map(|_| Vec::with_capacity(self.chosen.len())));
        for &i in &self.chosen {
            let rows = &mut self.answer.rows[from..];
            append(batch.column(i).as_ref(), &self.zone, rows)?;
        }
        Ok(())
    }

    /// The whole answer.
    pub(crate) fn finish(mut self, stats: ScanStats) -> SqlAnswer {
        self.answer.stats = stats;
        self.answer
    }
}

fn kind(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "boolean",
        DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::Decimal128(..) | DataType::Decimal256(..) => "number",
        other if other.is_integer() => "integer",
        DataType::Timestamp(..) => "time",
        DataType::Date32 | DataType::Date64 => "date",
        _ => "text",
    }
}

/// Floats below this tell every integer from the next.
const EXACT_INTEGERS_BELOW: f64 = 9_007_199_254_740_992.0;

/// A number as in every other answer: whole ones without a fraction, none that JSON cannot say.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < EXACT_INTEGERS_BELOW { json!(value as i64) } else { json!(value) }
}

fn append(array: &dyn Array, zone: &TimeZone, rows: &mut [Vec<Value>]) -> Result<(), SqlError> {
    macro_rules! each {
        ($column:expr, $value:expr) => {{
            let column = $column;
            let value = $value;
            rows.iter_mut().zip(column.iter()).for_each(|(row, cell)| row.push(cell.map_or(Value::Null, value)));
        }};
    }
    macro_rules! each_primitive {
        ($kind:ty, $value:expr) => {
            each!(array.as_primitive::<$kind>(), $value)
        };
    }
    let time = |timestamp: Result<Timestamp, jiff::Error>| timestamp.map_or(Value::Null, |timestamp| iso(timestamp, zone));
    match array.data_type() {
        DataType::Null => rows.iter_mut().for_each(|row| row.push(Value::Null)),
        DataType::Utf8 => each!(array.as_string::<i32>(), |text: &str| json!(text)),
        DataType::LargeUtf8 => each!(array.as_string::<i64>(), |text: &str| json!(text)),
        DataType::Utf8View => each!(array.as_string_view(), |text: &str| json!(text)),
        DataType::Boolean => each!(array.as_boolean(), |value: bool| json!(value)),
        DataType::Int8 => each_primitive!(Int8Type, |value: i8| json!(value)),
        DataType::Int16 => each_primitive!(Int16Type, |value: i16| json!(value)),
        DataType::Int32 => each_primitive!(Int32Type, |value: i32| json!(value)),
        DataType::Int64 => each_primitive!(Int64Type, |value: i64| json!(value)),
        DataType::UInt8 => each_primitive!(UInt8Type, |value: u8| json!(value)),
        DataType::UInt16 => each_primitive!(UInt16Type, |value: u16| json!(value)),
        DataType::UInt32 => each_primitive!(UInt32Type, |value: u32| json!(value)),
        DataType::UInt64 => each_primitive!(UInt64Type, |value: u64| json!(value)),
        DataType::Float32 => each_primitive!(Float32Type, |value: f32| number(f64::from(value))),
        DataType::Float64 => each_primitive!(Float64Type, number),
        DataType::Timestamp(TimeUnit::Second, _) => each_primitive!(TimestampSecondType, |value: i64| time(Timestamp::from_second(value))),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            each_primitive!(TimestampMillisecondType, |value: i64| time(Timestamp::from_millisecond(value)));
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            each_primitive!(TimestampMicrosecondType, |value: i64| time(Timestamp::from_microsecond(value)));
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            each_primitive!(TimestampNanosecondType, |value: i64| time(Timestamp::from_nanosecond(i128::from(value))));
        }
        DataType::Date32 => each_primitive!(Date32Type, |days: i32| date(i64::from(days) * MS_PER_DAY)),
        DataType::Date64 => each_primitive!(Date64Type, date),
        _ => {
            let options = FormatOptions::default();
            let unknown = |error: datafusion::arrow::error::ArrowError| SqlError::Internal(error.to_string());
            let formatter = ArrayFormatter::try_new(array, &options).map_err(unknown)?;
            for (i, row) in rows.iter_mut().enumerate() {
                let is_decimal = matches!(array.data_type(), DataType::Decimal128(..) | DataType::Decimal256(..));
                row.push(match array.is_null(i) {
                    true => Value::Null,
                    false if is_decimal => formatter.value(i).to_string().parse().map_or(Value::Null, number),
                    false => json!(formatter.value(i).to_string()),
                });
            }
        }
    }
    Ok(())
}

const MS_PER_DAY: i64 = 86_400_000;

fn iso(timestamp: Timestamp, zone: &TimeZone) -> Value {
    json!(timestamp.display_with_offset(zone.to_offset(timestamp)).to_string())
}

fn date(ms: i64) -> Value {
    Timestamp::from_millisecond(ms).map_or(Value::Null, |day| json!(TimeZone::UTC.to_datetime(day).date().to_string()))
}
