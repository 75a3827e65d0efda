use std::sync::Arc;

use event::TimestampMs;
use event_store::Segment;
use jiff::tz::TimeZone;

use super::filter::FilterReader;
use super::question::{explain, own_app, use_cache};
use super::{max_named, period};
use crate::failure::QueryFailure;
use crate::node::Node;
use crate::options::AppSettings;

/// Persons on a page unless the request says otherwise, ...
const DEFAULT_PAGE: usize = 100;
/// ... and at most.
const MAX_PAGE: usize = 1_000;
/// Longest cursor.
const MAX_CURSOR_BYTES: usize = 100;

/// A request for the persons in a segment.
#[derive(Clone, Debug)]
pub(crate) struct SegmentPersonsRequest {
    pub segment: Arc<Segment>,
    pub zone: TimeZone,
    /// Persons at most; 0 only counts them.
    pub limit: usize,
    pub use_cache: bool,
    pub explain: bool,
    /// The windows of the rules, for the key of an answer.
    pub rule_marks: Vec<(TimestampMs, TimestampMs)>,
}

/// The cursor of a request for persons, which has the time that its windows count back from.
pub(crate) fn persons_cursor(value: &serde_json::Value) -> Result<Option<&str>, QueryFailure> {
    let root = Node::root(value);
    let object = root.object(&FIELDS)?;
    object.get("cursor").map(|node| max_named(&node, "a cursor", MAX_CURSOR_BYTES)).transpose()
}

const FIELDS: [&str; 7] = ["segment", "timezone", "limit", "cursor", "cache", "explain", "app_id"];

/// Reads a request for the persons in a segment as of `now_ms`.
pub(crate) fn read_segment_persons(
    value: &serde_json::Value,
    app: &AppSettings,
    now_ms: TimestampMs,
) -> Result<SegmentPersonsRequest, QueryFailure> {
    let object = Node::root(value).object(&FIELDS)?;
    own_app(&object, app)?;
    let zone = period::timezone(&object, app)?;
    let node = object.required("segment", "the id of a saved cohort, or a rule")?;
    let mut filters = FilterReader::new(app, &zone, now_ms);
    let segment = filters.segment(&node)?;
    let rule_marks = filters.into_marks();
    let limit = object.get("limit").map_or(Ok(DEFAULT_PAGE), |node| node.coded("invalid_limit").count(0, MAX_PAGE))?;
    Ok(SegmentPersonsRequest { segment, limit, use_cache: use_cache(&object)?, explain: explain(&object)?, rule_marks, zone })
}

/// Reads the rule of a cohort that is to be saved as `id`, for its mistakes.
pub(crate) fn check_cohort(rule: &serde_json::Value, id: &str, app: &AppSettings, now_ms: TimestampMs) -> Result<(), QueryFailure> {
    let zone = crate::calendar::zone(&app.timezone).unwrap_or(TimeZone::UTC);
    let mut node = Node::root(rule);
    node.path = "rule".to_owned();
    FilterReader::new(app, &zone, now_ms).rule_of_cohort(&node, id).map(|_| ())
}
