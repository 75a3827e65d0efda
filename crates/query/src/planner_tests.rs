use serde_json::{Value as Json, json};

use super::*;
use crate::request::{read_funnel, read_query};

const NOW_MS: i64 = 1_773_156_600_000; // 2026-03-10T15:30:00Z

fn app() -> AppSettings {
    AppSettings::new(event::AppId::new("APP-1").unwrap())
}

fn plan(request: Json) -> Result<QueryPlan, QueryFailure> {
    plan_query(&app(), read_query(&request, &app(), NOW_MS)?)
}

fn names(plan: &QueryPlan) -> Vec<&str> {
    plan.columns.iter().map(|column| column.name.as_str()).collect()
}

#[test]
fn nothing_in_a_request_leaves_the_app() {
    let all = json!({"or": [{"not": {"or": []}}, {"property": "app_id", "op": "neq", "value": "APP-1"}]});
    let plan = plan(json!({"metric": "events", "filters": [all], "range": "all"})).unwrap();
    assert_eq!(plan.aggregate.scan.app.as_str(), "APP-1");
    let Filter::And(parts) = &plan.aggregate.scan.filter else { panic!("not a conjunction") };
    assert_eq!(parts.len(), 1);
}

#[test]
fn equal_measures_are_computed_once() {
    let rate = json!({"formula": "A / B", "A": "unique_users", "B": "events"});
    let plan = plan(json!({"metrics": ["events", rate, "unique_users"]})).unwrap();
    assert_eq!(plan.aggregate.measures.len(), 2);
    assert_eq!(names(&plan), ["events", "A / B", "unique_users"]);
}

