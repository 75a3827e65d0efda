use std::net::IpAddr;

use axum::Json;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use metadata_store::{Account, Email, NewLogin, PasswordHash, SecretToken, TokenHash, TokenKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::account::{AccountBody, MeAnswer, refused};
use super::cookie;
use crate::access::{LoggedIn, only_from_this_site, only_over_https};
use crate::error::{ApiError, ErrorBody};
use crate::openapi::account_examples as examples;
use crate::request::read_json;
use crate::state::ApiState;

/// Longest text kept of what a browser calls itself.
const MAX_AGENT_CHARS: usize = 200;

/// A request that may begin a login: it comes from a page of this site that keeps the cookie, or from a program.
pub(crate) struct Stranger {
    /// Where the request comes from, where that is known.
    pub(crate) address: Option<IpAddr>,
    pub(crate) agent: String,
}

impl FromRequestParts<ApiState> for Stranger {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        only_from_this_site(parts, false)?;
        only_over_https(&parts.headers)?;
        Ok(Self { address: (state.parts.client_address)(parts), agent: agent(&parts.headers) })
    }
}

/// What a browser calls itself.
pub(super) fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    agent.chars().take(MAX_AGENT_CHARS).collect()
}

/// Whether the first account is still to be made.
#[derive(Serialize, ToSchema)]
pub(crate) struct SetUpAnswer {
    /// True until there is an account; then false for ever.
    open: bool,
}

/// Whether the first account is still to be made.
#[utoipa::path(get, path = "/api/v1/setup", tag = "accounts", responses((status = 200, body = SetUpAnswer)))]
pub(crate) async fn set_up_state(State(state): State<ApiState>) -> Result<Json<SetUpAnswer>, ApiError> {
    let done = state.on_accounts(|accounts, _| accounts.set_up_done()).await?;
    Ok(Json(SetUpAnswer { open: !done }))
}

/// The first account, with the token that the server printed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetUpBody {
    /// From the link that the server printed when it started, `st_...`.
    token: String,
    account: AccountBody,
}

/// Makes the first account and logs it in. It may make apps, and owns those there are.
#[utoipa::path(post, path = "/api/v1/setup", tag = "accounts",
    description = "A server without accounts prints a link with a token when it starts. Once an account was made, this is over for ever.",
    request_body(content = SetUpBody, example = json!(examples::set_up())),
    responses((status = 201, body = MeAnswer), (status = 400, body = ErrorBody), (status = 403, body = ErrorBody), (status = 410, body = ErrorBody)))]
pub(crate) async fn set_up(State(state): State<ApiState>, stranger: Stranger, request: Request) -> Result<Response, ApiError> {
    let body: SetUpBody = read_json(request, &state).await?;
    if state.on_accounts(|accounts, _| accounts.set_up_done()).await? {
        return Err(refused(metadata_store::MetadataError::SetUpDone));
    }
    let expected = state.parts.set_up.ok_or_else(wrong_set_up)?;
    if TokenHash::of(TokenKind::SetUp, &body.token) != Some(expected) {
        return Err(wrong_set_up());
    }
    let account = body.account.account((state.parts.now_ms)())?;
    let password = state.hash_password(body.account.password).await?;
    let made = account.clone();
    state.on_accounts(move |accounts, _| accounts.create_first_account(&made, &password)).await?;
    tracing::info!(account = account.id, "the first account was made");
    let account = Account { administrator: true, ..account };
    begin(&state, &account, stranger.agent, StatusCode::CREATED).await
}

/// Who logs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogInBody {
    email: String,
    password: String,
}

/// Logs in: sets a cookie that opens what the account has a role on.
#[utoipa::path(post, path = "/api/v1/login", tag = "accounts",
    description = "The cookie `__Host-throng` is kept over HTTPS, and over HTTP from this machine. 10 wrong passwords for an account, or 50 from an address, \
        within 15 minutes are answered 429. A login ends when it is not used for 14 days, and after 90 days.",
    request_body(content = LogInBody, example = json!(examples::log_in())),
    responses((status = 200, body = MeAnswer), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 415, body = ErrorBody), (status = 429, body = ErrorBody)))]
pub(crate) async fn log_in(State(state): State<ApiState>, stranger: Stranger, request: Request) -> Result<Response, ApiError> {
    let body: LogInBody = read_json(request, &state).await?;
    let account = known_by_password(&state, &body.email, body.password, stranger.address).await?;
    begin(&state, &account, stranger.agent, StatusCode::OK).await
}

/// The account of an address and a password. An address without one takes as long and is told the same.
pub(super) async fn known_by_password(
    state: &ApiState,
    email: &str,
    password: String,
    address: Option<IpAddr>,
) -> Result<Account, ApiError> {
    let email = Email::new(email);
    // What is no address has no account; it is counted all the same, in one place.
    let counted = email.as_ref().map_or_else(String::new, |email| email.as_str().to_owned());
    state.attempts.count(&counted, address, (state.parts.now_ms)())?;
    let found = state.on_accounts(move |accounts, _| email.map_or(Ok(None), |email| accounts.account_of(&email))).await?;
    let (account, hash) = found.unzip();
    let verified = state.attempts.hashing(move || {
        // Made before it is needed, so that the first address without an account takes no longer than the others.
        let nobody = PasswordHash::of_nobody();
        hash.as_ref().unwrap_or(nobody).verifies(&password)
    });
    let verified = verified.await?;
    match account.filter(|_| verified) {
        Some(account) => {
            state.attempts.succeeded(&counted, address);
            Ok(account)
        }
        None => Err(ApiError::new(StatusCode::UNAUTHORIZED, "wrong_login", "the e-mail address or the password is wrong")),
    }
}

/// Begins a login with a token that nobody has seen before, whatever cookie came along.
pub(crate) async fn begin(state: &ApiState, account: &Account, agent: String, status: StatusCode) -> Result<Response, ApiError> {
    let token = SecretToken::generate(TokenKind::Login, &mut rand::rng());
    let (hash, owner) = (token.hash(), account.clone());
    let me = state.on_accounts(move |accounts, now_ms| {
        accounts.begin_login(&NewLogin { hash, account: owner.id.clone(), now_ms, agent })?;
        MeAnswer::read(accounts, &owner)
    });
    let me = me.await?;
    Ok((status, [(header::SET_COOKIE, cookie::carrying(&token))], Json(me)).into_response())
}

/// Logs out: ends the login and its live streams, and takes the cookie away.
#[utoipa::path(post, path = "/api/v1/logout", tag = "accounts", request_body(content = Object, example = json!({})),
    responses((status = 204), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)), security(("login" = [])))]
pub(crate) async fn log_out(State(state): State<ApiState>, caller: LoggedIn) -> Result<Response, ApiError> {
    let ended = state.on_accounts(move |accounts, _| accounts.end_login(&caller.owner.account.id, &caller.owner.login.id)).await;
    match ended {
        // Ended from elsewhere in this very moment: it is over all the same.
        Ok(()) => {}
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => {}
        Err(refusal) => return Err(refusal),
    }
    state.access_changed();
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie::gone())]).into_response())
}

fn wrong_set_up() -> ApiError {
    let message = "this is not the token that the server printed when it last started: use its newest link";
    ApiError::new(StatusCode::FORBIDDEN, "wrong_set_up_token", message)
}
