//! SQL says the same numbers as every other question, and the examples of its page are answered.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event::AppId;
use query::{AppSettings, QueryFailure, QueryOptions, QueryService};
use serde_json::{Value, json};

use crate::dataset::{self, Layout, Loaded};

/// 2026-03-02T00:00:00Z.
const DAY_MS: i64 = 1_772_409_600_000;
const NOW_MS: i64 = DAY_MS + 40 * 86_400_000;

fn settings(timezone: &str) -> AppSettings {
    AppSettings { timezone: timezone.to_owned(), ..AppSettings::new(dataset::app()) }
}

/// A random world: few names, persons with and without ids, sessions of clients, and properties of every type.
fn world(seed: u64, count: usize) -> Vec<Value> {
    let mut state = seed;
    let mut next = move |below: u64| {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    };
    let event = |_| {
        let name = ["page_view", "purchase", "$identify", "search"][next(4) as usize];
        let time_ms = DAY_MS + next(20 * 1_440) as i64 * 60_000;
        let user = next(8);
        let values = [
            json!(1),
            json!(10),
            json!(10.5),
            json!("10"),
            json!("free"),
            json!(true),
            json!(null),
            json!([1, 2]),
            json!({"a": 1}),
            json!(-3),
            json!(9_007_199_254_740_993_i64),
        ];
        let mut properties = serde_json::Map::new();
        if next(4) > 0 {
            properties.insert("p".to_owned(), values[next(10) as usize].clone());
        }
        if next(3) == 0 {
            properties.insert("country".to_owned(), json!(["US", "DE", "FR"][next(3) as usize]));
        }
        if name == "$identify" {
            properties.insert("plan".to_owned(), json!(["free", "pro"][next(2) as usize]));
        }
        json!({
            "name": name,
            "timestamp": event::iso_utc(time_ms),
            "user_id": (user > 2).then(|| format!("u{user}")),
            "anonymous_id": (user == 1 || user == 2).then(|| format!("a{user}")),
            "session_id": (next(5) == 0).then(|| format!("s{}", next(3))),
            "properties": properties,
        })
    };
    (0..count).map(event).collect()
}

fn loaded(lines: &[Value], layout: Layout) -> (Loaded, QueryService) {
    let loaded = dataset::store(lines, layout);
    let service = QueryService::new(loaded.source(), QueryOptions::default());
    (loaded, service)
}

async fn rows(service: &QueryService, app: &AppSettings, statement: &str) -> Value {
    let answer = service.sql(app, json!({"sql": statement}), NOW_MS).await;
    answer.unwrap_or_else(|failure| panic!("{statement}\n{failure:?}")).into_value()["rows"].clone()
}

/// The values of these fields of each row.
async fn asked(service: &QueryService, app: &AppSettings, question: Value, fields: &[&str]) -> Value {
    let answer = service.query(app, question.clone(), NOW_MS).await.unwrap_or_else(|failure| panic!("{question}\n{failure:?}"));
    let row = |row: &Value| Value::Array(fields.iter().map(|field| row[*field].clone()).collect());
    answer["results"].as_array().unwrap().iter().map(row).collect()
}

fn sorted(rows: &Value) -> Vec<String> {
    // Numbers to ten digits: sums in another order differ in the last ones.
    let cell = |cell: &Value| match cell.as_f64() {
        Some(number) => format!("{number:.10e}"),
        None => cell.to_string(),
    };
    let mut rows: Vec<String> =
        rows.as_array().unwrap().iter().map(|row| row.as_array().unwrap().iter().map(cell).collect::<Vec<_>>().join("|")).collect();
    rows.sort();
    rows
}

/// A question, the fields of its rows, and the statement that says the same.
type Case = (Value, &'static [&'static str], &'static str);

/// A question about all time.
fn over_all(mut question: Value) -> Value {
    question["range"] = json!("all");
    question
}

