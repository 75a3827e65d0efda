//! The apps of somebody who is logged in.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use metadata_store::{App, KeyKind, NewKey, SecretKey, new_app_id};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::LoggedIn;
use crate::error::{ApiError, ErrorBody};
use crate::login::account::{OwnAppAnswer, checked_name};
use crate::request::read_json;
use crate::settings::{SettingsAnswer, checked_timezone, week_day_named};
use crate::state::ApiState;

/// The apps one has a role on.
#[derive(Serialize, ToSchema)]
pub(crate) struct AppsAnswer {
    /// By name.
    apps: Vec<OwnAppAnswer>,
}

/// The apps that the own account has a role on.
#[utoipa::path(get, path = "/api/v1/apps", tag = "accounts",
    responses((status = 200, body = AppsAnswer), (status = 401, body = ErrorBody)), security(("login" = [])))]
pub(crate) async fn list(State(state): State<ApiState>, caller: LoggedIn) -> Result<Json<AppsAnswer>, ApiError> {
    let apps = state.on_accounts(move |accounts, _| accounts.apps_of(&caller.owner.account.id)).await?;
    Ok(Json(AppsAnswer { apps: apps.iter().map(OwnAppAnswer::of).collect() }))
}

/// An app to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppBody {
    /// What people call it.
    name: String,
    /// IANA name; UTC unless told.
    timezone: Option<String>,
    /// First day of the week; monday unless told.
    week_start: Option<String>,
}

/// An app that was just made, with its first keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeAppAnswer {
    #[serde(flatten)]
    settings: SettingsAnswer,
    /// Appends events; public.
    write_key: String,
    /// Asks questions; shown this once.
    read_key: String,
}

/// Makes an app and owns it. Only instance administrators may.
#[utoipa::path(post, path = "/api/v1/apps", tag = "accounts",
    request_body(content = AppBody, example = json!({"name": "Shop", "timezone": "Europe/Berlin"})),
    responses((status = 201, body = MadeAppAnswer), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("login" = ["administrator"])))]
pub(crate) async fn create(
    State(state): State<ApiState>,
    caller: LoggedIn,
    request: Request,
) -> Result<(StatusCode, Json<MadeAppAnswer>), ApiError> {
    if !caller.owner.account.administrator {
        let message = "only instance administrators make apps: ask one, or use `throng app create`";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "not_administrator", message));
    }
    let body: AppBody = read_json(request, &state).await?;
    let mut app = App::new(new_app_id(&mut rand::rng()), &checked_name(&body.name)?, (state.parts.now_ms)());
    if let Some(timezone) = &body.timezone {
        app.timezone = checked_timezone(timezone)?;
    }
    if let Some(day) = &body.week_start {
        app.week_start = week_day_named(day)?;
    }
    let secrets = [KeyKind::Write, KeyKind::Read].map(|kind| (kind, SecretKey::generate(kind, &mut rand::rng())));
    let keys = secrets.each_ref().map(|(kind, secret)| NewKey::of(secret, &app.id, *kind, app.created_at_ms));
    let settings = SettingsAnswer::of(&app);
    let owner = caller.owner.account.id;
    state.on_accounts(move |accounts, _| accounts.create_app_of(&app, &keys, &owner)).await?;
    let [write_key, read_key] = secrets.map(|(_, secret)| secret.as_str().to_owned());
    Ok((StatusCode::CREATED, Json(MadeAppAnswer { settings, write_key, read_key })))
}
