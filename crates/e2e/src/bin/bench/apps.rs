//! How throng grows with the number of apps: the same events, sent for one app, for a thousand and for a hundred thousand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use e2e::{App, Client, Throng};
use metadata_store::{KeyKind, MetadataStore, NewKey, SecretKey, SqliteMetadataStore, new_app_id};
use serde_json::{Value, json};

use crate::disk;
use crate::report::{Table, machine, milliseconds, publish, thousands};

const APPS: [usize; 3] = [1, 1_000, 100_000];
const EVENTS: usize = 2_000_000;
const BATCH_EVENTS: usize = 20;
const SENDERS: usize = 16;
const DAYS: i64 = 30;
const ROUNDS: usize = 5;
/// All events are flushed and compaction rests when the store has been the same for so long: longer than the time between two flushes.
const REST: Duration = Duration::from_secs(40);

/// What one number of apps showed, as rows of the table.
type Cells = Vec<(&'static str, String)>;

fn now_ms() -> Result<i64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64)
}

/// Makes apps as `throng app create` does, without a process for each.
fn create_apps(server: &Throng, count: usize) -> Result<Vec<App>> {
    let now_ms = now_ms()?;
    let store = SqliteMetadataStore::open(&server.data().join("metadata.sqlite"), now_ms)?;
    let mut rng = rand::rng();
    let mut create = |number: usize| -> Result<App> {
        let app = metadata_store::App::new(new_app_id(&mut rng), &format!("app {number}"), now_ms);
        let (write, read) = (SecretKey::generate(KeyKind::Write, &mut rng), SecretKey::generate(KeyKind::Read, &mut rng));
        let keys = [(&write, KeyKind::Write), (&read, KeyKind::Read)].map(|(secret, kind)| NewKey::of(secret, &app.id, kind, now_ms));
        store.create_app(&app, &keys)?;
        Ok(App { id: app.id.as_str().to_owned(), write_key: write.as_str().to_owned(), read_key: read.as_str().to_owned() })
    };
    (0..count).map(&mut create).collect()
}

/// A batch of a small site: views of pages and now and then a purchase by a few persons, over the last days.
fn batch(number: usize, now_ms: i64) -> Value {
    let event = |place: usize| {
        let serial = number * BATCH_EVENTS + place;
        let (name, price) = if serial % 10 == 9 { ("purchase", json!(serial % 97)) } else { ("page_view", Value::Null) };
        let country = ["US", "DE", "FR", "IN"][serial % 4];
        let ago_ms = (serial as i64).wrapping_mul(7_919_993) % (DAYS * 86_400_000);
        json!({
            "name": name, "user_id": format!("user-{}", serial % 50_021), "timestamp": now_ms - ago_ms, "insert_id": format!("b-{serial}"),
            "properties": {"url": format!("/item-{}", serial % 211), "country": country, "price": price}
        })
    };
    json!({ "events": (0..BATCH_EVENTS).map(event).collect::<Vec<_>>() })
}

/// Sends all events, the apps in turn; seconds until the last was answered.
fn send(server: &Throng, apps: &[App]) -> Result<f64> {
    let (next, now_ms, started) = (AtomicUsize::new(0), now_ms()?, Instant::now());
    std::thread::scope(|scope| {
        let sender = || -> Result<()> {
            let client = server.client();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= EVENTS / BATCH_EVENTS {
                    return Ok(());
                }
                let app = &apps[number % apps.len()];
                let (status, answer) = client.post("/api/v1/events/batch", &app.write_key, &batch(number, now_ms))?;
                ensure!(status == 200 && answer["accepted"] == BATCH_EVENTS, "{status}: {answer}");
            }
        };
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(sender)).collect();
        senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?)
    })?;
    Ok(started.elapsed().as_secs_f64())
}

/// Waits until nothing is flushed or compacted any more.
fn wait_for_rest(server: &Throng) -> Result<()> {
    let folder = server.data().join("store");
    let (mut last, mut since, begun) = (disk::used(&folder), Instant::now(), Instant::now());
    while since.elapsed() < REST {
        ensure!(begun.elapsed() < Duration::from_secs(600), "the store does not come to rest");
        std::thread::sleep(Duration::from_millis(500));
        let now = disk::used(&folder);
        if (now.bytes, now.segments) != (last.bytes, last.segments) {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(())
}

/// The best of some answers to one question about one app, past the cache of answers.
fn best(client: &Client, app: &App, mut question: Value) -> Result<String> {
    question["cache"] = json!(false);
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        client.ask(app, "query", &question)?;
        best = best.min(started.elapsed());
    }
    Ok(milliseconds(best))
}

fn measure(count: usize) -> Result<Cells> {
    let mut server = Throng::start(&[])?;
    let apps = create_apps(&server, count)?;
    let seconds = send(&server, &apps).with_context(|| format!("{count} apps"))?;
    let (_, peak) = server.memory_bytes()?;
    wait_for_rest(&server)?;
    let ready = server.terminate().and_then(|_| server.restart())?;
    let app = &apps[count / 2];
    let client = server.client();
    let expected = (EVENTS / count) as u64;
    ensure!(client.count_events(app)? == expected, "an app has {} events, not {expected}", client.count_events(app)?);
    let (idle, _) = server.memory_bytes()?;
    let used = disk::used(&server.data().join("store"));
    let live = Instant::now();
    let (status, body) = client.get_with_key(&format!("/api/v1/analytics/{}/realtime?minutes=60", app.id), &app.read_key)?;
    ensure!(status == 200, "{body}");
    let live = live.elapsed();
    Ok(vec![
        ("events of each app", thousands(expected as f64)),
        ("events/s, answered when durable", thousands(EVENTS as f64 / seconds)),
        ("peak memory while sending", format!("{} MB", thousands(peak as f64 / 1e6))),
        ("segments", used.segments.to_string()),
        ("store, bytes an event", format!("{:.1}", used.bytes as f64 / EVENTS as f64)),
        ("start of the server until ready", milliseconds(ready)),
        ("memory after the start", format!("{} MB", thousands(idle as f64 / 1e6))),
        ("one app: events a day, 30 days", best(&client, app, json!({"metric": "events", "interval": "day", "range": "30d"}))?),
        (
            "one app: unique users by country, 30 days",
            best(&client, app, json!({"metric": "unique_users", "group_by": "country", "range": "30d"}))?,
        ),
        ("one app: live read, 60 minutes", milliseconds(live)),
    ])
}

/// Measures and publishes the table.
pub fn run() -> Result<()> {
    let columns = APPS.map(measure).into_iter().collect::<Result<Vec<Cells>>>()?;
    let mut table = Table::new(&["", "1 app", "1,000 apps", "100,000 apps"]);
    for (place, (name, _)) in columns[0].iter().enumerate() {
        let cells = columns.iter().map(|cells| cells[place].1.clone());
        table.row(&[name.to_string()].into_iter().chain(cells).collect::<Vec<_>>());
    }
    let words = format!(
        "{} events over {DAYS} days in requests of {BATCH_EVENTS}, the apps in turn, {SENDERS} connections of a client that is itself busy (the load generator of the table of ingestion has one app only). \
         Questions: best of {ROUNDS} on one app, past the cache of answers. {}.",
        thousands(EVENTS as f64),
        machine()
    );
    publish("Growth with apps", &words, &table)
}
