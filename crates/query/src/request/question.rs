use event_store::{Field, Filter, SessionRule};

use super::event_names;
use super::filter::FilterReader;
use super::metric::{MAX_METRICS, MetricReader, MetricRequest};
use super::period::{self, Period};
use crate::calendar::Interval;
use crate::failure::QueryFailure;
use crate::node::{Node, Object};
use crate::options::AppSettings;

/// Most group keys.
const MAX_GROUP_KEYS: usize = 4;
/// Most sort keys: every group key, the time, and every metric once.
const MAX_ORDER_KEYS: usize = MAX_GROUP_KEYS + 1 + MAX_METRICS;
/// Groups in an answer unless the request says otherwise.
pub(crate) const DEFAULT_LIMIT: usize = 25;
/// Most groups in an answer.
pub(crate) const MAX_LIMIT: usize = 10_000;

/// One key of `group_by`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupKey {
    /// As it was written, the key of each row.
    pub name: String,
    /// Where it was written.
    pub path: String,
    /// What it reads.
    pub field: Field,
}

/// Which way to sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// One key of `order_by`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OrderRequest {
    /// `time`, or the name of a group key or metric.
    pub by: String,
    /// The way, unless the default for its kind is meant.
    pub direction: Option<Direction>,
    /// Where it was written.
    pub path: String,
}

/// A `/query` request.
#[derive(Clone, Debug)]
pub(crate) struct QueryRequest {
    pub period: Period,
    pub interval: Option<Interval>,
    pub events: Option<Vec<String>>,
    pub filter: Filter,
    pub group_by: Vec<GroupKey>,
    pub metrics: Vec<MetricRequest>,
    pub order_by: Vec<OrderRequest>,
    pub limit: usize,
    pub compare: bool,
    pub use_cache: bool,
    /// Whether the answer says how it came to be; it is then worked out anew.
    pub explain: bool,
}

const FIELDS: [&str; 18] = [
    "metric", "metrics", "event", "events", "filters", "group_by", "interval", "range", "from", "to", "timezone", "order_by", "limit",
    "compare", "segment", "cache", "explain", "app_id",
];

/// Reads a `/query` request.
pub(crate) fn read_query(value: &serde_json::Value, app: &AppSettings, now_ms: i64) -> Result<QueryRequest, QueryFailure> {
    let root = Node::root(value);
    let object = root.object(&FIELDS)?;
    own_app(&object, app)?;
    let zone = period::timezone(&object, app)?;
    let mut period = period::of_question(&object, &zone, app, now_ms)?;
    let mut filters = FilterReader::new(app, &zone, now_ms);
    let filter = filters.question(&object)?;
    let session = SessionRule { idle_ms: app.session_idle_ms, max_ms: None };
    let interval = period::interval(&object)?;
    let metrics = metrics(&object, &mut MetricReader::new(&mut filters, session, interval.is_some()))?;
    let group_by = group_by(&object, &mut filters)?;
    period.rule_marks = filters.into_marks();
    Ok(QueryRequest {
        interval,
        events: event_names(&object)?,
        filter,
        group_by,
        metrics,
        order_by: order_by(&object)?,
        limit: limit(&object, DEFAULT_LIMIT, MAX_LIMIT)?,
        compare: compare(&object, &period)?,
        use_cache: use_cache(&object)?,
        explain: explain(&object)?,
        period,
    })
}

/// The app comes from the credential; a request that names another one is a mistake that must not look like an answer.
pub(super) fn own_app(object: &Object<'_>, app: &AppSettings) -> Result<(), QueryFailure> {
    match object.get("app_id") {
        Some(node) if node.text("an app id")? != app.app.as_str() => {
            Err(node.coded("wrong_app").error("the credential is for another app"))
        }
        _ => Ok(()),
    }
}

/// Whether an answer from the cache will do. One that is to be explained is worked out.
pub(super) fn use_cache(object: &Object<'_>) -> Result<bool, QueryFailure> {
    let asked = object.get("cache").map_or(Ok(true), |node| node.boolean())?;
    Ok(asked && !explain(object)?)
}

/// Reads `explain`.
pub(super) fn explain(object: &Object<'_>) -> Result<bool, QueryFailure> {
    object.get("explain").map_or(Ok(false), |node| node.boolean())
}

/// Reads `limit`.
pub(super) fn limit(object: &Object<'_>, default: usize, max: usize) -> Result<usize, QueryFailure> {
    object.get("limit").map_or(Ok(default), |node| node.coded("invalid_limit").count(1, max))
}

fn metrics(object: &Object<'_>, reader: &mut MetricReader<'_, '_>) -> Result<Vec<MetricRequest>, QueryFailure> {
    let nodes = match (object.get("metric"), object.get("metrics")) {
        (Some(_), Some(metrics)) => return Err(metrics.coded("invalid_metric").error("give either \"metric\" or \"metrics\"")),
        (Some(metric), None) => vec![metric.coded("invalid_metric")],
        (None, Some(metrics)) => {
            let metrics = metrics.coded("invalid_metric");
            let nodes = metrics.list("metrics", MAX_METRICS)?;
            if nodes.is_empty() {
                return Err(metrics.error("the list is empty: give at least one metric such as \"events\""));
            }
            nodes
        }
        (None, None) => {
            return Err(QueryFailure::invalid(
                "invalid_metric",
                "metric",
                "\"metric\" is missing: what to compute, such as \"events\" or \"unique_users\"",
            ));
        }
    };
    nodes.iter().map(|node| reader.metric(node)).collect()
}

