//! Dashboards that are watched: one computation whoever watches, what changed is pushed, and every bound has an answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use api::ApiOptions;
use metadata_store::{KeyHash, KeyKind, MetadataStore, SqliteMetadataStore};
use serde_json::{Value, json};
use support::{Running, TestApp, now_ms};

const BOARDS: &str = "/api/v1/apps/ours/dashboards";

/// Short ticks, so that tests are.
fn quick() -> ApiOptions {
    ApiOptions { dashboard_interval: Duration::from_millis(400), ..ApiOptions::default() }
}

fn tile(call: &str, request: &Value) -> Value {
    json!({"x": 0, "y": 0, "w": 4, "h": 2, "call": call, "request": request})
}

fn counts() -> Value {
    tile("query", &json!({"metric": "events"}))
}

fn save(running: &Running, board: &Value) {
    let made = running.client().post(BOARDS, &running.ours.admin_key, board);
    assert_eq!(made.status, 201, "{}", made.text);
}

fn views(running: &Running, app: &TestApp, count: usize) {
    let events: Vec<support::TestEvent<'_>> = (0..count).map(|_| ("view", "U1", &[("country", "US")][..])).collect();
    running.store_events(app, &events);
}

/// One who watches.
struct Watcher {
    lines: BufReader<TcpStream>,
}

impl Watcher {
    fn new(running: &Running, path: &str) -> Self {
        let bearer = format!("Bearer {}", running.ours.read_key);
        let stream = running.client().open("GET", &format!("{BOARDS}/{path}"), &[("authorization", &bearer)], "");
        let mut watcher = Self { lines: BufReader::new(stream) };
        let mut head = String::new();
        while watcher.lines.read_line(&mut head).unwrap() > 2 {}
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
        watcher
    }

    /// The next event and its data, or `None` at the end of the stream.
    fn next(&mut self) -> Option<(String, Value)> {
        let (mut line, mut name) = (String::new(), String::new());
        loop {
            line.clear();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(event) = line.strip_prefix("event: ") {
                event.trim().clone_into(&mut name);
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(data).unwrap()));
            }
        }
    }

    /// The data of the next event of this name.
    fn next_of(&mut self, wanted: &str) -> Value {
        loop {
            let (name, data) = self.next().unwrap_or_else(|| panic!("the stream ended before {wanted}"));
            if name == wanted {
                return data;
            }
        }
    }

    /// What comes in this time, but ticks.
    fn quiet_for(&mut self, time: Duration) -> Vec<(String, Value)> {
        let started = Instant::now();
        let mut seen = Vec::new();
        while started.elapsed() < time {
            seen.extend(self.next().filter(|(name, _)| name != "tick"));
        }
        seen
    }
}

