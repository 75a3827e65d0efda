use event::{AppId, TimestampMs};
use event_store::{EventRow, EventsPage, ScanStats, Schema};
use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json, json};
use xxhash_rust::xxh3::xxh3_64;

use super::{add_period, frame};
use crate::calendar;
use crate::failure::QueryFailure;
use crate::request::EventsRequest;

/// Where the next page of raw events begins. Its text says nothing of the app: a cursor only moves within the events that the credential
/// and the filter of its request already show, and is refused with any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// First millisecond of the range, so that a rolling range does not move between pages.
    pub from_ms: TimestampMs,
    /// First millisecond out.
    pub to_ms: TimestampMs,
    /// Rows of the last millisecond that were given already.
    pub skip: usize,
}

impl Cursor {
    /// Reads the text of a cursor that was made for this app and these filters.
    pub fn read(text: &str, app: &AppId, request: &EventsRequest) -> Result<Self, QueryFailure> {
        let refused = |message: &str| QueryFailure::invalid("invalid_cursor", "cursor", message);
        let mut numbers = [0u64; 4];
        let mut parts = text.split('.');
        for number in &mut numbers {
            let part = parts.next().ok_or_else(|| refused("this is not a cursor of this API"))?;
            *number = u64::from_str_radix(part, 16).map_err(|_| refused("this is not a cursor of this API"))?;
        }
        let [binding, from, to, skip] = numbers;
        if parts.next().is_some() || binding != Self::binding(app, request) {
            return Err(refused(
                "the cursor belongs to another question: send it with the same event names, filters and app as the page before",
            ));
        }
        let (from_ms, to_ms) = (from as i64, to as i64);
        let skip = usize::try_from(skip).map_err(|_| refused("this is not a cursor of this API"))?;
        Ok(Self { from_ms, to_ms, skip })
    }

    /// The text to send back.
    pub fn write(self, app: &AppId, request: &EventsRequest) -> String {
        format!("{:x}.{:x}.{:x}.{:x}", Self::binding(app, request), self.from_ms as u64, self.to_ms as u64, self.skip)
    }

    fn binding(app: &AppId, request: &EventsRequest) -> u64 {
        xxh3_64(format!("{app} {:?} {:?}", request.events, request.filter).as_bytes())
    }

    /// The place after `rows`, which were read from here.
    fn after(self, rows: &[EventRow]) -> Option<Self> {
        let last_ms = rows.last()?.time_ms;
        let given = rows.iter().rev().take_while(|row| row.time_ms == last_ms).count();
        let skip = if last_ms == self.to_ms - 1 { self.skip + given } else { given };
        Some(Self { from_ms: self.from_ms, to_ms: last_ms + 1, skip })
    }
}

/// Memory of a page: its rows, and the JSON made of them, whose values take some times as much as their text.
pub(crate) fn page_bytes(page: &EventsPage) -> usize {
    const FIXED_BYTES: usize = 2_048;
    const TIMES_TEXT: usize = 8;
    page.rows.iter().map(|row| FIXED_BYTES + TIMES_TEXT * row.properties_json.len()).sum()
}

/// A page of raw events that was read from `cursor`.
///
/// # Errors
/// Internal, when the store's properties are not JSON.
pub(crate) fn events_answer(
    app: &AppId,
    request: &EventsRequest,
    cursor: Cursor,
    page: &EventsPage,
) -> Result<Map<String, Json>, QueryFailure> {
    let rows = page.rows.iter().map(|row| event_json(&request.period.zone, row)).collect::<Result<Vec<Json>, _>>()?;
    let mut answer = frame("events", Json::Array(rows), true, &page.stats);
    let next = if page.more { cursor.after(&page.rows) } else { None };
    answer.insert("next_cursor".to_owned(), json!(next.map(|next| next.write(app, request))));
    add_period(&mut answer, &request.period);
    Ok(answer)
}

fn event_json(zone: &TimeZone, row: &EventRow) -> Result<Json, QueryFailure> {
    let properties: Json = serde_json::from_str(&row.properties_json)
        .map_err(|error| QueryFailure::internal(format!("the properties of a stored event are not JSON: {error}")))?;
    Ok(json!({
        "name": row.name,
        "timestamp": calendar::iso(zone, row.time_ms),
        "user_id": row.user_id,
        "anonymous_id": row.anonymous_id,
        "session_id": row.session_id,
        "insert_id": row.insert_id,
        "client_timestamp": calendar::iso(zone, row.client_time_ms),
        "received_at": calendar::iso(zone, row.received_at_ms),
        "properties": properties,
    }))
}

