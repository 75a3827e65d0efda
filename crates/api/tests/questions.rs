//! The ways to ask, and attack 2: questions that try to leave their app or to break what answers them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use serde_json::{Value, json};
use support::Running;

const PATH: &str = "/api/v1/analytics/ours/query";

/// Percent-encodes everything but letters and digits.
fn encoded(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[test]
fn one_question_in_every_form_has_one_answer() {
    let running = Running::start();
    running.store_events(&running.ours, &[("page_view", "u1", &[]), ("page_view", "u2", &[]), ("page_view", "u1", &[])]);
    let (client, key) = (running.client(), running.ours.read_key.as_str());
    let question = r#"{"metric":"unique_users","event":"page_view","range":"7d"}"#;
    let answers = [
        client.send("POST", PATH, Some(key), question),
        client.send("GET", PATH, Some(key), question),
        client.send("GET", &format!("{PATH}?q={}", encoded(question)), Some(key), ""),
        client.send("POST", &format!("{PATH}?q={}", encoded(question)), Some(key), ""),
    ];
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()["results"], json!([{"unique_users": 2}]));
    }
    let twice = client.send("POST", &format!("{PATH}?q={}", encoded(question)), Some(key), question);
    assert_eq!((twice.status, twice.code().as_str()), (400, "two_requests"));
}

#[test]
fn what_is_no_question_is_said_to_be_none() {
    let running = Running::start();
    let (client, key) = (running.client(), running.ours.read_key.as_str());
    let deep = "[".repeat(100_000);
    for body in ["{", "[]", "7", "\"x\"", "nonsense", "{\"metric\":}", deep.as_str()] {
        let answer = client.send("POST", PATH, Some(key), body);
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_json"), "{:.40}: {}", body, answer.text);
    }
    let large = format!("{{\"metric\":\"{}\"}}", "x".repeat(2 << 20));
    let answer = client.send("POST", PATH, Some(key), &large);
    assert_eq!((answer.status, answer.code().as_str()), (413, "request_too_large"));
    let answer = client.send("GET", PATH, Some(key), "");
    assert_eq!(answer.status, 400, "an empty question: {}", answer.text);
}

#[test]
fn unknown_routes_methods_and_parameters_have_the_error_form() {
    let running = Running::start();
    let (client, key) = (running.client(), running.ours.read_key.as_str());
    for (method, path, status, code) in [
        ("GET", "/api/v1/analytics/ours/nothing", 404, "unknown_route"),
        ("GET", "/api/v1/analytics", 404, "unknown_route"),
        ("POST", "/api/v2/events/batch", 404, "unknown_route"),
        ("GET", "/api", 404, "unknown_route"),
        ("DELETE", PATH, 405, "wrong_method"),
        ("POST", "/api/v1/analytics/ours/schema", 405, "wrong_method"),
        ("GET", "/api/v1/analytics/ours/ledger?form=x", 400, "invalid_parameter"),
        ("GET", "/api/v1/analytics/ours/ledger?from=yesterday", 400, "invalid_time"),
        ("GET", "/api/v1/analytics/ours/rejected?limit=100000", 400, "invalid_limit"),
        ("GET", "/api/v1/analytics/ours/realtime?minutes=0", 400, "invalid_minutes"),
        ("GET", "/api/v1/analytics/ours/realtime?from=", 400, "invalid_event"),
    ] {
        let answer = client.send(method, path, Some(key), "");
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path}: {}", answer.text);
        assert_eq!(answer.json()["error"]["request_id"].as_str(), Some(answer.header("x-request-id")), "{method} {path}");
    }
}

#[test]
fn no_question_leaves_its_app() {
    let running = Running::start();
    running.store_events(&running.ours, &[("page_view", "u1", &[("plan", "free")])]);
    running.store_events(&running.theirs, &[("SECRET_EVENT", "SECRET_USER", &[("plan", "SECRET_PLAN"), ("SECRET_KEY", "x")])]);
    let all = json!({"or": [{"property": "plan", "op": "is_set"}, {"not": {"property": "plan", "op": "is_set"}}]});
    let mut questions: Vec<(&str, Value)> = vec![
        ("query", json!({"metric": "events", "group_by": "event", "filters": [all]})),
        ("query", json!({"metric": "events", "group_by": ["user_id", "plan"], "filters": [{"not": all}]})),
        ("query", json!({"metric": "events", "filters": [{"property": "app_id", "op": "eq", "value": "theirs"}]})),
        ("query", json!({"metric": "events", "filters": [{"property": "app", "op": "neq", "value": "ours"}]})),
        ("query", json!({"metric": "events", "group_by": "app_id"})),
        ("query", json!({"metric": "events", "app": "theirs"})),
        ("funnel", json!({"steps": [{"event": null}, {"event": null}], "filters": [all]})),
        ("funnel", json!({"steps": ["SECRET_EVENT"], "breakdown": "user_id"})),
        ("paths", json!({"filters": [all], "gap": "none"})),
        ("paths", json!({"start": "SECRET_EVENT", "step_by": "user_id"})),
        ("events", json!({"filters": [all], "limit": 10_000})),
    ];
    for (_, question) in &mut questions {
        question["range"] = json!("30d");
    }
    for (route, question) in questions {
        let answer = running.client().post(&format!("/api/v1/analytics/ours/{route}"), &running.ours.read_key, &question);
        assert!(matches!(answer.status, 200 | 400), "{question}: {}", answer.text);
        let echoes_question = question.to_string().contains("SECRET");
        assert!(echoes_question || !answer.text.contains("SECRET"), "{question}: {}", answer.text);
        if route == "funnel" && echoes_question {
            assert_eq!(answer.json()["funnel"][0]["users"], json!(0), "{}", answer.text);
        }
    }
    let schema = running.client().get("/api/v1/analytics/ours/schema", &running.ours.read_key);
    assert!(schema.text.contains("page_view") && !schema.text.contains("SECRET"), "{}", schema.text);
}

