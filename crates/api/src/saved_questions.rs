//! Saved funnels and dashboards: who may see and change them, what is refused, and how a question finds a saved funnel.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::StatusCode;
use event::{AppId, TimestampMs};
use metadata_store::{App, Definition, DefinitionKind, Definitions, MetadataStore};
use query::{AppSettings, Cohorts, Metrics, QueryFailure, check_question};
use serde_json::{Map, Value, json};

use crate::access::{Editor, Reader};
use crate::analytics::{refusal, settings};
use crate::cohorts::{COHORTS, saved_cohort};
use crate::dashboards::{Plan, Scope};
use crate::error::ApiError;
use crate::metrics::{METRICS, saved_metric};
use crate::request::{RequestBody, parse_object};
use crate::saved::{ExpectedField, Kind, VERSION_FIELD, on_a_thread, text_field};
use crate::state::ApiState;
use crate::time::iso_utc;

/// Largest definition as JSON.
const MAX_DOCUMENT_BYTES: usize = 128 << 10;
/// Longest description, in characters.
const MAX_DESCRIPTION_CHARS: usize = 1_000;
/// Longest title of a tile, in characters.
const MAX_TITLE_CHARS: usize = 100;
/// Longest text of a tile, in characters.
const MAX_TEXT_CHARS: usize = 10_000;
/// Most tiles of a dashboard.
const MAX_TILES: usize = 50;
/// Columns of a dashboard.
const COLUMNS: u64 = 12;
/// Rows of a dashboard, and of one tile, at most.
const MAX_ROWS: u64 = 1_000;
/// Longest name of the way in which a tile is drawn, in characters.
const MAX_VIEW_CHARS: usize = 32;
/// Longest address of the page of a tile's question, in characters.
const MAX_LINK_CHARS: usize = 8_000;
/// Most annotations of a dashboard.
const MAX_ANNOTATIONS: usize = 100;

/// A kind of definition whose content is fields of its body.
pub(crate) struct Content {
    kind: Kind,
    /// What an id that was made up begins with.
    prefix: &'static str,
    fields: &'static [ExpectedField],
    /// The one of them that a new definition must have, and what it is.
    required: (&'static str, &'static str),
    check: fn(&Value, &Known) -> Result<(), ApiError>,
}

pub(crate) const FUNNELS: Content = Content {
    kind: Kind {
        kind: DefinitionKind::Funnel,
        name: "funnel",
        list: "/funnels",
        invalid: "invalid_funnel",
        unknown: "unknown_funnel",
        exists: "funnel_exists",
        changed: "funnel_changed",
        in_use: "funnel_in_use",
        too_many: "too_many_funnels",
        unavailable: "funnels_unavailable",
    },
    prefix: "fu",
    fields: &[("funnel", Value::is_object, "an object with steps and options, as /funnel takes it")],
    required: ("funnel", "what /funnel is asked, such as {\"steps\": [\"page_view\", \"purchase\"]}"),
    check: check_funnel,
};

pub(crate) const DASHBOARDS: Content = Content {
    kind: Kind {
        kind: DefinitionKind::Dashboard,
        name: "dashboard",
        list: "/dashboards",
        invalid: "invalid_dashboard",
        unknown: "unknown_dashboard",
        exists: "dashboard_exists",
        changed: "dashboard_changed",
        in_use: "dashboard_in_use",
        too_many: "too_many_dashboards",
        unavailable: "dashboards_unavailable",
    },
    prefix: "da",
    fields: &[
        ("tiles", Value::is_array, "a list of tiles"),
        ("range", Value::is_string, "a range such as \"30d\""),
        ("filters", |value| value.is_array() || value.is_object(), "conditions, as any question takes them"),
        ("annotations", Value::is_array, "a list of {time, text}"),
    ],
    required: ("tiles", "what it shows; an empty list to begin with"),
    check: check_dashboard,
};

