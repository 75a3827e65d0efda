use serde_json::{Value as Json, json};

use super::*;
use crate::calendar;
use crate::cohorts::{Cohorts, SavedCohort};
use crate::options::AppSettings;

/// 2026-03-10T15:30:00Z, two days after the clocks of New York changed.
const NOW_MS: i64 = 1_773_156_600_000;

fn app(cohorts: &[(&str, Json)]) -> AppSettings {
    let saved = |(id, rule): &(&str, Json)| ((*id).to_owned(), SavedCohort { version: 1, rule: rule.clone() });
    AppSettings { cohorts: Cohorts::new(cohorts.iter().map(saved)), ..AppSettings::new(event::AppId::new("a").unwrap()) }
}

fn read_with(cohorts: &[(&str, Json)], segment: &Json) -> Result<Arc<Segment>, QueryFailure> {
    let (app, zone) = (app(cohorts), calendar::zone("America/New_York").unwrap());
    let request = json!({ "segment": segment });
    let object = Node::root(&request).object(&["segment"]).unwrap();
    FilterReader::new(&app, &zone, NOW_MS).segment(&object.get("segment").unwrap())
}

fn rule(segment: Json) -> SegmentRule {
    read_with(&[], &segment).unwrap_or_else(|error| panic!("{segment}: {}", error.message)).rule.clone()
}

fn at(text: &str) -> i64 {
    event::parse_timestamp(text).unwrap()
}

fn did(rule: &SegmentRule) -> &DidRule {
    match rule {
        SegmentRule::Did(did) => did,
        SegmentRule::Not(inner) => did(inner),
        other => panic!("{other:?}"),
    }
}

#[test]
fn counts_and_windows() {
    let twice = rule(json!({"did": "purchase", "at_least": 2, "range": "3d"}));
    let counted = did(&twice);
    assert_eq!(counted.events, Some(vec!["purchase".to_owned()]));
    assert_eq!((counted.at_least, counted.at_most), (2, None));
    // Three calendar days of New York with today; the first began before the change of clocks.
    assert_eq!((counted.from_ms, counted.to_ms), (at("2026-03-08T05:00:00Z"), at("2026-03-11T04:00:00Z")));
    for (times, expected) in [
        (json!({}), (1, None)),
        (json!({"at_most": 3}), (0, Some(3))),
        (json!({"exactly": 0}), (0, Some(0))),
        (json!({"exactly": 2}), (2, Some(2))),
        (json!({"at_least": 2, "at_most": 5}), (2, Some(5))),
    ] {
        let mut asked = times;
        asked["did"] = json!(["a", "b"]);
        let counted = rule(asked.clone());
        assert_eq!((did(&counted).at_least, did(&counted).at_most), expected, "{asked}");
    }
    let any = rule(json!({"did": null, "from": "2026-03-01", "to": "2026-03-02"}));
    assert_eq!((did(&any).events.clone(), did(&any).from_ms), (None, at("2026-03-01T05:00:00Z")));
    let not = rule(json!({"did_not": "refund", "range": "24h", "filters": [{"property": "price", "op": "gt", "value": 5}]}));
    assert!(matches!(&not, SegmentRule::Not(_)));
    assert_eq!((did(&not).from_ms, did(&not).to_ms), (NOW_MS - 86_400_000, NOW_MS));
    assert_ne!(did(&not).filter, Filter::all());
}

#[test]
fn first_and_last_times() {
    let SegmentRule::All(parts) = rule(json!({"did": "signup", "occurrence": "first", "range": "1d"})) else { panic!() };
    let from_ms = at("2026-03-10T04:00:00Z");
    assert_eq!((did(&parts[0]).from_ms, did(&parts[1]).from_ms, did(&parts[1]).to_ms), (from_ms, i64::MIN, from_ms));
    assert!(matches!(parts[1], SegmentRule::Not(_)));
    let SegmentRule::All(parts) = rule(json!({"did": "signup", "occurrence": "last", "from": "2026-03-01", "to": "2026-03-02"})) else {
        panic!()
    };
    assert_eq!((did(&parts[1]).from_ms, did(&parts[1]).to_ms), (at("2026-03-02T05:00:00Z"), i64::MAX));
}

#[test]
fn as_of_moves_the_windows_and_ends_them() {
    let as_of = at("2026-02-01T17:00:00Z");
    let SegmentRule::Any(rules) = rule(json!({"as_of": "2026-02-01T12:00:00", "or": [
        {"did": "a", "range": "2d"}, {"did": "a"}, {"property": "user.plan", "op": "is_set"}, {"did": "a", "as_of": "2026-03-01", "range": "1h"}
    ]})) else {
        panic!()
    };
    assert_eq!((did(&rules[0]).from_ms, did(&rules[0]).to_ms), (at("2026-01-31T05:00:00Z"), as_of));
    assert_eq!(did(&rules[1]).to_ms, as_of);
    assert!(matches!(&rules[2], SegmentRule::Has(rule) if rule.before_ms == as_of), "{rules:?}");
    // A later moment inside an earlier one sees nothing that the earlier one does not.
    assert_eq!(did(&rules[3]).to_ms, as_of);
}

#[test]
fn persons_properties_and_lists() {
    let pro = rule(json!({"property": "user.plan", "op": "neq", "value": "pro"}));
    let SegmentRule::Not(inner) = pro else { panic!() };
    assert!(matches!(&*inner, SegmentRule::Has(HasRule { property, op: Op::In(_), .. }) if property == "plan"));
    let SegmentRule::Listed(ids) = rule(json!({"persons": ["U1", "U2"]})) else { panic!() };
    assert_eq!(*ids, ["U1", "U2"]);
}

