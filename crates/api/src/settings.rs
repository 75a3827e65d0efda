use axum::Json;
use axum::extract::State;
use metadata_store::{App, MetadataError};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorBody};
use crate::keys::{Administrator, Reader};
use crate::state::ApiState;
use crate::time::iso_utc;

/// A hundred years, as in `throng app create`.
const MAX_RETENTION_DAYS: u32 = 36_500;

/// An app and its settings.
#[derive(Serialize, ToSchema)]
pub(crate) struct SettingsAnswer {
    app_id: String,
    name: String,
    /// IANA name.
    timezone: String,
    /// First day of the week.
    week_start: &'static str,
    /// Raw events are dropped so many days after their day; `null` keeps them for ever. Rollups are kept for ever.
    raw_retention_days: Option<u32>,
    /// A longer pause begins a new session.
    session_idle_minutes: u32,
    created_at: String,
}

impl SettingsAnswer {
    fn of(app: &App) -> Self {
        Self {
            app_id: app.id.to_string(),
            name: app.name.clone(),
            timezone: app.timezone.clone(),
            week_start: app.week_start.as_str(),
            raw_retention_days: app.raw_retention_days,
            session_idle_minutes: app.session_idle_minutes,
            created_at: iso_utc(app.created_at_ms),
        }
    }
}

/// What to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsChange {
    /// 1 to 36,500 days, or `null` for ever. What was dropped before stays dropped.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    raw_retention_days: Option<Option<u32>>,
}

/// Tells `null` from a field that is not there.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The settings of the app.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/settings", tag = "administration", params(("app_id" = String, Path)),
    responses((status = 200, body = SettingsAnswer), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("read_key" = [])))]
pub(crate) async fn settings(reader: Reader) -> Json<SettingsAnswer> {
    Json(SettingsAnswer::of(reader.app()))
}

/// Changes settings of the app. Every process notices within 5 seconds.
#[utoipa::path(patch, path = "/api/v1/analytics/{app_id}/settings", tag = "administration", params(("app_id" = String, Path)),
    request_body(content = SettingsChange, example = json!({"raw_retention_days": 365})),
    responses((status = 200, body = SettingsAnswer), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody)),
    security(("admin_key" = [])))]
pub(crate) async fn change(
    State(state): State<ApiState>,
    admin: Administrator,
    body: axum::body::Bytes,
) -> Result<Json<SettingsAnswer>, ApiError> {
    let change: SettingsChange = serde_json::from_slice(&body)
        .map_err(|error| ApiError::new(axum::http::StatusCode::BAD_REQUEST, "invalid_json", format!("the change is not valid: {error}")))?;
    if let Some(Some(days)) = change.raw_retention_days
        && (days == 0 || days > MAX_RETENTION_DAYS)
    {
        let message = format!("raw_retention_days is 1 to {MAX_RETENTION_DAYS}, or null for ever");
        return Err(ApiError::invalid("raw_retention_days", "invalid_setting", message));
    }
    let changed = tokio::task::spawn_blocking(move || {
        let (metadata, app) = (&state.parts.metadata, admin.app_id());
        if let Some(days) = change.raw_retention_days {
            metadata.set_raw_retention(app, days)?;
        }
        metadata.app(app)?.ok_or_else(|| MetadataError::Missing(format!("app {app}")))
    });
    match changed.await {
        Ok(Ok(app)) => Ok(Json(SettingsAnswer::of(&app))),
        Ok(Err(error)) => Err(ApiError::unavailable("settings_unavailable", error.to_string())),
        Err(error) => {
            tracing::error!(%error, "changing a setting panicked");
            Err(ApiError::internal())
        }
    }
}
