use axum::http::StatusCode;
use metadata_store::{Account, AccountStore, App, Email, MAX_NAME_CHARS, MetadataError, Role, check_password};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;

/// An account to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountBody {
    /// Names the account; nothing is sent to it.
    #[schema(example = "ann@example.org")]
    pub(crate) email: String,
    /// What people call you.
    #[schema(example = "Ann")]
    pub(crate) name: String,
    /// At least 12 characters.
    #[schema(example = "four words of mine")]
    pub(crate) password: String,
}

impl AccountBody {
    /// The account with a fresh id, if everything about it is right.
    pub(crate) fn account(&self, now_ms: i64) -> Result<Account, ApiError> {
        let email = Email::new(&self.email)
            .ok_or_else(|| ApiError::invalid("email", "invalid_account", "this is no e-mail address, such as ann@example.org"))?;
        let name = checked_name(&self.name)?;
        checked_password("password", &self.password, &[email.as_str(), &name])?;
        Ok(Account::new(email, &name, now_ms, &mut rand::rng()))
    }
}

/// A name of a person or an app.
pub(crate) fn checked_name(name: &str) -> Result<String, ApiError> {
    let name = name.trim();
    let chars = name.chars().count();
    if chars == 0 || chars > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        let message = format!("a name has 1 to {MAX_NAME_CHARS} characters, none of which is a control character");
        return Err(ApiError::invalid("name", "invalid_name", message));
    }
    Ok(name.to_owned())
}

/// A password that somebody chose.
pub(crate) fn checked_password(field: &str, password: &str, known: &[&str]) -> Result<(), ApiError> {
    check_password(password, known).map_err(|weak| ApiError::invalid(field, "weak_password", weak.to_string()))
}

/// Who is logged in.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountAnswer {
    account_id: String,
    email: String,
    name: String,
    /// May make apps.
    administrator: bool,
}

impl AccountAnswer {
    pub(crate) fn of(account: &Account) -> Self {
        Self {
            account_id: account.id.clone(),
            email: account.email.to_string(),
            name: account.name.clone(),
            administrator: account.administrator,
        }
    }
}

/// An app that somebody has a role on.
#[derive(Serialize, ToSchema)]
pub(crate) struct OwnAppAnswer {
    app_id: String,
    name: String,
    /// IANA name.
    timezone: String,
    /// `viewer`, `editor` or `owner`.
    #[schema(example = "editor")]
    role: &'static str,
}

impl OwnAppAnswer {
    pub(crate) fn of((app, role): &(App, Role)) -> Self {
        Self { app_id: app.id.to_string(), name: app.name.clone(), timezone: app.timezone.clone(), role: role.as_str() }
    }
}

/// Who is logged in, and what they may open.
#[derive(Serialize, ToSchema)]
pub(crate) struct MeAnswer {
    account: AccountAnswer,
    /// By name.
    apps: Vec<OwnAppAnswer>,
}

impl MeAnswer {
    pub(crate) fn read(accounts: &dyn AccountStore, account: &Account) -> Result<Self, MetadataError> {
        let apps = accounts.apps_of(&account.id)?;
        Ok(Self { account: AccountAnswer::of(account), apps: apps.iter().map(OwnAppAnswer::of).collect() })
    }
}

/// A role as it is named in a body.
pub(crate) fn role_named(name: &str) -> Result<Role, ApiError> {
    Role::from_name(name).ok_or_else(|| ApiError::invalid("role", "invalid_role", "role is viewer, editor or owner"))
}

/// A failure of the store, as whoever asked can act on it.
#[expect(clippy::needless_pass_by_value, reason = "used as the function of map_err")]
pub(crate) fn refused(error: MetadataError) -> ApiError {
    let code = match &error {
        MetadataError::Missing(_) => (StatusCode::NOT_FOUND, "missing"),
        MetadataError::Taken(_) => (StatusCode::CONFLICT, "taken"),
        MetadataError::Conflict { .. } | MetadataError::Changed { .. } => (StatusCode::CONFLICT, "changed"),
        MetadataError::LastOwner => (StatusCode::CONFLICT, "last_owner"),
        MetadataError::SetUpDone => (StatusCode::GONE, "set_up_done"),
        MetadataError::Full { .. } | MetadataError::TooMany { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "too_many"),
        MetadataError::Newer { .. } | MetadataError::Unavailable(_) => {
            tracing::warn!(%error, "accounts cannot be read or changed");
            return ApiError::unavailable("accounts_unavailable", "accounts cannot be read or changed now: try again");
        }
    };
    ApiError::new(code.0, code.1, error.to_string())
}
