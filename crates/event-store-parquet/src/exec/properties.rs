//! All properties of a row, wherever they are stored.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use event::PropertyValue;

use super::overflow;
use crate::columns::{self, MAX_EXACT_FLOAT, parse_property_column};

/// Reads the properties of a batch that was scanned with all of them.
pub(super) struct PropertyReader<'b> {
    columns: Vec<(&'b str, &'b dyn Array)>,
    overflow: Option<&'b StringArray>,
}

impl<'b> PropertyReader<'b> {
    pub(super) fn new(batch: &'b RecordBatch) -> Self {
        let fields = batch.schema_ref().fields().iter().zip(batch.columns());
        let property = |(field, column): (&'b arrow::datatypes::FieldRef, &'b arrow::array::ArrayRef)| {
            parse_property_column(field.name()).map(|(_, name)| (name, column.as_ref()))
        };
        let overflow = batch.column_by_name(columns::OVERFLOW).and_then(|column| column.as_string_opt::<i32>());
        let mut columns: Vec<_> = fields.filter_map(property).collect();
        columns.sort_by_key(|(name, _)| *name);
        Self { columns, overflow }
    }

    /// Whether some of the row's properties have no column.
    pub(super) fn has_overflow(&self, row: usize) -> bool {
        self.overflow.is_some_and(|overflow| overflow.is_valid(row))
    }

    /// Calls `visit` with the name and the JSON of every property of a row: those with a column by name, then the others.
    pub(super) fn for_each(&self, row: usize, visit: &mut dyn FnMut(&str, &str)) {
        let mut json = String::new();
        for (name, column) in self.columns.iter().filter(|(_, column)| column.is_valid(row)) {
            json.clear();
            value_of(*column, row).write_json(&mut json);
            visit(name, &json);
        }
        if let Some(overflow) = self.overflow.filter(|overflow| overflow.is_valid(row)) {
            overflow::read_all(overflow.value(row), visit);
        }
    }
}

fn value_of(column: &dyn Array, row: usize) -> PropertyValue<'_> {
    if let Some(text) = column.as_dictionary_opt::<Int32Type>() {
        let values = text.values().as_string_opt::<i32>();
        return values.map_or(PropertyValue::Null, |values| PropertyValue::Str(values.value(text.keys().value(row) as usize)));
    }
    if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
        let number = numbers.value(row);
        let is_exact_integer = number == number.trunc() && number.abs() <= MAX_EXACT_FLOAT as f64;
        return if is_exact_integer { PropertyValue::Int(number as i64) } else { PropertyValue::Float(number) };
    }
    if let Some(integers) = column.as_primitive_opt::<Int64Type>() {
        return PropertyValue::Int(integers.value(row));
    }
    column.as_boolean_opt().map_or(PropertyValue::Null, |booleans| PropertyValue::Bool(booleans.value(row)))
}