#[test]
fn only_needed_events_are_read() {
    let buy = json!({"fn": "events", "event": "buy"});
    let view = json!({"fn": "unique_users", "events": ["view", "buy"]});
    let narrow = plan(json!({"metrics": [buy, view]})).unwrap();
    assert_eq!(narrow.aggregate.scan.events, Some(vec!["buy".to_owned(), "view".to_owned()]));
    let wide = plan(json!({"metrics": [buy, "events"]})).unwrap();
    assert_eq!(wide.aggregate.scan.events, None);
    let asked = plan(json!({"metrics": [buy], "event": "x"})).unwrap();
    assert_eq!(asked.aggregate.scan.events, Some(vec!["x".to_owned()]));
    let funnel = |steps: Json| {
        crate::funnel_planner::plan_funnel(&app(), &read_funnel(&json!({"steps": steps}), &app(), NOW_MS).unwrap())
            .unwrap()
            .plan
            .scan
            .events
    };
    assert_eq!(funnel(json!(["b", {"any_of": ["a", "b"]}])), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(funnel(json!(["b", {"event": null}])), None);
}

#[test]
fn every_key_of_a_row_is_unique() {
    let plan_names = |request: Json| plan(request).map(|plan| names(&plan).iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(plan_names(json!({"metrics": ["events", "events"], "group_by": "events"})).unwrap(), ["events_2", "events_3"]);
    let named = json!({"fn": "sum", "property": "x", "name": "events"});
    assert_eq!(plan_names(json!({"metrics": ["events", named]})).unwrap(), ["events_2", "events"]);
    let named_time = json!({"fn": "events", "name": "time"});
    assert_eq!(plan_names(json!({"metric": named_time})).unwrap(), ["time"]);
    let error = plan_names(json!({"metric": named_time, "interval": "day"})).unwrap_err();
    assert_eq!((error.code, error.field.as_deref()), ("invalid_metric", Some("metric.name")));
    let error = plan_names(json!({"metrics": ["events"], "group_by": ["a", "previous"], "compare": "previous_period"})).unwrap_err();
    assert_eq!((error.code, error.field.as_deref()), ("invalid_group_by", Some("group_by[1]")));
}

#[test]
fn the_kept_groups_are_ranked_by_what_was_asked() {
    let fold = |request: Json| plan(request).unwrap().aggregate.fold;
    let base = json!({"metrics": ["events", "unique_users"], "group_by": "a", "limit": 3});
    assert_eq!(fold(base.clone()), Fold { keep: 3, by_measure: 0, descending: true });
    let ordered = |order: Json| {
        let mut request = base.clone();
        request["order_by"] = order;
        fold(request)
    };
    assert_eq!(ordered(json!("unique_users")), Fold { keep: 3, by_measure: 1, descending: true });
    assert_eq!(ordered(json!([{"by": "unique_users", "direction": "asc"}])), Fold { keep: 3, by_measure: 1, descending: false });
    assert_eq!(ordered(json!("a")), Fold { keep: 3, by_measure: 0, descending: true });
    let formula = json!({"formula": "B / A", "A": "unique_users", "B": "events"});
    assert_eq!(fold(json!({"metrics": [formula, "events"], "group_by": "a"})), Fold { keep: 25, by_measure: 0, descending: true });
}

#[test]
fn sort_keys_end_with_the_default_ones() {
    let request =
        json!({"metrics": ["events", "unique_users"], "group_by": ["a", "b"], "interval": "day", "order_by": ["b", "unique_users"]});
    let expected = [
        (SortKey::Group(1), Direction::Ascending),
        (SortKey::Column(1), Direction::Descending),
        (SortKey::Time, Direction::Ascending),
        (SortKey::Column(0), Direction::Descending),
        (SortKey::Group(0), Direction::Ascending),
    ];
    assert_eq!(plan(request).unwrap().order, expected);
    let error = plan(json!({"metric": "events", "order_by": ["time"]})).unwrap_err();
    assert_eq!((error.code, error.field.as_deref()), ("invalid_order_by", Some("order_by[0]")));
    assert!(error.message.contains("sort by events"), "{}", error.message);
}

#[test]
fn both_periods_are_one_scan() {
    let plan = plan(json!({"metric": "events", "range": "2d", "interval": "day", "compare": "previous_period"})).unwrap();
    let day = 86_400_000;
    let today = 1_773_100_800_000; // 2026-03-10T00:00:00Z
    assert_eq!(plan.aggregate.buckets.as_ref().unwrap().starts, [today - 3 * day, today - 2 * day, today - day, today]);
    assert_eq!((plan.aggregate.scan.from_ms, plan.aggregate.scan.to_ms), (today - 3 * day, today + day));
    assert_eq!((plan.first_current_bucket(), plan.timeline.labels.as_slice()), (2, [today - day, today].as_slice()));
}

#[test]
fn buckets_and_measures_are_bounded() {
    let error = plan(json!({"metric": "events", "range": "8d", "interval": "minute"})).unwrap_err();
    assert_eq!((error.code, error.field.as_deref()), ("too_many_buckets", Some("interval")));
    assert!(plan(json!({"metric": "events", "from": "2026-03-01", "to": "2026-03-07", "interval": "minute"})).is_ok());
    let formula = |n: usize| {
        let mut metric = json!({"formula": "A + B + C + D"});
        for (i, letter) in ["A", "B", "C", "D"].iter().enumerate() {
            metric[letter] = json!(format!("sum:p{}", 4 * n + i));
        }
        metric
    };
    assert!(plan(json!({"metrics": (0..7).map(formula).collect::<Vec<_>>()})).is_ok());
    let error = plan(json!({"metrics": (0..8).map(formula).collect::<Vec<_>>()})).unwrap_err();
    assert!(error.message.contains("at most 30"), "{}", error.message);
}

#[test]
fn all_time_begins_with_the_day_of_the_first_event() {
    let by_day = json!({"metric": "events", "range": "all", "interval": "day"});
    let planned = |first_event_ms: Option<i64>| {
        let app = AppSettings { first_event_ms, ..app() };
        plan_query(&app, read_query(&by_day, &app, NOW_MS)?).map(|plan| plan.timeline.labels.len())
    };
    // Five days ago, and up to tomorrow: clients' clocks may be ahead.
    assert_eq!(planned(Some(NOW_MS - 5 * 86_400_000)), Ok(7));
    assert_eq!(planned(Some(i64::MAX)), Ok(1), "no events");
    assert_eq!(planned(Some(i64::MIN)).unwrap_err().code, "too_many_buckets");
    assert_eq!(planned(None).unwrap_err().code, "too_many_buckets");
}

#[test]
fn a_window_of_one_bucket_has_what_the_range_cuts_off() {
    let plan = |from: &str| {
        plan(json!({"metrics": [{"fn": "events", "rolling": 1}], "interval": "day", "from": from, "to": "2026-03-03"})).unwrap()
    };
    let cut = plan("2026-03-01T12:00:00Z");
    assert_eq!(cut.timeline.look_back, 1);
    assert_eq!(cut.aggregate.measures[0].since.as_deref(), Some(&[0, 0, 2][..]));
    let whole = plan("2026-03-01");
    assert_eq!((whole.timeline.look_back, &whole.aggregate.measures[0].since), (0, &None));
}
