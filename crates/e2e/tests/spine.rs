//! The product as a stranger meets it: the three calls as written, keys that do what they say, one instance a folder, a clean end, and live windows that survive.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{App, Client, Throng};
use serde_json::{Value, json};

/// Sends bytes as they are, for what no client library would send; returns status and JSON.
fn raw(server: &Throng, request: &str) -> Result<(u16, Value)> {
    let mut stream = TcpStream::connect(server.address())?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split_whitespace().nth(1).and_then(|code| code.parse().ok()).context("a status line")?;
    let body = answer.split_once("\r\n\r\n").context("a body")?.1;
    Ok((status, serde_json::from_str(body).unwrap_or_default()))
}

fn shop_events() -> Vec<Value> {
    let now = || json!({});
    let mut events = Vec::new();
    for n in 0..100 {
        let user = format!("U{n}");
        let device = if n % 4 == 0 { "desktop" } else { "mobile" };
        let event = |name: &str| json!({"name": name, "user_id": user, "properties": {"country": "US", "device_type": device, "url": "/home", "extra": now()}});
        events.push(event("page_view"));
        if n % 4 == 1 {
            events.push(event("add_to_cart"));
        }
        if n % 20 == 1 {
            events.push(event("purchase"));
        }
    }
    events
}

fn started() -> Result<(Throng, App, Client)> {
    let server = Throng::start(&[])?;
    let app = server.create_app("shop", &[])?;
    let client = server.client();
    Ok((server, app, client))
}

#[test]
fn the_three_calls_answer_as_written() -> Result<()> {
    let (server, app, client) = started()?;
    // The id in the body is the app's own; the key decides.
    let body = json!({"app_id": app.id, "events": shop_events()});
    let (status, answer) = client.post("/api/v1/events/batch", &app.write_key, &body)?;
    assert_eq!((status, &answer), (200, &json!({"accepted": 130, "rejected": []})));
    client.wait_for_events(&app, 130)?;

    let request = json!({"metric": "unique_users", "filters": [{"property": "country", "op": "eq", "value": "US"}], "group_by": "device_type", "range": "7d"});
    let answer = client.ask(&app, "query", &request)?;
    assert_eq!(answer["results"], json!([{"device_type": "mobile", "unique_users": 75}, {"device_type": "desktop", "unique_users": 25}]));
    assert!(answer["query_time_ms"].is_number(), "{answer}");

    let text = request.to_string();
    let path = format!("/api/v1/analytics/{}/query", app.id);
    let head = format!("host: throng\r\nauthorization: Bearer {}\r\nconnection: close\r\n", app.read_key);
    let with_body = format!("GET {path} HTTP/1.1\r\n{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{text}", text.len());
    let (status, by_get) = raw(&server, &with_body)?;
    assert_eq!((status, &by_get["results"]), (200, &answer["results"]), "GET with a body: {by_get}");

    let answer = client.ask(&app, "funnel", &json!({"steps": ["page_view", "add_to_cart", "purchase"], "range": "30d"}))?;
    let steps = answer["funnel"].as_array().context("funnel")?;
    assert_eq!((&steps[0]["step"], &steps[0]["users"]), (&json!("page_view"), &json!(100)));
    assert_eq!((&steps[1]["users"], &steps[1]["conversion"]), (&json!(25), &json!(0.25)));
    assert_eq!((&steps[2]["users"], &steps[2]["conversion"]), (&json!(5), &json!(0.2)));
    Ok(())
}

#[test]
fn keys_do_what_they_say_and_no_more() -> Result<()> {
    let (server, ours, client) = started()?;
    let theirs = server.create_app("other", &[])?;
    let batch = json!({"events": [{"name": "a", "user_id": "U1"}]});
    let send = |key: &str, body: &Value| client.post("/api/v1/events/batch", key, body).map(|(status, _)| status);
    assert_eq!(send("", &batch)?, 401);
    assert_eq!(send("wk_unknown", &batch)?, 401);
    assert_eq!(send(&ours.read_key, &batch)?, 403);
    assert_eq!(send(&ours.write_key, &json!({"app_id": theirs.id, "events": batch["events"]}))?, 403);
    assert_eq!(send(&ours.write_key, &batch)?, 200);
    for call in ["query", "funnel", "events", "schema", "realtime", "realtime/stream", "rejected", "ledger"] {
        let status =
            |app: &App, key: &str| -> Result<u16> { Ok(client.get_with_key(&format!("/api/v1/analytics/{}/{call}", app.id), key)?.0) };
        assert_eq!(status(&ours, "nonsense")?, 401, "{call}");
        assert_eq!(status(&ours, &ours.write_key)?, 403, "{call} with a write key");
        assert_eq!(status(&ours, &theirs.read_key)?, 403, "{call} with another app's key");
    }
    Ok(())
}

