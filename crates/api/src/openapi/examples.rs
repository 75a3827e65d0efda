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

pub(crate) fn query_segment() -> Value {
    json!({
        "metric": "unique_users",
        "interval": "day",
        "range": "30d",
        "segment": {"and": [
            {"did": "purchase", "at_least": 2, "range": "30d"},
            {"did_not": "refund"},
            {"property": "user.plan", "op": "eq", "value": "pro"}
        ]}
    })
}

pub(crate) fn query_cohort() -> Value {
    json!({
        "metrics": ["events", "unique_users"],
        "group_by": "cohort:buyers",
        "filters": [{"property": "cohort:buyers", "op": "not_in"}],
        "range": "7d"
    })
}

pub(crate) fn cohort() -> Value {
    json!({"name": "Bought twice", "rule": {"did": "purchase", "at_least": 2, "range": "30d"}})
}

pub(crate) fn cohort_list() -> Value {
    json!({"name": "Beta testers", "persons": ["U1", "U2"]})
}

pub(crate) fn cohort_change() -> Value {
    json!({"name": "Bought twice this quarter", "rule": {"did": "purchase", "at_least": 2, "range": "90d"}, "version": 1})
}

pub(crate) fn cohort_preview() -> Value {
    json!({"segment": {"or": [{"did": "purchase", "filters": [{"property": "price", "op": "gte", "value": 100}]}, {"cohort": "buyers"}]}, "limit": 10})
}

pub(crate) fn cohort_persons_answer() -> Value {
    json!({"persons": [{"person": "U1"}, {"person": "U2"}], "count": 2, "next_cursor": null, "evaluated_at": "2026-01-31T12:00:00+00:00"})
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

pub(crate) fn funnel_options() -> Value {
    json!({
        "steps": ["page_view", {"event": "search", "optional": true}, "add_to_cart", {"any_of": ["purchase", "subscribe"], "label": "paid"}],
        "exclusions": [{"event": "refund", "from_step": 3, "to_step": 4}],
        "hold_constant": "session_id",
        "breakdown": "country",
        "interval": "week",
        "time_to_convert": true,
        "range": "30d",
        "window": "1d"
    })
}

pub(crate) fn funnel_persons() -> Value {
    json!({"steps": ["page_view", "add_to_cart", "purchase"], "range": "30d", "window": "7d", "step": 3, "outcome": "dropped", "limit": 100})
}

pub(crate) fn funnel_persons_answer() -> Value {
    json!({
        "persons": [{
            "person": "U1", "entered_at": "2026-01-31T12:00:00+00:00", "last_step": 2, "last_step_name": "add_to_cart",
            "last_step_at": "2026-01-31T12:05:00+00:00"
        }],
        "count": 20_000,
        "next_cursor": "9f2c41d07be1a65.19b4a0f3c00.19c1f5f3c00.41d07be1a659f2c"
    })
}

pub(crate) fn funnel_person() -> Value {
    json!({"steps": ["page_view", "add_to_cart", "purchase"], "range": "30d", "window": "7d", "person": "U1"})
}

pub(crate) fn funnel_person_answer() -> Value {
    json!({
        "attempt": [
            {"step": "page_view", "time": "2026-01-31T12:00:00+00:00"}, {"step": "add_to_cart", "time": "2026-01-31T12:05:00+00:00"},
            {"step": "purchase", "time": null}
        ],
        "reached": 2,
        "stopped": {"rule": "never", "step": 3, "at": null, "words": "no further event is \"purchase\" (step 3)"}
    })
}

pub(crate) fn paths() -> Value {
    json!({"start": "page_view", "steps": 3, "range": "30d"})
}

pub(crate) fn paths_options() -> Value {
    json!({
        "end": {"any_of": ["purchase", "subscribe"]},
        "occurrence": "every",
        "steps": 5,
        "step_by": "url",
        "events": ["page_view"],
        "exclude": [{"event": null, "filters": [{"property": "url", "op": "eq", "value": "/login"}]}],
        "gap": "10m",
        "collapse_repeats": true,
        "filters": [{"property": "country", "op": "eq", "value": "US"}],
        "range": "7d",
        "limit": 50
    })
}

pub(crate) fn paths_answer() -> Value {
    json!({
        "paths": [
            {"path": ["page_view", "search", "page_view", "add_to_cart"], "sequences": 1_200, "users": 900, "share": 0.3},
            {"path": "$other", "sequences": 2_800, "users": 1_700, "share": 0.7}
        ],
        "sequences": 4_000, "users": 2_100, "distinct_paths": 340,
        "places": [{"place": 0, "sequences": 4_000, "users": 2_100}, {"place": 1, "sequences": 3_100, "users": 1_900}],
        "edges": [{"from_place": 0, "from": "page_view", "to_place": 1, "to": "search", "sequences": 1_900, "users": 1_400}],
        "query_time_ms": 240
    })
}

pub(crate) fn events() -> Value {
    json!({"event": "purchase", "range": "1d", "limit": 100})
}

pub(crate) fn export() -> Value {
    json!({"format": "csv", "events": ["purchase"], "from": "2026-03-01", "to": "2026-04-01"})
}

pub(crate) fn sql() -> Value {
    json!({"sql": "SELECT event, count(*) AS events, count(DISTINCT person) AS persons FROM events \
        WHERE time >= now() - INTERVAL '7 days' AND properties['country'] = 'US' GROUP BY event ORDER BY events DESC LIMIT 20"})
}

pub(crate) fn sql_sessions() -> Value {
    json!({"sql": "SELECT date_trunc('day', started_at) AS day, count(*) AS sessions, avg(duration_ms) / 1000 AS seconds \
        FROM sessions GROUP BY day ORDER BY day"})
}

pub(crate) fn sql_answer() -> Value {
    json!({
        "columns": [{"name": "event", "type": "text"}, {"name": "events", "type": "integer"}, {"name": "persons", "type": "integer"}],
        "rows": [["page_view", 1_204_332, 142_000], ["purchase", 8_120, 7_004]],
        "query_time_ms": 85, "exact": true, "complete": true, "scanned_events": 1_234_567, "cached": false
    })
}

pub(crate) fn batch() -> Value {
    json!({
        "events": [{
            "name": "page_view", "user_id": "U1", "timestamp": "2026-01-31T12:00:00Z", "insert_id": "8f14e45f",
            "properties": {"url": "/home"}
        }]
    })
}
