use event_store::{FunnelStepResult, FunnelTable, Value};
use serde_json::{Map, Value as Json, json};

use super::{add_period, frame, number_json, value_json};
use crate::request::FunnelRequest;

/// The answer to a `/funnel` request.
pub(crate) fn funnel_answer(request: &FunnelRequest, table: &FunnelTable) -> Map<String, Json> {
    let mut answer = frame("funnel", steps_json(request, &table.total), true, &table.stats);
    if request.breakdown.is_some() {
        let groups = table.groups.iter().map(|group| {
            let value = value_json(group.value.as_ref().unwrap_or(&Value::Null));
            json!({"value": value, "funnel": steps_json(request, &group.steps)})
        });
        answer.insert("breakdown".to_owned(), groups.collect());
    }
    add_period(&mut answer, &request.period);
    let rule = json!({
        "mode": "ordered",
        "window_ms": request.window_ms,
        "entry": if request.first_entry_only { "first" } else { "any" },
        "range_applies_to": if request.range_applies_to_all { "all" } else { "entry" },
        "counting": "users",
    });
    answer.insert("semantics".to_owned(), rule);
    answer
}

/// The first step has users alone: nothing comes before it.
fn steps_json(request: &FunnelRequest, results: &[FunnelStepResult]) -> Json {
    let entered = results.first().map_or(0, |first| first.users);
    let mut before: Option<u64> = None;
    let mut steps = Vec::new();
    for (step, result) in request.steps.iter().zip(results) {
        let mut out = Map::new();
        out.insert("step".to_owned(), json!(step.label));
        out.insert("users".to_owned(), json!(result.users));
        if let Some(before) = before {
            out.insert("conversion".to_owned(), fraction(result.users, before));
            out.insert("conversion_from_start".to_owned(), fraction(result.users, entered));
            out.insert("dropped".to_owned(), json!(before.saturating_sub(result.users)));
            out.insert("median_time_ms".to_owned(), result.median_time_ms.map_or(Json::Null, number_json));
            out.insert("avg_time_ms".to_owned(), result.avg_time_ms.map_or(Json::Null, number_json));
        }
        before = Some(result.users);
        steps.push(Json::Object(out));
    }
    Json::Array(steps)
}

/// A part of a whole; of nothing there is none.
fn fraction(part: u64, whole: u64) -> Json {
    if whole == 0 { Json::Null } else { json!(part as f64 / whole as f64) }
}

#[cfg(test)]
mod tests {
    use event_store::FunnelGroup;

    use super::*;
    use crate::options::AppSettings;
    use crate::request::read_funnel;

    fn request(request: Json) -> FunnelRequest {
        let app = AppSettings::new(event::AppId::new("APP-1").unwrap());
        read_funnel(&request, &app, 1_773_156_600_000).unwrap()
    }

    fn reached(users: u64) -> FunnelStepResult {
        FunnelStepResult { users, median_time_ms: Some(1.5), avg_time_ms: Some(2.0) }
    }

    #[test]
    fn the_seed_funnel_as_it_is_written() {
        let request = request(json!({"steps": ["page_view", "add_to_cart", "purchase"]}));
        let table = FunnelTable { total: vec![reached(100_000), reached(25_000), reached(5_000)], ..FunnelTable::default() };
        let answer = funnel_answer(&request, &table);
        let expected = json!([
            {"step": "page_view", "users": 100_000},
            {"step": "add_to_cart", "users": 25_000, "conversion": 0.25, "conversion_from_start": 0.25, "dropped": 75_000,
                "median_time_ms": 1.5, "avg_time_ms": 2},
            {"step": "purchase", "users": 5_000, "conversion": 0.2, "conversion_from_start": 0.05, "dropped": 20_000,
                "median_time_ms": 1.5, "avg_time_ms": 2},
        ]);
        assert_eq!(answer["funnel"], expected);
        assert!(!answer.contains_key("breakdown"));
    }

    #[test]
    fn a_rate_over_nobody_is_null() {
        let request = request(json!({"steps": ["a", "b", "c"], "breakdown": "country", "window": "none", "entry": "first"}));
        let nobody = FunnelStepResult::default();
        let groups = vec![
            FunnelGroup { value: Some(Value::Null), steps: vec![reached(2), nobody, nobody] },
            FunnelGroup { value: Some(Value::Other), steps: vec![nobody; 3] },
        ];
        let answer = funnel_answer(&request, &FunnelTable { total: vec![reached(2), nobody, nobody], groups, ..FunnelTable::default() });
        assert_eq!(answer["funnel"][1]["conversion"], json!(0.0));
        assert_eq!(answer["funnel"][2]["conversion"], Json::Null);
        assert_eq!(answer["funnel"][2]["conversion_from_start"], json!(0.0));
        assert_eq!(answer["breakdown"][0]["value"], Json::Null);
        assert_eq!(answer["breakdown"][1]["value"], json!("$other"));
        assert_eq!(answer["breakdown"][1]["funnel"][1]["conversion_from_start"], Json::Null);
        assert_eq!(answer["semantics"]["entry"], json!("first"));
        assert_eq!(answer["semantics"]["window_ms"], Json::Null);
    }
}
