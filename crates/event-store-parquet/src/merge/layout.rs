//! Which columns the merged rows have, and how the rows of one input are brought into that form.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{FieldRef, Float64Type, Int32Type, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use event::PropertyValue;
use hashbrown::HashMap;

use crate::columns::{self, OverflowNames, PropertyKind, parse_property_column};
use crate::overflow::{OverflowColumn, OverflowSet, inner_members};
use crate::property::choose_columns;

/// What a merge has to know of an input before it reads a row.
pub(crate) struct InputColumns {
    pub(crate) fields: Vec<FieldRef>,
    /// Rows in which each column is not null.
    pub(crate) values: Vec<u64>,
    pub(crate) rows: u64,
    pub(crate) overflow: OverflowNames,
}

/// The columns of the merged rows.
pub(crate) struct Layout {
    schema: SchemaRef,
    position: HashMap<String, usize>,
    overflow: OverflowNames,
}

impl Layout {
    /// The union of the inputs' columns, within the bounds of one part; what is beyond goes into the overflow.
    pub(crate) fn of(inputs: &[InputColumns]) -> Self {
        let mut counts: BTreeMap<(&str, PropertyKind), u64> = BTreeMap::new();
        let mut overflow = OverflowSet::default();
        for input in inputs {
            overflow.add_all(&input.overflow);
            for (field, &values) in input.fields.iter().zip(&input.values) {
                if let Some((kind, name)) = parse_property_column(field.name()) {
                    *counts.entry((name, kind)).or_default() += values;
                }
            }
        }
        let rows = inputs.iter().map(|input| input.rows).sum();
        let chosen = choose_columns(counts.iter().map(|(&key, &count)| (key, count, ())).collect(), rows);
        let kept: Vec<(&str, PropertyKind)> = chosen.into_iter().map(|(key, ())| key).collect();
        for (key, count) in &counts {
            if *count > 0 && kept.binary_search(key).is_err() {
                overflow.add(key.0);
            }
        }
        let overflow = overflow.finish();
        let mut fields: Vec<FieldRef> = columns::FIXED.into_iter().map(columns::field).collect();
        fields.extend(kept.iter().map(|(name, kind)| columns::field(&columns::property_column(*kind, name))));
        if !overflow.is_empty() {
            fields.push(columns::field(columns::OVERFLOW));
        }
        let position = fields.iter().enumerate().map(|(i, field)| (field.name().clone(), i)).collect();
        Self { schema: Arc::new(Schema::new(fields)), position, overflow }
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn overflow(&self) -> &OverflowNames {
        &self.overflow
    }

    /// The batch's arrays in the order of the layout, `None` for a column that it lacks.
    pub(crate) fn conform(&self, batch: &RecordBatch) -> Result<Vec<Option<ArrayRef>>, ArrowError> {
        let mut arrays: Vec<Option<ArrayRef>> = vec![None; self.schema.fields().len()];
        let mut demoted: Vec<(&str, PropertyKind, &ArrayRef)> = Vec::new();
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if let Some(&at) = self.position.get(field.name()) {
                arrays[at] = Some(array.clone());
            } else if let Some((kind, name)) = parse_property_column(field.name()).filter(|_| array.null_count() < array.len()) {
                demoted.push((name, kind, array));
            }
        }
        if let Some(&at) = self.position.get(columns::OVERFLOW)
            && !demoted.is_empty()
        {
            arrays[at] = demote(arrays[at].as_ref(), &demoted, batch.num_rows())?;
        }
        Ok(arrays)
    }
}

/// The overflow with the values of columns that the layout does not have.
fn demote(overflow: Option<&ArrayRef>, columns: &[(&str, PropertyKind, &ArrayRef)], rows: usize) -> Result<Option<ArrayRef>, ArrowError> {
    let mut merged = OverflowColumn::new(rows);
    if let Some(overflow) = overflow {
        for (row, object) in overflow.as_string::<i32>().iter().enumerate() {
            if let Some(object) = object {
                merged.add_members(row as u32, inner_members(object));
            }
        }
    }
    for &(name, kind, array) in columns {
        for row in (0..rows).filter(|&row| array.is_valid(row)) {
            merged.add(row as u32, name, &mut |out| value_at(kind, array, row).write_json(out));
        }
    }
    Ok(merged.finish()?.0)
}

fn value_at(kind: PropertyKind, array: &ArrayRef, row: usize) -> PropertyValue<'_> {
    match kind {
        PropertyKind::Text => {
            let text = array.as_dictionary::<Int32Type>();
            PropertyValue::Str(text.values().as_string::<i32>().value(text.keys().value(row) as usize))
        }
        PropertyKind::Number => PropertyValue::Float(array.as_primitive::<Float64Type>().value(row)),
        PropertyKind::BigInt => PropertyValue::Int(array.as_primitive::<Int64Type>().value(row)),
        PropertyKind::Bool => PropertyValue::Bool(array.as_boolean().value(row)),
    }
}
