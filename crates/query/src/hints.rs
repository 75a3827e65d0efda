//! Names that a question asks for and no event has: an answer that is empty because of a slip of the pen says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use event::AppId;
use event_store::{EventSource, Field, QueryContext, QueryError, Schema};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::{Map, Value, json};

use crate::node::{Node, join, near, shown};
use crate::request::field_named;
use crate::runner::Work;

/// Most names of one question that are told as unknown.
const MAX_HINTS: usize = 10;
/// Most names that are offered for one.
const MAX_NEAR: usize = 3;
/// Fields of requests whose text is the name of an event.
const EVENT_FIELDS: [&str; 12] =
    ["event", "events", "steps", "any_of", "exclusions", "start_event", "return_event", "start", "end", "exclude", "did", "did_not"];
/// Fields of requests whose text is the name of a property.
const PROPERTY_FIELDS: [&str; 6] = ["property", "group_by", "breakdown", "hold_constant", "step_by", "pages"];
/// Bodies of answers, and the fields that are nothing in every row when nothing was found.
const BODIES: [(&str, &[&str]); 8] = [
    ("retention", &["returned"]),
    ("lifecycle", &["new", "returning", "resurrected", "dormant"]),
    ("stickiness", &["users"]),
    ("paths", &["sequences"]),
    ("sessions", &["sessions"]),
    ("active_users", &["mau"]),
    ("persons", &["person"]),
    ("events", &["name"]),
];

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Event,
    Property,
}

/// A name in a request, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mention {
    kind: Kind,
    name: String,
    path: String,
}

/// The names of apps that were lately asked for, so that a question that finds nothing does not read the schema each time it is repeated.
pub(crate) struct KnownNames {
    kept: Cache<AppId, (Instant, Arc<Names>), ByBytes>,
}

/// Most bytes of names that are kept.
const MAX_KEPT_BYTES: u64 = 4 << 20;
/// Names younger than this are not read again; a new one is then missed at most so long, in answers that have it nowhere.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// Names of one app, frequent ones first.
#[derive(Default)]
struct Names {
    events: Vec<String>,
    properties: Vec<String>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<AppId, (Instant, Arc<Names>)> for ByBytes {
    fn weight(&self, _: &AppId, (_, names): &(Instant, Arc<Names>)) -> u64 {
        const NAME_BYTES: usize = size_of::<String>();
        let bytes: usize = names.events.iter().chain(&names.properties).map(|name| name.len() + NAME_BYTES).sum();
        (256 + bytes) as u64
    }
}

impl KnownNames {
    pub fn new() -> Self {
        const EXPECTED_APPS: usize = 1_000;
        Self { kept: Cache::with_weighter(EXPECTED_APPS, MAX_KEPT_BYTES, ByBytes) }
    }

    /// `None` where the schema cannot be read within the limits of the question.
    ///
    /// # Errors
    /// That the question was cancelled.
    fn of(&self, app: &AppId, source: &dyn EventSource, context: &QueryContext) -> Result<Option<Arc<Names>>, QueryError> {
        if let Some((_, names)) = self.kept.get(app).filter(|(read_at, _)| read_at.elapsed() < KEPT_FOR) {
            return Ok(Some(names));
        }
        let schema = match source.schema(app, context) {
            Err(QueryError::Cancelled) => return Err(QueryError::Cancelled),
            Err(_) => return Ok(None),
            Ok(schema) => schema,
        };
        let Schema { events, properties } = schema;
        let names = Names {
            events: events.into_iter().map(|event| event.name).collect(),
            properties: properties.into_iter().map(|property| property.name).collect(),
        };
        let names = Arc::new(names);
        self.kept.insert(app.clone(), (Instant::now(), names.clone()));
        Ok(Some(names))
    }

    /// Work whose answer has hints about the names in its request.
    pub fn hinted(self: &Arc<Self>, app: &AppId, request: Arc<Value>, work: impl FnOnce() -> Work) -> impl FnOnce() -> Work {
        let (known, app) = (self.clone(), app.clone());
        move || {
            let work = work();
            Box::new(move |source, context, turn| {
                let mut answer = work(source, context, turn)?;
                if let Some(hints) = known.hints(&answer, &request, &app, source, context)? {
                    answer.insert("hints".to_owned(), hints);
                }
                Ok(answer)
            })
        }
    }

