//! Saved metrics through HTTP: who may do what, what is refused, and what questions make of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use serde_json::{Value, json};
use support::{Answer, Running};

const METRICS: &str = "/api/v1/apps/ours/metrics";

fn create(running: &Running, body: &Value) -> Answer {
    running.client().post(METRICS, &running.ours.admin_key, body)
}

fn ask(running: &Running, body: &Value) -> Answer {
    running.client().post("/api/v1/analytics/ours/query", &running.ours.read_key, body)
}

fn refused(answer: &Answer, status: u16, code: &str, field: &str) {
    let error = &answer.json()["error"];
    let found = (answer.status, error["code"].as_str(), error["field"].as_str().unwrap_or(""));
    assert_eq!(found, (status, Some(code), field), "{}", answer.text);
}

fn shop() -> Running {
    let running = Running::start();
    running.store_events(
        &running.ours,
        &[("buy", "u1", &[]), ("buy", "u1", &[]), ("buy", "u2", &[]), ("view", "u3", &[]), ("view", "u4", &[])],
    );
    running.store_events(&running.theirs, &[("buy", "spy", &[])]);
    running
}

#[test]
fn a_metric_lives_from_its_making_to_its_end() {
    let running = shop();
    let (client, read, admin) = (running.client(), running.ours.read_key.as_str(), running.ours.admin_key.as_str());
    let buyers = json!({"id": "buyers", "name": "Buyers", "unit": "count", "metric": {"fn": "unique_users", "event": "buy"}});
    let made = create(&running, &buyers);
    assert_eq!((made.status, &made.json()["version"], &made.json()["unit"]), (201, &json!(1), &json!("count")), "{}", made.text);
    let share = json!({"name": "Share", "description": "Of all", "unit": "percent", "metric": {"formula": "A / B * 100", "A": "metric:buyers", "B": "unique_users"}});
    let share = create(&running, &share).json();
    let id = share["id"].as_str().unwrap();
    let names: Vec<Value> =
        client.get(METRICS, read).json()["metrics"].as_array().unwrap().iter().map(|metric| metric["name"].clone()).collect();
    assert_eq!(names, ["Buyers", "Share"]);
    assert_eq!(client.get(&format!("{METRICS}/{id}"), read).json()["description"], "Of all");

    let question = json!({"metric": format!("metric:{id}"), "range": "7d"});
    let answer = ask(&running, &question).json();
    assert_eq!(answer["results"][0][format!("metric:{id}")], json!(50), "{answer}");
    assert_eq!(answer["saved_metrics"][0]["unit"], "percent");

    // A change counts at once, in what is made of it too.
    let changed =
        client.send("PUT", &format!("{METRICS}/buyers"), Some(admin), &json!({"metric": {"fn": "events", "event": "buy"}}).to_string());
    assert_eq!(
        (changed.status, &changed.json()["version"], &changed.json()["name"]),
        (200, &json!(2), &json!("Buyers")),
        "{}",
        changed.text
    );
    assert_eq!(ask(&running, &question).json()["results"][0][format!("metric:{id}")], json!(75));
    // What an answer says can be sent back.
    let told = client.get(&format!("{METRICS}/buyers"), read).json();
    assert_eq!(told["description"], Value::Null);
    let again = client.send("PUT", &format!("{METRICS}/buyers"), Some(admin), &told.to_string());
    assert_eq!((again.status, &again.json()["unit"]), (200, &json!("count")), "{}", again.text);
    let bare = client.send("PUT", &format!("{METRICS}/buyers"), Some(admin), &json!({"unit": null}).to_string());
    assert_eq!((bare.status, &bare.json()["unit"]), (200, &Value::Null), "{}", bare.text);
    let stale = client.send("PUT", &format!("{METRICS}/buyers"), Some(admin), &json!({"name": "B", "version": 1}).to_string());
    refused(&stale, 409, "metric_changed", "version");

    refused(&client.send("DELETE", &format!("{METRICS}/buyers"), Some(admin), ""), 409, "metric_in_use", "");
    assert_eq!(client.send("DELETE", &format!("{METRICS}/{id}"), Some(admin), "").status, 200);
    assert_eq!(client.send("DELETE", &format!("{METRICS}/buyers"), Some(admin), "").status, 200);
    refused(&client.get(&format!("{METRICS}/buyers"), read), 404, "unknown_metric", "");
    refused(&ask(&running, &question), 400, "unknown_metric", "metric");
}