/// What the questions of a definition may name.
struct Known {
    settings: AppSettings,
    funnels: BTreeMap<String, Value>,
    invalid: &'static str,
    now_ms: TimestampMs,
}

impl Known {
    fn load(definitions: &dyn Definitions, app: &AppSettings, invalid: &'static str, now_ms: TimestampMs) -> Result<Self, ApiError> {
        let (cohorts, metrics) = (COHORTS.all(definitions, &app.app)?, METRICS.all(definitions, &app.app)?);
        let funnels = FUNNELS.kind.all(definitions, &app.app)?;
        let cohorts = cohorts.iter().map(|cohort| (cohort.id.clone(), saved_cohort(cohort)));
        let metrics = metrics.iter().map(|metric| (metric.id.clone(), saved_metric(metric)));
        let settings = AppSettings {
            cohorts: Cohorts::new(cohorts),
            metrics: Metrics::new(metrics),
            // Where all time begins changes nothing about what may be asked.
            first_event_ms: Some(now_ms),
            ..app.clone()
        };
        let funnels = funnels.into_iter().map(|funnel| (funnel.id, funnel.document["funnel"].clone())).collect();
        Ok(Self { settings, funnels, invalid, now_ms })
    }

    /// A question that stands at `place`, with the saved funnel that it names.
    fn resolved(&self, place: &str, call: &str, request: &Value) -> Result<Value, ApiError> {
        let mut request = request.clone();
        if let (Some(fields), true) = (request.as_object_mut(), call == "funnel")
            && let Some(id) = fields.get("funnel").and_then(Value::as_str).map(str::to_owned)
        {
            let saved =
                self.funnels.get(&id).ok_or_else(|| self.refused(&format!("{place}.funnel"), "this app has no funnel of this id"))?;
            with_saved(fields, saved);
        }
        Ok(request)
    }

    /// Checks a question that stands at `place`.
    fn check(&self, place: &str, call: &str, request: &Value) -> Result<(), ApiError> {
        let request = self.resolved(place, call, request)?;
        let below = |failure: QueryFailure| {
            let parts = [Some(place.to_owned()), failure.field.clone()].into_iter().flatten().filter(|part| !part.is_empty());
            refusal(QueryFailure { field: Some(parts.collect::<Vec<_>>().join(".")), ..failure })
        };
        check_question(call, &request, &self.settings, self.now_ms).map_err(below)
    }

    /// Checks what becomes of a question under the range and filters of its dashboard.
    fn check_under(&self, scope: &Scope, place: &str, call: &str, request: &Value) -> Result<(), ApiError> {
        let Value::Object(request) = self.resolved(place, call, request)? else { return Ok(()) };
        self.check("", call, &Value::Object(scope.applied(call, request))).map_err(|error| {
            let field = error.field.as_deref().unwrap_or("the request");
            let message = format!("with the range and filters of the dashboard, {field}: {}", error.message);
            ApiError { field: Some(place.to_owned()), message, ..error }
        })
    }

    fn refused(&self, field: &str, message: impl Into<String>) -> ApiError {
        ApiError::invalid(field, self.invalid, message)
    }
}

fn check_funnel(document: &Value, known: &Known) -> Result<(), ApiError> {
    if document["funnel"].get("funnel").is_some() {
        return Err(known.refused("funnel.funnel", "a saved funnel is not made of another: give its steps"));
    }
    known.check("funnel", "funnel", &document["funnel"])
}

fn check_dashboard(document: &Value, known: &Known) -> Result<(), ApiError> {
    let tiles = document["tiles"].as_array().map_or(&[][..], Vec::as_slice);
    if tiles.len() > MAX_TILES {
        return Err(known.refused("tiles", format!("{} tiles, at most {MAX_TILES} are allowed: make a second dashboard", tiles.len())));
    }
    check_annotations(document["annotations"].as_array().map_or(&[][..], Vec::as_slice), known)?;
    let scope = Scope::saved(document);
    known.check("", "query", &scope.as_question())?;
    tiles.iter().enumerate().try_for_each(|(place, tile)| check_tile(&format!("tiles[{place}]"), tile, &scope, known))
}