fn counts() -> Vec<Case> {
    vec![
        (
            over_all(json!({"metrics": ["events", "unique_users"]})),
            &["events", "unique_users"],
            "SELECT count(*), count(DISTINCT person) FROM events",
        ),
        (over_all(json!({"metric": "sessions"})), &["sessions"], "SELECT count(*) FROM sessions"),
        (over_all(json!({"metric": "unique_users"})), &["unique_users"], "SELECT count(*) FROM persons"),
        (
            over_all(json!({"metrics": ["events", "unique_users"], "group_by": "event"})),
            &["event", "events", "unique_users"],
            "SELECT event, count(*), count(DISTINCT person) FROM events GROUP BY event",
        ),
        (
            over_all(json!({"metric": "events", "group_by": ["country", "event"]})),
            &["country", "event", "events"],
            "SELECT properties['country'], event, count(*) FROM events GROUP BY 1, 2",
        ),
        (
            over_all(json!({"metrics": ["sum:p", "avg:p", "min:p", "max:p", "median:p"]})),
            &["sum:p", "avg:p", "min:p", "max:p", "median:p"],
            "SELECT sum(properties['p']), avg(properties['p']), min(properties['p']), max(properties['p']), median(properties['p']) FROM events",
        ),
        (
            over_all(json!({"metric": "events", "filters": [{"property": "p", "op": "gt", "value": 5}]})),
            &["events"],
            "SELECT count(*) FROM events WHERE properties['p'] > 5",
        ),
        (
            over_all(json!({"metric": "events", "filters": [{"property": "p", "op": "eq", "value": 10}]})),
            &["events"],
            "SELECT count(*) FROM events WHERE properties.p = 10.0",
        ),
        (
            over_all(json!({"metric": "events", "filters": [{"property": "p", "op": "eq", "value": "10"}]})),
            &["events"],
            "SELECT count(*) FROM events e WHERE text(e.properties['p']) = '10'",
        ),
    ]
}

