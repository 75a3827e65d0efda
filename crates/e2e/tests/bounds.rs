//! The worst questions, many at once, beside ingestion: the process lives, takes in every event, stays within its memory, and says
//! which limit was passed; and work stops when nobody waits for it any more.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::load::{self, Load};
use e2e::{App, Client, Throng};
use serde_json::{Value, json};
use tempfile::TempDir;

const EVENTS: usize = 240_000;
const MIB: u64 = 1 << 20;
const QUERY_MIB: u64 = 32;
const ALL_QUERIES_MIB: u64 = 64;
const UNFLUSHED_MIB: u64 = 24;
const DECODED_MIB: u64 = 32;
/// What is unpacked of one row group at a time, by two threads of each of four queries.
const UNPACKING_MIB: u64 = 4 * 2 * 20;

/// A server with small bounds, full of events of which nearly every value is the only one of its kind.
struct Crowded {
    server: Throng,
    app: App,
    client: Client,
    _config: TempDir,
}

fn crowded(time_limit_ms: u64) -> Result<Crowded> {
    let config = tempfile::tempdir()?;
    let path = config.path().join("throng.toml");
    let text = format!(
        "[query]\nmax_memory_mib = {QUERY_MIB}\nmax_total_memory_mib = {ALL_QUERIES_MIB}\nmax_concurrent = 4\nmax_queued = 4\ntime_limit_ms = {time_limit_ms}\n\
         [stream]\nmax_unflushed_mib = {UNFLUSHED_MIB}\nflush_interval_ms = 2000\n[event_store]\nmax_decoded_mib = {DECODED_MIB}\n[realtime_store]\nmax_memory_mib = 64\n[gateway]\nmax_in_flight_mib = 32\n"
    );
    std::fs::write(&path, text)?;
    let server = Throng::start(&["--config", &path.display().to_string()])?;
    let app = server.create_app("crowded", &[])?;
    let client = server.client();
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as i64;
    let event = |n: usize| {
        let name = if n.is_multiple_of(3) { format!("name {}", n % 300) } else { "view".to_owned() };
        json!({
            "name": name, "user_id": format!("user-{}", n / 2), "insert_id": format!("id-{n:012}"),
            "timestamp": now_ms - (n as i64 * 7_919) % (20 * 86_400_000),
            "properties": {"token": format!("token {n:x} {}", n.wrapping_mul(2_654_435_761) % 1_000_003), "price": n % 997, "path": format!("/item/{}", n % 70_000)}
        })
    };
    for first in (0..EVENTS).step_by(2_000) {
        client.send(&app, &(first..first + 2_000).map(event).collect::<Vec<_>>())?;
    }
    client.wait_for_events(&app, EVENTS as u64)?;
    Ok(Crowded { server, app, client, _config: config })
}

/// Questions that ask for as much as a request may, each of `round` with an answer of its own.
fn worst_questions(round: usize) -> Vec<(&'static str, Value)> {
    let steps: Vec<Value> = (0..50).map(|_| Value::Null).map(|any| json!({"event": any, "filters": []})).collect();
    let regexes: Vec<Value> =
        (0..40).map(|i| json!({"property": "token", "op": "matches", "value": format!("(a|b|c)*{i}[0-9]{{3}}.*x{round}$")})).collect();
    vec![
        (
            "query",
            json!({"metrics": ["unique_users", "events"], "group_by": ["token", "user_id", "path", "insert_id"], "limit": 5_000 + round}),
        ),
        (
            "query",
            json!({"metric": {"fn": "count_distinct", "property": "insert_id"}, "interval": "hour", "range": format!("{}d", 21 + round % 300)}),
        ),
        (
            "query",
            json!({"metrics": [{"fn": "median", "property": "price"}, {"fn": "avg_per_user", "property": "price"}], "group_by": "token", "limit": 5_000 + round}),
        ),
        ("query", json!({"metric": "sessions", "group_by": "user_id", "interval": "day", "limit": 1_000 + round})),
        ("query", json!({"metric": "events", "group_by": "path", "interval": "minute", "range": "6d", "limit": 5_000 + round})),
        ("query", json!({"metric": "events", "filters": [{"or": regexes}]})),
        ("query", json!({"metric": "unique_users_approx", "group_by": "event", "interval": "hour", "limit": 100 + round})),
        ("funnel", json!({"steps": steps, "window": "none", "breakdown": "token", "limit": 5_000 + round})),
        ("events", json!({"limit": 5_000 + round})),
    ]
}

