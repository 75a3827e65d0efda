//! 20 million events over 90 days: filling, restarting, idling, and every form of question.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use e2e::{App, Client, Throng};
use serde_json::{Value, json};

use crate::disk;
use crate::report::{Table, machine, milliseconds, publish, thousands};

const DEFAULT_EVENTS: u64 = 20_000_000;
const ROUNDS: usize = 5;

type Question = (&'static str, &'static str, Value);

/// The first questions of the benchmark; `bench/` asks all of them beside the peers.
fn benchmark_questions() -> Vec<Question> {
    let funnel = json!(["page_view", "add_to_cart", "purchase"]);
    vec![
        ("Q1 events per day, 90 days", "query", json!({"metric": "events", "interval": "day", "range": "90d"})),
        (
            "Q2 page views by country, 7 days",
            "query",
            json!({"metric": "events", "event": "page_view", "group_by": "country", "range": "7d"}),
        ),
        ("Q3 unique users, 90 days, exact", "query", json!({"metric": "unique_users", "range": "90d"})),
        (
            "Q4 unique purchasers by device",
            "query",
            json!({"metric": "unique_users", "event": "purchase", "group_by": "device_type", "range": "90d"}),
        ),
        ("Q5 daily unique users, 90 days, exact", "query", json!({"metric": "unique_users", "interval": "day", "range": "90d"})),
        (
            "Q6 top 10 urls by page views",
            "query",
            json!({"metric": "events", "event": "page_view", "group_by": "url", "limit": 10, "range": "90d"}),
        ),
        (
            "Q7 revenue and p95 price by plan and country",
            "query",
            json!({"metrics": [{"fn": "sum", "property": "price"}, {"fn": "p95", "property": "price"}], "event": "purchase", "group_by": ["plan", "country"], "limit": 100, "range": "90d"}),
        ),
        (
            "Q8 url contains item-12, US: events and users",
            "query",
            json!({"metrics": ["events", "unique_users"], "range": "90d", "filters": [{"property": "url", "op": "contains", "value": "item-12"}, {"property": "country", "op": "eq", "value": "US"}]}),
        ),
        ("Q9 funnel, 7-day window, 90 days", "funnel", json!({"steps": funnel, "range": "90d", "window": "7d"})),
        (
            "Q10 funnel, 1-day window, 30 days, by device",
            "funnel",
            json!({"steps": funnel, "range": "30d", "window": "1d", "breakdown": "device_type"}),
        ),
        (
            "Q12 events and users by country, device, browser, top 20",
            "query",
            json!({"metrics": ["events", "unique_users"], "group_by": ["country", "device_type", "browser"], "limit": 20, "range": "90d"}),
        ),
        ("Q13 sessions per day", "query", json!({"metric": "sessions", "interval": "day", "range": "90d"})),
    ]
}

/// What the benchmark leaves out of the API's forms: regex, nesting, months in another zone, comparison, formulas, quantiles, raw pages.
fn other_questions() -> Vec<Question> {
    let country_us = json!([{"property": "country", "op": "eq", "value": "US"}]);
    vec![
        (
            "regex on url, by week",
            "query",
            json!({"metric": "events", "interval": "week", "range": "90d", "filters": [{"property": "url", "op": "matches", "value": "^/.*1[0-9]$"}]}),
        ),
        (
            "and/or/not, in, between, by hour, 7 days",
            "query",
            json!({"metric": "events", "interval": "hour", "range": "7d", "filters": [{"or": [{"property": "plan", "op": "in", "value": ["free", "pro"]}, {"not": {"property": "price", "op": "between", "value": [10, 50]}}]}]}),
        ),
        (
            "formula, compare, month, New York",
            "query",
            json!({"metric": {"formula": "A / B * 100", "A": {"fn": "unique_users", "event": "purchase"}, "B": {"fn": "unique_users", "event": "page_view"}}, "interval": "month", "timezone": "America/New_York", "range": "60d", "compare": "previous_period"}),
        ),
        (
            "events_per_user and median price, by browser",
            "query",
            json!({"metrics": ["events_per_user", {"fn": "median", "property": "price"}], "group_by": "browser", "filters": country_us, "range": "90d"}),
        ),
        (
            "count_distinct of a high-cardinality id",
            "query",
            json!({"metric": {"fn": "count_distinct", "property": "url"}, "interval": "day", "range": "90d"}),
        ),
        ("raw events, newest first", "events", json!({"range": "90d", "limit": 100})),
    ]
}

