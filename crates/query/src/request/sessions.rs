//! Reads `/sessions` requests.

use event_store::{BounceRule, Filter, MAX_LENGTH_BINS, PageRule, Selection, SessionRule};

use super::event_names;
use super::filter::FilterReader;
use super::period::{self, Period, counted_unit};
use super::question::{DEFAULT_LIMIT, GroupKey, MAX_LIMIT, explain, group_by, limit, own_app, use_cache};
use crate::calendar::Interval;
use crate::failure::QueryFailure;
use crate::node::{Node, Object};
use crate::options::AppSettings;

/// Longest idle time and longest session a request may set: so far around the range events are read.
const MAX_SESSION_DAYS: i64 = 7;
const DAY_MS: i64 = 86_400_000;
/// Most events of a session that bounces.
const MAX_BOUNCE_EVENTS: usize = 1_000;
/// Pages that are listed unless the request says otherwise.
const DEFAULT_PAGES: usize = 10;
/// Ends of the bins of lengths unless the request says otherwise, in seconds.
const DEFAULT_BINS_S: [i64; 8] = [1, 10, 30, 60, 180, 600, 1_800, 3_600];

/// A `/sessions` request.
#[derive(Clone, Debug)]
pub(crate) struct SessionsRequest {
    pub period: Period,
    pub interval: Option<Interval>,
    /// Sessions with one of these events; `None`: with any.
    pub events: Option<Vec<String>>,
    pub filter: Filter,
    pub group_by: Vec<GroupKey>,
    pub rule: SessionRule,
    pub bounce: BounceRule,
    /// With the name the property was asked by.
    pub pages: Option<(String, PageRule)>,
    pub bins: Vec<i64>,
    pub limit: usize,
    pub use_cache: bool,
    /// Whether the answer says how it came to be; it is then worked out anew.
    pub explain: bool,
}

const FIELDS: [&str; 18] = [
    "interval",
    "group_by",
    "event",
    "events",
    "filters",
    "segment",
    "session",
    "bounce",
    "pages",
    "length_bins",
    "range",
    "from",
    "to",
    "timezone",
    "limit",
    "cache",
    "explain",
    "app_id",
];

/// Reads a `/sessions` request.
pub(crate) fn read_sessions(value: &serde_json::Value, app: &AppSettings, now_ms: i64) -> Result<SessionsRequest, QueryFailure> {
    let object = Node::root(value).object(&FIELDS)?;
    own_app(&object, app)?;
    let zone = period::timezone(&object, app)?;
    let mut period = period::of_question(&object, &zone, app, now_ms)?;
    let mut filters = FilterReader::new(app, &zone, now_ms);
    let filter = filters.question(&object)?;
    let bounce = bounce(&object, &mut filters)?;
    let pages = pages(&object, &mut filters)?;
    let group_by = group_by(&object, &mut filters)?;
    period.rule_marks = filters.into_marks();
    Ok(SessionsRequest {
        interval: period::interval(&object)?,
        events: event_names(&object)?,
        filter,
        group_by,
        rule: rule(&object, app)?,
        bounce,
        pages,
        bins: bins(&object)?,
        limit: limit(&object, DEFAULT_LIMIT, MAX_LIMIT)?,
        use_cache: use_cache(&object)?,
        explain: explain(&object)?,
        period,
    })
}

/// The app's rule, where the request does not set its own.
fn rule(object: &Object<'_>, app: &AppSettings) -> Result<SessionRule, QueryFailure> {
    let of_app = SessionRule { idle_ms: app.session_idle_ms, max_ms: None };
    let Some(node) = object.get("session") else { return Ok(of_app) };
    let object = node.coded("invalid_session").object(&["idle", "max_length"])?;
    let length = |key: &str| object.get(key).map(|node| length_ms(&node, 1, MAX_SESSION_DAYS * DAY_MS)).transpose();
    Ok(SessionRule { idle_ms: length("idle")?.unwrap_or(of_app.idle_ms), max_ms: length("max_length")? })
}

