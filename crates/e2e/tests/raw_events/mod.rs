//! All events of an app as `/events` gives them back, and the analyses that have no call of their own yet, in the plainest form.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use e2e::{App, Client};
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;

/// Times by person, ascending; events without a person only count.
pub struct RawEvents {
    count: usize,
    first_ms: i64,
    last_ms: i64,
    by_person: BTreeMap<String, Vec<i64>>,
}

impl RawEvents {
    /// Reads everything, page by page.
    pub fn fetch(client: &Client, app: &App) -> Result<Self> {
        let mut all = Self { count: 0, first_ms: i64::MAX, last_ms: i64::MIN, by_person: BTreeMap::new() };
        let mut cursor = Value::Null;
        loop {
            let mut request = json!({"from": "2000-01-01", "to": "2030-01-01", "limit": 10_000});
            if !cursor.is_null() {
                request["cursor"] = cursor;
            }
            let page = client.ask(app, "events", &request)?;
            for event in page["events"].as_array().context("events")? {
                all.add(event)?;
            }
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        all.by_person.values_mut().for_each(|times| times.sort_unstable());
        Ok(all)
    }

    fn add(&mut self, event: &Value) -> Result<()> {
        let time_ms = event["timestamp"].as_str().and_then(parse_utc_ms).with_context(|| event.to_string())?;
        self.count += 1;
        self.first_ms = self.first_ms.min(time_ms);
        self.last_ms = self.last_ms.max(time_ms);
        if let Some(person) = event["user_id"].as_str() {
            self.by_person.entry(person.to_owned()).or_default().push(time_ms);
        }
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// A range of whole days that holds all events in every time zone.
    pub fn days(&self) -> (String, String) {
        (date_of(self.first_ms.div_euclid(DAY_MS) - 1), date_of(self.last_ms.div_euclid(DAY_MS) + 2))
    }

    pub fn new_users_per_day(&self) -> Vec<Vec<Value>> {
        let mut days: BTreeMap<i64, u64> = BTreeMap::new();
        for times in self.by_person.values() {
            *days.entry(times[0].div_euclid(DAY_MS)).or_default() += 1;
        }
        days.into_iter().map(|(day, users)| vec![json!(date_of(day)), json!(users)]).collect()
    }

    pub fn stickiness(&self) -> Vec<Vec<Value>> {
        let mut by_days: BTreeMap<usize, u64> = BTreeMap::new();
        for times in self.by_person.values() {
            let days: BTreeSet<i64> = times.iter().map(|time| time.div_euclid(DAY_MS)).collect();
            *by_days.entry(days.len()).or_default() += 1;
        }
        by_days.into_iter().map(|(days, users)| vec![json!(days), json!(users)]).collect()
    }

    /// Persons active N days after their first day, of those first seen at least `last` days before the data ends.
    pub fn day_retention(&self, last: i64) -> Vec<Vec<Value>> {
        let end = self.by_person.values().filter_map(|times| times.last()).max().map_or(0, |time| time.div_euclid(DAY_MS));
        let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
        for times in self.by_person.values() {
            let days: BTreeSet<i64> = times.iter().map(|time| time.div_euclid(DAY_MS)).collect();
            let first = times[0].div_euclid(DAY_MS);
            if first <= end - last {
                for day in days.into_iter().map(|day| day - first).filter(|after| (0..=last).contains(after)) {
                    *counts.entry(day).or_default() += 1;
                }
            }
        }
        counts.into_iter().map(|(day, users)| vec![json!(day), json!(users)]).collect()
    }

    /// One row: sessions, sessions of one event, most events in one, total length in milliseconds.
    pub fn sessions(&self, idle_ms: i64) -> Vec<Vec<Value>> {
        let (mut sessions, mut single, mut most, mut length_ms) = (0u64, 0u64, 0u64, 0i64);
        for times in self.by_person.values() {
            for session in times.chunk_by(|a, b| b - a <= idle_ms) {
                sessions += 1;
                single += u64::from(session.len() == 1);
                most = most.max(session.len() as u64);
                length_ms += session[session.len() - 1] - session[0];
            }
        }
        vec![vec![json!(sessions), json!(single), json!(most), json!(length_ms)]]
    }
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ` to milliseconds.
fn parse_utc_ms(text: &str) -> Option<i64> {
    event::parse_timestamp(text).ok()
}

/// The date of a day counted from 1970-01-01; the inverse of the usual civil-date algorithm.
fn date_of(day: i64) -> String {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}
