use event::TimestampMs;
use event::limits::{MAX_KEY_BYTES, MAX_STRING_VALUE_BYTES};
use event_store::{Field, Filter, Op, Value};
use jiff::tz::TimeZone;
use regex::RegexBuilder;

use super::period::time_of;
use super::segment::{Moment, Rules, member};
use crate::cohorts::COHORT_PREFIX;
use crate::failure::QueryFailure;
use crate::node::{Node, Object, kind_of, shown};
use crate::options::AppSettings;

/// Most conditions in one request, wherever they stand.
const MAX_CONDITIONS: usize = 100;
/// Most groups inside one another.
const MAX_NESTING: usize = 16;
/// Most values of one `in` or `not_in`.
const MAX_IN_VALUES: usize = 1_000;
/// Longest regular expression.
const MAX_REGEX_BYTES: usize = 1_000;
/// Most memory of a compiled regular expression.
const MAX_COMPILED_REGEX_BYTES: usize = 1 << 20;
/// Longest property name a filter may write, its prefix included.
const MAX_FIELD_BYTES: usize = MAX_KEY_BYTES + 16;

/// Reads conditions and segments, and counts them over the whole request.
pub(crate) struct FilterReader<'z> {
    pub(super) app: &'z AppSettings,
    pub(super) zone: &'z TimeZone,
    pub(super) moment: Moment,
    pub(super) rules: Rules,
    conditions: usize,
}

#[derive(Clone, Copy)]
enum Operator {
    Equal,
    In,
    Greater { inclusive: bool },
    Less { inclusive: bool },
    Between,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    IsSet,
}

/// `(name, operator, negated)`. A negated operator holds for whatever its positive does not, a missing value included.
const OPERATORS: [(&str, (Operator, bool)); 16] = [
    ("eq", (Operator::Equal, false)),
    ("neq", (Operator::Equal, true)),
    ("in", (Operator::In, false)),
    ("not_in", (Operator::In, true)),
    ("gt", (Operator::Greater { inclusive: false }, false)),
    ("gte", (Operator::Greater { inclusive: true }, false)),
    ("lt", (Operator::Less { inclusive: false }, false)),
    ("lte", (Operator::Less { inclusive: true }, false)),
    ("between", (Operator::Between, false)),
    ("contains", (Operator::Contains, false)),
    ("not_contains", (Operator::Contains, true)),
    ("starts_with", (Operator::StartsWith, false)),
    ("ends_with", (Operator::EndsWith, false)),
    ("matches", (Operator::Matches, false)),
    ("is_set", (Operator::IsSet, false)),
    ("is_not_set", (Operator::IsSet, true)),
];

impl<'z> FilterReader<'z> {
    /// A reader for one request, with the app's saved cohorts; times without an offset are read in `zone`, windows of segments count
    /// back from `now_ms`.
    pub fn new(app: &'z AppSettings, zone: &'z TimeZone, now_ms: TimestampMs) -> Self {
        Self { app, zone, moment: Moment { now_ms, before_ms: TimestampMs::MAX }, rules: Rules::default(), conditions: 0 }
    }

    /// The windows of the segments that were read, for the key of an answer.
    pub fn into_marks(self) -> Vec<(TimestampMs, TimestampMs)> {
        self.rules.marks
    }

    /// What a filter, a group or a breakdown may look at: a property, a system field, or whether the person is in `cohort:ID`.
    pub fn field(&mut self, node: &Node<'_>) -> Result<Field, QueryFailure> {
        self.field_named(node, node.text("the name of a property")?)
    }

    /// As [`FilterReader::field`], for a name that is a part of the text at `node`.
    pub fn field_named(&mut self, node: &Node<'_>, name: &str) -> Result<Field, QueryFailure> {
        match name.strip_prefix(COHORT_PREFIX) {
            Some(id) => self.in_cohort(node, id),
            None => field_named(node, name),
        }
    }

    /// Reads the field `filters` of `object`: a list whose conditions all hold, or one condition or group; holds where it is missing.
    pub fn filters(&mut self, object: &Object<'_>) -> Result<Filter, QueryFailure> {
        let Some(node) = object.get("filters") else { return Ok(Filter::all()) };
        let node = node.coded("invalid_filter");
        if node.value.is_array() { self.all_of(&node, 1) } else { self.one(&node, 1) }
    }

    fn all_of(&mut self, node: &Node<'_>, depth: usize) -> Result<Filter, QueryFailure> {
        Ok(Filter::And(self.each(node, depth)?))
    }

    fn each(&mut self, node: &Node<'_>, depth: usize) -> Result<Vec<Filter>, QueryFailure> {
        node.list("conditions", MAX_CONDITIONS)?.iter().map(|item| self.one(item, depth)).collect()
    }

