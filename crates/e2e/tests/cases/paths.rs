//! Paths. `paths.json` lists the cases where our rule differs by choice.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use e2e::cases;
use serde_json::{Value, json};

use super::asked::{Asked, Family, differs};

#[test]
fn every_case_has_its_answer_or_a_reason() -> Result<()> {
    let listed = serde_json::from_str(include_str!("paths.json"))?;
    Family { types: &["paths"], at_least: 3, listed }.check(
        |_| &[],
        |asked, listed| match listed {
            None => PathsCase(asked).check(&json!({})),
            Some(listed) => PathsCase(asked).check_listed(listed),
        },
    )
}

struct PathsCase<'a>(&'a Asked<'a>);

impl PathsCase<'_> {
    /// Our own answer is not the case's; with the option it is.
    fn check_listed(&self, listed: &Value) -> Result<()> {
        differs(listed, &self.check(&json!({})))?;
        self.check(&listed["option"]).with_context(|| format!("with {}", listed["option"]))
    }

    fn ask(&self, request: &Value) -> Result<Value> {
        self.0.ask("paths", request)
    }

    fn check(&self, option: &Value) -> Result<()> {
        match self.0.case["query"].get("after") {
            None => self.check_edges(option),
            Some(_) => self.check_neighbours(),
        }
    }

    /// Edges `1_/` > `2_/about`: the nth and the next step of a session.
    fn check_edges(&self, option: &Value) -> Result<()> {
        let query = &self.0.case["query"];
        let node = query["node"].as_str().context("node")?;
        let (property, event) = node.strip_suffix(" events").and_then(|node| node.split_once(" of ")).context("a node")?;
        ensure!(query["session_gap"] == "30 minute", "sessions of another kind");
        let mut request = json!({
            "step_by": format!("properties.{property}"),
            "events": [event],
            "steps": 10,
            "from": query["from"],
            "to": cases::end_after(query["to"].as_str().context("to")?),
            "timezone": query["timezone"],
            "limit": 1_000,
        });
        for (key, value) in option.as_object().context("an option")? {
            request[key] = value.clone();
        }
        let answer = self.ask(&request)?;
        let text = |place: &Value, name: &Value| format!("{place}_{}", name.as_str().unwrap_or_default());
        let found = answer["edges"].as_array().context("edges")?.iter().map(|edge| {
            let ends = (text(&edge["from_place"], &edge["from"]), text(&edge["to_place"], &edge["to"]));
            (ends, edge["sequences"].as_u64().unwrap_or_default())
        });
        let expected = self.0.case["expected"]["edges"].as_array().context("expected edges")?.iter().map(|edge| {
            let end = |key: &str| edge[key].as_str().unwrap_or_default().to_owned();
            ((end("source"), end("target")), edge["value"].as_u64().unwrap_or_default())
        });
        let (found, expected) = (found.collect::<BTreeMap<_, _>>(), expected.collect::<BTreeMap<_, _>>());
        ensure!(found == expected, "{found:?}, expected {expected:?}");
        Ok(())
    }

    /// For each person, what comes right after an event, right before one, and after both.
    fn check_neighbours(&self) -> Result<()> {
        let (query, expected) = (&self.0.case["query"], &self.0.case["expected"]);
        let (after, before) = (&query["after"], &query["before"]);
        for (key, expected) in expected.as_object().context("expected")? {
            for (user, expected) in expected.as_object().context("persons")? {
                let anchor = match key.as_str() {
                    "right_before_product" => json!({"end": before["event"], "occurrence": before["occurrence"]}),
                    "right_after_home" | "right_after_home_then_product_adjacent" => {
                        json!({"start": after["event"], "occurrence": after["occurrence"]})
                    }
                    other => bail!("nothing is known of {other}"),
                };
                let mut request = json!({
                    "range": "all", "steps": 2,
                    "filters": [{"property": "user_id", "op": "eq", "value": cases::person(user)}],
                });
                anchor.as_object().into_iter().flatten().for_each(|(key, value)| request[key] = value.clone());
                let answer = self.ask(&request)?;
                let path = &answer["paths"][0]["path"];
                let found = match key.as_str() {
                    "right_after_home" => &path[1],
                    "right_before_product" => path.as_array().and_then(|path| path.iter().rev().nth(1)).unwrap_or(&Value::Null),
                    _ if path[1] == before["event"] => &path[2],
                    _ => &Value::Null,
                };
                ensure!(found == expected, "{key} of {user} is {found}, expected {expected}: {answer}");
            }
        }
        Ok(())
    }
}
