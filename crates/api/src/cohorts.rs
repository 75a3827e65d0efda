//! Saved cohorts: who may see and change them, and how a question finds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use event::AppId;
use metadata_store::{Definition, DefinitionKind, Definitions};
use query::{Answered, CohortsUnavailable, QueryFailure, SavedCohort, SavedCohorts, check_cohort, metric_has_cohort, rule_mentions};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::access::{Editor, Reader};
use crate::analytics::{refusal, settings};
use crate::error::{ApiError, ErrorBody};
use crate::metrics::METRICS;
use crate::openapi::examples;
use crate::request::{Question, RequestBody, parse_object, query_string};
use crate::saved::{Kind, VERSION_FIELD, on_a_thread, text_field};
use crate::state::ApiState;
use crate::time::iso_utc;

/// Largest rule of a cohort as JSON.
const MAX_RULE_BYTES: usize = 512 << 10;

pub(crate) const COHORTS: Kind = Kind {
    kind: DefinitionKind::Cohort,
    name: "cohort",
    list: "/cohorts",
    invalid: "invalid_cohort",
    unknown: "unknown_cohort",
    exists: "cohort_exists",
    changed: "cohort_changed",
    in_use: "cohort_in_use",
    too_many: "too_many_cohorts",
    unavailable: "cohorts_unavailable",
};

/// The cohorts among the saved definitions, as questions look them up.
pub struct StoredCohorts(Arc<dyn Definitions>);

impl StoredCohorts {
    /// Those of a store.
    pub fn new(definitions: Arc<dyn Definitions>) -> Self {
        Self(definitions)
    }
}

impl SavedCohorts for StoredCohorts {
    fn cohort(&self, app: &AppId, id: &str) -> Result<Option<SavedCohort>, CohortsUnavailable> {
        let found = self.0.definition(app, id).map_err(|error| CohortsUnavailable(error.to_string()))?;
        let cohort = found.filter(|definition| definition.kind == DefinitionKind::Cohort);
        Ok(cohort.as_ref().map(saved_cohort))
    }
}

/// A cohort as questions take it.
pub(crate) fn saved_cohort(definition: &Definition) -> SavedCohort {
    SavedCohort { version: definition.version, rule: rule_of(definition) }
}

/// A cohort without its rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct CohortAnswer {
    /// As `segment`, `{"cohort": ID}` and `cohort:ID` name it.
    id: String,
    name: String,
    /// `static`: a list of persons. `dynamic`: a rule, evaluated whenever it is asked about.
    kind: &'static str,
    /// 1 when created, 1 more with every change.
    version: u32,
    updated_at: String,
}

/// A cohort with its rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct CohortRuleAnswer {
    #[serde(flatten)]
    cohort: CohortAnswer,
    /// Who is in it.
    rule: Value,
}

/// A cohort with its rule and how many are in it now.
#[derive(Serialize, ToSchema)]
pub(crate) struct CohortSizeAnswer {
    #[serde(flatten)]
    cohort: CohortRuleAnswer,
    /// Persons in it who have a stored event.
    size: Value,
    /// As of when.
    evaluated_at: Value,
    /// False when stored events could not be read or have passed their retention.
    complete: Value,
    /// Why not, where it is not complete.
    #[serde(skip_serializing_if = "Value::is_null")]
    missing: Value,
}

/// All cohorts of the app.
#[derive(Serialize, ToSchema)]
pub(crate) struct CohortsAnswer {
    /// By name.
    cohorts: Vec<CohortAnswer>,
}

/// A new cohort, or a change of one: `rule` or `persons`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CohortBody {
    /// 1 to 64 letters, digits, `-` and `_`; made up where it is missing. Only for a new one.
    id: Option<String>,
    /// 1 to 100 characters.
    name: Option<String>,
    /// Who is in it.
    rule: Option<Value>,
    /// Who is in it, as a list of at most 10,000 ids: short for the rule `{"persons": [...]}`.
    persons: Option<Value>,
    /// For a change: the version it is made from; another one stored is a conflict.
    version: Option<u32>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PersonsParams {
    /// 100 unless told, 1,000 at most.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Allowed when it is the app of the key.
    #[param(ignore)]
    #[serde(rename = "app_id")]
    _app_id: Option<String>,
}

