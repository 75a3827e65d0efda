//! Saved metrics, as a question finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use event::{AppId, TimestampMs};
use serde_json::Value;
use thiserror::Error;

use crate::cohorts;
use crate::failure::{FailureKind, QueryFailure};
use crate::options::AppSettings;

/// Most saved metrics that one request uses, those that its metrics are made of included.
pub const MAX_METRICS_PER_REQUEST: usize = 50;
/// What a metric's id follows where a metric stands.
pub(crate) const METRIC_PREFIX: &str = "metric:";

/// A saved metric.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedMetric {
    /// Grows with every change; an answer made with one version is not given for another.
    pub version: u32,
    /// What people call it.
    pub name: String,
    /// What its numbers are, where that is known: `count`, `percent`, `EUR`, `ms`, ...
    pub unit: Option<String>,
    /// What is computed, as `metric` of a request says it.
    pub metric: Value,
}

/// Saved metrics cannot be looked up now.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("saved metrics cannot be read now: {0}")]
pub struct MetricsUnavailable(pub String);

/// Where saved metrics are. Calls block: they are made on a thread for it.
pub trait SavedMetrics: Send + Sync {
    /// The metric of an app with this id, `None` when there is none.
    ///
    /// # Errors
    /// [`MetricsUnavailable`].
    fn metric(&self, app: &AppId, id: &str) -> Result<Option<SavedMetric>, MetricsUnavailable>;
}

/// The saved metrics that a request uses, by id.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<BTreeMap<String, SavedMetric>>);

impl Metrics {
    /// These metrics.
    pub fn new(metrics: impl IntoIterator<Item = (String, SavedMetric)>) -> Self {
        Self(Arc::new(metrics.into_iter().collect()))
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&SavedMetric> {
        self.0.get(id)
    }

    /// Which versions they are, for the key of an answer.
    pub(crate) fn versions(&self) -> Vec<(&str, u32)> {
        self.0.iter().map(|(id, metric)| (id.as_str(), metric.version)).collect()
    }

    /// The cohorts that the metrics mention.
    pub(crate) fn cohorts(&self) -> Vec<String> {
        self.0.values().flat_map(|metric| cohorts::mentioned(&metric.metric)).collect()
    }

    /// Looks up what a request mentions, and what that mentions.
    ///
    /// # Errors
    /// More metrics than a request may use; [`MetricsUnavailable`] as a failure to try again.
    pub(crate) fn load(source: &dyn SavedMetrics, app: &AppId, mentioned: Vec<String>) -> Result<Self, QueryFailure> {
        let (mut found, mut waiting) = (BTreeMap::new(), mentioned);
        let mut asked = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            if id.len() > cohorts::MAX_COHORT_ID_BYTES || !asked.insert(id.clone()) {
                continue;
            }
            if asked.len() > MAX_METRICS_PER_REQUEST {
                let message = format!(
                    "the request uses more than {MAX_METRICS_PER_REQUEST} saved metrics: ask for some of them in a request of their own"
                );
                return Err(QueryFailure::invalid("invalid_metric", "metrics", message));
            }
            let looked_up = source.metric(app, &id);
            let metric = looked_up.map_err(|error| QueryFailure {
                code: "metrics_unavailable",
                message: error.to_string(),
                field: None,
                kind: FailureKind::Busy,
            })?;
            if let Some(metric) = metric {
                mentions(&metric.metric, &mut waiting);
                found.insert(id, metric);
            }
        }
        Ok(Self(Arc::new(found)))
    }
}

/// The ids of saved metrics that a request may mean.
pub(crate) fn mentioned_metrics(request: &Value) -> Vec<String> {
    let mut ids = Vec::new();
    for key in ["metric", "metrics"] {
        mentions(&request[key], &mut ids);
    }
    ids
}

