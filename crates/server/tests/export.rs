//! What is exported is imported again as the same events; a file that is not whole never gets its name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Server, TestApp, stderr, throng};

fn export(server: &Server, app: &TestApp, output: &str, arguments: &[&str]) -> Output {
    let url = format!("http://{}", server.address);
    throng(&[&["export", "--url", &url, "--app", &app.id, "--read-key", &app.read_key, "--output", output], arguments].concat())
}

fn check(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}

fn path(server: &Server, name: &str) -> String {
    server.folder.path().join(name).to_str().unwrap().to_owned()
}

/// Everything an event may have: every type, hostile text, every way to be a person or none, ids that look like something else.
fn events() -> Vec<Value> {
    let time = |n: i64| 1_780_000_000_000 + n * 3_600_000;
    let mut events = vec![
        json!({"name": "sp\"äce\n=1+1", "user_id": "=HYPERLINK(\"x\")", "timestamp": time(1), "insert_id": "i-1", "session_id": "s 1",
            "properties": {"int": 9_007_199_254_740_993_i64, "big": 18_446_744_073_709_551_615_u64, "float": 0.1, "tiny": 1e-300, "neg": -0.5,
                "text": "10", "empty": "", "list": [1, "a", null, {"x": [true]}], "deep": {"a": {"b": {"c": {"d": 1}}}}, "nul": "a\u{0}\u{8}b",
                "flag": true, "null": null, "a.b": "dot", "name": "not the name", "timestamp": "not the time", "properties": "not these"}}),
        json!({"name": "system", "user_id": null, "timestamp": time(2), "properties": {"n": 1}}),
        json!({"name": "device only", "anonymous_id": "d-1", "timestamp": time(3), "insert_id": "'quoted", "properties": {"text": 10, "flag": "true"}}),
        json!({"name": "$identify", "user_id": "u", "anonymous_id": "d-1", "timestamp": time(4), "insert_id": "i-2", "properties": {"$set": {"plan": "pro"}}}),
        json!({"name": "with place", "user_id": "u", "timestamp": time(5), "insert_id": "i-3", "properties": {"country": "DE", "browser": "Lynx"}}),
    ];
    const NAMES: [&str; 3] = ["view", "buy", "leave"];
    events.extend((0..3_000).map(|n: i64| {
        let name = NAMES[n as usize % 3];
        json!({"name": name, "user_id": format!("u{}", n % 97), "timestamp": time(n % 900) + n,
            "insert_id": format!("row-{n}"), "properties": {"n": n, "price": n as f64 / 7.0, "page": format!("/p/{}", n % 13)}})
    }));
    events
}

fn send(server: &Server, app: &TestApp, target: &str, events: &[Value]) {
    for batch in events.chunks(1_000) {
        let (status, answer) = server.send("POST", target, &app.write_key, Some(&json!({ "events": batch }))).unwrap();
        assert_eq!((status, &answer["rejected"]), (200, &json!([])), "{answer}");
    }
}

/// What both apps must agree on.
fn answers(server: &Server, app: &TestApp) -> Vec<Value> {
    let range = |mut question: Value| {
        (question["from"], question["to"]) = (json!("2026-01-01"), json!("2027-01-01"));
        question
    };
    let mut answers = Vec::new();
    for question in [
        json!({"metrics": ["events", "unique_users", "sessions", "sum:price", "p95:price", "count_distinct:n", "count_distinct:text"], "group_by": "event"}),
        json!({"metrics": ["events"], "group_by": ["text", "flag", "int", "float"], "limit": 100}),
        json!({"metrics": ["events"], "group_by": ["country", "browser", "device_type", "$lib"], "limit": 100}),
        json!({"metrics": ["unique_users"], "interval": "day", "filters": [{"property": "user.plan", "op": "eq", "value": "pro"}]}),
    ] {
        answers.push(server.ask(app, "query", &range(question))["results"].clone());
    }
    let funnel = json!({"steps": ["view", "buy", "leave"], "window": "7d"});
    answers.push(server.ask(app, "funnel", &range(funnel))["funnel"].clone());
    let page = server.ask(app, "events", &json!({"limit": 10_000}));
    let events = page["events"].as_array().unwrap().iter().map(|event| {
        let mut event = event.clone();
        let row = event.as_object_mut().unwrap();
        row.shift_remove("received_at");
        row.shift_remove("client_timestamp");
        // The import gives an id to those that had none.
        if row["insert_id"].as_str().is_some_and(|id| id.starts_with("import-")) {
            row["insert_id"] = Value::Null;
        }
        event
    });
    let mut events: Vec<String> = events.map(|event| event.to_string()).collect();
    events.sort();
    answers.push(json!(events));
    answers
}

