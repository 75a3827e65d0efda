use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use metadata_store::{App, WeekDay};
use query::{Answered, AppSettings, FailureKind, QueryFailure, Weekday};
use serde_json::Value;

use crate::access::Reader;
use crate::error::{ApiError, ErrorBody};
use crate::openapi::{examples, metric_examples};
use crate::request::Question;
use crate::saved_questions::with_saved_funnel;
use crate::state::ApiState;

/// Counts, unique users, sessions, aggregates and formulas, grouped and over time.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/query", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. Limits: 10 s, memory, groups: 422 with an error that names the one that was passed. \
        503 with `Retry-After` when too many questions wait or the running ones hold all the memory. \
        `\"explain\": true` adds the field `explain`: which tables were read (`rollup_day`, `rollup_hour`, `raw_segments`, `unflushed`) and why, \
        segments considered, pruned and read, rows, bytes, threads, most memory held, and the time of each stage. `segment` (the id of a cohort, or a rule as \
        for `/cohorts`) keeps the events of its members; `cohort:ID` is a group, a breakdown, and with the operators `in` and `not_in` a filter. \
        A metric is a name (`events`, `p95:price`), `{fn, property, event, filters, name}`, `{formula, A, B, ...}` or a saved one, `metric:ID`. With `interval`, \
        `\"cumulative\": true` beside `fn` makes it of everything from the beginning of the range on, `\"rolling\": 7` of the last 7 buckets, also before the range. \
        Names that the app does not have are no error: where something asked for is nowhere in the answer, `hints` names them with names like them, in this and all calls below.",
    request_body(content = Value, examples(
        ("counts" = (value = json!(examples::query()))),
        ("segment" = (value = json!(examples::query_segment()))),
        ("cohort" = (value = json!(examples::query_cohort()))),
        ("forms" = (value = json!(metric_examples::query_forms()))))),
    responses((status = 200, body = Value, example = json!(examples::query_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn query(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.query(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// Persons who did the steps within the window: ordered, strict or unordered, with times, breakdown and trend.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/funnel", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. Limits and `explain` as for `/query`. \
        Fields: `steps` (1 to 50: a name, `{event, filters, label, optional}` or `{any_of, label, optional}`), `mode` (`ordered`, `strict`, `unordered`), \
        `window` (`7d`, at most `366d`, or `none`), `entry` (`any`, `first`), `range_applies_to` (`entry`, `all`), `counting` (`users`, `totals`), \
        `exclusions` (at most 10: a step with `from_step` and `to_step`), `hold_constant` (at most 3 properties), `breakdown` with `attribution` \
        (`first`, `last`, `step:2`), `interval` (a row per period of entries in `trend`), `time_to_convert` (`true`, or `{from_step, to_step, bins}`), \
        `preset` (`mixpanel`, `amplitude`, `posthog`), `filters`, `segment` (as for `/query`), `range` or `from` and `to`, `timezone`, `limit`, `cache`. Steps are counted from 1. `funnel` is the id of a saved one, in place of the steps. \
        Options that exclude one another are refused as `contradictory_options` with the field.",
    request_body(content = Value, examples(
        ("steps" = (value = json!(examples::funnel()))),
        ("options" = (value = json!(examples::funnel_options()))))),
    responses((status = 200, body = Value, example = json!(examples::funnel_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn funnel(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let request = with_saved_funnel(&state, reader.app_id(), request).await?;
    let app = settings(reader.app());
    state.parts.queries.funnel(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// The persons who reached a step of a funnel, or dropped before it, page by page.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/funnel/persons", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. The request is that of `/funnel` with `step` (counted from 1), `outcome` (`reached`, or \
        `dropped`: reached the step before and not this one) and `limit` (100 persons a page, at most 1,000). Send `next_cursor` of an answer as `cursor` with \
        the same request for the next page; `count` is of all pages.",
    request_body(content = Value, example = json!(examples::funnel_persons())),
    responses((status = 200, body = Value, example = json!(examples::funnel_persons_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn funnel_persons(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let request = with_saved_funnel(&state, reader.app_id(), request).await?;
    let app = settings(reader.app());
    state.parts.queries.funnel_persons(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// Why a funnel counts one person as it does: the events considered, the attempt shown, and the rule that stopped it.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/funnel/person", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. The request is that of `/funnel` with `person` (the user id, or the anonymous id of a \
        person without one) and `limit` (100 events, at most 1,000). `stopped.rule` is one of `converted`, `no_entry`, `excluded`, `interrupted`, `late`, \
        `early`, `other_value`, `never`.",
    request_body(content = Value, example = json!(examples::funnel_person())),
    responses((status = 200, body = Value, example = json!(examples::funnel_person_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn funnel_person(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let request = with_saved_funnel(&state, reader.app_id(), request).await?;
    let app = settings(reader.app());
    state.parts.queries.funnel_person(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// The most frequent paths before or after an event, or from the beginning of sessions.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/paths", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. Limits and `explain` as for `/query`. \
        Fields: `start` or `end` (an event as a funnel's step; without either, paths begin with the first step of a session), `occurrence` (`first`, `last`, \
        `every`: which event of a session that is), `steps` (after `start`, before `end`; 1 to 10, 3 unless told), `step_by` (`event`, or a property such as \
        `url`), `event` or `events` (only these are steps), `exclude` (events that are not, at most 20), `gap` (the longest pause between two steps such as \
        `10m`, or `none`; sessions unless told), `collapse_repeats`, `full_length_only`, `filters`, `segment` (as for `/query`), `range` or `from` and `to`, `timezone`, `limit` (paths, \
        and edges a place), `cache`. Everything beyond `limit` is `$other`, its persons counted once.",
    request_body(content = Value, examples(
        ("after an event" = (value = json!(examples::paths()))),
        ("options" = (value = json!(examples::paths_options()))))),
    responses((status = 200, body = Value, example = json!(examples::paths_answer())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn paths(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.paths(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// Raw events, newest first, page by page.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/events", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. Send `next_cursor` of an answer as `cursor` for the page of older events.",
    request_body(content = Value, example = json!(examples::events())),
    responses((status = 200, body = Value), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn events(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.events(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// Event names, properties, their types and sample values.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/schema", tag = "analytics", params(("app_id" = String, Path)),
    responses((status = 200, body = Value), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
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
        cohorts: query::Cohorts::default(),
        metrics: query::Metrics::default(),
        first_event_ms: None,
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
