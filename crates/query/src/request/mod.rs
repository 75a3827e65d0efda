//! Reads requests: JSON in, typed questions or precise errors out.

mod events;
mod export;
mod filter;
mod funnel;
mod metric;
mod paths;
mod period;
mod question;
mod retention;
mod segment;
mod segment_persons;
mod sessions;
mod sql;

pub(crate) use self::export::{ExportRequest, read_export};
pub(crate) use self::sql::read_sql;
pub(crate) use events::{EventsRequest, read_events};
pub(crate) use filter::field_named;
pub(crate) use funnel::{FunnelPersonRequest, FunnelPersonsRequest, FunnelRequest, read_funnel, read_funnel_person, read_funnel_persons};
pub(crate) use metric::{Form, MetricBody, MetricRequest, check_metric};
pub(crate) use paths::{PathsRequest, read_paths};
pub(crate) use period::Period;
pub(crate) use question::{Direction, GroupKey, QueryRequest, read_query};
pub(crate) use retention::{
    ActiveUsersRequest, ActivityRequest, PeriodsRequest, RetentionRequest, read_active_users, read_activity, read_retention,
};
pub(crate) use segment_persons::{SegmentPersonsRequest, check_cohort, persons_cursor, read_segment_persons};
pub(crate) use sessions::{SessionsRequest, read_sessions};

use event::TimestampMs;
use event::limits::MAX_NAME_CHARS;

use crate::failure::QueryFailure;
use crate::node::{Node, Object};
use crate::options::AppSettings;

/// Most event names in one selection.
const MAX_EVENT_NAMES: usize = 100;

/// Reads `event` or `events`: the names to look at, `None` for any.
fn event_names(object: &Object<'_>) -> Result<Option<Vec<String>>, QueryFailure> {
    let nodes = match (object.get("event"), object.get("events")) {
        (Some(_), Some(events)) => return Err(events.error("give either \"event\" or \"events\"")),
        (Some(event), None) => vec![event],
        (None, Some(events)) => events.list("event names", MAX_EVENT_NAMES)?,
        (None, None) => return Ok(None),
    };
    nodes.iter().map(|node| event_name(node).map(str::to_owned)).collect::<Result<_, _>>().map(Some)
}

fn event_name<'a>(node: &Node<'a>) -> Result<&'a str, QueryFailure> {
    // A character has at most four bytes.
    max_named(node, "an event name", 4 * MAX_NAME_CHARS)
}

fn max_named<'a>(node: &Node<'a>, what: &str, max_bytes: usize) -> Result<&'a str, QueryFailure> {
    let text = node.text(what)?;
    if text.is_empty() {
        return Err(node.error(format!("expected {what}, the text is empty")));
    }
    if text.len() > max_bytes {
        return Err(node.error(format!("{what} has at most {max_bytes} bytes, this one has {}", text.len())));
    }
    Ok(text)
}

/// Whether a call would take a request: reads it as the call does, and asks nothing.
///
/// # Errors
/// [`QueryFailure`] names the field at fault; for a call that there is not the code is `unknown_call`.
pub fn check_question(call: &str, request: &serde_json::Value, app: &AppSettings, now_ms: TimestampMs) -> Result<(), QueryFailure> {
    match call {
        "query" => read_query(request, app, now_ms).and_then(|read| crate::planner::plan_query(app, read)).map(drop),
        "funnel" => read_funnel(request, app, now_ms).and_then(|read| crate::funnel_planner::plan_funnel(app, &read)).map(drop),
        "paths" => read_paths(request, app, now_ms).map(drop),
        "sessions" => read_sessions(request, app, now_ms).and_then(|read| crate::sessions_planner::plan_sessions(app, &read)).map(drop),
        "retention" => read_retention(request, app, now_ms).and_then(|read| crate::retention_planner::plan_retention(app, &read)).map(drop),
        "lifecycle" | "stickiness" => read_activity(request, app, now_ms).map(drop),
        "active_users" => read_active_users(request, app, now_ms).map(drop),
        "sql" => read_sql(request, app).map(drop),
        _ => Err(unknown_call()),
    }
}

/// A call that there is not.
pub(crate) fn unknown_call() -> QueryFailure {
    let known = "query, funnel, paths, sessions, retention, lifecycle, stickiness, active_users, sql";
    QueryFailure::invalid("unknown_call", "call", format!("there is no such question: one of {known}"))
}
