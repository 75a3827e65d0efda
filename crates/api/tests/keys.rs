//! Attack 1: every read route with every wrong key, and every way to name another app.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use std::sync::atomic::Ordering;

use metadata_store::{KeyKind, SecretKey};
use serde_json::json;
use support::{Answer, Running};

/// Routes of a read key.
const ROUTES: [(&str, &str); 14] = [
    ("GET", "query"),
    ("POST", "query"),
    ("GET", "funnel"),
    ("POST", "funnel"),
    ("GET", "events"),
    ("POST", "events"),
    ("GET", "export"),
    ("POST", "export"),
    ("GET", "schema"),
    ("GET", "realtime"),
    ("GET", "realtime/stream"),
    ("GET", "rejected"),
    ("GET", "ledger"),
    ("GET", "settings"),
];

/// Routes of an admin key.
const ADMIN_ROUTES: [(&str, &str); 4] =
    [("DELETE", "persons/u%201"), ("GET", "deletions"), ("GET", "deletions/del_0"), ("PATCH", "settings")];

fn body_of(route: &str) -> &'static str {
    match route {
        "query" => r#"{"metric":"events","range":"7d"}"#,
        "settings" => r#"{"raw_retention_days":30}"#,
        "funnel" => r#"{"steps":["page_view","purchase"],"range":"7d"}"#,
        _ => "",
    }
}

/// A refusal in the error form, with this status and code.
fn check(answer: &Answer, status: u16, code: &str, what: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{what}: {}", answer.text);
    let id = answer.json()["error"]["request_id"].as_str().unwrap().to_owned();
    assert!(!id.is_empty() && id == answer.header("x-request-id"), "{what}: {answer:?}");
    assert_eq!(answer.header("www-authenticate"), if status == 401 { "Bearer" } else { "" }, "{what}");
    assert_eq!(answer.header("cache-control"), "no-store", "{what}");
}

#[test]
fn every_route_refuses_every_wrong_key() {
    let running = Running::start();
    let client = running.client();
    let never_stored = SecretKey::generate(KeyKind::Read, &mut rand::rng());
    for (method, route) in ROUTES {
        let path = format!("/api/v1/analytics/ours/{route}");
        let what = format!("{method} {route}");
        let send = |path: &str, key: Option<&str>| client.send(method, path, key, body_of(route));
        check(&send(&path, None), 401, "missing_key", &what);
        check(&send(&path, Some("")), 401, "missing_key", &what);
        check(&send(&path, Some("rk_short")), 401, "unknown_key", &what);
        check(&send(&path, Some(never_stored.as_str())), 401, "unknown_key", &what);
        check(&send(&path, Some(&running.ours.write_key)), 403, "wrong_key_kind", &what);
        check(&send(&path, Some(&running.theirs.write_key)), 403, "wrong_key_kind", &what);
        check(&send(&path, Some(&running.ours.admin_key)), 403, "wrong_key_kind", &what);
        check(&send(&path, Some(&running.theirs.read_key)), 403, "wrong_app", &what);
        check(&send(&format!("/api/v1/analytics/unknown/{route}"), Some(&running.ours.read_key)), 403, "wrong_app", &what);
        check(&send(&format!("{path}?app_id=theirs"), Some(&running.ours.read_key)), 403, "wrong_app", &what);
        let key_in_url = format!("{path}?read_key={key}&write_key={key}", key = running.ours.read_key);
        check(&send(&key_in_url, None), 401, "missing_key", &what);
        for scheme in ["Basic", "bearer:", ""] {
            let value = format!("{scheme} {}", running.ours.read_key);
            let answer = client.send_with(method, &path, &[("authorization", value.trim())], body_of(route));
            check(&answer, 401, "missing_key", &what);
        }
    }
}

