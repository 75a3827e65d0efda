//! Saved metrics: who may see and change them, and how a question finds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use event::AppId;
use metadata_store::{Definition, DefinitionKind, Definitions};
use query::{AppSettings, Cohorts, MetricsUnavailable, QueryFailure, SavedMetric, SavedMetrics, check_metric, metric_mentions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::access::{Editor, Reader};
use crate::analytics::{refusal, settings};
use crate::cohorts::saved_cohort;
use crate::error::{ApiError, ErrorBody};
use crate::openapi::metric_examples as examples;
use crate::request::{RequestBody, parse_object};
use crate::saved::{ExpectedField, Kind, VERSION_FIELD, on_a_thread, text_field};
use crate::state::ApiState;
use crate::time::iso_utc;

/// Largest metric as JSON.
const MAX_METRIC_BYTES: usize = 64 << 10;
/// Longest description, in characters.
const MAX_DESCRIPTION_CHARS: usize = 1_000;
/// What the numbers of a metric may be, beside a currency.
const UNITS: [&str; 12] = ["count", "percent", "ratio", "ms", "s", "min", "h", "d", "bytes", "kb", "mb", "gb"];

pub(crate) const METRICS: Kind = Kind {
    kind: DefinitionKind::Metric,
    name: "metric",
    list: "/metrics",
    invalid: "invalid_metric",
    unknown: "unknown_metric",
    exists: "metric_exists",
    changed: "metric_changed",
    in_use: "metric_in_use",
    too_many: "too_many_metrics",
    unavailable: "metrics_unavailable",
};

/// The metrics among the saved definitions, as questions look them up.
pub struct StoredMetrics(Arc<dyn Definitions>);

impl StoredMetrics {
    /// Those of a store.
    pub fn new(definitions: Arc<dyn Definitions>) -> Self {
        Self(definitions)
    }
}

impl SavedMetrics for StoredMetrics {
    fn metric(&self, app: &AppId, id: &str) -> Result<Option<SavedMetric>, MetricsUnavailable> {
        let found = self.0.definition(app, id).map_err(|error| MetricsUnavailable(error.to_string()))?;
        Ok(found.filter(|definition| definition.kind == DefinitionKind::Metric).map(|definition| saved_metric(&definition)))
    }
}

pub(crate) fn saved_metric(definition: &Definition) -> SavedMetric {
    let document = &definition.document;
    SavedMetric {
        version: definition.version,
        name: definition.name.clone(),
        unit: document["unit"].as_str().map(str::to_owned),
        metric: document["metric"].clone(),
    }
}

/// A saved metric.
#[derive(Serialize, ToSchema)]
pub(crate) struct MetricAnswer {
    /// As `metric:ID` names it.
    id: String,
    name: String,
    description: Value,
    /// What its numbers are: `count`, `percent`, a currency, `ms`, ...
    unit: Value,
    /// What is computed, as `metric` of `/query` says it.
    metric: Value,
    /// 1 when created, 1 more with every change.
    version: u32,
    updated_at: String,
}

/// All metrics of the app.
#[derive(Serialize, ToSchema)]
pub(crate) struct MetricsAnswer {
    /// By name.
    metrics: Vec<MetricAnswer>,
}

/// A new metric, or a change of one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetricBody {
    /// 1 to 64 letters, digits, `-` and `_`; made up where it is missing. Only for a new one.
    id: Option<String>,
    /// 1 to 100 characters.
    name: Option<String>,
    /// At most 1,000 characters; `null` or an empty text takes it away, as with the unit.
    description: Option<String>,
    /// `count`, `percent`, `ratio`, `ms`, `s`, `min`, `h`, `d`, `bytes`, `kb`, `mb`, `gb`, or the three letters of a currency.
    unit: Option<String>,
    /// What is computed, as `metric` of `/query` says it.
    metric: Option<Value>,
    /// For a change: the version it is made from; another one stored is a conflict.
    version: Option<u32>,
}

impl MetricAnswer {
    fn of(definition: &Definition) -> Self {
        let field = |name: &str| definition.document.get(name).cloned().unwrap_or(Value::Null);
        Self {
            id: definition.id.clone(),
            name: definition.name.clone(),
            description: field("description"),
            unit: field("unit"),
            metric: field("metric"),
            version: definition.version,
            updated_at: iso_utc(definition.saved_at_ms),
        }
    }
}

