//! Questions with known answers, as data files. See `tests/golden/README.md` for the form.

use std::fs;
use std::path::{Path, PathBuf};

use query::{Answered, AppSettings, Cohorts, Metrics, QueryFailure, QueryOptions, QueryService, SavedCohort, SavedMetric, Weekday};
use serde_json::{Value, json};

use crate::dataset::{self, Layout, open};

#[tokio::test(flavor = "multi_thread")]
async fn every_golden_case_on_every_layout() {
    let mut wrong = Vec::new();
    let mut asked = 0;
    for folder in cases() {
        let case = read_json(&folder.join("request.json"));
        let expected = read_json(&folder.join("expected.json"));
        let (requests, expected) = (case["requests"].as_array().unwrap(), expected.as_array().unwrap());
        assert_eq!(requests.len(), expected.len(), "{}", folder.display());
        for layout in [Layout::Memory, Layout::Flushed, Layout::Mixed] {
            let store = open(case["dataset"].as_str().unwrap(), layout);
            let service = QueryService::new(store.source(), QueryOptions::default());
            for (i, (request, expected)) in requests.iter().zip(expected).enumerate() {
                asked += 1;
                let answer = ask(&service, &case, request).await;
                wrong
                    .extend(differences(&answer, expected).map(|text| format!("{} [{i}] {layout:?}: {request}\n{text}", folder.display())));
            }
        }
    }
    assert!(asked > 100, "{asked} questions were found");
    assert!(wrong.is_empty(), "{} of {asked} answers are wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.join("request.json").is_file()).collect();
    cases.sort();
    cases
}

fn read_json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

async fn ask(service: &QueryService, case: &Value, request: &Value) -> Value {
    let now_ms = event::parse_timestamp(case["now"].as_str().unwrap()).unwrap();
    let saved = case["cohorts"].as_object().into_iter().flatten();
    let cohorts = saved.map(|(id, rule)| (id.clone(), SavedCohort { version: 1, rule: rule.clone() }));
    let saved = case["metrics"].as_object().into_iter().flatten();
    let metrics = saved.map(|(id, saved)| {
        let text = |key: &str| saved[key].as_str().map(str::to_owned);
        let name = text("name").unwrap_or_default();
        (id.clone(), SavedMetric { version: 1, name, unit: text("unit"), metric: saved["metric"].clone() })
    });
    let app = AppSettings {
        metrics: Metrics::new(metrics),
        cohorts: Cohorts::new(cohorts),
        timezone: case["timezone"].as_str().unwrap_or("UTC").to_owned(),
        week_start: if case["week_start"] == "sunday" { Weekday::Sunday } else { Weekday::Monday },
        ..AppSettings::new(dataset::app())
    };
    let answer = match case["call"].as_str().unwrap() {
        "query" => service.query(&app, request.clone(), now_ms).await,
        "funnel" => service.funnel(&app, request.clone(), now_ms).await,
        "funnel/persons" => service.funnel_persons(&app, request.clone(), now_ms).await,
        "funnel/person" => service.funnel_person(&app, request.clone(), now_ms).await,
        "paths" => service.paths(&app, request.clone(), now_ms).await,
        "sessions" => service.sessions(&app, request.clone(), now_ms).await,
        "retention" => service.retention(&app, request.clone(), now_ms).await,
        "lifecycle" => service.lifecycle(&app, request.clone(), now_ms).await,
        "active_users" => service.active_users(&app, request.clone(), now_ms).await,
        "stickiness" => service.stickiness(&app, request.clone(), now_ms).await,
        "cohorts/preview" => service.segment_persons(&app, request.clone(), now_ms).await,
        "events" => service.events(&app, request.clone(), now_ms).await,
        other => panic!("{other} is no call"),
    };
    answer.map(Answered::into_value).unwrap_or_else(|QueryFailure { code, field, .. }| json!({"error": {"code": code, "field": field}}))
}

/// Each field of `expected` must be in the answer with an equal value; other fields of the answer are free.
fn differences<'a>(answer: &'a Value, expected: &'a Value) -> impl Iterator<Item = String> + 'a {
    expected.as_object().unwrap().iter().filter(|(field, value)| !equal(&answer[field.as_str()], value)).map(move |(field, value)| {
        let found = answer.get(field).unwrap_or(answer);
        format!("  {field} should be {value}\n  {field} is        {found}")
    })
}

/// JSON equality, with numbers compared by size and fractions to 12 digits.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
        }
        _ => a == b,
    }
}