    /// What to say of an answer in which something asked for is nowhere to be found, when the request mentions names that the app does not
    /// have.
    ///
    /// # Errors
    /// As [`KnownNames::of`].
    fn hints(
        &self,
        answer: &Map<String, Value>,
        request: &Value,
        app: &AppId,
        source: &dyn EventSource,
        context: &QueryContext,
    ) -> Result<Option<Value>, QueryError> {
        if !lacks_something(answer) {
            return Ok(None);
        }
        let mut mentions = Vec::new();
        collect(request, "", "", &mut mentions);
        if mentions.is_empty() {
            return Ok(None);
        }
        let Some(names) = self.of(app, source, context)? else { return Ok(None) };
        let hints = hints_of(&mentions, &names);
        Ok((!hints.is_empty()).then_some(Value::Array(hints)))
    }
}

fn hints_of(mentions: &[Mention], names: &Names) -> Vec<Value> {
    if names.events.is_empty() {
        return vec![json!({"message": "this app has no events yet"})];
    }
    mentions.iter().filter_map(|mention| hint(mention, names)).take(MAX_HINTS).collect()
}

fn hint(mention: &Mention, names: &Names) -> Option<Value> {
    let name = mention.name.as_str();
    let (what, known) = match mention.kind {
        Kind::Event => ("no event is named", &names.events),
        Kind::Property => ("none of the newest events has the property", &names.properties),
    };
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    if known.contains(&name) {
        return None;
    }
    let near = near(name, &known, MAX_NEAR);
    let offered = match near.as_slice() {
        [] => String::new(),
        near => format!(": did you mean {}?", near.iter().map(|name| format!("\"{}\"", shown(name))).collect::<Vec<_>>().join(" or ")),
    };
    let message = format!("{what} \"{}\"{offered}", shown(name));
    Some(json!({"field": mention.path, "unknown": name, "near": near, "message": message}))
}

/// True when there is no row, a step that nobody reaches, a metric that is nothing everywhere, or a group without a value.
fn lacks_something(answer: &Map<String, Value>) -> bool {
    let rows_of = |body: &str| answer.get(body).and_then(Value::as_array).map(Vec::as_slice);
    if let Some(steps) = rows_of("funnel") {
        return steps.iter().any(|step| is_nothing(&step["users"]));
    }
    if let Some(stopped) = answer.get("stopped") {
        return matches!(stopped["rule"].as_str(), Some("never" | "no_entry"));
    }
    if let Some(rows) = rows_of("results") {
        let mut names = ["metrics", "group_by"].into_iter().filter_map(rows_of).flatten().filter_map(Value::as_str);
        return names.any(|name| rows.iter().all(|row| is_nothing(&row[name])));
    }
    let is_empty = |(body, fields): &(&str, &[&str])| {
        rows_of(body).is_some_and(|rows| rows.iter().all(|row| fields.iter().all(|field| is_nothing(&row[*field]))))
    };
    let without_pages = rows_of("entry_pages").is_some_and(<[Value]>::is_empty);
    without_pages || BODIES.iter().any(is_empty)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(items) => items.iter().all(is_nothing),
        _ => false,
    }
}

/// Gathers each name at and below `value`, which is the field `key` (for an element of a list, the list's), once.
fn collect(value: &Value, key: &str, path: &str, mentions: &mut Vec<Mention>) {
    match value {
        Value::Object(fields) => {
            // What a property is compared with is no name.
            for (key, value) in fields.iter().filter(|(key, _)| *key != "value") {
                collect(value, key, &join(path, key), mentions);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(place, item)| collect(item, key, &format!("{path}[{place}]"), mentions));
        }
        Value::String(text) => {
            let Some((kind, name)) = named(key, text) else { return };
            if !mentions.iter().any(|mention| mention.kind == kind && mention.name == name) {
                mentions.push(Mention { kind, name, path: path.to_owned() });
            }
        }
        _ => {}
    }
}

