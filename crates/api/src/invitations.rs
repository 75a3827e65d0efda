//! Links that let somebody join an app.

use axum::Json;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use metadata_store::{Invitation, NewInvitation, SecretToken, TokenHash, TokenKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{LoggedIn, Owner};
use crate::error::{ApiError, ErrorBody};
use crate::login::account::{AccountBody, MeAnswer, role_named};
use crate::login::begin::{Stranger, begin};
use crate::openapi::account_examples as examples;
use crate::request::read_json;
use crate::state::ApiState;
use crate::time::iso_utc;

/// Longest note of an invitation.
const MAX_NOTE_CHARS: usize = 200;

/// An invitation that can still be accepted; never its link.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvitationAnswer {
    invitation_id: String,
    /// `viewer`, `editor` or `owner`.
    #[schema(example = "viewer")]
    role: &'static str,
    /// Whom it is meant for.
    note: String,
    /// Who invited.
    invited_by: String,
    created_at: String,
    expires_at: String,
}

impl InvitationAnswer {
    fn of(invitation: Invitation) -> Self {
        Self {
            invitation_id: invitation.id,
            role: invitation.role.as_str(),
            note: invitation.note,
            invited_by: invitation.invited_by,
            created_at: iso_utc(invitation.created_at_ms),
            expires_at: iso_utc(invitation.expires_at_ms),
        }
    }
}

/// The open invitations to an app.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvitationsAnswer {
    /// The oldest first.
    invitations: Vec<InvitationAnswer>,
}

/// The open invitations to the app.
#[utoipa::path(get, path = "/api/v1/apps/{app_id}/invitations", tag = "accounts", params(("app_id" = String, Path)),
    responses((status = 200, body = InvitationsAnswer), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("login" = ["owner"])))]
pub(crate) async fn list(State(state): State<ApiState>, owner: Owner) -> Result<Json<InvitationsAnswer>, ApiError> {
    let open = state.on_accounts(move |accounts, now_ms| accounts.invitations(&owner.app.id, now_ms)).await?;
    Ok(Json(InvitationsAnswer { invitations: open.into_iter().map(InvitationAnswer::of).collect() }))
}

/// An invitation to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InviteBody {
    /// `viewer`, `editor` or `owner`.
    role: String,
    /// Whom it is meant for, so that you know it again; at most 200 characters.
    #[serde(default)]
    note: String,
}

/// An invitation that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeInvitationAnswer {
    invitation_id: String,
    /// Opens the app's page of the invitation as `/invitation#token=TOKEN`; shown this once.
    token: String,
    expires_at: String,
}

/// Invites somebody by a link that works once, for 7 days; it is shown this once.
#[utoipa::path(post, path = "/api/v1/apps/{app_id}/invitations", tag = "accounts", params(("app_id" = String, Path)),
    description = "Whoever has the link can join: hand it over as you would a key. At most 100 are open at once.",
    request_body(content = InviteBody, example = json!({"role": "viewer", "note": "Bob"})),
    responses((status = 201, body = MadeInvitationAnswer), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody)),
    security(("login" = ["owner"])))]
pub(crate) async fn invite(
    State(state): State<ApiState>,
    owner: Owner,
    request: Request,
) -> Result<(StatusCode, Json<MadeInvitationAnswer>), ApiError> {
    let body: InviteBody = read_json(request, &state).await?;
    let role = role_named(&body.role)?;
    let note = body.note.trim().to_owned();
    if note.chars().count() > MAX_NOTE_CHARS || note.chars().any(char::is_control) {
        let message = format!("a note has at most {MAX_NOTE_CHARS} characters, none of which is a control character");
        return Err(ApiError::invalid("note", "invalid_invitation", message));
    }
    let token = SecretToken::generate(TokenKind::Invitation, &mut rand::rng());
    let now_ms = (state.parts.now_ms)();
    let invitation = NewInvitation { hash: token.hash(), app: owner.app.id, role, note, invited_by: owner.account, now_ms };
    state.on_accounts(move |accounts, _| accounts.invite(&invitation)).await?;
    let answer = MadeInvitationAnswer {
        invitation_id: token.hash().id("inv_"),
        token: token.as_str().to_owned(),
        expires_at: iso_utc(now_ms + metadata_store::INVITATION_LIFETIME_MS),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Takes an invitation back.
#[utoipa::path(delete, path = "/api/v1/apps/{app_id}/invitations/{invitation_id}", tag = "accounts",
    params(("app_id" = String, Path), ("invitation_id" = String, Path)),
    responses((status = 204), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)),
    security(("login" = ["owner"])))]
