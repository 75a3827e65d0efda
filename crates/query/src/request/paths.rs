//! Reads `/paths` requests.

use event_store::{Field, Filter, MAX_PATH_STEPS, Occurrence, PathAnchor, PathBound, PathSide, Selection, SessionRule};

use super::event_names;
use super::filter::{FilterReader, field_named};
use super::funnel::{CONTRADICTION, MAX_WINDOW_MS, alternatives, choice};
use super::period::{self, Period, counted_unit};
use super::question::{DEFAULT_LIMIT, MAX_LIMIT, explain, limit, own_app, use_cache};
use crate::failure::QueryFailure;
use crate::node::{Node, Object};
use crate::options::AppSettings;

/// Steps of a path unless the request says otherwise.
const DEFAULT_STEPS: usize = 3;
/// Most excluded selections.
const MAX_EXCLUDED: usize = 20;

/// A `/paths` request.
#[derive(Clone, Debug)]
pub(crate) struct PathsRequest {
    pub period: Period,
    /// Only these events are steps; `None`: all.
    pub events: Option<Vec<String>>,
    pub filter: Filter,
    pub exclude: Vec<Selection>,
    /// With the name it was asked by.
    pub step_by: (String, Field),
    pub anchor: Option<PathAnchor>,
    pub bound: PathBound,
    pub steps: usize,
    pub collapse_repeats: bool,
    pub full_length_only: bool,
    pub limit: usize,
    pub use_cache: bool,
    /// Whether the answer says how it came to be; it is then worked out anew.
    pub explain: bool,
}

const FIELDS: [&str; 21] = [
    "start",
    "end",
    "occurrence",
    "steps",
    "step_by",
    "event",
    "events",
    "exclude",
    "gap",
    "collapse_repeats",
    "full_length_only",
    "filters",
    "range",
    "from",
    "to",
    "timezone",
    "limit",
    "cache",
    "explain",
    "app_id",
    "segment",
];

/// Reads a `/paths` request.
pub(crate) fn read_paths(value: &serde_json::Value, app: &AppSettings, now_ms: i64) -> Result<PathsRequest, QueryFailure> {
    let object = Node::root(value).object(&FIELDS)?;
    own_app(&object, app)?;
    let zone = period::timezone(&object, app)?;
    let mut period = period::of_question(&object, &zone, app, now_ms)?;
    let mut filters = FilterReader::new(app, &zone, now_ms);
    let filter = filters.question(&object)?;
    let exclude = exclude(&object, &mut filters)?;
    let anchor = anchor(&object, &mut filters)?;
    period.rule_marks = filters.into_marks();
    let flag = |key: &str| object.get(key).map_or(Ok(false), |node| node.boolean());
    Ok(PathsRequest {
        events: event_names(&object)?,
        filter,
        exclude,
        step_by: step_by(&object)?,
        anchor,
        bound: bound(&object, app)?,
        steps: object.get("steps").map_or(Ok(DEFAULT_STEPS), |node| node.coded("invalid_steps").count(1, MAX_PATH_STEPS))?,
        collapse_repeats: flag("collapse_repeats")?,
        full_length_only: flag("full_length_only")?,
        limit: limit(&object, DEFAULT_LIMIT, MAX_LIMIT)?,
        use_cache: use_cache(&object)?,
        explain: explain(&object)?,
        period,
    })
}

fn anchor(object: &Object<'_>, filters: &mut FilterReader<'_>) -> Result<Option<PathAnchor>, QueryFailure> {
    const OCCURRENCES: [(&str, Occurrence); 3] = [("first", Occurrence::First), ("last", Occurrence::Last), ("every", Occurrence::Every)];
    let occurrence = choice(object, "occurrence", &OCCURRENCES)?;
    let (side, node) = match (object.get("start"), object.get("end"), object.get("occurrence")) {
        (Some(_), Some(end), _) => {
            let message = "paths either begin with \"start\" or end with \"end\": leave one of them out; how many go from one event to another is told by a funnel";
            return Err(end.coded(CONTRADICTION).error(message));
        }
        (Some(start), None, _) => (PathSide::Start, start),
        (None, Some(end), _) => (PathSide::End, end),
        (None, None, Some(occurrence)) => {
            let message = "it says which event of a session \"start\" or \"end\" means, and there is neither: give one of them";
            return Err(occurrence.coded(CONTRADICTION).error(message));
        }
        (None, None, None) => return Ok(None),
    };
    let (_, any_of, _) = alternatives(&node, &[], filters)?;
    Ok(Some(PathAnchor { side, any_of, occurrence: occurrence.unwrap_or_default() }))
}

fn exclude(object: &Object<'_>, filters: &mut FilterReader<'_>) -> Result<Vec<Selection>, QueryFailure> {
    let Some(node) = object.get("exclude") else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for node in node.one_or_list("excluded events", MAX_EXCLUDED)? {
        all.extend(alternatives(&node, &[], filters)?.1);
    }
    Ok(all)
}