/// What came of the questions: answers by `status code`, and every refusal that is not as it should be.
#[derive(Default)]
struct Heard {
    answers: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Heard {
    fn add(&mut self, call: &str, question: &Value, answer: Result<(u16, Value)>) {
        let (status, body) = match answer {
            Ok(answer) => answer,
            Err(error) => return self.wrong.push(format!("{call} {question}: no answer: {error:#}")),
        };
        let code = body["error"]["code"].as_str().unwrap_or(if status == 200 { "ok" } else { "?" }).to_owned();
        let message = body["error"]["message"].as_str().unwrap_or_default();
        // What each refusal has to name.
        let named = match code.as_str() {
            "ok" => String::new(),
            "query_memory_limit" => (QUERY_MIB * MIB).to_string(),
            "all_queries_memory_limit" => (ALL_QUERIES_MIB * MIB).to_string(),
            "query_time_limit" => "ms".to_owned(),
            "query_row_limit" | "query_group_limit" | "busy" => "at most".to_owned(),
            _ => "?".to_owned(),
        };
        let is_busy = matches!(code.as_str(), "busy" | "all_queries_memory_limit");
        let expected_status = if code == "ok" {
            200
        } else if is_busy {
            503
        } else {
            422
        };
        let says_limit = message.contains(&named) || code == "busy" || code == "query_group_limit";
        if status != expected_status || !says_limit {
            self.wrong.push(format!("{call} {question}: {status} {body}"));
        }
        *self.answers.entry(format!("{status} {code}")).or_default() += 1;
    }

    fn merge(&mut self, other: Self) {
        other.answers.into_iter().for_each(|(what, count)| *self.answers.entry(what).or_default() += count);
        self.wrong.extend(other.wrong);
    }
}

/// Asks the worst questions with `askers` at once until told to stop.
fn ask_until(stop: &AtomicBool, crowded: &Crowded, askers: usize) -> Heard {
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..askers)
            .map(|asker| {
                scope.spawn(move || {
                    let mut heard = Heard::default();
                    for round in 0.. {
                        for (call, question) in worst_questions(asker * 100 + round).into_iter().cycle().skip(asker).take(9) {
                            if stop.load(Ordering::Relaxed) {
                                return heard;
                            }
                            let path = format!("/api/v1/analytics/{}/{call}", crowded.app.id);
                            let answer = crowded.client.post(&path, &crowded.app.read_key, &question);
                            heard.add(call, &question, answer);
                        }
                    }
                    heard
                })
            })
            .collect();
        let mut all = Heard::default();
        asking.into_iter().for_each(|asker| all.merge(asker.join().unwrap_or_default()));
        all
    })
}

fn ingestion(crowded: &Crowded, seconds: u64) -> Result<load::Outcome> {
    load::run(&Load {
        address: crowded.server.address(),
        path: "/api/v1/events/batch".to_owned(),
        key: crowded.app.write_key.clone(),
        connections: 2,
        batch_events: 20,
        duration: Duration::from_secs(seconds),
        events_per_second: Some(2_000.0),
    })
}

#[test]
fn the_worst_questions_pass_no_bound_and_hold_up_no_event() -> Result<()> {
    let mut crowded = crowded(3_000)?;
    // What the process has reserved, and beside it the bounds of its configuration once more: no room for a question without one.
    let address_space =
        crowded.server.address_space_bytes()? + (ALL_QUERIES_MIB + DECODED_MIB + UNPACKING_MIB + 3 * UNFLUSHED_MIB + 64 + 32 + 300) * MIB;
    crowded.server.limit_address_space(address_space)?;
    let alone = ingestion(&crowded, 5)?;
    let stop = AtomicBool::new(false);
    let (beside, heard) = std::thread::scope(|scope| -> Result<_> {
        let asking = scope.spawn(|| ask_until(&stop, &crowded, 8));
        let beside = ingestion(&crowded, 20);
        stop.store(true, Ordering::Relaxed);
        let heard = asking.join().map_err(|_| anyhow::anyhow!("an asker panicked"))?;
        Ok((beside?, heard))
    })?;
    let (_, peak) = crowded.server.memory_bytes()?;
    let p99 = |outcome: &load::Outcome| outcome.quantile(0.99);
    eprintln!("answers: {:?}", heard.answers);
    eprintln!("ingestion alone: p99 {:?}; beside 8 askers: p99 {:?}; peak memory {} MiB", p99(&alone), p99(&beside), peak / MIB);
    assert!(crowded.server.is_alive(), "the process ended:\n{}", crowded.server.log());
    assert!(heard.wrong.is_empty(), "{} answers are not as they should be:\n{}", heard.wrong.len(), heard.wrong.join("\n"));
    let passed = |code: &str| heard.answers.iter().any(|(what, _)| what.contains(code));
    assert!(passed("query_memory_limit"), "the test asks for nothing that is too much: {:?}", heard.answers);
    assert!(passed("200 ok") && passed("busy"), "{:?}", heard.answers);
    assert_eq!((alone.refused, beside.refused), (0, 0), "ingestion was refused");
    assert!(p99(&beside) < Duration::from_secs(2), "an event waited {:?} behind questions", p99(&beside));
    let most = (ALL_QUERIES_MIB + DECODED_MIB + UNPACKING_MIB + 3 * UNFLUSHED_MIB + 64 + 32 + 250) * MIB;
    assert!(peak < most, "{peak} bytes of memory, the bounds add up to {most}");
    // The account is right afterwards, and no question left anything behind.
    crowded.client.wait_for_events(&crowded.app, EVENTS as u64 + alone.events + beside.events)?;
    assert_eq!(crowded.client.metric("throng_query_memory_bytes")?, 0.0);
    assert_eq!(crowded.client.metric("throng_query_waiting")?, 0.0);
    Ok(())
}

