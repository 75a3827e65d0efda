use event::TimestampMs;
use event_store::SegmentPersonsPage;
use serde_json::{Map, Value as Json, json};

use super::frame;
use crate::calendar;
use crate::request::SegmentPersonsRequest;

/// A page of the persons in a segment as of `now_ms`.
pub(crate) fn segment_persons_answer(
    request: &SegmentPersonsRequest,
    now_ms: TimestampMs,
    page: &SegmentPersonsPage,
    next_cursor: Option<&str>,
) -> Map<String, Json> {
    let persons = page.persons.iter().map(|person| json!({"person": person.id})).collect();
    let mut answer = frame("persons", persons, true, &page.stats);
    answer.insert("count".to_owned(), json!(page.count));
    answer.insert("next_cursor".to_owned(), json!(next_cursor));
    answer.insert("evaluated_at".to_owned(), json!(calendar::iso(&request.zone, now_ms)));
    answer.insert("timezone".to_owned(), json!(request.zone.iana_name()));
    answer
}
