use axum::Json;
use axum::extract::State;
use query::Answered;
use serde_json::Value;

use crate::analytics::{refusal, settings};
use crate::error::{ApiError, ErrorBody};
use crate::openapi::session_examples as examples;
use crate::request::Question;
use crate::state::ApiState;

/// Sessions: how many, how long, how many events, which bounce, and with which pages they begin and end.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/sessions", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. Limits and `explain` as for `/query`. \
        Sessions are cut over all events of a person (a client's `session_id` first, else pauses longer than the idle time); one counts in the bucket in which it \
        begins, where at least one of its events in the range matches `event` or `events`, `filters` and `segment`. What is told of it is told of all its events. \
        Fields: `interval` (`minute`, `hour`, `day`, `week`, `month`), `group_by` (up to 4; of the first event that matches), `session` (`{idle, max_length}`; the app's \
        idle time unless told), `bounce` (`{max_events, event, filters, max_length}`: at most so many events, all or those that match, and no longer; one event unless \
        told), `pages` (a property such as `url`, or `{property, event, filters, limit}`: adds `entry_pages`, `exit_pages`, `pages`), `length_bins` (ends of the bins of \
        `lengths`), `range` or `from` and `to`, `timezone`, `limit` (groups; the rest is `$other`), `cache`. Of no session, ratios and lengths are `null`.",
    request_body(content = Value, examples(
        ("by day" = (value = json!(examples::sessions()))),
        ("options" = (value = json!(examples::sessions_options()))))),
    responses((status = 200, body = Value, example = json!(examples::sessions_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn sessions(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.sessions(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}
