//! The values of one field in one batch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMillisecondType};

use super::comparison::Comparison;
use super::mask::Mask;
use super::person_property::PersonProperty;
use super::rows::Rows;
use super::segment::Members;
use super::text::{Text, TextMemo, Verdicts};
use super::value::{OwnedScalar, Scalar};
use crate::decoded::{Decoded, Times};

/// A column by the form its values have.
pub(super) enum Column {
    /// Set in no row.
    Absent,
    /// The same text in every row.
    Constant(Arc<str>),
    /// Text, dictionary-encoded.
    Text(Text),
    /// Text, plain.
    Plain(StringArray),
    /// Milliseconds.
    Time(Times),
    /// A property: at most one of the places is set in a row.
    Property(Box<PropertyColumn>),
    /// A property of the person.
    Person { codes: Vec<u32>, table: Arc<PersonProperty> },
    /// Whether the person is in a segment, as [`Members`] codes it.
    Member(Vec<u8>),
}

/// The places a property is stored in.
#[derive(Default)]
pub(super) struct PropertyColumn {
    pub(super) text: Option<Text>,
    pub(super) number: Option<Float64Array>,
    pub(super) integer: Option<Int64Array>,
    pub(super) boolean: Option<BooleanArray>,
    pub(super) overflow: Option<Arc<[OwnedScalar]>>,
}

impl PropertyColumn {
    /// The value unless it is dictionary-encoded text.
    fn rest(&self, row: usize) -> Scalar<'_> {
        if let Some(numbers) = self.number.as_ref().filter(|column| column.is_valid(row)) {
            return Scalar::Float(numbers.value(row));
        }
        if let Some(integers) = self.integer.as_ref().filter(|column| column.is_valid(row)) {
            return Scalar::Int(integers.value(row));
        }
        if let Some(booleans) = self.boolean.as_ref().filter(|column| column.is_valid(row)) {
            return Scalar::Bool(booleans.value(row));
        }
        self.overflow.as_ref().map_or(Scalar::Null, |values| values[row].as_scalar())
    }

    /// Takes what a stored column has.
    pub(super) fn set(&mut self, decoded: Decoded) {
        match decoded {
            Decoded::Text(text) => self.text = Some(Text::Shared(text)),
            Decoded::Array(array) => self.set_array(&array),
            Decoded::Absent | Decoded::Persons(_) | Decoded::Times(_) | Decoded::Sessions(_) | Decoded::Table(_) => {}
        }
    }

    /// Takes what a stored array has.
    pub(super) fn set_array(&mut self, array: &ArrayRef) {
        if array.null_count() == array.len() {
            return;
        }
        if let Some(text) = Text::own(array) {
            self.text = Some(text);
        } else if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
            self.number = Some(numbers.clone());
        } else if let Some(integers) = array.as_primitive_opt::<Int64Type>() {
            self.integer = Some(integers.clone());
        } else if let Some(booleans) = array.as_boolean_opt() {
            self.boolean = Some(booleans.clone());
        }
    }

    /// The simplest column that says the same.
    pub(super) fn simplify(self) -> Column {
        match self {
            Self { text: None, number: None, integer: None, boolean: None, overflow: None } => Column::Absent,
            Self { text: Some(text), number: None, integer: None, boolean: None, overflow: None } => Column::Text(text),
            column => Column::Property(Box::new(column)),
        }
    }
}

impl Column {
    /// A fixed column as it was decoded.
    pub(super) fn decoded(decoded: Decoded) -> Self {
        match decoded {
            Decoded::Absent | Decoded::Persons(_) | Decoded::Table(_) => Self::Absent,
            Decoded::Sessions(ids) => Self::Text(Text::Sessions(ids)),
            Decoded::Text(text) => Self::Text(Text::Shared(text)),
            Decoded::Times(times) => Self::Time(times),
            Decoded::Array(array) => Self::array(&array),
        }
    }

    /// A fixed column as an array.
    pub(super) fn array(array: &ArrayRef) -> Self {
        if let Some(text) = Text::own(array) {
            return Self::Text(text);
        }
        if let Some(text) = array.as_string_opt::<i32>() {
            return Self::Plain(text.clone());
        }
        let times = array.as_primitive_opt::<TimestampMillisecondType>();
        times.map_or(Self::Absent, |times| Self::Time(Times::Far(times.values().clone())))
    }

