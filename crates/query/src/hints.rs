//! Names that a question asks for and no event has: an answer that is empty because of a slip of the pen says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use event::AppId;
use event_store::{EventSource, Field, QueryContext, QueryError};
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

/// Names of apps that were lately looked for, so that a question that finds nothing does not read them each time it is repeated.
pub(crate) struct KnownNames {
    events: NameCache,
    properties: NameCache,
}

/// Names of one kind by app.
struct NameCache {
    kept: Cache<AppId, Kept, ByBytes>,
    /// Names are read again for one that is not among them when these are older.
    fresh_for: Duration,
}

#[derive(Clone)]
struct Kept {
    read_at: Instant,
    /// `None` where they cannot be told.
    names: Option<Arc<[String]>>,
}

/// Most bytes of names of one kind that are kept.
const MAX_KEPT_BYTES: u64 = 16 << 20;
/// Names that could not be read are not tried again for so long.
const GIVEN_UP_FOR: Duration = Duration::from_secs(30);
/// Names are not looked for any longer than this: the answer itself is there already.
const MAX_LOOKING: Duration = Duration::from_millis(500);
/// The schema samples the properties of so many event names; of an app with more it does not know all.
const MAX_SAMPLED_EVENTS: usize = 100;

#[derive(Clone)]
struct ByBytes;

impl Weighter<AppId, Kept> for ByBytes {
    fn weight(&self, _: &AppId, kept: &Kept) -> u64 {
        const NAME_BYTES: usize = size_of::<String>();
        let bytes: usize = kept.names.iter().flat_map(|names| names.iter()).map(|name| name.len() + NAME_BYTES).sum();
        (256 + bytes) as u64
    }
}

impl NameCache {
    fn new(fresh_for: Duration) -> Self {
        const EXPECTED_APPS: usize = 1_000;
        Self { kept: Cache::with_weighter(EXPECTED_APPS, MAX_KEPT_BYTES, ByBytes), fresh_for }
    }

    /// Names among which those of `mentions` are, or else fresh ones; `None` where they cannot be told.
    fn of(
        &self,
        app: &AppId,
        mentions: &[&Mention],
        read: impl FnOnce() -> Result<Option<Vec<String>>, QueryError>,
    ) -> Result<Option<Arc<[String]>>, QueryError> {
        if let Some(kept) = self.kept.get(app) {
            let will_do = match &kept.names {
                None => kept.read_at.elapsed() < GIVEN_UP_FOR,
                Some(names) => kept.read_at.elapsed() < self.fresh_for || mentions.iter().all(|mention| names.contains(&mention.name)),
            };
            if will_do {
                return Ok(kept.names);
            }
        }
        let names: Option<Arc<[String]>> = match read() {
            Err(QueryError::Cancelled) => return Err(QueryError::Cancelled),
            Err(_) => None,
            Ok(names) => names.map(Arc::from),
        };
        // An app that has none yet will soon.
        if names.as_ref().is_none_or(|names| !names.is_empty()) {
            self.kept.insert(app.clone(), Kept { read_at: Instant::now(), names: names.clone() });
        }
        Ok(names)
    }
}

impl KnownNames {
    pub fn new() -> Self {
        Self { events: NameCache::new(Duration::from_secs(1)), properties: NameCache::new(Duration::from_secs(5)) }
    }

    /// Forgets all names: some may be of events that nobody may see any more.
    pub fn clear(&self) {
        self.events.kept.clear();
        self.properties.kept.clear();
    }

    /// Work whose answer has hints about the names in its request.
    pub fn hinted(self: &Arc<Self>, app: &AppId, request: Arc<Value>, work: impl FnOnce() -> Work) -> impl FnOnce() -> Work {
        let (known, app) = (self.clone(), app.clone());
        move || {
            let work = work();
            Box::new(move |source, context, turn| {
                let mut answer = work(source, context, turn)?;
                if lacks_something(&answer)
                    && let Some(hints) = known.hints(&request, &app, source, context)?
                {
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
    /// That the question was cancelled.
    fn hints(&self, request: &Value, app: &AppId, source: &dyn EventSource, context: &QueryContext) -> Result<Option<Value>, QueryError> {
        let mut mentions = Vec::new();
        collect(request, "", "", &mut mentions);
        if mentions.is_empty() {
            return Ok(None);
        }
        let context = QueryContext { deadline: context.deadline.min(Instant::now() + MAX_LOOKING), ..context.clone() };
        let (events, properties): (Vec<&Mention>, Vec<&Mention>) = mentions.iter().partition(|mention| mention.kind == Kind::Event);
        let read_events = || Ok(Some(source.event_names(app, &context)?.into_iter().map(|event| event.name).collect()));
        let Some(known_events) = self.events.of(app, &events, read_events)? else { return Ok(None) };
        if known_events.is_empty() {
            return Ok(Some(json!([{"message": "this app has no events yet"}])));
        }
        let known_properties = if properties.is_empty() || known_events.len() > MAX_SAMPLED_EVENTS {
            None
        } else {
            let read = || Ok(Some(source.schema(app, &context)?.properties.into_iter().map(|property| property.name).collect()));
            self.properties.of(app, &properties, read)?
        };
        let hint = |mention: &Mention| match mention.kind {
            Kind::Event => hint(mention, "no event is named", &known_events),
            Kind::Property => hint(mention, "none of the newest events has the property", known_properties.as_ref()?),
        };
        let hints: Vec<Value> = mentions.iter().filter_map(hint).take(MAX_HINTS).collect();
        Ok((!hints.is_empty()).then_some(Value::Array(hints)))
    }
}

/// What to say of a name, unless it is among the `known` ones, of which frequent ones come first.
fn hint(mention: &Mention, what: &str, known: &[String]) -> Option<Value> {
    let name = mention.name.as_str();
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
