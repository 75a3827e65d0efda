use crate::batch::EventView;
use crate::ids::AppId;
use crate::value::write_json_string;

/// Appends one event as a self-describing JSON object: the record of a broker's topic.
///
/// Fields: `app_id`, `name`, `timestamp`, `client_timestamp`, `received_at` (ms since 1970), the ids that are set, `properties`.
/// A property that was sent twice is written once, with its last value.
pub fn write_event_json(app: &AppId, received_at_ms: i64, event: &EventView<'_>, out: &mut String) {
    let mut number = itoa::Buffer::new();
    out.push_str("{\"app_id\":");
    write_json_string(app.as_str(), out);
    out.push_str(",\"name\":");
    write_json_string(event.name, out);
    for (field, ms) in [("timestamp", event.time_ms), ("client_timestamp", event.client_time_ms), ("received_at", received_at_ms)] {
        out.push_str(",\"");
        out.push_str(field);
        out.push_str("\":");
        out.push_str(number.format(ms));
    }
    let ids = [
        ("user_id", event.user_id),
        ("anonymous_id", event.anonymous_id),
        ("insert_id", event.insert_id),
        ("session_id", event.session_id),
    ];
    for (field, id) in ids {
        let Some(id) = id else { continue };
        out.push_str(",\"");
        out.push_str(field);
        out.push_str("\":");
        write_json_string(id, out);
    }
    out.push_str(",\"properties\":{");
    let mut first = true;
    for (position, (key_id, key, value)) in event.properties.clone().enumerate() {
        if event.properties.clone().skip(position + 1).any(|(later, _, _)| later == key_id) {
            continue;
        }
        if !first {
            out.push(',');
        }
        first = false;
        write_json_string(key, out);
        out.push(':');
        value.write_json(out);
    }
    out.push_str("}}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{EventBatchBuilder, EventFields};
    use crate::value::PropertyValue;

    #[test]
    fn one_event_is_one_json_object() {
        let mut builder = EventBatchBuilder::default();
        builder.start(2);
        builder.property("a\"b", PropertyValue::Int(1));
        builder.property("twice", PropertyValue::Int(1));
        builder.property("twice", PropertyValue::Json("[2]"));
        builder.finish_event(&EventFields {
            name: "<img>",
            time_ms: 1,
            client_time_ms: 0,
            user_id: Some("U1"),
            anonymous_id: None,
            insert_id: None,
            session_id: None,
        });
        let app = AppId::new("APP-1").unwrap();
        let batch = builder.build(&app);
        let mut out = String::new();
        write_event_json(&app, 2, &batch.iter().next().unwrap(), &mut out);
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        let expected = serde_json::json!({"app_id": "APP-1", "name": "<img>", "timestamp": 1, "client_timestamp": 0, "received_at": 2,
            "user_id": "U1", "properties": {"a\"b": 1, "twice": [2]}});
        assert_eq!(value, expected);
    }
}
