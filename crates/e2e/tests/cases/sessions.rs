//! Sessions, those of trends too, and running sums. `sessions.json` lists the case where our rule differs by choice.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use e2e::cases;
use serde_json::{Value, json};

use super::asked::{Asked, Family, differs};

#[test]
fn every_case_has_its_answer_or_a_reason() -> Result<()> {
    let listed = serde_json::from_str(include_str!("sessions.json"))?;
    let family = Family { types: &["sessions"], at_least: 5, listed };
    family.check(
        |_| &[],
        |asked, listed| match listed {
            None => SessionsCase(asked).check(&[]),
            Some(listed) => SessionsCase(asked).check_listed(listed),
        },
    )
}

#[test]
fn every_trend_of_sessions_has_its_answer() -> Result<()> {
    let family = Family { types: &["trend"], at_least: 20, listed: BTreeMap::new() };
    family.check(
        |_| &[],
        |asked, _| {
            let measure = asked.case["query"]["measure"].as_str().unwrap_or_default();
            if asked.case["query"]["cumulative"] == true {
                return SessionsCase(asked).check_cumulative();
            }
            if measure.contains("session") { SessionsCase(asked).check_trend(measure) } else { Ok(()) }
        },
    )
}

struct SessionsCase<'a>(&'a Asked<'a>);