/// Whether a metric is made of another.
pub fn metric_mentions(metric: &Value, id: &str) -> bool {
    let mut ids = Vec::new();
    mentions(metric, &mut ids);
    ids.iter().any(|mentioned| mentioned == id)
}

/// Text is an id with the prefix where a metric stands: by itself, as `metric` of an object, in a list, or as a series of a formula.
fn mentions(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::String(text) => ids.extend(text.strip_prefix(METRIC_PREFIX).map(str::to_owned)),
        Value::Array(items) => items.iter().for_each(|item| mentions(item, ids)),
        Value::Object(fields) => {
            let is_metric = |key: &str| key == "metric" || matches!(key.as_bytes(), [b'A'..=b'Z']);
            fields.iter().filter(|(key, _)| is_metric(key)).for_each(|(_, value)| mentions(value, ids));
        }
        _ => {}
    }
}

/// Whether the metrics of an app can be computed once `id` is among them: it can be read, the metrics it is made of exist, none of them
/// contains it, and those that are made of it stay within their bounds. `app` has the cohorts that are mentioned, `metrics` are all of the app, with the
/// changed one.
///
/// # Errors
/// [`QueryFailure`] names the field at fault, below `metric`; for a metric that is made of it the code is `metric_in_use`.
pub fn check_metric(app: &AppSettings, metrics: &BTreeMap<String, SavedMetric>, id: &str, now_ms: TimestampMs) -> Result<(), QueryFailure> {
    let settings = AppSettings { metrics: Metrics::new(metrics.clone()), ..app.clone() };
    let check = |id: &str| within_bound(metrics, id).and_then(|()| crate::request::check_metric(id, &settings, now_ms));
    check(id)?;
    let (mut waiting, mut made_of_it) = (vec![id], BTreeSet::new());
    while let Some(part) = waiting.pop() {
        let users = metrics.iter().filter(|(_, metric)| metric_mentions(&metric.metric, part)).map(|(user, _)| user.as_str());
        waiting.extend(users.filter(|&user| user != id && made_of_it.insert(user)));
    }
    made_of_it.into_iter().try_for_each(|user| {
        check(user).map_err(|failure| {
            let message =
                format!("the metric {user} is made of it and could not be computed any more ({}): change that one first", failure.message);
            QueryFailure::invalid("metric_in_use", "metric", message)
        })
    })
}