#[test]
fn bad_events_are_named_and_kept_and_the_good_ones_stored() -> Result<()> {
    let (_server, app, client) = started()?;
    let body = br#"{"events":[{"name":"good","user_id":"U1"},{"name":"","user_id":"U1"},{"name":"x","user_id":"undefined"},{"name":"nan","user_id":"U1","properties":{"a":NaN}},{"name":"good","user_id":"U2"}]}"#;
    let (status, answer) = client.post_bytes("/api/v1/events/batch", &app.write_key, &[("content-type", "text/plain")], body)?;
    assert_eq!((status, &answer["accepted"]), (200, &json!(2)), "{answer}");
    let rejected: Vec<(u64, &str)> = answer["rejected"]
        .as_array()
        .context("rejected")?
        .iter()
        .filter_map(|one| Some((one["index"].as_u64()?, one["code"].as_str()?)))
        .collect();
    assert_eq!(rejected.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2, 3], "{answer}");
    client.wait_for_events(&app, 2)?;
    let (status, kept) = client.get_with_key(&format!("/api/v1/analytics/{}/rejected", app.id), &app.read_key)?;
    assert_eq!((status, kept["rejected"].as_array().map(Vec::len)), (200, Some(3)), "{kept}");
    let (_, validated) = client.post_bytes("/api/v1/events/validate", &app.write_key, &[("content-type", "application/json")], body)?;
    assert_eq!(validated["accepted"], json!(2));
    std::thread::sleep(Duration::from_millis(600));
    client.wait_for_events(&app, 2)
}

#[test]
fn resent_batches_are_stored_once_also_across_a_crash() -> Result<()> {
    let (mut server, app, client) = started()?;
    let events: Vec<Value> =
        (0..500).map(|n| json!({"name": "order", "user_id": format!("U{}", n % 50), "insert_id": format!("o-{n}")})).collect();
    for _ in 0..3 {
        client.send(&app, &events)?;
    }
    client.wait_for_events(&app, 500)?;
    server.restart()?;
    client.send(&app, &events)?;
    client.send(&app, &[json!({"name": "order", "user_id": "U1", "insert_id": "last"})])?;
    client.wait_for_events(&app, 501)
}

#[test]
fn one_instance_a_folder() -> Result<()> {
    let (server, _, _) = started()?;
    let second = Command::new(Throng::program()?).args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(server.data()).output()?;
    let message = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    assert!(message.contains("process"), "it names the first: {message}");
    Ok(())
}

#[test]
fn sigterm_under_load_drains_and_loses_nothing() -> Result<()> {
    let (mut server, app, client) = started()?;
    let sender = {
        let (client, app) = (client.clone(), app.clone());
        std::thread::spawn(move || {
            let mut answered = 0u64;
            for n in 0u64.. {
                let events: Vec<Value> =
                    (0..20).map(|i| json!({"name": "a", "user_id": format!("U{i}"), "insert_id": format!("{n}-{i}")})).collect();
                match client.post("/api/v1/events/batch", &app.write_key, &json!({ "events": events })) {
                    Ok((200, _)) => answered += 20,
                    _ => break,
                }
            }
            answered
        })
    };
    std::thread::sleep(Duration::from_secs(1));
    let (took, success) = server.terminate()?;
    assert!(success && took < Duration::from_secs(10), "{took:?}");
    let answered = sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?;
    assert!(answered > 0);
    server.restart()?;
    client.wait_for_events(&app, answered)
}

/// Users and events of each live window that is not the newest, which may still be open.
fn live_windows(client: &Client, app: &App) -> Result<(Value, Value, Value)> {
    let (status, live) = client.get_with_key(&format!("/api/v1/analytics/{}/realtime?minutes=120", app.id), &app.read_key)?;
    anyhow::ensure!(status == 200, "{live}");
    Ok((live["top_events"].clone(), live["top_pages"].clone(), json!([live["active_users_30m"], live["active_sessions"]])))
}

#[test]
fn live_windows_deleted_and_rebuilt_from_raw_events_are_identical() -> Result<()> {
    let (mut server, app, client) = started()?;
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as i64;
    let events: Vec<Value> = (0..4_000)
        .map(|n: i64| {
            let name = ["page_view", "click", "purchase"][(n % 3) as usize];
            // Out of order, up to 25 minutes late.
            json!({"name": name, "user_id": format!("U{}", n * 31 % 700), "timestamp": now_ms - n * 7919 % 1_500_000, "properties": {"url": format!("/p{}", n % 40)}})
        })
        .collect();
    client.send(&app, &events)?;
    client.wait_for_events(&app, 4_000)?;
    std::thread::sleep(Duration::from_millis(600));
    let counted = live_windows(&client, &app)?;
    server.terminate()?;
    server.restart()?;
    assert_eq!(live_windows(&client, &app)?, counted, "from the snapshot");
    server.terminate()?;
    std::fs::remove_dir_all(server.data().join("stream/realtime"))?;
    server.restart()?;
    assert_eq!(live_windows(&client, &app)?, counted, "from the raw events");
    Ok(())
}