#[test]
fn what_cannot_be_saved_is_refused_with_its_place() {
    let running = shop();
    let body = |fields: Value| {
        let mut body = json!({"id": "m", "name": "M", "metric": "events"});
        fields.as_object().unwrap().iter().for_each(|(key, value)| body[key] = value.clone());
        body
    };
    let wrong = [
        (json!({"metric": "evnts"}), 400, "invalid_metric", "metric"),
        (json!({"metric": {"fn": "sum"}}), 400, "invalid_metric", "metric.fn"),
        (json!({"metric": {"formula": "A / B", "A": "events"}}), 400, "invalid_metric", "metric.B"),
        (json!({"metric": {"formula": "A /", "A": "events"}}), 400, "invalid_formula", "metric.formula"),
        (
            json!({"metric": {"fn": "events", "filters": [{"property": "x", "op": "equals"}]}}),
            400,
            "invalid_filter",
            "metric.filters[0].op",
        ),
        (json!({"metric": "metric:gone"}), 400, "unknown_metric", "metric"),
        (json!({"metric": {"formula": "A", "A": "metric:m"}}), 400, "cyclic_metric", "metric.A"),
        (json!({"metric": {"fn": "events", "rolling": 7, "cumulative": true}}), 400, "contradictory_options", "metric.rolling"),
        (json!({"name": " "}), 400, "invalid_metric", "name"),
        (json!({"name": "n".repeat(101)}), 400, "invalid_metric", "name"),
        (json!({"description": "d".repeat(1_001)}), 400, "invalid_metric", "description"),
        (json!({"unit": "euros"}), 400, "invalid_metric", "unit"),
        (json!({"id": "a/b"}), 400, "invalid_metric", "id"),
        (json!({"version": 1}), 400, "invalid_metric", "version"),
        (json!({"metrc": "events"}), 400, "invalid_metric", "metrc"),
        (json!({"metric": {"fn": "events", "name": "n".repeat(70_000)}}), 400, "invalid_metric", "metric"),
    ];
    for (fields, status, code, field) in wrong {
        refused(&create(&running, &body(fields)), status, code, field);
    }
    assert_eq!(create(&running, &body(json!({}))).status, 201);
    refused(&create(&running, &body(json!({}))), 409, "metric_exists", "id");
    let other = create(&running, &body(json!({"id": "n", "metric": {"formula": "A", "A": "metric:m"}})));
    assert_eq!(other.status, 201, "{}", other.text);
    let circle =
        running.client().send("PUT", &format!("{METRICS}/m"), Some(&running.ours.admin_key), &json!({"metric": "metric:n"}).to_string());
    refused(&circle, 400, "cyclic_metric", "metric");
    assert!(circle.text.contains("m > n > m"), "{}", circle.text);
}

#[test]
fn only_those_who_may() {
    let running = shop();
    let (client, body) = (running.client(), json!({"id": "m", "name": "M", "metric": "events"}));
    assert_eq!(client.post(METRICS, &running.ours.read_key, &body).status, 403);
    assert_eq!(client.post(METRICS, &running.theirs.admin_key, &body).status, 403);
    assert_eq!(client.get(METRICS, &running.theirs.read_key).status, 403);
    assert_eq!(client.send("GET", METRICS, None, "").status, 401);
    create(&running, &body);
    let spied = client.post("/api/v1/analytics/theirs/query", &running.theirs.read_key, &json!({"metric": "metric:m"}));
    refused(&spied, 400, "unknown_metric", "metric");
}

#[test]
fn a_cohort_that_a_metric_asks_for_is_not_deleted() {
    let running = shop();
    let (client, admin) = (running.client(), running.ours.admin_key.as_str());
    let cohorts = "/api/v1/analytics/ours/cohorts";
    for id in ["buyers", "viewers"] {
        let rule = json!({"id": id, "name": id, "rule": {"did": if id == "buyers" { "buy" } else { "view" }}});
        assert_eq!(client.post(cohorts, admin, &rule).status, 201);
    }
    let of_buyers = json!({"fn": "events", "filters": [{"property": "cohort:buyers", "op": "in"}]});
    let metric = json!({"formula": "A / B", "A": of_buyers, "B": "events"});
    assert_eq!(create(&running, &json!({"id": "share", "name": "Share", "metric": metric})).status, 201);
    let in_use = client.send("DELETE", &format!("{cohorts}/buyers"), Some(admin), "");
    refused(&in_use, 409, "cohort_in_use", "");
    assert!(in_use.text.contains("metrics are made of it (share)"), "{}", in_use.text);
    assert_eq!(client.send("DELETE", &format!("{cohorts}/viewers"), Some(admin), "").status, 200);
    assert_eq!(client.send("DELETE", &format!("{METRICS}/share"), Some(admin), "").status, 200);
    assert_eq!(client.send("DELETE", &format!("{cohorts}/buyers"), Some(admin), "").status, 200);
}
