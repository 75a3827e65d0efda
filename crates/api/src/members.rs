//! Who may do what in an app.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use metadata_store::{Member, MetadataError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Owner;
use crate::error::{ApiError, ErrorBody};
use crate::login::account::role_named;
use crate::request::read_json;
use crate::state::ApiState;
use crate::time::iso_utc;

/// An account with a role on the app.
#[derive(Serialize, ToSchema)]
pub(crate) struct MemberAnswer {
    account_id: String,
    email: String,
    name: String,
    /// `viewer`, `editor` or `owner`.
    #[schema(example = "editor")]
    role: &'static str,
    since: String,
}

impl MemberAnswer {
    fn of(member: Member) -> Self {
        Self {
            account_id: member.account.id,
            email: member.account.email.to_string(),
            name: member.account.name,
            role: member.role.as_str(),
            since: iso_utc(member.since_ms),
        }
    }
}

/// The members of an app.
#[derive(Serialize, ToSchema)]
pub(crate) struct MembersAnswer {
    /// By e-mail address.
    members: Vec<MemberAnswer>,
}

/// The members of the app with their roles.
#[utoipa::path(get, path = "/api/v1/apps/{app_id}/members", tag = "accounts", params(("app_id" = String, Path)),
    responses((status = 200, body = MembersAnswer), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("login" = ["owner"])))]
pub(crate) async fn list(State(state): State<ApiState>, owner: Owner) -> Result<Json<MembersAnswer>, ApiError> {
    let members = state.on_accounts(move |accounts, _| accounts.members(&owner.app.id)).await?;
    Ok(Json(MembersAnswer { members: members.into_iter().map(MemberAnswer::of).collect() }))
}

/// Another role.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleBody {
    /// `viewer`, `editor` or `owner`.
    role: String,
}

/// Gives a member another role. The last owner stays one.
#[utoipa::path(patch, path = "/api/v1/apps/{app_id}/members/{account_id}", tag = "accounts",
    params(("app_id" = String, Path), ("account_id" = String, Path)),
    request_body(content = RoleBody, example = json!({"role": "editor"})),
    responses((status = 204), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)),
    security(("login" = ["owner"])))]
pub(crate) async fn change(
    State(state): State<ApiState>,
    owner: Owner,
    Path(in_path): Path<(String, String)>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (_, account) = in_path;
    let body: RoleBody = read_json(request, &state).await?;
    let role = role_named(&body.role)?;
    let changed = state.on_accounts(move |accounts, now_ms| {
        // Joining takes an invitation: nobody is given a role who did not ask for it, and no id of an account is tried out.
        accounts.role(&account, &owner.app.id)?.ok_or_else(|| MetadataError::Missing(format!("member {account} of this app")))?;
        accounts.set_role(&owner.app.id, &account, role, now_ms)
    });
    changed.await?;
    state.access_changed();
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a member's role away, with its live streams. The last owner stays.
#[utoipa::path(delete, path = "/api/v1/apps/{app_id}/members/{account_id}", tag = "accounts",
    params(("app_id" = String, Path), ("account_id" = String, Path)),
    responses((status = 204), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody)),
    security(("login" = ["owner"])))]
pub(crate) async fn remove(
    State(state): State<ApiState>,
    owner: Owner,
    Path(in_path): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (_, account) = in_path;
    state.on_accounts(move |accounts, _| accounts.remove_member(&owner.app.id, &account)).await?;
    state.access_changed();
    Ok(StatusCode::NO_CONTENT)
}
