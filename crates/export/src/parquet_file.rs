//! Parquet with typed columns: a value stands in its property's column when it has the column's type, else in `properties`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Float64Builder, RecordBatch, StringBuilder, TimestampMillisecondBuilder};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use event::write_json_string;
use event_store::EventRow;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::columns::{ColumnKind, FIXED, PROPERTIES, PropertyColumns};
use crate::encoder::ExportError;
use crate::members::{self, JsonKind};

/// Rows that are turned into arrays at once.
const BATCH_ROWS: usize = 1_024;
/// A row group ends at so many rows, or where the writer holds so many bytes.
const ROW_GROUP_ROWS: usize = 131_072;
const ROW_GROUP_BYTES: usize = 32 << 20;
const ZSTD_LEVEL: i32 = 3;
/// Integers up to this magnitude are exact in a column of doubles; others go to `properties`, digit by digit.
const MAX_EXACT_FLOAT: u64 = 1 << 53;

/// Writes rows; what is written lies in memory until it is taken.
pub(crate) struct ParquetWriter {
    columns: PropertyColumns,
    schema: Arc<Schema>,
    writer: ArrowWriter<Vec<u8>>,
    batch: BatchBuilder,
}

impl ParquetWriter {
    pub(crate) fn new(columns: PropertyColumns) -> Result<Self, ExportError> {
        let schema = Arc::new(Schema::new(fields(&columns)));
        let properties = WriterProperties::builder()
            .set_created_by("throng".to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?;
        let batch = BatchBuilder::new(&columns);
        Ok(Self { columns, schema, writer, batch })
    }

    /// Takes a row; bytes of the file that are ready go to `out`.
    pub(crate) fn push(&mut self, row: &EventRow, out: &mut Vec<u8>) -> Result<(), ExportError> {
        self.batch.push(row, &self.columns)?;
        if self.batch.rows == BATCH_ROWS {
            self.write_batch()?;
            if self.writer.memory_size() > ROW_GROUP_BYTES {
                self.writer.flush()?;
            }
            out.append(self.writer.inner_mut());
        }
        Ok(())
    }

    pub(crate) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), ExportError> {
        self.write_batch()?;
        out.append(&mut self.writer.into_inner()?);
        Ok(())
    }

    fn write_batch(&mut self) -> Result<(), ExportError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), self.batch.finish()).map_err(ParquetError::from)?;
        Ok(self.writer.write(&batch)?)
    }
}

fn fields(columns: &PropertyColumns) -> Vec<Field> {
    let time = || DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from("UTC")));
    let fixed = FIXED.into_iter().map(|name| match name {
        "name" => Field::new(name, DataType::Utf8, false),
        "timestamp" | "client_timestamp" | "received_at" => Field::new(name, time(), false),
        _ => Field::new(name, DataType::Utf8, true),
    });
    let of_properties = columns.columns.iter().map(|(name, kind)| {
        let data_type = match kind {
            ColumnKind::Text => DataType::Utf8,
            ColumnKind::Number => DataType::Float64,
            ColumnKind::Boolean => DataType::Boolean,
        };
        Field::new(name, data_type, true)
    });
    fixed.chain(of_properties).chain([Field::new(PROPERTIES, DataType::Utf8, true)]).collect()
}

/// One column of a property; all columns of a batch have the same number of values.
enum PropertyBuilder {
    Text(StringBuilder),
    Number(Float64Builder),
    Boolean(BooleanBuilder),
}