/// What an app sends: names, properties, types, sample values.
pub(crate) fn schema_answer(zone: &TimeZone, schema: &Schema) -> Map<String, Json> {
    let events = schema.events.iter().map(|event| {
        let (first, last) = (calendar::iso(zone, event.first_hour_ms), calendar::iso(zone, event.last_hour_ms));
        json!({"name": event.name, "events": event.events, "first_hour": first, "last_hour": last})
    });
    let properties = schema.properties.iter().map(|property| {
        let samples = property.sample_values.iter().map(|text| serde_json::from_str(text).unwrap_or_else(|_| json!(text)));
        let samples: Vec<Json> = samples.collect();
        json!({"name": property.name, "types": property.types, "events": property.events, "sample_values": samples})
    });
    let properties: Json = properties.collect();
    let mut answer = frame("events", events.collect(), true, &ScanStats::default());
    answer.insert("properties".to_owned(), properties);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::AppSettings;
    use crate::request::read_events;

    fn request(request: Json) -> EventsRequest {
        let app = AppSettings::new(AppId::new("APP-1").unwrap());
        read_events(&request, &app, 1_773_156_600_000).unwrap()
    }

    fn row(time_ms: TimestampMs) -> EventRow {
        let properties_json = "{\"n\":9007199254740993,\"l\":[1]}".to_owned();
        EventRow {
            name: "a".to_owned(),
            time_ms,
            client_time_ms: time_ms,
            received_at_ms: time_ms,
            user_id: Some("u".to_owned()),
            anonymous_id: None,
            insert_id: None,
            session_id: None,
            properties_json,
        }
    }

    #[test]
    fn a_cursor_counts_within_a_millisecond() {
        let start = Cursor { from_ms: 0, to_ms: 100, skip: 0 };
        let second = start.after(&[row(99), row(50), row(50)]).unwrap();
        assert_eq!(second, Cursor { from_ms: 0, to_ms: 51, skip: 2 });
        let third = second.after(&[row(50), row(50)]).unwrap();
        assert_eq!(third, Cursor { from_ms: 0, to_ms: 51, skip: 4 });
        assert_eq!(third.after(&[row(50), row(-3)]).unwrap(), Cursor { from_ms: 0, to_ms: -2, skip: 1 });
        assert_eq!(start.after(&[]), None);
    }

    #[test]
    fn a_cursor_is_bound_to_app_and_filter() {
        let (a, b) = (AppId::new("APP-1").unwrap(), AppId::new("APP-2").unwrap());
        let plain = request(json!({"limit": 2}));
        let cursor = Cursor { from_ms: -5, to_ms: 100, skip: 7 };
        let written = cursor.write(&a, &plain);
        assert_eq!(Cursor::read(&written, &a, &plain), Ok(cursor));
        assert_eq!(Cursor::read(&written, &a, &request(json!({"limit": 3}))), Ok(cursor));
        let refused = |text: &str, app: &AppId, request: &EventsRequest| Cursor::read(text, app, request).unwrap_err().code;
        assert_eq!(refused(&written, &b, &plain), "invalid_cursor");
        assert_eq!(refused(&written, &a, &request(json!({"event": "x"}))), "invalid_cursor");
        let filtered = request(json!({"filters": [{"property": "p", "op": "is_set"}]}));
        assert_eq!(refused(&written, &a, &filtered), "invalid_cursor");
        for hostile in ["", "x", "1.2.3", "1.2.3.4.5", "../..", &format!("{written}.0"), &"f".repeat(40)] {
            assert_eq!(refused(hostile, &a, &plain), "invalid_cursor");
        }
    }

    #[test]
    fn an_event_reads_as_it_was_sent() {
        let request = request(json!({"timezone": "America/New_York"}));
        let app = AppId::new("APP-1").unwrap();
        let page = EventsPage { rows: vec![row(1_773_156_600_123)], more: false, stats: ScanStats::default() };
        let cursor = Cursor { from_ms: 0, to_ms: i64::MAX, skip: 0 };
        let answer = events_answer(&app, &request, cursor, &page).unwrap();
        assert_eq!(answer["events"][0]["timestamp"], json!("2026-03-10T11:30:00.123-04:00"));
        assert_eq!(answer["events"][0]["properties"], json!({"n": 9_007_199_254_740_993_i64, "l": [1]}));
        assert_eq!(answer["events"][0]["anonymous_id"], Json::Null);
        assert_eq!(answer["next_cursor"], Json::Null);
    }
}
