use event_store::{AggregateRow, ScanStats};

use super::*;
use crate::options::AppSettings;
use crate::planner::plan_query;
use crate::request::read_query;

const NOW_MS: i64 = 1_773_156_600_000; // 2026-03-10T15:30:00Z

fn plan(request: Json) -> QueryPlan {
    let app = AppSettings::new(event::AppId::new("APP-1").unwrap());
    plan_query(&app, read_query(&request, &app, NOW_MS).unwrap()).unwrap()
}

fn row(bucket: u32, group: &[Value], counts: &[u64]) -> AggregateRow {
    AggregateRow { bucket, group: group.to_vec(), measures: counts.iter().map(|&count| Measured::Count(count)).collect() }
}

fn table(rows: Vec<AggregateRow>, totals: Vec<AggregateRow>) -> AggregateTable {
    let used = rows.iter().map(|row| row.bucket);
    let used = used.clone().min().zip(used.max());
    AggregateTable { rows, totals, used, stats: ScanStats { scanned_events: 7, ..ScanStats::default() } }
}

fn text(text: &str) -> Value {
    Value::Str(text.to_owned())
}

fn room() -> MemoryBudget {
    MemoryBudget::new(1 << 20)
}

#[test]
fn the_seed_answer_as_it_is_written() {
    let plan = plan(json!({"metric": "unique_users", "group_by": "device_type", "range": "7d"}));
    let rows = vec![row(0, &[text("mobile")], &[142_000]), row(0, &[Value::Null], &[3])];
    let answer = query_answer(&plan, &table(rows.clone(), rows), 100, &room()).unwrap();
    assert_eq!(answer["results"], json!([{"device_type": "mobile", "unique_users": 142_000}, {"device_type": null, "unique_users": 3}]));
    let keys: Vec<&str> = answer.keys().map(String::as_str).collect();
    assert_eq!(keys[..6], ["results", "query_time_ms", "exact", "complete", "scanned_events", "cached"]);
    assert_eq!(answer["scanned_events"], json!(7));
}

#[test]
fn nothing_is_one_row_of_zeros_or_no_group() {
    let metrics = json!(["events", "sum:x", "avg:x", "count_distinct:x", {"formula": "A / B", "A": "events", "B": "unique_users"}]);
    let answer = query_answer(&plan(json!({"metrics": metrics})), &table(vec![], vec![]), 100, &room()).unwrap();
    assert_eq!(answer["results"], json!([{"events": 0, "sum:x": 0, "avg:x": null, "count_distinct:x": 0, "A / B": null}]));
    let answer = query_answer(&plan(json!({"metrics": metrics, "group_by": "a"})), &table(vec![], vec![]), 100, &room()).unwrap();
    assert_eq!(answer["results"], json!([]));
}

#[test]
fn every_bucket_of_every_group_has_a_row() {
    let plan = plan(json!({"metric": "events", "group_by": "a", "range": "2d", "interval": "day", "timezone": "America/New_York"}));
    let totals = vec![row(0, &[text("x")], &[3]), row(0, &[text("y")], &[2]), row(0, &[Value::Other], &[9])];
    let rows = vec![row(0, &[text("x")], &[3]), row(0, &[Value::Other], &[9]), row(1, &[text("y")], &[2])];
    let answer = query_answer(&plan, &table(rows, totals), 100, &room()).unwrap();
    let (yesterday, today) = ("2026-03-09T00:00:00-04:00", "2026-03-10T00:00:00-04:00");
    let expected = json!([
        {"time": yesterday, "a": "x", "events": 3}, {"time": yesterday, "a": "y", "events": 0}, {"time": yesterday, "a": "$other", "events": 9},
        {"time": today, "a": "y", "events": 2}, {"time": today, "a": "x", "events": 0}, {"time": today, "a": "$other", "events": 0},
    ]);
    assert_eq!(answer["results"], expected);
}