/// Marks on every chart over time: what happened when.
fn check_annotations(annotations: &[Value], known: &Known) -> Result<(), ApiError> {
    if annotations.len() > MAX_ANNOTATIONS {
        let message = format!("{} annotations, at most {MAX_ANNOTATIONS} are kept: remove old ones", annotations.len());
        return Err(known.refused("annotations", message));
    }
    for (place, annotation) in annotations.iter().enumerate() {
        let fields = annotation.as_object().filter(|fields| fields.keys().all(|name| name == "time" || name == "text"));
        let text = fields.and_then(|fields| fields.get("text")?.as_str()).unwrap_or_default();
        if !(1..=MAX_TITLE_CHARS).contains(&text.chars().count()) {
            let message = format!("an annotation is {{time, text}}, with a text of 1 to {MAX_TITLE_CHARS} characters");
            return Err(known.refused(&format!("annotations[{place}].text"), message));
        }
        if annotation["time"].as_str().is_none_or(|time| event::parse_timestamp(time).is_err()) {
            let message = "\"time\" is ISO 8601 with a zone, such as 2026-03-01T12:00:00Z";
            return Err(known.refused(&format!("annotations[{place}].time"), message));
        }
    }
    Ok(())
}

fn check_tile(place: &str, tile: &Value, scope: &Scope, known: &Known) -> Result<(), ApiError> {
    const FIELDS: [&str; 10] = ["title", "x", "y", "w", "h", "text", "call", "request", "view", "link"];
    let refused = |field: &str, message: &str| known.refused(&format!("{place}{field}"), message);
    let Some(fields) = tile.as_object() else { return Err(refused("", "a tile is an object with x, y, w, h and a question or a text")) };
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(refused(&format!(".{unknown}"), &format!("unknown field: known here are {}", FIELDS.join(", "))));
    }
    let number = |name: &str, from: u64, to: u64| {
        let found = fields.get(name).and_then(Value::as_u64).filter(|number| (from..=to).contains(number));
        found.ok_or_else(|| refused(&format!(".{name}"), &format!("\"{name}\" is a whole number from {from} to {to}")))
    };
    let (x, width) = (number("x", 0, COLUMNS - 1)?, number("w", 1, COLUMNS)?);
    number("y", 0, MAX_ROWS)?;
    number("h", 1, MAX_ROWS)?;
    if x + width > COLUMNS {
        return Err(refused(".w", &format!("the tile ends right of column {COLUMNS}: x and w are {COLUMNS} together at most")));
    }
    for (name, most) in [("title", MAX_TITLE_CHARS), ("text", MAX_TEXT_CHARS), ("view", MAX_VIEW_CHARS), ("link", MAX_LINK_CHARS)] {
        let Some(value) = fields.get(name) else { continue };
        if value.as_str().is_none_or(|text| text.chars().count() > most) {
            return Err(refused(&format!(".{name}"), &format!("\"{name}\" is a text of at most {most} characters")));
        }
    }
    let link = fields.get("link").and_then(Value::as_str).unwrap_or("/");
    if !link.starts_with('/') || link.starts_with("//") || link.contains(|c: char| c == '\\' || c.is_control()) {
        return Err(refused(".link", "\"link\" is a page of the web app with its question, such as \"/explore?metric=events\""));
    }
    match (fields.get("text"), fields.get("call"), fields.get("request")) {
        (Some(_), None, None) => Ok(()),
        (None, Some(call), Some(request)) => {
            let call = call.as_str().ok_or_else(|| refused(".call", "\"call\" is the name of a call such as \"query\" or \"funnel\""))?;
            let request_place = format!("{place}.request");
            known
                .check_under(scope, &request_place, call, request)
                .or_else(|with_scope| {
                    // What is wrong by itself is told where it stands.
                    known.check(&request_place, call, request).and(Err(with_scope))
                })
                .map_err(|error| match error.code.as_ref() {
                    "unknown_call" => ApiError { field: Some(format!("{place}.call")), ..error },
                    _ => error,
                })
        }
        _ => Err(refused("", "a tile has either a \"text\", or a \"call\" and its \"request\"")),
    }
}