fn metric(running: &Running, name: &str) -> f64 {
    let text = running.client().send("GET", "/metrics", None, "").text;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap_or_else(|| panic!("{name} in {text}"));
    line.parse().unwrap()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_hundred_who_watch_cost_one_computation() {
    let running = Running::start_with(&quick());
    views(&running, &running.ours, 3);
    save(
        &running,
        &json!({"id": "b", "name": "B", "range": "7d", "tiles": [counts(), counts(), tile("sql", &json!({"sql": "SELECT count(*) AS n FROM events"}))]}),
    );
    let mut watchers: Vec<Watcher> = (0..100).map(|_| Watcher::new(&running, "b/stream")).collect();
    for watcher in &mut watchers {
        let board = watcher.next_of("dashboard");
        assert_eq!((&board["dashboard"]["name"], &board["scope"]["range"]), (&json!("B"), &json!("7d")));
        let (first, second) = (watcher.next_of("tile"), watcher.next_of("tile"));
        let counted = if first["tiles"] == json!([0, 1]) { &first } else { &second };
        assert_eq!((&counted["tiles"], &counted["answer"]["results"][0]["events"]), (&json!([0, 1]), &json!(3)), "{first} {second}");
    }
    assert_eq!((metric(&running, "throng_api_dashboard_questions"), metric(&running, "throng_api_dashboard_streams")), (2.0, 100.0));
    let (before, started) = (metric(&running, "throng_api_dashboard_computations_total"), Instant::now());
    assert_eq!(watchers[0].quiet_for(Duration::from_secs(2)), [], "unchanged results are not sent again");
    let computed = metric(&running, "throng_api_dashboard_computations_total") - before;
    let ticks = started.elapsed().as_secs_f64() / 0.4 + 1.0;
    assert!(computed >= 4.0 && computed <= 2.0 * ticks, "{computed} computations in {ticks} ticks");

    drop(watchers);
    wait_until("nobody watches", || metric(&running, "throng_api_dashboard_questions") == 0.0);
    assert_eq!((metric(&running, "throng_api_dashboard_answer_bytes"), metric(&running, "throng_api_dashboard_streams")), (0.0, 0.0));
    let at_rest = metric(&running, "throng_api_dashboard_computations_total");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(metric(&running, "throng_api_dashboard_computations_total"), at_rest, "work stops when nobody watches");
}

#[test]
fn new_events_are_pushed_within_five_seconds_at_the_default_interval() {
    let running = Running::start();
    save(&running, &json!({"id": "b", "name": "B", "tiles": [counts()]}));
    let mut watcher = Watcher::new(&running, "b/stream");
    for count in 1..=3 {
        views(&running, &running.ours, 1);
        views(&running, &running.theirs, 5);
        let started = Instant::now();
        while watcher.next_of("tile")["answer"]["results"][0]["events"] != count {}
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
}

#[test]
fn who_looks_chooses_range_and_filters_without_saving() {
    let running = Running::start_with(&quick());
    running.store_events(&running.ours, &[("view", "U1", &[("country", "US")]), ("view", "U2", &[("country", "DE")])]);
    let us = json!([{"property": "country", "op": "eq", "value": "US"}]);
    save(&running, &json!({"id": "b", "name": "B", "range": "7d", "filters": us, "tiles": [counts()]}));
    let first = |query: &str| {
        let mut watcher = Watcher::new(&running, &format!("b/stream{query}"));
        (watcher.next_of("dashboard"), watcher.next_of("tile"))
    };
    let (board, tile) = first("");
    assert_eq!((&board["scope"], &tile["answer"]["results"][0]["events"]), (&json!({"range": "7d", "filters": us}), &json!(1)));
    let (board, tile) = first("?range=30d&filters=%5B%5D");
    assert_eq!((&board["scope"], &tile["answer"]["results"][0]["events"]), (&json!({"range": "30d", "filters": []}), &json!(2)));
    let (board, tile) = first("?from=2020-01-01&to=2020-02-01");
    assert_eq!((&board["scope"]["from"], &tile["answer"]["results"][0]["events"]), (&json!("2020-01-01"), &json!(0)));
    let refused = |query: &str, code: &str, field: &str| {
        let answer = running.client().get(&format!("{BOARDS}/b/stream{query}"), &running.ours.read_key);
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, error["code"].as_str(), error["field"].as_str()),
            (400, Some(code), Some(field)),
            "{query} {}",
            answer.text
        );
    };
    refused("?range=soon", "invalid_range", "range");
    refused("?to=2020-01-01", "invalid_range", "to");
    refused("?filters=x", "invalid_filter", "filters");
    refused("?filters=%5B%7B%22property%22%3A%22a%22%7D%5D", "invalid_filter", "filters[0].op");
}

#[test]
fn one_tile_that_fails_fails_alone() {
    let running = Running::start_with(&quick());
    views(&running, &running.ours, 1);
    let wrong = tile("sql", &json!({"sql": "SELECT nothing FROM events"}));
    let wide = tile("query", &json!({"metric": "events", "interval": "minute"}));
    save(&running, &json!({"id": "b", "name": "B", "range": "1d", "tiles": [wrong, counts(), wide]}));
    let mut watcher = Watcher::new(&running, "b/stream?range=1000d");
    let mut tiles: Vec<Value> = (0..3).map(|_| watcher.next_of("tile")).collect();
    tiles.sort_by_key(|tile| tile["tiles"][0].as_u64());
    assert_eq!((&tiles[0]["status"], &tiles[0]["error"]["field"]), (&json!(400), &json!("sql")), "{}", tiles[0]);
    assert_eq!(tiles[1]["answer"]["results"][0]["events"], 1);
    assert!(tiles[2]["status"].as_u64().is_some_and(|status| status == 400 || status == 422), "{}", tiles[2]);
    assert_eq!(tiles[2]["error"]["field"], "interval");
    assert!(tiles[0]["error"]["request_id"].as_str().is_some_and(|id| !id.is_empty()));
    assert_eq!(watcher.quiet_for(Duration::from_secs(1)), [], "an error that stays is not told again");
}

