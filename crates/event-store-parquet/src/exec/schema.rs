//! What an app sends: property names, types and frequent values, from a bounded sample of its newest rows.

use std::cmp::Reverse;
use std::sync::Arc;

use event::{AppId, parse_timestamp};
use event_store::{EventNameInfo, PropertyInfo, QueryError, Schema};
use rustc_hash::FxHashMap;

use super::properties::PropertyReader;
use super::scan::Query;
use crate::columns::ColumnRequest;
use crate::part::{Part, ScanRequest};

/// Most rows that are looked at.
const MAX_SAMPLED_ROWS: usize = 200_000;
/// Rows of each event name that are looked at, where there are many names.
const MIN_ROWS_PER_EVENT: usize = 2_000;
/// Most property names that are told.
const MAX_PROPERTIES: usize = 10_000;
/// Distinct values of a property that are counted; frequent ones are among the first.
const MAX_COUNTED_VALUES: usize = 200;
/// A longer value is no example.
const MAX_SAMPLE_BYTES: usize = 256;
/// Values that are told.
const SAMPLE_VALUES: usize = 10;

/// Describes an app. `events` are its names, most frequent first; the sample is taken from each of the first ones.
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub fn schema(query: &Query<'_>, app: &AppId, events: Vec<EventNameInfo>) -> Result<Schema, QueryError> {
    let rows_per_event = (MAX_SAMPLED_ROWS / events.len().max(1)).max(MIN_ROWS_PER_EVENT);
    let sampled_events = events.len().min(MAX_SAMPLED_ROWS / rows_per_event);
    let mut parts: Vec<&Arc<Part>> = query.snapshot.parts_of(app, i64::MIN, i64::MAX).collect();
    parts.sort_by_key(|part| Reverse(part.time_range().1));
    let samples = query.parallel(sampled_events, &Sample::default, &|sample, event| {
        sample.read(query, app, &events[event].name, &parts, rows_per_event)
    })?;
    let mut all = Sample::default();
    samples.into_iter().for_each(|sample| all.merge(sample));
    Ok(Schema { events, properties: all.properties() })
}

#[derive(Default)]
struct Sample {
    properties: FxHashMap<String, Seen>,
}

/// What was seen of one property.
#[derive(Default)]
struct Seen {
    events: u64,
    types: Vec<&'static str>,
    /// Values as JSON, with their counts.
    values: FxHashMap<String, u64>,
}

impl Sample {
    fn read(&mut self, query: &Query<'_>, app: &AppId, event: &str, parts: &[&Arc<Part>], rows: usize) -> Result<(), QueryError> {
        let events = [event.to_string()];
        let columns = [ColumnRequest::AllProperties];
        let request = ScanRequest { app, from_ms: i64::MIN, to_ms: i64::MAX, events: Some(&events), columns: &columns };
        let mut rows_left = rows;
        for part in parts {
            for batch in part.scan(&request) {
                query.context.check()?;
                let batch = batch?;
                let reader = PropertyReader::new(&batch);
                for row in 0..batch.num_rows().min(rows_left) {
                    reader.for_each(row, &mut |name, json| self.add(name, json));
                }
                rows_left -= batch.num_rows().min(rows_left);
                if rows_left == 0 {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str, json: &str) {
        if json == "null" {
            return;
        }
        if !self.properties.contains_key(name) {
            if self.properties.len() >= MAX_PROPERTIES {
                return;
            }
            self.properties.insert(name.to_string(), Seen::default());
        }
        if let Some(seen) = self.properties.get_mut(name) {
            seen.add(json);
        }
    }

    fn merge(&mut self, other: Self) {
        for (name, theirs) in other.properties {
            let seen = self.properties.entry(name).or_default();
            seen.events += theirs.events;
            theirs.types.into_iter().for_each(|kind| seen.add_type(kind));
            theirs.values.into_iter().for_each(|(json, count)| *seen.values.entry(json).or_default() += count);
        }
    }

    fn properties(self) -> Vec<PropertyInfo> {
        let mut properties: Vec<PropertyInfo> = self.properties.into_iter().map(|(name, seen)| seen.info(name)).collect();
        properties.sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.name.cmp(&b.name)));
        properties.truncate(MAX_PROPERTIES);
        properties
    }
}

impl Seen {
    fn add(&mut self, json: &str) {
        self.events += 1;
        if let Some(count) = self.values.get_mut(json) {
            *count += 1;
            return;
        }
        // The type of a value that was counted before is known.
        if let Some(kind) = type_of(json) {
            self.add_type(kind);
        }
        if self.values.len() < MAX_COUNTED_VALUES && json.len() <= MAX_SAMPLE_BYTES {
            self.values.insert(json.to_string(), 1);
        }
    }

    fn add_type(&mut self, kind: &'static str) {
        if !self.types.contains(&kind) {
            self.types.push(kind);
        }
    }

    fn info(mut self, name: String) -> PropertyInfo {
        self.types.sort_unstable();
        let mut values: Vec<(String, u64)> = self.values.into_iter().collect();
        values.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
        let sample_values = values.into_iter().take(SAMPLE_VALUES).map(|(json, _)| json).collect();
        PropertyInfo { name, types: self.types, events: self.events, sample_values }
    }
}

/// The type of a JSON value; text in the form of a time is a `timestamp`.
fn type_of(json: &str) -> Option<&'static str> {
    match json.as_bytes().first()? {
        b'"' => Some(if parse_timestamp(json.trim_matches('"')).is_ok() { "timestamp" } else { "string" }),
        b't' | b'f' => Some("boolean"),
        b'[' => Some("list"),
        b'{' => Some("object"),
        b'-' | b'0'..=b'9' => Some("number"),
        _ => None,
    }
}
