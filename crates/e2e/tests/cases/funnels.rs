//! Funnels. `funnels.json` lists the cases where our rule differs by choice.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use e2e::cases;
use serde_json::{Value, json};

use super::asked::{Asked, Family, differs};

/// The longest window of a request; longer ones of other products are none.
const LONGEST_WINDOW_MS: u64 = 366 * 86_400_000;

#[test]
fn every_case_has_its_answer_or_a_reason() -> Result<()> {
    let listed = serde_json::from_str(include_str!("funnels.json"))?;
    let (mut same, mut with_option) = (0, 0);
    let checked = Family { types: &["funnel"], at_least: 97, listed }.check(
        |_| &[],
        |asked, listed| match listed {
            None => FunnelCase(asked).check(&json!({})).map(|()| same += 1),
            Some(listed) => FunnelCase(asked).check_listed(listed).map(|has_option| with_option += usize::from(has_option)),
        },
    );
    println!("{same} have the same answer, {with_option} others with an option");
    checked
}

struct FunnelCase<'a>(&'a Asked<'a>);

impl FunnelCase<'_> {
    /// Our own answer is as listed and differs from the case's; with the option, where there is one, it is the case's.
    fn check_listed(&self, listed: &Value) -> Result<bool> {
        differs(listed, &self.check(&json!({})))?;
        if let Some(counts) = listed.get("our_counts") {
            let found = counts_of(&self.0.ask("funnel", &self.request()?)?["funnel"]);
            ensure!(json!(found) == *counts, "our counts are {found:?}, listed as {counts}");
        }
        let Some(option) = listed.get("option") else { return Ok(false) };
        self.check(option).with_context(|| format!("with {option}"))?;
        Ok(true)
    }

    fn request(&self) -> Result<Value> {
        let query = &self.0.case["query"];
        let steps = query["steps"].as_array().context("steps")?;
        let mut request = json!({
            "steps": steps.iter().map(cases::step).collect::<Vec<_>>(),
            "mode": match query["order"].as_str().context("order")? {
                "strict" | "strict_order" | "strict_order+allow_reentry" => "strict",
                "any_order" => "unordered",
                _ => "ordered",
            },
            "window": window(query["conversion_window"].as_str().context("conversion_window")?)?,
            "filters": cases::filters(&query["where"]),
            "limit": 1_000,
        });
        match (query["from"].as_str(), query["to"].as_str()) {
            (Some(from), Some(to)) => {
                (request["from"], request["to"]) = (json!(from), json!(cases::end_after(to)));
                request["timezone"] = query["timezone"].clone();
            }
            _ => request["range"] = json!("all"),
        }
        // Products of one family hold every step in the range.
        if self.0.case["id"].as_str().is_some_and(|id| id.starts_with("ph")) {
            request["preset"] = json!("posthog");
        }
        if query["within"].as_str().is_some_and(|within| within.contains("session_id")) {
            // Cases have it among the properties.
            request["hold_constant"] = json!("properties.session_id");
            request["counting"] = json!("totals");
        }
        for exclusion in query["exclusions"].as_array().into_iter().flatten() {
            let mut excluded = cases::step(exclusion);
            (excluded["from_step"], excluded["to_step"]) = (exclusion["between_steps"][0].clone(), exclusion["between_steps"][1].clone());
            let list = request.as_object_mut().context("an object")?.entry("exclusions").or_insert_with(|| json!([]));
            list.as_array_mut().context("a list")?.push(excluded);
        }
        if let Some(breakdown) = query.get("breakdown") {
            let on_person = breakdown["on"] == "person";
            let name = breakdown["by"][0].as_str().context("by")?;
            request["breakdown"] = json!(if on_person { format!("user.{name}") } else { format!("properties.{name}") });
            request["attribution"] = match breakdown["attribution"].as_str() {
                Some("last_touch") => json!("last"),
                Some("step") => json!(format!("step:{}", breakdown["attribution_step"])),
                _ => json!("first"),
            };
            if let Some(limit) = breakdown.get("limit") {
                request["limit"] = limit.clone();
            }
        }
        if let Some(per) = query.get("per") {
            request["interval"] = per.clone();
        }
        if let Some(time) = query.get("time_to_convert") {
            request["time_to_convert"] = time.clone();
        }
        Ok(request)
    }

    /// Every part of the expected answer, asked with some fields of the request set otherwise.
    fn check(&self, option: &Value) -> Result<()> {
        let mut request = self.request()?;
        for (key, value) in option.as_object().context("an option")? {
            request[key] = value.clone();
        }
        let answer = self.0.ask("funnel", &request)?;
        let steps = answer["funnel"].as_array().context("funnel")?;
        for (key, expected) in self.0.case["expected"].as_object().context("expected")? {
            match key.as_str() {
                "counts" => same(&json!(counts_of(&answer["funnel"])), expected, key)?,
                "deepest_step_by_user" => self.check_deepest(&request, steps.len(), expected)?,
                "users_at" => self.check_users(&request, expected)?,
                "average_conversion_time_seconds" if expected.is_array() => same(&seconds(steps, "avg_time_ms"), expected, key)?,
                "average_conversion_time_seconds" => same(&in_seconds(&answer["time_to_convert"]["avg_ms"]), expected, key)?,
                "median_conversion_time_seconds" => same(&seconds(steps, "median_time_ms"), expected, key)?,
                "by_breakdown" => check_groups(&answer["breakdown"], expected)?,
                "periods" => self.check_periods(&answer["trend"], expected)?,
                "bins" => same(&bins(&answer["time_to_convert"]), expected, key)?,
                "share_of_previous" => same_shares(steps, "conversion", expected)?,
                "share_of_first" => same_shares(steps, "conversion_from_start", expected)?,
                "breakdown_values" => {
                    let values = answer["breakdown"].as_array().context("breakdown")?.iter().map(|group| json!([group["value"]]));
                    same(&values.collect(), expected, key)?;
                }
                // Shares in percent of the same counts, of persons who are not in the funnel, and lists by group.
                "percent_of_first"
                | "percent_of_previous"
                | "entered_percent"
                | "never_entered"
                | "never_entered_percent"
                | "dropoff"
                | "all_users"
                | "share_of_all_users"
                | "users_at_by_breakdown"
                | "breakdown_values_or_steps_returned" => {}
                other => bail!("the case has {other}, which is not looked at"),
            }
        }
        Ok(())
    }

    /// The persons who reached a step, without their prefix.
    fn persons(&self, request: &Value, step: usize) -> Result<Vec<String>> {
        let mut request = request.clone();
        (request["step"], request["limit"]) = (json!(step), json!(1_000));
        let answer = self.0.ask("funnel/persons", &request)?;
        let persons = answer["persons"].as_array().context("persons")?.iter().filter_map(|person| person["person"].as_str());
        let mut persons: Vec<String> = persons.map(|id| id.trim_start_matches("person-").to_owned()).collect();
        persons.sort();
        Ok(persons)
    }

    fn check_users(&self, request: &Value, expected: &Value) -> Result<()> {
        for (step, users) in expected.as_object().context("users_at")? {
            let number: usize = step.trim_start_matches("step ").parse()?;
            same(&json!(self.persons(request, number)?), users, step)?;
        }
        Ok(())
    }

    fn check_deepest(&self, request: &Value, steps: usize, expected: &Value) -> Result<()> {
        let mut deepest: BTreeMap<String, usize> = BTreeMap::new();
        for step in 1..=steps {
            self.persons(request, step)?.into_iter().for_each(|person| {
                deepest.insert(person, step);
            });
        }
        for (person, step) in expected.as_object().context("persons")? {
            same(&json!(deepest.get(person).copied().unwrap_or(0)), step, person)?;
            // What a funnel says of one person is what it counts.
            let mut request = request.clone();
            request["person"] = json!(cases::person(person));
            let story = self.0.ask("funnel/person", &request)?;
            same(&story["reached"], step, person)?;
        }
        Ok(())
    }

    fn check_periods(&self, trend: &Value, expected: &Value) -> Result<()> {
        let conversion = &self.0.case["query"]["conversion"];
        let step = |key: &str| conversion[key].as_u64().map(|step| step as usize - 1).context("a step");
        let (from, to) = (step("from_step")?, step("to_step")?);
        for period in expected.as_array().context("periods")? {
            let date = period["date"].as_str().context("date")?;
            let is_of_date = |row: &&Value| row["time"].as_str().is_some_and(|time| time.starts_with(date));
            let row = trend.as_array().context("trend")?.iter().find(is_of_date).context("a row")?;
            let counts = counts_of(&row["funnel"]);
            same(&json!([counts[from], counts[to]]), &json!([period["reached_from_step_count"], period["reached_to_step_count"]]), date)?;
        }
        Ok(())
    }
}

