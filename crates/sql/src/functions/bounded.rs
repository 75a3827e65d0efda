//! Functions whose text may be many times longer than what they are given, run over so few rows at a time that it stays bounded.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use datafusion::arrow::compute::{concat, is_null, nullif, or};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use crate::limits::MAX_MADE_TEXT_BYTES;

/// How long a text can become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Growth {
    /// As long as all arguments together, the first one again between each two.
    Sum,
    /// As long as the third argument for each byte of the first.
    Replace,
}

impl Growth {
    /// Bytes that a row can become.
    fn bytes(self, lengths: &[usize]) -> usize {
        match self {
            Self::Sum => lengths.iter().sum::<usize>() + lengths.first().copied().unwrap_or(0) * lengths.len(),
            Self::Replace => {
                let [text, _, by] = lengths else { return usize::MAX };
                text.saturating_add(1).saturating_mul(by.saturating_add(1))
            }
        }
    }
}

/// A function that makes a bounded amount of text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct BoundedText {
    inner: ScalarUDF,
    growth: Growth,
    /// A name of its own, under which NULL in any argument makes NULL.
    operator: Option<String>,
}

impl BoundedText {
    pub(super) fn of(function: &ScalarUDF, growth: Growth) -> ScalarUDF {
        ScalarUDF::new_from_impl(Self { inner: function.clone(), growth, operator: None })
    }

    pub(super) fn operator(function: &ScalarUDF, name: &str) -> ScalarUDF {
        ScalarUDF::new_from_impl(Self { inner: function.clone(), growth: Growth::Sum, operator: Some(name.to_owned()) })
    }

    fn invoke(&self, args: &ScalarFunctionArgs, from: usize, rows: usize) -> Result<ArrayRef> {
        let slice = |value: &ColumnarValue| match value {
            ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(from, rows)),
            ColumnarValue::Scalar(scalar) => ColumnarValue::Scalar(scalar.clone()),
        };
        let args = ScalarFunctionArgs { args: args.args.iter().map(slice).collect(), number_rows: rows, ..args.clone() };
        self.inner.invoke_with_args(args)?.into_array(rows)
    }
}

impl ScalarUDFImpl for BoundedText {
    fn name(&self) -> &str {
        self.operator.as_deref().unwrap_or(self.inner.name())
    }

    fn aliases(&self) -> &[String] {
        if self.operator.is_some() { &[] } else { self.inner.aliases() }
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = self.inner.return_field_from_args(args)?;
        Ok(Arc::new(field.as_ref().clone().with_nullable(true)))
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let lengths: Vec<Lengths> = args.args.iter().map(Lengths::of).collect();
        let bound = |row: usize| self.growth.bytes(&lengths.iter().map(|lengths| lengths.of_row(row)).collect::<Vec<_>>());
        let mut chunks: Vec<ArrayRef> = Vec::new();
        let (mut from, mut bytes, mut made) = (0, 0_usize, 0_usize);
        for row in 0..rows {
            let row_bytes = bound(row);
            if row_bytes > MAX_MADE_TEXT_BYTES {
                return Err(too_long(self.name()));
            }
            if bytes.saturating_add(row_bytes) > MAX_MADE_TEXT_BYTES {
                chunks.push(self.invoke(&args, from, row - from)?);
                made += text_bytes(chunks.last());
                (from, bytes) = (row, 0);
                if made > MAX_MADE_TEXT_BYTES {
                    return Err(too_long(self.name()));
                }
            }
            bytes += row_bytes;
        }
        chunks.push(self.invoke(&args, from, rows - from)?);
        let mut text = match chunks.as_slice() {
            [one] => Arc::clone(one),
            [] => new_empty_array(args.return_field.data_type()),
            many => concat(&many.iter().map(AsRef::as_ref).collect::<Vec<_>>())?,
        };
        if self.operator.is_some() {
            let mut nulls = None;
            for arg in &args.args {
                let is_null = is_null(&arg.clone().into_array(rows)?)?;
                nulls = Some(match nulls {
                    None => is_null,
                    Some(known) => or(&known, &is_null)?,
                });
            }
            if let Some(nulls) = nulls {
                text = nullif(&text, &nulls)?;
            }
        }
        Ok(ColumnarValue::Array(text))
    }
}

fn too_long(name: &str) -> DataFusionError {
    let name = if name == super::CONCAT_OPERATOR { "||" } else { name };
    DataFusionError::ResourcesExhausted(format!(
        "{name} would make more than {MAX_MADE_TEXT_BYTES} bytes of text at once: shorten its arguments, with left(x, 100) for example"
    ))
}

fn text_bytes(array: Option<&ArrayRef>) -> usize {
    array.map_or(0, |array| array.get_array_memory_size())
}

/// The length of the text in each row of an argument.
enum Lengths {
    Same(usize),
    Each(Vec<usize>),
}

impl Lengths {
    fn of(value: &ColumnarValue) -> Self {
        match value {
            ColumnarValue::Scalar(scalar) => match scalar.try_as_str() {
                Some(text) => Self::Same(text.map_or(0, str::len)),
                None => Self::Same(OTHER_BYTES),
            },
            ColumnarValue::Array(array) => match array.data_type() {
                DataType::Utf8 => Self::Each(array.as_string::<i32>().iter().map(|text| text.map_or(0, str::len)).collect()),
                DataType::LargeUtf8 => Self::Each(array.as_string::<i64>().iter().map(|text| text.map_or(0, str::len)).collect()),
                DataType::Utf8View => Self::Each(array.as_string_view().iter().map(|text| text.map_or(0, str::len)).collect()),
                _ => Self::Same(OTHER_BYTES),
            },
        }
    }

    fn of_row(&self, row: usize) -> usize {
        match self {
            Self::Same(length) => *length,
            Self::Each(lengths) => lengths[row],
        }
    }
}

/// A number or a time as text is no longer.
const OTHER_BYTES: usize = 64;