/// A question that takes long: many expressions over many different texts.
fn long_question(round: usize) -> Value {
    let filters: Vec<Value> = (0..100)
        .map(|i| json!({"property": "token", "op": "matches", "value": format!("(a|b|c|d|e|f|[0-9 ])*{i}[0-9]{{3}}.*(x|y|z){round}$")}))
        .collect();
    json!({"metric": "unique_users", "filters": [{"or": filters}]})
}

fn wait_for_running(client: &Client, wanted: f64, longest: Duration) -> Result<Duration> {
    let started = Instant::now();
    while client.metric("throng_query_running")? != wanted {
        anyhow::ensure!(started.elapsed() < longest, "not {wanted} running questions after {longest:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(started.elapsed())
}

#[test]
fn who_hangs_up_frees_the_thread_within_a_second() -> Result<()> {
    let crowded = crowded(60_000)?;
    let body = long_question(1).to_string();
    let request = format!(
        "POST /api/v1/analytics/{}/query HTTP/1.1\r\nhost: throng\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        crowded.app.id,
        crowded.app.read_key,
        body.len()
    );
    for hang_up_after in [Duration::from_millis(50), Duration::from_millis(300)] {
        let mut asking: Vec<TcpStream> = Vec::new();
        for _ in 0..4 {
            let mut stream = TcpStream::connect(crowded.server.address())?;
            // Each asks something else, or they would share one run.
            stream.write_all(request.replacen("z)1$", &format!("z){}$", 2 + asking.len()), 4).as_bytes())?;
            asking.push(stream);
        }
        wait_for_running(&crowded.client, 4.0, Duration::from_secs(5))?;
        std::thread::sleep(hang_up_after);
        anyhow::ensure!(crowded.client.metric("throng_query_running")? == 4.0, "the question is too short for the test");
        drop(asking);
        let freed = wait_for_running(&crowded.client, 0.0, Duration::from_secs(10))?;
        eprintln!("four questions stopped {freed:?} after their clients had hung up");
        assert!(freed < Duration::from_secs(1), "{freed:?}");
    }
    Ok(())
}

#[test]
fn a_question_ends_at_its_time_limit() -> Result<()> {
    let crowded = crowded(400)?;
    let path = format!("/api/v1/analytics/{}/query", crowded.app.id);
    for round in 0..3 {
        let started = Instant::now();
        let (status, body) = crowded.client.post(&path, &crowded.app.read_key, &long_question(round))?;
        let took = started.elapsed();
        assert_eq!((status, &body["error"]["code"]), (422, &json!("query_time_limit")), "{body}");
        assert!(body["error"]["message"].as_str().is_some_and(|text| text.contains("400 ms")), "{body}");
        eprintln!("a limit of 400 ms ended a question after {took:?}");
        assert!(took < Duration::from_millis(1_400), "{took:?}");
    }
    // The next question has its turn at once.
    let answer = crowded.client.ask(&crowded.app, "query", &json!({"metric": "events", "range": "7d"}))?;
    assert!(answer["query_time_ms"].as_u64().context("query_time_ms")? < 300, "{answer}");
    Ok(())
}

#[test]
fn a_full_queue_says_when_to_come_back() -> Result<()> {
    let crowded = crowded(2_000)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<()> {
        let asking = scope.spawn(|| ask_until(&stop, &crowded, 16));
        let mut found = None;
        let started = Instant::now();
        for round in 0.. {
            let answer = raw_question(&crowded, &long_question(1_000 + round))?;
            if answer.starts_with("HTTP/1.1 503") {
                found = Some(answer);
                break;
            }
            anyhow::ensure!(started.elapsed() < Duration::from_secs(30), "the queue was never full");
        }
        stop.store(true, Ordering::Relaxed);
        let _ = asking.join();
        let answer = found.context("a refusal")?.to_lowercase();
        assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
        assert!(answer.contains("\"code\":\"busy\"") || answer.contains("\"code\":\"all_queries_memory_limit\""), "{answer}");
        Ok(())
    })
}

/// The whole answer as text, on a connection of its own.
fn raw_question(crowded: &Crowded, question: &Value) -> Result<String> {
    let body = question.to_string();
    let mut stream = TcpStream::connect(crowded.server.address())?;
    write!(
        stream,
        "POST /api/v1/analytics/{}/query HTTP/1.1\r\nhost: throng\r\nconnection: close\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        crowded.app.id,
        crowded.app.read_key,
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
