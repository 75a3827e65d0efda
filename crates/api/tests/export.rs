//! Files of raw events: whole or visibly not, in bounded memory, a bounded number at a time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use event::{AppId, EventBatchBuilder, EventFields, PropertyValue};
use event_store::{AppendedBatch, Commit, EventSink};
use serde_json::{Value, json};
use support::{Running, TestApp, now_ms};

const PATH: &str = "/api/v1/analytics/ours/export";
const DAY_MS: i64 = 86_400_000;

/// `count` events of one day, so many days ago, each with its text.
fn store(running: &Running, app: &TestApp, days_ago: i64, count: usize, text: &dyn Fn(usize) -> String, end: u64) {
    let mut builder = EventBatchBuilder::default();
    builder.start(now_ms());
    let day_ms = (now_ms() / DAY_MS - days_ago) * DAY_MS;
    for n in 0..count {
        builder.property("text", PropertyValue::Str(&text(n)));
        builder.property("n", PropertyValue::Int(n as i64));
        let (user, time_ms) = (format!("user-{n}"), day_ms + n as i64);
        builder.finish_event(&EventFields {
            name: "view",
            time_ms,
            client_time_ms: time_ms,
            user_id: Some(&user),
            anonymous_id: None,
            insert_id: None,
            session_id: None,
        });
    }
    let batch = AppendedBatch { batch: builder.build(&AppId::new(&app.id).unwrap()), duplicates: Vec::new() };
    running.store.append(Commit { batches: vec![batch], end }).unwrap();
}

/// Head and body of an answer, and whether the body came to its end.
struct File {
    head: String,
    body: Vec<u8>,
    whole: bool,
}

fn begin(running: &Running, request: &Value) -> TcpStream {
    let bearer = format!("Bearer {}", running.ours.read_key);
    running.client().open("POST", PATH, &[("authorization", &bearer)], &request.to_string())
}

fn export(running: &Running, request: &Value) -> File {
    let mut raw = Vec::new();
    // A cut connection may end the reading with an error; what came before it is looked at all the same.
    let _ = begin(running, request).read_to_end(&mut raw);
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(raw[..end].to_vec()).unwrap().to_lowercase();
    let mut rest = &raw[end + 4..];
    let (mut body, mut whole) = (Vec::new(), !head.contains("transfer-encoding: chunked"));
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap_or(usize::MAX);
        rest = &rest[line + 2..];
        if length == 0 {
            whole = true;
            break;
        }
        let Some(chunk) = rest.get(..length) else { break };
        body.extend_from_slice(chunk);
        rest = rest.get(length + 2..).unwrap_or_default();
    }
    File { head, body, whole }
}