/// Reads a length of time: `"30m"`, or milliseconds.
fn length_ms(node: &Node<'_>, min_ms: i64, max_ms: i64) -> Result<i64, QueryFailure> {
    let ms = match node.value {
        serde_json::Value::String(text) => counted_unit(text).and_then(|(count, unit_ms)| count.checked_mul(unit_ms)),
        value => value.as_i64(),
    };
    ms.filter(|ms| (min_ms..=max_ms).contains(ms)).ok_or_else(|| {
        let days = max_ms / DAY_MS;
        node.error(format!("expected a length of time such as \"10s\", \"30m\" or a number of milliseconds, from {min_ms} ms to {days}d"))
    })
}

fn bounce(object: &Object<'_>, filters: &mut FilterReader<'_>) -> Result<BounceRule, QueryFailure> {
    let Some(node) = object.get("bounce") else { return Ok(BounceRule { max_events: 1, any_of: Vec::new(), max_length_ms: None }) };
    let object = node.coded("invalid_bounce").object(&["max_events", "event", "events", "filters", "max_length"])?;
    let max_events = object.get("max_events").map_or(Ok(1), |node| node.count(0, MAX_BOUNCE_EVENTS))?;
    let max_length_ms = object.get("max_length").map(|node| length_ms(&node, 0, MAX_SESSION_DAYS * DAY_MS)).transpose()?;
    Ok(BounceRule { max_events: max_events as u64, any_of: selection(&object, filters)?, max_length_ms })
}

fn pages(object: &Object<'_>, filters: &mut FilterReader<'_>) -> Result<Option<(String, PageRule)>, QueryFailure> {
    let Some(node) = object.get("pages") else { return Ok(None) };
    let node = node.coded("invalid_pages");
    if node.value.is_string() {
        let property = page_property(&node, filters)?;
        return Ok(Some((property.0, PageRule { any_of: Vec::new(), property: property.1, keep: DEFAULT_PAGES })));
    }
    let object = node.object(&["property", "event", "events", "filters", "limit"])?;
    let (name, property) = page_property(&object.required("property", "what names a page, such as \"url\"")?, filters)?;
    let keep = object.get("limit").map_or(Ok(DEFAULT_PAGES), |node| node.count(1, MAX_LIMIT))?;
    Ok(Some((name, PageRule { any_of: selection(&object, filters)?, property, keep })))
}

fn page_property(node: &Node<'_>, filters: &mut FilterReader<'_>) -> Result<(String, event_store::Field), QueryFailure> {
    use event_store::Field::{Event, Property};
    match filters.field(node)? {
        field @ (Event | Property(_)) => Ok((node.text("the name of a property")?.to_owned(), field)),
        _ => Err(node.error("pages are named by a property of the event such as \"url\", or by \"event\"")),
    }
}

/// `event` or `events` with `filters` beside; none of them: every event.
fn selection(object: &Object<'_>, filters: &mut FilterReader<'_>) -> Result<Vec<Selection>, QueryFailure> {
    let names = event_names(object)?;
    let is_narrow = names.is_some() || object.get("filters").is_some();
    let filter = filters.filters(object)?;
    Ok(if is_narrow { vec![(names, filter)] } else { Vec::new() })
}

