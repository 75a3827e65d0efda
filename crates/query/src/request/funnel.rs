use event_store::{Field, Filter, FunnelStep};

use super::filter::{FilterReader, field};
use super::period::{self, Period, counted_unit};
use super::question::{DEFAULT_LIMIT, MAX_LIMIT, explain, limit, own_app, use_cache};
use super::{event_name, max_named};
use crate::failure::QueryFailure;
use crate::node::{Node, Object};
use crate::options::AppSettings;

/// Most steps.
const MAX_STEPS: usize = 50;
/// Most alternatives of one step.
const MAX_ALTERNATIVES: usize = 20;
/// Longest label of a step.
const MAX_LABEL_BYTES: usize = 255;
/// Longest window: 366 days.
const MAX_WINDOW_MS: i64 = 366 * 86_400_000;
const DEFAULT_WINDOW_MS: i64 = 7 * 86_400_000;

/// One step with the name it is shown under.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FunnelRequestStep {
    /// The request's label, else the event's name.
    pub label: String,
    /// What matches it.
    pub step: FunnelStep,
}

/// A `/funnel` request.
#[derive(Clone, Debug)]
pub(crate) struct FunnelRequest {
    pub period: Period,
    pub steps: Vec<FunnelRequestStep>,
    pub filter: Filter,
    pub window_ms: Option<i64>,
    pub first_entry_only: bool,
    pub range_applies_to_all: bool,
    pub breakdown: Option<Field>,
    pub limit: usize,
    pub use_cache: bool,
    /// Whether the answer says how it came to be; it is then worked out anew.
    pub explain: bool,
}

const FIELDS: [&str; 21] = [
    "steps",
    "range",
    "from",
    "to",
    "timezone",
    "window",
    "filters",
    "mode",
    "entry",
    "range_applies_to",
    "counting",
    "breakdown",
    "limit",
    "cache",
    "explain",
    "app_id",
    "exclusions",
    "hold_constant",
    "segment",
    "preset",
    "interval",
];

/// Reads a `/funnel` request.
pub(crate) fn read_funnel(value: &serde_json::Value, app: &AppSettings, now_ms: i64) -> Result<FunnelRequest, QueryFailure> {
    let root = Node::root(value);
    let object = root.object(&FIELDS)?;
    own_app(&object, app)?;
    refuse_later_features(&object)?;
    let zone = period::timezone(&object, app)?;
    let period = period::period(&object, &zone, now_ms, "30d")?;
    let mut filters = FilterReader::new(&zone);
    let filter = filters.filters(&object)?;
    let named = |key: &str, choices: [(&str, bool); 2]| object.get(key).map_or(Ok(choices[0].1), |node| node.choice(&choices));
    Ok(FunnelRequest {
        period,
        steps: steps(&object, &mut filters)?,
        filter,
        window_ms: window(&object)?,
        first_entry_only: named("entry", [("any", false), ("first", true)])?,
        range_applies_to_all: named("range_applies_to", [("entry", false), ("all", true)])?,
        breakdown: breakdown(&object)?,
        limit: limit(&object, DEFAULT_LIMIT, MAX_LIMIT)?,
        use_cache: use_cache(&object)?,
        explain: explain(&object)?,
    })
}

fn refuse_later_features(object: &Object<'_>) -> Result<(), QueryFailure> {
    for key in ["exclusions", "hold_constant", "segment", "preset", "interval"] {
        if let Some(node) = object.get(key) {
            return Err(node.not_available(&format!("\"{key}\" of a funnel")));
        }
    }
    for (key, known, later) in [("mode", "ordered", ["strict", "unordered"].as_slice()), ("counting", "users", &["totals"])] {
        let Some(node) = object.get(key) else { continue };
        let text = node.text("a name")?;
        if later.contains(&text) {
            return Err(node.not_available(&format!("a funnel with \"{key}\": \"{text}\"")));
        }
        node.choice(&[(known, ())])?;
    }
    Ok(())
}

fn steps(object: &Object<'_>, filters: &mut FilterReader<'_>) -> Result<Vec<FunnelRequestStep>, QueryFailure> {
    let node = object.required("steps", "a list of event names, in order")?.coded("invalid_step");
    let nodes = node.list("steps", MAX_STEPS)?;
    if nodes.is_empty() {
        return Err(node.error("the list is empty: give at least one step"));
    }
    nodes.iter().map(|node| step(node, filters)).collect()
}

fn step(node: &Node<'_>, filters: &mut FilterReader<'_>) -> Result<FunnelRequestStep, QueryFailure> {
    let has_alternatives = node.value.as_object().is_some_and(|map| map.contains_key("any_of"));
    if !has_alternatives {
        let (label, selection) = selection(node, filters)?;
        return Ok(FunnelRequestStep { label, step: FunnelStep { any_of: vec![selection] } });
    }
    let object = node.object(&["any_of", "label"])?;
    let list = object.required("any_of", "a list of steps")?;
    let nodes = list.list("alternatives", MAX_ALTERNATIVES)?;
    if nodes.is_empty() {
        return Err(list.error("the list is empty: give at least one step"));
    }
    let alternatives = nodes.iter().map(|node| selection(node, filters)).collect::<Result<Vec<_>, _>>()?;
    let (labels, any_of): (Vec<String>, Vec<_>) = alternatives.into_iter().unzip();
    let label = given_label(&object)?.unwrap_or_else(|| labels.join(" or "));
    Ok(FunnelRequestStep { label, step: FunnelStep { any_of } })
}

type Selection = (Option<Vec<String>>, Filter);

