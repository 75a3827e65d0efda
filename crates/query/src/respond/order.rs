use std::cmp::Ordering;

use event_store::Value;

use super::EXACT_INTEGERS_BELOW;

/// The order of group values: null, booleans, numbers by size, text by bytes, the folded rest last.
pub(super) fn compare_values(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => a.total_cmp(b),
        (Value::Str(a), Value::Str(b)) => a.as_bytes().cmp(b.as_bytes()),
        _ => match (integer(a), integer(b), a, b) {
            (Some(a), Some(b), ..) => a.cmp(&b),
            (Some(a), _, _, Value::Float(b)) => compare_int_float(a, *b),
            (_, Some(b), Value::Float(a), _) => compare_int_float(b, *a).reverse(),
            _ => rank(a).cmp(&rank(b)),
        },
    }
}

fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Int(integer) => Some(i128::from(*integer)),
        Value::BigUint(integer) => Some(i128::from(*integer)),
        _ => None,
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::BigUint(_) | Value::Float(_) => 2,
        Value::Str(_) => 3,
        Value::Other => 4,
    }
}

/// Exact also where a float cannot tell neighbouring integers apart.
fn compare_int_float(int: i128, float: f64) -> Ordering {
    (int as f64).total_cmp(&float).then_with(|| int.cmp(&(float as i128)))
}

/// A metric's value in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    Count(u64),
    Number(Option<f64>),
    Integer(i128),
}

impl Cell {
    /// The value as a number.
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(count as f64),
            Self::Number(number) => number,
            Self::Integer(integer) => Some(integer as f64),
        }
    }

    /// True when what is written may differ from the value: a float that cannot tell integers apart, or an integer beyond 64 bits.
    pub fn is_rounded(self) -> bool {
        match self {
            Self::Count(_) => false,
            Self::Number(number) => number.is_some_and(|number| number.abs() >= EXACT_INTEGERS_BELOW),
            Self::Integer(integer) => serde_json::Number::from_i128(integer).is_none(),
        }
    }
}

/// Orders cells by size with the direction applied; null is last either way.
pub(super) fn compare_cells(a: Cell, b: Cell, is_descending: bool) -> Ordering {
    let ordering = match (a, b) {
        (Cell::Count(a), Cell::Count(b)) => a.cmp(&b),
        (Cell::Integer(a), Cell::Integer(b)) => a.cmp(&b),
        _ => match (a.number(), b.number()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (None, None) => Ordering::Equal,
        },
    };
    if is_descending { ordering.reverse() } else { ordering }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_types_have_one_order() {
        let text = |text: &str| Value::Str(text.to_owned());
        let ascending = [
            Value::Null,
            Value::Bool(false),
            Value::Bool(true),
            Value::Int(-1),
            Value::Float(0.5),
            Value::Int(1),
            Value::Float(9_007_199_254_740_992.0),
            Value::Int(9_007_199_254_740_993),
            Value::Int(i64::MAX),
            Value::Float(9_223_372_036_854_775_808.0),
            Value::BigUint((1 << 63) + 1),
            Value::BigUint(u64::MAX),
            text("10"),
            text("9"),
            text("Z"),
            text("a"),
            text("é"),
            Value::Other,
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare_values(a, b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
        assert_eq!(compare_values(&Value::Int(2), &Value::Float(2.0)), Ordering::Equal);
    }

    #[test]
    fn null_cells_are_last_either_way() {
        let (none, one, two) = (Cell::Number(None), Cell::Number(Some(1.0)), Cell::Count(2));
        for descending in [false, true] {
            assert_eq!(compare_cells(none, one, descending), Ordering::Greater);
            assert_eq!(compare_cells(two, none, descending), Ordering::Less);
        }
        assert_eq!(compare_cells(one, two, true), Ordering::Greater);
        assert_eq!(compare_cells(Cell::Count(u64::MAX), Cell::Count(u64::MAX - 1), false), Ordering::Greater);
    }
}
