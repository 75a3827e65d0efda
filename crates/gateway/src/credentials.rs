use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::keys::{AppAccess, KeyLookup, WriteKeys};
use crate::refusal::Refusal;

/// The key a request carries beside its body: in `Authorization: Bearer`, or as `write_key` in the query string.
pub(crate) fn key_in_head(head: &Parts) -> Option<&str> {
    let bearer = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer_token);
    bearer.or_else(|| head.uri.query().and_then(key_in_query))
}

fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Keys are plain letters, digits and `_`, so nothing needs decoding.
fn key_in_query(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("write_key=")).filter(|key| !key.is_empty())
}

/// What the key opens.
pub(crate) fn authenticate(keys: &Arc<dyn WriteKeys>, key: &str) -> Result<AppAccess, Refusal> {
    match keys.look_up(key) {
        Ok(KeyLookup::Write(access)) => Ok(access),
        Ok(KeyLookup::NotWrite) => Err(Refusal::NotAWriteKey),
        Ok(KeyLookup::Unknown) => Err(Refusal::UnknownKey),
        Err(unavailable) => Err(Refusal::KeysUnavailable(unavailable)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_beside_the_body() {
        for (value, token) in [
            ("Bearer wk_1", Some("wk_1")),
            ("bearer  wk_1 ", Some("wk_1")),
            ("Basic d2tfMTo=", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("wk_1", None),
        ] {
            assert_eq!(bearer_token(value), token, "{value}");
        }
        assert_eq!(key_in_query("a=b&write_key=wk_1&c=d"), Some("wk_1"));
        assert_eq!(key_in_query("write_key="), None);
        assert_eq!(key_in_query("my_write_key=wk_1"), None);
    }
}
