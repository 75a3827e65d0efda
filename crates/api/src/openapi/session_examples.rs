use serde_json::{Value, json};

pub(crate) fn sessions() -> Value {
    json!({"interval": "day", "pages": "url", "range": "7d"})
}

pub(crate) fn sessions_options() -> Value {
    json!({
        "group_by": "country",
        "filters": [{"property": "device_type", "op": "eq", "value": "mobile"}],
        "session": {"idle": "15m", "max_length": "4h"},
        "bounce": {"event": "page_view", "max_events": 1, "max_length": "10s"},
        "pages": {"property": "url", "event": "page_view", "limit": 20},
        "length_bins": ["10s", "1m", "10m", "1h"],
        "range": "30d"
    })
}

pub(crate) fn sessions_answer() -> Value {
    json!({
        "sessions": [{
            "time": "2026-01-31T00:00:00+00:00", "sessions": 5_200, "users": 4_100, "sessions_per_user": 1.268, "events": 31_200, "events_per_session": 6.0,
            "avg_length_ms": 214_000.5, "median_length_ms": 96_000, "p90_length_ms": 610_000, "bounces": 1_560, "bounce_rate": 0.3, "pages": 18_200,
            "pages_per_session": 3.5
        }],
        "with_page": 5_000,
        "entry_pages": [{"page": "/", "sessions": 3_000, "share": 0.6, "bounces": 600, "bounce_rate": 0.2}],
        "exit_pages": [{"page": "/checkout/done", "sessions": 800, "share": 0.16, "bounces": 0, "bounce_rate": 0.0}],
        "lengths": [{"from_ms": 0, "to_ms": 1_000, "sessions": 1_600, "share": 0.31}],
        "query_time_ms": 240
    })
}