/// The saved metrics of the app, by name.
#[utoipa::path(get, path = "/api/v1/apps/{app_id}/metrics", tag = "metrics", params(("app_id" = String, Path)),
    responses((status = 200, body = MetricsAnswer), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn list(State(state): State<ApiState>, reader: Reader) -> Result<Json<MetricsAnswer>, ApiError> {
    let (definitions, app) = (state.parts.definitions.clone(), reader.app_id().clone());
    let metrics = on_a_thread(move || METRICS.all(&*definitions, &app)).await?;
    Ok(Json(MetricsAnswer { metrics: metrics.iter().map(MetricAnswer::of).collect() }))
}

/// Saves a metric, which questions then name `metric:ID`.
#[utoipa::path(post, path = "/api/v1/apps/{app_id}/metrics", tag = "metrics", params(("app_id" = String, Path)),
    description = "`metric` is what `metric` of `/query` takes: a name such as `events` or `p95:price`, `{fn, property, event, filters, cumulative, rolling}`, \
        `{formula, A, B, ...}`, or another saved metric. A series of a formula may be a saved metric, also one that is a formula; a metric that is made of itself is \
        refused as `cyclic_metric` with the way round. It is checked when it is saved, and so are those that are made of it. At most 30 different measures in one, 64 KiB, and 1,000 \
        metrics an app.",
    request_body(content = MetricBody, examples(
        ("ratio" = (value = json!(examples::metric()))),
        ("of metrics" = (value = json!(examples::metric_of_metrics()))))),
    responses((status = 201, body = MetricAnswer), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody), (status = 409, body = ErrorBody), (status = 422, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["editor"])))]
pub(crate) async fn create(
    State(state): State<ApiState>,
    editor: Editor,
    body: RequestBody,
) -> Result<(StatusCode, Json<MetricAnswer>), ApiError> {
    let body = read_body(&body)?;
    if body.version.is_some() {
        return Err(ApiError::invalid("version", "invalid_metric", "a new metric has no version: change one with PUT"));
    }
    let id = body.id.clone().unwrap_or_else(|| format!("me_{}", state.request_ids.next()));
    METRICS.check_id(&id)?;
    let name = body.name.clone().ok_or_else(|| ApiError::invalid("name", "invalid_metric", "\"name\" is missing: what people call it"))?;
    if body.metric.is_none() {
        return Err(ApiError::invalid("metric", "invalid_metric", "\"metric\" is missing: what is computed, such as \"events\""));
    }
    let definition = Definition {
        id,
        app: editor.app_id().clone(),
        kind: DefinitionKind::Metric,
        name,
        document: changed(&json!({}), &body),
        version: 0,
        saved_at_ms: (state.parts.now_ms)(),
    };
    save(&state, &editor, move |_| Ok(definition.clone())).await.map(|answer| (StatusCode::CREATED, answer))
}

/// One saved metric.
#[utoipa::path(get, path = "/api/v1/apps/{app_id}/metrics/{metric_id}", tag = "metrics",
    params(("app_id" = String, Path), ("metric_id" = String, Path)),
    responses((status = 200, body = MetricAnswer), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn one(
    State(state): State<ApiState>,
    reader: Reader,
    Path(in_path): Path<(String, String)>,
) -> Result<Json<MetricAnswer>, ApiError> {
    let (definitions, app, id) = (state.parts.definitions.clone(), reader.app_id().clone(), in_path.1);
    on_a_thread(move || METRICS.find(&*definitions, &app, &id)).await.map(|definition| Json(MetricAnswer::of(&definition)))
}

/// Changes a metric: what is not given stays.
#[utoipa::path(put, path = "/api/v1/apps/{app_id}/metrics/{metric_id}", tag = "metrics",
    params(("app_id" = String, Path), ("metric_id" = String, Path)),
    request_body(content = MetricBody, example = json!(examples::metric_change())),
    responses((status = 200, body = MetricAnswer), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["editor"])))]
pub(crate) async fn change(
    State(state): State<ApiState>,
    editor: Editor,
    Path(in_path): Path<(String, String)>,
    body: RequestBody,
) -> Result<Json<MetricAnswer>, ApiError> {
    let (_, id) = in_path;
    let body = read_body(&body)?;
    if body.id.as_ref().is_some_and(|other| *other != id) {
        return Err(ApiError::invalid("id", "invalid_metric", "the id of a metric does not change: save another one"));
    }
    if body.name.is_none() && body.metric.is_none() && body.description.is_none() && body.unit.is_none() {
        let message = "there is nothing to change: give \"name\", \"metric\", \"description\" or \"unit\"";
        return Err(ApiError::invalid("name", "invalid_metric", message));
    }
    let now_ms = (state.parts.now_ms)();
    save(&state, &editor, move |metrics| {
        let stored = metrics.iter().find(|metric| metric.id == id).ok_or_else(|| METRICS.unknown())?;
        Ok(Definition {
            version: body.version.unwrap_or(stored.version),
            name: body.name.clone().unwrap_or_else(|| stored.name.clone()),
            document: changed(&stored.document, &body),
            saved_at_ms: now_ms,
            ..stored.clone()
        })
    })
    .await
}

/// Deletes a metric that no other is made of.
#[utoipa::path(delete, path = "/api/v1/apps/{app_id}/metrics/{metric_id}", tag = "metrics",
    params(("app_id" = String, Path), ("metric_id" = String, Path)),
    responses((status = 200, body = Value), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["editor"])))]
