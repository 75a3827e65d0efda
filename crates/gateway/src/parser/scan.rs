const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The first position from `at` on that holds a quote, a backslash or a control character; the length of `bytes` when there is none.
///
/// Eight bytes at a time: the lowest set bit of `found` is exact, since a borrow only travels upwards from a true hit.
#[inline(always)]
pub(super) fn next_special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
        let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
        let control = word.wrapping_sub(ONES * 0x20);
        let found = (quote | backslash | control) & !word & HIGHS;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}

/// The first position from `at` on that holds no JSON white space.
#[inline(always)]
pub(super) fn skip_whitespace(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Where the list element that begins at `start` ends, when it is not valid JSON: the position of the `,` or `]` after it.
///
/// Strings are respected. In an element that begins with `{` only braces are matched, so that a stray `]` does not end it early.
pub(super) fn end_of_broken_element(bytes: &[u8], start: usize) -> Option<usize> {
    let is_object = bytes.get(start) == Some(&b'{');
    let mut at = start;
    let mut open = 0usize;
    while let Some(&byte) = bytes.get(at) {
        let inside_object = is_object && open > 0;
        match byte {
            b'"' => at = end_of_string(bytes, at + 1)?,
            b'{' => open += 1,
            b'[' if !inside_object => open += 1,
            b']' | b',' if open == 0 => return Some(at),
            b'}' => open = open.saturating_sub(1),
            b']' if !inside_object => open -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The position of the closing quote.
fn end_of_string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let offset = memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at + offset] == b'"' {
            return Some(at + offset);
        }
        at += offset + 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn specials_are_found_where_a_plain_loop_finds_them(bytes in prop::collection::vec(any::<u8>(), 0..80), at in 0usize..80) {
            let at = at.min(bytes.len());
            let plain = bytes[at..].iter().position(|&b| b < 0x20 || b == b'"' || b == b'\\').map_or(bytes.len(), |i| at + i);
            prop_assert_eq!(next_special(&bytes, at), plain);
        }
    }

    #[test]
    fn broken_elements_end_where_a_reader_would_say() {
        let ends = |text: &str| end_of_broken_element(text.as_bytes(), 0);
        assert_eq!(ends("{\"a\": ]}, {}"), Some(8));
        assert_eq!(ends("{\"a\": [}, {}"), Some(8));
        assert_eq!(ends("{\"a\": \"}\\\"},\"}, {}"), Some(14));
        assert_eq!(ends("nonsense, {}"), Some(8));
        assert_eq!(ends("[1, 2}, 3], {}"), Some(6));
        assert_eq!(ends("{\"a\": {}} x, {}"), Some(11));
        assert_eq!(ends("{\"a\": \"open"), None);
        assert_eq!(ends("{\"a\": {}"), None);
        assert_eq!(ends(", {}"), Some(0));
        assert_eq!(ends("}}}, {}"), Some(3));
    }
}
