//! Filters and field values by the book, and random ones.

use std::cmp::Ordering;

use std::sync::Arc;

use event_store::{DidRule, Field, Filter, HasRule, Op, Segment, SegmentRule, Value};
use proptest::prelude::*;

use super::world::{BASE_MS, MINUTE_MS, PROPERTIES, PlainEvent, any_names, any_value, resolve};
use crate::exec::value::{OwnedScalar, compare_values};

/// A number times four, exact for every number of a world.
pub(super) fn quarters(value: &OwnedScalar) -> Option<i128> {
    match value {
        OwnedScalar::Int(i) => Some(4 * i128::from(*i)),
        OwnedScalar::BigUint(u) => Some(4 * i128::from(*u)),
        OwnedScalar::Float(f) => Some((f * 4.0) as i128),
        _ => None,
    }
}

pub(super) fn group_value(value: &OwnedScalar) -> Value {
    match value {
        OwnedScalar::Null => Value::Null,
        OwnedScalar::Bool(b) => Value::Bool(*b),
        OwnedScalar::Str(s) | OwnedScalar::Json(s) => Value::Str(s.to_string()),
        OwnedScalar::BigUint(u) => Value::BigUint(*u),
        number => match quarters(number) {
            Some(n) if n % 4 == 0 => Value::Int((n / 4) as i64),
            Some(n) => Value::Float(n as f64 / 4.0),
            None => Value::Null,
        },
    }
}

pub(super) fn field_value(world: &[PlainEvent], event: &PlainEvent, field: &Field) -> OwnedScalar {
    let text = |text: &Option<String>| text.as_ref().map_or(OwnedScalar::Null, |text| OwnedScalar::Str(text.as_str().into()));
    match field {
        Field::Event => OwnedScalar::Str(event.name.as_str().into()),
        Field::UserId => text(&event.user_id),
        Field::AnonymousId => text(&event.anonymous_id),
        Field::SessionId => text(&event.session_id),
        Field::InsertId => text(&event.insert_id),
        Field::Time => OwnedScalar::Int(event.time_ms),
        Field::ReceivedAt => OwnedScalar::Int(event.received_at_ms),
        Field::Property(name) => event.property(name),
        Field::InSegment(segment) => {
            event.person().map_or(OwnedScalar::Null, |person| OwnedScalar::Bool(in_segment(world, person, &segment.rule)))
        }
        Field::UserProperty(name) => event.person().map_or(OwnedScalar::Null, |person| person_property(world, person, name, i64::MAX)),
    }
}

fn person_property(world: &[PlainEvent], person: &str, name: &str, before_ms: i64) -> OwnedScalar {
    let of_person = world.iter().filter(|e| e.person() == Some(person) && e.time_ms < before_ms);
    let settings = of_person.filter(|e| e.name == "$identify" || e.name == "$set").filter_map(|e| {
        let member = match e.property("$set") {
            OwnedScalar::Json(json) => serde_json::from_str::<serde_json::Value>(&json).unwrap().get(name).map(json_value),
            _ => None,
        };
        let value = member.filter(|member| *member != OwnedScalar::Null).unwrap_or_else(|| e.property(name));
        (value != OwnedScalar::Null).then_some((e.time_ms, e.received_at_ms, value))
    });
    let later = |a: &(i64, i64, OwnedScalar), b: &(i64, i64, OwnedScalar)| {
        (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| compare_values(&a.2.as_scalar().to_value(), &b.2.as_scalar().to_value()))
    };
    settings.max_by(later).map_or(OwnedScalar::Null, |(_, _, value)| value)
}