fn filters_and_times() -> Vec<Case> {
    vec![
        (
            over_all(json!({"metric": "events", "filters": [{"property": "p", "op": "eq", "value": true}]})),
            &["events"],
            "SELECT count(*) FROM events WHERE properties['p'] = true",
        ),
        (
            over_all(json!({"metric": "events", "filters": [{"property": "p", "op": "is_set"}]})),
            &["events"],
            "SELECT count(*) FROM events WHERE properties['p'] IS NOT NULL",
        ),
        (
            over_all(json!({"metric": "events", "filters": [{"property": "p", "op": "neq", "value": "free"}]})),
            &["events"],
            "SELECT count(*) FROM events WHERE text(properties['p']) IS DISTINCT FROM 'free'",
        ),
        (
            over_all(json!({"metric": "events", "filters": [{"property": "country", "op": "in", "value": ["US", "DE"]}]})),
            &["events"],
            "SELECT count(*) FROM events WHERE properties['country'] IN ('US', 'DE')",
        ),
        (
            over_all(json!({"metric": "events", "filters": [{"property": "user.plan", "op": "eq", "value": "pro"}]})),
            &["events"],
            "SELECT count(*) FROM events JOIN persons USING (person) WHERE persons.properties['plan'] = 'pro'",
        ),
        (
            json!({"metric": "events", "from": "2026-03-05", "to": "2026-03-09", "group_by": "event"}),
            &["event", "events"],
            "SELECT event, count(*) FROM events WHERE time >= '2026-03-05' AND time < '2026-03-09' GROUP BY event",
        ),
        (
            json!({"metric": "unique_users", "from": "2026-03-05", "to": "2026-03-09", "event": "purchase"}),
            &["unique_users"],
            "SELECT count(DISTINCT person) FROM events WHERE time BETWEEN '2026-03-05' AND '2026-03-08 23:59:59.999' AND event = 'purchase'",
        ),
        (
            json!({"metric": "events", "from": "2026-03-02", "to": "2026-03-22", "interval": "day", "events": ["purchase", "search"]}),
            &["time", "events"],
            "SELECT date_trunc('day', time), count(*) FROM events WHERE time < '2026-03-22' AND time >= '2026-03-02' \
             AND event IN ('purchase', 'search') GROUP BY 1",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_and_questions_agree_on_random_worlds() {
    let cases: Vec<Case> = counts().into_iter().chain(filters_and_times()).collect();
    for (seed, layout, timezone) in [
        (1, Layout::Memory, "UTC"),
        (2, Layout::Flushed, "America/New_York"),
        (3, Layout::Mixed, "Asia/Kolkata"),
        (4, Layout::Mixed, "UTC"),
    ] {
        let lines = world(seed, 700);
        let app = settings(timezone);
        let (_loaded, service) = loaded(&lines, layout);
        for (question, fields, statement) in &cases {
            let mut expected = asked(&service, &app, question.clone(), fields).await;
            if question.get("interval").is_some() {
                expected.as_array_mut().unwrap().retain(|row| row[1] != json!(0));
            }
            let answered = rows(&service, &app, statement).await;
            assert_eq!(sorted(&answered), sorted(&expected), "{statement} in {timezone}, world {seed}, {layout:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_pauses_agree_by_day() {
    let mut lines = world(9, 600);
    lines.iter_mut().for_each(|line| line["session_id"] = Value::Null);
    let app = settings("Europe/Berlin");
    let (_loaded, service) = loaded(&lines, Layout::Mixed);
    let question = json!({"metric": "sessions", "from": "2026-03-04", "to": "2026-03-20", "interval": "day"});
    let mut expected = asked(&service, &app, question, &["time", "sessions"]).await;
    expected.as_array_mut().unwrap().retain(|row| row[1] != json!(0));
    let statement = "SELECT date_trunc('day', started_at) AS day, count(*) FROM sessions \
        WHERE started_at >= '2026-03-04' AND started_at < '2026-03-20' GROUP BY day";
    assert_eq!(sorted(&rows(&service, &app, statement).await), sorted(&expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_keep_their_types_and_digits() {
    let at = "2026-03-02T10:00:00Z";
    let line = |p: Value| json!({"name": "e", "timestamp": at, "user_id": "u", "properties": {"p": p, "it's \"odd\".name": 1}});
    let values = [
        json!("x"),
        json!(10),
        json!(10.0),
        json!("10"),
        json!(true),
        json!([1, "a"]),
        json!({"k": 2}),
        json!(null),
        json!(9_007_199_254_740_993_i64),
        json!(0.1),
        json!(""),
    ];
    let lines: Vec<Value> = values.into_iter().map(line).collect();
    for layout in [Layout::Memory, Layout::Flushed] {
        let (_loaded, service) = loaded(&lines, layout);
        let app = settings("UTC");
        let by = async |expr: &str| {
            let statement = format!("SELECT {expr} AS v, count(*) FROM events GROUP BY v ORDER BY v NULLS LAST");
            rows(&service, &app, &statement).await
        };
        assert_eq!(
            by("properties['p']").await,
            json!([
                ["", 1],
                ["0.1", 1],
                ["10", 3],
                ["9007199254740993", 1],
                ["[1,\"a\"]", 1],
                ["true", 1],
                ["x", 1],
                ["{\"k\":2}", 1],
                [null, 1]
            ])
        );
        assert_eq!(by("text(properties['p'])").await, json!([["", 1], ["10", 1], ["x", 1], [null, 8]]));
        assert_eq!(by("integer(properties['p'])").await, json!([[10, 2], [9_007_199_254_740_993_i64, 1], [null, 8]]));
        assert_eq!(by("boolean(properties['p'])").await, json!([[true, 1], [null, 10]]));
        assert_eq!(rows(&service, &app, "SELECT count(number(properties['p'])) FROM events").await, json!([[4]]));
        assert_eq!(rows(&service, &app, "SELECT sum(properties['it''s \"odd\".name']) FROM events").await, json!([[11]]));
        assert_eq!(
            rows(&service, &app, "SELECT properties FROM events WHERE properties['p'] = 0.1").await,
            json!([["{\"it's \\\"odd\\\".name\":1,\"p\":0.1}"]])
        );
        let answer = service.sql(&app, json!({"sql": "SELECT *, properties['p'], 1 + 1 FROM events LIMIT 1"}), NOW_MS).await.unwrap();
        let names: Vec<&str> = answer["columns"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
        assert_eq!(names[..3], ["event", "time", "person"]);
        assert_eq!(names[names.len() - 2..], ["properties['p']", "1 + 1"]);
        assert_eq!(names.len(), 12);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_is_wrong_and_the_way_out() {
    let (_loaded, service) = loaded(&world(5, 50), Layout::Memory);
    let app = settings("UTC");
    for (request, code, words) in [
        (json!({}), "invalid_request", "one SELECT"),
        (json!({"sql": 5}), "invalid_request", "as text"),
        (json!({"sql": "SELECT 1", "limit": 5}), "invalid_request", "limit"),
        (json!({"sql": "SELECT 1", "app_id": "OTHER"}), "wrong_app", "another app"),
        (json!({"sql": "SELEC 1"}), "invalid_sql", "not SQL"),
        (json!({"sql": "SELECT evnt FROM events"}), "invalid_sql", "did you mean event?"),
        (json!({"sql": "SELECT plan FROM events"}), "invalid_sql", "properties['plan']"),
        (json!({"sql": "SELECT e.event FROM events"}), "invalid_sql", "e.event"),
        (json!({"sql": "SELECT event"}), "invalid_sql", "FROM events"),
        (json!({"sql": "SELECT * FROM evnts"}), "sql_not_allowed", "did you mean events?"),
        (json!({"sql": "SELECT medain(1)"}), "sql_not_allowed", "did you mean median?"),
        (json!({"sql": "DROP TABLE events"}), "sql_not_allowed", "DROP is not available"),
        (json!({"sql": "SELECT properties['x'] FROM (SELECT event FROM events) s"}), "invalid_sql", "properties['x'] AS name"),
        (json!({"sql": "SELECT person FROM events a JOIN persons b ON true"}), "invalid_sql", "several tables"),
        (json!({"sql": "SELECT event + 1 FROM events"}), "invalid_sql", "text + integer"),
        (json!({"sql": "SELECT CAST(properties['p'] AS integer) FROM events WHERE properties['p'] = 'free'"}), "invalid_sql", "free"),
        (json!({"sql": "SELECT 1 / 0"}), "invalid_sql", "division by zero"),
        (json!({"sql": "SELECT event, count(*) FROM events"}), "invalid_sql", "GROUP BY"),
        (json!({"sql": "SELECT time FROM events WHERE time > 'yesterday'"}), "invalid_sql", "yesterday"),
        (json!({"sql": format!("SELECT {}", "1 + ".repeat(200) + "1")}), "sql_too_large", "64"),
        (json!({"sql": "x".repeat(40_000)}), "sql_too_large", "32768"),
    ] {
        let failure = service.sql(&app, request.clone(), NOW_MS).await.map(|answer| answer["rows"].clone()).unwrap_err();
        let QueryFailure { code: found, message, .. } = &failure;
        assert!(*found == code && message.contains(words), "{request}: {failure:?}");
        for inner in ["DataFusion", "datafusion", "Utf8", "Error during planning", "\u{1}", "SchemaError", "throng_concat"] {
            assert!(!message.contains(inner), "{request}: {message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn examples_of_the_page_are_answered() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sql.md");
    let text = std::fs::read_to_string(page).unwrap();
    let examples: Vec<&str> = text.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 6);
    let mut lines = world(6, 900);
    for line in &mut lines {
        let price = line["properties"]["p"].clone();
        line["properties"]["price"] = price;
    }
    let (_loaded, service) = loaded(&lines, Layout::Mixed);
    for example in examples {
        let rows = rows(&service, &settings("Europe/Berlin"), example).await;
        assert!(!rows.as_array().unwrap().is_empty(), "{example}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_whose_client_left_ends_soon_and_gives_its_memory_back() {
    let (_loaded, service) = loaded(&world(7, 20_000), Layout::Flushed);
    let service = Arc::new(service);
    let product =
        json!({"sql": "SELECT count(*) FROM events a CROSS JOIN events b CROSS JOIN events c WHERE a.time > b.time AND b.time > c.time"});
    let (asking, app) = (Arc::clone(&service), settings("UTC"));
    let asked = tokio::spawn(async move { asking.sql(&app, product, NOW_MS).await.map(|_| ()) });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(service.figures().running, 1);
    asked.abort();
    let left = Instant::now();
    while service.figures().running > 0 {
        assert!(left.elapsed() < Duration::from_secs(1), "still running");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    while service.figures().memory_bytes > 0 {
        assert!(left.elapsed() < Duration::from_secs(2), "{} bytes are held", service.figures().memory_bytes);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(AppId::new("APP-1").unwrap(), dataset::app());
}
