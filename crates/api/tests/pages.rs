//! The web app's files, the description of the API, and what operators ask.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use serde_json::Value;
use support::Running;

#[test]
fn pages_are_strict() {
    let running = Running::start();
    let client = running.client();
    let page = client.send("GET", "/", None, "");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    for rule in
        ["default-src 'self'", "script-src 'self'", "style-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(rule), "{rule} in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!((page.header("x-content-type-options"), page.header("x-frame-options")), ("nosniff", "DENY"));
    assert_eq!((page.header("referrer-policy"), page.header("cache-control")), ("no-referrer", "no-cache"));
}

#[test]
fn paths_of_the_app_are_its_start_page_and_files_are_files() {
    let running = Running::start();
    let client = running.client();
    let start = client.send("GET", "/", None, "").text;
    for path in ["/live", "/funnels/checkout", "/live?app=x"] {
        assert_eq!(client.send("GET", path, None, "").text, start, "{path}");
    }
    for path in ["/assets/none.js", "/favicon.none", "/../Cargo.toml", "/assets/..%2f..%2fCargo.toml", "/%2e%2e/%2e%2e/etc/passwd.txt"] {
        assert_eq!(client.send("GET", path, None, "").status, 404, "{path}");
    }
    let posted = client.send("POST", "/live", None, "");
    assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"));
}

#[test]
fn an_unchanged_page_is_not_sent_again() {
    let running = Running::start();
    let client = running.client();
    let etag = client.send("GET", "/", None, "").header("etag").to_owned();
    let again = client.send_with("GET", "/", &[("if-none-match", &format!("\"other\", {etag}"))], "");
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    assert!(again.header("content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!(client.send_with("GET", "/", &[("if-none-match", "\"other\"")], "").status, 200);
}

#[test]
fn other_sites_may_load_the_sdk_and_nothing_else() {
    let running = Running::start();
    let client = running.client();
    let sdk = client.send("GET", "/throng.js", None, "");
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/dist/throng.js");
    if std::path::Path::new(built).is_file() {
        assert_eq!((sdk.status, sdk.header("content-type")), (200, "text/javascript; charset=utf-8"));
        assert_eq!(sdk.header("cache-control"), "public, max-age=3600");
        let again = client.send_with("GET", "/throng.js", &[("if-none-match", sdk.header("etag"))], "");
        assert_eq!((again.status, again.header("cross-origin-resource-policy")), (304, "cross-origin"));
    } else {
        // Built without its web app, the program has no SDK either, and says so.
        assert_eq!(sdk.status, 404);
    }
    assert_eq!((sdk.header("cross-origin-resource-policy"), sdk.header("access-control-allow-origin")), ("cross-origin", "*"));
    assert_eq!((sdk.header("x-content-type-options"), client.send("POST", "/throng.js", None, "").status), ("nosniff", 405));
    for path in ["/", "/index.html", "/throng.js.none"] {
        let page = client.send("GET", path, None, "");
        assert_eq!(
            (page.header("cross-origin-resource-policy"), page.header("access-control-allow-origin")),
            ("same-origin", ""),
            "{path}"
        );
    }
}

#[test]
fn operators_are_answered_without_a_key() {
    let running = Running::start();
    let client = running.client();
    assert_eq!(client.send("GET", "/health", None, "").json()["status"], "ok");
    assert_eq!(client.send("GET", "/ready", None, "").json()["ready"], true);
    client.get("/api/v1/analytics/ours/schema", &running.ours.read_key);
    client.get("/api/v1/analytics/theirs/schema", &running.ours.read_key);
    let metrics = client.send("GET", "/metrics", None, "").text;
    assert!(metrics.contains("throng_api_requests_total{route=\"/api/v1/analytics/{app_id}/schema\",status=\"200\"} 1"), "{metrics}");
    assert!(metrics.contains("status=\"403\"} 1") && !metrics.contains("ours"), "{metrics}");
}