/// A length of the cases, such as `14 day`, as one of the API.
fn window(text: &str) -> Result<Value> {
    let Some((count, unit)) = text.split_once(' ') else { return Ok(json!(text)) };
    let unit_ms: u64 = match unit {
        "second" => 1_000,
        "minute" => 60_000,
        "hour" => 3_600_000,
        "day" => 86_400_000,
        other => bail!("{other} is no unit"),
    };
    let ms = count.parse::<u64>()? * unit_ms;
    Ok(if ms > LONGEST_WINDOW_MS { json!("none") } else { json!(ms) })
}

fn counts_of(funnel: &Value) -> Vec<u64> {
    let count = |step: &Value| step["users"].as_u64().or(step["attempts"].as_u64());
    funnel.as_array().into_iter().flatten().filter_map(count).collect()
}

fn in_seconds(ms: &Value) -> Value {
    ms.as_f64().map_or(Value::Null, |ms| json!(ms / 1_000.0))
}

fn seconds(steps: &[Value], key: &str) -> Value {
    steps.iter().map(|step| in_seconds(&step[key])).collect()
}

fn bins(times: &Value) -> Value {
    let bin = |bin: &Value| json!({"from_seconds": in_seconds(&bin["from_ms"]), "users": bin["count"]});
    times["bins"].as_array().into_iter().flatten().map(bin).collect()
}