/// Puts the fields of a saved funnel beside those of a question, which count where both have one.
fn with_saved(request: &mut Map<String, Value>, saved: &Value) {
    const TIMES: [&str; 3] = ["range", "from", "to"];
    request.shift_remove("funnel");
    let has_time = TIMES.iter().any(|name| request.contains_key(*name));
    for (name, value) in saved.as_object().into_iter().flatten() {
        let is_replaced = request.contains_key(name) || (has_time && TIMES.contains(&name.as_str()));
        if !is_replaced {
            request.insert(name.clone(), value.clone());
        }
    }
}

/// The question with the saved funnel that it names as `funnel`, if it names one.
///
/// # Errors
/// A refusal of `funnel`; the definitions cannot be read now.
pub(crate) async fn with_saved_funnel(state: &ApiState, app: &AppId, request: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    if !request.contains_key("funnel") {
        return Ok(request);
    }
    let (definitions, app) = (state.parts.definitions.clone(), app.clone());
    on_a_thread(move || with_named_funnel(&*definitions, &app, request)).await
}

/// As [`with_saved_funnel`]; blocks.
fn with_named_funnel(definitions: &dyn Definitions, app: &AppId, mut request: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    let Some(named) = request.get("funnel") else { return Ok(request) };
    let Some(id) = named.as_str().map(str::to_owned) else {
        return Err(ApiError::invalid(
            "funnel",
            FUNNELS.kind.invalid,
            "\"funnel\" is the id of a saved funnel; steps are given as \"steps\"",
        ));
    };
    let saved = FUNNELS.kind.find(definitions, app, &id).map_err(|error| match error.code.as_ref() {
        code if code == FUNNELS.kind.unknown => ApiError { status: StatusCode::BAD_REQUEST, field: Some("funnel".to_owned()), ..error },
        _ => error,
    })?;
    with_saved(&mut request, &saved.document["funnel"]);
    Ok(request)
}

/// What a dashboard asks now, under the scope that somebody asked for; blocks.
///
/// # Errors
/// There is no such dashboard; the definitions cannot be read now.
pub(crate) fn plan_of_dashboard(
    definitions: &dyn Definitions,
    metadata: &dyn MetadataStore,
    app: &AppId,
    id: &str,
    asked: &Scope,
) -> Result<Plan, ApiError> {
    let board = DASHBOARDS.kind.find(definitions, app, id)?;
    let owner = metadata.app(app).map_err(|error| DASHBOARDS.kind.refused(error))?.ok_or_else(|| DASHBOARDS.kind.unknown())?;
    let scope = asked.over(Scope::saved(&board.document));
    let resolved = |call: &str, request| if call == "funnel" { with_named_funnel(definitions, app, request) } else { Ok(request) };
    Ok(Plan::new(answer(&board), &scope, &settings(&owner), resolved))
}

/// Checks the range and filters that somebody asks a dashboard with.
///
/// # Errors
/// A refusal of one of them; the definitions cannot be read now.
pub(crate) async fn check_scope(state: &ApiState, app: &App, asked: &Scope) -> Result<(), ApiError> {
    if asked.is_empty() {
        return Ok(());
    }
    let (definitions, settings, question) = (state.parts.definitions.clone(), settings(app), asked.as_question());
    let now_ms = (state.parts.now_ms)();
    on_a_thread(move || Known::load(&*definitions, &settings, DASHBOARDS.kind.invalid, now_ms)?.check("", "query", &question)).await
}

