use std::collections::HashMap;
use std::sync::Arc;

use event::AppId;
use query::{AppSettings, canonical_text};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;

use crate::error::ApiError;

/// The fields that say which time a question is about.
const TIMES: [&str; 3] = ["range", "from", "to"];

/// Another range and other filters than those saved with a dashboard, for whoever looks at it.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BoardParams {
    /// In place of the dashboard's range, such as `7d`.
    range: Option<String>,
    /// In place of the dashboard's range: first moment, as any question takes it.
    from: Option<String>,
    /// First moment after.
    to: Option<String>,
    /// In place of the dashboard's filters: conditions as JSON; `[]` for none.
    filters: Option<String>,
    /// Allowed when it is the app of the key.
    #[param(ignore)]
    #[serde(rename = "app_id")]
    _app_id: Option<String>,
}

/// Range and filters for all questions of a dashboard.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scope {
    time: Map<String, Value>,
    filters: Option<Value>,
}

impl Scope {
    /// What was saved with a dashboard.
    pub(crate) fn saved(document: &Value) -> Self {
        let given = |name: &str| document.get(name).filter(|value| !value.is_null()).cloned();
        let time = given("range").map(|range| Map::from_iter([("range".to_owned(), range)]));
        Self { time: time.unwrap_or_default(), filters: given("filters") }
    }

    /// What the address of a stream says.
    ///
    /// # Errors
    /// A refusal of `filters`. What else may be wrong is for the check of a question to find.
    pub(crate) fn asked(params: BoardParams) -> Result<Self, ApiError> {
        let BoardParams { range, from, to, filters, _app_id: _ } = params;
        let given = TIMES.into_iter().zip([range, from, to]);
        let time = given.filter_map(|(name, text)| Some((name.to_owned(), Value::String(text?)))).collect();
        let conditions = |text: String| {
            let message =
                "\"filters\" is JSON: a list of conditions such as [{\"property\": \"country\", \"op\": \"eq\", \"value\": \"US\"}]";
            let parsed: Option<Value> = serde_json::from_str(&text).ok();
            parsed
                .filter(|value| value.is_array() || value.is_object())
                .ok_or_else(|| ApiError::invalid("filters", "invalid_filter", message))
        };
        Ok(Self { time, filters: filters.map(conditions).transpose()? })
    }

    /// This where it says something, else `saved`.
    pub(crate) fn over(&self, saved: Self) -> Self {
        let time = if self.time.is_empty() { saved.time } else { self.time.clone() };
        Self { time, filters: self.filters.clone().or(saved.filters) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.time.is_empty() && self.filters.is_none()
    }

    /// What a tile's question is under it: its time is replaced, its own filters hold besides. A statement of SQL says itself what it is about.
    pub(crate) fn applied(&self, call: &str, mut request: Map<String, Value>) -> Map<String, Value> {
        if call == "sql" {
            return request;
        }
        if !self.time.is_empty() {
            request.retain(|name, _| !TIMES.contains(&name.as_str()));
            request.extend(self.time.clone());
        }
        if let Some(filters) = &self.filters {
            let own = request.get("filters").map(conditions).unwrap_or_default();
            let all = [conditions(filters), own].concat();
            request.insert("filters".to_owned(), Value::Array(all));
        }
        request
    }

    /// As a question about nothing else, so that it can be checked as one.
    pub(crate) fn as_question(&self) -> Value {
        Value::Object(self.applied("query", Map::from_iter([("metric".to_owned(), json!("events"))])))
    }

    /// As it is told.
    pub(crate) fn told(&self) -> Value {
        let mut told = self.time.clone();
        told.insert("filters".to_owned(), self.filters.clone().unwrap_or_else(|| json!([])));
        Value::Object(told)
    }
}

/// A list of conditions, or one, as a list.
fn conditions(filters: &Value) -> Vec<Value> {
    match filters {
        Value::Null => Vec::new(),
        Value::Array(conditions) => conditions.clone(),
        one => vec![one.clone()],
    }
}

/// Something that tiles ask. Equal ones have equal keys, on whatever dashboard they are.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) app: AppSettings,
    pub(crate) call: String,
    pub(crate) request: Value,
    pub(crate) key: QuestionKey,
}

pub(crate) type QuestionKey = (AppId, String);

impl Question {
    pub(crate) fn new(app: &AppSettings, call: &str, mut request: Map<String, Value>) -> Self {
        // Each is computed when its time comes: an answer kept for others would be told as newer than it is.
        if call != "sql" {
            request.insert("cache".to_owned(), Value::Bool(false));
        }
        let request = Value::Object(request);
        let AppSettings { timezone, week_start, session_idle_ms, .. } = app;
        let text = format!("{call} {timezone} {week_start:?} {session_idle_ms} {}", canonical_text(&request));
        Self { key: (app.app.clone(), text), app: app.clone(), call: call.to_owned(), request }
    }
}

/// A question with the tiles that show its answer, or why it cannot be asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) tiles: Vec<usize>,
    pub(crate) question: Result<Arc<Question>, ApiError>,
}

/// What a dashboard asks for, each distinct question once.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The dashboard and its scope, as they are told.
    pub(crate) told: Value,
    pub(crate) asked: Vec<Asked>,
}

