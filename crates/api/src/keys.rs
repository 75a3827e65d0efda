use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use event::AppId;
use metadata_store::{App, KeyKind, KeyOwner};
use thiserror::Error;

use crate::error::ApiError;
use crate::request::query_parameter;
use crate::state::ApiState;

/// Keys cannot be looked up now.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("keys cannot be checked now: {0}")]
pub struct KeysUnavailable(pub String);

/// Tells whom a key belongs to; asked with every request, so an implementation answers from memory wherever it can.
pub trait ReadKeys: Send + Sync {
    /// The owner of the key a client sent, `None` when there is no such key or it was revoked.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when neither a cache nor the store behind it can tell.
    fn owner(&self, key: &str) -> Result<Option<Arc<KeyOwner>>, KeysUnavailable>;
}

/// A request that may read one app: its key is a read key of the app in the path.
#[derive(Clone)]
pub(crate) struct Reader {
    owner: Arc<KeyOwner>,
    key: String,
}

impl Reader {
    pub(crate) fn app(&self) -> &App {
        &self.owner.app
    }

    pub(crate) fn app_id(&self) -> &AppId {
        &self.owner.app.id
    }

    /// Whether the key still opens the app; asked by answers that last longer than a request should.
    pub(crate) fn still_allowed(&self, keys: &dyn ReadKeys) -> bool {
        // Unavailable keys end no stream: they were good, and nothing says that they are not.
        match keys.owner(&self.key) {
            Ok(owner) => owner.is_some_and(|owner| owner.app.id == self.owner.app.id && owner.kind == KeyKind::Read),
            Err(_) => true,
        }
    }
}

impl FromRequestParts<ApiState> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let (owner, key) = key_holder(parts, state, KeyKind::Read, "only a read key (rk_...) may ask").await?;
        Ok(Self { owner, key })
    }
}

/// A request that may change one app: its key is an admin key of the app in the path.
#[derive(Clone)]
pub(crate) struct Administrator {
    owner: Arc<KeyOwner>,
}

impl Administrator {
    pub(crate) fn app(&self) -> &App {
        &self.owner.app
    }

    pub(crate) fn app_id(&self) -> &AppId {
        &self.owner.app.id
    }
}

impl FromRequestParts<ApiState> for Administrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let needed = "this takes an admin key (ak_...): make one with `throng app add-key APP_ID --kind admin`";
        Ok(Self { owner: key_holder(parts, state, KeyKind::Admin, needed).await?.0 })
    }
}

/// The owner of the request's key, if it is of this kind and of the app that the request names everywhere.
async fn key_holder(parts: &mut Parts, state: &ApiState, kind: KeyKind, needed: &'static str) -> Result<(Arc<KeyOwner>, String), ApiError> {
    let key = bearer(&parts.headers)?.to_owned();
    let found = state.parts.keys.owner(&key);
    let owner = found.map_err(|error| ApiError::unavailable("keys_unavailable", error.to_string()))?.ok_or_else(unknown_key)?;
    if owner.kind != kind {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "wrong_key_kind", needed));
    }
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::BAD_REQUEST => ApiError::new(StatusCode::BAD_REQUEST, "invalid_path", "the path is not percent-encoded UTF-8"),
        _ => ApiError::internal(),
    })?;
    let in_path = params.iter().find(|(name, _)| *name == "app_id").map(|(_, value)| value);
    let in_query = query_parameter(&parts.uri, "app_id");
    let own = owner.app.id.as_str();
    if in_path != Some(own) || in_query.is_some_and(|app| app != own) {
        return Err(wrong_app());
    }
    Ok((owner, key))
}

/// The key of the `Authorization` header.
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let missing = || {
        let message = "send a key as \"Authorization: Bearer rk_...\"";
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

/// The same answer whether or not the other app exists.
pub(crate) fn wrong_app() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "wrong_app", "this key belongs to another app than the one asked for")
}
