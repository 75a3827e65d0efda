//! One process per data folder, a clean end, and commands beside a running server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Server, free_address, stderr, throng, write};

#[test]
fn a_second_process_on_the_folder_is_refused_and_told_who_is_first() {
    let server = Server::start(&[]);
    let other_port = free_address().to_string();
    let refused = server.command(&["serve", "--listen", &other_port]);
    assert_eq!(refused.status.code(), Some(1));
    let message = stderr(&refused);
    assert!(message.contains("in use") && message.contains(&format!("process {}", server.pid())), "{message}");
    let check = server.command(&["check", "--json"]);
    assert!(check.status.success(), "a check reads beside: {}", stderr(&check));
    let checked: Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!((&checked["served"], &checked["problems"]), (&json!(true), &json!(0)), "{checked}");
    assert_eq!(server.send("GET", "/ready", "", None).unwrap().0, 200, "the first goes on");
}

#[test]
fn a_killed_process_leaves_no_lock_behind() {
    let mut server = Server::start(&[]);
    let app = server.create_app(&[]);
    let batch = json!({"events": [{"name": "a", "user_id": "u"}]});
    assert_eq!(server.send("POST", "/api/v1/events/batch", &app.write_key, Some(&batch)).unwrap().0, 200);
    std::process::Command::new("kill").args(["-9", &server.pid().to_string()]).status().unwrap();
    server.wait(Duration::from_secs(5));
    let started = Instant::now();
    server.restart(&[]);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    server.wait_for_count(&app, 1);
}

#[test]
fn a_taken_port_and_a_wrong_configuration_are_said() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let taken = throng(&["serve", "--data", &data, "--listen", &server.address.to_string()]);
    assert!(!taken.status.success() && stderr(&taken).contains(&format!("cannot listen on {}", server.address)), "{}", stderr(&taken));
    let config = write(folder.path(), "throng.toml", b"[stream]\ndedup_enabled = false\n");
    let unknown = throng(&["serve", "--data", &data, "--config", &config]);
    assert!(!unknown.status.success() && stderr(&unknown).contains("dedup_enabled"), "{}", stderr(&unknown));
    let kafka = write(folder.path(), "kafka.toml", b"[event_log]\nurl = \"kafka://broker:9092\"\n");
    let refused = throng(&["serve", "--data", &data, "--config", &kafka]);
    assert!(!refused.status.success() && stderr(&refused).contains("event_log.url"), "{}", stderr(&refused));
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Fault 17.
#[test]
fn sigterm_at_peak_loses_nothing_and_ends_in_seconds() {
    const SENDERS: u64 = 4;
    const BATCH_EVENTS: u64 = 50;
    let mut server = Server::start(&[]);
    let app = server.create_app(&[]);
    let (answered, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (address, write_key) = (server.address, app.write_key.as_str());
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (answered, stop) = (&answered, &stop);
            scope.spawn(move || {
                for n in 0.. {
                    let event = |i: u64| json!({"name": "a", "user_id": format!("u{i}"), "insert_id": format!("{sender}-{n}-{i}")});
                    let batch = json!({"events": (0..BATCH_EVENTS).map(event).collect::<Vec<_>>()});
                    // Sent again until answered, as an SDK does; what was stored without an answer is recognised.
                    while support::send(address, "POST", "/api/v1/events/batch", write_key, Some(&batch))
                        .is_none_or(|(status, _)| status != 200)
                    {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    answered.fetch_add(BATCH_EVENTS, Ordering::Relaxed);
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        // However this ends, the senders must end too.
        let _stop = StopOnDrop(&stop);
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(700));
            server.terminate();
            let started = Instant::now();
            let status = server.wait(Duration::from_secs(10));
            assert_eq!(status.code(), Some(0), "{}", server.log());
            assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
            server.restart(&[]);
        }
    });
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered > 1_000, "{answered}");
    server.wait_for_count(&app, answered);
}

#[test]
fn open_live_streams_do_not_hold_up_the_end() {
    use std::io::{BufRead, BufReader, Write};
    let mut server = Server::start(&[]);
    let app = server.create_app(&[]);
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    let path = format!("/api/v1/analytics/{}/realtime/stream", app.id);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", app.read_key).unwrap();
    let mut line = String::new();
    BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    server.terminate();
    assert_eq!(server.wait(Duration::from_secs(5)).code(), Some(0));
}