#[test]
fn an_app_survives_its_export() {
    let server = Server::start(&[]);
    let create = || server.create_app(&["--raw-retention", "forever"]);
    let (original, batched, columns) = (create(), create(), create());
    let sent = events();
    // With a user agent, from which the server derives more.
    send(&server, &original, "/api/v1/events/batch", &sent);
    server.wait_for_count(&original, sent.len() as u64);
    let expected = answers(&server, &original);
    assert!(expected[2].to_string().contains("Lynx"), "{}", expected[2]);
    let url = format!("http://{}", server.address);
    let import = |app: &TestApp, file: &str| {
        let output = throng(&["import", "--url", &url, "--write-key", &app.write_key, file]);
        check(&output);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report, json!({"accepted": sent.len(), "rejected": 0}), "{}", stderr(&output));
        server.wait_for_count(app, sent.len() as u64);
    };

    let lines = path(&server, "all.jsonl");
    check(&export(&server, &original, &lines, &[]));
    let imported = create();
    import(&imported, &lines);
    assert_eq!(answers(&server, &imported), expected, "JSON lines, by throng import");

    let told: Vec<Value> = std::fs::read_to_string(&lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    send(&server, &batched, "/api/v1/events/batch?enrich=false", &told);
    server.wait_for_count(&batched, sent.len() as u64);
    assert_eq!(answers(&server, &batched), expected, "JSON lines, by the batch call");

    let parquet = path(&server, "all.parquet");
    check(&export(&server, &original, &parquet, &[]));
    import(&columns, &parquet);
    assert_eq!(answers(&server, &columns), expected, "Parquet, by throng import");

    let csv = path(&server, "all.csv");
    check(&export(&server, &original, &csv, &[]));
    let from_csv = create();
    import(&from_csv, &csv);
    assert_eq!(answers(&server, &from_csv)[4], expected[4], "CSV keeps events, persons and times, though not types");
    assert!(std::fs::read_to_string(&csv).unwrap().contains("\"'=HYPERLINK(\"\"x\"\")\""));
    assert_eq!(std::fs::read_dir(server.folder.path()).unwrap().filter(|file| is_part(file.as_ref().unwrap().path().as_path())).count(), 0);
}

fn is_part(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "part")
}

#[test]
fn an_export_takes_a_range_names_and_filters_and_goes_to_a_pipe() {
    let server = Server::start(&[]);
    let app = server.create_app(&["--raw-retention", "forever"]);
    let sent = events();
    send(&server, &app, "/api/v1/events/batch", &sent);
    server.wait_for_count(&app, sent.len() as u64);
    let filter = r#"{"property": "n", "op": "lt", "value": 30}"#;
    let output = export(
        &server,
        &app,
        "-",
        &["--from", "2026-01-01", "--to", "2027-01-01", "--event", "buy", "--event", "view", "--filters", filter],
    );
    check(&output);
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), 20);
    assert!(lines.lines().all(|line| !line.contains("\"leave\"")));
    assert_eq!(export(&server, &app, "-", &["--from", "2020-01-01", "--to", "2021-01-01"]).stdout, b"");
    for (arguments, hint) in [
        (["--format", "xlsx"].as_slice(), "xlsx"),
        (&["--range", "7parsecs"], "invalid_range at range"),
        (&["--filters", "{\"property\": \"n\", \"op\": \"like\"}"], "filters[0].op"),
        (&["--filters", "n < 3"], "--filters is not JSON"),
    ] {
        let output = export(&server, &app, "-", arguments);
        assert!(!output.status.success() && stderr(&output).contains(hint), "{arguments:?}: {}", stderr(&output));
    }
    let wrong_key = TestApp { read_key: app.write_key.clone(), ..app.clone() };
    assert!(stderr(&export(&server, &wrong_key, "-", &[])).contains("wrong_key_kind"));
    let nowhere = export(&server, &app, "/nowhere/x.jsonl", &[]);
    assert!(!nowhere.status.success() && stderr(&nowhere).contains("/nowhere/x.jsonl"), "{}", stderr(&nowhere));
}

/// Answers one request with a body that the connection's end cuts: after its chunks, without the last one.
fn cutting_server(chunks: usize, last: bool) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // The whole request: closing with some of it unread would be a reset.
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            let mut some = [0; 4_096];
            let read = stream.read(&mut some).unwrap();
            request.extend_from_slice(&some[..read]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        for _ in 0..chunks {
            stream.write_all(b"3\r\n{}\n\r\n").unwrap();
        }
        if last {
            stream.write_all(b"0\r\n\r\n").unwrap();
        }
    });
    address
}

#[test]
fn a_file_that_breaks_off_never_gets_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.jsonl");
    std::fs::write(&file, "the export of yesterday").unwrap();
    let run = |address: std::net::SocketAddr| {
        let url = format!("http://{address}");
        throng(&["export", "--url", &url, "--app", "a", "--read-key", "rk_x", "--output", file.to_str().unwrap()])
    };
    let cut = run(cutting_server(1_000, false));
    assert!(!cut.status.success() && stderr(&cut).contains("broke the export off"), "{}", stderr(&cut));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "the export of yesterday");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the part is removed");
    // The control: the same bytes with their end are a file.
    check(&run(cutting_server(1_000, true)));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}\n".repeat(1_000));
}

#[test]
fn a_server_that_is_killed_or_stopped_ends_its_exports_with_an_error() {
    for stops in [false, true] {
        let mut server = Server::start(&[]);
        let app = server.create_app(&["--raw-retention", "forever"]);
        let padding = "x".repeat(2_000);
        let sent: Vec<Value> = (0..15_000)
            .map(|n| json!({"name": "view", "user_id": "u", "timestamp": 1_780_000_000_000_i64 + n, "properties": {"padding": padding}}))
            .collect();
        send(&server, &app, "/api/v1/events/batch", &sent);
        server.wait_for_count(&app, sent.len() as u64);
        let url = format!("http://{}", server.address);
        let mut exporting = Command::new(env!("CARGO_BIN_EXE_throng"))
            .args(["export", "--url", &url, "--app", &app.id, "--read-key", &app.read_key, "--output", "-"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Nobody reads the pipe: the export waits half-way.
        let mut first = [0; 10_000];
        exporting.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        let started = Instant::now();
        if stops {
            server.terminate();
            server.wait(Duration::from_secs(20));
            assert!(started.elapsed() < Duration::from_secs(9), "a stop does not wait for exports");
        } else {
            server.kill();
        }
        let output = exporting.wait_with_output().unwrap();
        assert!(!output.status.success() && stderr(&output).contains("broke the export off"), "{}", stderr(&output));
    }
}
