//! Answers about funnels.

mod persons;

use event_store::{Attribution, ConversionTime, ConversionTimes, FunnelMode, FunnelStepResult, FunnelTable, Value};
use serde_json::{Map, Value as Json, json};

use super::{add_period, frame, number_json, value_json};
use crate::calendar;
use crate::funnel_planner::PlannedFunnel;
use crate::request::FunnelRequest;

pub(crate) use persons::{PersonsCursor, funnel_person_answer, funnel_persons_answer};

/// The answer to a `/funnel` request.
pub(crate) fn funnel_answer(request: &FunnelRequest, planned: &PlannedFunnel, table: &FunnelTable) -> Map<String, Json> {
    let mut answer = frame("funnel", steps_json(request, &table.total), true, &table.stats);
    if request.interval.is_some() {
        answer.insert("trend".to_owned(), trend_json(request, planned, &table.buckets));
    }
    if request.breakdown.is_some() {
        let groups = table.groups.iter().map(|group| {
            let value = value_json(group.value.as_ref().unwrap_or(&Value::Null));
            let mut out = json!({"value": value, "funnel": steps_json(request, &group.steps)});
            if request.interval.is_some() {
                out["trend"] = trend_json(request, planned, &group.buckets);
            }
            out
        });
        answer.insert("breakdown".to_owned(), groups.collect());
    }
    if let Some((asked, times)) = request.conversion_time.zip(table.conversion_times.as_ref()) {
        answer.insert("time_to_convert".to_owned(), times_json(asked, times));
    }
    add_period(&mut answer, &request.period);
    answer.insert("semantics".to_owned(), semantics(request));
    answer
}

/// The rule that was used; options that change nothing are left out.
fn semantics(request: &FunnelRequest) -> Json {
    let mut rule = json!({
        "mode": match request.mode {
            FunnelMode::Ordered => "ordered",
            FunnelMode::Strict => "strict",
            FunnelMode::Unordered => "unordered",
        },
        "window_ms": request.window_ms,
        "entry": if request.first_entry_only { "first" } else { "any" },
        "range_applies_to": if request.range_applies_to_all { "all" } else { "entry" },
        "counting": if request.counts_attempts { "totals" } else { "users" },
    });
    if let Some(preset) = request.preset {
        rule["preset"] = json!(preset.name());
    }
    let optional: Vec<usize> = (0..request.steps.len()).filter(|&step| request.steps[step].step.optional).map(|step| step + 1).collect();
    if !optional.is_empty() {
        rule["optional_steps"] = json!(optional);
    }
    if !request.exclusions.is_empty() {
        let exclusions = request.exclusions.iter().map(
            |exclusion| json!({"from_step": exclusion.from_step + 1, "to_step": exclusion.to_step + 1, "effect": "the attempt is void"}),
        );
        rule["exclusions"] = exclusions.collect();
    }
    if !request.hold_constant.is_empty() {
        rule["hold_constant"] = request.hold_constant.iter().map(|(name, _)| name.as_str()).collect();
    }
    if request.breakdown.is_some() {
        rule["attribution"] = match request.attribution {
            Attribution::First => json!("first"),
            Attribution::Last => json!("last"),
            Attribution::Step(step) => json!(format!("step:{}", step + 1)),
        };
    }
    rule
}

/// What one step of the answer is called.
fn step_label(request: &FunnelRequest, step: usize) -> String {
    match request.mode {
        FunnelMode::Unordered => format!("any {} of {}", step + 1, request.steps.len()),
        FunnelMode::Ordered | FunnelMode::Strict => request.steps[step].label.clone(),
    }
}

/// The key of what is counted.
fn count_key(request: &FunnelRequest) -> &'static str {
    if request.counts_attempts { "attempts" } else { "users" }
}

