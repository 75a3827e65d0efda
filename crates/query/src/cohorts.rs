//! Saved segments, as a question finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use event::{AppId, TimestampMs};
use serde_json::Value;
use thiserror::Error;

use crate::failure::{FailureKind, QueryFailure};
use crate::options::AppSettings;

/// Most saved cohorts that one request uses, those that its cohorts are made of included.
pub const MAX_COHORTS_PER_REQUEST: usize = 50;
/// Longest id of a cohort, in bytes.
pub const MAX_COHORT_ID_BYTES: usize = 64;
/// What a cohort's id follows where a property could stand as well.
pub(crate) const COHORT_PREFIX: &str = "cohort:";

/// A saved cohort.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedCohort {
    /// Grows with every change; an answer made with one version is not given for another.
    pub version: u32,
    /// Who is in it, as `segment` of a request says it.
    pub rule: Value,
}

/// Saved cohorts cannot be looked up now.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("saved cohorts cannot be read now: {0}")]
pub struct CohortsUnavailable(pub String);

/// Where saved cohorts are. Calls block: they are made on a thread for it.
pub trait SavedCohorts: Send + Sync {
    /// The cohort of an app with this id, `None` when there is none.
    ///
    /// # Errors
    /// [`CohortsUnavailable`].
    fn cohort(&self, app: &AppId, id: &str) -> Result<Option<SavedCohort>, CohortsUnavailable>;
}

/// The saved cohorts that a request uses, by id.
#[derive(Clone, Debug, Default)]
pub struct Cohorts(Arc<BTreeMap<String, SavedCohort>>);

impl Cohorts {
    /// These cohorts.
    pub fn new(cohorts: impl IntoIterator<Item = (String, SavedCohort)>) -> Self {
        Self(Arc::new(cohorts.into_iter().collect()))
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&SavedCohort> {
        self.0.get(id)
    }

    /// Which versions they are, for the key of an answer.
    pub(crate) fn versions(&self) -> Vec<(&str, u32)> {
        self.0.iter().map(|(id, cohort)| (id.as_str(), cohort.version)).collect()
    }

    /// Looks up what a request mentions, and what that mentions.
    ///
    /// # Errors
    /// More cohorts than a request may use; [`CohortsUnavailable`] as a failure to try again.
    pub(crate) fn load(source: &dyn SavedCohorts, app: &AppId, mentioned: Vec<String>) -> Result<Self, QueryFailure> {
        let (mut found, mut waiting) = (BTreeMap::new(), mentioned);
        let mut asked = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            if id.len() > MAX_COHORT_ID_BYTES || !asked.insert(id.clone()) {
                continue;
            }
            if asked.len() > MAX_COHORTS_PER_REQUEST {
                let message =
                    format!("the request uses more than {MAX_COHORTS_PER_REQUEST} saved cohorts: write some of their rules as one");
                return Err(QueryFailure::invalid("invalid_segment", "segment", message));
            }
            let looked_up = source.cohort(app, &id);
            let cohort = looked_up.map_err(|error| QueryFailure {
                code: "cohorts_unavailable",
                message: error.to_string(),
                field: None,
                kind: FailureKind::Busy,
            })?;
            if let Some(cohort) = cohort {
                mentions(&cohort.rule, true, &mut waiting);
                found.insert(id, cohort);
            }
        }
        Ok(Self(Arc::new(found)))
    }
}

/// The ids of cohorts that a request may mean: what is not one is found not to be when it is looked up.
pub(crate) fn mentioned(request: &Value) -> Vec<String> {
    let mut ids = Vec::new();
    mentions(request, false, &mut ids);
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Whether a metric asks for the members of a cohort.
pub fn metric_has_cohort(metric: &Value, id: &str) -> bool {
    mentioned(metric).iter().any(|mentioned| mentioned == id)
}

/// Whether the cohorts of an app can be evaluated once `id` is among them: its rule can be read, the cohorts it is made of exist, none of
/// them contains it, and those that are made of it stay within their bounds. `cohorts` are all of the app, with the changed one.
///
/// # Errors
/// [`QueryFailure`] names the field at fault, below `rule`; for a cohort that is made of it the code is `cohort_in_use`.
pub fn check_cohort(app: &AppSettings, cohorts: &BTreeMap<String, SavedCohort>, id: &str, now_ms: TimestampMs) -> Result<(), QueryFailure> {
    let check = |id: &str| {
        let Some(cohort) = cohorts.get(id) else { return Ok(()) };
        let mut mentioned = Vec::new();
        mentions(&cohort.rule, true, &mut mentioned);
        let settings = AppSettings { cohorts: Cohorts::load(&OfApp(cohorts), &app.app, mentioned)?, ..app.clone() };
        crate::request::check_cohort(&cohort.rule, id, &settings, now_ms)
    };
    check(id)?;
    let (mut waiting, mut made_of_it) = (vec![id], BTreeSet::new());
    while let Some(part) = waiting.pop() {
        let users = cohorts.iter().filter(|(_, cohort)| rule_mentions(&cohort.rule, part)).map(|(user, _)| user.as_str());
        waiting.extend(users.filter(|&user| user != id && made_of_it.insert(user)));
    }
    made_of_it.into_iter().try_for_each(|user| {
        check(user).map_err(|failure| {
            let message =
                format!("the cohort {user} is made of it and could not be evaluated any more ({}): change that one first", failure.message);
            QueryFailure::invalid("cohort_in_use", "rule", message)
        })
    })
}

/// All cohorts of one app.
struct OfApp<'c>(&'c BTreeMap<String, SavedCohort>);