/// Groups by their value, in any order.
fn check_groups(groups: &Value, expected: &Value) -> Result<()> {
    let groups = groups.as_array().context("breakdown")?;
    let expected = expected.as_array().context("by_breakdown")?;
    for group in expected {
        let value = match &group["value"][0] {
            value if value == "" => Value::Null,
            value if value == "Other" => json!("$other"),
            value => value.clone(),
        };
        let is_same = |found: &&Value| found["value"] == value || Some(found["value"].to_string().as_str()) == value.as_str();
        let found = groups.iter().find(is_same).with_context(|| format!("no group {value}: {groups:?}"))?;
        let steps = found["funnel"].as_array().context("funnel")?;
        same(&json!(counts_of(&found["funnel"])), &group["counts"], &value.to_string())?;
        if let Some(times) = group.get("average_conversion_time_seconds") {
            same(&seconds(steps, "avg_time_ms"), times, "average")?;
        }
        if let Some(times) = group.get("median_conversion_time_seconds") {
            same(&seconds(steps, "median_time_ms"), times, "median")?;
        }
    }
    ensure!(groups.len() == expected.len(), "{} groups, {} expected", groups.len(), expected.len());
    Ok(())
}

/// Shares, `null` for the first step; where nobody is at the step before, ours is `null` and theirs may be 0.
fn same_shares(steps: &[Value], key: &str, expected: &Value) -> Result<()> {
    for (step, share) in steps.iter().zip(expected.as_array().context("shares")?).skip(1) {
        let difference = step[key].as_f64().unwrap_or(0.0) - share.as_f64().unwrap_or(0.0);
        ensure!(difference.abs() < 1e-9, "{key}: {step}, expected {share}");
    }
    Ok(())
}

/// Equal, numbers by size.
fn same(found: &Value, expected: &Value, what: &str) -> Result<()> {
    fn equal(a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|b| equal(value, b)))
            }
            (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
            _ => a == b,
        }
    }
    ensure!(equal(found, expected), "{what} is {found}, expected {expected}");
    Ok(())
}
