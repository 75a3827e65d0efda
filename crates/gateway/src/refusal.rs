use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use event::write_json_string;
use event_log::LogError;
use thiserror::Error;

use crate::inflate::InflateFault;
use crate::keys::KeysUnavailable;
use crate::parser::BodyFault;

/// Why a whole request was refused; nothing of it was kept.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    #[error("a write key is missing: send it as \"Authorization: Bearer wk_...\", as ?write_key=wk_..., or as write_key in the body")]
    MissingKey,
    #[error("this key does not exist")]
    UnknownKey,
    #[error("this key may not write events: use the app's write key (wk_...)")]
    NotAWriteKey,
    #[error("app_id is not the app of this write key: leave app_id out, or use that app's key")]
    OtherApp,
    #[error("the content type is not supported: send application/json or text/plain")]
    ContentType,
    #[error("the content encoding is not supported: send gzip, zstd, br or none")]
    ContentEncoding,
    #[error("the body is larger than {max_bytes} bytes (after inflating): send smaller batches")]
    BodyTooLarge { max_bytes: usize },
    #[error("the body did not arrive within {seconds} s")]
    BodyTimeout { seconds: u64 },
    #[error("the body ended early or is not framed as HTTP demands")]
    BodyIncomplete,
    #[error("{0}")]
    Inflate(#[from] InflateFault),
    #[error("{0}")]
    Body(#[from] BodyFault),
    #[error("this app sends more events than its quota allows: try again in {retry_after_seconds} s")]
    OverQuota { retry_after_seconds: u64 },
    #[error("the gateway holds as many requests as it can: try again")]
    Overloaded,
    #[error("{0}")]
    KeysUnavailable(KeysUnavailable),
    #[error("the events cannot be made durable now, nothing was kept: {0}")]
    Log(#[from] LogError),
    #[error("the gateway could not finish this request, nothing was kept")]
    Interrupted,
}

impl Refusal {
    /// The HTTP status and the stable code.
    pub(crate) fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::MissingKey => (StatusCode::UNAUTHORIZED, "missing_key"),
            Self::UnknownKey => (StatusCode::UNAUTHORIZED, "unknown_key"),
            Self::NotAWriteKey => (StatusCode::FORBIDDEN, "not_a_write_key"),
            Self::OtherApp => (StatusCode::FORBIDDEN, "other_app"),
            Self::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type"),
            Self::ContentEncoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_encoding"),
            Self::BodyTooLarge { .. } | Self::Inflate(InflateFault::TooLarge { .. }) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::BodyTimeout { .. } => (StatusCode::REQUEST_TIMEOUT, "body_timeout"),
            Self::BodyIncomplete => (StatusCode::BAD_REQUEST, "incomplete_body"),
            Self::Inflate(InflateFault::Damaged { .. }) => (StatusCode::BAD_REQUEST, "invalid_encoding"),
            Self::Body(BodyFault::InvalidJson(_)) => (StatusCode::BAD_REQUEST, "invalid_json"),
            Self::Body(BodyFault::MissingEvents) => (StatusCode::BAD_REQUEST, "missing_events"),
            Self::Body(BodyFault::InvalidType { .. }) => (StatusCode::BAD_REQUEST, "invalid_type"),
            Self::Body(BodyFault::TooManyEvents { .. }) => (StatusCode::PAYLOAD_TOO_LARGE, "too_many_events"),
            Self::OverQuota { .. } => (StatusCode::TOO_MANY_REQUESTS, "over_quota"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            Self::KeysUnavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "keys_unavailable"),
            Self::Log(LogError::TooLarge { .. }) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::Log(LogError::Full(_)) => (StatusCode::SERVICE_UNAVAILABLE, "log_full"),
            Self::Log(_) => (StatusCode::SERVICE_UNAVAILABLE, "log_unavailable"),
            Self::Interrupted => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    /// The field of the body that is wrong.
    fn field(&self) -> Option<&'static str> {
        match self {
            Self::OtherApp => Some("app_id"),
            Self::Body(BodyFault::InvalidType { field, .. }) => Some(field),
            Self::Body(BodyFault::MissingEvents | BodyFault::TooManyEvents { .. }) => Some("events"),
            _ => None,
        }
    }

    /// When to try again, for the refusals that pass.
    fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::OverQuota { retry_after_seconds } => Some(*retry_after_seconds),
            Self::Overloaded | Self::KeysUnavailable(_) | Self::Log(LogError::Full(_)) => Some(1),
            // A latched log needs a restart of the process.
            Self::Log(error) if !matches!(error, LogError::TooLarge { .. }) => Some(5),
            _ => None,
        }
    }

    /// The answer in the API's error form.
    pub(crate) fn response(&self, request_id: &str) -> Response<Body> {
        let (status, code) = self.status_and_code();
        let mut body = format!("{{\"error\":{{\"code\":\"{code}\",\"message\":");
        write_json_string(&self.to_string(), &mut body);
        if let Some(field) = self.field() {
            body.push_str(",\"field\":");
            write_json_string(field, &mut body);
        }
        body.push_str(",\"request_id\":");
        write_json_string(request_id, &mut body);
        body.push_str("}}");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after_seconds() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
