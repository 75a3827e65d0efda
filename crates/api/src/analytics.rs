use axum::Json;
use axum::extract::State;
use metadata_store::App;
use query::{AppSettings, QueryFailure};
use serde_json::Value;

use crate::error::{ApiError, ErrorBody};
use crate::keys::Reader;
use crate::openapi::examples;
use crate::request::Question;
use crate::state::ApiState;

/// Counts, unique users, sessions, aggregates and formulas, grouped and over time.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/query", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. Limits: 10 s, memory, groups; the error names the one that was passed.",
    request_body(content = Value, example = json!(examples::query())),
    responses((status = 200, body = Value, example = json!(examples::query_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("read_key" = [])))]
pub(crate) async fn query(State(state): State<ApiState>, question: Question) -> Result<Json<Value>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.query(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// Persons who did the steps in order within the window.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/funnel", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`.",
    request_body(content = Value, example = json!(examples::funnel())),
    responses((status = 200, body = Value, example = json!(examples::funnel_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("read_key" = [])))]
pub(crate) async fn funnel(State(state): State<ApiState>, question: Question) -> Result<Json<Value>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.funnel(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// Raw events, newest first, page by page.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/events", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. Send `next_cursor` of an answer as `cursor` for the page of older events.",
    request_body(content = Value, example = json!(examples::events())),
    responses((status = 200, body = Value), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("read_key" = [])))]
pub(crate) async fn events(State(state): State<ApiState>, question: Question) -> Result<Json<Value>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.events(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// Event names, properties, their types and sample values.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/schema", tag = "analytics", params(("app_id" = String, Path)),
    responses((status = 200, body = Value), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("read_key" = [])))]
pub(crate) async fn schema(State(state): State<ApiState>, reader: Reader) -> Result<Json<Value>, ApiError> {
    let app = settings(reader.app());
    state.parts.queries.schema(&app, (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

fn settings(app: &App) -> AppSettings {
    AppSettings {
        id: app.id.clone(),
        timezone: app.timezone.clone(),
        session_idle_ms: i64::from(app.session_idle_minutes) * 60_000,
    }
}
