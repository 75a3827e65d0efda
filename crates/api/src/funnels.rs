//! Saved funnels over HTTP.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;

use crate::access::{Editor, Reader};
use crate::error::{ApiError, ErrorBody};
use crate::openapi::saved_examples as examples;
use crate::request::RequestBody;
use crate::saved_questions::FUNNELS;
use crate::state::ApiState;

/// The saved funnels of the app, by name.
#[utoipa::path(get, path = "/api/v1/apps/{app_id}/funnels", tag = "funnels", params(("app_id" = String, Path)),
    responses((status = 200, body = Value), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn list(State(state): State<ApiState>, reader: Reader) -> Result<Json<Value>, ApiError> {
    FUNNELS.list("funnels", &state, &reader).await
}

/// Saves a funnel.
#[utoipa::path(post, path = "/api/v1/apps/{app_id}/funnels", tag = "funnels", params(("app_id" = String, Path)),
    description = "`funnel` is what `/funnel` takes: steps and options. `/funnel`, `/funnel/persons` and `/funnel/person` then take `\"funnel\": ID` in place of the steps; what else a \
        question gives counts before what was saved. It is checked when it is saved. A funnel that a dashboard shows is not deleted. 128 KiB, 1,000 funnels an app.",
    request_body(content = Value, example = json!(examples::funnel())),
    responses((status = 201, body = Value, example = json!(examples::funnel_answer())), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody), (status = 409, body = ErrorBody), (status = 422, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["editor"])))]
pub(crate) async fn create(
    State(state): State<ApiState>,
    editor: Editor,
    body: RequestBody,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    FUNNELS.create(&state, &editor, &body).await
}

/// One saved funnel.
#[utoipa::path(get, path = "/api/v1/apps/{app_id}/funnels/{funnel_id}", tag = "funnels",
    params(("app_id" = String, Path), ("funnel_id" = String, Path)),
    responses((status = 200, body = Value, example = json!(examples::funnel_answer())), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn one(
    State(state): State<ApiState>,
    reader: Reader,
    Path(in_path): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    FUNNELS.one(&state, &reader, in_path.1).await
}

/// Changes a saved funnel: what is not given stays.
#[utoipa::path(put, path = "/api/v1/apps/{app_id}/funnels/{funnel_id}", tag = "funnels",
    params(("app_id" = String, Path), ("funnel_id" = String, Path)),
    request_body(content = Value, example = json!(examples::change())),
    responses((status = 200, body = Value, example = json!(examples::funnel_answer())), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["editor"])))]
pub(crate) async fn change(
    State(state): State<ApiState>,
    editor: Editor,
    Path(in_path): Path<(String, String)>,
    body: RequestBody,
) -> Result<Json<Value>, ApiError> {
    FUNNELS.change(&state, &editor, in_path.1, &body).await
}

/// Deletes a saved funnel.
#[utoipa::path(delete, path = "/api/v1/apps/{app_id}/funnels/{funnel_id}", tag = "funnels",
    params(("app_id" = String, Path), ("funnel_id" = String, Path)),
    responses((status = 200, body = Value), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["editor"])))]
pub(crate) async fn remove(
    State(state): State<ApiState>,
    editor: Editor,
    Path(in_path): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    FUNNELS.remove(&state, &editor, in_path.1).await
}
