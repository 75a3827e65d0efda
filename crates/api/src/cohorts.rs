//! Saved cohorts: who may see and change them, and how a question finds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use event::AppId;
use metadata_store::{Definition, DefinitionKind, Definitions, MetadataError};
use query::{Answered, CohortsUnavailable, MAX_COHORT_ID_BYTES, QueryFailure, SavedCohort, SavedCohorts, check_cohort, rule_mentions};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::analytics::{refusal, settings};
use crate::error::{ApiError, ErrorBody};
use crate::keys::{Administrator, Reader};
use crate::openapi::examples;
use crate::request::{Question, RequestBody, parse_object, query_string};
use crate::state::ApiState;
use crate::time::iso_utc;

/// Longest name of a cohort, in characters.
const MAX_NAME_CHARS: usize = 100;
/// Largest rule of a cohort as JSON.
const MAX_RULE_BYTES: usize = 512 << 10;
/// Cohorts that a refusal names.
const MAX_NAMED: usize = 5;

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
        Ok(cohort.map(|definition| SavedCohort { version: definition.version, rule: rule_of(&definition) }))
    }
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
    security(("read_key" = [])))]
pub(crate) async fn list(State(state): State<ApiState>, reader: Reader) -> Result<Json<CohortsAnswer>, ApiError> {
    let app = reader.app_id().clone();
    let cohorts = blocking(move || state.parts.definitions.definitions(&app, DefinitionKind::Cohort)).await?;
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
    security(("admin_key" = [])))]
pub(crate) async fn create(
    State(state): State<ApiState>,
    admin: Administrator,
    body: RequestBody,
) -> Result<(StatusCode, Json<CohortRuleAnswer>), ApiError> {
    let mut body = read_body(&body)?;
    if body.version.is_some() {
        return Err(ApiError::invalid("version", "invalid_cohort", "a new cohort has no version: change one with PUT"));
    }
    let id = body.id.take().unwrap_or_else(|| format!("co_{}", state.request_ids.next()));
    check_id(&id)?;
    let name = body.name.take().ok_or_else(|| ApiError::invalid("name", "invalid_cohort", "\"name\" is missing: what people call it"))?;
    let rule = body.rule()?.ok_or_else(|| ApiError::invalid("rule", "invalid_cohort", "give \"rule\", or \"persons\" for a list"))?;
    let definition = Definition {
        id,
        app: admin.app_id().clone(),
        kind: DefinitionKind::Cohort,
        name,
        document: json!({ "rule": rule }),
        version: 0,
        saved_at_ms: (state.parts.now_ms)(),
    };
    save(&state, &admin, move |_| Ok(definition.clone())).await.map(|answer| (StatusCode::CREATED, answer))
}

/// One cohort, with how many persons are in it now.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/cohorts/{cohort_id}", tag = "cohorts",
    params(("app_id" = String, Path), ("cohort_id" = String, Path)),
    description = "The size counts persons with a stored event, exactly; it is kept for 5 seconds.",
    responses((status = 200, body = CohortSizeAnswer), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("read_key" = [])))]
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
    security(("admin_key" = [])))]
pub(crate) async fn change(
    State(state): State<ApiState>,
    admin: Administrator,
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
    save(&state, &admin, move |cohorts| {
        let stored = cohorts.iter().find(|cohort| cohort.id == id).ok_or_else(unknown_cohort)?;
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

/// Deletes a cohort that no other is made of.
#[utoipa::path(delete, path = "/api/v1/analytics/{app_id}/cohorts/{cohort_id}", tag = "cohorts",
    params(("app_id" = String, Path), ("cohort_id" = String, Path)),
    responses((status = 200, body = Value), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)),
    security(("admin_key" = [])))]
pub(crate) async fn remove(
    State(state): State<ApiState>,
    admin: Administrator,
    Path(in_path): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let (_, id) = in_path;
    let (definitions, app, asked) = (state.parts.definitions.clone(), admin.app_id().clone(), id.clone());
    let work = move || {
        unchanged_meanwhile(&*definitions, &app, |cohorts| {
            cohorts.iter().find(|cohort| cohort.id == asked).ok_or_else(unknown_cohort)?;
            let users: Vec<&str> =
                cohorts.iter().filter(|cohort| rule_mentions(&rule_of(cohort), &asked)).map(|cohort| cohort.id.as_str()).collect();
            if !users.is_empty() {
                let named = users.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
                let message = format!("{} other cohorts are made of it ({named}): change them first", users.len());
                return Err(ApiError::new(StatusCode::CONFLICT, "cohort_in_use", message));
            }
            Ok(definitions.delete_definition(&app, &asked, Some(cohorts)))
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
    security(("read_key" = [])))]
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
    security(("read_key" = [])))]
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
    let fields = parse_object(body)?;
    const TEXT: &str = "a text";
    for (field, value) in &fields {
        let expected = match field.as_str() {
            "id" | "name" => (!value.is_string()).then_some(TEXT),
            "persons" => (!value.is_array()).then_some("a list of ids"),
            "version" => value.as_u64().and_then(|version| u32::try_from(version).ok()).is_none().then_some("the number of a version"),
            "rule" => value.is_null().then_some("a rule"),
            _ => {
                let message = format!("unknown field \"{field}\": known here are id, name, rule, persons and version");
                return Err(ApiError { field: Some(field.clone()), ..ApiError::new(StatusCode::BAD_REQUEST, "invalid_cohort", message) });
            }
        };
        if let Some(expected) = expected {
            let error = ApiError::new(StatusCode::BAD_REQUEST, "invalid_cohort", format!("\"{field}\" is {expected}"));
            return Err(ApiError { field: Some(field.clone()), ..error });
        }
    }
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", format!("the cohort is not valid: {error}")))
}

