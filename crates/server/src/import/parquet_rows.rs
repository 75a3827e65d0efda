use std::fs::File;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::json::LineDelimitedWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::Row;
use crate::progress::Progress;

const BATCH_ROWS: usize = 4_096;

/// Reads the rows of a Parquet file. Times become milliseconds since 1970; those without a zone count as UTC.
pub(super) fn read(file: File, progress: &Progress, take: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
    let file_bytes = file.metadata()?.len();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).context("the file is not Parquet")?;
    let rows = builder.metadata().file_metadata().num_rows().max(1) as u64;
    let reader = builder.with_batch_size(BATCH_ROWS).build().context("the file cannot be read")?;
    let mut place = 0;
    for batch in reader {
        let batch = times_as_milliseconds(&batch.context("the file cannot be read")?)?;
        let mut lines = Vec::new();
        LineDelimitedWriter::new(&mut lines).write(&batch).context("a column has a type that JSON cannot say")?;
        for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            place += 1;
            let columns = match serde_json::from_slice(line) {
                Ok(Value::Object(columns)) => Ok(columns),
                Ok(_) | Err(_) => Err("the row cannot be written as JSON".to_owned()),
            };
            take(Row { place, content: line.to_vec(), columns })?;
        }
        progress.set_bytes(file_bytes * place / rows);
    }
    Ok(())
}

fn times_as_milliseconds(batch: &RecordBatch) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if let DataType::Timestamp(_, zone) = field.data_type() {
            let milliseconds = cast(column, &DataType::Timestamp(TimeUnit::Millisecond, zone.clone()))?;
            columns.push(cast(&milliseconds, &DataType::Int64)?);
            fields.push(Arc::new(Field::new(field.name(), DataType::Int64, true)));
        } else {
            columns.push(Arc::clone(column));
            fields.push(Arc::clone(field));
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int32Array, StringArray, TimestampMicrosecondArray};
    use parquet::arrow::ArrowWriter;
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_become_json() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("name", Arc::new(StringArray::from(vec![Some("a"), None]))),
            ("price", Arc::new(Float64Array::from(vec![1.5, 2.0]))),
            ("count", Arc::new(Int32Array::from(vec![Some(-1), None]))),
            ("ts", Arc::new(TimestampMicrosecondArray::from(vec![1_780_000_000_123_456, 0]))),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let mut rows = Vec::new();
        read(file, &Progress::silent(), &mut |row| {
            rows.push((row.place, Value::Object(row.columns.unwrap())));
            Ok(())
        })
        .unwrap();
        assert_eq!(rows[0], (1, json!({"name": "a", "price": 1.5, "count": -1, "ts": 1_780_000_000_123_i64})));
        assert_eq!(rows[1], (2, json!({"price": 2.0, "ts": 0})));
    }
}
