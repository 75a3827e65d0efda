use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::error::ApiError;
use crate::request_id::identify;
use crate::state::ApiState;
use crate::{
    analytics, app_keys, apps, cohorts, dashboards, deletions, export, funnels, invitations, ledger, live, login, members, metrics,
    openapi, periods, security, sessions, settings, sql, web,
};

/// Largest JSON of a question.
pub(crate) const MAX_REQUEST_BYTES: usize = 1 << 20;

/// Everything that is asked of Throng, and the web app. The server merges it with the gateway's routes.
pub fn router(state: ApiState) -> Router {
    let reads = Router::new()
        .route("/query", get(analytics::query).post(analytics::query))
        .route("/funnel", get(analytics::funnel).post(analytics::funnel))
        .route("/funnel/persons", get(analytics::funnel_persons).post(analytics::funnel_persons))
        .route("/funnel/person", get(analytics::funnel_person).post(analytics::funnel_person))
        .route("/paths", get(analytics::paths).post(analytics::paths))
        .route("/sessions", get(sessions::sessions).post(sessions::sessions))
        .route("/retention", get(periods::retention).post(periods::retention))
        .route("/lifecycle", get(periods::lifecycle).post(periods::lifecycle))
        .route("/stickiness", get(periods::stickiness).post(periods::stickiness))
        .route("/active_users", get(periods::active_users).post(periods::active_users))
        .route("/cohorts", get(cohorts::list).post(cohorts::create))
        .route("/cohorts/preview", get(cohorts::preview).post(cohorts::preview))
        .route("/cohorts/{cohort_id}", get(cohorts::one).put(cohorts::change).delete(cohorts::remove))
        .route("/cohorts/{cohort_id}/persons", get(cohorts::persons))
        .route("/events", get(analytics::events).post(analytics::events))
        .route("/export", get(export::export).post(export::export))
        .route("/sql", get(sql::sql).post(sql::sql))
        .route("/schema", get(analytics::schema))
        .route("/realtime", get(live::realtime))
        .route("/realtime/stream", get(live::realtime_stream))
        .route("/rejected", get(ledger::rejected))
        .route("/ledger", get(ledger::ledger))
        .route("/persons/{person_id}", delete(deletions::delete_person))
        .route("/deletions", get(deletions::list))
        .route("/deletions/{deletion_id}", get(deletions::receipt))
        .route("/settings", get(settings::settings).patch(settings::change));
    let of_app = Router::new()
        .route("/metrics", get(metrics::list).post(metrics::create))
        .route("/metrics/{metric_id}", get(metrics::one).put(metrics::change).delete(metrics::remove))
        .route("/funnels", get(funnels::list).post(funnels::create))
        .route("/funnels/{funnel_id}", get(funnels::one).put(funnels::change).delete(funnels::remove))
        .route("/dashboards", get(dashboards::list).post(dashboards::create))
        .route("/dashboards/{dashboard_id}/stream", get(dashboards::stream))
        .route("/dashboards/{dashboard_id}", get(dashboards::one).put(dashboards::change).delete(dashboards::remove))
        .route("/keys", get(app_keys::list).post(app_keys::create))
        .route("/keys/{key_id}", delete(app_keys::revoke))
        .route("/keys/{key_id}/rotate", post(app_keys::rotate))
        .route("/members", get(members::list))
        .route("/members/{account_id}", patch(members::change).delete(members::remove))
        .route("/invitations", get(invitations::list).post(invitations::invite))
        .route("/invitations/{invitation_id}", delete(invitations::revoke));
    let people = Router::new()
        .route("/setup", get(login::begin::set_up_state).post(login::begin::set_up))
        .route("/login", post(login::begin::log_in))
        .route("/logout", post(login::begin::log_out))
        .route("/me", get(login::mine::me).patch(login::mine::change))
        .route("/me/password", post(login::mine::change_password))
        .route("/me/logins", get(login::mine::logins))
        .route("/me/logins/{login_id}", delete(login::mine::end_login))
        .route("/apps", get(apps::list).post(apps::create))
        .route("/invitations/look", post(invitations::look))
        .route("/invitations/accept", post(invitations::accept));
    let answers = Router::new()
        .nest("/api/v1/analytics/{app_id}", reads)
        .nest("/api/v1/apps/{app_id}", of_app)
        .nest("/api/v1", people)
        .route("/api/v1/openapi.json", get(openapi::serve))
        .route("/api", axum::routing::any(unknown_route))
        .route("/api/{*rest}", axum::routing::any(unknown_route))
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), identify))
        .layer(from_fn(security::answer_headers))
        .with_state(state);
    answers.fallback_service(web::router())
}

async fn unknown_route() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "unknown_route", "there is no such route: /api/v1/openapi.json lists them")
}

async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "this route does not take this method: /api/v1/openapi.json lists them")
}

#[expect(clippy::needless_pass_by_value, reason = "the signature the layer asks for")]
fn panicked(payload: Box<dyn std::any::Any + Send>) -> Response {
    let message = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
    tracing::error!(message = message.unwrap_or("no message"), "a request panicked");
    ApiError::internal().into_response()
}
