//! Lays out tables of the store as the JSON of an answer.

mod events;
mod funnel;
mod order;
mod paths;
mod retention;
mod rows;
mod segment;
mod sessions;
mod sql;

pub(crate) use self::sql::sql_answer;
pub(crate) use events::{Cursor, events_answer, page_bytes, schema_answer};
pub(crate) use funnel::{PersonsCursor, funnel_answer, funnel_person_answer, funnel_persons_answer};
pub(crate) use paths::paths_answer;
pub(crate) use retention::{active_users_answer, lifecycle_answer, retention_answer, stickiness_answer};
pub(crate) use rows::query_answer;
pub(crate) use segment::segment_persons_answer;
pub(crate) use sessions::sessions_answer;

use event_store::{ScanStats, Value};
use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json, json};

use crate::calendar;
use crate::request::Period;

/// The fields every answer ends with; `query_time_ms` and `cached` are set when it is sent.
pub(crate) fn frame(name: &str, body: Json, is_exact: bool, stats: &ScanStats) -> Map<String, Json> {
    let mut answer = Map::new();
    answer.insert(name.to_owned(), body);
    answer.insert("query_time_ms".to_owned(), json!(0));
    answer.insert("exact".to_owned(), json!(is_exact));
    answer.insert("complete".to_owned(), json!(stats.missing.is_empty()));
    if !stats.missing.is_empty() {
        answer.insert("missing".to_owned(), json!(stats.missing));
    }
    answer.insert("scanned_events".to_owned(), json!(stats.scanned_events));
    if !stats.segments.is_empty() {
        answer.insert("segment_events".to_owned(), json!(stats.segments.iter().map(|read| read.events).sum::<u64>()));
    }
    answer.insert("cached".to_owned(), json!(false));
    answer
}

fn add_period(answer: &mut Map<String, Json>, period: &Period) {
    answer.insert("timezone".to_owned(), json!(period.zone.iana_name()));
    answer.insert("range".to_owned(), range(&period.zone, period.from_ms, period.to_ms));
}

fn range(zone: &TimeZone, from_ms: i64, to_ms: i64) -> Json {
    json!({"from": calendar::iso(zone, from_ms), "to": calendar::iso(zone, to_ms)})
}

/// A group's value. The folded rest is written `"$other"`.
fn value_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::BigUint(value) => json!(value),
        Value::Float(value) => number_json(*value),
        Value::Str(value) => json!(value),
        Value::Other => json!("$other"),
    }
}

/// Floats below this tell every integer from the next.
const EXACT_INTEGERS_BELOW: f64 = 9_007_199_254_740_992.0;

/// A number; whole ones without a fraction, so that a sum of whole prices reads like one.
fn number_json(value: f64) -> Json {
    if value.fract() == 0.0 && value.abs() < EXACT_INTEGERS_BELOW { json!(value as i64) } else { json!(value) }
}
