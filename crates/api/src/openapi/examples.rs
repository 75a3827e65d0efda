//! The examples of the API's description. `tests/` sends each of them, so that they stay true.

use serde_json::{Value, json};

pub(crate) fn query() -> Value {
    json!({
        "metric": "unique_users",
        "filters": [{"property": "country", "op": "eq", "value": "US"}],
        "group_by": "device_type",
        "range": "7d"
    })
}

pub(crate) fn query_answer() -> Value {
    json!({
        "results": [{"device_type": "mobile", "unique_users": 142_000}, {"device_type": "desktop", "unique_users": 88_000}],
        "query_time_ms": 85, "exact": true, "complete": true, "scanned_events": 1_234_567, "cached": false
    })
}

pub(crate) fn funnel() -> Value {
    json!({"steps": ["page_view", "add_to_cart", "purchase"], "range": "30d", "window": "7d"})
}

pub(crate) fn funnel_answer() -> Value {
    json!({
        "funnel": [
            {"step": "page_view", "users": 100_000},
            {"step": "add_to_cart", "users": 25_000, "conversion": 0.25},
            {"step": "purchase", "users": 5_000, "conversion": 0.2}
        ],
        "query_time_ms": 120
    })
}

pub(crate) fn events() -> Value {
    json!({"event": "purchase", "range": "1d", "limit": 100})
}

pub(crate) fn export() -> Value {
    json!({"format": "csv", "events": ["purchase"], "from": "2026-03-01", "to": "2026-04-01"})
}

pub(crate) fn batch() -> Value {
    json!({
        "events": [{
            "name": "page_view", "user_id": "U1", "timestamp": "2026-01-31T12:00:00Z", "insert_id": "8f14e45f",
            "properties": {"url": "/home"}
        }]
    })
}
