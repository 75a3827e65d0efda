use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use metadata_store::KeyOwner;

use super::Needed;
use crate::error::ApiError;
use crate::state::ApiState;

/// The owner of the request's key, if it is of the kind that is needed, and the key.
pub(super) fn holder(headers: &HeaderMap, state: &ApiState, needed: &Needed) -> Result<(Arc<KeyOwner>, String), ApiError> {
    let key = bearer(headers)?;
    let found = state.parts.keys.owner(key);
    let owner = found.map_err(|error| ApiError::unavailable("keys_unavailable", error.to_string()))?.ok_or_else(unknown_key)?;
    if owner.kind != needed.key {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "wrong_key_kind", needed.other_key));
    }
    Ok((owner, key.to_owned()))
}

/// The key of the `Authorization` header.
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let missing = || {
        let message = "send a key as \"Authorization: Bearer rk_...\", or log in";
        ApiError::new(StatusCode::UNAUTHORIZED, "missing_key", message)
    };
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| missing())?;
    let (scheme, key) = value.split_once(' ').ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(key.trim()) } else { Err(missing()) }
}

fn unknown_key() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "unknown_key",
        "this key is unknown or was revoked: `throng app list` shows the keys of each app",
    )
}
