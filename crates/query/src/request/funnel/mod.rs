//! Reads `/funnel` requests, and those for the persons behind one.

mod options;
mod persons;
mod steps;

use event_store::{Attribution, ConversionTime, Field, Filter, FunnelExclusion, FunnelMode};

use super::filter::FilterReader;
use super::period::{self, Period, counted_unit};
use super::question::{DEFAULT_LIMIT, MAX_LIMIT, explain, limit, own_app, use_cache};
use crate::calendar::Interval;
use crate::failure::QueryFailure;
use crate::node::{Node, Object};
use crate::options::AppSettings;
use options::{Preset, attribution, conversion_time, exclusions, hold_constant};
pub(crate) use persons::{FunnelPersonRequest, FunnelPersonsRequest, read_funnel_person, read_funnel_persons};
pub(crate) use steps::FunnelRequestStep;
pub(super) use steps::alternatives;

/// Longest window: 366 days.
pub(super) const MAX_WINDOW_MS: i64 = 366 * 86_400_000;
const DEFAULT_WINDOW_MS: i64 = 7 * 86_400_000;
/// The code of a request whose options exclude one another.
pub(super) const CONTRADICTION: &str = "contradictory_options";

/// A `/funnel` request.
#[derive(Clone, Debug)]
pub(crate) struct FunnelRequest {
    pub period: Period,
    pub steps: Vec<FunnelRequestStep>,
    pub filter: Filter,
    pub preset: Option<Preset>,
    pub mode: FunnelMode,
    pub window_ms: Option<i64>,
    pub first_entry_only: bool,
    pub range_applies_to_all: bool,
    pub exclusions: Vec<FunnelExclusion>,
    /// With the names they were asked by.
    pub hold_constant: Vec<(String, Field)>,
    pub counts_attempts: bool,
    pub breakdown: Option<Field>,
    pub attribution: Attribution,
    pub interval: Option<Interval>,
    pub conversion_time: Option<ConversionTime>,
    pub limit: usize,
    pub use_cache: bool,
    /// Whether the answer says how it came to be; it is then worked out anew.
    pub explain: bool,
}

const FIELDS: [&str; 23] = [
    "steps",
    "range",
    "from",
    "to",
    "timezone",
    "window",
    "filters",
    "mode",
    "entry",
    "range_applies_to",
    "counting",
    "breakdown",
    "attribution",
    "limit",
    "cache",
    "explain",
    "app_id",
    "exclusions",
    "hold_constant",
    "segment",
    "preset",
    "interval",
    "time_to_convert",
];

/// Reads a `/funnel` request.
pub(crate) fn read_funnel(value: &serde_json::Value, app: &AppSettings, now_ms: i64) -> Result<FunnelRequest, QueryFailure> {
    let object = Node::root(value).object(&FIELDS)?;
    let limit = limit(&object, DEFAULT_LIMIT, MAX_LIMIT)?;
    funnel_of(&object, limit, app, now_ms)
}

/// Reads what all questions about a funnel have in common.
fn funnel_of(object: &Object<'_>, limit: usize, app: &AppSettings, now_ms: i64) -> Result<FunnelRequest, QueryFailure> {
    own_app(object, app)?;
    let preset = options::preset(object)?;
    let zone = period::timezone(object, app)?;
    let mut period = period::of_question(object, &zone, app, now_ms)?;
    let mut filters = FilterReader::new(app, &zone, now_ms);
    let filter = filters.question(object)?;
    let mode =
        choice(object, "mode", &[("ordered", FunnelMode::Ordered), ("strict", FunnelMode::Strict), ("unordered", FunnelMode::Unordered)])?;
    let mode = mode.unwrap_or_default();
    let steps = steps::steps(object, mode, &mut filters)?;
    let counts_attempts = choice(object, "counting", &[("users", false), ("totals", true)])?.unwrap_or(false);
    let exclusions = exclusions(object, mode, &steps, &mut filters)?;
    let breakdown = breakdown(object, &mut filters)?;
    period.rule_marks = filters.into_marks();
    let attribution = attribution(object, mode, &steps, breakdown.is_some())?;
    let range_applies_to_all = choice(object, "range_applies_to", &[("entry", false), ("all", true)])?;
    Ok(FunnelRequest {
        period,
        filter,
        mode,
        window_ms: window(object, preset)?,
        first_entry_only: first_entry_only(object, preset, counts_attempts)?,
        range_applies_to_all: range_applies_to_all.unwrap_or(preset == Some(Preset::PostHog)),
        exclusions,
        hold_constant: hold_constant(object)?,
        counts_attempts,
        breakdown,
        attribution,
        interval: period::interval(object)?,
        conversion_time: conversion_time(object, &steps)?,
        limit,
        use_cache: use_cache(object)?,
        explain: explain(object)?,
        preset,
        steps,
    })
}

pub(super) fn choice<T: Copy>(object: &Object<'_>, key: &str, choices: &[(&str, T)]) -> Result<Option<T>, QueryFailure> {
    object.get(key).map(|node| node.choice(choices)).transpose()
}

/// A person's first entry makes one attempt, so there is nothing to add up.
fn first_entry_only(object: &Object<'_>, preset: Option<Preset>, counts_attempts: bool) -> Result<bool, QueryFailure> {
    let entry = choice(object, "entry", &[("any", false), ("first", true)])?;
    match (entry, object.get("counting")) {
        (Some(true), Some(node)) if counts_attempts => {
            let message =
                "with \"entry\": \"first\" each person has one attempt: count users, or leave \"entry\" out to count every attempt";
            Err(node.coded(CONTRADICTION).error(message))
        }
        _ => Ok(entry.unwrap_or(preset == Some(Preset::Mixpanel) && !counts_attempts)),
    }
}

fn window(object: &Object<'_>, preset: Option<Preset>) -> Result<Option<i64>, QueryFailure> {
    let Some(node) = object.get("window") else { return Ok(Some(preset.map_or(DEFAULT_WINDOW_MS, Preset::window_ms))) };
    let node = node.coded("invalid_window");
    if node.value.as_str() == Some("none") {
        return Ok(None);
    }
    let ms = match node.value {
        serde_json::Value::String(text) => counted_unit(text).and_then(|(count, unit_ms)| count.checked_mul(unit_ms)),
        value => value.as_i64(),
    };
    match ms {
        Some(ms) if (1..=MAX_WINDOW_MS).contains(&ms) => Ok(Some(ms)),
        _ => Err(node
            .error("expected a length such as \"7d\", \"12h\", \"30m\" or \"45s\", a number of milliseconds, or \"none\"; at most 366d")),
    }
}

pub(super) fn breakdown(object: &Object<'_>, filters: &mut FilterReader<'_>) -> Result<Option<Field>, QueryFailure> {
    let Some(node) = object.get("breakdown") else { return Ok(None) };
    let node = node.coded("invalid_breakdown");
    match filters.field(&node)? {
        Field::Time | Field::ReceivedAt => Err(node.error("a breakdown is by a property, not by a time")),
        field => Ok(Some(field)),
    }
}

#[cfg(test)]
mod tests;