fn lines(file: &File) -> Vec<Value> {
    std::str::from_utf8(&file.body).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_file_has_a_name_and_what_was_asked_for() {
    let running = Running::start();
    store(&running, &running.ours, 1, 3, &|_| "x".into(), 1);
    store(&running, &running.ours, 40, 2, &|_| "old".into(), 2);
    store(&running, &running.theirs, 1, 5, &|_| "SECRET".into(), 3);
    let file = export(&running, &json!({}));
    assert!(file.whole && file.head.contains(" 200 ok"), "{}", file.head);
    assert!(file.head.contains("content-disposition: attachment; filename=\"ours.jsonl\""), "{}", file.head);
    assert!(file.head.contains("content-type: application/x-ndjson") && !file.head.contains("x-throng-missing"), "{}", file.head);
    let told: Vec<(Value, Value)> =
        lines(&file).into_iter().map(|event| (event["user_id"].clone(), event["properties"]["text"].clone())).collect();
    assert_eq!(told.len(), 5);
    assert!(told.iter().all(|(_, text)| text != "SECRET"));
    let narrow = json!({"range": "7d", "event": "view", "filters": [{"property": "n", "op": "gte", "value": 1}]});
    let file = export(&running, &narrow);
    let users: BTreeSet<String> = lines(&file).iter().map(|event| event["user_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(users, BTreeSet::from(["user-1".to_owned(), "user-2".to_owned()]));
    let file = export(&running, &json!({"format": "csv", "from": "2026-03-01", "to": "2026-04-01"}));
    assert!(file.whole && file.head.contains("filename=\"ours-2026-03-01-to-2026-03-31.csv\""), "{}", file.head);
    assert!(file.body.starts_with(b"name,timestamp,") && file.body.ends_with(b"n,text,properties\r\n"), "no row, but a header");
    let file = export(&running, &json!({"format": "parquet"}));
    assert!(file.whole && file.body.starts_with(b"PAR1") && file.body.ends_with(b"PAR1"));
    let refused = export(&running, &json!({"format": "xlsx"}));
    assert!(refused.head.contains(" 400 ") && !refused.head.contains("content-disposition"), "{}", refused.head);
}

#[test]
fn a_file_that_would_end_without_a_sign_is_refused() {
    let running = Running::start();
    let mut stream = TcpStream::connect(running.address).unwrap();
    write!(stream, "POST {PATH} HTTP/1.0\r\nauthorization: Bearer {}\r\ncontent-length: 2\r\n\r\n{{}}", running.ours.read_key).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 505 ") && answer.contains("http_version"), "{answer}");
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(segments(&path));
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn damage_under_way_cuts_the_file_and_is_told_before_the_next_one() {
    let running = Running::start();
    // Hardly compressible, so that the footer lies in another block than the damage and is found whole.
    let noise = |n: usize| (1..5).map(|k| format!("{:016x}", ((n * 5 + k) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    store(&running, &running.ours, 3, 2_000, &noise, 1);
    store(&running, &running.ours, 2, 6_000, &noise, 2);
    running.store.flush().unwrap();
    let files = segments(&running.folder().join("store"));
    assert_eq!(files.len(), 2, "a segment a day");
    let mut bytes = std::fs::read(&files[1]).unwrap();
    assert!(bytes.len() > 3 * 65_536, "{} bytes", bytes.len());
    bytes[8..200].fill(0xaa);
    std::fs::write(&files[1], bytes).unwrap();

    let cut = export(&running, &json!({}));
    assert!(cut.head.contains(" 200 ok") && !cut.whole, "the data of the second day is damaged: {} bytes", cut.body.len());
    let refused = export(&running, &json!({}));
    assert!(refused.head.contains(" 422 ") && refused.whole, "{}", refused.head);
    let rest = export(&running, &json!({"incomplete": true}));
    assert!(rest.whole && rest.head.contains("x-throng-missing: 1"), "{}", rest.head);
    assert_eq!(lines(&rest).len(), 2_000);
}

/// A number among the metrics.
fn metric(running: &Running, name: &str) -> u64 {
    let text = running.client().send("GET", "/metrics", None, "").text;
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64
}

fn status_line(stream: &mut TcpStream) -> String {
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    String::from_utf8(line.to_vec()).unwrap()
}

#[test]
fn a_slow_client_slows_its_export_and_one_that_leaves_makes_room() {
    const EVENTS: usize = 150_000;
    let text = "t".repeat(500);
    let file_bytes = (EVENTS * text.len()) as u64;
    let running = Running::start();
    store(&running, &running.ours, 1, EVENTS, &|_| text.clone(), 1);
    let mut slow: Vec<TcpStream> = (0..2).map(|_| begin(&running, &json!({}))).collect();
    for stream in &mut slow {
        assert_eq!(status_line(stream), "HTTP/1.1 200");
    }
    let mut before = 0;
    let sent = loop {
        std::thread::sleep(Duration::from_millis(300));
        let sent = metric(&running, "throng_api_exported_bytes_total");
        if sent == before {
            break sent;
        }
        before = sent;
    };
    assert!(sent > 0 && sent < file_bytes, "{sent} bytes were written for two clients that do not read");
    assert_eq!(metric(&running, "throng_api_exports"), 2);
    let mut third = begin(&running, &json!({}));
    assert_eq!(status_line(&mut third), "HTTP/1.1 503");

    drop(slow.pop());
    let started = Instant::now();
    let mut next = loop {
        let mut next = begin(&running, &json!({}));
        if status_line(&mut next) == "HTTP/1.1 200" {
            break next;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "the place of a client that left is not given away");
        std::thread::sleep(Duration::from_millis(20));
    };
    // The slow one has lost nothing.
    let mut rest = Vec::new();
    slow[0].read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n") && rest.len() as u64 > file_bytes);
    running.shutdown.cancel();
    let mut cut = Vec::new();
    let _ = next.read_to_end(&mut cut);
    assert!(!cut.ends_with(b"0\r\n\r\n"), "a server that stops does not end the file as if it were whole");
}
