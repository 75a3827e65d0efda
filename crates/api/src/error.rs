use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A refusal in the one error form of the API.
///
/// As a response it is empty but carries itself along; the outermost layer, which knows the request's id, writes the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// Stable, for programs.
    pub code: Cow<'static, str>,
    /// For people: what is wrong and the way out.
    pub message: String,
    /// The request field at fault, such as `filters[0].op`.
    pub field: Option<String>,
    /// When trying again makes sense.
    pub retry_after_seconds: Option<u32>,
}

impl ApiError {
    /// An error without a field.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), field: None, retry_after_seconds: None }
    }

    /// The request is wrong in `field`.
    pub fn invalid(field: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), ..Self::new(StatusCode::BAD_REQUEST, code, message) }
    }

    /// Something that must not happen; the cause is in the log, not in the answer.
    pub fn internal() -> Self {
        let message = "the server failed to answer; its log has the cause under this request_id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// Try again in a moment.
    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self { retry_after_seconds: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message) }
    }

    /// The response with its body.
    pub(crate) fn render(&self, request_id: &str) -> Response {
        let detail = ErrorDetail {
            code: self.code.to_string(),
            message: self.message.clone(),
            field: self.field.clone(),
            request_id: request_id.to_owned(),
        };
        let mut response = (self.status, axum::Json(ErrorBody { error: detail })).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Every refusal.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ErrorDetail,
}

/// What was refused and why.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorDetail {
    /// Stable, for programs.
    #[schema(example = "invalid_filter")]
    code: String,
    /// For people: what is wrong and the way out.
    message: String,
    /// The request field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "filters[0].op")]
    field: Option<String>,
    /// Also in the header `x-request-id`, and in the server's log.
    request_id: String,
}