/// The first step has its count alone: nothing comes before it. Rates are of the step before that is not optional.
fn steps_json(request: &FunnelRequest, results: &[FunnelStepResult]) -> Json {
    let entered = results.first().map_or(0, |first| first.users);
    let mut before: Option<u64> = None;
    let mut steps = Vec::new();
    for (number, (step, result)) in request.steps.iter().zip(results).enumerate() {
        let mut out = Map::new();
        out.insert("step".to_owned(), json!(step_label(request, number)));
        out.insert(count_key(request).to_owned(), json!(result.users));
        if step.step.optional {
            out.insert("optional".to_owned(), json!(true));
        }
        if let Some(before) = before {
            out.insert("conversion".to_owned(), fraction(result.users, before));
            out.insert("conversion_from_start".to_owned(), fraction(result.users, entered));
            out.insert("dropped".to_owned(), json!(before.saturating_sub(result.users)));
            out.insert("median_time_ms".to_owned(), result.median_time_ms.map_or(Json::Null, number_json));
            out.insert("avg_time_ms".to_owned(), result.avg_time_ms.map_or(Json::Null, number_json));
        }
        if !step.step.optional {
            before = Some(result.users);
        }
        steps.push(Json::Object(out));
    }
    Json::Array(steps)
}

/// One row per period of entries: who entered, who converted, and the whole funnel of that period. With the range `all`, from the first
/// to the last period with an entry.
fn trend_json(request: &FunnelRequest, planned: &PlannedFunnel, periods: &[Vec<FunnelStepResult>]) -> Json {
    let last_step = request.steps.iter().rposition(|step| !step.step.optional).unwrap_or(0);
    let users = |steps: &[FunnelStepResult], step: usize| steps.get(step).map_or(0, |result| result.users);
    let has_entries = |steps: &Vec<FunnelStepResult>| users(steps, 0) > 0;
    let shown = match (request.period.is_all, periods.iter().position(has_entries), periods.iter().rposition(has_entries)) {
        (false, ..) => 0..periods.len(),
        (true, Some(first), Some(last)) => first..last + 1,
        (true, ..) => 0..0,
    };
    let row = |(start_ms, steps): (&i64, &Vec<FunnelStepResult>)| {
        let (entered, converted) = (users(steps, 0), users(steps, last_step));
        json!({
            "time": calendar::iso(&request.period.zone, *start_ms),
            "entered": entered,
            "converted": converted,
            "conversion": fraction(converted, entered),
            "funnel": steps_json(request, steps),
        })
    };
    planned.periods.iter().zip(periods).skip(shown.start).take(shown.len()).map(row).collect()
}

/// Times from one step to another with their distribution.
fn times_json(asked: ConversionTime, times: &ConversionTimes) -> Json {
    let min_ms = times.min_ms.unwrap_or(0);
    let bin = |(number, count): (usize, &u64)| {
        let from_ms = min_ms + number as i64 * times.bin_width_ms;
        json!({"from_ms": from_ms, "to_ms": from_ms + times.bin_width_ms, "count": count})
    };
    json!({
        "from_step": asked.from_step + 1,
        "to_step": asked.to_step + 1,
        "count": times.count,
        "median_ms": times.median_ms.map_or(Json::Null, number_json),
        "avg_ms": times.avg_ms.map_or(Json::Null, number_json),
        "min_ms": times.min_ms,
        "max_ms": times.max_ms,
        "bin_width_ms": times.bin_width_ms,
        "bins": times.bins.iter().enumerate().map(bin).collect::<Vec<_>>(),
    })
}

/// A part of a whole; of nothing there is none.
fn fraction(part: u64, whole: u64) -> Json {
    if whole == 0 { Json::Null } else { json!(part as f64 / whole as f64) }
}

#[cfg(test)]
mod tests {
    use event_store::FunnelGroup;

    use super::*;
    use crate::funnel_planner::plan_funnel;
    use crate::options::AppSettings;
    use crate::request::read_funnel;

    fn request(request: Json) -> (FunnelRequest, PlannedFunnel) {
        let app = AppSettings::new(event::AppId::new("APP-1").unwrap());
        let request = read_funnel(&request, &app, 1_773_156_600_000).unwrap();
        let planned = plan_funnel(&app, &request).unwrap();
        (request, planned)
    }