/// Every analysis that the questions of the benchmark leave out, or another form of it, over all 90 days.
fn analyses() -> Vec<Question> {
    let steps = json!(["page_view", "add_to_cart", "purchase"]);
    vec![
        ("funnel, strict", "funnel", json!({"steps": steps, "mode": "strict", "range": "90d"})),
        (
            "funnel, exclusion, constant device, by country, weekly",
            "funnel",
            json!({"steps": steps, "exclusions": [{"event": "signup"}], "hold_constant": "device_type", "breakdown": "country", "interval": "week", "time_to_convert": true, "range": "90d"}),
        ),
        ("funnel, every attempt", "funnel", json!({"steps": steps, "counting": "totals", "range": "90d"})),
        (
            "retention, weekly, of everybody, by country",
            "retention",
            json!({"start_event": "page_view", "period": "week", "entry": "recurring", "breakdown": "country", "range": "90d"}),
        ),
        (
            "retention, daily, on or after, rolling",
            "retention",
            json!({"start_event": "signup", "period": "day", "mode": "on_or_after", "bucketing": "rolling", "range": "30d"}),
        ),
        ("lifecycle, weekly", "lifecycle", json!({"period": "week", "range": "90d"})),
        ("stickiness, days", "stickiness", json!({"period": "day", "range": "90d"})),
        (
            "paths of five steps by url, loops collapsed",
            "paths",
            json!({"start": "page_view", "step_by": "url", "steps": 5, "collapse_repeats": true, "range": "90d"}),
        ),
        ("paths that end with a purchase", "paths", json!({"end": "purchase", "steps": 3, "range": "90d"})),
        ("sessions, daily, with pages", "sessions", json!({"interval": "day", "pages": "url", "range": "90d"})),
        ("sessions by country and device", "sessions", json!({"group_by": ["country", "device_type"], "range": "90d"})),
        ("active users: day, week, month", "active_users", json!({"range": "90d"})),
        (
            "unique users, members of a cohort or not, daily",
            "query",
            json!({"metric": "unique_users", "interval": "day", "range": "90d", "segment": {"and": [{"did": "purchase", "at_least": 2, "range": "30d"}, {"not": {"did": "signup", "range": "7d"}}]}}),
        ),
        (
            "persons in a cohort",
            "cohorts/preview",
            json!({"segment": {"did": "purchase", "occurrence": "first", "range": "30d"}, "limit": 0}),
        ),
        (
            "unique users so far, and of 7 days, daily",
            "query",
            json!({"metrics": [{"fn": "unique_users", "cumulative": true, "name": "so far"}, {"fn": "unique_users", "rolling": 7, "name": "of 7 days"}], "interval": "day", "range": "90d"}),
        ),
    ]
}

/// Fills the store through the public API; or starts on a folder that is already filled.
pub fn fill(server: &Throng, app: &App, events: u64) -> Result<Duration> {
    let started = Instant::now();
    let arguments = [
        "simulate",
        "--url",
        &server.url(),
        "--write-key",
        &app.write_key,
        "--events",
        &events.to_string(),
        "--days",
        "90",
        "--users",
        &(events / 40).to_string(),
        "--seed",
        "1",
        "--rate",
        "0",
    ];
    let status = Command::new(Throng::program()?).args(arguments).status()?;
    anyhow::ensure!(status.success(), "simulate failed");
    Ok(started.elapsed())
}