#[test]
fn a_changed_dashboard_is_told_and_a_deleted_one_ends() {
    let running = Running::start_with(&quick());
    views(&running, &running.ours, 1);
    save(&running, &json!({"id": "b", "name": "B", "tiles": [counts()]}));
    let mut watcher = Watcher::new(&running, "b/stream");
    assert_eq!(watcher.next_of("dashboard")["dashboard"]["version"], 1);
    watcher.next_of("tile");
    let change = json!({"name": "C", "tiles": [{"x": 0, "y": 0, "w": 1, "h": 1, "text": "a"}, counts()]});
    let answer = running.client().send("PUT", &format!("{BOARDS}/b"), Some(&running.ours.admin_key), &change.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text);
    let told = watcher.next_of("dashboard");
    assert_eq!((&told["dashboard"]["name"], &told["dashboard"]["version"]), (&json!("C"), &json!(2)));
    assert_eq!(watcher.next_of("tile")["tiles"], json!([1]), "what is known is told at its new place");
    assert_eq!(running.client().send("DELETE", &format!("{BOARDS}/b"), Some(&running.ours.admin_key), "").status, 200);
    assert_eq!(watcher.next_of("end")["reason"], "dashboard_deleted");
    assert_eq!(watcher.next(), None);
}

#[test]
fn who_may_not_read_it_watches_nothing() {
    let running = Running::start_with(&quick());
    save(&running, &json!({"id": "b", "name": "B", "tiles": [counts()]}));
    let client = running.client();
    let status = |path: &str, key: &str| client.get(path, key).status;
    assert_eq!(status(&format!("{BOARDS}/b/stream"), &running.theirs.read_key), 403);
    assert_eq!(status("/api/v1/apps/theirs/dashboards/b/stream", &running.theirs.read_key), 404);
    assert_eq!(status(&format!("{BOARDS}/none/stream"), &running.ours.read_key), 404);
    assert_eq!(client.send("GET", &format!("{BOARDS}/b/stream"), None, "").status, 401);
}

#[test]
fn a_revoked_key_ends_its_streams_with_the_reason() {
    let running = Running::start_with(&quick());
    save(&running, &json!({"id": "b", "name": "B", "tiles": [counts()]}));
    let mut watcher = Watcher::new(&running, "b/stream");
    watcher.next_of("tile");
    let metadata = SqliteMetadataStore::open(&running.folder().join("metadata.sqlite"), now_ms()).unwrap();
    let app = event::AppId::new("ours").unwrap();
    let own = KeyHash::of(&running.ours.read_key).unwrap();
    let owner = metadata.find_key(&own, now_ms()).unwrap().unwrap();
    let key = metadata.keys(&app).unwrap().into_iter().find(|key| key.kind == KeyKind::Read).unwrap();
    assert_eq!(owner.kind, KeyKind::Read);
    metadata.revoke_key(&key.id, now_ms()).unwrap();
    assert_eq!(watcher.next_of("end")["reason"], "access_ended");
    assert_eq!(watcher.next(), None);
}

#[test]
fn who_takes_nothing_is_let_go() {
    let running = Running::start_with(&ApiOptions { dashboard_stall_limit: Duration::from_secs(1), ..quick() });
    // About a megabyte each that differs with every tick.
    views(&running, &running.ours, 20_000);
    let tiles: Vec<Value> =
        (0..3).map(|at| tile("sql", &json!({"sql": format!("SELECT now() AS t, event, user_id, {at} AS at FROM events")}))).collect();
    save(&running, &json!({"id": "b", "name": "B", "tiles": tiles}));
    let mut good = Watcher::new(&running, "b/stream");
    let mut stalled = Watcher::new(&running, "b/stream");
    let started = Instant::now();
    while metric(&running, "throng_api_dashboard_stalled_total") == 0.0 {
        assert!(good.next_of("tile")["answer"]["rows"].is_array());
        assert!(started.elapsed() < Duration::from_secs(60), "nobody was let go");
    }
    assert_eq!(metric(&running, "throng_api_dashboard_streams"), 1.0);
    good.next_of("tile");
    // What was on its way to it is all it gets.
    let mut rest = Vec::new();
    let _ = stalled.lines.read_to_end(&mut rest);
    assert!(rest.len() < 64 << 20, "{}", rest.len());
}

