use event_store::StepOutcome;

use super::options::step_number;
use super::{FIELDS, FunnelRequest, choice, funnel_of};
use crate::failure::QueryFailure;
use crate::node::Node;
use crate::options::AppSettings;
use crate::request::max_named;
use crate::request::question::limit;

/// Persons on a page unless the request says otherwise, ...
const DEFAULT_PAGE: usize = 100;
/// ... and at most.
const MAX_PAGE: usize = 1_000;
/// Events of one person in an answer unless the request says otherwise, ...
const DEFAULT_EVENTS: usize = 100;
/// ... and at most.
const MAX_EVENTS: usize = 1_000;
/// Longest id of a person.
const MAX_ID_BYTES: usize = 255;
/// Longest cursor.
const MAX_CURSOR_BYTES: usize = 100;

/// A `/funnel/persons` request.
#[derive(Clone, Debug)]
pub(crate) struct FunnelPersonsRequest {
    pub funnel: FunnelRequest,
    /// Counted from 0.
    pub step: usize,
    pub outcome: StepOutcome,
    /// Persons at most.
    pub limit: usize,
    pub cursor: Option<String>,
}

/// A `/funnel/person` request.
#[derive(Clone, Debug)]
pub(crate) struct FunnelPersonRequest {
    pub funnel: FunnelRequest,
    /// The person's id.
    pub person: String,
    /// Events at most.
    pub limit: usize,
}

/// Reads a `/funnel/persons` request: one for a funnel, and which of its persons.
pub(crate) fn read_funnel_persons(value: &serde_json::Value, app: &AppSettings, now_ms: i64) -> Result<FunnelPersonsRequest, QueryFailure> {
    let object = Node::root(value).object(&[&FIELDS[..], &["step", "outcome", "cursor"]].concat())?;
    let funnel = funnel_of(&object, 1, app, now_ms)?;
    let step = object.required("step", "the number of the step, counted from 1")?;
    let number = step_number(&step, funnel.steps.len())?;
    let outcome = choice(&object, "outcome", &[("reached", StepOutcome::Reached), ("dropped", StepOutcome::Dropped)])?;
    let outcome = outcome.unwrap_or(StepOutcome::Reached);
    if number == 0 && outcome == StepOutcome::Dropped {
        return Err(step.error("nobody drops before the first step: ask for a later one"));
    }
    let cursor = object.get("cursor").map(|node| max_named(&node, "a cursor", MAX_CURSOR_BYTES).map(str::to_owned)).transpose()?;
    Ok(FunnelPersonsRequest { funnel, step: number, outcome, limit: limit(&object, DEFAULT_PAGE, MAX_PAGE)?, cursor })
}

/// Reads a `/funnel/person` request: one for a funnel, and the id of a person.
pub(crate) fn read_funnel_person(value: &serde_json::Value, app: &AppSettings, now_ms: i64) -> Result<FunnelPersonRequest, QueryFailure> {
    let object = Node::root(value).object(&[&FIELDS[..], &["person"]].concat())?;
    let funnel = funnel_of(&object, 1, app, now_ms)?;
    let person = object.required("person", "the user id, or the anonymous id of a person without one")?;
    let person = max_named(&person, "an id", MAX_ID_BYTES)?.to_owned();
    Ok(FunnelPersonRequest { funnel, person, limit: limit(&object, DEFAULT_EVENTS, MAX_EVENTS)? })
}
