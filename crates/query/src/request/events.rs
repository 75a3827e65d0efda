use event_store::Filter;

use super::event_names;
use super::filter::FilterReader;
use super::period::{self, Period};
use super::question::{limit, own_app};
use crate::failure::QueryFailure;
use crate::node::Node;
use crate::options::AppSettings;

const DEFAULT_EVENTS: usize = 100;
const MAX_EVENTS: usize = 10_000;

/// A request for raw events.
#[derive(Clone, Debug)]
pub(crate) struct EventsRequest {
    pub period: Period,
    pub events: Option<Vec<String>>,
    pub filter: Filter,
    pub limit: usize,
    /// The text of the cursor as the client sent it back.
    pub cursor: Option<String>,
}

const FIELDS: [&str; 11] = ["event", "events", "filters", "segment", "range", "from", "to", "timezone", "limit", "cursor", "app_id"];

/// Reads a request for raw events; without a range, all of them.
pub(crate) fn read_events(value: &serde_json::Value, app: &AppSettings, now_ms: i64) -> Result<EventsRequest, QueryFailure> {
    let root = Node::root(value);
    let object = root.object(&FIELDS)?;
    own_app(&object, app)?;
    let zone = period::timezone(&object, app)?;
    let period = period::period(&object, &zone, now_ms, "all")?;
    let filter = FilterReader::new(app, &zone, now_ms).question(&object)?;
    let cursor = object.get("cursor").map(|node| node.coded("invalid_cursor").text("a cursor").map(str::to_owned)).transpose()?;
    Ok(EventsRequest { period, events: event_names(&object)?, filter, limit: limit(&object, DEFAULT_EVENTS, MAX_EVENTS)?, cursor })
}
