use event_store::{Filter, FunnelMode, FunnelStep, Selection};

use super::CONTRADICTION;
use crate::failure::QueryFailure;
use crate::node::{Node, Object};
use crate::request::filter::FilterReader;
use crate::request::{event_name, max_named};

/// Most steps.
const MAX_STEPS: usize = event_store::MAX_FUNNEL_STEPS;
/// Most alternatives of one step.
const MAX_ALTERNATIVES: usize = 20;
/// Longest label of a step.
const MAX_LABEL_BYTES: usize = 255;

/// One step with the name it is shown under.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FunnelRequestStep {
    /// The request's label, else the event's name.
    pub label: String,
    /// What matches it.
    pub step: FunnelStep,
}

/// Reads `steps`.
pub(super) fn steps(object: &Object<'_>, mode: FunnelMode, filters: &mut FilterReader<'_>) -> Result<Vec<FunnelRequestStep>, QueryFailure> {
    let node = object.required("steps", "a list of event names, in order")?.coded("invalid_step");
    let nodes = node.list("steps", MAX_STEPS)?;
    if nodes.is_empty() {
        return Err(node.error("the list is empty: give at least one step"));
    }
    let read = |(place, node): (usize, &Node<'_>)| {
        let (label, any_of, object) = alternatives(node, &["optional"], filters)?;
        let optional = object.as_ref().and_then(|object| object.get("optional"));
        let is_optional = optional.as_ref().map_or(Ok(false), Node::boolean)?;
        if let (Some(optional), true) = (optional, is_optional) {
            may_be_optional(&optional.coded(CONTRADICTION), place, mode)?;
        }
        Ok(FunnelRequestStep { label, step: FunnelStep { any_of, optional: is_optional } })
    };
    nodes.iter().enumerate().map(read).collect()
}

fn may_be_optional(node: &Node<'_>, place: usize, mode: FunnelMode) -> Result<(), QueryFailure> {
    match mode {
        FunnelMode::Strict => Err(node.error("in a strict funnel nothing is left out between two steps: use \"mode\": \"ordered\"")),
        FunnelMode::Unordered => {
            Err(node.error("an unordered funnel counts how many steps were done: leave the step out, or use \"mode\": \"ordered\""))
        }
        FunnelMode::Ordered if place == 0 => {
            Err(node.error("the first step begins every attempt and cannot be optional: begin with the next step"))
        }
        FunnelMode::Ordered => Ok(()),
    }
}

/// Reads an event name, an object with `event` and `filters`, or one with `any_of`; in objects also the fields `more`. Gives the label, what
/// matches, and the object.
pub(in crate::request) fn alternatives<'n>(
    node: &Node<'n>,
    more: &[&str],
    filters: &mut FilterReader<'_>,
) -> Result<(String, Vec<Selection>, Option<Object<'n>>), QueryFailure> {
    if node.value.is_string() {
        let (label, selection) = selection(node, &[], filters)?;
        return Ok((label, vec![selection], None));
    }
    let has_alternatives = node.value.as_object().is_some_and(|map| map.contains_key("any_of"));
    if !has_alternatives {
        let (label, selection) = selection(node, more, filters)?;
        return Ok((label, vec![selection], Some(node.object(&[&SELECTION_FIELDS, more].concat())?)));
    }
    let object = node.object(&[&["any_of", "label"], more].concat())?;
    let list = object.required("any_of", "a list of steps")?;
    let nodes = list.list("alternatives", MAX_ALTERNATIVES)?;
    if nodes.is_empty() {
        return Err(list.error("the list is empty: give at least one step"));
    }
    let found = nodes.iter().map(|node| selection(node, &[], filters)).collect::<Result<Vec<_>, _>>()?;
    let (labels, any_of): (Vec<String>, Vec<_>) = found.into_iter().unzip();
    let label = given_label(&object)?.unwrap_or_else(|| labels.join(" or "));
    Ok((label, any_of, Some(object)))
}

const SELECTION_FIELDS: [&str; 3] = ["event", "filters", "label"];

fn selection(node: &Node<'_>, more: &[&str], filters: &mut FilterReader<'_>) -> Result<(String, Selection), QueryFailure> {
    if node.value.is_string() {
        let name = event_name(node)?.to_owned();
        return Ok((name.clone(), (Some(vec![name]), Filter::all())));
    }
    let object = node.object(&[&SELECTION_FIELDS, more].concat())?;
    let event = object.required("event", "the event's name, or null for any event")?;
    let name = if event.value.is_null() { None } else { Some(event_name(&event)?.to_owned()) };
    let filter = filters.filters(&object)?;
    let label = given_label(&object)?.or_else(|| name.clone()).unwrap_or_else(|| "any event".to_owned());
    Ok((label, (name.map(|name| vec![name]), filter)))
}

fn given_label(object: &Object<'_>) -> Result<Option<String>, QueryFailure> {
    object.get("label").map(|node| max_named(&node, "a label", MAX_LABEL_BYTES).map(str::to_owned)).transpose()
}
