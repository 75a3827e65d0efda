use event::{iso_utc, write_json_string};
use event_store::EventRow;

/// Appends one event as an object of the batch call on a line of its own.
///
/// An event without a person says `"user_id":null`, as the batch call wants it said.
pub(crate) fn write(row: &EventRow, out: &mut Vec<u8>) {
    let mut line = String::with_capacity(row.properties_json.len() + 320);
    line.push_str("{\"name\":");
    write_json_string(&row.name, &mut line);
    let ids =
        [("user_id", &row.user_id), ("anonymous_id", &row.anonymous_id), ("session_id", &row.session_id), ("insert_id", &row.insert_id)];
    for (field, id) in ids {
        if let Some(id) = id {
            begin_field(field, &mut line);
            write_json_string(id, &mut line);
        }
    }
    if row.user_id.is_none() && row.anonymous_id.is_none() {
        line.push_str(",\"user_id\":null");
    }
    for (field, ms) in [("timestamp", row.time_ms), ("client_timestamp", row.client_time_ms), ("received_at", row.received_at_ms)] {
        begin_field(field, &mut line);
        line.push('"');
        line.push_str(&iso_utc(ms));
        line.push('"');
    }
    begin_field("properties", &mut line);
    line.push_str(&row.properties_json);
    line.push_str("}\n");
    out.extend_from_slice(line.as_bytes());
}

fn begin_field(field: &str, line: &mut String) {
    line.push_str(",\"");
    line.push_str(field);
    line.push_str("\":");
}
