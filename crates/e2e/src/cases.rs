//! Cases from other products' own tests: events, a question in neutral words, the expected answer.
//!
//! They lie beside the checkout (`THRONG_TEST_CASES`, or `../shared/cases`) and are not part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{App, Client, Throng};

/// The folder of the cases, where there is one; else says so.
pub fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases");
    let folder = std::env::var_os("THRONG_TEST_CASES").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        eprintln!("SKIPPED: {} is absent, its cases are not tried", folder.display());
        return None;
    }
    Some(folder)
}

/// All cases whose question is of one of these types, by id.
pub fn of_types(types: &[&str]) -> Result<BTreeMap<String, Value>> {
    let Some(folder) = folder() else { return Ok(BTreeMap::new()) };
    let mut cases = BTreeMap::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let case: Value = serde_json::from_str(&std::fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
            if case["query"]["type"].as_str().is_some_and(|kind| types.contains(&kind)) {
                cases.insert(case["id"].as_str().context("id")?.to_owned(), case);
            }
        }
    }
    Ok(cases)
}

/// An app with the events of a case, all stored. Every id is sent with a prefix: some cases call one `0`. Events of a person under another id are
/// sent as those of an anonymous visitor who signs in.
pub fn load(server: &Throng, client: &Client, case: &Value, options: &[&str]) -> Result<App> {
    let id = case["id"].as_str().context("id")?;
    let app = server.create_app(id, &[&["--raw-retention", "forever"], options].concat())?;
    let mut events = Vec::new();
    // By user and other id: whether an event has linked them.
    let mut links: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    let told = case["events"].as_array().context("events")?;
    for event in told {
        if let (Some(user), Some(other)) = (event["user_id"].as_str(), event["sent_as"].as_str()) {
            links.insert((user, other), false);
        }
    }
    // An event under the user's own id links one of the others, so that no event is needed for that alone.
    for is_own in [true, false] {
        for event in told.iter().filter(|event| event["sent_as"].is_null() == is_own) {
            let user_id = event["user_id"].as_str().context("user_id")?;
            let mut sent = json!({"name": event["name"], "timestamp": event["timestamp"], "properties": event["properties"]});
            let sent_as = event["sent_as"].as_str();
            let link = links.iter_mut().find(|((user, id), linked)| !**linked && *user == user_id && sent_as.is_none_or(|own| own == *id));
            if is_own || link.is_some() {
                sent["user_id"] = json!(person(user_id));
            }
            if let Some(other) = sent_as.or(link.as_ref().map(|((_, id), _)| *id)) {
                sent["anonymous_id"] = json!(person(other));
            }
            if case["query"]["session"] == "given by property session_id" {
                sent["session_id"] = event["properties"]["session_id"].clone();
            }
            if let Some(property) = case["query"]["deduplicate_by"].as_str() {
                sent["insert_id"] = event["properties"][property].clone();
            }
            link.into_iter().for_each(|(_, linked)| *linked = true);
            events.push(sent);
        }
    }
    if case["query"].to_string().contains("\"on\":\"person\"") {
        let first = case["events"][0]["timestamp"].clone();
        for user in case["users"].as_array().into_iter().flatten() {
            let id = person(user["user_id"].as_str().context("users[].user_id")?);
            events.push(json!({"name": "$identify", "user_id": id, "timestamp": first, "properties": user["properties"]}));
        }
    }
    client.send(&app, &events)?;
    // Events without an id to be known by are all different.
    let ids: BTreeSet<&str> = events.iter().filter_map(|event| event["insert_id"].as_str()).collect();
    let without_id = events.iter().filter(|event| event["insert_id"].is_null()).count();
    client.wait_for_events(&app, (without_id + ids.len()) as u64)?;
    Ok(app)
}

/// The id under which a person of a case is sent.
pub fn person(id: &str) -> String {
    format!("person-{id}")
}

/// A step or series of a case as the API writes it.
pub fn step(step: &Value) -> Value {
    if let Some(any_of) = step["any_of"].as_array() {
        return json!({"any_of": any_of.iter().map(self::step).collect::<Vec<_>>()});
    }
    json!({"event": step["event"], "filters": filters(&step["where"])})
}

/// Conditions of a case as the API writes them.
pub fn filters(conditions: &Value) -> Value {
    let condition = |condition: &Value| {
        let property = condition["property"].as_str().unwrap_or_default();
        let property = if condition["on"] == "person" { format!("user.{property}") } else { property.to_owned() };
        let (op, value) = match (condition["op"].as_str().unwrap_or_default(), &condition["value"]) {
            ("equals", value) if value.is_array() => ("in", value.clone()),
            ("equals", value) => ("eq", value.clone()),
            ("not_equals", value) => ("neq", value.clone()),
            ("<=", value) => ("lte", value.clone()),
            (">=", value) => ("gte", value.clone()),
            // The globs of the cases end with the only star in them.
            ("glob", value) => ("starts_with", json!(value.as_str().unwrap_or_default().trim_end_matches('*'))),
            ("is_not_set", _) => return json!({"property": property, "op": "is_not_set"}),
            (other, value) => (other, value.clone()),
        };
        json!({"property": property, "op": op, "value": value})
    };
    conditions.as_array().into_iter().flatten().map(condition).collect()
}

/// The end of a case's range, which is included there, as one that is not: a bare date is the end of that day.
pub fn end_after(to: &str) -> String {
    match to.len() {
        10 => format!("{to}T23:59:59.9999"),
        _ => format!("{to}.001"),
    }
}