#[test]
fn order_by_overrides_and_the_rest_stays_last() {
    let rows = vec![
        row(0, &[text("b")], &[5, 1]),
        row(0, &[text("a")], &[5, 2]),
        row(0, &[Value::Int(3)], &[1, 2]),
        row(0, &[Value::Other], &[9, 9]),
    ];
    let order = |order_by: Json| -> Vec<Json> {
        let plan = plan(json!({"metrics": ["events", "unique_users"], "group_by": "k", "order_by": order_by}));
        let answer = query_answer(&plan, &table(rows.clone(), rows.clone()), 100, &room()).unwrap();
        answer["results"].as_array().unwrap().iter().map(|row| row["k"].clone()).collect()
    };
    assert_eq!(order(Json::Null), [json!("a"), json!("b"), json!(3), json!("$other")]);
    assert_eq!(order(json!("unique_users")), [json!("a"), json!(3), json!("b"), json!("$other")]);
    assert_eq!(order(json!({"by": "events", "direction": "asc"})), [json!(3), json!("a"), json!("b"), json!("$other")]);
    assert_eq!(order(json!({"by": "k", "direction": "desc"})), [json!("b"), json!("a"), json!(3), json!("$other")]);
}

#[test]
fn the_previous_period_stands_beside() {
    let plan = plan(json!({"metrics": ["events", {"formula": "A / 2", "A": "events", "name": "half"}], "group_by": "a", "range": "1d",
        "compare": "previous_period"}));
    let totals = vec![row(0, &[text("x")], &[8]), row(0, &[text("gone")], &[4])];
    let rows = vec![row(0, &[text("x")], &[3]), row(0, &[text("gone")], &[4]), row(1, &[text("x")], &[5])];
    let answer = query_answer(&plan, &table(rows, totals), 100, &room()).unwrap();
    let expected = json!([
        {"a": "x", "events": 5, "half": 2.5, "previous": {"events": 3, "half": 1.5}},
        {"a": "gone", "events": 0, "half": 0, "previous": {"events": 4, "half": 2}},
    ]);
    assert_eq!(answer["results"], expected);
    assert_eq!(answer["range"], json!({"from": "2026-03-10T00:00:00+00:00", "to": "2026-03-11T00:00:00+00:00"}));
    assert_eq!(answer["previous_range"], json!({"from": "2026-03-09T00:00:00+00:00", "to": "2026-03-10T00:00:00+00:00"}));
}

#[test]
fn periods_with_unlike_numbers_of_buckets_pair_by_position() {
    // Sixty days touch two months here and three before: the third has no row to stand beside.
    let request = json!({"metric": "events", "from": "2026-03-02", "to": "2026-05-01", "interval": "month", "compare": "previous_period"});
    let plan = plan(request);
    assert_eq!((plan.timeline.labels.len(), plan.first_current_bucket()), (2, 3));
    let rows = vec![row(0, &[], &[1]), row(3, &[], &[2]), row(4, &[], &[3])];
    let answer = query_answer(&plan, &table(rows, vec![row(0, &[], &[6])]), 100, &room()).unwrap();
    assert_eq!(answer["results"][0]["previous"], json!({"time": "2026-01-01T00:00:00+00:00", "events": 1}));
    assert_eq!(answer["results"][1]["events"], json!(3));
}

#[test]
fn all_time_begins_and_ends_with_an_event() {
    let plan = plan(json!({"metric": "events", "range": "all", "interval": "month"}));
    let bucket = |label: &str| plan.timeline.labels.iter().position(|&ms| ms == event::parse_timestamp(label).unwrap()).unwrap() as u32;
    let rows = vec![row(bucket("2025-11-01T00:00:00Z"), &[], &[1]), row(bucket("2026-01-01T00:00:00Z"), &[], &[2])];
    let answer = query_answer(&plan, &table(rows, vec![row(0, &[], &[3])]), 100, &room()).unwrap();
    let counts: Vec<&Json> = answer["results"].as_array().unwrap().iter().map(|row| &row["events"]).collect();
    assert_eq!(counts, [&json!(1), &json!(0), &json!(2)]);
    assert_eq!(query_answer(&plan, &table(vec![], vec![]), 100, &room()).unwrap()["results"], json!([]));
}

