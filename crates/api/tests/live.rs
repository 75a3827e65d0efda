//! Live numbers, asked and pushed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::ApiOptions;
use event::{AppId, PersonHash};
use realtime_store::{Cell, CellKey, Resolution, WindowEvent};
use serde_json::Value;
use support::{Running, TestApp, now_ms};

const STREAM: &str = "/api/v1/analytics/ours/realtime/stream";

/// Counts `persons` page views in the open window of an app, as the stream does.
fn view_pages(running: &Running, app: &TestApp, persons: u64) {
    let mut cell = Cell::default();
    for person in 0..persons {
        let person = Some(PersonHash(person.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        cell.add(&WindowEvent { event: "page_view", person, session: person, page: Some("/") });
    }
    let start_ms = Resolution::FiveSeconds.start_of(now_ms());
    let key = CellKey { app: AppId::new(&app.id).unwrap(), resolution: Resolution::FiveSeconds, start_ms };
    running.put_cells(vec![(key, Arc::new(cell))]);
}

struct Follower {
    lines: BufReader<TcpStream>,
}

impl Follower {
    fn new(running: &Running, path: &str) -> Self {
        let bearer = format!("Bearer {}", running.ours.read_key);
        let stream = running.client().open("GET", path, &[("authorization", &bearer)], "");
        let mut follower = Self { lines: BufReader::new(stream) };
        let mut head = String::new();
        while follower.lines.read_line(&mut head).unwrap() > 2 {}
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
        follower
    }

    /// The next state, or `None` at the end of the stream.
    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }

    fn wait_for_users(&mut self, users: u64) -> Duration {
        let started = Instant::now();
        while self.next().unwrap()["active_users"] != users {
            assert!(started.elapsed() < Duration::from_secs(10), "{users} users never came");
        }
        started.elapsed()
    }
}

#[test]
fn what_is_asked_is_what_is_there() {
    let running = Running::start();
    view_pages(&running, &running.ours, 3);
    view_pages(&running, &running.theirs, 50);
    let answer = running.client().get("/api/v1/analytics/ours/realtime?minutes=5", &running.ours.read_key);
    let now = answer.json();
    assert_eq!((answer.status, &now["active_users"], &now["active_sessions"]), (200, &3.into(), &3.into()), "{now}");
    assert_eq!(now["series"]["events"].as_array().map(Vec::len), Some(60));
    assert_eq!(now["top_events"][0], serde_json::json!({"event": "page_view", "events": 3}));
    assert_eq!((&now["exact"], &now["conversion"]["rate"]), (&false.into(), &0.0.into()));
    assert!(now["relative_standard_error"].as_f64().is_some_and(|error| error > 0.0 && error < 0.05));
    assert!((event::parse_timestamp(now["as_of"].as_str().unwrap()).unwrap() - now_ms()).abs() < 5_000);
}

#[test]
fn a_change_is_pushed_in_under_a_second_and_only_to_its_app() {
    let running = Running::start();
    let mut follower = Follower::new(&running, STREAM);
    assert_eq!(follower.next().unwrap()["active_users"], 0);
    for persons in 1..=5 {
        view_pages(&running, &running.theirs, 90 + persons);
        view_pages(&running, &running.ours, persons);
        let took = follower.wait_for_users(persons);
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn unchanged_numbers_are_not_sent_again_before_the_window_moves_on() {
    let running = Running::start();
    view_pages(&running, &running.ours, 2);
    let mut follower = Follower::new(&running, STREAM);
    let mut states: Vec<Value> = (0..2).map(|_| follower.next().unwrap()).collect();
    states.iter_mut().for_each(|state| {
        state.as_object_mut().unwrap().remove("as_of");
    });
    assert_ne!(states[0], states[1], "a state was sent twice");
}

#[test]
fn all_followers_of_one_question_get_it() {
    let running = Running::start();
    let mut followers: Vec<Follower> = (0..20).map(|_| Follower::new(&running, STREAM)).collect();
    let mut other = Follower::new(&running, &format!("{STREAM}?minutes=1&from=a&to=b"));
    view_pages(&running, &running.ours, 7);
    followers.iter_mut().for_each(|follower| {
        follower.wait_for_users(7);
    });
    other.wait_for_users(7);
    drop(followers);
    view_pages(&running, &running.ours, 9);
    other.wait_for_users(9);
    Follower::new(&running, STREAM).wait_for_users(9);
}

#[test]
fn streams_are_bounded_and_places_come_back() {
    let running = Running::start_with(&ApiOptions { max_live_streams: 2, ..ApiOptions::default() });
    let first = Follower::new(&running, STREAM);
    let _second = Follower::new(&running, STREAM);
    let refused = running.client().get(STREAM, &running.ours.read_key);
    assert_eq!((refused.status, refused.code().as_str()), (503, "too_many_streams"));
    drop(first);
    // The place is free once the server has noticed, with its next push, that nobody listens.
    let started = Instant::now();
    loop {
        view_pages(&running, &running.ours, started.elapsed().as_millis() as u64 % 50);
        let bearer = format!("Bearer {}", running.ours.read_key);
        let mut line = String::new();
        BufReader::new(running.client().open("GET", STREAM, &[("authorization", &bearer)], "")).read_line(&mut line).unwrap();
        if line.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "the place did not come back");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn streams_end_with_the_server() {
    let running = Running::start();
    let mut follower = Follower::new(&running, STREAM);
    follower.next().unwrap();
    let started = Instant::now();
    running.stop();
    while follower.next().is_some() {}
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}
