use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use metadata_store::{App, WeekDay};
use query::{Answered, AppSettings, FailureKind, QueryFailure, Weekday};
use serde_json::Value;

use crate::error::{ApiError, ErrorBody};
use crate::keys::Reader;
use crate::openapi::examples;
use crate::request::Question;
use crate::state::ApiState;

/// Counts, unique users, sessions, aggregates and formulas, grouped and over time.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/query", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. Limits: 10 s, memory, groups: 422 with an error that names the one that was passed. \
        503 with `Retry-After` when too many questions wait or the running ones hold all the memory. \
        `\"explain\": true` adds the field `explain`: which tables were read (`rollup_day`, `rollup_hour`, `raw_segments`, `unflushed`) and why, \
        segments considered, pruned and read, rows, bytes, threads, most memory held, and the time of each stage.",
    request_body(content = Value, example = json!(examples::query())),
    responses((status = 200, body = Value, example = json!(examples::query_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = [])))]
pub(crate) async fn query(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.query(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// Persons who did the steps in order within the window.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/funnel", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. Limits and `explain` as for `/query`.",
    request_body(content = Value, example = json!(examples::funnel())),
    responses((status = 200, body = Value, example = json!(examples::funnel_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = [])))]
pub(crate) async fn funnel(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
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
pub(crate) async fn events(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.events(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// Event names, properties, their types and sample values.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/schema", tag = "analytics", params(("app_id" = String, Path)),
    responses((status = 200, body = Value), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("read_key" = [])))]
pub(crate) async fn schema(State(state): State<ApiState>, reader: Reader) -> Result<Json<Answered>, ApiError> {
    let app = settings(reader.app());
    state.parts.queries.schema(&app, (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// What the meaning of a question depends on.
pub(crate) fn settings(app: &App) -> AppSettings {
    AppSettings {
        app: app.id.clone(),
        timezone: app.timezone.clone(),
        week_start: match app.week_start {
            WeekDay::Monday => Weekday::Monday,
            WeekDay::Tuesday => Weekday::Tuesday,
            WeekDay::Wednesday => Weekday::Wednesday,
            WeekDay::Thursday => Weekday::Thursday,
            WeekDay::Friday => Weekday::Friday,
            WeekDay::Saturday => Weekday::Saturday,
            WeekDay::Sunday => Weekday::Sunday,
        },
        session_idle_ms: i64::from(app.session_idle_minutes) * 60_000,
    }
}

/// The answer to a question that has none.
pub(crate) fn refusal(failure: QueryFailure) -> ApiError {
    let status = match failure.kind {
        FailureKind::Invalid => StatusCode::BAD_REQUEST,
        FailureKind::Limit => StatusCode::UNPROCESSABLE_ENTITY,
        FailureKind::Busy | FailureKind::Cancelled => return ApiError::unavailable(failure.code, failure.message),
        FailureKind::Internal => {
            tracing::error!(error = failure.message, "a question could not be answered");
            return ApiError::internal();
        }
    };
    ApiError { field: failure.field, ..ApiError::new(status, failure.code, failure.message) }
}