/// Reads `group_by`.
pub(super) fn group_by(object: &Object<'_>, filters: &mut FilterReader<'_>) -> Result<Vec<GroupKey>, QueryFailure> {
    let Some(node) = object.get("group_by") else { return Ok(Vec::new()) };
    let mut keys: Vec<GroupKey> = Vec::new();
    for node in node.coded("invalid_group_by").one_or_list("group keys", MAX_GROUP_KEYS)? {
        let field = filters.field(&node)?;
        let name = node.text("the name of a property")?.to_owned();
        if field == Field::Time {
            return Err(node.error("events are grouped by time with \"interval\"; for a property of that name write properties.time"));
        }
        if keys.iter().any(|key| key.field == field) {
            return Err(node.error("this key is there already"));
        }
        keys.push(GroupKey { name, path: node.path, field });
    }
    Ok(keys)
}

fn order_by(object: &Object<'_>) -> Result<Vec<OrderRequest>, QueryFailure> {
    const DIRECTIONS: [(&str, Direction); 2] = [("asc", Direction::Ascending), ("desc", Direction::Descending)];
    let Some(node) = object.get("order_by") else { return Ok(Vec::new()) };
    let nodes = node.coded("invalid_order_by").one_or_list("sort keys", MAX_ORDER_KEYS)?;
    let read = |node: &Node<'_>| {
        if node.value.is_string() {
            let by = node.text("a name")?.to_owned();
            return Ok(OrderRequest { by, direction: None, path: node.path.clone() });
        }
        let object = node.object(&["by", "direction"])?;
        let by = object.required("by", "\"time\", a group key or a metric")?;
        let direction = object.get("direction").map(|node| node.choice(&DIRECTIONS)).transpose()?;
        Ok(OrderRequest { by: by.text("a name")?.to_owned(), direction, path: by.path })
    };
    nodes.iter().map(read).collect()
}

fn compare(object: &Object<'_>, period: &Period) -> Result<bool, QueryFailure> {
    let Some(node) = object.get("compare") else { return Ok(false) };
    let node = node.coded("invalid_compare");
    node.choice(&[("previous_period", ())])?;
    if period.is_all {
        return Err(node.error("the range \"all\" has no period before it: give a range such as 30d"));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(request: Value) -> Result<QueryRequest, QueryFailure> {
        let app = AppSettings::new(event::AppId::new("APP-1").unwrap());
        read_query(&request, &app, 1_773_000_000_000)
    }

    #[test]
    fn the_seed_request_reads() {
        let request = read(json!({"metric": "unique_users", "filters": [{"property": "country", "op": "eq", "value": "US"}],
            "group_by": "device_type", "range": "7d"}))
        .unwrap();
        assert_eq!(request.group_by[0].field, Field::Property("device_type".to_owned()));
        assert_eq!((request.limit, request.compare, request.use_cache), (25, false, true));
    }

    #[test]
    fn refusals() {
        let wrong = [
            (json!({"range": "7d"}), "invalid_metric", "metric"),
            (json!({"metrics": []}), "invalid_metric", "metrics"),
            (json!({"metric": "events", "metrics": ["events"]}), "invalid_metric", "metrics"),
            (json!({"metrics": vec!["events"; 11]}), "invalid_metric", "metrics"),
            (json!({"metrics": ["events", "evnts"]}), "invalid_metric", "metrics[1]"),
            (json!({"metric": "events", "grup_by": "x"}), "invalid_request", "grup_by"),
            (json!({"metric": "events", "group_by": ["a", "b", "c", "d", "e"]}), "invalid_group_by", "group_by"),
            (json!({"metric": "events", "group_by": ["a", "properties.a"]}), "invalid_group_by", "group_by[1]"),
            (json!({"metric": "events", "group_by": ["a", "cohort:1"]}), "unknown_cohort", "group_by[1]"),
            (json!({"metric": "events", "group_by": "time"}), "invalid_group_by", "group_by"),
            (json!({"metric": "events", "segment": "x"}), "unknown_cohort", "segment"),
            (json!({"metric": "events", "interval": "fortnight"}), "invalid_interval", "interval"),
            (json!({"metric": "events", "limit": 0}), "invalid_limit", "limit"),
            (json!({"metric": "events", "limit": 10001}), "invalid_limit", "limit"),
            (json!({"metric": "events", "limit": "5; DROP"}), "invalid_limit", "limit"),
            (json!({"metric": "events", "limit": 1.5}), "invalid_limit", "limit"),
            (json!({"metric": "events", "order_by": {"by": "events", "direction": "up"}}), "invalid_order_by", "order_by.direction"),
            (json!({"metric": "events", "compare": "previous_year"}), "invalid_compare", "compare"),
            (json!({"metric": "events", "compare": "previous_period", "range": "all"}), "invalid_compare", "compare"),
            (json!({"metric": "events", "event": "a", "events": ["b"]}), "invalid_request", "events"),
            (json!({"metric": "events", "event": ""}), "invalid_request", "event"),
            (json!({"metric": "events", "app_id": "APP-2"}), "wrong_app", "app_id"),
            (json!({"metric": "events", "timezone": "Mars/Olympus"}), "invalid_timezone", "timezone"),
            (json!([1]), "invalid_request", ""),
        ];
        for (request, code, field) in wrong {
            let error = read(request.clone()).expect_err(&request.to_string());
            assert_eq!((error.code, error.field.as_deref().unwrap_or("")), (code, field), "{request}: {}", error.message);
        }
    }

    #[test]
    fn conditions_are_counted_over_the_whole_request() {
        let conditions = vec![json!({"property": "p", "op": "is_set"}); 60];
        let error = read(json!({"filters": conditions, "metric": {"fn": "events", "filters": conditions}})).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("metric.filters[40]"));
    }
}
