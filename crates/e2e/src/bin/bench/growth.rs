//! How questions, memory and the store grow: with the events of an app over the same days, and with the days that are asked about.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::{App, Client, Throng};
use serde_json::{Value, json};

use crate::disk;
use crate::report::{Table, machine, milliseconds, publish, thousands};
use crate::store::{fill, wait_until_settled};

const SIZES: [u64; 3] = [1_000_000, 5_000_000, 20_000_000];
const DAYS: [u64; 4] = [1, 7, 30, 90];
const ROUNDS: usize = 5;

/// One question of each form of execution: counts from rollups, groups of codes, distinct persons, filters by text, funnels, sessions,
/// periods, paths, segments.
const QUESTIONS: [(&str, &str); 9] = [
    ("events per day", "query"),
    ("top urls", "query"),
    ("unique users", "query"),
    ("url contains a text: users", "query"),
    ("funnel of three steps", "funnel"),
    ("sessions per day", "query"),
    ("weekly retention", "retention"),
    ("paths of three steps", "paths"),
    ("users who bought twice, per day", "query"),
];

fn request(question: &str, days: u64) -> Value {
    let range = format!("{days}d");
    match question {
        "events per day" => json!({"metric": "events", "interval": "day", "range": range}),
        "top urls" => json!({"metric": "events", "event": "page_view", "group_by": "url", "range": range}),
        "unique users" => json!({"metric": "unique_users", "range": range}),
        "url contains a text: users" => {
            json!({"metric": "unique_users", "range": range, "filters": [{"property": "url", "op": "contains", "value": "item-12"}]})
        }
        "funnel of three steps" => json!({"steps": ["page_view", "add_to_cart", "purchase"], "window": "7d", "range": range}),
        "sessions per day" => json!({"metric": "sessions", "interval": "day", "range": range}),
        "weekly retention" => {
            json!({"start_event": "signup", "return_event": "page_view", "period": "week", "entry": "first_in_range", "range": range})
        }
        "paths of three steps" => json!({"start": "page_view", "steps": 3, "range": range}),
        _ => {
            json!({"metric": "unique_users", "interval": "day", "range": range, "segment": {"did": "purchase", "at_least": 2, "range": range}})
        }
    }
}

/// The first answer of a fresh process, and the best of some warm ones, each past the cache of answers.
fn times(client: &Client, app: &App, question: (&str, &str), days: u64) -> Result<(Duration, Duration)> {
    let (name, call) = question;
    let mut times = Vec::new();
    for _ in 0..=ROUNDS {
        let mut request = request(name, days);
        request["cache"] = json!(false);
        let started = Instant::now();
        client.ask(app, call, &request).with_context(|| name.to_owned())?;
        times.push(started.elapsed());
    }
    let cold = times.remove(0);
    Ok((cold, times.into_iter().min().unwrap_or_default()))
}

/// `bench growth`: measures and publishes both tables.
pub fn run() -> Result<()> {
    let mut by_size: Vec<Vec<String>> = QUESTIONS.map(|(name, _)| vec![name.to_owned()]).to_vec();
    let (mut bytes, mut memory) = (vec!["store, bytes an event".to_owned()], vec!["peak memory of these questions".to_owned()]);
    let mut by_days = Table::new(&["question", "1 day", "7 days", "30 days", "90 days"]);
    for size in SIZES {
        let mut server = Throng::start(&[])?;
        let app = server.create_app("shop", &[])?;
        let client = server.client();
        fill(&server, &app, size)?;
        let stored = wait_until_settled(&client, &app)?;
        for (row, question) in by_size.iter_mut().zip(QUESTIONS) {
            server.terminate().and_then(|_| server.restart())?;
            let (cold, best) = times(&client, &app, question, 90)?;
            row.push(format!("{} / {}", milliseconds(cold), milliseconds(best)));
        }
        server.terminate().and_then(|_| server.restart())?;
        for question in QUESTIONS {
            let each = DAYS.map(|days| times(&client, &app, question, days));
            if Some(&size) == SIZES.last() {
                let cells = each.into_iter().map(|times| times.map(|(_, best)| milliseconds(best))).collect::<Result<Vec<_>>>()?;
                by_days.row(&[vec![question.0.to_owned()], cells].concat());
            }
        }
        bytes.push(format!("{:.1}", disk::used(&server.data().join("store")).bytes as f64 / stored.max(1) as f64));
        memory.push(format!("{} MB", thousands(server.memory_bytes()?.1 as f64 / 1e6)));
    }
    let mut table = Table::new(&["question, 90 days", "1 million events", "5 million", "20 million"]);
    by_size.iter().chain([&bytes, &memory]).for_each(|row| table.row(row));
    let words = format!(
        "First answer of a fresh process / best of {ROUNDS} warm ones, past the cache of answers. Persons grow with events (one for 40). {}.",
        machine()
    );
    publish("Growth with events", &words, &table)?;
    publish("Growth with days", &format!("Best of {ROUNDS} warm answers on 20 million events of 90 days. {}.", machine()), &by_days)
}
