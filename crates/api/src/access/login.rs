use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use event::{AppId, TimestampMs};
use metadata_store::{AccountStore, App, LOGIN_USE_RESOLUTION_MS, LoginOwner, MetadataError, Role, TokenHash, TokenKind};

use super::origin::only_from_this_site;
use crate::error::ApiError;
use crate::login::COOKIE;
use crate::state::ApiState;

/// A request of somebody who is logged in, whatever the app.
#[derive(Clone)]
pub(crate) struct LoggedIn {
    pub(crate) owner: LoginOwner,
    pub(crate) hash: TokenHash,
}

impl FromRequestParts<ApiState> for LoggedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let missing =
            || ApiError::new(StatusCode::UNAUTHORIZED, "not_logged_in", "this takes a person who is logged in: POST /api/v1/login");
        let hash = token(&parts.headers)?.ok_or_else(missing)?;
        only_from_this_site(parts, true)?;
        let owner = state.on_accounts(move |accounts, now_ms| in_use(accounts, &hash, now_ms)).await?;
        owner.map(|owner| Self { owner, hash }).ok_or_else(logged_out)
    }
}

/// The login's token in the cookie; a refusal where the cookie is no token of ours.
pub(super) fn token(headers: &HeaderMap) -> Result<Option<TokenHash>, ApiError> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    match pairs.find(|(name, _)| *name == COOKIE) {
        None => Ok(None),
        Some((_, text)) => TokenHash::of(TokenKind::Login, text).map(Some).ok_or_else(logged_out),
    }
}

/// The app as the login's account may use it.
pub(super) async fn member_app(state: &ApiState, hash: TokenHash, app: Option<AppId>, needed: Role) -> Result<App, ApiError> {
    let found = state.on_accounts(move |accounts, now_ms| {
        let Some(owner) = in_use(accounts, &hash, now_ms)? else { return Ok(None) };
        app.map_or(Ok(None), |app| accounts.role(&owner.account.id, &app)).map(Some)
    });
    match found.await?.ok_or_else(logged_out)? {
        None => Err(no_role()),
        Some((app, role)) if role >= needed => Ok(app),
        Some((_, role)) => {
            let message = format!("this takes the role {}, yours is {}: ask an owner of the app", needed.as_str(), role.as_str());
            Err(ApiError::new(StatusCode::FORBIDDEN, "role_too_low", message))
        }
    }
}

/// Whose login it is, noting now and then that it is in use.
fn in_use(accounts: &dyn AccountStore, hash: &TokenHash, now_ms: TimestampMs) -> Result<Option<LoginOwner>, MetadataError> {
    let owner = accounts.find_login(hash, now_ms)?;
    if owner.as_ref().is_some_and(|owner| now_ms - owner.login.last_used_at_ms > LOGIN_USE_RESOLUTION_MS) {
        accounts.note_login_used(hash, now_ms)?;
    }
    Ok(owner)
}

fn logged_out() -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "logged_out", "this login has ended: log in again")
}

/// The same answer whether or not the app exists.
fn no_role() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "wrong_app", "you have no role on an app of this id: ask an owner of it for an invitation")
}
