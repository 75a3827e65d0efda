//! One value of a field in one row, its exact comparison, and the key under which equal values meet.

use std::cmp::Ordering;

use event_store::Value;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A value as it is stored, borrowed from a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    /// Not set.
    Null,
    Bool(bool),
    Int(i64),
    /// An integer from 2^63 to 2^64 - 1.
    BigUint(u64),
    /// Finite.
    Float(f64),
    Str(&'a str),
    /// A list or an object, as the JSON text that was stored.
    Json(&'a str),
}

/// A [`Scalar`] that owns its text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum OwnedScalar {
    Null,
    Bool(bool),
    Int(i64),
    BigUint(u64),
    Float(f64),
    Str(Box<str>),
    Json(Box<str>),
}

impl OwnedScalar {
    pub(super) fn as_scalar(&self) -> Scalar<'_> {
        match self {
            Self::Null => Scalar::Null,
            Self::Bool(b) => Scalar::Bool(*b),
            Self::Int(i) => Scalar::Int(*i),
            Self::BigUint(u) => Scalar::BigUint(*u),
            Self::Float(f) => Scalar::Float(*f),
            Self::Str(s) => Scalar::Str(s),
            Self::Json(s) => Scalar::Json(s),
        }
    }

    /// Reads one JSON value; text that no writer makes counts as not set.
    pub(super) fn from_json(raw: &str) -> Self {
        match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<String>(raw).map_or(Self::Null, |text| Self::Str(text.into())),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'[' | b'{') => Self::Json(raw.into()),
            Some(b'-' | b'0'..=b'9') => number_from_json(raw),
            _ => Self::Null,
        }
    }

    /// Bytes of memory beyond the value itself.
    pub(super) fn text_bytes(&self) -> usize {
        match self {
            Self::Str(s) | Self::Json(s) => s.len(),
            _ => 0,
        }
    }
}

fn number_from_json(raw: &str) -> OwnedScalar {
    if let Ok(i) = raw.parse::<i64>() {
        return OwnedScalar::Int(i);
    }
    if let Ok(u) = raw.parse::<u64>() {
        return OwnedScalar::BigUint(u);
    }
    match raw.parse::<f64>() {
        Ok(f) if f.is_finite() => OwnedScalar::Float(f),
        _ => OwnedScalar::Null,
    }
}

impl<'a> Scalar<'a> {
    pub(super) fn is_null(self) -> bool {
        self == Self::Null
    }

    /// The number it is, `None` for every other type.
    pub(super) fn number(self) -> Option<Number> {
        match self {
            Self::Int(i) => Some(Number::Int(i128::from(i))),
            Self::BigUint(u) => Some(Number::Int(i128::from(u))),
            Self::Float(f) => Some(Number::Float(f)),
            _ => None,
        }
    }

    /// A float that is a whole number as the integer: one form for each number.
    pub(super) fn normal(self) -> Self {
        match self {
            Self::Float(f) => whole(f).map_or_else(|| large_whole(f).map_or(self, Self::BigUint), Self::Int),
            other => other,
        }
    }

    pub(super) fn to_owned(self) -> OwnedScalar {
        match self {
            Self::Null => OwnedScalar::Null,
            Self::Bool(b) => OwnedScalar::Bool(b),
            Self::Int(i) => OwnedScalar::Int(i),
            Self::BigUint(u) => OwnedScalar::BigUint(u),
            Self::Float(f) => OwnedScalar::Float(f),
            Self::Str(s) => OwnedScalar::Str(s.into()),
            Self::Json(s) => OwnedScalar::Json(s.into()),
        }
    }

    /// The group it belongs to. A whole number is an integer, a list or an object is its JSON text.
    pub(super) fn to_value(self) -> Value {
        match self.normal() {
            Self::Null => Value::Null,
            Self::Bool(b) => Value::Bool(b),
            Self::Int(i) => Value::Int(i),
            Self::BigUint(u) => Value::BigUint(u),
            Self::Float(f) => Value::Float(f),
            Self::Str(s) | Self::Json(s) => Value::Str(s.to_string()),
        }
    }

    /// 64 bits for counting distinct values, equal for equal groups; `None` for null. Like person keys, values are told apart by
    /// their hashes: among 10 million the chance that any two meet is 3 in a million.
    pub(super) fn distinct_hash(self) -> Option<u64> {
        // The seed keeps types apart: text "1" is not the number 1.
        let of_number = |tag: u64, bits: u64| xxh3_64_with_seed(&bits.to_le_bytes(), tag);
        match self.normal() {
            Self::Null => None,
            Self::Bool(b) => Some(of_number(1, u64::from(b))),
            Self::Int(i) => Some(of_number(2, i as u64)),
            Self::Float(f) => Some(of_number(3, f.to_bits())),
            Self::BigUint(u) => Some(of_number(4, u)),
            Self::Str(s) | Self::Json(s) => Some(xxh3_64(s.as_bytes())),
        }
    }

    /// True when it is a list that has an element equal to `element`: its text, or the JSON text of an element of another type.
    pub(super) fn list_has(self, element: &str) -> bool {
        let Self::Json(json) = self else { return false };
        if !json.starts_with('[') {
            return false;
        }
        let elements: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
        elements.iter().any(|raw| match OwnedScalar::from_json(raw.get()) {
            OwnedScalar::Str(text) => *text == *element,
            _ => raw.get() == element,
        })
    }
}