pub(crate) async fn revoke(
    State(state): State<ApiState>,
    owner: Owner,
    Path(in_path): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (_, invitation) = in_path;
    state.on_accounts(move |accounts, _| accounts.revoke_invitation(&owner.app.id, &invitation)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The token of an invitation's link. It comes in a body, since addresses are written to logs.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitationTokenBody {
    token: String,
}

/// What an invitation is to.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfferAnswer {
    app_id: String,
    app_name: String,
    #[schema(example = "viewer")]
    role: &'static str,
    invited_by: String,
    expires_at: String,
}

/// What the invitation of a link is to.
#[utoipa::path(post, path = "/api/v1/invitations/look", tag = "accounts",
    request_body(content = InvitationTokenBody, example = json!(examples::look())),
    responses((status = 200, body = OfferAnswer), (status = 404, body = ErrorBody)))]
pub(crate) async fn look(State(state): State<ApiState>, request: Request) -> Result<Json<OfferAnswer>, ApiError> {
    let body: InvitationTokenBody = read_json(request, &state).await?;
    let hash = invitation_token(&body.token)?;
    let found = state.on_accounts(move |accounts, now_ms| accounts.invitation(&hash, now_ms)).await?;
    let (invitation, app) = found.ok_or_else(no_invitation)?;
    Ok(Json(OfferAnswer {
        app_id: app.id.to_string(),
        app_name: app.name,
        role: invitation.role.as_str(),
        invited_by: invitation.invited_by,
        expires_at: iso_utc(invitation.expires_at_ms),
    }))
}

/// Who accepts an invitation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptBody {
    token: String,
    /// An account to be made for it; without one, whoever is logged in joins.
    account: Option<AccountBody>,
}

/// Accepts the invitation of a link, as who is logged in or with a new account, which is then logged in.
#[utoipa::path(post, path = "/api/v1/invitations/accept", tag = "accounts",
    request_body(content = AcceptBody, example = json!(examples::accept())),
    responses((status = 200, body = MeAnswer), (status = 201, body = MeAnswer, description = "A new account, logged in"), (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(crate) async fn accept(State(state): State<ApiState>, stranger: Stranger, request: Request) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let caller = LoggedIn::from_request_parts(&mut parts, &state).await;
    let body: AcceptBody = read_json(Request::from_parts(parts, body), &state).await?;
    let hash = invitation_token(&body.token)?;
    let Some(new) = body.account else {
        let caller = caller?;
        let me = state.on_accounts(move |accounts, now_ms| {
            accounts.accept_invitation(&hash, &caller.owner.account.id, now_ms)?;
            MeAnswer::read(accounts, &caller.owner.account)
        });
        return me.await.map(|me| Json(me).into_response()).map_err(refused_acceptance);
    };
    let account = new.account((state.parts.now_ms)())?;
    // Whoever has no invitation costs no hashing.
    let open = state.on_accounts(move |accounts, now_ms| accounts.invitation(&hash, now_ms)).await?;
    open.ok_or_else(no_invitation)?;
    let password = state.hash_password(new.password).await?;
    let made = account.clone();
    let accepted = state.on_accounts(move |accounts, now_ms| accounts.accept_invitation_as_new(&hash, &made, &password, now_ms));
    accepted.await.map_err(refused_acceptance)?;
    begin(&state, &account, stranger.agent, StatusCode::CREATED).await
}

fn invitation_token(text: &str) -> Result<TokenHash, ApiError> {
    TokenHash::of(TokenKind::Invitation, text.trim()).ok_or_else(no_invitation)
}

fn no_invitation() -> ApiError {
    let message = "this invitation was accepted, taken back, or is older than 7 days: ask for another one";
    ApiError::new(StatusCode::NOT_FOUND, "no_invitation", message)
}

fn refused_acceptance(refusal: ApiError) -> ApiError {
    match &*refusal.code {
        "missing" => no_invitation(),
        "taken" => {
            let message = "this e-mail address has an account already: log in, then open the link again";
            ApiError { field: Some("account.email".to_owned()), ..ApiError::new(StatusCode::CONFLICT, "email_taken", message) }
        }
        _ => refusal,
    }
}
