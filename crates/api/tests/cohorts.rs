//! Saved cohorts through HTTP: who may do what, what is refused, and what questions make of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use serde_json::{Value, json};
use support::{Answer, Running, TestApp};

const COHORTS: &str = "/api/v1/analytics/ours/cohorts";

fn create(running: &Running, body: &Value) -> Answer {
    running.client().post(COHORTS, &running.ours.admin_key, body)
}

fn ask(running: &Running, app: &TestApp, route: &str, body: &Value) -> Answer {
    running.client().post(&format!("/api/v1/analytics/{}/{route}", app.id), &app.read_key, body)
}

fn size(running: &Running, id: &str) -> Value {
    running.client().get(&format!("{COHORTS}/{id}"), &running.ours.read_key).json()["size"].clone()
}

fn refused(answer: &Answer, status: u16, code: &str, field: &str) {
    let error = &answer.json()["error"];
    assert_eq!(
        (answer.status, error["code"].as_str(), error["field"].as_str().unwrap_or("")),
        (status, Some(code), field),
        "{}",
        answer.text
    );
}

fn shop() -> Running {
    let running = Running::start();
    running.store_events(
        &running.ours,
        &[("buy", "u1", &[]), ("buy", "u1", &[]), ("buy", "u2", &[]), ("view", "u3", &[]), ("view", "u1", &[])],
    );
    running.store_events(&running.theirs, &[("buy", "spy", &[]), ("buy", "spy", &[])]);
    running
}

#[test]
fn a_cohort_lives_from_its_making_to_its_end() {
    let running = shop();
    let (client, read) = (running.client(), running.ours.read_key.as_str());
    let made = create(&running, &json!({"id": "buyers", "name": "Buyers", "rule": {"did": "buy", "at_least": 2, "range": "7d"}}));
    assert_eq!((made.status, &made.json()["version"], &made.json()["kind"]), (201, &json!(1), &json!("dynamic")), "{}", made.text);
    let list = create(&running, &json!({"name": "Testers", "persons": ["u3", "nobody"]})).json();
    let list_id = list["id"].as_str().unwrap();
    assert_eq!((&list["kind"], &list["rule"]), (&json!("static"), &json!({"persons": ["u3", "nobody"]})));
    let listed = client.get(COHORTS, read).json();
    let names: Vec<&str> = listed["cohorts"].as_array().unwrap().iter().map(|cohort| cohort["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Buyers", "Testers"]);

    let one = client.get(&format!("{COHORTS}/buyers"), read).json();
    assert_eq!((&one["size"], &one["complete"], &one["rule"]["at_least"]), (&json!(1), &json!(true), &json!(2)), "{one}");
    assert!(one["evaluated_at"].is_string());
    assert_eq!(size(&running, list_id), json!(1), "ids without events are not counted");
    let persons = client.get(&format!("{COHORTS}/buyers/persons?limit=10"), read).json();
    assert_eq!((&persons["persons"], &persons["next_cursor"]), (&json!([{"person": "u1"}]), &Value::Null));

    // Whatever asks about it, asks about the same persons.
    let count = ask(&running, &running.ours, "query", &json!({"metric": "unique_users", "segment": "buyers", "range": "7d"})).json();
    assert_eq!((&count["results"], &count["segment_events"]), (&json!([{"unique_users": 1}]), &json!(3)), "{count}");
    let grouped = ask(&running, &running.ours, "query", &json!({"metric": "events", "group_by": "cohort:buyers", "range": "7d"})).json();
    assert_eq!(grouped["results"], json!([{"cohort:buyers": true, "events": 3}, {"cohort:buyers": false, "events": 2}]));
    let filters = json!([{"property": "cohort:buyers", "op": "not_in"}]);
    let others = ask(&running, &running.ours, "events", &json!({"filters": filters})).json();
    assert_eq!(others["events"].as_array().unwrap().len(), 2);
    let funnel = ask(&running, &running.ours, "funnel", &json!({"steps": ["buy"], "segment": "buyers", "explain": true})).json();
    assert_eq!(funnel["funnel"][0]["users"], json!(1));
    assert_eq!(funnel["explain"]["segments"][0]["segment"], json!("cohort:buyers"));
    assert_eq!(funnel["explain"]["segments"][0]["persons"], json!(1));

    // A change counts at once, also for what was asked a moment ago.
    let change = |body: &Value| client.send("PUT", &format!("{COHORTS}/buyers"), Some(&running.ours.admin_key), &body.to_string());
    let changed = change(&json!({"rule": {"did": "buy"}, "version": 1}));
    assert_eq!((changed.status, &changed.json()["version"], &changed.json()["name"]), (200, &json!(2), &json!("Buyers")));
    let count = ask(&running, &running.ours, "query", &json!({"metric": "unique_users", "segment": "buyers", "range": "7d"})).json();
    assert_eq!(count["results"], json!([{"unique_users": 2}]));
    refused(&change(&json!({"name": "Late", "version": 1})), 409, "cohort_changed", "version");

    let deleted = client.send("DELETE", &format!("{COHORTS}/buyers"), Some(&running.ours.admin_key), "");
    assert_eq!((deleted.status, deleted.json()), (200, json!({"deleted": "buyers"})));
    refused(&client.get(&format!("{COHORTS}/buyers"), read), 404, "unknown_cohort", "");
    let gone = ask(&running, &running.ours, "query", &json!({"metric": "events", "segment": "buyers"}));
    refused(&gone, 400, "unknown_cohort", "segment");
}

