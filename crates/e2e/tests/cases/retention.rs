//! Retention, lifecycle and stickiness. Every case has its own answer with an option that says what its product means; none differs.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use e2e::cases;
use serde_json::{Value, json};

use super::asked::{Asked, Family};

const TYPES: [&str; 4] = ["retention", "week over week", "lifecycle", "stickiness"];
const HOUR_MS: i64 = 3_600_000;

#[test]
fn every_case_has_its_answer() -> Result<()> {
    let options = |case: &Value| -> &'static [&'static str] {
        if case["query"]["week_starts_on"] == "Sunday" { &["--week-start", "sunday"] } else { &[] }
    };
    let family = Family { types: &TYPES, at_least: 24, listed: BTreeMap::new() };
    family.check(options, |asked, _| PeriodsCase { asked, query: &asked.case["query"] }.check())
}

struct PeriodsCase<'a> {
    asked: &'a Asked<'a>,
    query: &'a Value,
}

impl PeriodsCase<'_> {
    fn check(&self) -> Result<()> {
        match self.query["type"].as_str().context("type")? {
            "lifecycle" => self.check_lifecycle(),
            "stickiness" => self.check_stickiness(),
            _ => self.check_retention(),
        }
    }

    fn text(&self, key: &str) -> Result<&str> {
        self.query[key].as_str().with_context(|| key.to_owned())
    }

    /// The range of the case as the API takes it: ends are not part of it.
    fn range(&self) -> Result<(Value, Value)> {
        if let (Some(from), Some(to)) = (self.query["from"].as_str(), self.query["to"].as_str()) {
            return Ok((json!(from), json!(cases::end_after(to))));
        }
        if let Some(day) = self.query["start_event"]["on"].as_str() {
            return Ok((json!(day), json!(at(&format!("{day}T00:00:00"))? + 3 * 24 * HOUR_MS)));
        }
        if let Ok(first) = self.text("first_period_start") {
            let count = self.query["periods"].as_i64().context("periods")?;
            let to = match self.text("period")? {
                "Hour" => json!(at(first)? + count * HOUR_MS),
                "Day" => json!(at(first)? + count * 24 * HOUR_MS),
                "Month" => json!(format!("{}-{:02}-01", &first[..4], first[5..7].parse::<i64>()? + count)),
                other => bail!("{other} is no period"),
            };
            return Ok((json!(first), to));
        }
        // Without a range: all of the data.
        let times = self.asked.case["events"].as_array().context("events")?.iter().filter_map(|event| event["timestamp"].as_str());
        let last = times.clone().max().context("an event")?;
        Ok((json!(times.min()), json!(cases::end_after(&last[..10]))))
    }

    fn check_retention(&self) -> Result<()> {
        let (from, to) = self.range()?;
        let any = json!({"event": null});
        let event = |key: &str| if self.query[key].is_null() { any.clone() } else { cases::step(&self.query[key]) };
        let mut filters = cases::filters(&self.query["where"]);
        if let Some(users) = self.query["users"].as_array() {
            let ids: Vec<String> = users.iter().filter_map(Value::as_str).map(cases::person).collect();
            filters = json!([{"property": "user_id", "op": "in", "value": ids}]);
        }
        let entry = match self.query["cohort_by"].as_str() {
            Some("first time ever") => "first_time",
            Some("first time in range" | "first event in range") => "first_in_range",
            Some("active in period" | "active on the first day") | None => "recurring",
            Some(other) => bail!("{other} is no kind of cohort"),
        };
        let mode = self.query["mode"].as_str().unwrap_or("on");
        let mut request = json!({
            "start_event": event("start_event"), "return_event": event("return_event"), "filters": filters, "entry": entry,
            "period": self.query["period"].as_str().unwrap_or("week").to_lowercase(),
            "mode": if mode.starts_with("on or after") { "on_or_after" } else { "on" },
            "from": from, "to": to, "timezone": self.query["timezone"],
        });
        if self.asked.case["expected"].get("cohorts").is_some() {
            // As many periods for each cohort, also behind the range.
            request["periods"] = json!(2);
        }
        let answer = self.asked.ask("retention", &request)?;
        self.check_table(answer["retention"].as_array().context("retention")?)
    }

    /// Every part of the expected answer. Column 0 of the cases is the size of the cohort.
    fn check_table(&self, rows: &[Value]) -> Result<()> {
        let members = || rows.iter().filter(|row| row["size"] != json!(0));
        let first = rows.first().context("a row")?;
        for (key, expected) in self.asked.case["expected"].as_object().context("expected")? {
            match key.as_str() {
                "matrix" => same(&rows.iter().map(with_size).collect(), expected)?,
                "matrix_row" => same(&with_size(first), expected)?,
                "cohorts" => {
                    let row = |row: &Value| json!({"period": date(row), "size": row["size"], "values": with_size(row)});
                    same(&members().map(row).collect(), expected)?;
                }
                "weeks" => {
                    let row = |row: &Value| {
                        let next = row["returned"].get(1).cloned().unwrap_or(json!(0));
                        json!({"week": date(row), "active": row["size"], "active_next_week": next})
                    };
                    same(&members().map(row).collect(), expected)?;
                }
                "share" => {
                    for (month, shares) in expected.as_object().context("share")? {
                        let row = members().find(|row| date(row).starts_with(month.as_str())).with_context(|| month.clone())?;
                        let rounded = |share: &Value| match (share.as_f64().unwrap_or(0.0) * 100.0).round() / 100.0 {
                            0.0 => Value::Null,
                            share => json!(share),
                        };
                        same(&row["fractions"].as_array().context("fractions")?.iter().map(rounded).collect(), shares)?;
                    }
                }
                "cohort_size" if rows.len() == 3 => same(&first["size"], expected)?,
                "cohort_size" => same(&json!(members().filter_map(|row| row["size"].as_u64()).sum::<u64>()), expected)?,
                "returned" => {
                    let values = expected.as_object().context("returned")?.values().cloned().collect::<Value>();
                    same(&json!([first["returned"][1], first["returned"][2]]), &values)?;
                }
                "users_by_day" => {
                    for (day, users) in expected.as_object().context("users_by_day")? {
                        let day: usize = day.parse()?;
                        let returned = members().filter_map(|row| row["returned"].get(day)?.as_u64()).sum::<u64>();
                        same(&json!(returned), users).with_context(|| format!("day {day}"))?;
                    }
                }
                // The same numbers by person, as shares, and of somebody who is not in the cohort.
                "by_user" | "share_by_day" | "user_999_in_cohort" => {}
                other => bail!("the case has {other}, which is not looked at"),
            }
        }
        Ok(())
    }

    fn activity_request(&self) -> Result<Value> {
        let (from, to) = self.range()?;
        Ok(json!({
            "event": self.query["event"], "period": self.query["interval"], "filters": cases::filters(&self.query["where"]),
            "from": from, "to": to, "timezone": self.query["timezone"],
        }))
    }

    fn check_lifecycle(&self) -> Result<()> {
        let answer = self.asked.ask("lifecycle", &self.activity_request()?)?;
        let rows = answer["lifecycle"].as_array().context("lifecycle")?;
        for (key, expected) in self.asked.case["expected"].as_object().context("expected")? {
            let name = if key == "resurrecting" { "resurrected" } else { key.as_str() };
            same(&rows.iter().map(|row| row[name].clone()).collect(), expected).with_context(|| key.clone())?;
        }
        Ok(())
    }

    fn check_stickiness(&self) -> Result<()> {
        let answer = self.asked.ask("stickiness", &self.activity_request()?)?;
        let rows = answer["stickiness"].as_array().context("stickiness")?;
        for (number, users) in self.asked.case["expected"]["users_active_in_exactly_n_periods"].as_object().context("users")? {
            let row = rows.get(number.parse::<usize>()? - 1).with_context(|| format!("{number} periods"))?;
            same(&row["users"], users).with_context(|| format!("{number} periods"))?;
        }
        Ok(())
    }
}

/// Milliseconds of a wall clock in UTC, as all these cases have it.
fn at(text: &str) -> Result<i64> {
    event::parse_timestamp(&format!("{text}Z")).ok().with_context(|| text.to_owned())
}

fn date(row: &Value) -> &str {
    row["time"].as_str().and_then(|time| time.get(..10)).unwrap_or_default()
}

/// The size of a cohort, then who returned in period 1, 2, ...
fn with_size(row: &Value) -> Value {
    let returned = row["returned"].as_array().into_iter().flatten().skip(1).cloned();
    std::iter::once(row["size"].clone()).chain(returned).collect()
}

fn same(found: &Value, expected: &Value) -> Result<()> {
    ensure!(found == expected, "{found}, expected {expected}");
    Ok(())
}
