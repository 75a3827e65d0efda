use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::error::ErrorBody;
use crate::{
    analytics, app_keys, apps, cohorts, dashboards, deletions, export, funnels, invitations, ledger, live, login, members, metrics,
    operations, periods, sessions, settings, sql,
};

pub(crate) mod account_examples;
pub(crate) mod examples;
mod ingestion;
pub(crate) mod metric_examples;
pub(crate) mod period_examples;
pub(crate) mod saved_examples;
pub(crate) mod session_examples;

/// The routes of the API; built from the handlers and their types.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Throng",
        description = "Product analytics: events in over HTTP, questions answered, live numbers pushed.\n\n\
            Every refusal has the form of `ErrorBody`. Every answer carries its id in the header `x-request-id`."
    ),
    paths(
        ingestion::batch,
        ingestion::validate,
        analytics::query,
        analytics::funnel,
        analytics::funnel_persons,
        analytics::funnel_person,
        analytics::paths,
        sessions::sessions,
        periods::retention,
        periods::lifecycle,
        periods::stickiness,
        periods::active_users,
        analytics::events,
        analytics::schema,
        export::export,
        cohorts::list,
        cohorts::create,
        cohorts::preview,
        cohorts::one,
        cohorts::change,
        cohorts::remove,
        cohorts::persons,
        metrics::list,
        metrics::create,
        metrics::one,
        metrics::change,
        metrics::remove,
        funnels::list,
        funnels::create,
        funnels::one,
        funnels::change,
        funnels::remove,
        dashboards::list,
        dashboards::create,
        dashboards::one,
        dashboards::change,
        dashboards::remove,
        dashboards::stream,
        sql::sql,
        live::realtime,
        live::realtime_stream,
        ledger::ledger,
        ledger::rejected,
        deletions::delete_person,
        deletions::list,
        deletions::receipt,
        settings::settings,
        settings::change,
        login::begin::set_up_state,
        login::begin::set_up,
        login::begin::log_in,
        login::begin::log_out,
        login::mine::me,
        login::mine::change,
        login::mine::change_password,
        login::mine::logins,
        login::mine::end_login,
        apps::list,
        apps::create,
        members::list,
        members::change,
        members::remove,
        invitations::list,
        invitations::invite,
        invitations::revoke,
        invitations::look,
        invitations::accept,
        app_keys::list,
        app_keys::create,
        app_keys::rotate,
        app_keys::revoke,
        operations::health,
        operations::ready,
        operations::metrics
    ),
    components(schemas(ErrorBody)),
    modifiers(&Keys),
    tags(
        (name = "ingestion", description = "Events in, and the accounts of what became of them"),
        (name = "analytics", description = "Questions"),
        (name = "cohorts", description = "Saved segments: rules about persons, and lists of them"),
        (name = "metrics", description = "Saved metrics: formulas with a name and a unit"),
        (name = "administration", description = "Settings and keys of an app, and persons that must be forgotten"),
        (name = "accounts", description = "Who logs in, with which role on which app"),
        (name = "live", description = "The last minutes"),
        (name = "operations", description = "For those who run it")
    )
)]
struct Document;

struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, description) in [
            ("read_key", "A read key, `rk_...`: asks, for its app only"),
            ("write_key", "A write key, `wk_...`: appends"),
            (
                "admin_key",
                "An admin key, `ak_...`: changes settings and keys, saves what can be saved, and deletes persons, of its app only",
            ),
        ] {
            let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
        let description = "The cookie of a login. It opens what the role named beside it may, on the apps where the account has that role or a \
            higher one; all calls but GET need `Sec-Fetch-Site: same-origin`, as browsers send it, and a JSON body.";
        let cookie = ApiKeyValue::with_description(crate::login::COOKIE, description);
        components.add_security_scheme("login", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// The OpenAPI 3.1 description of everything a running server answers, the gateway's routes included.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Serves the description.
pub(crate) async fn serve() -> Response {
    axum::Json(openapi()).into_response()
}
