use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
use serde::Serialize;
use utoipa::ToSchema;

/// What operators and load balancers ask.
#[derive(Clone)]
pub struct Operations {
    /// Everything that is counted.
    pub registry: Registry,
    /// Why the process should get no traffic now; empty when it should.
    pub not_ready: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
}

/// `/health`, `/ready` and `/metrics`, for a process of any role. No key is needed; nothing in them belongs to an app.
pub fn operations_router(operations: Operations) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(operations)
        .layer(axum::middleware::from_fn(crate::security::answer_headers))
}

/// Whether the process lives.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
    /// Version of the program.
    version: &'static str,
}

/// Whether the process can serve.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    /// True with status 200, false with status 503.
    ready: bool,
    /// Why not.
    reasons: Vec<String>,
}

/// The process lives.
#[utoipa::path(get, path = "/health", tag = "operations", responses((status = 200, body = Health)))]
pub(crate) async fn health() -> axum::Json<Health> {
    axum::Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// The process can take events and answer questions.
#[utoipa::path(get, path = "/ready", tag = "operations",
    responses((status = 200, body = Ready), (status = 503, body = Ready, description = "Send traffic elsewhere")))]
pub(crate) async fn ready(State(operations): State<Operations>) -> (StatusCode, axum::Json<Ready>) {
    let reasons = (operations.not_ready)();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(Ready { ready: reasons.is_empty(), reasons }))
}

/// Everything that is counted, as Prometheus reads it.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(operations): State<Operations>) -> Response {
    match TextEncoder::new().encode_to_string(&operations.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
