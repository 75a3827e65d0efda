//! Batches of a view's columns, built row by row.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder, TimestampMillisecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use event_store::{Cell, QueryError};

use super::view::Outlet;
use crate::limits::{BATCH_ROWS, BATCH_TEXT_BYTES};
use crate::statement::Reading;

/// Builds batches of one schema and sends each when it is full.
pub(super) struct BatchMaker<'o> {
    schema: SchemaRef,
    outlet: &'o Outlet,
    columns: Vec<Builder>,
    rows: usize,
    text_bytes: usize,
}

enum Builder {
    Text(StringBuilder),
    Time(TimestampMillisecondBuilder),
    Number(Float64Builder),
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
}

impl<'o> BatchMaker<'o> {
    pub(super) fn new(schema: &SchemaRef, outlet: &'o Outlet) -> Self {
        let columns = schema.fields().iter().map(|field| Builder::of(field.data_type())).collect();
        Self { schema: Arc::clone(schema), outlet, columns, rows: 0, text_bytes: 0 }
    }

    /// The text of a column in the row under way.
    pub(super) fn text(&mut self, column: usize, text: Option<&str>) {
        self.text_bytes += text.map_or(0, str::len);
        if let Some(Builder::Text(builder)) = self.columns.get_mut(column) {
            builder.append_option(text);
        }
    }

    /// A time or a whole number.
    pub(super) fn integer(&mut self, column: usize, value: Option<i64>) {
        match self.columns.get_mut(column) {
            Some(Builder::Time(builder)) => builder.append_option(value),
            Some(Builder::Integer(builder)) => builder.append_option(value),
            _ => {}
        }
    }

    /// The value of a property, as it is to be read.
    pub(super) fn property(&mut self, column: usize, cell: Cell<'_>, reading: Reading) {
        match (self.columns.get_mut(column), reading) {
            (Some(Builder::Number(builder)), _) => builder.append_option(number(cell)),
            (Some(Builder::Integer(builder)), _) => builder.append_option(integer(cell)),
            (Some(Builder::Boolean(builder)), _) => builder.append_option(match cell {
                Cell::Bool(value) => Some(value),
                _ => None,
            }),
            (_, Reading::Text) => self.text(
                column,
                match cell {
                    Cell::Text(text) => Some(text),
                    _ => None,
                },
            ),
            _ => match cell {
                Cell::Null => self.text(column, None),
                Cell::Text(text) | Cell::Json(text) => self.text(column, Some(text)),
                Cell::Bool(value) => self.text(column, Some(if value { "true" } else { "false" })),
                other => self.text(column, Some(&number_text(other))),
            },
        }
    }

    /// Ends a row.
    ///
    /// # Errors
    /// Cancelled, when nobody reads any more.
    pub(super) fn end_row(&mut self) -> Result<(), QueryError> {
        self.rows += 1;
        if self.rows >= BATCH_ROWS || self.text_bytes >= BATCH_TEXT_BYTES { self.send() } else { Ok(()) }
    }

    /// Sends what there is.
    ///
    /// # Errors
    /// As for [`BatchMaker::end_row`].
    pub(super) fn send(&mut self) -> Result<(), QueryError> {
        if self.rows == 0 {
            return Ok(());
        }
        let columns = self.columns.iter_mut().zip(self.schema.fields()).map(|(builder, field)| builder.finish(field.data_type())).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| QueryError::Store(format!("a batch of a view could not be made: {error}")))?;
        (self.rows, self.text_bytes) = (0, 0);
        self.outlet.send(batch)
    }
}

impl Builder {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Timestamp(..) => Self::Time(TimestampMillisecondBuilder::new()),
            DataType::Float64 => Self::Number(Float64Builder::new()),
            DataType::Int64 => Self::Integer(Int64Builder::new()),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    fn finish(&mut self, data_type: &DataType) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish().with_data_type(data_type.clone())),
            Self::Number(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Floats below this tell every integer from the next.
const EXACT_INTEGERS_BELOW: f64 = 9_007_199_254_740_992.0;

fn number(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Int(value) => Some(value as f64),
        Cell::BigUint(value) => Some(value as f64),
        Cell::Float(value) => Some(value),
        _ => None,
    }
}

fn integer(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Int(value) => Some(value),
        Cell::Float(value) if value.fract() == 0.0 && value.abs() <= EXACT_INTEGERS_BELOW => Some(value as i64),
        _ => None,
    }
}

/// `10` and `10.0` are one value, so they are one text.
fn number_text(cell: Cell<'_>) -> String {
    match cell {
        Cell::Int(value) => value.to_string(),
        Cell::BigUint(value) => value.to_string(),
        Cell::Float(value) if value.fract() == 0.0 && value.abs() <= EXACT_INTEGERS_BELOW => (value as i64).to_string(),
        Cell::Float(value) => ryu::Buffer::new().format_finite(value).to_owned(),
        _ => String::new(),
    }
}
