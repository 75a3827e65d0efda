//! Recorded data with answers on which DuckDB and ClickHouse agree: imported through the command line, asked through the API.
//!
//! The sets lie beside the checkout (`THRONG_TEST_DATA`, or `../shared/data`) and are not part of it; where they are absent the tests say so and pass.
//! Analyses that have no call of their own yet are computed here from what `/events` gives back, which proves that every event came back as it went in.

mod raw_events;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use e2e::{App, Client, Throng, data_sets};
use raw_events::RawEvents;
use serde_json::{Value, json};

/// What a set's questions need beyond the common ones.
struct Set {
    folder: &'static str,
    filter: Value,
    steps: Value,
    local_zone: &'static str,
}

fn set(folder: &'static str) -> Set {
    match folder {
        "apache_log" => {
            let page = |section: &str| json!({"event": "page", "filters": [{"property": "section", "op": "eq", "value": section}]});
            Set {
                folder,
                filter: json!({"property": "status", "op": "eq", "value": 404}),
                steps: json!([page("/blog"), page("/projects"), page("/articles")]),
                local_zone: "Australia/Sydney",
            }
        }
        "deskdrop" => Set {
            folder,
            filter: json!({"property": "country", "op": "eq", "value": "BR"}),
            steps: json!(["VIEW", "LIKE", "COMMENT CREATED"]),
            local_zone: "America/Sao_Paulo",
        },
        _ => {
            let line =
                |op: &str, value: f64| json!({"event": "purchase_line", "filters": [{"property": "unit_price", "op": op, "value": value}]});
            Set {
                folder: "online_retail",
                filter: json!({"property": "country", "op": "eq", "value": "Germany"}),
                steps: json!([line("lt", 1.0), line("gte", 5.0), "cancel"]),
                local_zone: "America/New_York",
            }
        }
    }
}

const EVER: (&str, &str) = ("2000-01-01", "2030-01-01");

struct Questions<'a> {
    client: &'a Client,
    app: &'a App,
    set: &'a Set,
    events: RawEvents,
    days: (String, String),
}

type Rows = Vec<Vec<Value>>;

impl Questions<'_> {
    /// Asks `/query` over all time, or day by day over the days of the set, and returns the named columns of the rows that have events.
    fn query(&self, mut request: Value, columns: &[&str]) -> Result<Rows> {
        let bounded = request.get("interval").is_some();
        let (from, to) = if bounded { (self.days.0.as_str(), self.days.1.as_str()) } else { EVER };
        request["from"] = json!(from);
        request["to"] = json!(to);
        let answer = self.client.ask(self.app, "query", &request)?;
        assert_eq!(answer["exact"], json!(true), "{answer}");
        let rows = answer["results"].as_array().context("results")?;
        let first_metric = columns.iter().find(|column| ["events", "unique_users", "sessions"].contains(column)).context("a metric")?;
        let kept = rows.iter().filter(|row| row[*first_metric] != json!(0));
        Ok(kept.map(|row| columns.iter().map(|column| row[*column].clone()).collect()).collect())
    }

    fn per(&self, interval: &str, metric: &str, zone: &str, digits: usize) -> Result<Rows> {
        let mut rows = self.query(json!({"metric": metric, "interval": interval, "timezone": zone}), &["time", metric])?;
        rows.iter_mut().for_each(|row| row[0] = json!(&row[0].as_str().unwrap_or_default()[..digits]));
        Ok(rows)
    }

    fn top(&self, property: &str) -> Result<Rows> {
        let filters = json!([{"property": property, "op": "is_set"}, {"property": property, "op": "neq", "value": ""}]);
        let request = json!({"metrics": ["events", "unique_users"], "group_by": property, "filters": filters, "limit": 10});
        let rows = self.query(request, &[property, "events", "unique_users"])?;
        Ok(rows.into_iter().filter(|row| row[0] != json!("$other")).collect())
    }

    fn funnel(&self, steps: &Value, window: &str) -> Result<Vec<Value>> {
        let request = json!({"steps": steps, "window": window, "from": EVER.0, "to": EVER.1});
        let answer = self.client.ask(self.app, "funnel", &request)?;
        Ok(answer["funnel"].as_array().context("funnel")?.iter().map(|step| step["users"].clone()).collect())
    }

    /// The recorded answer counts a person under each value of its first steps: one funnel a value.
    fn funnel_by(&self, property: &str, expected: &Rows) -> Result<Rows> {
        let mut rows = Vec::new();
        for row in expected {
            let value = match row[0].as_str().and_then(|text| text.parse::<i64>().ok()) {
                Some(number) => json!(number),
                None => row[0].clone(),
            };
            let mut first = self.set.steps[0].clone();
            if first.is_string() {
                first = json!({"event": first, "filters": []});
            }
            first["filters"].as_array_mut().context("filters")?.push(json!({"property": property, "op": "eq", "value": value}));
            let users = self.funnel(&json!([first, self.set.steps[1]]), "1d")?;
            rows.push(vec![row[0].clone(), users[0].clone(), users[1].clone()]);
        }
        Ok(rows)
    }

    fn busiest_day_by_hour(&self) -> Result<Rows> {
        let days = self.per("day", "events", "UTC", 10)?;
        let mut best: Option<&Vec<Value>> = None;
        for day in &days {
            if best.is_none_or(|best| day[1].as_u64() > best[1].as_u64()) {
                best = Some(day);
            }
        }
        let day = best.context("a day")?[0].as_str().unwrap_or_default().to_owned();
        let rows = self.per("hour", "events", "UTC", 16)?;
        Ok(rows.into_iter().filter(|row| row[0].as_str().unwrap_or_default().starts_with(&day)).collect())
    }

    fn answer(&self, id: &str, expected: &Rows) -> Result<Rows> {
        let both = json!(["events", "unique_users"]);
        match id {
            "totals" => {
                let all = self.query(json!({"metrics": both}), &["events", "unique_users"])?.remove(0);
                let with_user =
                    self.query(json!({"metric": "events", "filters": [{"property": "user_id", "op": "is_set"}]}), &["events"])?.remove(0);
                Ok(vec![vec![all[0].clone(), with_user[0].clone(), all[1].clone()]])
            }
            "events_by_name" => self.query(json!({"metrics": both, "group_by": "event"}), &["event", "events", "unique_users"]),
            "events_per_day_utc" => self.per("day", "events", "UTC", 10),
            "users_per_day_utc" => self.per("day", "unique_users", "UTC", 10),
            "users_per_day_local" => self.per("day", "unique_users", self.set.local_zone, 10),
            "users_per_week" => self.per("week", "unique_users", "UTC", 10),
            "events_per_hour_of_busiest_day" => self.busiest_day_by_hour(),
            "filtered_per_day" => {
                let request = json!({"metrics": both, "interval": "day", "timezone": "UTC", "filters": [self.set.filter]});
                let mut rows = self.query(request, &["time", "events", "unique_users"])?;
                rows.iter_mut().for_each(|row| row[0] = json!(&row[0].as_str().unwrap_or_default()[..10]));
                Ok(rows)
            }
            "funnel_1h" | "funnel_1d" | "funnel_7d" => Ok(vec![self.funnel(&self.set.steps, &id[7..])?]),
            "sessions_30m" => {
                let counted = self.query(json!({"metric": "sessions"}), &["sessions"])?.remove(0).remove(0);
                let rows = self.events.sessions(30 * 60_000);
                assert_eq!(counted, rows[0][0], "the sessions metric and the raw events differ");
                Ok(rows)
            }
            "new_users_per_day" => Ok(self.events.new_users_per_day()),
            "stickiness" => Ok(self.events.stickiness()),
            "retention_day_0_7" => Ok(self.events.day_retention(7)),
            _ if id.starts_with("top10_") => self.top(&id["top10_".len()..]),
            _ if id.starts_with("funnel2_1d_by_") => self.funnel_by(&id["funnel2_1d_by_".len()..], expected),
            _ => anyhow::bail!("the set has a new question: {id}"),
        }
    }
}

