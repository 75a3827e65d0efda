use serde_json::{Value, json};

pub(crate) fn metric() -> Value {
    json!({
        "name": "Paying share", "description": "Persons who buy, of all who come", "unit": "percent",
        "metric": {"formula": "A / B * 100", "A": {"fn": "unique_users", "event": "purchase"}, "B": "unique_users"}
    })
}

pub(crate) fn metric_of_metrics() -> Value {
    json!({
        "name": "Revenue per paying share", "unit": "EUR",
        "metric": {"formula": "A / B", "A": {"fn": "sum:price", "event": "purchase"}, "B": "metric:paying"}
    })
}

pub(crate) fn metric_change() -> Value {
    json!({"name": "Share of persons who buy", "version": 1})
}

pub(crate) fn query_forms() -> Value {
    json!({
        "metrics": [{"fn": "unique_users", "event": "signup", "cumulative": true}, {"fn": "unique_users", "rolling": 7, "name": "weekly"}, "metric:paying"],
        "interval": "day",
        "range": "30d"
    })
}
