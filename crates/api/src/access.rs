//! Who may do what: an app is opened by one of its keys, or by the login of a member whose role is enough.

mod key;
mod login;
mod origin;

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use event::AppId;
use metadata_store::{App, KeyKind, KeyOwner, Role, TokenHash};
use thiserror::Error;

pub(crate) use login::LoggedIn;
pub(crate) use origin::{only_from_this_site, only_over_https};

use crate::error::ApiError;
use crate::request::query_parameter;
use crate::state::ApiState;

/// Keys cannot be looked up now.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("keys cannot be checked now: {0}")]
pub struct KeysUnavailable(pub String);

/// Tells whom a key belongs to; asked with every request, so an implementation answers from memory wherever it can.
pub trait ReadKeys: Send + Sync {
    /// The owner of the key a client sent, `None` when there is no such key or it was revoked.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when neither a cache nor the store behind it can tell.
    fn owner(&self, key: &str) -> Result<Option<Arc<KeyOwner>>, KeysUnavailable>;

    /// Keys or settings of an app were just changed: what is remembered of keys is looked up anew.
    fn forget(&self);
}

/// What a request needs to open an app.
struct Needed {
    key: KeyKind,
    /// What is said to a key of another kind.
    other_key: &'static str,
    role: Role,
}

const TO_READ: Needed = Needed { key: KeyKind::Read, other_key: "only a read key (rk_...) may ask", role: Role::Viewer };
const ADMIN_KEY: &str = "this takes an admin key (ak_...): make one with `throng app add-key APP_ID --kind admin`";
const TO_EDIT: Needed = Needed { key: KeyKind::Admin, other_key: ADMIN_KEY, role: Role::Editor };
const TO_ADMINISTER: Needed = Needed { key: KeyKind::Admin, other_key: ADMIN_KEY, role: Role::Owner };

/// What opened an app.
#[derive(Clone)]
enum Credential {
    Key(String),
    Login(TokenHash),
}

/// An app that a request has opened.
#[derive(Clone)]
struct Opened {
    app: App,
    credential: Credential,
}

impl Opened {
    async fn open(parts: &mut Parts, state: &ApiState, needed: &Needed) -> Result<Self, ApiError> {
        // A key that is sent is meant: the cookie comes along with every request of a browser.
        if !parts.headers.contains_key(header::AUTHORIZATION)
            && let Some(hash) = login::token(&parts.headers)?
        {
            only_from_this_site(parts, true)?;
            let app = named_app(parts, state).await?;
            let app = login::member_app(state, hash, app, needed.role).await?;
            return Ok(Self { app, credential: Credential::Login(hash) });
        }
        let (owner, key) = key::holder(&parts.headers, state, needed)?;
        match named_app(parts, state).await? {
            Some(app) if app == owner.app.id => Ok(Self { app: owner.app.clone(), credential: Credential::Key(key) }),
            _ => Err(wrong_app()),
        }
    }
}

/// The app that the path names, if it could be one, and the query string does not name another.
async fn named_app(parts: &mut Parts, state: &ApiState) -> Result<Option<AppId>, ApiError> {
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::BAD_REQUEST => ApiError::new(StatusCode::BAD_REQUEST, "invalid_path", "the path is not percent-encoded UTF-8"),
        _ => ApiError::internal(),
    })?;
    let in_path = params.iter().find(|(name, _)| *name == "app_id").map(|(_, value)| value);
    match query_parameter(&parts.uri, "app_id") {
        Some(in_query) if in_path != Some(&*in_query) => Err(wrong_app()),
        _ => Ok(in_path.and_then(AppId::new)),
    }
}

/// A request that may read one app: its key is a read key of the app in the path, or it comes from a member.
#[derive(Clone)]
pub(crate) struct Reader(Opened);

impl Reader {
    pub(crate) fn app(&self) -> &App {
        &self.0.app
    }

    pub(crate) fn app_id(&self) -> &AppId {
        &self.0.app.id
    }

    /// Whether the app is still open to the reader; asked by answers that last longer than a request should.
    pub(crate) async fn still_allowed(&self, state: &ApiState) -> bool {
        let own = self.app_id();
        match &self.0.credential {
            // Unavailable keys end no stream: they were good, and nothing says that they are not.
            Credential::Key(key) => match state.parts.keys.owner(key) {
                Ok(owner) => owner.is_some_and(|owner| owner.app.id == *own && owner.kind == TO_READ.key),
                Err(_) => true,
            },
            Credential::Login(hash) => match login::member_app(state, *hash, Some(own.clone()), TO_READ.role).await {
                Ok(_) => true,
                Err(refusal) => refusal.status.is_server_error(),
            },
        }
    }
}

impl FromRequestParts<ApiState> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        Opened::open(parts, state, &TO_READ).await.map(Self)
    }
}

/// A request that may change what is saved in one app: its key is an admin key of the app in the path, or it comes from an editor.
#[derive(Clone)]
pub(crate) struct Editor(Opened);

impl Editor {
    pub(crate) fn app(&self) -> &App {
        &self.0.app
    }

    pub(crate) fn app_id(&self) -> &AppId {
        &self.0.app.id
    }
}

impl FromRequestParts<ApiState> for Editor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        Opened::open(parts, state, &TO_EDIT).await.map(Self)
    }
}

/// A request that may change everything of one app: its key is an admin key of the app in the path, or it comes from an owner.
#[derive(Clone)]
pub(crate) struct Administrator(Opened);

impl Administrator {
    pub(crate) fn app_id(&self) -> &AppId {
        &self.0.app.id
    }
}

impl FromRequestParts<ApiState> for Administrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        Opened::open(parts, state, &TO_ADMINISTER).await.map(Self)
    }
}

/// An owner of the app in the path who is logged in: what is about people takes one of them, no key.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) app: App,
    /// The owner's account.
    pub(crate) account: String,
}

impl FromRequestParts<ApiState> for Owner {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let caller = LoggedIn::from_request_parts(parts, state).await?;
        let app = named_app(parts, state).await?;
        let app = login::member_app(state, caller.hash, app, Role::Owner).await?;
        Ok(Self { app, account: caller.owner.account.id })
    }
}

/// The same answer whether or not the other app exists.
pub(crate) fn wrong_app() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "wrong_app", "this key belongs to another app than the one asked for")
}