impl SessionsCase<'_> {
    fn ask(&self, request: &Value) -> Result<Value> {
        self.0.ask("sessions", request)
    }

    /// `"30 minute"` as the API takes it.
    fn gap(&self, key: &str) -> Result<String> {
        let gap = self.0.case["query"][key].as_str().with_context(|| key.to_owned())?;
        let (count, unit) = gap.split_once(' ').with_context(|| format!("{gap} is no gap"))?;
        Ok(format!("{count}{}", unit.get(..1).context("a unit")?))
    }

    /// Only the listed sessions differ; with the option they do not.
    fn check_listed(&self, listed: &Value) -> Result<()> {
        differs(listed, &self.check(&[]))?;
        let ids: Vec<&str> = listed["sessions"].as_array().context("sessions")?.iter().filter_map(Value::as_str).collect();
        self.check(&ids)?;
        for id in ids {
            let expected = &self.0.case["expected"][id];
            let statement = format!("{}'{id}'", listed["option"]["sql"].as_str().context("a statement")?);
            let row = self.0.ask("sql", &json!({ "sql": statement }))?["rows"][0].clone();
            let times = [&row[2], &row[3], &expected["start"], &expected["end"]].map(|time| event_ms(time.as_str().unwrap_or_default()));
            ensure!((&row[0], &row[1]) == (&expected["events"], &expected["page_views"]), "{row}, expected {expected}");
            ensure!(times[0].is_some() && times[..2] == times[2..], "{row}, expected {expected}");
        }
        Ok(())
    }

    /// Without the sessions of these ids.
    fn check(&self, without: &[&str]) -> Result<()> {
        let expected = &self.0.case["expected"];
        if self.0.case["query"].get("gap").is_none() {
            return self.check_by_id(expected, without);
        }
        let answer = self.ask(&json!({"range": "all", "session": {"idle": self.gap("gap")?}}))?;
        ensure!(answer["sessions"][0]["sessions"] == expected["sessions"], "{answer}");
        // The session of each event of a person, counted from 1.
        let Some(of_events) = expected["session_of_each_event"].as_array() else { return Ok(()) };
        let events = self.0.case["events"].as_array().context("events")?;
        let last = |user: &Value| {
            let numbers = events.iter().zip(of_events).filter(|(event, _)| event["user_id"] == *user);
            numbers.filter_map(|(_, number)| number.as_u64()).max().unwrap_or_default()
        };
        for user in events.iter().map(|event| &event["user_id"]) {
            let id = cases::person(user.as_str().context("user_id")?);
            let filters = json!([{"property": "user_id", "op": "eq", "value": id}]);
            let answer = self.ask(&json!({"range": "all", "session": {"idle": self.gap("gap")?}, "filters": filters}))?;
            ensure!(answer["sessions"][0]["sessions"] == last(user), "{id}: {answer}");
        }
        Ok(())
    }

    /// Each session with its page views, events, and how long it is.
    fn check_by_id(&self, expected: &Value, without: &[&str]) -> Result<()> {
        let pages = json!({"property": "page_urlpath", "event": "page_view"});
        let answer = self.ask(&json!({"range": "all", "group_by": "session_id", "limit": 1_000, "pages": pages}))?;
        let rows = answer["sessions"].as_array().context("rows")?;
        for (id, expected) in expected.as_object().context("expected")?.iter().filter(|(id, _)| !without.contains(&id.as_str())) {
            let row = rows.iter().find(|row| row["session_id"] == *id).with_context(|| format!("no session {id}: {answer}"))?;
            let at = |key: &str| event_ms(expected[key].as_str().unwrap_or_default()).with_context(|| key.to_owned());
            let found = json!([row["sessions"], row["pages"], row["events"], row["median_length_ms"]]);
            let expected = json!([1, expected["page_views"], expected["events"], at("end")? - at("start")?]);
            ensure!(found == expected, "{id}: {found}, expected {expected}");
        }
        Ok(())
    }

    /// Running sums of events.
    fn check_cumulative(&self) -> Result<()> {
        let (query, expected) = (&self.0.case["query"], &self.0.case["expected"]["series"]);
        for (at, series) in query["series"].as_array().context("series")?.iter().enumerate() {
            ensure!(series["measure"] == "event count", "{series} is no count of events");
            let request = json!({
                "metric": {"fn": "events", "event": series["event"], "cumulative": true, "name": "value"}, "interval": query["interval"],
                "from": query["from"], "to": cases::end_after(query["to"].as_str().context("to")?), "timezone": query["timezone"],
            });
            let answer = self.0.ask("query", &request)?;
            let rows = answer["results"].as_array().context("rows")?;
            for (day, expected) in expected[at]["points"].as_object().context("points")? {
                let row = rows.iter().find(|row| row["time"].as_str().is_some_and(|time| time.starts_with(day))).context("a row")?;
                ensure!(row["value"].as_f64() == expected.as_f64(), "{row}, expected {expected}");
            }
        }
        Ok(())
    }

    fn check_trend(&self, measure: &str) -> Result<()> {
        let (query, expected) = (&self.0.case["query"], &self.0.case["expected"]);
        let request = json!({
            "interval": query["interval"], "from": query["from"], "to": cases::end_after(query["to"].as_str().context("to")?),
            "timezone": query["timezone"], "session": {"idle": self.gap("session_gap")?}, "bounce": {"event": "pageview"},
        });
        let answer = self.ask(&request)?;
        let rows = answer["sessions"].as_array().context("rows")?;
        ensure!(rows.len() as u64 == expected["days"], "{} days", rows.len());
        // The source has 0 where there is no session; of none, ours is null.
        let value = |row: &Value| match measure {
            "average session duration in seconds" => Ok(row["avg_length_ms"].as_f64().unwrap_or(0.0) / 1_000.0),
            "percent of sessions with a single pageview" => Ok(row["bounce_rate"].as_f64().unwrap_or(0.0) * 100.0),
            other => bail!("{other} is no measure of sessions"),
        };
        for (key, day) in [("first_day", 0), ("day_3", 2), ("last_day", rows.len() - 1)] {
            if let Some(expected) = expected[key].as_f64() {
                let found = value(&rows[day])?;
                ensure!((found - expected).abs() < 1e-9, "{key} is {found}, expected {expected}: {}", rows[day]);
            }
        }
        Ok(())
    }
}

/// Milliseconds of an ISO time in UTC.
fn event_ms(text: &str) -> Option<i64> {
    event::parse_timestamp(text).ok()
}