fn step_by(object: &Object<'_>) -> Result<(String, Field), QueryFailure> {
    let Some(node) = object.get("step_by") else { return Ok(("event".to_owned(), Field::Event)) };
    match field_named(&node, node.text("the name of a property")?)? {
        Field::Time | Field::ReceivedAt => Err(node.error("steps are named by \"event\" or by a property such as \"url\", not by a time")),
        field => Ok((node.text("the name of a property")?.to_owned(), field)),
    }
}

fn bound(object: &Object<'_>, app: &AppSettings) -> Result<PathBound, QueryFailure> {
    let Some(node) = object.get("gap") else {
        return Ok(PathBound::Session(SessionRule { idle_ms: app.session_idle_ms, max_ms: None }));
    };
    let node = node.coded("invalid_gap");
    if node.value.as_str() == Some("none") {
        return Ok(PathBound::Gap(None));
    }
    let ms = match node.value {
        serde_json::Value::String(text) => counted_unit(text).and_then(|(count, unit_ms)| count.checked_mul(unit_ms)),
        value => value.as_i64(),
    };
    match ms.filter(|ms| (1..=MAX_WINDOW_MS).contains(ms)) {
        Some(ms) => Ok(PathBound::Gap(Some(ms))),
        None => Err(node.error(
            "expected the longest pause between two steps, such as \"10m\", \"2h\" or a number of milliseconds, at most 366d, or \"none\"; leave it out to stay within sessions",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(request: Value) -> Result<PathsRequest, QueryFailure> {
        let app = AppSettings::new(event::AppId::new("APP-1").unwrap());
        read_paths(&request, &app, 1_773_000_000_000)
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let request = read(json!({})).unwrap();
        assert_eq!((request.steps, request.limit, request.collapse_repeats, request.anchor), (3, 25, false, None));
        assert_eq!(request.bound, PathBound::Session(SessionRule { idle_ms: 1_800_000, max_ms: None }));
        assert_eq!(request.step_by, ("event".to_owned(), Field::Event));
        assert_eq!(request.period.to_ms - request.period.from_ms, 30 * 86_400_000);
    }

    #[test]
    fn every_option_reads() {
        let request = read(json!({
            "end": {"any_of": ["purchase", {"event": "subscribe", "filters": [{"property": "plan", "op": "eq", "value": "pro"}]}]},
            "occurrence": "every", "steps": 10, "step_by": "url", "events": ["page_view"], "gap": "10m", "collapse_repeats": true,
            "exclude": ["ping", {"event": null, "filters": [{"property": "url", "op": "eq", "value": "/login"}]}], "full_length_only": true, "limit": 7,
        }))
        .unwrap();
        let anchor = request.anchor.unwrap();
        assert_eq!((anchor.side, anchor.occurrence, anchor.any_of.len()), (PathSide::End, Occurrence::Every, 2));
        assert_eq!((request.steps, request.limit, request.exclude.len()), (10, 7, 2));
        assert_eq!(request.bound, PathBound::Gap(Some(600_000)));
        assert_eq!(request.step_by, ("url".to_owned(), Field::Property("url".to_owned())));
        assert!(request.collapse_repeats && request.full_length_only);
        assert_eq!(read(json!({"gap": "none"})).unwrap().bound, PathBound::Gap(None));
    }

    #[test]
    fn refusals() {
        let wrong = [
            (json!({"start": "a", "end": "b"}), "contradictory_options", "end"),
            (json!({"occurrence": "last"}), "contradictory_options", "occurrence"),
            (json!({"start": "a", "occurrence": "second"}), "invalid_request", "occurrence"),
            (json!({"start": ""}), "invalid_request", "start"),
            (json!({"start": {"any_of": []}}), "invalid_request", "start.any_of"),
            (json!({"steps": 0}), "invalid_steps", "steps"),
            (json!({"steps": 11}), "invalid_steps", "steps"),
            (json!({"steps": ["a"]}), "invalid_steps", "steps"),
            (json!({"step_by": "received_at"}), "invalid_request", "step_by"),
            (json!({"gap": "0m"}), "invalid_gap", "gap"),
            (json!({"gap": "367d"}), "invalid_gap", "gap"),
            (json!({"gap": true}), "invalid_gap", "gap"),
            (json!({"exclude": vec!["a"; 21]}), "invalid_request", "exclude"),
            (json!({"collapse_repeats": "yes"}), "invalid_request", "collapse_repeats"),
            (json!({"segment": "x"}), "unknown_cohort", "segment"),
            (json!({"limit": 10_001}), "invalid_limit", "limit"),
            (json!({"app_id": "APP-2"}), "wrong_app", "app_id"),
            (json!({"from": "2026-03-02", "to": "2026-03-01"}), "invalid_range", "to"),
            (json!({"strat": "a"}), "invalid_request", "strat"),
        ];
        for (request, code, field) in wrong {
            let error = read(request.clone()).expect_err(&request.to_string());
            assert_eq!((error.code, error.field.as_deref().unwrap_or("")), (code, field), "{request}: {}", error.message);
        }
    }
}
