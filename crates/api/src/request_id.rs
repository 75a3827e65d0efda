use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use crate::error::ApiError;
use crate::state::ApiState;

const HEADER: &str = "x-request-id";

/// Gives each request an id: a part drawn once per process, then a count.
pub(crate) struct RequestIds {
    process: u32,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(process: u32) -> Self {
        Self { process, next: AtomicU64::new(1) }
    }

    /// An id that no other process and no later call gives.
    pub(crate) fn next(&self) -> String {
        format!("{:08x}-{:x}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// The outermost layer: names the request, writes refusals in the error form, counts, and logs what failed on our side.
pub(crate) async fn identify(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let given = request.headers().get(HEADER).and_then(|value| value.to_str().ok()).filter(|id| is_plain(id));
    let request_id = given.map_or_else(|| state.request_ids.next(), str::to_owned);
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        if error.status.is_server_error() {
            tracing::warn!(%request_id, route, status = error.status.as_u16(), code = %error.code, message = error.message, "request failed");
        }
        response = error.render(&request_id);
    }
    state.metrics.observe(&route, response.status(), started.elapsed());
    if let Ok(value) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// An id given by a proxy or client is kept when it can stand in a log line.
fn is_plain(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