    fn one(&mut self, node: &Node<'_>, depth: usize) -> Result<Filter, QueryFailure> {
        if depth > MAX_NESTING {
            return Err(node.error(format!("groups are nested deeper than {MAX_NESTING}")));
        }
        let object = node.object(&["property", "op", "value", "and", "or", "not"])?;
        let groups: Vec<Node<'_>> = ["and", "or", "not"].iter().filter_map(|key| object.get_or_null(key)).collect();
        let is_condition = ["property", "op", "value"].iter().any(|key| object.get_or_null(key).is_some());
        match groups.as_slice() {
            [] => self.condition(node, &object),
            [group] if !is_condition => {
                if let Some(inner) = object.get_or_null("not") {
                    let inner = if inner.value.is_array() { self.all_of(&inner, depth + 1) } else { self.one(&inner, depth + 1) };
                    return Ok(Filter::Not(Box::new(inner?)));
                }
                let parts = self.each(group, depth + 1)?;
                Ok(if object.get_or_null("and").is_some() { Filter::And(parts) } else { Filter::Or(parts) })
            }
            _ => Err(node.error("one object is either a condition (property, op, value) or one of \"and\", \"or\", \"not\"")),
        }
    }

    pub(super) fn condition(&mut self, node: &Node<'_>, object: &Object<'_>) -> Result<Filter, QueryFailure> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(
                node.error(format!("more than {MAX_CONDITIONS} conditions in one request: use \"in\" for many values of one property"))
            );
        }
        let property = object.required("property", "the property, user property or system field to look at")?;
        let field = self.field(&property)?;
        let op = object.required("op", "one of eq, neq, in, not_in, gt, gte, lt, lte, between, contains, ..., is_set")?;
        let (operator, negated) = op.choice(&OPERATORS)?;
        let filter = match &field {
            Field::InSegment(_) => membership(field, operator, &op, object)?,
            _ => self.comparison(field, operator, &op, object)?,
        };
        Ok(if negated { Filter::Not(Box::new(filter)) } else { filter })
    }

    fn comparison(&self, field: Field, operator: Operator, op: &Node<'_>, object: &Object<'_>) -> Result<Filter, QueryFailure> {
        if matches!(operator, Operator::IsSet) {
            return match object.get("value") {
                None => Ok(Filter::Compare(field, Op::IsSet)),
                Some(value) => Err(value.error("is_set and is_not_set take no value")),
            };
        }
        let value = object.required("value", "what to compare with")?;
        let is_time = matches!(field, Field::Time | Field::ReceivedAt);
        let bound = |node: &Node<'_>| self.ordered(node, is_time);
        let op = match operator {
            Operator::Equal => return Ok(any_of(field, vec![self.scalar(&value, is_time)?])),
            Operator::In => {
                let values = value.list("values", MAX_IN_VALUES)?;
                let values = values.iter().map(|item| self.scalar(item, is_time)).collect::<Result<_, _>>()?;
                return Ok(any_of(field, values));
            }
            Operator::Greater { inclusive } => Op::Range { low: Some((bound(&value)?, inclusive)), high: None },
            Operator::Less { inclusive } => Op::Range { low: None, high: Some((bound(&value)?, inclusive)) },
            Operator::Between => {
                let ends = value.list("values", 2)?;
                let [low, high] = ends.as_slice() else {
                    return Err(value.error("between takes a list of two values, both included"));
                };
                let (low_value, high_value) = (bound(low)?, bound(high)?);
                if matches!(low_value, Value::Str(_)) != matches!(high_value, Value::Str(_)) {
                    return Err(value.error("both ends of between are numbers, or both are text"));
                }
                Op::Range { low: Some((low_value, true)), high: Some((high_value, true)) }
            }
            Operator::IsSet => Op::IsSet,
            _ if is_time => return Err(op.error("a time is compared with eq, neq, in, not_in, gt, gte, lt, lte or between")),
            Operator::Contains => Op::Contains(search_text(&value)?),
            Operator::StartsWith => Op::StartsWith(search_text(&value)?),
            Operator::EndsWith => Op::EndsWith(search_text(&value)?),
            Operator::Matches => Op::Matches(regex_text(&value)?),
        };
        Ok(Filter::Compare(field, op))
    }

    /// A value that can be equal to something.
    fn scalar(&self, node: &Node<'_>, is_time: bool) -> Result<Value, QueryFailure> {
        if is_time && !node.value.is_null() {
            return time_of(node, self.zone).map(Value::Int);
        }
        match node.value {
            serde_json::Value::Null => Ok(Value::Null),
            serde_json::Value::Bool(value) => Ok(Value::Bool(*value)),
            serde_json::Value::Number(number) => number_value(node, number),
            serde_json::Value::String(_) => Ok(Value::Str(search_text(node)?)),
            other => Err(node.error(format!(
                "{} cannot be compared: write a whole list as its JSON text, or find one element with contains",
                kind_of(other)
            ))),
        }
    }

    /// A value that can be smaller or larger than another.
    fn ordered(&self, node: &Node<'_>, is_time: bool) -> Result<Value, QueryFailure> {
        if is_time || node.value.is_number() || node.value.is_string() {
            return self.scalar(node, is_time).and_then(|value| match value {
                Value::Null => Err(node.error("expected a time, not null")),
                value => Ok(value),
            });
        }
        Err(node.error(format!("expected a number or text to compare by size, not {}", kind_of(node.value))))
    }
}

