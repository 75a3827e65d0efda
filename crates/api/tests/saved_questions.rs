//! Saved funnels and dashboards through HTTP: who may do what, what is refused and where, and what questions make of a saved funnel.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use serde_json::{Value, json};
use support::{Answer, Running};

const FUNNELS: &str = "/api/v1/apps/ours/funnels";
const DASHBOARDS: &str = "/api/v1/apps/ours/dashboards";

fn refused(answer: &Answer, status: u16, code: &str, field: &str) {
    let error = &answer.json()["error"];
    let found = (answer.status, error["code"].as_str(), error["field"].as_str().unwrap_or(""));
    assert_eq!(found, (status, Some(code), field), "{}", answer.text);
}

fn shop() -> Running {
    let running = Running::start();
    running.store_events(&running.ours, &[("view", "u1", &[]), ("buy", "u1", &[]), ("view", "u2", &[]), ("buy", "u3", &[])]);
    running
}

fn checkout() -> Value {
    json!({"id": "checkout", "name": "Checkout", "funnel": {"steps": ["view", "buy"], "range": "30d", "window": "1d", "mode": "unordered"}})
}

fn users(answer: &Answer) -> Vec<u64> {
    let answer = answer.json();
    let steps = answer["funnel"].as_array().unwrap_or_else(|| panic!("{answer}"));
    steps.iter().map(|step| step["users"].as_u64().unwrap()).collect()
}

#[test]
fn a_saved_funnel_is_asked_by_its_id() {
    let running = shop();
    let (client, read, admin) = (running.client(), running.ours.read_key.as_str(), running.ours.admin_key.as_str());
    let made = client.post(FUNNELS, admin, &checkout());
    assert_eq!((made.status, &made.json()["version"], &made.json()["funnel"]["window"]), (201, &json!(1), &json!("1d")), "{}", made.text);
    refused(&client.post(FUNNELS, admin, &checkout()), 409, "funnel_exists", "id");
    refused(&client.post(FUNNELS, read, &checkout()), 403, "wrong_key_kind", "");
    let ask = |call: &str, request: Value| client.post(&format!("/api/v1/analytics/ours/{call}"), read, &request);
    let answer = ask("funnel", json!({"funnel": "checkout"}));
    assert_eq!((users(&answer), &answer.json()["semantics"]["mode"]), (vec![3, 1], &json!("unordered")));
    // What the question says counts before what was saved; a time takes the place of any other.
    let answer = ask("funnel", json!({"funnel": "checkout", "mode": "ordered", "from": "2020-01-01", "to": "2020-01-02"}));
    assert_eq!((users(&answer), &answer.json()["semantics"]["mode"]), (vec![0, 0], &json!("ordered")));
    assert_eq!(ask("funnel/persons", json!({"funnel": "checkout", "step": 2})).json()["persons"][0]["person"], "u1");
    assert_eq!(ask("funnel/person", json!({"funnel": "checkout", "person": "u1"})).json()["reached"], 2);
    refused(&ask("funnel", json!({"funnel": "nothing"})), 400, "unknown_funnel", "funnel");
    refused(&ask("funnel", json!({"funnel": 7})), 400, "invalid_funnel", "funnel");

    let change = |body: Value| client.send("PUT", &format!("{FUNNELS}/checkout"), Some(admin), &body.to_string());
    assert_eq!(change(json!({"name": "To the end", "description": "All of it"})).json()["version"], 2);
    refused(&change(json!({"name": "Late", "version": 1})), 409, "funnel_changed", "version");
    refused(&change(json!({})), 400, "invalid_funnel", "name");
    let told = client.get(&format!("{FUNNELS}/checkout"), read).json();
    assert_eq!((&told["description"], &told["funnel"]["steps"]), (&json!("All of it"), &json!(["view", "buy"])));
    // What is told can be sent back.
    assert_eq!(change(told).status, 200);
    assert_eq!(client.get(FUNNELS, read).json()["funnels"][0]["name"], "To the end");
    assert_eq!(client.send("DELETE", &format!("{FUNNELS}/checkout"), Some(admin), "").status, 200);
    refused(&client.get(&format!("{FUNNELS}/checkout"), read), 404, "unknown_funnel", "");
}

#[test]
fn what_cannot_be_asked_is_not_saved() {
    let running = shop();
    let (client, admin) = (running.client(), running.ours.admin_key.as_str());
    let funnel = |funnel: Value| client.post(FUNNELS, admin, &json!({"name": "F", "funnel": funnel}));
    refused(&funnel(json!({"steps": []})), 400, "invalid_step", "funnel.steps");
    refused(&funnel(json!({"steps": ["a", "b"], "window": "400d"})), 400, "invalid_window", "funnel.window");
    refused(&funnel(json!({"funnel": "other"})), 400, "invalid_funnel", "funnel.funnel");
    refused(&funnel(json!({"steps": ["a"], "segment": "nobody"})), 400, "unknown_cohort", "funnel.segment");
    refused(&funnel(json!("checkout")), 400, "invalid_funnel", "funnel");
    refused(&client.post(FUNNELS, admin, &json!({"name": "F"})), 400, "invalid_funnel", "funnel");
    refused(&client.post(FUNNELS, admin, &json!({"name": "F", "steps": ["a"]})), 400, "invalid_funnel", "steps");
    refused(&client.post(FUNNELS, admin, &json!({"id": "a b", "name": "F", "funnel": {"steps": ["a"]}})), 400, "invalid_funnel", "id");
    assert_eq!(client.get(FUNNELS, &running.ours.read_key).json()["funnels"], json!([]));
}

fn tile(more: &Value) -> Value {
    let mut tile = json!({"x": 0, "y": 0, "w": 4, "h": 2});
    tile.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    tile
}