fn rule_of(definition: &Definition) -> Value {
    definition.document["rule"].clone()
}

impl CohortAnswer {
    fn of(definition: &Definition) -> Self {
        let is_list = definition.document["rule"].get("persons").is_some();
        Self {
            id: definition.id.clone(),
            name: definition.name.clone(),
            kind: if is_list { "static" } else { "dynamic" },
            version: definition.version,
            updated_at: iso_utc(definition.saved_at_ms),
        }
    }
}

impl CohortRuleAnswer {
    fn of(definition: &Definition) -> Self {
        Self { cohort: CohortAnswer::of(definition), rule: rule_of(definition) }
    }
}

/// The cohorts of the app, by name.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/cohorts", tag = "cohorts", params(("app_id" = String, Path)),
    responses((status = 200, body = CohortsAnswer), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn list(State(state): State<ApiState>, reader: Reader) -> Result<Json<CohortsAnswer>, ApiError> {
    let (definitions, app) = (state.parts.definitions.clone(), reader.app_id().clone());
    let cohorts = on_a_thread(move || COHORTS.all(&*definitions, &app)).await?;
    Ok(Json(CohortsAnswer { cohorts: cohorts.iter().map(CohortAnswer::of).collect() }))
}

/// Saves a cohort: a rule that is evaluated whenever it is asked about, or a list of persons.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/cohorts", tag = "cohorts", params(("app_id" = String, Path)),
    description = "`rule` is what `segment` of a question takes: `{\"did\": EVENT}` (a name, a list, or null for any event) with `filters`, `at_least`, `at_most` or \
        `exactly`, `range` or `from` and `to`, `occurrence` (`any`, `first`, `last`); `{\"did_not\": EVENT}` with `filters` and a range; `{\"property\": \"user.plan\", \"op\", \
        \"value\"}`; `{\"cohort\": ID}`; `{\"persons\": [ID, ...]}`; `and`, `or`, `not`; each with `as_of`, a time it is evaluated as of. At most 100 rules, 16 in one \
        another; an app has at most 1,000 cohorts.",
    request_body(content = CohortBody, examples(
        ("rule" = (value = json!(examples::cohort()))),
        ("list" = (value = json!(examples::cohort_list()))))),
    responses((status = 201, body = CohortRuleAnswer), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody), (status = 409, body = ErrorBody), (status = 422, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["editor"])))]
pub(crate) async fn create(
    State(state): State<ApiState>,
    editor: Editor,
    body: RequestBody,
) -> Result<(StatusCode, Json<CohortRuleAnswer>), ApiError> {
    let mut body = read_body(&body)?;
    if body.version.is_some() {
        return Err(ApiError::invalid("version", "invalid_cohort", "a new cohort has no version: change one with PUT"));
    }
    let id = body.id.take().unwrap_or_else(|| format!("co_{}", state.request_ids.next()));
    COHORTS.check_id(&id)?;
    let name = body.name.take().ok_or_else(|| ApiError::invalid("name", "invalid_cohort", "\"name\" is missing: what people call it"))?;
    let rule = body.rule()?.ok_or_else(|| ApiError::invalid("rule", "invalid_cohort", "give \"rule\", or \"persons\" for a list"))?;
    let definition = Definition {
        id,
        app: editor.app_id().clone(),
        kind: DefinitionKind::Cohort,
        name,
        document: json!({ "rule": rule }),
        version: 0,
        saved_at_ms: (state.parts.now_ms)(),
    };
    save(&state, &editor, move |_| Ok(definition.clone())).await.map(|answer| (StatusCode::CREATED, answer))
}

