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
fn presets_are_defaults() {
    let of = |request: Value| {
        let request = read(request).unwrap();
        (request.window_ms.unwrap() / 86_400_000, request.first_entry_only, request.range_applies_to_all)
    };
    assert_eq!(of(json!({"steps": ["a"]})), (7, false, false));
    assert_eq!(of(json!({"steps": ["a"], "preset": "mixpanel"})), (7, true, false));
    assert_eq!(of(json!({"steps": ["a"], "preset": "mixpanel", "counting": "totals"})), (7, false, false));
    assert_eq!(of(json!({"steps": ["a"], "preset": "amplitude"})), (1, false, false));
    assert_eq!(of(json!({"steps": ["a"], "preset": "posthog"})), (14, false, true));
    assert_eq!(
        of(json!({"steps": ["a"], "preset": "posthog", "window": "2d", "range_applies_to": "entry", "entry": "first"})),
        (2, true, false)
    );
}

#[test]
fn every_option() {
    let request = read(json!({
        "steps": ["a", {"event": "o", "optional": true}, {"any_of": ["b", "c"]}, "d"],
        "exclusions": ["x", {"any_of": ["y", {"event": "z"}], "from_step": 3}, {"event": "x", "from_step": 1, "to_step": 3}],
        "hold_constant": ["session_id", "user.plan"],
        "breakdown": "country",
        "attribution": "step:3",
        "interval": "week",
        "time_to_convert": {"from_step": 2, "bins": 5},
        "counting": "totals",
    }))
    .unwrap();
    assert_eq!(request.steps.iter().map(|step| step.step.optional).collect::<Vec<_>>(), [false, true, false, false]);
    assert_eq!(
        request.exclusions.iter().map(|exclusion| (exclusion.from_step, exclusion.to_step)).collect::<Vec<_>>(),
        [(0, 3), (2, 3), (0, 2)]
    );
    assert_eq!(request.exclusions[1].any_of.len(), 2);
    assert_eq!(request.hold_constant.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["session_id", "user.plan"]);
    assert_eq!(request.attribution, Attribution::Step(2));
    assert_eq!(request.conversion_time, Some(ConversionTime { from_step: 1, to_step: 3, bins: Some(5) }));
    assert!(request.counts_attempts && !request.first_entry_only);
}

#[test]
fn persons_of_a_step() {
    let app = AppSettings::new(event::AppId::new("APP-1").unwrap());
    let list = |request: Value| read_funnel_persons(&request, &app, 1_773_000_000_000);
    let request = list(json!({"steps": ["a", "b"], "step": 2, "outcome": "dropped", "limit": 5})).unwrap();
    assert_eq!((request.step, request.outcome, request.limit), (1, event_store::StepOutcome::Dropped, 5));
    for (wrong, field) in [
        (json!({"steps": ["a", "b"]}), "step"),
        (json!({"steps": ["a", "b"], "step": 3}), "step"),
        (json!({"steps": ["a", "b"], "step": 1, "outcome": "dropped"}), "step"),
        (json!({"steps": ["a", "b"], "step": 1, "limit": 1_001}), "limit"),
        (json!({"steps": ["a", "b"], "step": 1, "person": "u"}), "person"),
    ] {
        assert_eq!(list(wrong).unwrap_err().field.as_deref(), Some(field));
    }
    let one = |request: Value| read_funnel_person(&request, &app, 1_773_000_000_000);
    assert_eq!(one(json!({"steps": ["a"], "person": "u1"})).unwrap().person, "u1");
    assert_eq!(one(json!({"steps": ["a"]})).unwrap_err().field.as_deref(), Some("person"));
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
        (json!({"steps": ["a"], "mode": "orderd"}), "invalid_request", "mode"),
        (json!({"steps": ["a"], "segment": "s"}), "unknown_cohort", "segment"),
        (json!({"steps": ["a"], "preset": "heap"}), "invalid_request", "preset"),
        (json!({"steps": ["a"], "entry": "first", "counting": "totals"}), "contradictory_options", "counting"),
        (json!({"steps": [{"event": "a", "optional": true}]}), "contradictory_options", "steps[0].optional"),
        (json!({"steps": ["a", {"event": "b", "optional": 1}]}), "invalid_step", "steps[1].optional"),
        (json!({"steps": ["a", {"any_of": ["b"], "optional": true}], "mode": "strict"}), "contradictory_options", "steps[1].optional"),
        (json!({"steps": ["a", {"event": "b", "optional": true}], "mode": "unordered"}), "contradictory_options", "steps[1].optional"),
        (json!({"steps": ["a", "b"], "mode": "strict", "exclusions": ["x"]}), "contradictory_options", "exclusions"),
        (json!({"steps": ["a"], "exclusions": ["x"]}), "contradictory_options", "exclusions"),
        (json!({"steps": ["a", "b"], "exclusions": vec!["x"; 11]}), "invalid_exclusion", "exclusions"),
        (json!({"steps": ["a", "b"], "exclusions": [{"event": "x", "to_step": 3}]}), "invalid_exclusion", "exclusions[0].to_step"),
        (json!({"steps": ["a", "b"], "exclusions": [{"event": "x", "from_step": 2}]}), "invalid_exclusion", "exclusions[0].from_step"),
        (json!({"steps": ["a", "b"], "exclusions": [{"event": "x", "from_step": 0}]}), "invalid_exclusion", "exclusions[0].from_step"),
        (
            json!({"steps": ["a", {"event": "b", "optional": true}, "c"], "exclusions": [{"event": "x", "to_step": 2}]}),
            "contradictory_options",
            "exclusions[0].to_step",
        ),
        (
            json!({"steps": ["a", "b", "c"], "mode": "unordered", "exclusions": [{"event": "x", "to_step": 2}]}),
            "contradictory_options",
            "exclusions[0].to_step",
        ),
        (json!({"steps": ["a"], "hold_constant": ["p", "q", "r", "s"]}), "invalid_request", "hold_constant"),
        (json!({"steps": ["a"], "hold_constant": "time"}), "invalid_request", "hold_constant"),
        (json!({"steps": ["a"], "attribution": "last"}), "contradictory_options", "attribution"),
        (json!({"steps": ["a"], "breakdown": "p", "attribution": "step:2"}), "invalid_request", "attribution"),
        (json!({"steps": ["a"], "breakdown": "p", "attribution": "step:1", "mode": "unordered"}), "contradictory_options", "attribution"),
        (json!({"steps": ["a"], "interval": "fortnight"}), "invalid_interval", "interval"),
        (json!({"steps": ["a"], "time_to_convert": true}), "contradictory_options", "time_to_convert"),
        (json!({"steps": ["a", "b"], "time_to_convert": {"from_step": 2}}), "invalid_request", "time_to_convert.from_step"),
        (json!({"steps": ["a", "b"], "time_to_convert": {"bins": 0}}), "invalid_request", "time_to_convert.bins"),
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