fn selection(node: &Node<'_>, filters: &mut FilterReader<'_>) -> Result<(String, Selection), QueryFailure> {
    if node.value.is_string() {
        let name = event_name(node)?.to_owned();
        return Ok((name.clone(), (Some(vec![name]), Filter::all())));
    }
    let object = node.object(&["event", "filters", "label"])?;
    let event = object.required("event", "the event's name, or null for any event")?;
    let name = if event.value.is_null() { None } else { Some(event_name(&event)?.to_owned()) };
    let filter = filters.filters(&object)?;
    let label = given_label(&object)?.or_else(|| name.clone()).unwrap_or_else(|| "any event".to_owned());
    Ok((label, (name.map(|name| vec![name]), filter)))
}

fn given_label(object: &Object<'_>) -> Result<Option<String>, QueryFailure> {
    object.get("label").map(|node| max_named(&node, "a label", MAX_LABEL_BYTES).map(str::to_owned)).transpose()
}

fn window(object: &Object<'_>) -> Result<Option<i64>, QueryFailure> {
    let Some(node) = object.get("window") else { return Ok(Some(DEFAULT_WINDOW_MS)) };
    let node = node.coded("invalid_window");
    if node.value.as_str() == Some("none") {
        return Ok(None);
    }
    let ms = match node.value {
        serde_json::Value::String(text) => counted_unit(text).and_then(|(count, unit_ms)| count.checked_mul(unit_ms)),
        value => value.as_i64(),
    };
    match ms {
        Some(ms) if (1..=MAX_WINDOW_MS).contains(&ms) => Ok(Some(ms)),
        _ => Err(node
            .error("expected a length such as \"7d\", \"12h\", \"30m\" or \"45s\", a number of milliseconds, or \"none\"; at most 366d")),
    }
}

fn breakdown(object: &Object<'_>) -> Result<Option<Field>, QueryFailure> {
    let Some(node) = object.get("breakdown") else { return Ok(None) };
    let node = node.coded("invalid_breakdown");
    match field(&node)? {
        Field::Time | Field::ReceivedAt => Err(node.error("a funnel is broken down by a property, not by a time")),
        field => Ok(Some(field)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(request: Value) -> Result<FunnelRequest, QueryFailure> {
        let app = AppSettings::new(event::AppId::new("APP-1").unwrap());
        read_funnel(&request, &app, 1_773_000_000_000)
    }

    #[test]
    fn steps_of_every_form() {
        let request = read(json!({"steps": ["a", {"event": null}, {"event": "b", "label": "B!", "filters": []},
            {"any_of": ["c", {"event": "d"}]}, {"any_of": ["c"], "label": "C"}], "window": "1h"}))
        .unwrap();
        let labels: Vec<&str> = request.steps.iter().map(|step| step.label.as_str()).collect();
        assert_eq!(labels, ["a", "any event", "B!", "c or d", "C"]);
        assert_eq!(request.steps[1].step.any_of, [(None, Filter::all())]);
        assert_eq!(request.window_ms, Some(3_600_000));
        assert!(!request.first_entry_only && !request.range_applies_to_all);
    }

    #[test]
    fn windows() {
        let of = |window: Value| read(json!({"steps": ["a"], "window": window})).map(|request| request.window_ms);
        assert_eq!(read(json!({"steps": ["a"]})).unwrap().window_ms, Some(604_800_000));
        assert_eq!(of(json!("none")), Ok(None));
        assert_eq!(of(json!("366d")), Ok(Some(31_622_400_000)));
        assert_eq!(of(json!(1)), Ok(Some(1)));
        for wrong in [json!("367d"), json!(0), json!("0d"), json!(-1), json!("week"), json!(1.5), json!("9999999999999999d"), json!([])] {
            assert_eq!(of(wrong).unwrap_err().code, "invalid_window");
        }
    }

    #[test]
    fn refusals() {
        let wrong = [
            (json!({}), "invalid_request", "steps"),
            (json!({"steps": []}), "invalid_step", "steps"),
            (json!({"steps": "a"}), "invalid_step", "steps"),
            (json!({"steps": vec!["a"; 51]}), "invalid_step", "steps"),
            (json!({"steps": ["a", 7]}), "invalid_step", "steps[1]"),
            (json!({"steps": ["a", {"filters": []}]}), "invalid_step", "steps[1].event"),
            (json!({"steps": ["a", {"any_of": []}]}), "invalid_step", "steps[1].any_of"),
            (json!({"steps": ["a", {"any_of": [{"any_of": ["b"]}]}]}), "invalid_step", "steps[1].any_of[0].any_of"),
            (json!({"steps": [{"event": "a", "filters": [{"property": "p", "op": "is"}]}]}), "invalid_filter", "steps[0].filters[0].op"),
            (json!({"steps": ["a"], "mode": "strict"}), "not_available", "mode"),
            (json!({"steps": ["a"], "mode": "orderd"}), "invalid_request", "mode"),
            (json!({"steps": ["a"], "counting": "totals"}), "not_available", "counting"),
            (json!({"steps": ["a"], "exclusions": []}), "not_available", "exclusions"),
            (json!({"steps": ["a"], "preset": "mixpanel"}), "not_available", "preset"),
            (json!({"steps": ["a"], "entry": "last"}), "invalid_request", "entry"),
            (json!({"steps": ["a"], "breakdown": "time"}), "invalid_breakdown", "breakdown"),
            (json!({"steps": ["a"], "breakdown": ["x"]}), "invalid_breakdown", "breakdown"),
        ];
        for (request, code, field) in wrong {
            let error = read(request.clone()).expect_err(&request.to_string());
            assert_eq!((error.code, error.field.as_deref().unwrap_or("")), (code, field), "{request}: {}", error.message);
        }
        assert!(read(json!({"steps": ["a"], "mode": "ordered", "counting": "users", "exclusions": null})).is_ok());
    }
}