/// One cohort, with how many persons are in it now.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/cohorts/{cohort_id}", tag = "cohorts",
    params(("app_id" = String, Path), ("cohort_id" = String, Path)),
    description = "The size counts persons with a stored event, exactly; it is kept for 5 seconds.",
    responses((status = 200, body = CohortSizeAnswer), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn one(
    State(state): State<ApiState>,
    reader: Reader,
    Path(in_path): Path<(String, String)>,
) -> Result<Json<CohortSizeAnswer>, ApiError> {
    let (_, id) = in_path;
    let definition = find(&state, reader.app_id(), &id).await?;
    let request = json!({"segment": {"cohort": id}, "limit": 0});
    let answer = state.parts.queries.segment_persons(&settings(reader.app()), request, (state.parts.now_ms)()).await.map_err(refusal)?;
    let field = |name: &str| answer.get(name).cloned().unwrap_or(Value::Null);
    Ok(Json(CohortSizeAnswer {
        cohort: CohortRuleAnswer::of(&definition),
        size: field("count"),
        evaluated_at: field("evaluated_at"),
        complete: field("complete"),
        missing: field("missing"),
    }))
}

/// Changes the name of a cohort, its rule, or both.
#[utoipa::path(put, path = "/api/v1/analytics/{app_id}/cohorts/{cohort_id}", tag = "cohorts",
    params(("app_id" = String, Path), ("cohort_id" = String, Path)),
    request_body(content = CohortBody, example = json!(examples::cohort_change())),
    responses((status = 200, body = CohortRuleAnswer), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["editor"])))]
pub(crate) async fn change(
    State(state): State<ApiState>,
    editor: Editor,
    Path(in_path): Path<(String, String)>,
    body: RequestBody,
) -> Result<Json<CohortRuleAnswer>, ApiError> {
    let (_, id) = in_path;
    let mut body = read_body(&body)?;
    if body.id.as_ref().is_some_and(|other| *other != id) {
        return Err(ApiError::invalid("id", "invalid_cohort", "the id of a cohort does not change: save another one"));
    }
    let rule = body.rule()?;
    if rule.is_none() && body.name.is_none() {
        return Err(ApiError::invalid("name", "invalid_cohort", "there is nothing to change: give \"name\", \"rule\" or \"persons\""));
    }
    let now_ms = (state.parts.now_ms)();
    save(&state, &editor, move |cohorts| {
        let stored = cohorts.iter().find(|cohort| cohort.id == id).ok_or_else(|| COHORTS.unknown())?;
        Ok(Definition {
            version: body.version.unwrap_or(stored.version),
            name: body.name.clone().unwrap_or_else(|| stored.name.clone()),
            document: rule.as_ref().map_or_else(|| stored.document.clone(), |rule| json!({ "rule": rule })),
            saved_at_ms: now_ms,
            ..stored.clone()
        })
    })
    .await
}

/// Deletes a cohort that no other, and no metric, is made of.
#[utoipa::path(delete, path = "/api/v1/analytics/{app_id}/cohorts/{cohort_id}", tag = "cohorts",
    params(("app_id" = String, Path), ("cohort_id" = String, Path)),
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
    let work = move || {
        COHORTS.unchanged_meanwhile(&*definitions, &app, |cohorts| {
            cohorts.iter().find(|cohort| cohort.id == asked).ok_or_else(|| COHORTS.unknown())?;
            let users: Vec<&str> =
                cohorts.iter().filter(|cohort| rule_mentions(&rule_of(cohort), &asked)).map(|cohort| cohort.id.as_str()).collect();
            if !users.is_empty() {
                return Err(COHORTS.in_use(&users));
            }
            let metrics = METRICS.all(&*definitions, &app)?;
            let has_it = |metric: &&Definition| metric_has_cohort(&metric.document["metric"], &asked);
            let users: Vec<&str> = metrics.iter().filter(has_it).map(|metric| metric.id.as_str()).collect();
            if users.is_empty() {
                Ok(definitions.delete_definition(&app, &asked, Some(cohorts)))
            } else {
                Err(COHORTS.in_use_by("metrics", &users))
            }
        })
    };
    on_a_thread(work).await?;
    state.parts.queries.forget_answers();
    Ok(Json(json!({ "deleted": id })))
}