/// A definition as it is told.
fn answer(definition: &Definition) -> Value {
    let mut told = Map::new();
    told.insert("id".to_owned(), json!(definition.id));
    told.insert("name".to_owned(), json!(definition.name));
    told.insert("description".to_owned(), definition.document.get("description").cloned().unwrap_or(Value::Null));
    for (name, value) in definition.document.as_object().into_iter().flatten().filter(|(name, _)| *name != "description") {
        told.insert(name.clone(), value.clone());
    }
    told.insert("version".to_owned(), json!(definition.version));
    told.insert("updated_at".to_owned(), json!(iso_utc(definition.saved_at_ms)));
    Value::Object(told)
}

impl Content {
    pub(crate) async fn list(&'static self, name: &str, state: &ApiState, reader: &Reader) -> Result<Json<Value>, ApiError> {
        let (definitions, app) = (state.parts.definitions.clone(), reader.app_id().clone());
        let all = on_a_thread(move || self.kind.all(&*definitions, &app)).await?;
        Ok(Json(json!({ name: all.iter().map(answer).collect::<Vec<_>>() })))
    }

    pub(crate) async fn one(&'static self, state: &ApiState, reader: &Reader, id: String) -> Result<Json<Value>, ApiError> {
        let (definitions, app) = (state.parts.definitions.clone(), reader.app_id().clone());
        on_a_thread(move || self.kind.find(&*definitions, &app, &id)).await.map(|definition| Json(answer(&definition)))
    }

    pub(crate) async fn create(
        &'static self,
        state: &ApiState,
        editor: &Editor,
        body: &RequestBody,
    ) -> Result<(StatusCode, Json<Value>), ApiError> {
        let mut body = self.read(body)?;
        let invalid = |field: &str, message: String| ApiError::invalid(field, self.kind.invalid, message);
        if body.contains_key("version") {
            return Err(invalid("version", format!("a new {} has no version: change one with PUT", self.kind.name)));
        }
        let text = |value: Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
        let id = text(body.shift_remove("id")).unwrap_or_else(|| format!("{}_{}", self.prefix, state.request_ids.next()));
        self.kind.check_id(&id)?;
        let name = text(body.shift_remove("name")).ok_or_else(|| invalid("name", "\"name\" is missing: what people call it".to_owned()))?;
        let (required, what) = self.required;
        if !body.contains_key(required) {
            return Err(invalid(required, format!("\"{required}\" is missing: {what}")));
        }
        let definition = Definition {
            id,
            app: editor.app_id().clone(),
            kind: self.kind.kind,
            name,
            document: changed(&json!({}), body),
            version: 0,
            saved_at_ms: (state.parts.now_ms)(),
        };
        let saved = self.save(state, editor, move |_| Ok(definition.clone())).await?;
        Ok((StatusCode::CREATED, saved))
    }

    pub(crate) async fn change(
        &'static self,
        state: &ApiState,
        editor: &Editor,
        id: String,
        body: &RequestBody,
    ) -> Result<Json<Value>, ApiError> {
        let mut body = self.read(body)?;
        if body.shift_remove("id").is_some_and(|other| other != id.as_str()) {
            let message = format!("the id of a {} does not change: save another one", self.kind.name);
            return Err(ApiError::invalid("id", self.kind.invalid, message));
        }
        let version = body.shift_remove("version").and_then(|version| u32::try_from(version.as_u64()?).ok());
        if body.is_empty() {
            let names: Vec<&str> = ["name", "description"].into_iter().chain(self.fields.iter().map(|(name, ..)| *name)).collect();
            return Err(ApiError::invalid("name", self.kind.invalid, format!("there is nothing to change: give {}", names.join(" or "))));
        }
        let name = body.shift_remove("name").as_ref().and_then(Value::as_str).map(str::to_owned);
        let now_ms = (state.parts.now_ms)();
        self.save(state, editor, move |all| {
            let stored = all.iter().find(|definition| definition.id == id).ok_or_else(|| self.kind.unknown())?;
            Ok(Definition {
                version: version.unwrap_or(stored.version),
                name: name.clone().unwrap_or_else(|| stored.name.clone()),
                document: changed(&stored.document, body.clone()),
                saved_at_ms: now_ms,
                ..stored.clone()
            })
        })
        .await
    }

