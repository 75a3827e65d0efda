use bytes::Bytes;
use event::{RejectedEvent, write_json_string};

use crate::parser::Envelope;

/// The body of an answer: `{"accepted":19,"rejected":[{"index":3,"code":"missing_name","message":"..."}]}`.
///
/// Where events were kept otherwise than their sender may think, a list of `warnings` follows.
pub(crate) fn answer_body(accepted: usize, rejected: &[RejectedEvent], envelope: &Envelope) -> Bytes {
    let mut body = String::with_capacity(40 + 160 * rejected.len());
    let mut number = itoa::Buffer::new();
    body.push_str("{\"accepted\":");
    body.push_str(number.format(accepted));
    body.push_str(",\"rejected\":[");
    for (position, event) in rejected.iter().enumerate() {
        body.push_str(if position == 0 { "{\"index\":" } else { ",{\"index\":" });
        body.push_str(number.format(event.index));
        body.push_str(",\"code\":\"");
        body.push_str(event.reject.code.as_str());
        body.push_str("\",\"message\":");
        write_json_string(&event.reject.message, &mut body);
        body.push('}');
    }
    body.push(']');
    write_warnings(envelope, &mut body);
    body.push('}');
    Bytes::from(body)
}

fn write_warnings(envelope: &Envelope, body: &mut String) {
    let mut warnings: Vec<(Option<u32>, &str, &str, String)> = Vec::new();
    if envelope.sent_at_was_ignored {
        warnings.push((None, "sent_at", "ignored_sent_at", "sent_at is not a time: the events keep their own times".to_owned()));
    }
    if envelope.uncorrected_events > 0 {
        let events = envelope.uncorrected_events;
        let message =
            format!("sent_at is too far off: with it, {events} events would lie where no event can be, so they keep their own times");
        warnings.push((None, "sent_at", "ignored_sent_at", message));
    }
    for unknown in envelope.unknown_fields.iter() {
        let message = "no field of an event has this name, so it is not kept: what you want to keep goes into properties".to_owned();
        warnings.push((Some(unknown.index), &unknown.name, "unknown_field", message));
    }
    let mut number = itoa::Buffer::new();
    for (position, (index, field, code, message)) in warnings.iter().enumerate() {
        body.push_str(if position == 0 { ",\"warnings\":[{" } else { ",{" });
        if let Some(index) = index {
            body.push_str("\"index\":");
            body.push_str(number.format(*index));
            body.push(',');
        }
        for (key, value) in [("\"code\":", code), ("\"field\":", field), ("\"message\":", &message.as_str())] {
            body.push_str(key);
            write_json_string(value, body);
            body.push(',');
        }
        body.pop();
        body.push('}');
    }
    if !warnings.is_empty() {
        body.push(']');
    }
}

#[cfg(test)]
mod tests {
    use event::{Reject, RejectCode};

    use super::*;

    #[test]
    fn bodies_are_json() {
        assert_eq!(answer_body(20, &[], &Envelope::default()), "{\"accepted\":20,\"rejected\":[]}");
        let rejected =
            [3, 7].map(|index| RejectedEvent { index, reject: Reject::new(RejectCode::MissingName, "say \"name\""), raw: Vec::new() });
        let body: serde_json::Value = serde_json::from_slice(&answer_body(0, &rejected, &Envelope::default())).unwrap();
        let one = |index| serde_json::json!({"index": index, "code": "missing_name", "message": "say \"name\""});
        assert_eq!(body, serde_json::json!({"accepted": 0, "rejected": [one(3), one(7)]}));
    }

    #[test]
    fn warnings_are_told_where_there_are_any() {
        let envelope = Envelope { sent_at_was_ignored: true, uncorrected_events: 3, ..Envelope::default() };
        let body: serde_json::Value = serde_json::from_slice(&answer_body(1, &[], &envelope)).unwrap();
        let codes: Vec<_> = body["warnings"].as_array().unwrap().iter().map(|w| (&w["code"], &w["field"], w.get("index"))).collect();
        assert_eq!(codes, [(&"ignored_sent_at".into(), &"sent_at".into(), None); 2]);
        assert!(body["warnings"][1]["message"].as_str().unwrap().contains("3 events"));
    }
}