#[test]
fn cohorts_are_read_where_they_are_named() {
    let saved = [
        ("buyers", json!({"did": "purchase"})),
        ("lost", json!({"and": ["buyers", {"did_not": null, "range": "7d"}]})),
        ("broken", json!({"did": "a", "at_leest": 2})),
        ("one", json!({"cohort": "two"})),
        ("two", json!({"not": {"did": "x", "filters": [{"property": "cohort:one", "op": "in"}]}})),
    ];
    let lost = read_with(&saved, &json!("lost")).unwrap();
    assert_eq!(lost.name, "cohort:lost");
    let SegmentRule::All(parts) = &lost.rule else { panic!() };
    assert_eq!(did(&parts[0]).events, Some(vec!["purchase".to_owned()]));
    for named in [json!("cohort:buyers"), json!({"cohort": "buyers"}), json!({"property": "cohort:buyers", "op": "in"})] {
        assert!(read_with(&saved, &named).is_ok(), "{named}");
    }
    for (segment, code, part) in [
        (json!("nobody"), "unknown_cohort", "GET /cohorts"),
        (json!({"not": "broken"}), "invalid_segment", "in the cohort \"broken\" at at_leest: unknown field"),
        (json!("one"), "invalid_segment", "would contain itself"),
    ] {
        let error = read_with(&saved, &segment).unwrap_err();
        assert_eq!(error.code, code, "{segment}: {}", error.message);
        assert!(error.field.as_deref().unwrap_or("").starts_with("segment") && error.message.contains(part), "{segment}: {error:?}");
    }
    let (settings, zone) = (app(&saved), calendar::zone("UTC").unwrap());
    let itself = json!({"or": [{"did": "a"}, {"cohort": "lost"}]});
    let error = FilterReader::new(&settings, &zone, 0).rule_of_cohort(&Node::root(&itself), "buyers").unwrap_err();
    assert!(error.message.contains("would contain itself"), "{}", error.message);
}

#[test]
fn filters_and_groups_by_cohort() {
    let saved = [("buyers", json!({"did": "purchase"}))];
    let (settings, zone) = (app(&saved), calendar::zone("UTC").unwrap());
    let read = |condition: Json| {
        let request = json!({ "filters": condition });
        FilterReader::new(&settings, &zone, 0).filters(&Node::root(&request).object(&["filters"]).unwrap())
    };
    let member = read(json!({"property": "cohort:buyers", "op": "in"})).unwrap();
    assert_eq!(member, read(json!({"property": "cohort:buyers", "op": "eq", "value": true})).unwrap());
    assert_eq!(read(json!({"property": "cohort:buyers", "op": "not_in"})).unwrap(), Filter::Not(Box::new(member)));
    for wrong in [json!({"op": "in", "value": [true]}), json!({"op": "contains", "value": "x"}), json!({"op": "eq", "value": "yes"})] {
        let mut wrong = wrong;
        wrong["property"] = json!("cohort:buyers");
        assert_eq!(read(wrong.clone()).unwrap_err().code, "invalid_filter", "{wrong}");
    }
}

#[test]
fn refusals() {
    let mut deep = json!({"did": "a"});
    for _ in 0..MAX_NESTING {
        deep = json!({ "not": deep });
    }
    for (segment, field, part) in [
        (json!(7), "segment", "expected an object"),
        (json!({}), "segment", "a rule has one of"),
        (json!({"did": "a", "did_not": "b"}), "segment", "a rule has one of"),
        (json!({"did": "a", "atleast": 2}), "segment.atleast", "did you mean \"at_least\""),
        (json!({"did_not": "a", "at_least": 2}), "segment.at_least", "unknown field"),
        (json!({"did": []}), "segment.did", "empty"),
        (json!({"did": 5}), "segment.did", "text"),
        (json!({"did": "a", "at_least": 0}), "segment.at_least", "from 1 to 1000000"),
        (json!({"did": "a", "at_least": 1.5}), "segment.at_least", "whole number"),
        (json!({"did": "a", "exactly": 1, "at_most": 2}), "segment.exactly", "both ends"),
        (json!({"did": "a", "at_least": 3, "at_most": 2}), "segment.at_most", "nobody"),
        (json!({"did": "a", "at_least": 3, "occurrence": "first"}), "segment.occurrence", "one time"),
        (json!({"did": "a", "occurrence": "second"}), "segment.occurrence", "one of any, first, last"),
        (json!({"did": "a", "range": "fortnight"}), "segment.range", "Nd"),
        (json!({"did": "a", "range": "7d", "from": "2026-01-01"}), "segment.range", "either"),
        (json!({"did": "a", "filters": [{"property": "p", "op": "like"}]}), "segment.filters[0].op", "not known"),
        (json!({"property": "country", "op": "eq", "value": "US"}), "segment", "user.plan"),
        (json!({"property": "user.plan"}), "segment.op", "is missing"),
        (json!({"and": []}), "segment.and", "empty"),
        (json!({"or": [{"did": "a"}, {"not": 1}]}), "segment.or[1].not", "expected an object"),
        (json!({"persons": "U1"}), "segment.persons", "a list"),
        (json!({"persons": [1]}), "segment.persons[0]", "text"),
        (json!({"persons": vec!["u"; 10_001]}), "segment.persons", "at most 10000"),
        (json!({"did": "a", "as_of": "yesterday"}), "segment.as_of", "ISO 8601"),
        (json!({"and": vec![json!({"did": "a"}); 100]}), "segment.and[99]", "more than 100 rules"),
        (deep, &format!("segment{}", ".not".repeat(MAX_NESTING)), "deeper than 16"),
    ] {
        let error = read_with(&[], &segment).expect_err(&segment.to_string());
        assert_eq!(error.field.as_deref(), Some(field), "{segment}: {}", error.message);
        assert!(error.message.contains(part), "{segment}: {}", error.message);
    }
}