#[test]
fn cohorts_of_cohorts_follow_one_another_and_never_themselves() {
    let running = shop();
    create(&running, &json!({"id": "buyers", "name": "Buyers", "rule": {"did": "buy"}}));
    let made = create(&running, &json!({"id": "others", "name": "Others", "rule": {"not": {"cohort": "buyers"}}}));
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(size(&running, "others"), json!(1));
    let (client, admin) = (running.client(), running.ours.admin_key.as_str());
    let circle =
        client.send("PUT", &format!("{COHORTS}/buyers"), Some(admin), &json!({"rule": {"or": [{"did": "x"}, "others"]}}).to_string());
    refused(&circle, 400, "invalid_segment", "rule.or[1]");
    assert!(circle.text.contains("would contain itself"), "{}", circle.text);
    refused(&client.send("DELETE", &format!("{COHORTS}/buyers"), Some(admin), ""), 409, "cohort_in_use", "");
    client.send("PUT", &format!("{COHORTS}/buyers"), Some(admin), &json!({"rule": {"did": "view"}}).to_string());
    assert_eq!(size(&running, "others"), json!(1), "u2 alone has never viewed");
    // A person who is deleted is in no cohort.
    client.send("DELETE", "/api/v1/analytics/ours/persons/u2", Some(admin), "");
    assert_eq!(size(&running, "others"), json!(0));
}

#[test]
fn apps_and_keys_keep_their_places() {
    let running = shop();
    create(&running, &json!({"id": "buyers", "name": "Buyers", "rule": {"did": "buy"}}));
    let client = running.client();
    let body = json!({"id": "x", "name": "X", "rule": {"did": "buy"}});
    refused(&client.post(COHORTS, &running.ours.read_key, &body), 403, "wrong_key_kind", "");
    refused(&client.post(COHORTS, &running.theirs.admin_key, &body), 403, "wrong_app", "");
    refused(&client.get(COHORTS, &running.theirs.read_key), 403, "wrong_app", "");
    // Another app's cohort is as good as unknown, and an id may be taken in each.
    refused(&ask(&running, &running.theirs, "query", &json!({"metric": "events", "segment": "buyers"})), 400, "unknown_cohort", "segment");
    let theirs = client.get("/api/v1/analytics/theirs/cohorts/buyers/persons", &running.theirs.read_key);
    refused(&theirs, 404, "unknown_cohort", "");
    let rule = json!({"segment": {"did": "buy"}});
    let found = ask(&running, &running.ours, "cohorts/preview", &rule);
    assert!(found.json()["count"] == json!(2) && !found.text.contains("spy"), "{}", found.text);
}

#[test]
fn what_is_no_cohort_is_refused() {
    let running = shop();
    let rule = json!({"did": "buy"});
    for (body, code, field) in [
        (json!({"rule": rule}), "invalid_cohort", "name"),
        (json!({"name": "", "rule": rule}), "invalid_cohort", "name"),
        (json!({"name": "n".repeat(101), "rule": rule}), "invalid_cohort", "name"),
        (json!({"name": "a\u{7}", "rule": rule}), "invalid_cohort", "name"),
        (json!({"name": "N"}), "invalid_cohort", "rule"),
        (json!({"name": "N", "rule": rule, "persons": []}), "invalid_cohort", "persons"),
        (json!({"name": "N", "rule": rule, "id": "../x"}), "invalid_cohort", "id"),
        (json!({"name": "N", "rule": rule, "id": "preview"}), "invalid_cohort", "id"),
        (json!({"name": "N", "rule": rule, "version": 3}), "invalid_cohort", "version"),
        (json!({"name": "N", "rule": {"did": "buy", "at_leest": 2}}), "invalid_segment", "rule.at_leest"),
        (json!({"name": "N", "rule": {"and": [rule, {"cohort": "nobody"}]}}), "unknown_cohort", "rule.and[1].cohort"),
        (json!({"name": "N", "persons": ["u1", 7]}), "invalid_segment", "rule.persons[1]"),
        (json!({"name": "N", "rule": rule, "colour": "red"}), "invalid_cohort", "colour"),
    ] {
        refused(&create(&running, &body), 400, code, field);
    }
    create(&running, &json!({"id": "buyers", "name": "Buyers", "rule": rule}));
    refused(&create(&running, &json!({"id": "buyers", "name": "Again", "rule": rule})), 409, "cohort_exists", "id");
    let large =
        create(&running, &json!({"name": "N", "persons": (0..4_000).map(|i| format!("{i}{}", "x".repeat(200))).collect::<Vec<_>>()}));
    refused(&large, 400, "invalid_cohort", "rule");
    let page = running.client().get(&format!("{COHORTS}/buyers/persons?limit=5000"), &running.ours.read_key);
    refused(&page, 400, "invalid_limit", "limit");
    let cursor = running.client().get(&format!("{COHORTS}/buyers/persons?cursor=1.2.3.4"), &running.ours.read_key);
    refused(&cursor, 400, "invalid_cursor", "cursor");
}