pub(crate) async fn remove(
    State(state): State<ApiState>,
    editor: Editor,
    Path(in_path): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let (_, id) = in_path;
    let (definitions, app, asked) = (state.parts.definitions.clone(), editor.app_id().clone(), id.clone());
    on_a_thread(move || {
        METRICS.unchanged_meanwhile(&*definitions, &app, |metrics| {
            metrics.iter().find(|metric| metric.id == asked).ok_or_else(|| METRICS.unknown())?;
            let is_user = |metric: &&Definition| metric_mentions(&metric.document["metric"], &asked);
            let users: Vec<&str> = metrics.iter().filter(is_user).map(|metric| metric.id.as_str()).collect();
            if users.is_empty() { Ok(definitions.delete_definition(&app, &asked, Some(metrics))) } else { Err(METRICS.in_use(&users)) }
        })
    })
    .await?;
    state.parts.queries.forget_answers();
    Ok(Json(json!({ "deleted": id })))
}

/// The document with what a body gives.
fn changed(document: &Value, body: &MetricBody) -> Value {
    let mut document = document.clone();
    let texts = [("description", &body.description), ("unit", &body.unit)];
    for (name, text) in texts {
        if let Some(text) = text {
            // An empty text takes it away.
            document[name] = if text.is_empty() { Value::Null } else { json!(text) };
        }
    }
    if let Some(metric) = &body.metric {
        document["metric"] = metric.clone();
    }
    document
}

fn read_body(RequestBody(body): &RequestBody) -> Result<MetricBody, ApiError> {
    let mut fields = parse_object(body)?;
    // So that what an answer says of a metric can be sent back.
    fields.remove("updated_at");
    for name in ["description", "unit"] {
        fields.entry(name).and_modify(|value| {
            if value.is_null() {
                *value = json!("");
            }
        });
    }
    let is_metric: ExpectedField = ("metric", |value| !value.is_null(), "a metric");
    let texts = ["id", "name", "description", "unit"].map(text_field);
    METRICS.read(fields, &[&texts[..], &[is_metric, VERSION_FIELD]].concat())
}

/// Checks and saves the metric that `make` makes of all the app's metrics, and gives no answer again that an earlier version made.
async fn save(
    state: &ApiState,
    editor: &Editor,
    make: impl Fn(&[Definition]) -> Result<Definition, ApiError> + Send + 'static,
) -> Result<Json<MetricAnswer>, ApiError> {
    let (settings, app, definitions) = (settings(editor.app()), editor.app_id().clone(), state.parts.definitions.clone());
    let work = move || {
        METRICS.unchanged_meanwhile(&*definitions, &app, |metrics| {
            let definition = make(metrics)?;
            check(&definition)?;
            let after: BTreeMap<String, SavedMetric> =
                metrics.iter().chain([&definition]).map(|metric| (metric.id.clone(), saved_metric(metric))).collect();
            // Its filters may be of cohorts.
            let cohorts = definitions.definitions(&app, DefinitionKind::Cohort).map_err(|error| METRICS.refused(error))?;
            let cohorts = Cohorts::new(cohorts.iter().map(|cohort| (cohort.id.clone(), saved_cohort(cohort))));
            let settings = AppSettings { cohorts, ..settings.clone() };
            check_metric(&settings, &after, &definition.id, definition.saved_at_ms).map_err(refused_change)?;
            Ok(definitions.save_definition(&definition, Some(metrics)).map(|version| Definition { version, ..definition }))
        })
    };
    let saved = on_a_thread(work).await?;
    state.parts.queries.forget_answers();
    Ok(Json(MetricAnswer::of(&saved)))
}

fn check(definition: &Definition) -> Result<(), ApiError> {
    METRICS.check_name(&definition.name)?;
    let document = &definition.document;
    let description = document["description"].as_str().unwrap_or_default();
    if description.chars().count() > MAX_DESCRIPTION_CHARS {
        let message = format!("a description has at most {MAX_DESCRIPTION_CHARS} characters");
        return Err(ApiError::invalid("description", "invalid_metric", message));
    }
    let is_unit = |unit: &str| UNITS.contains(&unit) || (unit.len() == 3 && unit.bytes().all(|byte| byte.is_ascii_uppercase()));
    if document["unit"].as_str().is_some_and(|unit| !is_unit(unit)) {
        let message = format!("a unit is one of {}, or the three capital letters of a currency such as EUR", UNITS.join(", "));
        return Err(ApiError::invalid("unit", "invalid_metric", message));
    }
    let bytes = document["metric"].to_string().len();
    if bytes > MAX_METRIC_BYTES {
        let message = format!("the metric has {bytes} bytes, at most {MAX_METRIC_BYTES} are kept: save its series as metrics of their own");
        return Err(ApiError::invalid("metric", "invalid_metric", message));
    }
    Ok(())
}

/// A refusal of the metric; of one that others could not go on with, it is a conflict.
fn refused_change(failure: QueryFailure) -> ApiError {
    match failure.code {
        "metric_in_use" => ApiError { field: failure.field, ..ApiError::new(StatusCode::CONFLICT, "metric_in_use", failure.message) },
        _ => refusal(failure),
    }
}