    fn reached(users: u64) -> FunnelStepResult {
        FunnelStepResult { users, median_time_ms: Some(1.5), avg_time_ms: Some(2.0) }
    }

    #[test]
    fn the_seed_funnel_as_it_is_written() {
        let (request, planned) = request(json!({"steps": ["page_view", "add_to_cart", "purchase"]}));
        let table = FunnelTable { total: vec![reached(100_000), reached(25_000), reached(5_000)], ..FunnelTable::default() };
        let answer = funnel_answer(&request, &planned, &table);
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
        let (request, planned) = request(json!({"steps": ["a", "b", "c"], "breakdown": "country", "window": "none", "entry": "first"}));
        let nobody = FunnelStepResult::default();
        let groups = vec![
            FunnelGroup { value: Some(Value::Null), steps: vec![reached(2), nobody, nobody], buckets: Vec::new() },
            FunnelGroup { value: Some(Value::Other), steps: vec![nobody; 3], buckets: Vec::new() },
        ];
        let answer =
            funnel_answer(&request, &planned, &FunnelTable { total: vec![reached(2), nobody, nobody], groups, ..FunnelTable::default() });
        assert_eq!(answer["funnel"][1]["conversion"], json!(0.0));
        assert_eq!(answer["funnel"][2]["conversion"], Json::Null);
        assert_eq!(answer["funnel"][2]["conversion_from_start"], json!(0.0));
        assert_eq!(answer["breakdown"][0]["value"], Json::Null);
        assert_eq!(answer["breakdown"][1]["value"], json!("$other"));
        assert_eq!(answer["breakdown"][1]["funnel"][1]["conversion_from_start"], Json::Null);
        assert_eq!(answer["semantics"]["entry"], json!("first"));
        assert_eq!(answer["semantics"]["window_ms"], Json::Null);
    }

    #[test]
    fn periods_times_and_the_rule() {
        let (request, planned) = request(json!({
            "steps": ["a", {"event": "o", "optional": true}, "b"], "from": "2026-03-02", "to": "2026-03-04", "interval": "day",
            "counting": "totals", "time_to_convert": {"bins": 2}, "exclusions": [{"event": "x", "to_step": 3}], "hold_constant": "session_id",
            "preset": "amplitude",
        }));
        let times =
            ConversionTimes { count: 3, min_ms: Some(10), max_ms: Some(20), bin_width_ms: 5, bins: vec![1, 1, 1], ..Default::default() };
        let day = vec![reached(4), reached(1), reached(2)];
        let buckets = vec![day.clone(), vec![FunnelStepResult::default(); 3]];
        let answer = funnel_answer(
            &request,
            &planned,
            &FunnelTable { total: day, buckets, conversion_times: Some(times), ..FunnelTable::default() },
        );
        assert_eq!(answer["funnel"][1]["optional"], json!(true));
        assert_eq!(answer["funnel"][2]["conversion"], json!(0.5));
        assert_eq!((&answer["funnel"][2]["attempts"], answer["funnel"][2].get("users")), (&json!(2), None));
        let trend: Vec<(&Json, &Json, &Json)> =
            answer["trend"].as_array().unwrap().iter().map(|row| (&row["time"], &row["converted"], &row["conversion"])).collect();
        let expected =
            [(&json!("2026-03-02T00:00:00+00:00"), &json!(2), &json!(0.5)), (&json!("2026-03-03T00:00:00+00:00"), &json!(0), &Json::Null)];
        assert_eq!(trend, expected);
        assert_eq!(answer["time_to_convert"]["bins"][2], json!({"from_ms": 20, "to_ms": 25, "count": 1}));
        let rule = &answer["semantics"];
        assert_eq!((&rule["counting"], &rule["optional_steps"], &rule["preset"]), (&json!("totals"), &json!([2]), &json!("amplitude")));
        assert_eq!((&rule["exclusions"][0]["to_step"], &rule["hold_constant"]), (&json!(3), &json!(["session_id"])));
    }
}