impl SavedCohorts for OfApp<'_> {
    fn cohort(&self, _: &AppId, id: &str) -> Result<Option<SavedCohort>, CohortsUnavailable> {
        Ok(self.0.get(id).cloned())
    }
}

/// Whether a rule mentions a cohort.
pub fn rule_mentions(rule: &Value, id: &str) -> bool {
    let mut ids = Vec::new();
    mentions(rule, true, &mut ids);
    ids.iter().any(|mentioned| mentioned == id)
}

/// Text is an id where a rule stands, or anywhere with the prefix.
fn mentions(value: &Value, is_rule: bool, ids: &mut Vec<String>) {
    match value {
        // Also as the property of a metric that is written as text.
        Value::String(text) => match text.strip_prefix(COHORT_PREFIX).or_else(|| text.split_once(":cohort:").map(|(_, id)| id)) {
            Some(id) => ids.push(id.to_owned()),
            None if is_rule => ids.push(text.clone()),
            None => {}
        },
        Value::Array(items) => items.iter().for_each(|item| mentions(item, is_rule, ids)),
        Value::Object(fields) => {
            // What is compared with, and ids of persons, are never cohorts.
            for (key, value) in fields.iter().filter(|(key, _)| !matches!(key.as_str(), "value" | "persons")) {
                let holds_rules = matches!(key.as_str(), "segment" | "cohort") || (is_rule && matches!(key.as_str(), "and" | "or" | "not"));
                mentions(value, holds_rules, ids);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_request_mentions() {
        let request = json!({
            "segment": {"and": ["a", {"not": {"cohort": "b"}}, {"did": "purchase", "filters": [{"property": "cohort:c", "op": "in"}]}]},
            "group_by": ["country", "cohort:d"], "event": "a-name", "filters": {"or": ["x", {"property": "p", "op": "eq", "value": "cohort:no"}]}
        });
        assert_eq!(mentioned(&request), ["a", "b", "c", "d"]);
        assert_eq!(mentioned(&json!({"metrics": ["count_distinct:cohort:e", "sum:price"]})), ["e"]);
        assert!(rule_mentions(&json!({"not": "a"}), "a") && !rule_mentions(&json!({"did": "a"}), "a"));
    }

    #[test]
    fn a_change_leaves_no_circle_and_nothing_that_cannot_be_evaluated() {
        let settings = AppSettings::new(AppId::new("A").unwrap());
        let check = |cohorts: &[(&str, Value)], id: &str| {
            let cohorts = cohorts.iter().map(|(id, rule)| ((*id).to_owned(), SavedCohort { version: 1, rule: rule.clone() })).collect();
            check_cohort(&settings, &cohorts, id, 0).map_err(|failure| failure.code)
        };
        assert_eq!(check(&[("a", json!({"did": "x"})), ("b", json!({"not": "a"}))], "a"), Ok(()));
        assert!(check(&[("a", json!("b")), ("b", json!({"not": "a"}))], "a").is_err());
        assert!(check(&[("a", json!("gone"))], "a").is_err());
        let wide = json!({"or": vec![json!({"did": "x"}); 95]});
        let half = json!({"or": vec![json!({"did": "x"}); 10]});
        assert_eq!(check(&[("a", wide.clone()), ("b", json!({"and": ["a", "c"]})), ("c", half)], "a"), Err("cohort_in_use"));
        assert_eq!(check(&[("a", wide), ("b", json!({"did": "x"}))], "a"), Ok(()));
    }

    struct Shelf;

    impl SavedCohorts for Shelf {
        fn cohort(&self, _: &AppId, id: &str) -> Result<Option<SavedCohort>, CohortsUnavailable> {
            let number: u32 = id.parse().map_err(|_| CohortsUnavailable("told to fail".to_owned()))?;
            Ok((number > 0).then(|| SavedCohort { version: number, rule: json!({"cohort": (number - 1).to_string()}) }))
        }
    }

    #[test]
    fn cohorts_of_cohorts_are_looked_up_within_bounds() {
        let app = AppId::new("A").unwrap();
        let load = |id: &str| Cohorts::load(&Shelf, &app, vec![id.to_owned()]);
        assert_eq!(load("3").unwrap().versions(), [("1", 1), ("2", 2), ("3", 3)]);
        assert!(load("0").unwrap().is_empty());
        assert_eq!(load("51").unwrap_err().code, "invalid_segment");
        let failure = load("x").unwrap_err();
        assert_eq!((failure.code, failure.kind), ("cohorts_unavailable", FailureKind::Busy));
    }
}