#[test]
fn hostile_text_is_only_text() {
    let running = Running::start();
    let hostile = [
        "'; DROP TABLE events; --",
        "\" OR 1=1 --",
        "$where",
        "a.b.c",
        "..\\..\\etc",
        "__proto__",
        "constructor",
        "a\u{0}b",
        "${7*7}",
        "%00",
        "<img src=x onerror=alert(1)>",
        "\u{202e}right",
        "💥",
        "user.",
        "user.__proto__",
    ];
    for text in hostile {
        running.store_events(&running.ours, &[(text, "u1", &[(text, text)])]);
        let filter = json!([{"property": text, "op": "eq", "value": text}]);
        let request = json!({"metric": "events", "event": text, "filters": filter, "group_by": text, "range": "7d"});
        let answer = running.client().post(PATH, &running.ours.read_key, &request);
        assert!(matches!(answer.status, 200 | 400), "{text:?}: {}", answer.text);
        // `user.` names a property of the person, which no event of this test sets.
        if !text.starts_with("user.") {
            assert_eq!(answer.json()["results"], json!([{text: text, "events": 1}]), "{text:?}: {}", answer.text);
        }
    }
}

#[test]
fn hostile_options_are_answered_and_the_server_lives() {
    let running = Running::start();
    running.store_events(&running.ours, &[("page_view", "u1", &[("plan", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa!")])]);
    let regex = |pattern: &str| json!({"filters": [{"property": "plan", "op": "matches", "value": pattern}]});
    let nested = (0..200).fold(json!({"property": "plan", "op": "is_set"}), |inner, _| json!({"not": inner}));
    let variations = [
        json!({"timezone": "../../etc/passwd"}),
        json!({"timezone": "Mars/Base"}),
        json!({"timezone": 7}),
        json!({"interval": "femtosecond"}),
        json!({"interval": "minute", "range": "36500d"}),
        json!({"range": "-7d"}),
        json!({"range": "99999999999999999999d"}),
        json!({"from": "2026-13-45", "to": "x"}),
        json!({"from": "2026-01-02", "to": "2026-01-01"}),
        json!({"limit": -1}),
        json!({"limit": 1e308}),
        json!({"limit": "10; DROP TABLE"}),
        json!({"order_by": {"$gt": ""}}),
        json!({"order_by": "nothing"}),
        json!({"group_by": ["a", "b", "c", "d", "e"]}),
        json!({"group_by": [[]]}),
        json!({"metric": {"fn": "p95"}}),
        json!({"metric": {"fn": "eval", "property": "x"}}),
        json!({"metrics": [{"formula": "A / 0", "A": "events"}]}),
        json!({"metrics": [{"formula": "A / B ".repeat(5000), "A": "events", "B": "events"}]}),
        json!({"metrics": vec!["events"; 10_000]}),
        json!({"filters": vec![json!({"property": "plan", "op": "eq", "value": "x"}); 5_000]}),
        json!({"filters": [nested]}),
        json!({"filters": [{"property": "plan", "op": "in", "value": vec!["x"; 100_000]}]}),
        regex("(a+)+$"),
        regex("("),
        regex(&"(".repeat(1_000)),
        regex("a{1000}{1000}{1000}"),
        json!({"surprise": true}),
    ];
    for variation in variations {
        let mut request = json!({"metric": "events", "range": "7d"});
        for (key, value) in variation.as_object().unwrap() {
            request[key] = value.clone();
        }
        let started = std::time::Instant::now();
        let answer = running.client().post(PATH, &running.ours.read_key, &request);
        let shown: String = variation.to_string().chars().take(80).collect();
        assert!(matches!(answer.status, 200 | 400 | 413 | 422), "{shown}: {} {:.300}", answer.status, answer.text);
        assert!(started.elapsed().as_secs() < 11, "{shown} took {:?}", started.elapsed());
    }
    let answer = running.client().post(PATH, &running.ours.read_key, &json!({"metric": "events", "range": "7d"}));
    assert_eq!(answer.json()["results"], json!([{"events": 1}]));
}
