//! Copies rows out of several batches, column by column.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, BooleanBufferBuilder, DictionaryArray, PrimitiveArray, RecordBatch,
    StringBuilder,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, SchemaRef, TimestampMillisecondType, UInt64Type};
use arrow::error::ArrowError;

use crate::text::TextDictionary;

/// A row of one of the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowRef {
    pub(crate) input: u32,
    pub(crate) row: u32,
}

/// The rows as one batch; `inputs[i][c]` is column `c` of input `i`, `None` where it lacks the column.
pub(crate) fn gather(schema: &SchemaRef, inputs: &[&[Option<ArrayRef>]], rows: &[RowRef]) -> Result<RecordBatch, ArrowError> {
    let columns = schema.fields().iter().enumerate().map(|(column, field)| {
        let arrays: Vec<Option<&ArrayRef>> = inputs.iter().map(|input| input[column].as_ref()).collect();
        match field.data_type() {
            DataType::Dictionary(..) => gather_text(&arrays, rows),
            DataType::Utf8 => Ok(gather_ids(&arrays, rows)),
            DataType::Boolean => Ok(gather_bools(&arrays, rows)),
            DataType::Float64 => gather_primitive::<Float64Type>(&arrays, rows).map(|array| Arc::new(array) as ArrayRef),
            DataType::Int64 => gather_primitive::<Int64Type>(&arrays, rows).map(|array| Arc::new(array) as ArrayRef),
            DataType::UInt64 => gather_primitive::<UInt64Type>(&arrays, rows).map(|array| Arc::new(array) as ArrayRef),
            DataType::Timestamp(..) => {
                gather_primitive::<TimestampMillisecondType>(&arrays, rows).map(|array| Arc::new(array.with_timezone("UTC")) as ArrayRef)
            }
            other => Err(ArrowError::NotYetImplemented(format!("a stored column of type {other}"))),
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema.clone(), columns)
}

/// True when no input can yield a null.
fn all_valid(arrays: &[Option<&ArrayRef>]) -> bool {
    arrays.iter().all(|array| array.is_some_and(|array| array.null_count() == 0))
}

fn gather_primitive<T: ArrowPrimitiveType>(arrays: &[Option<&ArrayRef>], rows: &[RowRef]) -> Result<PrimitiveArray<T>, ArrowError> {
    let inputs: Vec<Option<&PrimitiveArray<T>>> = arrays.iter().map(|array| array.map(|array| array.as_primitive::<T>())).collect();
    if all_valid(arrays) {
        let slices: Vec<&[T::Native]> = inputs.iter().map(|input| input.map_or(&[][..], |input| &input.values()[..])).collect();
        let values: Vec<T::Native> = rows.iter().map(|at| slices[at.input as usize][at.row as usize]).collect();
        return PrimitiveArray::try_new(values.into(), None);
    }
    let mut values = Vec::with_capacity(rows.len());
    let mut valid = BooleanBufferBuilder::new(rows.len());
    for at in rows {
        let row = at.row as usize;
        let value = inputs[at.input as usize].filter(|input| input.is_valid(row)).map(|input| input.values()[row]);
        values.push(value.unwrap_or_default());
        valid.append(value.is_some());
    }
    PrimitiveArray::try_new(values.into(), Some(NullBuffer::new(valid.finish())))
}

fn gather_bools(arrays: &[Option<&ArrayRef>], rows: &[RowRef]) -> ArrayRef {
    let inputs: Vec<Option<&BooleanArray>> = arrays.iter().map(|array| array.map(|array| array.as_boolean())).collect();
    let value = |at: &RowRef| {
        let row = at.row as usize;
        inputs[at.input as usize].filter(|input| input.is_valid(row)).map(|input| input.value(row))
    };
    Arc::new(rows.iter().map(value).collect::<BooleanArray>())
}

fn gather_ids(arrays: &[Option<&ArrayRef>], rows: &[RowRef]) -> ArrayRef {
    let inputs: Vec<_> = arrays.iter().map(|array| array.map(|array| array.as_string::<i32>())).collect();
    let mut builder = StringBuilder::with_capacity(rows.len(), rows.len() * 16);
    for at in rows {
        let row = at.row as usize;
        builder.append_option(inputs[at.input as usize].filter(|input| input.is_valid(row)).map(|input| input.value(row)));
    }
    Arc::new(builder.finish())
}

/// One input's dictionary on its way into the merged one.
struct TextInput<'a> {
    array: &'a DictionaryArray<Int32Type>,
    texts: &'a arrow::array::StringArray,
    /// Merged code per code, `UNSEEN` until a row needs it.
    merged: Vec<i32>,
}

const UNSEEN: i32 = -1;

fn gather_text(arrays: &[Option<&ArrayRef>], rows: &[RowRef]) -> Result<ArrayRef, ArrowError> {
    let mut inputs: Vec<Option<TextInput<'_>>> = arrays
        .iter()
        .map(|array| {
            array.map(|array| {
                let array = array.as_dictionary::<Int32Type>();
                let texts = array.values().as_string::<i32>();
                TextInput { array, texts, merged: vec![UNSEEN; texts.len()] }
            })
        })
        .collect();
    let mut dictionary = TextDictionary::default();
    let mut codes = Vec::with_capacity(rows.len());
    let mut valid = BooleanBufferBuilder::new(rows.len());
    for at in rows {
        let row = at.row as usize;
        let input = inputs[at.input as usize].as_mut().filter(|input| input.array.keys().is_valid(row));
        valid.append(input.is_some());
        codes.push(input.map_or(0, |input| {
            let code = input.array.keys().values()[row] as usize;
            let merged = &mut input.merged[code];
            if *merged == UNSEEN {
                *merged = dictionary.intern(input.texts.value(code));
            }
            *merged
        }));
    }
    let nulls = (!all_valid(arrays)).then(|| NullBuffer::new(valid.finish()));
    dictionary.into_array(codes, nulls)
}
