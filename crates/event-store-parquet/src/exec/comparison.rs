//! One operator with its constants, prepared once per query.

use std::cmp::Ordering;

use event_store::{Op, QueryError, Value};
use regex::{Regex, RegexBuilder};
use rustc_hash::FxHashSet;

use super::value::{Number, Scalar};

/// Most memory of a compiled regular expression, and of its lazy automaton.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// A prepared [`Op`].
#[derive(Debug)]
pub(crate) enum Comparison {
    In(Constants),
    Range { low: Option<Bound>, high: Option<Bound> },
    Contains(String),
    StartsWith(String),
    EndsWith(String),
    Matches(Regex),
    IsSet,
}

/// The constants of an `In`, by type.
#[derive(Debug, Default)]
pub(crate) struct Constants {
    null: bool,
    bools: [bool; 2],
    numbers: Vec<Number>,
    texts: FxHashSet<String>,
}

/// One end of a range.
#[derive(Debug)]
pub(crate) struct Bound {
    value: BoundValue,
    inclusive: bool,
}

#[derive(Debug)]
enum BoundValue {
    Number(Number),
    Text(String),
    /// A type without an order here: nothing lies beyond it.
    None,
}

impl Comparison {
    /// Prepares an operator.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] for a regular expression that is none or is too large.
    pub(super) fn new(op: &Op) -> Result<Self, QueryError> {
        Ok(match op {
            Op::In(values) => Self::In(Constants::new(values)),
            Op::Range { low, high } => Self::Range { low: low.as_ref().map(Bound::new), high: high.as_ref().map(Bound::new) },
            Op::Contains(text) => Self::Contains(text.clone()),
            Op::StartsWith(text) => Self::StartsWith(text.clone()),
            Op::EndsWith(text) => Self::EndsWith(text.clone()),
            Op::Matches(pattern) => Self::Matches(compile_regex(pattern)?),
            Op::IsSet => Self::IsSet,
        })
    }

    /// Whether a value matches; a value of a type the operator does not know never does.
    pub(super) fn holds(&self, value: Scalar<'_>) -> bool {
        match self {
            Self::In(constants) => constants.hold(value),
            Self::Range { low, high } => {
                let above = low.as_ref().is_none_or(|bound| bound.holds(value, Ordering::Greater));
                let below = high.as_ref().is_none_or(|bound| bound.holds(value, Ordering::Less));
                // Without bounds it still asks for something that has an order.
                above && below && (value.number().is_some() || matches!(value, Scalar::Str(_)))
            }
            Self::Contains(part) => match value {
                Scalar::Str(text) => text.contains(part.as_str()),
                list => list.list_has(part),
            },
            Self::StartsWith(part) => matches!(value, Scalar::Str(text) if text.starts_with(part.as_str())),
            Self::EndsWith(part) => matches!(value, Scalar::Str(text) if text.ends_with(part.as_str())),
            Self::Matches(regex) => matches!(value, Scalar::Str(text) if regex.is_match(text)),
            Self::IsSet => !value.is_null(),
        }
    }
}

impl Constants {
    /// True for one text and nothing else.
    pub(super) fn is_one_text(&self) -> bool {
        !self.null && self.bools == [false; 2] && self.numbers.is_empty() && self.texts.len() == 1
    }

    fn new(values: &[Value]) -> Self {
        let mut constants = Self::default();
        for value in values {
            match value {
                Value::Null => constants.null = true,
                Value::Bool(b) => constants.bools[usize::from(*b)] = true,
                Value::Int(_) | Value::BigUint(_) | Value::Float(_) => constants.numbers.extend(Number::of(value)),
                Value::Str(text) => {
                    constants.texts.insert(text.clone());
                }
                Value::Other => {}
            }
        }
        constants
    }

    /// `null` among the constants matches an event without the property, so that a `null` group can be opened by filtering on it.
    fn hold(&self, value: Scalar<'_>) -> bool {
        match value {
            Scalar::Null => self.null,
            Scalar::Bool(b) => self.bools[usize::from(b)],
            Scalar::Str(text) | Scalar::Json(text) => self.texts.contains(text),
            number => number.number().is_some_and(|n| self.numbers.iter().any(|constant| constant.compare(n).is_eq())),
        }
    }
}

impl Bound {
    fn new((value, inclusive): &(Value, bool)) -> Self {
        let value = match (Number::of(value), value) {
            (Some(number), _) => BoundValue::Number(number),
            (None, Value::Str(text)) => BoundValue::Text(text.clone()),
            _ => BoundValue::None,
        };
        Self { value, inclusive: *inclusive }
    }

    /// Whether `value` lies on the `side` of this bound.
    fn holds(&self, value: Scalar<'_>, side: Ordering) -> bool {
        let order = match (&self.value, value) {
            (BoundValue::Number(bound), value) => value.number().map(|number| number.compare(*bound)),
            (BoundValue::Text(bound), Scalar::Str(text)) => Some(text.cmp(bound.as_str())),
            _ => None,
        };
        order.is_some_and(|order| order == side || (self.inclusive && order.is_eq()))
    }
}

fn compile_regex(pattern: &str) -> Result<Regex, QueryError> {
    RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).dfa_size_limit(MAX_REGEX_BYTES).build().map_err(|error| QueryError::Invalid {
        field: "filters".into(),
        message: format!("this is not a regular expression that can be run: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(op: &Op, value: Scalar<'_>) -> bool {
        Comparison::new(op).unwrap().holds(value)
    }

    #[test]
    fn types_never_mix() {
        assert!(holds(&Op::In(vec![Value::Int(1)]), Scalar::Float(1.0)));
        assert!(!holds(&Op::In(vec![Value::Int(1)]), Scalar::Str("1")));
        assert!(!holds(&Op::In(vec![Value::Int(1)]), Scalar::Bool(true)));
        let two_53 = 1i64 << 53;
        assert!(!holds(&Op::In(vec![Value::Int(two_53 + 1)]), Scalar::Float(two_53 as f64)));
        assert!(holds(&Op::In(vec![Value::Null]), Scalar::Null));
        assert!(!holds(&Op::In(vec![Value::Other]), Scalar::Null));
        let above_ten = || Op::Range { low: Some((Value::Int(10), false)), high: None };
        assert!(holds(&above_ten(), Scalar::Float(10.5)));
        assert!(!holds(&above_ten(), Scalar::Int(10)));
        assert!(!holds(&above_ten(), Scalar::Str("11")));
        assert!(holds(&above_ten(), Scalar::BigUint(u64::MAX)));
        assert!(!holds(&Op::Range { low: Some((Value::Int(1), true)), high: Some((Value::Str("z".into()), true)) }, Scalar::Str("a")));
    }

    #[test]
    fn text_operators() {
        assert!(holds(&Op::Contains("b".into()), Scalar::Str("abc")));
        assert!(holds(&Op::Contains("b".into()), Scalar::Json(r#"["a","b"]"#)));
        assert!(!holds(&Op::Contains("a".into()), Scalar::Json(r#"{"a":1}"#)));
        assert!(holds(&Op::StartsWith("a".into()), Scalar::Str("abc")));
        assert!(holds(&Op::EndsWith("c".into()), Scalar::Str("abc")));
        assert!(holds(&Op::Matches("^a.c$".into()), Scalar::Str("abc")));
        assert!(!holds(&Op::Matches(".".into()), Scalar::Int(5)));
        assert!(matches!(Comparison::new(&Op::Matches("(".into())), Err(QueryError::Invalid { .. })));
        assert!(matches!(Comparison::new(&Op::Matches("(a{1000}){1000}".into())), Err(QueryError::Invalid { .. })));
    }
}