#[test]
fn only_the_apps_admin_key_changes_anything() {
    let running = Running::start();
    let client = running.client();
    for (method, route) in ADMIN_ROUTES {
        let path = format!("/api/v1/analytics/ours/{route}");
        let what = format!("{method} {route}");
        let send = |path: &str, key: Option<&str>| client.send(method, path, key, body_of(route));
        check(&send(&path, None), 401, "missing_key", &what);
        check(&send(&path, Some("ak_short")), 401, "unknown_key", &what);
        for key in [&running.ours.write_key, &running.ours.read_key, &running.theirs.read_key] {
            check(&send(&path, Some(key)), 403, "wrong_key_kind", &what);
        }
        check(&send(&path, Some(&running.theirs.admin_key)), 403, "wrong_app", &what);
        check(&send(&format!("{path}?app_id=theirs"), Some(&running.ours.admin_key)), 403, "wrong_app", &what);
        let expected = if route == "deletions/del_0" {
            404
        } else if method == "DELETE" {
            202
        } else {
            200
        };
        assert_eq!(send(&path, Some(&running.ours.admin_key)).status, expected, "{what}");
    }
}

#[test]
fn the_right_key_opens_every_route() {
    let running = Running::start();
    for (method, route) in ROUTES.into_iter().filter(|(_, route)| *route != "realtime/stream") {
        let path = format!("/api/v1/analytics/ours/{route}");
        let answer = running.client().send(method, &path, Some(&running.ours.read_key), body_of(route));
        assert_eq!(answer.status, 200, "{method} {route}: {}", answer.text);
        let content_type = if route == "export" { "application/x-ndjson" } else { "application/json" };
        assert_eq!(answer.header("content-type"), content_type, "{method} {route}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{method} {route}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {route}");
    }
}

#[test]
fn another_app_in_the_body_is_refused_and_the_own_one_is_not() {
    let running = Running::start();
    for route in ["query", "funnel", "events", "export"] {
        let path = format!("/api/v1/analytics/ours/{route}");
        let mut request: serde_json::Value = serde_json::from_str(body_of(route)).unwrap_or_else(|_| json!({}));
        for other in [json!("theirs"), json!(null), json!(["ours"]), json!({"$ne": ""})] {
            request["app_id"] = other;
            check(&running.client().post(&path, &running.ours.read_key, &request), 403, "wrong_app", route);
        }
        request["app_id"] = json!("ours");
        let answer = running.client().post(&path, &running.ours.read_key, &request);
        assert_eq!(answer.status, 200, "{route}: {}", answer.text);
    }
}

#[test]
fn a_cursor_of_another_app_shows_nothing_of_it() {
    let running = Running::start();
    running.store_events(&running.ours, &[("mine", "u1", &[]), ("mine", "u2", &[])]);
    running.store_events(&running.theirs, &[("secret", "s1", &[]), ("secret", "s2", &[]), ("secret", "s3", &[])]);
    let client = running.client();
    let page = client.post("/api/v1/analytics/theirs/events", &running.theirs.read_key, &json!({"range": "1d", "limit": 1}));
    let cursor = page.json()["next_cursor"].clone();
    assert!(page.text.contains("secret") && !cursor.is_null(), "{}", page.text);
    let request = json!({"range": "1d", "limit": 10, "cursor": cursor});
    let answer = client.post("/api/v1/analytics/ours/events", &running.ours.read_key, &request);
    assert!(matches!(answer.status, 200 | 400) && !answer.text.contains("secret"), "{}", answer.text);
}

#[test]
fn keys_that_cannot_be_checked_are_503_and_a_panic_is_500() {
    let running = Running::start();
    let path = "/api/v1/analytics/ours/schema";
    running.keys.unavailable.store(true, Ordering::Relaxed);
    let answer = running.client().get(path, &running.ours.read_key);
    check(&answer, 503, "keys_unavailable", "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    running.keys.unavailable.store(false, Ordering::Relaxed);
    running.keys.panics.store(true, Ordering::Relaxed);
    let answer = running.client().get(path, &running.ours.read_key);
    check(&answer, 500, "internal", "panic");
    assert!(!answer.text.contains("secret"), "{}", answer.text);
    running.keys.panics.store(false, Ordering::Relaxed);
    assert_eq!(running.client().get(path, &running.ours.read_key).status, 200, "the next request is served");
}