/// First, median and best of some rounds past the cache of answers, which raw events never come from.
fn ask(client: &Client, app: &App, call: &str, request: &Value) -> Result<(Duration, Duration, Duration, u64)> {
    let mut request = request.clone();
    if call != "events" {
        request["cache"] = json!(false);
    }
    let mut times = Vec::new();
    let mut scanned = 0;
    for _ in 0..=ROUNDS {
        let started = Instant::now();
        let answer = client.ask(app, call, &request)?;
        times.push(started.elapsed());
        scanned = answer["scanned_events"].as_u64().unwrap_or(0);
    }
    let cold = times.remove(0);
    times.sort_unstable();
    Ok((cold, times[times.len() / 2], times[0], scanned))
}

fn live_reads(client: &Client, app: &App, table: &mut Table) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        let (status, body) = client.get_with_key(&format!("/api/v1/analytics/{}/realtime?minutes=60", app.id), &app.read_key)?;
        anyhow::ensure!(status == 200, "{body}");
        times.push(started.elapsed());
    }
    times.sort_unstable();
    table.row(&[
        "live read, 60 minutes".into(),
        milliseconds(times[0]),
        milliseconds(times[100]),
        milliseconds(times[198]),
        "p99 in the last but one column".into(),
    ]);
    Ok(())
}

/// Measures everything; `--events N` sets the size.
pub fn run(arguments: &[&str]) -> Result<()> {
    let events = match arguments {
        [] => DEFAULT_EVENTS,
        ["--events", count] => count.parse().context("--events takes a number")?,
        _ => bail!("usage: bench store [--events N]"),
    };
    let mut server = Throng::start(&[])?;
    let app = server.create_app("shop", &[])?;
    let client = server.client();
    let filling = fill(&server, &app, events)?;
    let stored = wait_until_settled(&client, &app)?;
    let ready = server.terminate().and_then(|_| server.restart())?;
    let started = Instant::now();
    client.ask(&app, "query", &json!({"metric": "events", "range": "1d"}))?;
    let first_answer = ready + started.elapsed();
    std::thread::sleep(Duration::from_secs(2));
    let (idle, _) = server.memory_bytes()?;
    let mut table = Table::new(&["question", "cold", "median of 5 warm", "best", "events scanned"]);
    for (name, call, request) in benchmark_questions().into_iter().chain(other_questions()).chain(analyses()) {
        let (cold, median, best, scanned) = ask(&client, &app, call, &request).with_context(|| name.to_owned())?;
        table.row(&[name.to_owned(), milliseconds(cold), milliseconds(median), milliseconds(best), thousands(scanned as f64)]);
    }
    live_reads(&client, &app, &mut table)?;
    let (_, peak) = server.memory_bytes()?;
    let megabytes = |bytes: u64| thousands(bytes as f64 / 1e6);
    let words = format!(
        "{} events of a shop over 90 days, sent by `throng simulate` in {:.0} s ({} events/s end to end) and stored ({} counted). Store on disk: {} MB ({:.1} bytes an event). \
         Start to first answer on this store: {}. Idle memory after the start: {} MB; peak with the questions below: {} MB. Limits: 10 s a question, 2 s a live read. {}.",
        thousands(events as f64),
        filling.as_secs_f64(),
        thousands(events as f64 / filling.as_secs_f64()),
        thousands(stored as f64),
        megabytes(disk::used(&server.data().join("store")).bytes),
        disk::used(&server.data().join("store")).bytes as f64 / stored.max(1) as f64,
        milliseconds(first_answer),
        megabytes(idle),
        megabytes(peak),
        machine()
    );
    publish(&format!("Questions on {} events", thousands(events as f64)), &words, &table)
}

/// Waits until the number of stored events stays the same, and gives it.
pub fn wait_until_settled(client: &Client, app: &App) -> Result<u64> {
    let (mut last, mut same) = (0, 0);
    while same < 3 {
        std::thread::sleep(Duration::from_secs(6));
        let now = client.count_events(app)?;
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    Ok(last)
}