/// Refuses a metric that no request could ask for: with those it is made of it is one too many.
fn within_bound(metrics: &BTreeMap<String, SavedMetric>, id: &str) -> Result<(), QueryFailure> {
    let (mut waiting, mut parts) = (vec![id.to_owned()], BTreeSet::new());
    while let Some(id) = waiting.pop() {
        if let Some(metric) = metrics.get(&id).filter(|_| parts.insert(id.clone())) {
            mentions(&metric.metric, &mut waiting);
        }
        if parts.len() > MAX_METRICS_PER_REQUEST {
            let message = format!("a metric with those it is made of is {MAX_METRICS_PER_REQUEST} at most: make it of fewer");
            return Err(QueryFailure::invalid("invalid_metric", "metric", message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn saved(metric: Value) -> SavedMetric {
        SavedMetric { version: 1, name: "n".to_owned(), unit: None, metric }
    }

    #[test]
    fn what_a_request_mentions() {
        let request = json!({
            "metrics": ["metric:a", "events", {"metric": "metric:b", "name": "x"}, {"formula": "A / B", "A": "metric:c", "B": {"fn": "sum", "property": "metric:no"}}],
            "filters": [{"property": "p", "op": "eq", "value": "metric:no"}]
        });
        assert_eq!(mentioned_metrics(&request), ["a", "b", "c"]);
        assert_eq!(mentioned_metrics(&json!({"metric": "metric:a"})), ["a"]);
        assert!(metric_mentions(&json!({"formula": "A", "A": "metric:a"}), "a") && !metric_mentions(&json!("events"), "a"));
    }

    #[test]
    fn a_change_leaves_no_circle_and_nothing_that_cannot_be_computed() {
        let settings = AppSettings::new(AppId::new("A").unwrap());
        let check = |metrics: &[(&str, Value)], id: &str| {
            let metrics = metrics.iter().map(|(id, metric)| ((*id).to_owned(), saved(metric.clone()))).collect();
            check_metric(&settings, &metrics, id, 0)
        };
        let ratio = |a: &str, b: &str| json!({"formula": "A / B", "A": a, "B": b});
        check(&[("a", json!("events")), ("b", ratio("metric:a", "sessions"))], "a").unwrap();
        let circle =
            check(&[("a", ratio("events", "metric:b")), ("b", ratio("metric:c", "events")), ("c", json!("metric:a"))], "a").unwrap_err();
        assert_eq!((circle.code, circle.field.as_deref()), ("cyclic_metric", Some("metric.B")));
        assert!(circle.message.contains("a > b > c > a"), "{}", circle.message);
        assert_eq!(check(&[("a", json!("metric:a"))], "a").unwrap_err().code, "cyclic_metric");
        assert_eq!(check(&[("a", json!("metric:gone"))], "a").unwrap_err().code, "unknown_metric");
        // A series that a formula has no room for any more.
        let wide = |from: usize| {
            let mut metric = json!({"formula": ('A'..='T').map(String::from).collect::<Vec<_>>().join(" + ")});
            ('A'..='T').zip(from..).for_each(|(letter, number)| metric[letter.to_string()] = json!(format!("sum:p{number}")));
            metric
        };
        let both = [("a", wide(0)), ("b", wide(20)), ("c", ratio("metric:a", "metric:b"))];
        assert_eq!(check(&both, "a").unwrap_err().code, "metric_in_use");
        check(&both[..2], "a").unwrap();
    }

    #[test]
    fn what_cannot_be_asked_for_is_not_saved() {
        let settings = AppSettings::new(AppId::new("A").unwrap());
        let chain = |length: usize, first: Value| {
            let of = |number: usize| if number == 0 { first.clone() } else { json!(format!("metric:{:03}", number - 1)) };
            (0..length).map(|number| (format!("{number:03}"), saved(of(number)))).collect::<BTreeMap<_, _>>()
        };
        let fits = chain(MAX_METRICS_PER_REQUEST, json!("events"));
        check_metric(&settings, &fits, "049", 0).unwrap();
        let beyond = check_metric(&settings, &chain(MAX_METRICS_PER_REQUEST + 1, json!("events")), "050", 0).unwrap_err();
        assert_eq!((beyond.code, beyond.field.as_deref()), ("invalid_metric", Some("metric")));
        let mut longer = chain(MAX_METRICS_PER_REQUEST, json!("metric:base"));
        longer.insert("base".to_owned(), saved(json!("events")));
        assert_eq!(check_metric(&settings, &longer, "000", 0).unwrap_err().code, "metric_in_use");
    }

    struct Shelf;

    impl SavedMetrics for Shelf {
        fn metric(&self, _: &AppId, id: &str) -> Result<Option<SavedMetric>, MetricsUnavailable> {
            let number: u32 = id.parse().map_err(|_| MetricsUnavailable("told to fail".to_owned()))?;
            Ok((number > 0).then(|| saved(json!(format!("metric:{}", number - 1)))))
        }
    }

    #[test]
    fn metrics_of_metrics_are_looked_up_within_bounds() {
        let app = AppId::new("A").unwrap();
        let load = |id: &str| Metrics::load(&Shelf, &app, vec![id.to_owned()]);
        assert_eq!(load("3").unwrap().versions().len(), 3);
        assert!(load("0").unwrap().is_empty());
        assert_eq!(load("51").unwrap_err().code, "invalid_metric");
        assert_eq!(load("x").unwrap_err().code, "metrics_unavailable");
    }
}
