use serde_json::{Value, json};

pub(crate) fn funnel() -> Value {
    json!({"id": "checkout", "name": "Checkout", "funnel": {"steps": ["page_view", "add_to_cart", "purchase"], "window": "1d", "range": "30d"}})
}

pub(crate) fn funnel_answer() -> Value {
    json!({
        "id": "checkout", "name": "Checkout", "description": null,
        "funnel": {"steps": ["page_view", "add_to_cart", "purchase"], "window": "1d", "range": "30d"},
        "version": 1, "updated_at": "2026-03-01T12:00:00Z"
    })
}

pub(crate) fn dashboard() -> Value {
    json!({
        "id": "shop", "name": "Shop", "range": "30d",
        "tiles": [
            {"title": "Visitors", "x": 0, "y": 0, "w": 8, "h": 3, "call": "query", "request": {"metric": "unique_users", "interval": "day"}, "view": "lines",
             "link": "/explore?metric=unique_users&interval=day&range=30d"},
            {"title": "Checkout", "x": 8, "y": 0, "w": 4, "h": 3, "call": "funnel", "request": {"funnel": "checkout"}},
            {"x": 0, "y": 3, "w": 12, "h": 1, "text": "Prices changed on 1 March."}
        ],
        "annotations": [{"time": "2026-03-01T09:00:00Z", "text": "New prices"}]
    })
}

pub(crate) fn dashboard_answer() -> Value {
    let mut answer = dashboard();
    answer["description"] = Value::Null;
    answer["version"] = json!(1);
    answer["updated_at"] = json!("2026-03-01T12:00:00Z");
    answer
}

pub(crate) fn change() -> Value {
    json!({"name": "Another name", "version": 1})
}

/// The data of one event of the kind `tile`.
pub(crate) fn dashboard_event() -> Value {
    json!({
        "tiles": [0],
        "answer": {"results": [{"time": "2026-03-01T00:00:00Z", "unique_users": 1200}], "metrics": ["unique_users"], "complete": true, "query_time_ms": 12},
        "as_of": "2026-03-01T12:00:00Z"
    })
}
