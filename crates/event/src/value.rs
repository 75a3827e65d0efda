/// One property value as it was sent; borrowed from the batch.
///
/// Text that looks like a time stays text; it is read as a time only where a query asks for one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum PropertyValue<'a> {
    /// JSON `null`: the same as not set.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer from -2^63 to 2^63 - 1, exact.
    Int(i64),
    /// Any other finite number.
    Float(f64),
    /// Text, at most [`crate::limits::MAX_STRING_VALUE_BYTES`].
    Str(&'a str),
    /// A list, an object, or an integer from 2^63 to 2^64 - 1, as its JSON text.
    Json(&'a str),
}

impl PropertyValue<'_> {
    /// Appends the value as JSON.
    pub fn write_json(&self, out: &mut String) {
        match *self {
            Self::Null => out.push_str("null"),
            Self::Bool(b) => out.push_str(if b { "true" } else { "false" }),
            Self::Int(i) => out.push_str(itoa::Buffer::new().format(i)),
            Self::Float(f) => write_json_float(f, out),
            Self::Str(s) => write_json_string(s, out),
            Self::Json(json) => out.push_str(json),
        }
    }
}

/// A whole number is written without a fraction, so `10.0` and `10` are one value wherever values are compared as text.
fn write_json_float(f: f64, out: &mut String) {
    if !f.is_finite() {
        out.push_str("null");
    } else if f == f.trunc() && f.abs() < 9_007_199_254_740_992.0 {
        out.push_str(itoa::Buffer::new().format(f as i64));
    } else {
        out.push_str(ryu::Buffer::new().format_finite(f));
    }
}

/// Appends `text` as a JSON string with its quotes, in as few bytes as JSON has for it.
pub fn write_json_string(text: &str, out: &mut String) {
    out.push('"');
    let mut plain_from = 0;
    for (i, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain_from..i]);
        plain_from = i + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(HEX[usize::from(byte >> 4)] as char);
                out.push(HEX[usize::from(byte & 15)] as char);
            }
        }
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_survive_a_json_reader() {
        for text in ["", "plain", "a\"b\\c\n\r\t\u{8}\u{c}\u{1}\u{1f}é💥", "</script>"] {
            let mut json = String::new();
            write_json_string(text, &mut json);
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn numbers() {
        let json = |value: PropertyValue<'_>| {
            let mut out = String::new();
            value.write_json(&mut out);
            out
        };
        assert_eq!(json(PropertyValue::Float(10.0)), "10");
        assert_eq!(json(PropertyValue::Float(-0.0)), "0");
        assert_eq!(json(PropertyValue::Float(2.5)), "2.5");
        assert_eq!(json(PropertyValue::Float(1e300)), "1e300");
        assert_eq!(json(PropertyValue::Int(i64::MIN)), "-9223372036854775808");
    }
}