/// Whether a person is in a segment, event by event.
pub(super) fn in_segment(world: &[PlainEvent], person: &str, rule: &SegmentRule) -> bool {
    match rule {
        SegmentRule::All(rules) => rules.iter().all(|rule| in_segment(world, person, rule)),
        SegmentRule::Any(rules) => rules.iter().any(|rule| in_segment(world, person, rule)),
        SegmentRule::Not(rule) => !in_segment(world, person, rule),
        SegmentRule::Has(rule) => op_holds(&person_property(world, person, &rule.property, rule.before_ms), &rule.op),
        SegmentRule::Listed(ids) => ids.iter().any(|id| resolve(world, id) == person),
        SegmentRule::Did(rule) => {
            let counts = |event: &&PlainEvent| {
                event.person() == Some(person)
                    && (rule.from_ms..rule.to_ms).contains(&event.time_ms)
                    && selected(world, event, rule.events.as_deref(), &rule.filter)
            };
            let count = world.iter().filter(counts).count() as u32;
            count >= rule.at_least && rule.at_most.is_none_or(|most| count <= most)
        }
    }
}

fn json_value(json: &serde_json::Value) -> OwnedScalar {
    match json {
        serde_json::Value::String(s) => OwnedScalar::Str(s.as_str().into()),
        serde_json::Value::Number(n) => OwnedScalar::Int(n.as_i64().unwrap()),
        serde_json::Value::Null => OwnedScalar::Null,
        other => OwnedScalar::Json(other.to_string().into()),
    }
}

fn compare_with(value: &OwnedScalar, constant: &Value) -> Option<Ordering> {
    let constant_quarters = match constant {
        Value::Int(i) => Some(4 * i128::from(*i)),
        Value::BigUint(u) => Some(4 * i128::from(*u)),
        Value::Float(f) => Some((f * 4.0) as i128),
        _ => None,
    };
    match (value, constant) {
        (OwnedScalar::Str(a), Value::Str(b)) => Some((**a).cmp(b.as_str())),
        _ => Some(quarters(value)?.cmp(&constant_quarters?)),
    }
}

pub(super) fn op_holds(value: &OwnedScalar, op: &Op) -> bool {
    let text = match value {
        OwnedScalar::Str(text) => Some(&**text),
        _ => None,
    };
    match op {
        Op::In(constants) => constants.iter().any(|constant| match (value, constant) {
            (OwnedScalar::Null, Value::Null) => true,
            (OwnedScalar::Bool(a), Value::Bool(b)) => a == b,
            (OwnedScalar::Json(a), Value::Str(b)) => **a == **b,
            _ => compare_with(value, constant) == Some(Ordering::Equal),
        }),
        Op::Range { low, high } => {
            let beyond = |bound: &Option<(Value, bool)>, side: Ordering| {
                bound.as_ref().is_none_or(|(constant, inclusive)| {
                    compare_with(value, constant).is_some_and(|order| order == side || (*inclusive && order == Ordering::Equal))
                })
            };
            (text.is_some() || quarters(value).is_some()) && beyond(low, Ordering::Greater) && beyond(high, Ordering::Less)
        }
        Op::Contains(part) => match value {
            OwnedScalar::Json(json) => match serde_json::from_str(json).unwrap() {
                serde_json::Value::Array(elements) => elements.iter().any(|e| match e {
                    serde_json::Value::String(text) => text == part,
                    other => serde_json::to_string(other).unwrap() == *part,
                }),
                _ => false,
            },
            _ => text.is_some_and(|text| text.contains(part.as_str())),
        },
        Op::StartsWith(part) => text.is_some_and(|text| text.starts_with(part.as_str())),
        Op::EndsWith(part) => text.is_some_and(|text| text.ends_with(part.as_str())),
        Op::Matches(pattern) => text.is_some_and(|text| regex::Regex::new(pattern).unwrap().is_match(text)),
        Op::IsSet => *value != OwnedScalar::Null,
    }
}

pub(super) fn holds(world: &[PlainEvent], event: &PlainEvent, filter: &Filter) -> bool {
    match filter {
        Filter::And(filters) => filters.iter().all(|filter| holds(world, event, filter)),
        Filter::Or(filters) => filters.iter().any(|filter| holds(world, event, filter)),
        Filter::Not(filter) => !holds(world, event, filter),
        Filter::Compare(field, op) => op_holds(&field_value(world, event, field), op),
    }
}

