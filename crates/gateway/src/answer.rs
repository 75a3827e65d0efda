use bytes::Bytes;
use event::{RejectedEvent, write_json_string};

/// The body of an answer: `{"accepted":19,"rejected":[{"index":3,"code":"missing_name","message":"..."}]}`.
pub(crate) fn answer_body(accepted: usize, rejected: &[RejectedEvent]) -> Bytes {
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
    body.push_str("]}");
    Bytes::from(body)
}

#[cfg(test)]
mod tests {
    use event::{Reject, RejectCode};

    use super::*;

    #[test]
    fn bodies_are_json() {
        assert_eq!(answer_body(20, &[]), "{\"accepted\":20,\"rejected\":[]}");
        let rejected =
            [3, 7].map(|index| RejectedEvent { index, reject: Reject::new(RejectCode::MissingName, "say \"name\""), raw: Vec::new() });
        let body: serde_json::Value = serde_json::from_slice(&answer_body(0, &rejected)).unwrap();
        let one = |index| serde_json::json!({"index": index, "code": "missing_name", "message": "say \"name\""});
        assert_eq!(body, serde_json::json!({"accepted": 0, "rejected": [one(3), one(7)]}));
    }
}