#[test]
fn too_many_rows_are_refused_before_they_are_made() {
    let plan = plan(json!({"metric": "events", "group_by": "a", "interval": "hour", "range": "2d"}));
    let totals: Vec<AggregateRow> = (0..3).map(|i| row(0, &[Value::Int(i)], &[1])).collect();
    let failure = query_answer(&plan, &table(vec![], totals), 143, &room()).unwrap_err();
    assert_eq!(failure.code, "query_row_limit");
    assert!(failure.message.contains("144 rows, at most 143"), "{}", failure.message);
}

#[test]
fn hostile_values_are_data_and_integers_exact() {
    let plan = plan(json!({"metric": "events", "group_by": ["__proto__", "user.<img src=x onerror=alert(1)>"]}));
    let value = text("</script>\u{0}\"\\$other");
    let rows = vec![row(0, &[value, Value::Int(9_007_199_254_740_993)], &[u64::MAX])];
    let answer = query_answer(&plan, &table(rows.clone(), rows), 100, &room()).unwrap();
    let written = serde_json::to_string(&answer["results"]).unwrap();
    let expected = "[{\"__proto__\":\"</script>\\u0000\\\"\\\\$other\",\"user.<img src=x onerror=alert(1)>\":9007199254740993,\"events\":18446744073709551615}]";
    assert_eq!(written, expected);
}

#[test]
fn large_integers_are_exact_or_said_to_be_rounded() {
    let plan = plan(json!({"metric": {"fn": "max", "property": "n"}, "group_by": "n"}));
    let ask = |group: Value, measured: Measured| {
        let row = AggregateRow { bucket: 0, group: vec![group], measures: vec![measured] };
        query_answer(&plan, &table(vec![row.clone()], vec![row]), 100, &room()).unwrap()
    };
    let exact = ask(Value::BigUint(u64::MAX), Measured::Integer(i128::from(u64::MAX) - 1));
    assert_eq!(serde_json::to_string(&exact["results"]).unwrap(), "[{\"n\":18446744073709551615,\"max:n\":18446744073709551614}]");
    assert_eq!((&exact["exact"], exact.get("rounded")), (&json!(true), None));
    for rounded in [Measured::Integer(i128::from(u64::MAX) + 1), Measured::Number(Some(9_007_199_254_740_992.0))] {
        let answer = ask(Value::Int(1), rounded);
        assert_eq!(answer["exact"], json!(false));
        assert!(answer["rounded"].as_str().unwrap().contains("53 bits"));
    }
}

#[test]
fn an_answer_says_how_good_it_is() {
    let plan = plan(json!({"metrics": ["events", "unique_users_approx"]}));
    let mut table = table(vec![row(0, &[], &[2, 2])], vec![row(0, &[], &[2, 2])]);
    table.stats.missing = vec!["segment 7 is quarantined".to_owned()];
    let answer = query_answer(&plan, &table, 100, &room()).unwrap();
    assert_eq!((&answer["exact"], &answer["complete"]), (&json!(false), &json!(false)));
    assert_eq!(answer["missing"], json!(["segment 7 is quarantined"]));
    assert_eq!(answer["relative_standard_error"], json!(0.016_25));
}

#[test]
fn rows_without_room_are_refused_before_they_are_made() {
    let plan = plan(json!({"metric": "events", "interval": "hour", "range": "7d"}));
    let narrow = MemoryBudget::new(10_000);
    let failure = query_answer(&plan, &table(vec![], vec![]), 1_000, &narrow).unwrap_err();
    assert_eq!(failure.code, "query_memory_limit");
    assert!(Held::take(&narrow, 10_000).is_ok(), "nothing stays taken");
}