/// The integer a float is, where it is one that an `i64` holds.
fn whole(f: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (f == f.trunc() && (-LIMIT..LIMIT).contains(&f)).then_some(f as i64)
}

/// The integer from 2^63 to 2^64 - 1 that a float is, where it is one.
fn large_whole(f: f64) -> Option<u64> {
    (9_223_372_036_854_775_808.0..18_446_744_073_709_551_616.0).contains(&f).then_some(f as u64)
}

/// A number without rounding: integers of 64 bits either way, floats as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    /// The number a constant is, `None` for another type.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Int(i) => Some(Self::Int(i128::from(*i))),
            Value::BigUint(u) => Some(Self::Int(i128::from(*u))),
            Value::Float(f) => Some(Self::Float(*f)),
            _ => None,
        }
    }

    /// Nearest float.
    pub(super) fn to_f64(self) -> f64 {
        match self {
            Self::Int(i) => i as f64,
            Self::Float(f) => f,
        }
    }

    /// Compares by size, exactly: 2^53 + 1 as an integer is larger than 2^53 as a float.
    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (Self::Float(a), Self::Float(b)) => compare_floats(a, b),
            (Self::Int(a), Self::Float(b)) => compare_int_float(a, b),
            (Self::Float(a), Self::Int(b)) => compare_int_float(b, a).reverse(),
        }
    }
}

/// By size, both zeros equal; not-a-number never occurs in stored values and sorts last in constants.
fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn compare_int_float(a: i128, b: f64) -> Ordering {
    // Beyond every 64-bit integer; also keeps the cast below exact.
    const BEYOND: f64 = 1e30;
    if b.is_nan() || b > BEYOND {
        return Ordering::Less;
    }
    if b < -BEYOND {
        return Ordering::Greater;
    }
    let whole = b.trunc();
    a.cmp(&(whole as i128)).then_with(|| compare_floats(whole, b))
}

/// The order of results: null, booleans, numbers by size, text by bytes, the folded rest.
pub(super) fn compare_values(a: &Value, b: &Value) -> Ordering {
    let kind = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::BigUint(_) | Value::Float(_) => 2,
        Value::Str(_) => 3,
        Value::Other => 4,
    };
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Str(a), Value::Str(b)) => a.cmp(b),
        _ => match (Number::of(a), Number::of(b)) {
            (Some(a), Some(b)) => a.compare(b),
            _ => kind(a).cmp(&kind(b)),
        },
    }
}

/// Tuples of values, first differing place first.
pub(super) fn compare_groups(a: &[Value], b: &[Value]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| compare_values(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_floats_compare_without_rounding() {
        let two_53 = 1i128 << 53;
        assert_eq!(Number::Int(two_53 + 1).compare(Number::Float(two_53 as f64)), Ordering::Greater);
        assert_eq!(Number::Int(two_53).compare(Number::Float(two_53 as f64)), Ordering::Equal);
        assert_eq!(Number::Int(i128::from(u64::MAX)).compare(Number::Float(18_446_744_073_709_551_616.0)), Ordering::Less);
        assert_eq!(Number::Int(-1).compare(Number::Float(-1.5)), Ordering::Greater);
        assert_eq!(Number::Int(1).compare(Number::Float(1.5)), Ordering::Less);
        assert_eq!(Number::Float(1e300).compare(Number::Int(5)), Ordering::Greater);
        assert_eq!(Number::Float(-0.0).compare(Number::Int(0)), Ordering::Equal);
    }

    #[test]
    fn json_values_keep_their_type() {
        assert_eq!(OwnedScalar::from_json("18446744073709551615"), OwnedScalar::BigUint(u64::MAX));
        assert_eq!(OwnedScalar::from_json("-9223372036854775808"), OwnedScalar::Int(i64::MIN));
        assert_eq!(OwnedScalar::from_json("1.5"), OwnedScalar::Float(1.5));
        assert_eq!(OwnedScalar::from_json(r#""a\"b""#), OwnedScalar::Str("a\"b".into()));
        assert_eq!(OwnedScalar::from_json("[1]"), OwnedScalar::Json("[1]".into()));
        assert_eq!(OwnedScalar::from_json("null"), OwnedScalar::Null);
    }

    #[test]
    fn equal_values_of_two_types_meet_and_text_does_not() {
        assert_eq!(Scalar::Float(2.0).distinct_hash(), Scalar::Int(2).distinct_hash());
        assert_eq!(Scalar::Float(-0.0).to_value(), Value::Int(0));
        assert_ne!(Scalar::Str("2").distinct_hash(), Scalar::Int(2).distinct_hash());
        assert_eq!(Scalar::BigUint(1 << 63).to_value(), Scalar::Float(9_223_372_036_854_775_808.0).to_value());
        assert_eq!(Scalar::BigUint(1 << 63).distinct_hash(), Scalar::Float(9_223_372_036_854_775_808.0).distinct_hash());
        assert_ne!(Scalar::BigUint(u64::MAX).distinct_hash(), Scalar::Int(-1).distinct_hash());
        assert_ne!(Scalar::BigUint(u64::MAX).distinct_hash(), Scalar::Str("18446744073709551615").distinct_hash());
        assert_eq!(Scalar::Json(r#"["a",1]"#).list_has("a"), Scalar::Json(r#"["a",1]"#).list_has("1"));
        assert!(!Scalar::Json(r#"["ab"]"#).list_has("a"));
    }
}
