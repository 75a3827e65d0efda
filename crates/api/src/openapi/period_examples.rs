//! Examples of questions about the periods of persons.

use serde_json::{Value, json};

pub(crate) fn retention() -> Value {
    json!({"start_event": "signup", "return_event": "page_view", "period": "week", "range": "30d"})
}

pub(crate) fn retention_options() -> Value {
    json!({
        "start_event": {"event": "purchase", "filters": [{"property": "price", "op": "gte", "value": 20}]},
        "return_event": {"any_of": ["purchase", "subscribe"], "label": "paid again"},
        "period": "day",
        "bucketing": "rolling",
        "entry": "recurring",
        "mode": "on_or_after",
        "periods": 14,
        "breakdown": "country",
        "limit": 5,
        "range": "30d"
    })
}

pub(crate) fn retention_answer() -> Value {
    json!({
        "retention": [
            {"time": "2026-03-02T00:00:00+00:00", "size": 1200, "returned": [1100, 480, 410], "fractions": [0.917, 0.4, 0.342], "finished_periods": 2},
            {"time": "2026-03-09T00:00:00+00:00", "size": 1000, "returned": [930, 390], "fractions": [0.93, 0.39], "finished_periods": 1},
            {"time": "2026-03-16T00:00:00+00:00", "size": 420, "returned": [400], "fractions": [0.952], "finished_periods": 0}
        ],
        "average": {"size": [2200, 1200], "returned": [2030, 480], "fractions": [0.923, 0.4]},
        "query_time_ms": 40
    })
}

pub(crate) fn lifecycle() -> Value {
    json!({"event": "page_view", "period": "week", "range": "30d"})
}

pub(crate) fn lifecycle_answer() -> Value {
    json!({
        "lifecycle": [
            {"time": "2026-03-02T00:00:00+00:00", "new": 1200, "returning": 5400, "resurrected": 310, "dormant": -900, "finished": true},
            {"time": "2026-03-09T00:00:00+00:00", "new": 1000, "returning": 5600, "resurrected": 290, "dormant": -1310, "finished": false}
        ],
        "query_time_ms": 45
    })
}

pub(crate) fn stickiness() -> Value {
    json!({"event": "page_view", "period": "day", "range": "7d", "breakdown": "device_type"})
}

pub(crate) fn stickiness_answer() -> Value {
    json!({
        "stickiness": [
            {"periods": 1, "users": 5200, "fraction": 0.52, "users_at_least": 10_000},
            {"periods": 2, "users": 2600, "fraction": 0.26, "users_at_least": 4800}
        ],
        "users": 10_000,
        "query_time_ms": 30
    })
}

pub(crate) fn active_users() -> Value {
    json!({"event": "page_view", "range": "30d"})
}

pub(crate) fn active_users_answer() -> Value {
    json!({
        "active_users": [{
            "time": "2026-01-31T00:00:00+00:00", "dau": 1_200, "wau": 4_800, "mau": 12_000, "dau_wau": 0.25, "dau_mau": 0.1, "wau_mau": 0.4, "finished": true
        }],
        "query_time_ms": 40
    })
}