/// The name of an event or property that the text of a field is.
fn named(key: &str, text: &str) -> Option<(Kind, String)> {
    let is_metric = matches!(key, "metric" | "metrics" | "fn") || (key.len() == 1 && key.as_bytes()[0].is_ascii_uppercase());
    let property = match key {
        _ if EVENT_FIELDS.contains(&key) => return Some((Kind::Event, text.to_owned())),
        _ if PROPERTY_FIELDS.contains(&key) => text,
        _ if is_metric => text.split_once(':').filter(|(function, _)| *function != "metric")?.1,
        _ => return None,
    };
    // User properties are not part of what a schema tells.
    match field_named(&Node::root(&Value::Null), property) {
        Ok(Field::Property(name)) => Some((Kind::Property, name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentions(request: &Value) -> Vec<String> {
        let mut out = Vec::new();
        collect(request, "", "", &mut out);
        out.into_iter().map(|Mention { kind, name, path }| format!("{kind:?} {name} at {path}")).collect()
    }

    #[test]
    fn names_are_found_wherever_a_request_may_have_them() {
        let query = json!({
            "metrics": ["events", "p95:price", "metric:abc", {"fn": "sum", "property": "cost", "event": "pay"}, {"formula": "A / B", "A": "avg:tax", "B": "unique_users"}],
            "events": ["buy", "pay"],
            "filters": [{"or": [{"property": "country", "op": "in", "value": ["events", "US"]}, {"not": {"property": "user.plan", "op": "is_set"}}]}],
            "group_by": ["properties.event", "time", "cohort:x"],
            "segment": {"and": [{"did": "sign_up"}, {"did_not": ["leave"]}]}, "label": "event", "range": "7d"});
        let mut found = mentions(&query);
        found.sort();
        let expected = [
            "Event buy at events[0]",
            "Event leave at segment.and[1].did_not[0]",
            "Event pay at metrics[3].event",
            "Event sign_up at segment.and[0].did",
            "Property cost at metrics[3].property",
            "Property country at filters[0].or[0].property",
            "Property event at group_by[0]",
            "Property price at metrics[1]",
            "Property tax at metrics[4].A",
        ];
        assert_eq!(found, expected);
        let funnel = json!({"steps": ["a", {"event": "b", "filters": [{"property": "p", "op": "is_set"}]}, {"any_of": ["c", {"event": null}]}],
            "exclusions": [{"event": "d", "from_step": 1}], "hold_constant": "cart", "breakdown": "device", "mode": "strict", "window": "1d"});
        let found = mentions(&funnel).join(", ");
        for name in [
            "Event a at steps[0]",
            "Event b at steps[1].event",
            "Event c at steps[2].any_of[0]",
            "Event d at exclusions[0].event",
            "Property p at steps[1].filters[0].property",
            "Property cart at hold_constant",
            "Property device at breakdown",
        ] {
            assert!(found.contains(name), "{name} in {found}");
        }
        assert!(!found.contains("strict") && !found.contains("1d"), "{found}");
    }

    #[test]
    fn an_answer_lacks_what_is_nothing_everywhere() {
        let lacks = |answer: Value| lacks_something(answer.as_object().unwrap());
        let rows = |rows: Value| json!({"results": rows, "metrics": ["events", "sum:x"], "group_by": ["country"]});
        assert!(lacks(rows(json!([]))));
        assert!(lacks(rows(json!([{"country": "US", "events": 5, "sum:x": 0}, {"country": "DE", "events": 1, "sum:x": null}]))));
        assert!(lacks(rows(json!([{"country": null, "events": 5, "sum:x": 1}]))));
        assert!(!lacks(rows(json!([{"country": null, "events": 5, "sum:x": 0}, {"country": "DE", "events": 0, "sum:x": 2}]))));
        assert!(lacks(json!({"funnel": [{"users": 3}, {"users": 0}]})));
        assert!(!lacks(json!({"funnel": [{"users": 3}, {"users": 1}]})));
        assert!(lacks(json!({"retention": [{"size": 3, "returned": [0, 0, null]}]})));
        assert!(!lacks(json!({"retention": [{"size": 3, "returned": [0, 1]}, {"size": 0, "returned": [0]}]})));
        assert!(!lacks(json!({"lifecycle": [{"new": 0, "returning": 0, "resurrected": 0, "dormant": -1}]})));
        assert!(lacks(json!({"sessions": [{"sessions": 4}], "entry_pages": []})));
        assert!(lacks(json!({"attempt": null, "stopped": {"rule": "no_entry"}})));
        assert!(lacks(json!({"persons": []})) && !lacks(json!({"persons": [{"person": "U1"}]})));
    }
}
