//! A person is deleted by its app's admin key, gone from every answer at once, and the receipt tells how far it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use event_store::EventSink;
use serde_json::json;
use support::Running;

const OURS: &str = "/api/v1/analytics/ours";

#[test]
fn a_person_is_deleted_and_the_receipt_says_so() {
    let running = Running::start();
    let client = running.client();
    let person = "a/b ü?";
    let events: Vec<support::TestEvent<'_>> = vec![("x", person, &[]), ("x", "U2", &[]), ("y", person, &[]), ("y", "U3", &[])];
    running.store_events(&running.ours, &events);
    running.store_events(&running.theirs, &events);
    running.store.flush().unwrap();
    let count = |path: &str, key: &str| {
        let answer = client.post(&format!("{path}/query"), key, &json!({"metric": "events", "range": "1d"})).json();
        answer["results"][0]["events"].as_u64().unwrap()
    };
    assert_eq!(count(OURS, &running.ours.read_key), 4);

    let answer = client.send("DELETE", &format!("{OURS}/persons/a%2Fb%20%C3%BC%3F"), Some(&running.ours.admin_key), "");
    let receipt = answer.json();
    assert_eq!(answer.status, 202, "{receipt}");
    assert_eq!((&receipt["rows"], &receipt["state"], &receipt["segments"]), (&json!(2), &json!("rewriting"), &json!(1)), "{receipt}");
    assert!(!answer.text.contains("a/b"), "the receipt names the person by hash only: {receipt}");
    // The same question again is not answered from the cache.
    assert_eq!(count(OURS, &running.ours.read_key), 2);
    assert_eq!(count("/api/v1/analytics/theirs", &running.theirs.read_key), 4);

    while running.store.maintain(support::now_ms()).unwrap() {}
    let id = receipt["deletion_id"].as_str().unwrap();
    let done = client.get(&format!("{OURS}/deletions/{id}"), &running.ours.admin_key).json();
    assert_eq!(
        (&done["state"], &done["segments_rewritten"], &done["days_to_recount"]),
        (&json!("finished"), &json!(1), &json!(0)),
        "{done}"
    );
    assert!(done["receipt_sha256"].as_str().is_some_and(|hash| hash.len() == 64), "{done}");
    let list = client.get(&format!("{OURS}/deletions"), &running.ours.admin_key).json();
    assert_eq!(list["deletions"], json!([done]));
    // Another app's receipt is as good as unknown.
    let other = client.get(&format!("/api/v1/analytics/theirs/deletions/{id}"), &running.theirs.admin_key);
    assert_eq!((other.status, other.code().as_str()), (404, "unknown_deletion"));
}

#[test]
fn wrong_requests_are_named() {
    let running = Running::start();
    let send = |path: &str| running.client().send("DELETE", &format!("{OURS}/persons/{path}"), Some(&running.ours.admin_key), "");
    let long = "x".repeat(256);
    for (path, code) in
        [(long.as_str(), "invalid_id"), ("u?later_events=maybe", "invalid_parameter"), ("u?later=refuse", "invalid_parameter")]
    {
        let answer = send(path);
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{path}: {}", answer.text);
    }
    assert_eq!(send("%FF").status, 400);
    for (body, code) in
        [("{}x", "invalid_json"), (r#"{"raw_retention_days": 0}"#, "invalid_setting"), (r#"{"app_id": "theirs"}"#, "invalid_json")]
    {
        let answer = running.client().send("PATCH", &format!("{OURS}/settings"), Some(&running.ours.admin_key), body);
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{body}: {}", answer.text);
    }
}

#[test]
fn retention_is_a_setting_of_the_app() {
    let running = Running::start();
    let read = || running.client().get(&format!("{OURS}/settings"), &running.ours.read_key).json();
    assert_eq!(read()["raw_retention_days"], json!(730));
    for days in [json!(30), json!(null)] {
        let body = json!({"raw_retention_days": days}).to_string();
        let answer = running.client().send("PATCH", &format!("{OURS}/settings"), Some(&running.ours.admin_key), &body);
        assert_eq!((answer.status, &answer.json()["raw_retention_days"]), (200, &days), "{}", answer.text);
        assert_eq!(read()["raw_retention_days"], days);
    }
    assert_eq!(running.client().send("PATCH", &format!("{OURS}/settings"), Some(&running.ours.admin_key), "{}").status, 200);
}