#[test]
fn a_dashboard_holds_questions_that_can_be_asked() {
    let running = shop();
    let (client, read, admin) = (running.client(), running.ours.read_key.as_str(), running.ours.admin_key.as_str());
    assert_eq!(client.post(FUNNELS, admin, &checkout()).status, 201);
    let tiles = json!([
        tile(&json!({"title": "Visitors", "call": "query", "request": {"metric": "unique_users", "interval": "day"}, "view": "lines"})),
        tile(&json!({"x": 4, "call": "funnel", "request": {"funnel": "checkout"}})),
        tile(&json!({"x": 8, "call": "sql", "request": {"sql": "SELECT count(*) FROM events"}})),
        tile(&json!({"y": 2, "w": 12, "text": "<script>alert(1)</script>"})),
    ]);
    let board = json!({"id": "shop", "name": "Shop", "range": "30d", "filters": [{"property": "country", "op": "eq", "value": "US"}], "tiles": tiles});
    let made = client.post(DASHBOARDS, admin, &board);
    assert_eq!((made.status, &made.json()["tiles"], &made.json()["range"]), (201, &board["tiles"], &json!("30d")), "{}", made.text);
    assert_eq!(client.get(&format!("{DASHBOARDS}/shop"), read).json()["name"], "Shop");
    let in_use = client.send("DELETE", &format!("{FUNNELS}/checkout"), Some(admin), "");
    refused(&in_use, 409, "funnel_in_use", "");
    assert!(in_use.text.contains("dashboards are made of it (shop)"), "{}", in_use.text);

    let save = |board: Value| client.post(DASHBOARDS, admin, &board);
    let with = |tile: Value| save(json!({"name": "B", "tiles": [tile]}));
    refused(&with(tile(&json!({"call": "query", "request": {"metric": "nothing"}}))), 400, "invalid_metric", "tiles[0].request.metric");
    refused(&with(tile(&json!({"call": "funnel", "request": {"steps": []}}))), 400, "invalid_step", "tiles[0].request.steps");
    refused(&with(tile(&json!({"call": "funnel", "request": {"funnel": "none"}}))), 400, "invalid_dashboard", "tiles[0].request.funnel");
    refused(&with(tile(&json!({"call": "drop", "request": {}}))), 400, "unknown_call", "tiles[0].call");
    refused(&with(tile(&json!({"call": "query"}))), 400, "invalid_dashboard", "tiles[0]");
    refused(&with(tile(&json!({"text": "a", "call": "query", "request": {"metric": "events"}}))), 400, "invalid_dashboard", "tiles[0]");
    refused(&with(tile(&json!({"x": 9, "text": "a"}))), 400, "invalid_dashboard", "tiles[0].w");
    refused(&with(tile(&json!({"h": 0, "text": "a"}))), 400, "invalid_dashboard", "tiles[0].h");
    refused(&with(tile(&json!({"colour": 1, "text": "a"}))), 400, "invalid_dashboard", "tiles[0].colour");
    refused(&with(tile(&json!({"title": 1, "text": "a"}))), 400, "invalid_dashboard", "tiles[0].title");
    for link in ["explore", "//elsewhere.example", "/\\elsewhere", "/a\nb"] {
        refused(&with(tile(&json!({"text": "a", "link": link}))), 400, "invalid_dashboard", "tiles[0].link");
    }
    let marked = |annotation: Value| save(json!({"name": "B", "tiles": [], "annotations": [annotation]}));
    assert_eq!(marked(json!({"time": "2026-03-01T12:00:00Z", "text": "Prices"})).status, 201);
    refused(&marked(json!({"time": "1 March", "text": "Prices"})), 400, "invalid_dashboard", "annotations[0].time");
    refused(&marked(json!({"time": "2026-03-01T12:00:00Z", "text": ""})), 400, "invalid_dashboard", "annotations[0].text");
    refused(&marked(json!({"time": "2026-03-01T12:00:00Z", "text": "a", "by": "b"})), 400, "invalid_dashboard", "annotations[0].text");
    refused(&with(json!(7)), 400, "invalid_dashboard", "tiles[0]");
    refused(&save(json!({"name": "B", "tiles": [], "range": "soon"})), 400, "invalid_range", "range");
    refused(&save(json!({"name": "B", "tiles": vec![tile(&json!({"text": "a"})); 51]})), 400, "invalid_dashboard", "tiles");
    refused(&save(json!({"name": "B"})), 400, "invalid_dashboard", "tiles");
    let large = tile(&json!({"text": "a".repeat(9_000)}));
    refused(&save(json!({"name": "B", "tiles": vec![large; 20]})), 400, "invalid_dashboard", "tiles");
    assert_eq!(client.send("DELETE", &format!("{DASHBOARDS}/shop"), Some(admin), "").status, 200);
    assert_eq!(client.send("DELETE", &format!("{FUNNELS}/checkout"), Some(admin), "").status, 200);
}

#[test]
fn nobody_sees_or_changes_what_another_app_has_saved() {
    let running = shop();
    let client = running.client();
    assert_eq!(client.post(FUNNELS, &running.ours.admin_key, &checkout()).status, 201);
    for (key, status) in [(&running.theirs.read_key, 403), (&running.theirs.admin_key, 403)] {
        assert_eq!(client.get(&format!("{FUNNELS}/checkout"), key).status, status);
    }
    let asked = client.post("/api/v1/analytics/theirs/funnel", &running.theirs.read_key, &json!({"funnel": "checkout"}));
    refused(&asked, 400, "unknown_funnel", "funnel");
    assert_eq!(client.send("DELETE", &format!("{FUNNELS}/checkout"), Some(&running.theirs.admin_key), "").status, 403);
}