pub(super) fn selected(world: &[PlainEvent], event: &PlainEvent, names: Option<&[String]>, filter: &Filter) -> bool {
    names.is_none_or(|names| names.contains(&event.name)) && holds(world, event, filter)
}

pub(super) fn any_field() -> impl Strategy<Value = Field> {
    prop_oneof![
        9 => plain_field(),
        2 => any_rule().prop_map(|rule| Field::InSegment(Arc::new(Segment { name: "segment".into(), rule }))),
    ]
}

fn any_end() -> impl Strategy<Value = i64> {
    prop_oneof![Just(i64::MIN), Just(i64::MAX), (0i64..310).prop_map(|step| BASE_MS + step * 10 * MINUTE_MS)]
}

/// Rules in one another, over events with filters of their own.
pub(super) fn any_rule() -> impl Strategy<Value = SegmentRule> {
    let did = (any_end(), any_end(), any_names(), filter_of(plain_field().boxed()), 0u32..4, prop::option::of(0u32..4));
    let did = did.prop_map(|(from_ms, to_ms, events, filter, at_least, at_most)| {
        SegmentRule::Did(DidRule { from_ms, to_ms, events, filter, at_least, at_most })
    });
    let property = prop::sample::select(PROPERTIES.to_vec()).prop_map(String::from);
    let has = (property, any_op(), any_end()).prop_map(|(property, op, before_ms)| SegmentRule::Has(HasRule { property, op, before_ms }));
    let ids = prop::collection::vec(prop::sample::select(vec!["u0", "u1", "u3", "d0", "nobody"]).prop_map(String::from), 0..3);
    let leaf = prop_oneof![6 => did, 2 => has, 1 => ids.prop_map(|ids| SegmentRule::Listed(ids.into()))];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(SegmentRule::All),
            prop::collection::vec(inner.clone(), 0..3).prop_map(SegmentRule::Any),
            inner.prop_map(|rule| SegmentRule::Not(Box::new(rule))),
        ]
    })
}

fn plain_field() -> impl Strategy<Value = Field> {
    let property = || prop::sample::select(PROPERTIES.to_vec()).prop_map(String::from);
    prop_oneof![
        6 => property().prop_map(Field::Property),
        1 => Just(Field::Property("absent".into())),
        2 => property().prop_map(Field::UserProperty),
        1 => prop::sample::select(vec![Field::Event, Field::UserId, Field::AnonymousId, Field::SessionId, Field::InsertId, Field::Time, Field::ReceivedAt]),
    ]
}

fn any_constant() -> impl Strategy<Value = Value> {
    prop_oneof![
        any_value().prop_map(|value| group_value(&value)),
        prop::sample::select(vec!["u1", "d0", "s1", "a", "$set"]).prop_map(|id| Value::Str(id.into())),
        Just(Value::Int(BASE_MS + 9_000_000)),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    let text = || prop::sample::select(vec!["", "x", "y", "1", "U"]).prop_map(String::from);
    let bound = || prop::option::of((any_constant(), any::<bool>()));
    prop_oneof![
        3 => prop::collection::vec(any_constant(), 0..3).prop_map(Op::In),
        3 => (bound(), bound()).prop_map(|(low, high)| Op::Range { low, high }),
        1 => text().prop_map(Op::Contains),
        1 => text().prop_map(Op::StartsWith),
        1 => text().prop_map(Op::EndsWith),
        1 => prop::sample::select(vec!["^x", "x|1", "y$", "."]).prop_map(|pattern| Op::Matches(pattern.into())),
        1 => Just(Op::IsSet),
    ]
}

pub(super) fn any_filter() -> impl Strategy<Value = Filter> {
    filter_of(any_field().boxed())
}

fn filter_of(field: BoxedStrategy<Field>) -> impl Strategy<Value = Filter> {
    let compare = (field, any_op()).prop_map(|(field, op)| Filter::Compare(field, op));
    let leaf = prop_oneof![2 => Just(Filter::all()), 5 => compare];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}
