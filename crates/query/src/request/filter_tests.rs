use serde_json::{Value as Json, json};

use super::*;
use crate::calendar;

fn read(filters: Json) -> Result<Filter, QueryFailure> {
    let request = json!({"filters": filters});
    let zone = calendar::zone("America/New_York").unwrap();
    let object = Node::root(&request).object(&["filters"]).unwrap();
    FilterReader::new(&AppSettings::new(event::AppId::new("a").unwrap()), &zone, 0).filters(&object)
}

fn refused(filters: Json, field: &str, part: &str) {
    let error = read(filters.clone()).expect_err(&filters.to_string());
    assert_eq!((error.code, error.field.as_deref()), ("invalid_filter", Some(field)), "{}", error.message);
    assert!(error.message.contains(part), "{filters}: {}", error.message);
}

fn one(op: &str, value: Json) -> Filter {
    match read(json!([{"property": "p", "op": op, "value": value}])).unwrap() {
        Filter::And(mut parts) => parts.remove(0),
        other => other,
    }
}

fn compare(op: Op) -> Filter {
    Filter::Compare(Field::Property("p".to_owned()), op)
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

#[test]
fn every_operator_keeps_the_type_of_its_value() {
    let text = |value: &str| Value::Str(value.to_owned());
    assert_eq!(one("eq", json!("10")), compare(Op::In(vec![text("10")])));
    assert_eq!(one("eq", json!(10)), compare(Op::In(vec![Value::Int(10)])));
    assert_eq!(one("eq", json!(9_007_199_254_740_993_i64)), compare(Op::In(vec![Value::Int(9_007_199_254_740_993)])));
    assert_eq!(one("eq", json!(u64::MAX)), compare(Op::In(vec![Value::BigUint(u64::MAX)])));
    assert_eq!(one("neq", json!(true)), not(compare(Op::In(vec![Value::Bool(true)]))));
    assert_eq!(one("in", json!([1, 2.5, "x"])), compare(Op::In(vec![Value::Int(1), Value::Float(2.5), text("x")])));
    assert_eq!(one("not_in", json!([])), not(compare(Op::In(vec![]))));
    assert_eq!(one("gt", json!(1)), compare(Op::Range { low: Some((Value::Int(1), false)), high: None }));
    assert_eq!(one("gte", json!("a")), compare(Op::Range { low: Some((text("a"), true)), high: None }));
    assert_eq!(one("lt", json!(1.5)), compare(Op::Range { low: None, high: Some((Value::Float(1.5), false)) }));
    assert_eq!(one("lte", json!(1)), compare(Op::Range { low: None, high: Some((Value::Int(1), true)) }));
    let between = Op::Range { low: Some((Value::Int(1), true)), high: Some((Value::Float(2.5), true)) };
    assert_eq!(one("between", json!([1, 2.5])), compare(between));
    assert_eq!(one("contains", json!("%'\"")), compare(Op::Contains("%'\"".to_owned())));
    assert_eq!(one("not_contains", json!("x")), not(compare(Op::Contains("x".to_owned()))));
    assert_eq!(one("starts_with", json!("x")), compare(Op::StartsWith("x".to_owned())));
    assert_eq!(one("ends_with", json!("x")), compare(Op::EndsWith("x".to_owned())));
    assert_eq!(one("matches", json!("^a+$")), compare(Op::Matches("^a+$".to_owned())));
    assert_eq!(one("is_set", Json::Null), compare(Op::IsSet));
    assert_eq!(one("is_not_set", Json::Null), not(compare(Op::IsSet)));
}

#[test]
fn null_means_not_set() {
    assert_eq!(one("eq", Json::Null), not(compare(Op::IsSet)));
    assert_eq!(one("neq", Json::Null), not(not(compare(Op::IsSet))));
    let some = compare(Op::In(vec![Value::Int(1)]));
    assert_eq!(one("in", json!([1, null])), Filter::Or(vec![some, not(compare(Op::IsSet))]));
}

#[test]
fn names_are_data() {
    let field_of = |name: &str| {
        let value = json!(name);
        field(&Node::root(&value)).unwrap()
    };
    for name in ["__proto__", "a\"b", "a.b", "$x", "a\\", "nul\0", "'; DROP TABLE events; --", "<img src=x>", "country"] {
        assert_eq!(field_of(name), Field::Property(name.to_owned()));
        assert_eq!(field_of(&format!("properties.{name}")), Field::Property(name.to_owned()));
        assert_eq!(field_of(&format!("user.{name}")), Field::UserProperty(name.to_owned()));
    }
    assert_eq!(field_of("event"), Field::Event);
    assert_eq!(field_of("timestamp"), Field::Time);
    assert_eq!(field_of("properties.event"), Field::Property("event".to_owned()));
    assert_eq!(field_of("properties.user.plan"), Field::Property("user.plan".to_owned()));
    assert_eq!(field_of("properties.cohort:1"), Field::Property("cohort:1".to_owned()));
}

#[test]
fn times_are_read_as_times() {
    let of = |property: &str, op: &str, value: Json| read(json!({"property": property, "op": op, "value": value}));
    let after = Op::Range { low: Some((Value::Int(1_773_028_800_000), true)), high: None };
    // Midnight of 9 March 2026 in New York, after the change of clocks.
    assert_eq!(of("time", "gte", json!("2026-03-09")).unwrap(), Filter::Compare(Field::Time, after.clone()));
    assert_eq!(of("received_at", "gte", json!("2026-03-09T04:00:00Z")).unwrap(), Filter::Compare(Field::ReceivedAt, after));
    refused(json!({"property": "time", "op": "contains", "value": "2026"}), "filters.op", "a time is compared with");
    refused(json!({"property": "time", "op": "gt", "value": "soon"}), "filters.value", "ISO 8601");
    refused(json!({"property": "time", "op": "gt", "value": null}), "filters.value", "expected a time");
    let not_time = one("gt", json!("2026-03-09"));
    assert_eq!(not_time, compare(Op::Range { low: Some((Value::Str("2026-03-09".to_owned()), false)), high: None }));
}

#[test]
fn groups_nest() {
    let condition = json!({"property": "p", "op": "is_set"});
    let filter = read(json!({"or": [condition, {"not": condition}, {"and": [condition, condition]}, {"not": [condition]}]})).unwrap();
    let set = || compare(Op::IsSet);
    let expected = Filter::Or(vec![set(), not(set()), Filter::And(vec![set(), set()]), not(Filter::And(vec![set()]))]);
    assert_eq!(filter, expected);
}

#[test]
fn refusals_name_place_and_way_out() {
    refused(json!([{"property": "p", "op": "equals", "value": 1}]), "filters[0].op", "one of eq, neq");
    refused(json!([{"property": "p", "op": "contain", "value": 1}]), "filters[0].op", "did you mean \"contains\"?");
    refused(json!([{"property": "p", "op": 7, "value": 1}]), "filters[0].op", "as text, not a number");
    refused(json!([{"op": "eq", "value": 1}]), "filters[0].property", "is missing");
    refused(json!([{"property": "p", "value": 1}]), "filters[0].op", "is missing");
    refused(json!([{"property": "p", "op": "eq"}]), "filters[0].value", "is missing");
    refused(json!([{"property": "p", "op": "eq", "vlaue": 1}]), "filters[0].vlaue", "did you mean \"value\"?");
    refused(json!([{"property": "p", "op": "eq", "value": ["a"]}]), "filters[0].value", "a list cannot be compared");
    refused(json!([{"property": "p", "op": "gt", "value": true}]), "filters[0].value", "not a boolean");
    refused(json!([{"property": "p", "op": "between", "value": [1]}]), "filters[0].value", "two values");
    refused(json!([{"property": "p", "op": "between", "value": [1, "2"]}]), "filters[0].value", "both");
    refused(json!([{"property": "p", "op": "in", "value": "a"}]), "filters[0].value", "a list of values");
    refused(json!([{"property": "p", "op": "is_set", "value": 1}]), "filters[0].value", "no value");
    refused(json!([{"property": "", "op": "is_set"}]), "filters[0].property", "empty");
    refused(json!([{"property": "user.", "op": "is_set"}]), "filters[0].property", "no user property");
    refused(json!([{"property": "p".repeat(300), "op": "is_set"}]), "filters[0].property", "at most 255");
    refused(json!("country = US"), "filters", "not text");
    refused(json!([[]]), "filters[0]", "not a list");
    refused(json!([{"or": []}, {"or": [], "and": []}]), "filters[1]", "either");
    refused(json!([{"or": [], "op": "eq"}]), "filters[0]", "either");
}

#[test]
fn bounds() {
    let condition = json!({"property": "p", "op": "is_set"});
    assert!(read(Json::Array(vec![condition.clone(); 100])).is_ok());
    refused(Json::Array(vec![condition.clone(); 101]), "filters", "at most 100");
    let half = Json::Array(vec![condition.clone(); 51]);
    refused(json!([{"or": half}, {"or": half}]), "filters[1].or[49]", "more than 100");
    let nested = |depth: usize| (0..depth).fold(condition.clone(), |inner, _| json!({"not": inner}));
    assert!(read(nested(15)).is_ok());
    let too_deep = read(nested(16)).unwrap_err();
    assert!(too_deep.message.contains("deeper than 16"));
    refused(json!({"property": "p", "op": "in", "value": vec![1; 1001]}), "filters.value", "at most 1000");
    refused(json!({"property": "p", "op": "eq", "value": "x".repeat(8193)}), "filters.value", "8192");
    refused(json!({"property": "p", "op": "matches", "value": "x".repeat(1001)}), "filters.value", "at most 1000");
    refused(json!({"property": "p", "op": "matches", "value": "a{1000}{1000}"}), "filters.value", "smaller repetitions");
    refused(json!({"property": "p", "op": "matches", "value": "("}), "filters.value", "unclosed group");
    refused(json!({"property": "p", "op": "matches", "value": "(?=a)"}), "filters.value", "look-around");
}

#[test]
fn a_cohort_that_is_not_there_is_named() {
    let error = read(json!([{"property": "cohort:7", "op": "is_set"}])).unwrap_err();
    assert_eq!((error.code, error.field.as_deref()), ("unknown_cohort", Some("filters[0].property")));
}