impl Plan {
    /// `resolved` finds the saved funnel that a question names.
    pub(crate) fn new(
        dashboard: Value,
        scope: &Scope,
        app: &AppSettings,
        resolved: impl Fn(&str, Map<String, Value>) -> Result<Map<String, Value>, ApiError>,
    ) -> Self {
        let (mut asked, mut places): (Vec<Asked>, HashMap<String, usize>) = (Vec::new(), HashMap::new());
        for (tile, content) in dashboard["tiles"].as_array().into_iter().flatten().enumerate() {
            let (Some(call), Some(request)) = (content["call"].as_str(), content["request"].as_object()) else { continue };
            let question = resolved(call, request.clone()).map(|request| Question::new(app, call, scope.applied(call, request)));
            let known = question.as_ref().ok().and_then(|question| places.get(&question.key.1));
            if let Some(known) = known {
                asked[*known].tiles.push(tile);
                continue;
            }
            if let Ok(question) = &question {
                places.insert(question.key.1.clone(), asked.len());
            }
            asked.push(Asked { tiles: vec![tile], question: question.map(Arc::new) });
        }
        let told = Map::from_iter([("dashboard".to_owned(), dashboard), ("scope".to_owned(), scope.told())]);
        Self { told: Value::Object(told), asked }
    }

    /// Whether both show the same of the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        fn asks(plan: &Plan) -> impl Iterator<Item = Result<&str, &ApiError>> {
            plan.asked.iter().map(|asked| asked.question.as_ref().map(|question| question.key.1.as_str()))
        }
        self.told == other.told && asks(self).eq(asks(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn scope(value: &Value) -> Scope {
        Scope::saved(value)
    }

    #[test]
    fn a_range_replaces_and_filters_hold_besides() {
        let us = json!({"property": "country", "op": "eq", "value": "US"});
        let mobile = json!({"property": "device_type", "op": "eq", "value": "mobile"});
        let any = json!({"or": [us, mobile]});
        let cases = [
            (json!({}), json!({"range": "7d"}), json!({"range": "7d"})),
            (json!({"range": "30d"}), json!({}), json!({"range": "30d"})),
            (json!({"range": "30d"}), json!({"from": "2026-01-01", "to": "2026-02-01"}), json!({"range": "30d"})),
            (json!({"filters": [us]}), json!({}), json!({"filters": [us]})),
            (json!({"filters": [us]}), json!({"filters": [mobile]}), json!({"filters": [us, mobile]})),
            (json!({"filters": any}), json!({"filters": us}), json!({"filters": [any, us]})),
            (json!({"filters": []}), json!({"filters": [us]}), json!({"filters": [us]})),
        ];
        for (board, tile, expected) in cases {
            assert_eq!(Value::Object(scope(&board).applied("funnel", object(&tile))), expected, "{board} {tile}");
        }
        let sql = json!({"sql": "SELECT 1"});
        let board = scope(&json!({"range": "30d", "filters": [us]}));
        assert_eq!(Value::Object(board.applied("sql", object(&sql))), sql);
    }

    #[test]
    fn who_looks_may_ask_for_another_scope() {
        let saved = || scope(&json!({"range": "30d", "filters": [{"property": "a", "op": "is_set"}]}));
        let asked = |params: BoardParams| Scope::asked(params).unwrap().over(saved());
        assert_eq!(asked(BoardParams::default()), saved());
        let days = BoardParams { from: Some("2026-01-01".into()), filters: Some("[]".into()), ..BoardParams::default() };
        assert_eq!(asked(days).told(), json!({"from": "2026-01-01", "filters": []}));
        for wrong in ["", "7", "[", "\"a\""] {
            let refused = Scope::asked(BoardParams { filters: Some(wrong.into()), ..BoardParams::default() }).unwrap_err();
            assert_eq!(refused.field.as_deref(), Some("filters"), "{wrong}");
        }
    }

    #[test]
    fn equal_questions_are_one() {
        let app = AppSettings::new(AppId::new("a").unwrap());
        let tiles = json!([
            {"call": "query", "request": {"metric": "events", "range": "7d"}},
            {"text": "a text"},
            {"call": "query", "request": {"range": "1d", "metric": "events"}},
            {"call": "funnel", "request": {"funnel": "gone"}},
            {"call": "sql", "request": {"sql": "SELECT 1"}},
        ]);
        let resolved = |_: &str, request: Map<String, Value>| match request.get("funnel") {
            Some(_) => Err(ApiError::invalid("funnel", "unknown_funnel", "gone")),
            None => Ok(request),
        };
        let plan = Plan::new(json!({"tiles": tiles}), &scope(&json!({"range": "30d"})), &app, resolved);
        let places: Vec<(&[usize], bool)> = plan.asked.iter().map(|asked| (&asked.tiles[..], asked.question.is_ok())).collect();
        assert_eq!(places, [(&[0, 2][..], true), (&[3][..], false), (&[4][..], true)]);
        assert!(plan.is_same(&plan));
        let without = Plan::new(json!({"tiles": tiles}), &Scope::default(), &app, resolved);
        assert_eq!(without.asked.len(), 4);
        assert!(!plan.is_same(&without));
    }
}
