use event_store::{Attribution, ConversionTime, Field, FunnelExclusion, FunnelMode, MAX_FUNNEL_EXCLUSIONS};

use super::steps::{FunnelRequestStep, alternatives};
use super::{CONTRADICTION, choice};
use crate::failure::QueryFailure;
use crate::node::{Node, Object};
use crate::request::filter::{FilterReader, field};

const DAY_MS: i64 = 86_400_000;
/// Most properties held constant.
const MAX_HELD: usize = 3;
/// Most bins of a distribution.
const MAX_BINS: usize = 1_000;

/// A product whose defaults are taken where the request says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preset {
    Mixpanel,
    Amplitude,
    PostHog,
}

impl Preset {
    /// Its name in a request.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mixpanel => "mixpanel",
            Self::Amplitude => "amplitude",
            Self::PostHog => "posthog",
        }
    }

    /// Its window.
    pub fn window_ms(self) -> i64 {
        match self {
            Self::Mixpanel => 7 * DAY_MS,
            Self::Amplitude => DAY_MS,
            Self::PostHog => 14 * DAY_MS,
        }
    }
}

/// Reads `preset`.
pub(super) fn preset(object: &Object<'_>) -> Result<Option<Preset>, QueryFailure> {
    choice(object, "preset", &[Preset::Mixpanel, Preset::Amplitude, Preset::PostHog].map(|preset| (preset.name(), preset)))
}

/// Reads the number of a step, counted from 1, and gives it counted from 0.
pub(super) fn step_number(node: &Node<'_>, steps: usize) -> Result<usize, QueryFailure> {
    node.count(1, steps).map(|step| step - 1)
}

/// Reads `exclusions`.
pub(super) fn exclusions(
    object: &Object<'_>,
    mode: FunnelMode,
    steps: &[FunnelRequestStep],
    filters: &mut FilterReader<'_>,
) -> Result<Vec<FunnelExclusion>, QueryFailure> {
    let Some(node) = object.get("exclusions") else { return Ok(Vec::new()) };
    let node = node.coded("invalid_exclusion");
    let nodes = node.list("exclusions", MAX_FUNNEL_EXCLUSIONS)?;
    let refused = |message: &str| Err(node.clone().coded(CONTRADICTION).error(message));
    if !nodes.is_empty() && mode == FunnelMode::Strict {
        return refused(
            "in a strict funnel nothing at all comes between two steps: leave the exclusions out, or use \"mode\": \"ordered\"",
        );
    }
    if !nodes.is_empty() && steps.len() < 2 {
        return refused("an exclusion lies between two steps, and the funnel has one");
    }
    nodes.iter().map(|node| exclusion(node, mode, steps, filters)).collect()
}

fn exclusion(
    node: &Node<'_>,
    mode: FunnelMode,
    steps: &[FunnelRequestStep],
    filters: &mut FilterReader<'_>,
) -> Result<FunnelExclusion, QueryFailure> {
    let (_, any_of, object) = alternatives(node, &["from_step", "to_step"], filters)?;
    let last = steps.iter().rposition(|step| !step.step.optional).unwrap_or(0);
    let end = |key: &str, default: usize| {
        let Some(node) = object.as_ref().and_then(|object| object.get(key)) else { return Ok(default) };
        let step = step_number(&node, steps.len())?;
        if steps[step].step.optional {
            let message = format!("step {} is optional: an exclusion lies between two steps that are not", step + 1);
            return Err(node.coded(CONTRADICTION).error(message));
        }
        if mode == FunnelMode::Unordered && step != default {
            let message = "unordered steps have no first and second: leave \"from_step\" and \"to_step\" out to exclude from the first event to the last";
            return Err(node.coded(CONTRADICTION).error(message));
        }
        Ok(step)
    };
    let (from_step, to_step) = (end("from_step", 0)?, end("to_step", last)?);
    if from_step >= to_step {
        let place = object.as_ref().and_then(|object| object.get("to_step").or(object.get("from_step")));
        return Err(place.unwrap_or(node.clone()).error(format!("the exclusion runs from step {} to a later one", from_step + 1)));
    }
    Ok(FunnelExclusion { any_of, from_step, to_step })
}

/// Reads `hold_constant`: a property or a list of them.
pub(super) fn hold_constant(object: &Object<'_>) -> Result<Vec<(String, Field)>, QueryFailure> {
    let Some(node) = object.get("hold_constant") else { return Ok(Vec::new()) };
    let read = |node: &Node<'_>| match field(node)? {
        Field::Time | Field::ReceivedAt => Err(node.error("a time is not held constant: give a property")),
        field => Ok((node.text("the name of a property")?.to_owned(), field)),
    };
    node.one_or_list("properties", MAX_HELD)?.iter().map(read).collect()
}

/// Reads `attribution`: `first`, `last`, or `step:2`.
pub(super) fn attribution(
    object: &Object<'_>,
    mode: FunnelMode,
    steps: &[FunnelRequestStep],
    has_breakdown: bool,
) -> Result<Attribution, QueryFailure> {
    let Some(node) = object.get("attribution") else { return Ok(Attribution::First) };
    let refused = |message: String| Err(node.clone().coded(CONTRADICTION).error(message));
    if !has_breakdown {
        return refused("the attribution says which event gives the value of \"breakdown\", and there is none".to_owned());
    }
    let text = node.text("first, last, or a step such as step:2")?;
    let number = match (text, text.strip_prefix("step:")) {
        ("first", _) => return Ok(Attribution::First),
        ("last", _) => return Ok(Attribution::Last),
        (_, number) => number.and_then(|number| number.parse::<usize>().ok()),
    };
    match number.filter(|number| (1..=steps.len()).contains(number)) {
        None => Err(node.error(format!("expected first, last, or a step from step:1 to step:{}", steps.len()))),
        Some(_) if mode == FunnelMode::Unordered => refused("unordered steps have no numbers: use first or last".to_owned()),
        Some(number) if steps[number - 1].step.optional => refused(format!("step {number} is optional: name one that is not")),
        Some(number) => Ok(Attribution::Step(number - 1)),
    }
}

/// Reads `time_to_convert`: `true`, or an object with `from_step`, `to_step` and `bins`.
pub(super) fn conversion_time(object: &Object<'_>, steps: &[FunnelRequestStep]) -> Result<Option<ConversionTime>, QueryFailure> {
    let Some(node) = object.get("time_to_convert") else { return Ok(None) };
    if node.value.as_bool() == Some(false) {
        return Ok(None);
    }
    if steps.len() < 2 {
        return Err(node.coded(CONTRADICTION).error("a time runs from one step to another, and the funnel has one"));
    }
    let last = steps.iter().rposition(|step| !step.step.optional).unwrap_or(0);
    let whole = ConversionTime { from_step: 0, to_step: if last > 0 { last } else { steps.len() - 1 }, bins: None };
    if node.value.as_bool() == Some(true) {
        return Ok(Some(whole));
    }
    let object = node.object(&["from_step", "to_step", "bins"])?;
    let end = |key: &str, default: usize| object.get(key).map_or(Ok(default), |node| step_number(&node, steps.len()));
    let (from_step, to_step) = (end("from_step", whole.from_step)?, end("to_step", whole.to_step)?);
    if from_step >= to_step {
        let place = object.get("to_step").or(object.get("from_step")).unwrap_or(node.clone());
        return Err(place.error(format!("the time runs from step {} to a later one", from_step + 1)));
    }
    let bins = object.get("bins").map(|node| node.count(1, MAX_BINS)).transpose()?;
    Ok(Some(ConversionTime { from_step, to_step, bins }))
}