#[test]
fn apps_and_keys_are_made_and_revoked_beside_a_running_server() {
    let server = Server::start(&[]);
    let app = server.create_app(&["--timezone", "Europe/Berlin", "--raw-retention", "forever", "--id", "APP-1"]);
    assert_eq!(app.id, "APP-1");
    let again = server.command(&["app", "create", "Other", "--id", "APP-1"]);
    assert!(!again.status.success() && stderr(&again).contains("app APP-1 exists already"), "{}", stderr(&again));
    let batch = json!({"app_id": "APP-1", "events": [{"name": "a", "user_id": "u"}]});
    assert_eq!(server.send("POST", "/api/v1/events/batch", &app.write_key, Some(&batch)).unwrap().0, 200);
    assert_eq!(server.send("POST", "/api/v1/events/batch", &app.read_key, Some(&batch)).unwrap().0, 403);

    let added: Value = serde_json::from_slice(&server.command(&["app", "add-key", "APP-1", "--kind", "read"]).stdout).unwrap();
    let key = added["key"].as_str().unwrap();
    let path = "/api/v1/analytics/APP-1/schema";
    assert_eq!(server.send("GET", path, key, None).unwrap().0, 200);
    assert!(server.command(&["app", "revoke-key", added["key_id"].as_str().unwrap()]).status.success());
    let started = Instant::now();
    while server.send("GET", path, key, None).unwrap().0 != 401 {
        assert!(started.elapsed() < Duration::from_secs(7), "the revocation was not noticed");
        std::thread::sleep(Duration::from_millis(100));
    }
    let listed = String::from_utf8(server.command(&["app", "list"]).stdout).unwrap();
    assert!(listed.contains("Europe/Berlin") && !listed.contains(&app.read_key) && !listed.contains("wk_"), "{listed}");
    let log = server.log();
    assert!(!log.contains(&app.read_key) && !log.contains(&app.write_key) && !log.contains(key), "a key is in the log: {log}");
}

#[test]
fn a_wrong_folder_is_told_and_not_filled() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let run = |arguments: &[&str], data: &str| throng(&[arguments, &["--data", data]].concat());
    // Looking makes nothing.
    for arguments in [&["app", "list"][..], &["app", "revoke-key", "key_1"], &["app", "add-key", "app_1", "--kind", "read"]] {
        let output = run(arguments, &at("nothing"));
        assert!(!output.status.success() && stderr(&output).contains("holds no apps"), "{arguments:?}: {}", stderr(&output));
        assert!(!folder.path().join("nothing").exists());
    }
    // A folder of somebody else's.
    support::write(folder.path(), "letter.txt", b"dear");
    let output = run(&["app", "create", "Shop"], folder.path().to_str().unwrap());
    assert!(!output.status.success() && stderr(&output).contains("is not empty and no data folder of Throng"), "{}", stderr(&output));
    // A new one is made, and that is said; the second app there is no news.
    let output = run(&["app", "create", "Shop"], &at("new"));
    assert!(output.status.success() && stderr(&output).contains("No server has run on"), "{}", stderr(&output));
    let output = run(&["app", "create", "Blog"], &at("new"));
    assert!(output.status.success() && stderr(&output).is_empty(), "{}", stderr(&output));
    let listed: serde_json::Value = serde_json::from_slice(&run(&["app", "list"], &at("new")).stdout).unwrap();
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
}

#[test]
fn a_gateway_alone_fills_the_log_for_the_rest_to_read_later() {
    let mut server = Server::start(&["--roles", "gateway"]);
    let app = server.create_app(&[]);
    let batch = json!({"events": [{"name": "a", "user_id": "u"}, {"name": "b", "user_id": "u"}]});
    assert_eq!(server.send("POST", "/api/v1/events/batch", &app.write_key, Some(&batch)).unwrap().0, 200);
    let path = format!("/api/v1/analytics/{}/schema", app.id);
    assert_eq!(server.send("GET", &path, &app.read_key, None).unwrap().0, 404, "this process answers no questions");
    server.terminate();
    assert_eq!(server.wait(Duration::from_secs(5)).code(), Some(0));
    server.restart(&[]);
    server.wait_for_count(&app, 2);
    server.terminate();
    server.wait(Duration::from_secs(5));
    let check = server.command(&["check"]);
    assert!(check.status.success(), "{}", stderr(&check));
}

#[test]
fn lost_metadata_beside_events_is_refused_with_the_way_out() {
    let mut server = Server::start(&[]);
    let app = server.create_app(&[]);
    let batch = json!({"events": [{"name": "a", "user_id": "u"}]});
    assert_eq!(server.send("POST", "/api/v1/events/batch", &app.write_key, Some(&batch)).unwrap().0, 200);
    server.terminate();
    server.wait(Duration::from_secs(5));
    let path = server.data().join("metadata.sqlite");
    let whole = std::fs::read(&path).unwrap();
    for broken in [None, Some(Vec::new()), Some(whole[..whole.len() / 2].to_vec())] {
        match &broken {
            None => std::fs::remove_file(&path).unwrap(),
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
        }
        let address = free_address().to_string();
        let refused = server.command(&["serve", "--listen", &address]);
        assert!(!refused.status.success() && stderr(&refused).contains("metadata.sqlite"), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("backup"), "{}", stderr(&refused));
        let check = server.command(&["check"]);
        assert!(!check.status.success() && stderr(&check).contains("PROBLEM"), "{}", stderr(&check));
    }
    std::fs::remove_file(&path).unwrap();
    let refused = server.command(&["app", "create", "Shop"]);
    assert!(!refused.status.success() && stderr(&refused).contains(&app.id), "it names the apps: {}", stderr(&refused));
    // The way out without a backup: the same app, new keys.
    let again = server.create_app(&["--id", &app.id]);
    server.restart(&[]);
    server.wait_for_count(&again, 1);
    drop(whole);
}