#[test]
fn pages_have_everybody_once() {
    let running = Running::start();
    let users: Vec<String> = (0..25).map(|i| format!("u{i}")).collect();
    let events: Vec<_> = users.iter().map(|user| ("buy", user.as_str(), &[][..])).collect();
    running.store_events(&running.ours, &events);
    create(&running, &json!({"id": "buyers", "name": "Buyers", "rule": {"did": "buy", "range": "24h"}}));
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = running.client().get(&format!("{COHORTS}/buyers/persons?limit=10{cursor}"), &running.ours.read_key).json();
        assert_eq!(page["count"], json!(25), "{page}");
        found.extend(page["persons"].as_array().unwrap().iter().map(|person| person["person"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    found.sort();
    let mut expected = users;
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn changes_at_once_make_no_circle_and_leave_no_cohort_without_its_parts() {
    let running = shop();
    let put = |id: &str, rule: Value| {
        let body = json!({ "rule": rule }).to_string();
        running.client().send("PUT", &format!("{COHORTS}/{id}"), Some(&running.ours.admin_key), &body).status
    };
    for id in ["a", "b"] {
        assert_eq!(create(&running, &json!({"id": id, "name": id, "rule": {"did": "buy"}})).status, 201);
    }
    for _ in 0..30 {
        let (a, b) = std::thread::scope(|scope| {
            let a = scope.spawn(|| put("a", json!({"cohort": "b"})));
            let b = scope.spawn(|| put("b", json!({"cohort": "a"})));
            (a.join().unwrap(), b.join().unwrap())
        });
        let mut answers = [a, b];
        answers.sort_unstable();
        assert_eq!(answers, [200, 400], "one of them would contain itself");
        assert_eq!((put("a", json!({"did": "buy"})), put("b", json!({"did": "buy"}))), (200, 200));
    }
    for number in 0..30 {
        let part = format!("part{number}");
        assert_eq!(create(&running, &json!({"id": part, "name": part, "rule": {"did": "buy"}})).status, 201);
        let whole = json!({"id": format!("whole{number}"), "name": "whole", "rule": {"not": {"cohort": part}}});
        let make = || create(&running, &whole).status;
        let delete = || running.client().send("DELETE", &format!("{COHORTS}/{part}"), Some(&running.ours.admin_key), "").status;
        let (made, deleted) = std::thread::scope(|scope| {
            let (made, deleted) = (scope.spawn(make), scope.spawn(delete));
            (made.join().unwrap(), deleted.join().unwrap())
        });
        assert!(matches!((made, deleted), (201, 409) | (400, 200)), "{made} {deleted}");
    }
}

#[test]
fn a_change_that_others_could_not_go_on_with_is_refused() {
    let running = shop();
    let wide = json!({"or": vec![json!({"did": "buy"}); 60]});
    for (id, rule) in [("part", json!({"did": "buy"})), ("wide", wide.clone()), ("whole", json!({"or": ["part", "wide"]}))] {
        assert_eq!(create(&running, &json!({"id": id, "name": id, "rule": rule})).status, 201);
    }
    let admin = Some(running.ours.admin_key.as_str());
    let put = |body: &Value| running.client().send("PUT", &format!("{COHORTS}/part"), admin, &body.to_string());
    refused(&put(&json!({ "rule": wide })), 409, "cohort_in_use", "rule");
    assert_eq!(size(&running, "whole"), json!(2));
    for (body, field) in [
        (json!({}), "name"),
        (json!({"rule": null}), "rule"),
        (json!({"name": 1}), "name"),
        (json!({"persons": "u1"}), "persons"),
        (json!({"version": -1, "name": "x"}), "version"),
        (json!({"nmae": "x"}), "nmae"),
    ] {
        refused(&put(&body), 400, "invalid_cohort", field);
    }
    refused(&put(&json!([null, "arr", {"did": "buy"}, null, null])), 400, "invalid_json", "");
    let text = ask(&running, &running.ours, "query", &json!({"metric": "count_distinct:cohort:part", "range": "7d"}));
    assert_eq!(text.status, 200, "{}", text.text);
}