/// Whether the person is in a segment: `in` or `not_in` without a value, or equal to true or false.
fn membership(field: Field, operator: Operator, op: &Node<'_>, object: &Object<'_>) -> Result<Filter, QueryFailure> {
    match (operator, object.get("value")) {
        (Operator::In, None) => Ok(member(field)),
        (Operator::IsSet, None) => Ok(Filter::Compare(field, Op::IsSet)),
        (Operator::Equal, Some(value)) => Ok(Filter::Compare(field, Op::In(vec![Value::Bool(value.boolean()?)]))),
        _ => Err(op.error("a person is in a cohort or not: use in or not_in without a value, or eq or neq with true or false")),
    }
}

/// Equal to any of `values`, where `null` stands for "not set".
fn any_of(field: Field, values: Vec<Value>) -> Filter {
    let count = values.len();
    let values: Vec<Value> = values.into_iter().filter(|value| *value != Value::Null).collect();
    if values.len() == count {
        return Filter::Compare(field, Op::In(values));
    }
    let not_set = Filter::Not(Box::new(Filter::Compare(field.clone(), Op::IsSet)));
    if values.is_empty() { not_set } else { Filter::Or(vec![Filter::Compare(field, Op::In(values)), not_set]) }
}

fn number_value(node: &Node<'_>, number: &serde_json::Number) -> Result<Value, QueryFailure> {
    if let Some(integer) = number.as_i64() {
        return Ok(Value::Int(integer));
    }
    if let Some(integer) = number.as_u64() {
        return Ok(Value::BigUint(integer));
    }
    match number.as_f64().filter(|value| value.is_finite()) {
        Some(value) => Ok(Value::Float(value)),
        None => Err(node.error("the number is too large")),
    }
}

fn search_text(node: &Node<'_>) -> Result<String, QueryFailure> {
    let text = node.text("a value")?;
    if text.len() > MAX_STRING_VALUE_BYTES {
        return Err(node.error(format!("the text has {} bytes; stored text has at most {MAX_STRING_VALUE_BYTES}", text.len())));
    }
    Ok(text.to_owned())
}

fn regex_text(node: &Node<'_>) -> Result<String, QueryFailure> {
    let text = node.text("a regular expression")?;
    if text.len() > MAX_REGEX_BYTES {
        return Err(node.error(format!("the regular expression has {} bytes, at most {MAX_REGEX_BYTES} are allowed", text.len())));
    }
    match RegexBuilder::new(text).size_limit(MAX_COMPILED_REGEX_BYTES).build() {
        Ok(_) => Ok(text.to_owned()),
        Err(regex::Error::CompiledTooBig(limit)) => {
            Err(node.error(format!("the regular expression needs more than {limit} bytes: use smaller repetitions")))
        }
        Err(error) => {
            // The first lines of the message draw the expression; the last one says what is wrong.
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
            Err(node.error(format!("not a regular expression: {reason}")))
        }
    }
}

/// The property, user property or system field that a name stands for.
///
/// `properties.x` is the event property `x` whatever `x` is; `user.x` the user property; the system fields come before event properties.
pub(crate) fn field(node: &Node<'_>) -> Result<Field, QueryFailure> {
    field_named(node, node.text("the name of a property")?)
}

/// As [`field`], for a name that is a part of the text at `node`.
pub(crate) fn field_named(node: &Node<'_>, name: &str) -> Result<Field, QueryFailure> {
    if name.is_empty() {
        return Err(node.error("the name is empty: write a property such as \"country\""));
    }
    if name.len() > MAX_FIELD_BYTES {
        return Err(node.error(format!("the name has {} bytes; property names have at most {MAX_KEY_BYTES}", name.len())));
    }
    if name.starts_with(COHORT_PREFIX) {
        return Err(node.error("a cohort cannot stand here: filter, group or break down by it"));
    }
    Ok(match name {
        "event" => Field::Event,
        "user_id" => Field::UserId,
        "anonymous_id" => Field::AnonymousId,
        "session_id" => Field::SessionId,
        "insert_id" => Field::InsertId,
        "time" | "timestamp" => Field::Time,
        "received_at" => Field::ReceivedAt,
        _ => match (name.strip_prefix("properties."), name.strip_prefix("user.")) {
            (Some(property), _) => Field::Property(property.to_owned()),
            (None, Some("")) => return Err(node.error(format!("\"{}\" names no user property", shown(name)))),
            (None, Some(property)) => Field::UserProperty(property.to_owned()),
            (None, None) => Field::Property(name.to_owned()),
        },
    })
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