/// Session ids of the recorded sets are one of their properties, not ours, so sessions are cut by time as the recorded answers do.
fn import(server: &Throng, app: &App, file: &Path) -> Result<()> {
    let output = Command::new(Throng::program()?)
        .args(["import", &file.display().to_string(), "--url", &server.url(), "--write-key", &app.write_key, "--map", "insert_id=event_id"])
        .output()?;
    anyhow::ensure!(output.status.success(), "import: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn check(folder: &'static str) -> Result<()> {
    let Some(sets) = data_sets() else {
        eprintln!("skipped: {folder} is not beside this checkout");
        return Ok(());
    };
    let set = set(folder);
    let server = Throng::start(&[])?;
    let app = server.create_app(folder, &["--raw-retention", "forever"])?;
    let file = sets.join(set.folder).join("events.ndjson.gz");
    import(&server, &app, &file)?;
    // The second import must change nothing: every event carries its insert id.
    if folder == "apache_log" {
        import(&server, &app, &file)?;
    }
    let recorded: Value = serde_json::from_slice(&std::fs::read(sets.join(set.folder).join("answers.json"))?)?;
    let answers = recorded["answers"].as_array().context("answers")?;
    let rows_of = |answer: &Value| -> Rows { serde_json::from_value(answer["answer"].clone()).unwrap_or_default() };
    let by_id: BTreeMap<&str, Rows> = answers.iter().map(|answer| (answer["id"].as_str().unwrap_or_default(), rows_of(answer))).collect();
    let total = by_id["totals"][0][0].as_u64().context("totals")?;
    let client = server.client();
    client.wait_for_events(&app, total)?;
    let events = RawEvents::fetch(&client, &app)?;
    assert_eq!(events.len() as u64, total);
    let questions = Questions { client: &client, app: &app, set: &set, days: events.days(), events };
    for (id, expected) in &by_id {
        let got = questions.answer(id, expected).with_context(|| format!("{folder} {id}"))?;
        assert_eq!(as_text(&got), as_text(expected), "{folder} {id}");
    }
    eprintln!("{folder}: {} questions answered as recorded", by_id.len());
    Ok(())
}

/// Recorded answers print every value of a property as text.
fn as_text(rows: &Rows) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" | ")).collect()
}

#[test]
fn apache_log_gives_the_recorded_answers() -> Result<()> {
    check("apache_log")
}

#[test]
fn deskdrop_gives_the_recorded_answers() -> Result<()> {
    check("deskdrop")
}

#[test]
fn online_retail_gives_the_recorded_answers() -> Result<()> {
    check("online_retail")
}