fn bins(object: &Object<'_>) -> Result<Vec<i64>, QueryFailure> {
    let Some(node) = object.get("length_bins") else { return Ok(DEFAULT_BINS_S.map(|seconds| seconds * 1_000).to_vec()) };
    let node = node.coded("invalid_length_bins");
    let nodes = node.list("ends of bins", MAX_LENGTH_BINS)?;
    let mut ends: Vec<i64> = Vec::new();
    for node in nodes {
        let end_ms = length_ms(&node, 1, 366 * DAY_MS)?;
        if ends.last().is_some_and(|&last_ms| last_ms >= end_ms) {
            return Err(node.error("each end is later than the one before"));
        }
        ends.push(end_ms);
    }
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use event_store::Field;
    use serde_json::{Value, json};

    use super::*;

    fn read(request: Value) -> Result<SessionsRequest, QueryFailure> {
        let app = AppSettings::new(event::AppId::new("APP-1").unwrap());
        read_sessions(&request, &app, 1_773_000_000_000)
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let request = read(json!({})).unwrap();
        assert_eq!(request.rule, SessionRule { idle_ms: 1_800_000, max_ms: None });
        assert_eq!(request.bounce, BounceRule { max_events: 1, any_of: Vec::new(), max_length_ms: None });
        assert_eq!((request.pages, request.limit, request.bins.len()), (None, 25, 8));
    }

    #[test]
    fn every_option_reads() {
        let request = read(json!({
            "interval": "day", "group_by": ["country", "browser"], "event": "purchase", "session": {"idle": "4h", "max_length": "12h"},
            "bounce": {"event": "page_view", "max_events": 2, "max_length": "10s"}, "length_bins": ["1m", 120_000],
            "pages": {"property": "url", "event": "page_view", "limit": 3}, "limit": 5,
        }))
        .unwrap();
        assert_eq!(request.rule, SessionRule { idle_ms: 4 * 3_600_000, max_ms: Some(12 * 3_600_000) });
        let page_view = vec![(Some(vec!["page_view".to_owned()]), Filter::all())];
        assert_eq!(request.bounce, BounceRule { max_events: 2, any_of: page_view.clone(), max_length_ms: Some(10_000) });
        let (name, pages) = request.pages.unwrap();
        assert_eq!((name.as_str(), &pages.property, pages.keep), ("url", &Field::Property("url".to_owned()), 3));
        assert_eq!((pages.any_of, request.bins, request.group_by.len()), (page_view, vec![60_000, 120_000], 2));
        assert_eq!(read(json!({"pages": "url"})).unwrap().pages.unwrap().1.any_of, Vec::new());
    }

    #[test]
    fn refusals() {
        let wrong = [
            (json!({"session": {"idle": 0}}), "invalid_session", "session.idle"),
            (json!({"session": {"idle": "8d"}}), "invalid_session", "session.idle"),
            (json!({"session": {"max_length": "long"}}), "invalid_session", "session.max_length"),
            (json!({"session": "30m"}), "invalid_session", "session"),
            (json!({"bounce": {"max_events": -1}}), "invalid_bounce", "bounce.max_events"),
            (json!({"bounce": {"max_events": 1001}}), "invalid_bounce", "bounce.max_events"),
            (json!({"bounce": {"max_lenght": "1s"}}), "invalid_bounce", "bounce.max_lenght"),
            (json!({"pages": {}}), "invalid_pages", "pages.property"),
            (json!({"pages": "user_id"}), "invalid_pages", "pages"),
            (json!({"pages": {"property": "url", "limit": 0}}), "invalid_pages", "pages.limit"),
            (json!({"length_bins": ["1m", "1m"]}), "invalid_length_bins", "length_bins[1]"),
            (json!({"length_bins": [0]}), "invalid_length_bins", "length_bins[0]"),
            (json!({"length_bins": vec![1; 101]}), "invalid_length_bins", "length_bins"),
            (json!({"group_by": "time"}), "invalid_group_by", "group_by"),
            (json!({"interval": "year"}), "invalid_interval", "interval"),
            (json!({"metric": "sessions"}), "invalid_request", "metric"),
            (json!({"segment": "x"}), "unknown_cohort", "segment"),
            (json!({"app_id": "APP-2"}), "wrong_app", "app_id"),
        ];
        for (request, code, field) in wrong {
            let error = read(request.clone()).expect_err(&request.to_string());
            assert_eq!((error.code, error.field.as_deref().unwrap_or("")), (code, field), "{request}: {}", error.message);
        }
    }
}
