use axum::Json;
use axum::extract::{Request, State};
use jiff::tz::TimeZone;
use metadata_store::{App, AppChange, WeekDay};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::access::{Administrator, Reader};
use crate::error::{ApiError, ErrorBody};
use crate::login::account::checked_name;
use crate::request::read_json;
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
    pub(crate) fn of(app: &App) -> Self {
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

/// What to change; what is not given stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsChange {
    /// What people call the app.
    name: Option<String>,
    /// IANA name. Days, weeks and months are cut in it from then on, those of the past too.
    timezone: Option<String>,
    /// First day of the week.
    week_start: Option<String>,
    /// 1 to 36,500 days, or `null` for ever. What was dropped before stays dropped.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    raw_retention_days: Option<Option<u32>>,
}

impl SettingsChange {
    fn checked(self) -> Result<AppChange, ApiError> {
        if let Some(Some(days)) = self.raw_retention_days
            && (days == 0 || days > MAX_RETENTION_DAYS)
        {
            let message = format!("raw_retention_days is 1 to {MAX_RETENTION_DAYS}, or null for ever");
            return Err(ApiError::invalid("raw_retention_days", "invalid_setting", message));
        }
        Ok(AppChange {
            name: self.name.as_deref().map(checked_name).transpose()?,
            timezone: self.timezone.as_deref().map(checked_timezone).transpose()?,
            week_start: self.week_start.as_deref().map(week_day_named).transpose()?,
            raw_retention_days: self.raw_retention_days,
        })
    }
}

/// Tells `null` from a field that is not there.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A time zone in the spelling of the tz database.
pub(crate) fn checked_timezone(text: &str) -> Result<String, ApiError> {
    let unknown = || ApiError::invalid("timezone", "invalid_setting", "timezone is an IANA name such as Europe/Berlin");
    let zone = TimeZone::get(text).map_err(|_| unknown())?;
    Ok(zone.iana_name().unwrap_or(text).to_owned())
}

/// A day of the week by its name.
pub(crate) fn week_day_named(name: &str) -> Result<WeekDay, ApiError> {
    WeekDay::from_name(name)
        .ok_or_else(|| ApiError::invalid("week_start", "invalid_setting", "week_start is a day such as monday or sunday"))
}

/// The settings of the app.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/settings", tag = "administration", params(("app_id" = String, Path)),
    responses((status = 200, body = SettingsAnswer), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn settings(reader: Reader) -> Json<SettingsAnswer> {
    Json(SettingsAnswer::of(reader.app()))
}

/// Changes settings of the app. Every process notices within 5 seconds.
#[utoipa::path(patch, path = "/api/v1/analytics/{app_id}/settings", tag = "administration", params(("app_id" = String, Path)),
    request_body(content = SettingsChange, example = json!({"name": "Shop", "timezone": "Europe/Berlin", "raw_retention_days": 365})),
    responses((status = 200, body = SettingsAnswer), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["owner"])))]
pub(crate) async fn change(
    State(state): State<ApiState>,
    admin: Administrator,
    request: Request,
) -> Result<Json<SettingsAnswer>, ApiError> {
    let change = read_json::<SettingsChange>(request, &state).await?.checked()?;
    let app = state.on_apps(move |apps, _| apps.change_app(admin.app_id(), &change)).await?;
    state.keys_changed();
    // An answer that was cut in the zone of before is not given again.
    state.parts.queries.forget_answers();
    Ok(Json(SettingsAnswer::of(&app)))
}