    pub(crate) async fn remove(&'static self, state: &ApiState, editor: &Editor, id: String) -> Result<Json<Value>, ApiError> {
        let (definitions, app, asked) = (state.parts.definitions.clone(), editor.app_id().clone(), id.clone());
        on_a_thread(move || {
            self.kind.find(&*definitions, &app, &asked)?;
            let users = if self.kind.kind == DefinitionKind::Funnel { boards_with(&*definitions, &app, &asked)? } else { Vec::new() };
            if !users.is_empty() {
                return Err(self.kind.in_use_by("dashboards", &users.iter().map(String::as_str).collect::<Vec<_>>()));
            }
            definitions.delete_definition(&app, &asked, None).map_err(|error| self.kind.refused(error))
        })
        .await?;
        Ok(Json(json!({ "deleted": id })))
    }

    fn read(&self, RequestBody(body): &RequestBody) -> Result<Map<String, Value>, ApiError> {
        let mut fields = parse_object(body)?;
        // So that what an answer says can be sent back.
        fields.shift_remove("updated_at");
        if let Some(description) = fields.get_mut("description").filter(|value| value.is_null()) {
            *description = json!("");
        }
        let texts = ["id", "name", "description"].map(text_field);
        self.kind.read(fields, &[&texts[..], self.fields, &[VERSION_FIELD]].concat())
    }

    async fn save(
        &'static self,
        state: &ApiState,
        editor: &Editor,
        make: impl Fn(&[Definition]) -> Result<Definition, ApiError> + Send + 'static,
    ) -> Result<Json<Value>, ApiError> {
        let (settings, app, definitions) = (settings(editor.app()), editor.app_id().clone(), state.parts.definitions.clone());
        let saved = on_a_thread(move || {
            self.kind.unchanged_meanwhile(&*definitions, &app, |all| {
                let definition = make(all)?;
                self.check(&definition)?;
                (self.check)(&definition.document, &Known::load(&*definitions, &settings, self.kind.invalid, definition.saved_at_ms)?)?;
                Ok(definitions.save_definition(&definition, Some(all)).map(|version| Definition { version, ..definition }))
            })
        });
        saved.await.map(|definition| Json(answer(&definition)))
    }

    fn check(&self, definition: &Definition) -> Result<(), ApiError> {
        self.kind.check_name(&definition.name)?;
        let description = definition.document["description"].as_str().unwrap_or_default();
        if description.chars().count() > MAX_DESCRIPTION_CHARS {
            let message = format!("a description has at most {MAX_DESCRIPTION_CHARS} characters");
            return Err(ApiError::invalid("description", self.kind.invalid, message));
        }
        let bytes = definition.document.to_string().len();
        if bytes > MAX_DOCUMENT_BYTES {
            let message = format!("the {} has {bytes} bytes, at most {MAX_DOCUMENT_BYTES} are kept", self.kind.name);
            return Err(ApiError::invalid(self.required.0, self.kind.invalid, message));
        }
        Ok(())
    }
}

/// The document with what a body gives; an empty description takes it away.
fn changed(document: &Value, body: Map<String, Value>) -> Value {
    let mut document = document.clone();
    for (name, value) in body {
        document[name.as_str()] = if name == "description" && value == "" { Value::Null } else { value };
    }
    document
}

/// The dashboards with a tile of a saved funnel.
fn boards_with(definitions: &dyn Definitions, app: &AppId, funnel: &str) -> Result<Vec<String>, ApiError> {
    let has_it = |board: &Definition| {
        let tiles = board.document["tiles"].as_array().map_or(&[][..], Vec::as_slice);
        tiles.iter().any(|tile| tile["call"] == "funnel" && tile["request"]["funnel"] == funnel)
    };
    Ok(DASHBOARDS.kind.all(definitions, app)?.iter().filter(|board| has_it(board)).map(|board| board.id.clone()).collect())
}