#[test]
fn fifty_tiles_are_answered() {
    let running = Running::start_with(&quick());
    views(&running, &running.ours, 5);
    let tiles: Vec<Value> = (0..50).map(|at| tile("query", &json!({"metric": "events", "limit": at + 1}))).collect();
    save(&running, &json!({"id": "b", "name": "B", "range": "30d", "tiles": tiles}));
    let mut watcher = Watcher::new(&running, "b/stream");
    let mut told: Vec<u64> = (0..50).map(|_| watcher.next_of("tile")["tiles"][0].as_u64().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, (0..50).collect::<Vec<u64>>());
}

#[test]
fn bounds_are_told_and_places_come_back() {
    let running =
        Running::start_with(&ApiOptions { max_live_streams: 2, max_dashboard_questions: 4, dashboard_answer_bytes: 2_000, ..quick() });
    views(&running, &running.ours, 500);
    let tiles = [counts(), tile("query", &json!({"metric": "unique_users"}))];
    save(&running, &json!({"id": "b", "name": "B", "tiles": tiles}));
    let mut first = Watcher::new(&running, "b/stream");
    // A quarter of four questions is one.
    let seen = [first.next_of("tile"), first.next_of("tile")];
    let refused = seen.iter().find(|tile| tile["status"] == 503).unwrap();
    assert_eq!(refused["error"]["code"], "too_many_dashboard_questions", "{refused}");
    let second = Watcher::new(&running, "b/stream");
    let third = running.client().get(&format!("{BOARDS}/b/stream"), &running.ours.read_key);
    assert_eq!((third.status, third.code().as_str()), (503, "too_many_streams"));
    drop((first, second));
    wait_until("the places are free", || metric(&running, "throng_api_dashboard_streams") == 0.0);

    let large = tile("sql", &json!({"sql": "SELECT event, user_id FROM events"}));
    save(&running, &json!({"id": "large", "name": "L", "tiles": [large]}));
    assert_eq!(Watcher::new(&running, "large/stream").next_of("tile")["error"]["code"], "dashboard_memory_limit");
}

#[test]
fn streams_end_with_the_server_and_say_so() {
    let running = Running::start_with(&quick());
    save(&running, &json!({"id": "b", "name": "B", "tiles": [counts()]}));
    let mut watcher = Watcher::new(&running, "b/stream");
    watcher.next_of("tile");
    let started = Instant::now();
    running.stop();
    assert_eq!(watcher.next_of("end")["reason"], "server_stopping");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn a_dashboard_is_checked_with_its_range_and_filters() {
    let running = Running::start();
    let client = running.client();
    let save = |board: Value| client.post(BOARDS, &running.ours.admin_key, &board);
    let conditions = |count: usize| vec![json!({"property": "country", "op": "is_set"}); count];
    let filtered = tile("query", &json!({"metric": "events", "filters": conditions(60)}));
    let board = |filters: usize| json!({"name": "B", "range": "7d", "filters": conditions(filters), "tiles": [counts(), filtered]});
    assert_eq!(save(board(10)).status, 201);
    let refused = save(board(60));
    let error = &refused.json()["error"];
    assert_eq!((refused.status, &error["field"]), (400, &json!("tiles[1].request")), "{}", refused.text);
    assert!(error["message"].as_str().unwrap().contains("with the range and filters of the dashboard, filters"), "{error}");
    let compared = tile("query", &json!({"metric": "events", "compare": "previous_period"}));
    let all = save(json!({"name": "B", "range": "all", "tiles": [compared]}));
    assert_eq!((all.status, &all.json()["error"]["code"]), (400, &json!("invalid_compare")), "{}", all.text);
}
