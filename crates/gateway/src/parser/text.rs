use std::borrow::Cow;

/// A request body as text of the same length, whatever its bytes were.
///
/// The whole body is validated once. When it is not UTF-8, every bad byte is replaced by one `?`, so positions stay what they were,
/// and each event is judged by its own original bytes: only the events that hold bad bytes are refused.
pub(crate) struct BodyText<'a> {
    text: Cow<'a, str>,
    original: &'a [u8],
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl<'a> BodyText<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        let original = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let text = match simdutf8::basic::from_utf8(original) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(with_bad_bytes_replaced(original)),
        };
        Self { text, original }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The bytes of a range as they came.
    pub(crate) fn original(&self, start: usize, end: usize) -> &'a [u8] {
        self.original.get(start..end).unwrap_or_default()
    }

    /// True when the bytes of this range, which begins and ends at ASCII characters, were valid UTF-8.
    pub(crate) fn was_valid(&self, start: usize, end: usize) -> bool {
        matches!(self.text, Cow::Borrowed(_)) || simdutf8::basic::from_utf8(self.original(start, end)).is_ok()
    }
}

fn with_bad_bytes_replaced(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(std::iter::repeat_n('?', chunk.invalid().len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_bad_bytes() {
        let body = b"\xef\xbb\xbf{\"a\":\"\xff\xc3\"} \xe2\x82 {\"b\":\"\xc3\xa9\"}";
        let text = BodyText::new(body);
        assert_eq!(text.as_str(), "{\"a\":\"??\"} ?? {\"b\":\"é\"}");
        assert_eq!(text.as_str().len(), body.len() - 3);
        assert!(!text.was_valid(0, 10));
        assert!(text.was_valid(14, text.as_str().len()));
        assert_eq!(text.original(6, 8), b"\xff\xc3");
    }
}