fn check_id(id: &str) -> Result<(), ApiError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    // "preview" is a call of its own.
    if (1..=MAX_COHORT_ID_BYTES).contains(&id.len()) && id.bytes().all(allowed) && id != "preview" {
        return Ok(());
    }
    let message = format!("an id has 1 to {MAX_COHORT_ID_BYTES} letters, digits, \"-\" and \"_\", and is not \"preview\"");
    Err(ApiError::invalid("id", "invalid_cohort", message))
}

/// Checks and saves the cohort that `make` makes of all the app's cohorts, and gives no answer again that an earlier version made.
async fn save(
    state: &ApiState,
    admin: &Administrator,
    make: impl Fn(&[Definition]) -> Result<Definition, ApiError> + Send + 'static,
) -> Result<Json<CohortRuleAnswer>, ApiError> {
    let (settings, app, definitions) = (settings(admin.app()), admin.app_id().clone(), state.parts.definitions.clone());
    let work = move || {
        unchanged_meanwhile(&*definitions, &app, |cohorts| {
            let definition = make(cohorts)?;
            check(&definition)?;
            let saved = |cohort: &Definition| (cohort.id.clone(), SavedCohort { version: cohort.version, rule: rule_of(cohort) });
            let after: BTreeMap<String, SavedCohort> = cohorts.iter().chain([&definition]).map(saved).collect();
            check_cohort(&settings, &after, &definition.id, definition.saved_at_ms).map_err(refused_change)?;
            Ok(definitions.save_definition(&definition, Some(cohorts)).map(|version| Definition { version, ..definition }))
        })
    };
    let saved = on_a_thread(work).await?;
    state.parts.queries.forget_answers();
    Ok(Json(CohortRuleAnswer::of(&saved)))
}

/// Decides on all cohorts of an app and writes what was decided, again where others have changed them in between.
fn unchanged_meanwhile<T>(
    definitions: &dyn Definitions,
    app: &AppId,
    decide_and_write: impl Fn(&[Definition]) -> Result<Result<T, MetadataError>, ApiError>,
) -> Result<T, ApiError> {
    /// Each try that fails means that another change was made.
    const MAX_TRIES: usize = 20;
    for _ in 0..MAX_TRIES {
        let cohorts = definitions.definitions(app, DefinitionKind::Cohort).map_err(metadata_error)?;
        match decide_and_write(&cohorts)? {
            Err(MetadataError::Changed { .. }) => {}
            written => return written.map_err(metadata_error),
        }
    }
    let message = "the cohorts of this app are being changed by others all the time: try again";
    Err(ApiError::new(StatusCode::CONFLICT, "cohort_changed", message))
}

fn check(definition: &Definition) -> Result<(), ApiError> {
    let chars = definition.name.trim().chars().count();
    if chars == 0 || chars > MAX_NAME_CHARS || definition.name.chars().any(char::is_control) {
        let message = format!("a name has 1 to {MAX_NAME_CHARS} characters, none of which is a control character");
        return Err(ApiError::invalid("name", "invalid_cohort", message));
    }
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

fn unknown_cohort() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "unknown_cohort", "this app has no cohort of this id: GET /cohorts lists them")
}

async fn find(state: &ApiState, app: &AppId, id: &str) -> Result<Definition, ApiError> {
    let (definitions, app, id) = (state.parts.definitions.clone(), app.clone(), id.to_owned());
    let found = blocking(move || definitions.definition(&app, &id)).await?;
    found.filter(|definition| definition.kind == DefinitionKind::Cohort).ok_or_else(unknown_cohort)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, MetadataError> + Send + 'static) -> Result<T, ApiError> {
    on_a_thread(move || work().map_err(metadata_error)).await
}

/// Runs what blocks on a thread made for it.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T, ApiError> + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "saving or reading a cohort panicked");
        Err(ApiError::internal())
    })
}

fn metadata_error(error: MetadataError) -> ApiError {
    let conflict = |field: &str, code: &'static str, message: String| ApiError {
        field: Some(field.to_owned()),
        ..ApiError::new(StatusCode::CONFLICT, code, message)
    };
    match error {
        MetadataError::Conflict { expected: 0, stored } => conflict(
            "id",
            "cohort_exists",
            format!("this id is that of a cohort in version {stored}: choose another, or change that one with PUT"),
        ),
        MetadataError::Conflict { .. } => conflict("version", "cohort_changed", error.to_string()),
        MetadataError::Taken(_) => conflict("id", "cohort_exists", error.to_string()),
        MetadataError::TooMany { .. } => ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_cohorts", error.to_string()),
        error => ApiError::unavailable("cohorts_unavailable", error.to_string()),
    }
}