    /// The value in a row.
    pub(super) fn get(&self, row: usize) -> Scalar<'_> {
        match self {
            Self::Absent => Scalar::Null,
            Self::Constant(text) => Scalar::Str(text),
            Self::Text(text) => text.code(row).map_or(Scalar::Null, |code| Scalar::Str(text.text(code))),
            Self::Plain(text) => {
                if text.is_null(row) {
                    Scalar::Null
                } else {
                    Scalar::Str(text.value(row))
                }
            }
            Self::Time(times) => Scalar::Int(times.get(row)),
            Self::Property(column) => match column.text.as_ref().and_then(|text| Some((text, text.code(row)?))) {
                Some((text, code)) => Scalar::Str(text.text(code)),
                None => column.rest(row),
            },
            Self::Person { codes, table } => table.value(codes[row]),
            Self::Member(codes) => Members::value(codes[row]),
        }
    }

    /// The value that every row has, where it is one and not null.
    pub(super) fn constant(&self) -> Option<Scalar<'_>> {
        match self {
            Self::Constant(text) => Some(Scalar::Str(text)),
            _ => None,
        }
    }

    /// The dictionary-encoded part of the column.
    fn text(&self) -> Option<&Text> {
        match self {
            Self::Text(text) => Some(text),
            Self::Property(column) => column.text.as_ref(),
            _ => None,
        }
    }

    /// The value in a row whose dictionary-encoded text is not set.
    fn rest(&self, row: usize) -> Scalar<'_> {
        match self {
            Self::Text(_) => Scalar::Null,
            Self::Property(column) => column.rest(row),
            other => other.get(row),
        }
    }

    /// A number per row where every value is a plain float: the common numeric property.
    pub(super) fn floats(&self) -> Option<&Float64Array> {
        match self {
            Self::Property(column) => match &**column {
                PropertyColumn { text: None, number, integer: None, boolean: None, overflow: None } => number.as_ref(),
                _ => None,
            },
            _ => None,
        }
    }

    /// The rows of `within` in which the comparison holds. It is evaluated once per dictionary value.
    pub(super) fn compare(&self, comparison: &Comparison, rows: usize, within: Option<&Mask>, verdicts: &mut Verdicts) -> Mask {
        let same = |holds: bool| if holds { within.cloned().unwrap_or_else(|| Mask::all(rows)) } else { Mask::none(rows) };
        match self {
            Self::Absent => same(comparison.holds(Scalar::Null)),
            Self::Constant(text) => same(comparison.holds(Scalar::Str(text))),
            Self::Text(text) => verdicts.rows(text, comparison, rows, within),
            Self::Property(column) => {
                let Some(text) = &column.text else { return Mask::of_rows(rows, within, |row| comparison.holds(column.rest(row))) };
                verdicts.attach(text);
                Mask::of_rows(rows, within, |row| {
                    verdicts.of_row(text, comparison, row).unwrap_or_else(|| comparison.holds(column.rest(row)))
                })
            }
            Self::Member(codes) => {
                let holds = [0, 1, 2].map(|code| comparison.holds(Members::value(code)));
                Mask::of_values(codes, within, |code| holds.get(usize::from(code)).copied().unwrap_or(false))
            }
            Self::Plain(_) | Self::Time(_) | Self::Person { .. } => Mask::of_rows(rows, within, |row| comparison.holds(self.get(row))),
        }
    }

    /// Appends one number per row, which `number_of` gives for a value: asked once per dictionary value that occurs.
    /// Numbers are below `u32::MAX`.
    ///
    /// # Errors
    /// Those of `number_of`.
    pub(super) fn number_rows<E>(
        &self,
        rows: Rows<'_>,
        memo: &mut TextMemo<u32>,
        out: &mut Vec<u32>,
        number_of: &mut dyn FnMut(Scalar<'_>) -> Result<u32, E>,
    ) -> Result<(), E> {
        if rows.count() == 0 {
            return Ok(());
        }
        if let Some(same) = self.constant().or_else(|| matches!(self, Self::Absent).then_some(Scalar::Null)) {
            let number = number_of(same)?;
            out.extend(std::iter::repeat_n(number, rows.count()));
            return Ok(());
        }
        if let Self::Member(codes) = self {
            let mut known = [None; 3];
            return rows.try_for_each(|row| {
                let code = codes[row];
                let number = match known.get(usize::from(code)).copied().flatten() {
                    Some(number) => number,
                    None => number_of(Members::value(code))?,
                };
                known.iter_mut().skip(usize::from(code)).take(1).for_each(|known| *known = Some(number));
                out.push(number);
                Ok(())
            });
        }
        let Some(text) = self.text() else {
            return rows.try_for_each(|row| {
                out.push(number_of(self.get(row))?);
                Ok(())
            });
        };
        memo.attach(text);
        rows.try_for_each(|row| {
            let number = match text.code(row) {
                None => number_of(self.rest(row))?,
                Some(code) => match memo.known[code] {
                    0 => {
                        let number = number_of(Scalar::Str(text.text(code)))?;
                        memo.known[code] = number + 1;
                        number
                    }
                    known => known - 1,
                },
            };
            out.push(number);
            Ok(())
        })
    }
}
