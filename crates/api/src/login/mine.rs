use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use metadata_store::Login;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::account::{AccountAnswer, MeAnswer, checked_name, checked_password};
use super::begin::{agent, begin, known_by_password};
use crate::access::LoggedIn;
use crate::error::{ApiError, ErrorBody};
use crate::request::read_json;
use crate::state::ApiState;
use crate::time::iso_utc;

/// Who is logged in, and the apps they have a role on.
#[utoipa::path(get, path = "/api/v1/me", tag = "accounts",
    responses((status = 200, body = MeAnswer), (status = 401, body = ErrorBody)), security(("login" = [])))]
pub(crate) async fn me(State(state): State<ApiState>, caller: LoggedIn) -> Result<Json<MeAnswer>, ApiError> {
    state.on_accounts(move |accounts, _| MeAnswer::read(accounts, &caller.owner.account)).await.map(Json)
}

/// What to change of the own account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MeChange {
    /// What people call you.
    name: String,
}

/// Changes the own name.
#[utoipa::path(patch, path = "/api/v1/me", tag = "accounts", request_body(content = MeChange, example = json!({"name": "Ann"})),
    responses((status = 200, body = AccountAnswer), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("login" = [])))]
pub(crate) async fn change(State(state): State<ApiState>, caller: LoggedIn, request: Request) -> Result<Json<AccountAnswer>, ApiError> {
    let body: MeChange = read_json(request, &state).await?;
    let mut account = caller.owner.account;
    account.name = checked_name(&body.name)?;
    let changed = account.clone();
    state.on_accounts(move |accounts, _| accounts.rename_account(&changed.id, &changed.name)).await?;
    Ok(Json(AccountAnswer::of(&account)))
}

/// A new password, and the one so far.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordBody {
    current_password: String,
    /// At least 12 characters.
    new_password: String,
}

/// Changes the own password: ends every login of the account and begins a new one for this browser.
#[utoipa::path(post, path = "/api/v1/me/password", tag = "accounts",
    request_body(content = PasswordBody, example = json!(crate::openapi::account_examples::password())),
    responses((status = 200, body = MeAnswer), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 429, body = ErrorBody)),
    security(("login" = [])))]
pub(crate) async fn change_password(
    State(state): State<ApiState>,
    caller: LoggedIn,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let address = (state.parts.client_address)(&parts);
    let body: PasswordBody = read_json(Request::from_parts(parts, body), &state).await?;
    let account = caller.owner.account;
    checked_password("new_password", &body.new_password, &[account.email.as_str(), &account.name])?;
    let known = known_by_password(&state, account.email.as_str(), body.current_password, address).await;
    known.map_err(|refusal| match &*refusal.code {
        // Not 401: the login is good, and a page that read 401 would ask for it again.
        "wrong_login" => ApiError::invalid("current_password", "wrong_password", "this is not the current password"),
        _ => refusal,
    })?;
    let password = state.hash_password(body.new_password).await?;
    let id = account.id.clone();
    state.on_accounts(move |accounts, _| accounts.set_password(&id, &password)).await?;
    state.access_changed();
    begin(&state, &account, agent(&headers), StatusCode::OK).await
}

/// Where an account is logged in.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoginAnswer {
    login_id: String,
    /// True for the login of this request.
    current: bool,
    created_at: String,
    /// To 5 minutes.
    last_used_at: String,
    expires_at: String,
    /// What the browser calls itself.
    agent: String,
}

/// Where the account is logged in.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoginsAnswer {
    /// The newest use first.
    logins: Vec<LoginAnswer>,
}

/// The logins of the own account.
#[utoipa::path(get, path = "/api/v1/me/logins", tag = "accounts",
    responses((status = 200, body = LoginsAnswer), (status = 401, body = ErrorBody)), security(("login" = [])))]
pub(crate) async fn logins(State(state): State<ApiState>, caller: LoggedIn) -> Result<Json<LoginsAnswer>, ApiError> {
    let (account, current) = (caller.owner.account.id, caller.owner.login.id);
    let logins = state.on_accounts(move |accounts, now_ms| accounts.logins(&account, now_ms)).await?;
    let answer = |login: Login| LoginAnswer {
        current: login.id == current,
        login_id: login.id,
        created_at: iso_utc(login.created_at_ms),
        last_used_at: iso_utc(login.last_used_at_ms),
        expires_at: iso_utc(login.expires_at_ms),
        agent: login.agent,
    };
    Ok(Json(LoginsAnswer { logins: logins.into_iter().map(answer).collect() }))
}

/// Ends a login of the own account, with its live streams.
#[utoipa::path(delete, path = "/api/v1/me/logins/{login_id}", tag = "accounts", params(("login_id" = String, Path)),
    responses((status = 204), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)),
    security(("login" = [])))]
pub(crate) async fn end_login(State(state): State<ApiState>, caller: LoggedIn, Path(login): Path<String>) -> Result<StatusCode, ApiError> {
    state.on_accounts(move |accounts, _| accounts.end_login(&caller.owner.account.id, &login)).await?;
    state.access_changed();
    Ok(StatusCode::NO_CONTENT)
}
