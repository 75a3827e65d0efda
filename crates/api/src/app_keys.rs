//! The keys of an app.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use metadata_store::{Key, KeyKind, MetadataError, MetadataStore, NewKey, SecretKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Administrator;
use crate::error::{ApiError, ErrorBody};
use crate::request::read_json;
use crate::state::ApiState;
use crate::time::iso_utc;

/// Keys of an app that open something, at once.
const MAX_KEYS_PER_APP: usize = 100;
/// A replaced key goes on opening the app for a day unless told, so that what uses it can be changed first.
const DEFAULT_OLD_KEY_HOURS: u32 = 24;
/// A quarter of a year.
const MAX_OLD_KEY_HOURS: u32 = 90 * 24;

/// A key, never the key itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyAnswer {
    key_id: String,
    /// `write`, `read` or `admin`.
    #[schema(example = "read")]
    kind: &'static str,
    created_at: String,
    /// When it last opened something, to the hour; `null` where it never did.
    last_used_at: Option<String>,
    /// From when on it opens nothing; in the future while the key that takes its place is put to use.
    revoked_at: Option<String>,
}

impl KeyAnswer {
    fn of(key: Key) -> Self {
        Self {
            key_id: key.id,
            kind: key.kind.as_str(),
            created_at: iso_utc(key.created_at_ms),
            last_used_at: key.last_used_at_ms.map(iso_utc),
            revoked_at: key.revoked_at_ms.map(iso_utc),
        }
    }
}

/// The keys of an app.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeysAnswer {
    /// In the order of their creation, revoked ones included.
    keys: Vec<KeyAnswer>,
}

/// The keys of the app, without what they are: that is not stored.
#[utoipa::path(get, path = "/api/v1/apps/{app_id}/keys", tag = "administration", params(("app_id" = String, Path)),
    responses((status = 200, body = KeysAnswer), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["owner"])))]
pub(crate) async fn list(State(state): State<ApiState>, admin: Administrator) -> Result<Json<KeysAnswer>, ApiError> {
    let keys = state.on_apps(move |apps, _| apps.keys(admin.app_id())).await?;
    Ok(Json(KeysAnswer { keys: keys.into_iter().map(KeyAnswer::of).collect() }))
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyBody {
    /// `write`, `read` or `admin`.
    kind: String,
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeKeyAnswer {
    key_id: String,
    kind: &'static str,
    /// The key; shown this once.
    key: String,
}

/// Makes a key; it is shown this once.
#[utoipa::path(post, path = "/api/v1/apps/{app_id}/keys", tag = "administration", params(("app_id" = String, Path)),
    description = "At most 100 keys of an app open something at once.",
    request_body(content = KeyBody, example = json!({"kind": "read"})),
    responses((status = 201, body = MadeKeyAnswer), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["owner"])))]
pub(crate) async fn create(
    State(state): State<ApiState>,
    admin: Administrator,
    request: Request,
) -> Result<(StatusCode, Json<MadeKeyAnswer>), ApiError> {
    let body: KeyBody = read_json(request, &state).await?;
    let kind = KeyKind::from_name(&body.kind).ok_or_else(|| ApiError::invalid("kind", "invalid_key", "kind is write, read or admin"))?;
    let secret = SecretKey::generate(kind, &mut rand::rng());
    let key = NewKey::of(&secret, admin.app_id(), kind, (state.parts.now_ms)());
    let key_id = key.id.clone();
    let made = state.on_apps(move |apps, now_ms| {
        let open = apps.keys(&key.app)?.iter().filter(|key| key.revoked_at_ms.is_none_or(|revoked| revoked > now_ms)).count();
        if open >= MAX_KEYS_PER_APP {
            return Err(MetadataError::Full { what: "keys", limit: MAX_KEYS_PER_APP });
        }
        apps.add_key(&key)
    });
    made.await?;
    Ok((StatusCode::CREATED, Json(MadeKeyAnswer { key_id, kind: kind.as_str(), key: secret.as_str().to_owned() })))
}

/// How to replace a key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateBody {
    /// Hours that the old key goes on opening the app: 24 unless told, 0 for not at all, 2,160 at most.
    old_key_hours: Option<u32>,
}

/// A key in the place of another.
#[derive(Serialize, ToSchema)]
pub(crate) struct RotatedKeyAnswer {
    #[serde(flatten)]
    made: MadeKeyAnswer,
    /// The key it takes the place of ...
    old_key_id: String,
    /// ... which opens nothing from then on.
    old_revoked_at: String,
}

/// Puts a new key of the same kind in the place of one; it is shown this once.
#[utoipa::path(post, path = "/api/v1/apps/{app_id}/keys/{key_id}/rotate", tag = "administration",
    params(("app_id" = String, Path), ("key_id" = String, Path)),
    request_body(content = RotateBody, example = json!({"old_key_hours": 48})),
    responses((status = 201, body = RotatedKeyAnswer), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["owner"])))]
pub(crate) async fn rotate(
    State(state): State<ApiState>,
    admin: Administrator,
    Path(in_path): Path<(String, String)>,
    request: Request,
) -> Result<(StatusCode, Json<RotatedKeyAnswer>), ApiError> {
    let (_, old_key_id) = in_path;
    let body: RotateBody = read_json(request, &state).await?;
    let hours = body.old_key_hours.unwrap_or(DEFAULT_OLD_KEY_HOURS);
    if hours > MAX_OLD_KEY_HOURS {
        return Err(ApiError::invalid("old_key_hours", "invalid_key", format!("old_key_hours is 0 to {MAX_OLD_KEY_HOURS}")));
    }
    let now_ms = (state.parts.now_ms)();
    let until_ms = now_ms + i64::from(hours) * 3_600_000;
    let (app, old) = (admin.app_id().clone(), old_key_id.clone());
    let rotated = state.on_apps(move |apps, now_ms| {
        let kind = own_key(apps, &app, &old)?.kind;
        let secret = SecretKey::generate(kind, &mut rand::rng());
        let key = NewKey::of(&secret, &app, kind, now_ms);
        apps.rotate_key(&old, &key, until_ms)?;
        Ok(MadeKeyAnswer { key_id: key.id, kind: kind.as_str(), key: secret.as_str().to_owned() })
    });
    let made = rotated.await?;
    state.keys_changed();
    Ok((StatusCode::CREATED, Json(RotatedKeyAnswer { made, old_key_id, old_revoked_at: iso_utc(until_ms) })))
}

/// Makes a key open nothing, its live streams included.
#[utoipa::path(delete, path = "/api/v1/apps/{app_id}/keys/{key_id}", tag = "administration",
    description = "At once where the request is answered, within 5 seconds in other processes.",
    params(("app_id" = String, Path), ("key_id" = String, Path)),
    responses((status = 204), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["owner"])))]
pub(crate) async fn revoke(
    State(state): State<ApiState>,
    admin: Administrator,
    Path(in_path): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (_, key_id) = in_path;
    let revoked = state.on_apps(move |apps, now_ms| {
        own_key(apps, admin.app_id(), &key_id)?;
        apps.revoke_key(&key_id, now_ms)
    });
    revoked.await?;
    state.keys_changed();
    Ok(StatusCode::NO_CONTENT)
}

/// A key of this app; one of another app is as good as unknown.
fn own_key(apps: &dyn MetadataStore, app: &event::AppId, key_id: &str) -> Result<Key, MetadataError> {
    let own = apps.keys(app)?.into_iter().find(|key| key.id == key_id);
    own.ok_or_else(|| MetadataError::Missing(format!("key {key_id} of this app")))
}