#[test]
fn the_description_describes_what_answers() {
    let running = Running::start();
    let client = running.client();
    let document = client.send("GET", "/api/v1/openapi.json", None, "").json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["components"]["securitySchemes"]["read_key"]["scheme"] == "bearer", "{document}");
    let deleted = client.send("DELETE", "/api/v1/analytics/ours/persons/U1", Some(&running.ours.admin_key), "").json();
    let deletion_id = deleted["deletion_id"].as_str().unwrap();
    let cohort = serde_json::json!({"id": "buyers", "name": "Buyers", "rule": {"did": "purchase"}});
    let metric = serde_json::json!({"id": "paying", "name": "Paying", "metric": {"fn": "unique_users", "event": "purchase"}});
    let mut described = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            described += 1;
            if path.starts_with("/api/v1/events/") || path.ends_with("/stream") {
                continue;
            }
            let path = path
                .replace("{app_id}", "ours")
                .replace("{person_id}", "U2")
                .replace("{deletion_id}", deletion_id)
                .replace("{metric_id}", "paying")
                .replace("{funnel_id}", "checkout")
                .replace("{dashboard_id}", "shop")
                .replace("{cohort_id}", "buyers");
            // Some examples ask about this cohort, others change or delete it.
            client.send("POST", "/api/v1/analytics/ours/cohorts", Some(&running.ours.admin_key), &cohort.to_string());
            client.send("POST", "/api/v1/apps/ours/metrics", Some(&running.ours.admin_key), &metric.to_string());
            // Some are made of this metric, which could not be deleted then.
            let saved = client.get("/api/v1/apps/ours/metrics", &running.ours.read_key).json();
            for id in saved["metrics"].as_array().unwrap().iter().filter_map(|metric| metric["id"].as_str()).filter(|id| *id != "paying") {
                client.send("DELETE", &format!("/api/v1/apps/ours/metrics/{id}"), Some(&running.ours.admin_key), "");
            }
            if method == "put" {
                client.send("DELETE", "/api/v1/apps/ours/metrics/paying", Some(&running.ours.admin_key), "");
                client.send("POST", "/api/v1/apps/ours/metrics", Some(&running.ours.admin_key), &metric.to_string());
                client.send("DELETE", "/api/v1/analytics/ours/cohorts/buyers", Some(&running.ours.admin_key), "");
                client.send("POST", "/api/v1/analytics/ours/cohorts", Some(&running.ours.admin_key), &cohort.to_string());
            }
            saved_questions_before(&running, method, &path);
            let key = if operation["security"][0]["admin_key"].is_null() { &running.ours.read_key } else { &running.ours.admin_key };
            for body in request_examples(operation) {
                let answer = client.send(&method.to_uppercase(), &path, Some(key), &body);
                assert!((200..300).contains(&answer.status), "{method} {path} {body}: {} {}", answer.status, answer.text);
            }
        }
    }
    assert!(described >= 26, "{described} operations");
    let mut missing = Vec::new();
    find_references(&document, &mut |reference| {
        let pointer = reference.trim_start_matches('#');
        if document.pointer(pointer).is_none() {
            missing.push(reference.to_owned());
        }
    });
    assert_eq!(missing, Vec::<String>::new());
}

/// A funnel and a dashboard with it in their first versions, but for what the call itself makes.
fn saved_questions_before(running: &Running, method: &str, path: &str) {
    let (client, admin) = (running.client(), Some(running.ours.admin_key.as_str()));
    let (funnels, dashboards) = ("/api/v1/apps/ours/funnels", "/api/v1/apps/ours/dashboards");
    client.send("DELETE", &format!("{dashboards}/shop"), admin, "");
    client.send("DELETE", &format!("{funnels}/checkout"), admin, "");
    if (method, path) != ("post", funnels) {
        let funnel = serde_json::json!({"id": "checkout", "name": "Checkout", "funnel": {"steps": ["view", "purchase"]}});
        client.send("POST", funnels, admin, &funnel.to_string());
    }
    if path.starts_with(dashboards) && (method, path) != ("post", dashboards) {
        let tile = serde_json::json!({"x": 0, "y": 0, "w": 4, "h": 2, "text": "a text"});
        let board = serde_json::json!({"id": "shop", "name": "Shop", "tiles": [tile]});
        client.send("POST", dashboards, admin, &board.to_string());
    }
}

/// The bodies an operation gives as examples, and an empty one where it takes none.
fn request_examples(operation: &Value) -> Vec<String> {
    let content = &operation["requestBody"]["content"]["application/json"];
    let named = content["examples"].as_object().into_iter().flatten().map(|(_, example)| &example["value"]);
    let bodies: Vec<String> = content.get("example").into_iter().chain(named).map(Value::to_string).collect();
    if bodies.is_empty() { vec![String::new()] } else { bodies }
}

fn find_references(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            fields.get("$ref").and_then(Value::as_str).into_iter().for_each(&mut *found);
            fields.values().for_each(|value| find_references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| find_references(value, found)),
        _ => {}
    }
}