impl PropertyBuilder {
    fn new(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Text => Self::Text(StringBuilder::new()),
            ColumnKind::Number => Self::Number(Float64Builder::new()),
            ColumnKind::Boolean => Self::Boolean(BooleanBuilder::new()),
        }
    }

    /// Adds the value when it has the column's type.
    fn push(&mut self, json: &str) -> bool {
        let kind = JsonKind::of(json);
        match self {
            Self::Text(builder) if kind == Some(JsonKind::Text) => {
                members::text(json).map(|text| builder.append_value(text.as_ref())).is_some()
            }
            Self::Number(builder) if kind == Some(JsonKind::Number) => {
                exact_double(json).map(|number| builder.append_value(number)).is_some()
            }
            Self::Boolean(builder) if kind == Some(JsonKind::Boolean) => {
                builder.append_value(json == "true");
                true
            }
            _ => false,
        }
    }

    /// Adds nulls up to `rows` values.
    fn fill(&mut self, rows: usize) {
        use arrow::array::ArrayBuilder;
        match self {
            Self::Text(builder) => (builder.len()..rows).for_each(|_| builder.append_null()),
            Self::Number(builder) => (builder.len()..rows).for_each(|_| builder.append_null()),
            Self::Boolean(builder) => (builder.len()..rows).for_each(|_| builder.append_null()),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Number(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
        }
    }
}

/// The number of a JSON number, unless digits would be lost.
fn exact_double(json: &str) -> Option<f64> {
    let is_whole = json.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit());
    if is_whole && json.parse::<i64>().ok()?.unsigned_abs() > MAX_EXACT_FLOAT {
        return None;
    }
    json.parse().ok()
}

/// The rows of the next batch.
struct BatchBuilder {
    rows: usize,
    name: StringBuilder,
    ids: [StringBuilder; 4],
    times: [TimestampMillisecondBuilder; 3],
    properties: Vec<PropertyBuilder>,
    rest: StringBuilder,
}

impl BatchBuilder {
    fn new(columns: &PropertyColumns) -> Self {
        Self {
            rows: 0,
            name: StringBuilder::new(),
            ids: std::array::from_fn(|_| StringBuilder::new()),
            times: std::array::from_fn(|_| TimestampMillisecondBuilder::new().with_timezone("UTC")),
            properties: columns.columns.iter().map(|(_, kind)| PropertyBuilder::new(*kind)).collect(),
            rest: StringBuilder::new(),
        }
    }

    fn push(&mut self, row: &EventRow, columns: &PropertyColumns) -> Result<(), ExportError> {
        let mut rest = String::new();
        members::each(&row.properties_json, &mut |name, json| {
            let placed = columns.index_of(name).is_some_and(|column| {
                self.properties[column].fill(self.rows);
                self.properties[column].push(json)
            });
            if !placed {
                rest.push(if rest.is_empty() { '{' } else { ',' });
                write_json_string(name, &mut rest);
                rest.push(':');
                rest.push_str(json);
            }
        })
        .map_err(ExportError::Properties)?;
        if !rest.is_empty() {
            rest.push('}');
        }
        self.name.append_value(&row.name);
        let ids = [&row.user_id, &row.anonymous_id, &row.session_id, &row.insert_id];
        self.ids.iter_mut().zip(ids).for_each(|(builder, id)| builder.append_option(id.as_deref()));
        let times = [row.time_ms, row.client_time_ms, row.received_at_ms];
        self.times.iter_mut().zip(times).for_each(|(builder, ms)| builder.append_value(ms));
        self.rest.append_option((!rest.is_empty()).then_some(rest));
        self.rows += 1;
        Ok(())
    }

    /// The columns in the order of the schema; the next batch begins.
    fn finish(&mut self) -> Vec<ArrayRef> {
        let rows = std::mem::take(&mut self.rows);
        let [time, client_time, received_at] = &mut self.times;
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(self.name.finish()), Arc::new(time.finish())];
        arrays.extend(self.ids.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        arrays.push(Arc::new(client_time.finish()));
        arrays.push(Arc::new(received_at.finish()));
        arrays.extend(self.properties.iter_mut().map(|builder| {
            builder.fill(rows);
            builder.finish()
        }));
        arrays.push(Arc::new(self.rest.finish()));
        arrays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_would_lose_digits_are_no_doubles() {
        for exact in ["0", "-1", "1.5", "9007199254740992", "-9007199254740992", "1e300", "9007199254740993.0"] {
            assert_eq!(exact_double(exact), exact.parse().ok(), "{exact}");
        }
        for other in ["9007199254740993", "-9007199254740993", "18446744073709551615"] {
            assert_eq!(exact_double(other), None, "{other}");
        }
    }
}
