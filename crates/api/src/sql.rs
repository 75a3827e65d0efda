use axum::Json;
use axum::extract::State;
use query::Answered;
use serde_json::Value;

use crate::analytics::{refusal, settings};
use crate::error::{ApiError, ErrorBody};
use crate::openapi::examples;
use crate::request::Question;
use crate::state::ApiState;

/// One SELECT over the app's own events, sessions and persons.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/sql", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. `sql` is one SELECT (with WITH, UNION, joins, subqueries and windows) over the views \
        `events` (event, time, person, user_id, anonymous_id, session_id, insert_id, received_at, client_time, properties), \
        `sessions` (person, session_id, started_at, ended_at, duration_ms, events) and `persons` (person, user_id, anonymous_id, first_seen, last_seen, events). \
        Nothing else can be read and nothing written. `properties['name']` reads a property as text, `number(properties['name'])`, `integer(...)`, \
        `boolean(...)` and `text(...)` only values of that type; compared or computed with a number it is read as a number. In `persons` it is the user property. \
        Times are in the app's zone. Limits as for `/query`, at most 100,000 rows, and bounds on the size of a statement (`sql_too_large`).",
    request_body(content = Value, examples(
        ("count" = (value = json!(examples::sql()))),
        ("sessions" = (value = json!(examples::sql_sessions()))))),
    responses((status = 200, body = Value, example = json!(examples::sql_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn sql(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.sql(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}
