//! Saved dashboards over HTTP, and their answers as they change.

mod boards;
mod plan;
mod questions;
mod stream;
mod told;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;

use crate::access::{Editor, Reader};
use crate::error::{ApiError, ErrorBody};
use crate::openapi::saved_examples as examples;
use crate::request::RequestBody;
use crate::saved_questions::DASHBOARDS;
use crate::state::ApiState;

pub(crate) use boards::Boards;
pub(crate) use plan::{Plan, Scope};
pub(crate) use questions::{QuestionMetrics, Questions};
pub(crate) use stream::{__path_stream, stream};
pub(crate) use told::AnswerMemory;

/// The saved dashboards of the app, by name.
#[utoipa::path(get, path = "/api/v1/apps/{app_id}/dashboards", tag = "dashboards", params(("app_id" = String, Path)),
    responses((status = 200, body = Value), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn list(State(state): State<ApiState>, reader: Reader) -> Result<Json<Value>, ApiError> {
    DASHBOARDS.list("dashboards", &state, &reader).await
}

/// Saves a dashboard.
#[utoipa::path(post, path = "/api/v1/apps/{app_id}/dashboards", tag = "dashboards", params(("app_id" = String, Path)),
    description = "`tiles` (at most 50) lie on 12 columns: `x`, `y`, `w`, `h`, and either a `text` or the `call` of an analysis with its `request`; `title`, `view` (how it is \
        drawn) and `link` (the page of the web app on which the question is edited) if you like. `range` takes the place of every tile's own, `filters` hold besides them; neither \
        applies to `sql`. Every request is checked as its call would with both, and a refusal names the place, such as `tiles[2].request.steps[0]`. `annotations` are at most 100 of \
        `{time, text}`. 128 KiB, 1,000 dashboards an app.",
    request_body(content = Value, example = json!(examples::dashboard())),
    responses((status = 201, body = Value, example = json!(examples::dashboard_answer())), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody), (status = 409, body = ErrorBody), (status = 422, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["editor"])))]
pub(crate) async fn create(
    State(state): State<ApiState>,
    editor: Editor,
    body: RequestBody,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    DASHBOARDS.create(&state, &editor, &body).await
}

/// One saved dashboard.
#[utoipa::path(get, path = "/api/v1/apps/{app_id}/dashboards/{dashboard_id}", tag = "dashboards",
    params(("app_id" = String, Path), ("dashboard_id" = String, Path)),
    responses((status = 200, body = Value, example = json!(examples::dashboard_answer())), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn one(
    State(state): State<ApiState>,
    reader: Reader,
    Path(in_path): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    DASHBOARDS.one(&state, &reader, in_path.1).await
}

/// Changes a saved dashboard: what is not given stays.
#[utoipa::path(put, path = "/api/v1/apps/{app_id}/dashboards/{dashboard_id}", tag = "dashboards",
    params(("app_id" = String, Path), ("dashboard_id" = String, Path)),
    request_body(content = Value, example = json!(examples::change())),
    responses((status = 200, body = Value, example = json!(examples::dashboard_answer())), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["editor"])))]
pub(crate) async fn change(
    State(state): State<ApiState>,
    editor: Editor,
    Path(in_path): Path<(String, String)>,
    body: RequestBody,
) -> Result<Json<Value>, ApiError> {
    let changed = DASHBOARDS.change(&state, &editor, in_path.1, &body).await?;
    state.boards.look_again();
    Ok(changed)
}

/// Deletes a saved dashboard.
#[utoipa::path(delete, path = "/api/v1/apps/{app_id}/dashboards/{dashboard_id}", tag = "dashboards",
    params(("app_id" = String, Path), ("dashboard_id" = String, Path)),
    responses((status = 200, body = Value), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["editor"])))]
pub(crate) async fn remove(
    State(state): State<ApiState>,
    editor: Editor,
    Path(in_path): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let removed = DASHBOARDS.remove(&state, &editor, in_path.1).await?;
    state.boards.look_again();
    Ok(removed)
}
