use std::borrow::Cow;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::{StatusCode, Uri};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::access::{Reader, wrong_app};
use crate::error::ApiError;
use crate::state::ApiState;

/// A question: the caller and a JSON object, from the body of a GET or POST, or from `?q=`.
pub(crate) struct Question {
    pub(crate) reader: Reader,
    pub(crate) request: Map<String, Value>,
}

impl FromRequest<ApiState> for Question {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        // The key comes first: who may not ask learns nothing about the question.
        let reader = Reader::from_request_parts(&mut parts, state).await?;
        let in_url = query_parameter(&parts.uri, "q").map(Cow::into_owned);
        let RequestBody(body) = RequestBody::from_request(Request::from_parts(parts, body), state).await?;
        let text = match (&in_url, body.is_empty()) {
            (Some(_), false) => return Err(ApiError::invalid("q", "two_requests", "send the request in the body or in ?q=, not in both")),
            (Some(text), true) => text.as_bytes(),
            (None, _) => &body,
        };
        let request = own_request(parse_object(text)?, &reader)?;
        Ok(Self { reader, request })
    }
}

/// Longest time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A whole body, within the bounds of size and time.
pub(crate) struct RequestBody(pub(crate) Bytes);

impl FromRequest<ApiState> for RequestBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        match tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, state)).await {
            Ok(body) => body.map(Self).map_err(|rejection| body_error(&rejection)),
            Err(_) => {
                let message = format!("the request body did not arrive within {} s", BODY_TIMEOUT.as_secs());
                Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message))
            }
        }
    }
}

/// The body as a struct; unknown fields are refused when the struct says so.
pub(crate) async fn read_json<T: DeserializeOwned>(request: Request, state: &ApiState) -> Result<T, ApiError> {
    let RequestBody(body) = RequestBody::from_request(request, state).await?;
    serde_json::from_slice(&body)
        .map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", format!("the body is not valid: {error}")))
}

/// A body or parameter as a JSON object; empty is one without fields.
pub(crate) fn parse_object(text: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if text.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let invalid = |message: String| ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", message);
    match serde_json::from_slice(text) {
        Ok(Value::Object(request)) => Ok(request),
        Ok(_) => Err(invalid("the request must be a JSON object such as {\"metric\": \"events\", \"range\": \"7d\"}".to_owned())),
        Err(error) => Err(invalid(format!("the request is not JSON: {error}"))),
    }
}

/// The app comes from the key; naming it again is allowed, naming another one is not.
fn own_request(mut request: Map<String, Value>, reader: &Reader) -> Result<Map<String, Value>, ApiError> {
    match request.shift_remove("app_id") {
        Some(app) if app != reader.app_id().as_str() => Err(wrong_app()),
        _ => Ok(request),
    }
}

fn body_error(rejection: &BytesRejection) -> ApiError {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the request is larger than {} bytes", crate::router::MAX_REQUEST_BYTES);
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
        }
        _ => ApiError::new(StatusCode::BAD_REQUEST, "unreadable_body", "the request body ended early"),
    }
}

/// The query string as a struct; unknown names are refused when the struct says so.
pub(crate) fn query_string<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    Query::<T>::try_from_uri(uri).map(|Query(value)| value).map_err(|rejection| {
        let message = rejection.body_text();
        let message = message.strip_prefix("Failed to deserialize query string: ").unwrap_or(&message);
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", message)
    })
}

/// One parameter of the query string; the last one where it is repeated.
pub(crate) fn query_parameter<'u>(uri: &'u Uri, name: &str) -> Option<Cow<'u, str>> {
    let pairs = form_urlencoded::parse(uri.query()?.as_bytes());
    pairs.filter(|(key, _)| key == name).last().map(|(_, value)| value)
}
