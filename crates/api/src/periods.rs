use axum::Json;
use axum::extract::State;
use query::Answered;
use serde_json::Value;

use crate::analytics::{refusal, settings};
use crate::error::{ApiError, ErrorBody};
use crate::openapi::period_examples as examples;
use crate::request::Question;
use crate::state::ApiState;

/// Who came back: persons by the period of their start event, and how many of them did the return event in each period after it.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/retention", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. Limits and `explain` as for `/query`. \
        Fields: `start_event` and `return_event` (a name, `{event, filters, label}` with `\"event\": null` for any, or `{any_of, label}`; any event returns unless told), \
        `period` (`hour`, `day`, `week`, `month`), `bucketing` (`calendar`, or `rolling`: counted from the start event in lengths of 1 h, 24 h, 7 days, 30 days), \
        `entry` (`first_time`: a person's first start event ever; `first_in_range`; `recurring`: each period with one), `mode` (`on` period N, `on_or_after` it), \
        `periods` (so many after the first, also beyond the range; those of the range unless told), `breakdown` (by the value on the start event), \
        `filters`, `segment` (as for `/query`), `range` or `from` and `to` (of the start event), `timezone`, `limit`, `cache`. \
        In each row `returned[N]` and `fractions[N]` are of period N, `null` where it has not begun; the first `finished_periods` of them are over, the others may still grow. \
        `average` adds up the cohorts whose period N is over.",
    request_body(content = Value, examples(
        ("weekly" = (value = json!(examples::retention()))),
        ("options" = (value = json!(examples::retention_options()))))),
    responses((status = 200, body = Value, example = json!(examples::retention_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn retention(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.retention(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// New, returning, resurrected and dormant persons of each period.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/lifecycle", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. Limits and `explain` as for `/query`. \
        Fields: `event` or `events` (any unless told), `filters`, `segment` (as for `/query`), `period` (`hour`, `day`, `week`, `month`), `range` or `from` and `to` (widened to whole periods), \
        `timezone`, `breakdown`, `limit`, `cache`. `dormant` is negative. `finished` is false for a period that is not over.",
    request_body(content = Value, example = json!(examples::lifecycle())),
    responses((status = 200, body = Value, example = json!(examples::lifecycle_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn lifecycle(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.lifecycle(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// Persons by the number of periods of the range in which they are active.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/stickiness", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. Limits and `explain` as for `/query`. Fields as for `/lifecycle`; the range is taken as it is. \
        `users` are active in exactly `periods` periods, `users_at_least` in so many or more.",
    request_body(content = Value, example = json!(examples::stickiness())),
    responses((status = 200, body = Value, example = json!(examples::stickiness_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn stickiness(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.stickiness(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// Daily, weekly and monthly active users, and how they relate.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/active_users", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. Limits and `explain` as for `/query`. \
        A row for each day: `dau`, `wau`, `mau` are the distinct persons with an event that matches on that calendar day, in the 7 and in the 30 up to it, also before the \
        range; `dau_wau`, `dau_mau` and `wau_mau` are their ratios, `null` where there is nobody. `finished` is false while the day is not over. \
        Fields: `event` or `events` (any unless told), `filters`, `segment` (as for `/query`), `group_by` (one key; a person counts in every group it was active in, and once in \
        `$other`; `all` has the rows of everybody), `limit`, `range` or `from` and `to` (widened to whole days, at most 1,000), `timezone`, `cache`.",
    request_body(content = Value, example = json!(examples::active_users())),
    responses((status = 200, body = Value, example = json!(examples::active_users_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn active_users(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.active_users(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}