/// The persons in a cohort who have a stored event, page by page.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/cohorts/{cohort_id}/persons", tag = "cohorts",
    params(("app_id" = String, Path), ("cohort_id" = String, Path), PersonsParams),
    responses((status = 200, body = Value, example = json!(examples::cohort_persons_answer())), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn persons(
    State(state): State<ApiState>,
    reader: Reader,
    Path(in_path): Path<(String, String)>,
    uri: Uri,
) -> Result<Json<Answered>, ApiError> {
    let (_, id) = in_path;
    let params: PersonsParams = query_string(&uri)?;
    find(&state, reader.app_id(), &id).await?;
    let mut request = Map::new();
    request.insert("segment".to_owned(), json!({ "cohort": id }));
    request.extend(params.limit.map(|limit| ("limit".to_owned(), json!(limit))));
    request.extend(params.cursor.map(|cursor| ("cursor".to_owned(), json!(cursor))));
    let app = settings(reader.app());
    state.parts.queries.segment_persons(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

/// Who would be in a cohort with this rule: how many, and the first of them.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/cohorts/preview", tag = "cohorts", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. Fields: `segment` (a rule, or the id of a saved cohort), `limit` (100 persons a page, at most \
        1,000; 0 only counts them), `cursor` (`next_cursor` of the page before), `timezone`, `explain`. Limits as for `/query`.",
    request_body(content = Value, example = json!(examples::cohort_preview())),
    responses((status = 200, body = Value, example = json!(examples::cohort_persons_answer())), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn preview(State(state): State<ApiState>, question: Question) -> Result<Json<Answered>, ApiError> {
    let Question { reader, request } = question;
    let app = settings(reader.app());
    state.parts.queries.segment_persons(&app, Value::Object(request), (state.parts.now_ms)()).await.map(Json).map_err(refusal)
}

impl CohortBody {
    fn rule(&mut self) -> Result<Option<Value>, ApiError> {
        match (self.rule.take(), self.persons.take()) {
            (Some(_), Some(_)) => Err(ApiError::invalid("persons", "invalid_cohort", "give either \"rule\" or \"persons\"")),
            (None, Some(persons)) => Ok(Some(json!({ "persons": persons }))),
            (rule, None) => Ok(rule),
        }
    }
}

fn read_body(RequestBody(body): &RequestBody) -> Result<CohortBody, ApiError> {
    let expected = [
        text_field("id"),
        text_field("name"),
        ("rule", (|value| !value.is_null()) as fn(&Value) -> bool, "a rule"),
        ("persons", Value::is_array, "a list of ids"),
        VERSION_FIELD,
    ];
    COHORTS.read(parse_object(body)?, &expected)
}

/// Checks and saves the cohort that `make` makes of all the app's cohorts, and gives no answer again that an earlier version made.
async fn save(
    state: &ApiState,
    editor: &Editor,
    make: impl Fn(&[Definition]) -> Result<Definition, ApiError> + Send + 'static,
) -> Result<Json<CohortRuleAnswer>, ApiError> {
    let (settings, app, definitions) = (settings(editor.app()), editor.app_id().clone(), state.parts.definitions.clone());
    let work = move || {
        COHORTS.unchanged_meanwhile(&*definitions, &app, |cohorts| {
            let definition = make(cohorts)?;
            check(&definition)?;
            let after: BTreeMap<String, SavedCohort> =
                cohorts.iter().chain([&definition]).map(|cohort| (cohort.id.clone(), saved_cohort(cohort))).collect();
            check_cohort(&settings, &after, &definition.id, definition.saved_at_ms).map_err(refused_change)?;
            Ok(definitions.save_definition(&definition, Some(cohorts)).map(|version| Definition { version, ..definition }))
        })
    };
    let saved = on_a_thread(work).await?;
    state.parts.queries.forget_answers();
    Ok(Json(CohortRuleAnswer::of(&saved)))
}

fn check(definition: &Definition) -> Result<(), ApiError> {
    COHORTS.check_name(&definition.name)?;
    let bytes = rule_of(definition).to_string().len();
    if bytes > MAX_RULE_BYTES {
        let message = format!("the rule has {bytes} bytes, at most {MAX_RULE_BYTES} are kept: split it into cohorts of its parts");
        return Err(ApiError::invalid("rule", "invalid_cohort", message));
    }
    Ok(())
}

/// A refusal of the rule; of one that others could not go on with, it is a conflict.
fn refused_change(failure: QueryFailure) -> ApiError {
    match failure.code {
        "cohort_in_use" => ApiError { field: failure.field, ..ApiError::new(StatusCode::CONFLICT, "cohort_in_use", failure.message) },
        _ => refusal(failure),
    }
}

async fn find(state: &ApiState, app: &AppId, id: &str) -> Result<Definition, ApiError> {
    let (definitions, app, id) = (state.parts.definitions.clone(), app.clone(), id.to_owned());
    on_a_thread(move || COHORTS.find(&*definitions, &app, &id)).await
}
