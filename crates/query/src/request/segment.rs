//! Reads segments: rules about persons, written in the request or saved as cohorts.

use std::sync::Arc;

use event::TimestampMs;
use event_store::{DidRule, Field, Filter, HasRule, Op, Segment, SegmentRule, Value};

use super::filter::FilterReader;
use super::period::{self, time_of};
use super::{MAX_EVENT_NAMES, event_name, max_named};
use crate::cohorts::COHORT_PREFIX;
use crate::failure::QueryFailure;
use crate::node::{Node, Object, shown};

/// Most rules of one request, wherever they stand; those of its cohorts count.
const MAX_RULES: usize = 100;
/// Most rules, and most cohorts, inside one another.
const MAX_NESTING: usize = 16;
/// Most persons listed in one rule.
pub(crate) const MAX_LISTED_PERSONS: usize = 10_000;
/// Longest id of a person, in bytes.
const MAX_ID_BYTES: usize = 255;
/// Most times a rule may ask for.
const MAX_TIMES: usize = 1_000_000;
/// The code of whatever is wrong with a segment.
const CODE: &str = "invalid_segment";

/// What stands for the whole of a rule; a rule has one of them.
const KINDS: [&str; 8] = ["did", "did_not", "property", "cohort", "persons", "and", "or", "not"];

/// Where the reading of rules is.
#[derive(Default)]
pub(super) struct Rules {
    /// Rules read so far.
    count: usize,
    /// The saved cohorts that are being read, one in the other.
    open: Vec<String>,
    /// What the windows of rules begin and end with, where they are calendar days: see [`period::Period::rule_marks`].
    pub(super) marks: Vec<(TimestampMs, TimestampMs)>,
}

/// From when relative windows count back, and what is not looked at any more.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) now_ms: TimestampMs,
    pub(super) before_ms: TimestampMs,
}

/// Which of a person's matching events a rule looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occurrence {
    Any,
    First,
    Last,
}

impl FilterReader<'_> {
    /// Reads the fields `filters` and `segment` of a question: what holds for every event that counts.
    pub(crate) fn question(&mut self, object: &Object<'_>) -> Result<Filter, QueryFailure> {
        let filter = self.filters(object)?;
        let Some(node) = object.get("segment") else { return Ok(filter) };
        let members = member(Field::InSegment(self.segment(&node)?));
        Ok(if filter == Filter::all() { members } else { Filter::And(vec![filter, members]) })
    }

    /// Reads a segment: the id of a cohort, or a rule.
    pub(crate) fn segment(&mut self, node: &Node<'_>) -> Result<Arc<Segment>, QueryFailure> {
        let node = node.clone().coded(CODE);
        let name = match node.value.as_str() {
            Some(id) => format!("{COHORT_PREFIX}{}", shown(id.strip_prefix(COHORT_PREFIX).unwrap_or(id))),
            None => "segment".to_owned(),
        };
        Ok(Arc::new(Segment { name, rule: self.rule(&node, 1)? }))
    }

    /// Reads a rule that is to be saved as the cohort `id`, which it cannot contain.
    pub(crate) fn rule_of_cohort(&mut self, node: &Node<'_>, id: &str) -> Result<SegmentRule, QueryFailure> {
        self.rules.open.push(id.to_owned());
        self.rule(&node.clone().coded(CODE), 1)
    }

    /// The field that asks whether the person is in a saved cohort.
    pub(super) fn in_cohort(&mut self, node: &Node<'_>, id: &str) -> Result<Field, QueryFailure> {
        let rule = self.cohort(&node.clone().coded(CODE), id, 1)?;
        Ok(Field::InSegment(Arc::new(Segment { name: format!("{COHORT_PREFIX}{id}"), rule })))
    }

    fn rule(&mut self, node: &Node<'_>, depth: usize) -> Result<SegmentRule, QueryFailure> {
        if depth > MAX_NESTING {
            return Err(node.error(format!("rules are nested deeper than {MAX_NESTING}")));
        }
        self.rules.count += 1;
        if self.rules.count > MAX_RULES {
            return Err(
                node.error(format!("more than {MAX_RULES} rules in one request, those of its cohorts included: ask for less at once"))
            );
        }
        if let Some(id) = node.value.as_str() {
            return self.cohort(node, id, depth);
        }
        let known =
            [&KINDS[..], &["filters", "at_least", "at_most", "exactly", "range", "from", "to", "occurrence", "op", "value", "as_of"]];
        let object = node.object(&known.concat())?;
        let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| object.get_or_null(kind).is_some()).collect();
        let [kind] = kinds[..] else {
            return Err(node.error(format!("a rule has one of {}: put several into \"and\" or \"or\"", KINDS.join(", "))));
        };
        let outer = self.moment;
        if let Some(as_of) = object.get("as_of") {
            let as_of_ms = time_of(&as_of, self.zone)?;
            self.moment = Moment { now_ms: as_of_ms, before_ms: as_of_ms.min(outer.before_ms) };
        }
        let rule = self.rule_of_kind(node, kind, depth);
        self.moment = outer;
        rule
    }

    fn rule_of_kind(&mut self, node: &Node<'_>, kind: &str, depth: usize) -> Result<SegmentRule, QueryFailure> {
        // Once more, with what goes with this kind alone.
        let only = |fields: &[&str]| node.object(&[&[kind, "as_of"], fields].concat());
        const WHEN: [&str; 3] = ["range", "from", "to"];
        match kind {
            "did" => self.did(&only(&[&["filters", "at_least", "at_most", "exactly", "occurrence"][..], &WHEN].concat())?),
            "did_not" => {
                let object = only(&[&["filters"][..], &WHEN].concat())?;
                let events = names(&object, "did_not")?;
                let did = self.counted(&object, events, (1, None))?;
                Ok(SegmentRule::Not(Box::new(SegmentRule::Did(did))))
            }
            "property" => {
                let object = only(&["op", "value"])?;
                let condition = self.condition(node, &object)?;
                self.of_person(node, condition)
            }
            "cohort" => {
                let id = only(&[])?.required("cohort", "the id of a saved cohort")?;
                self.cohort(&id, id.text("the id of a saved cohort")?, depth)
            }
            "persons" => listed(&only(&[])?.required("persons", "a list of ids")?),
            "not" => {
                let inner = only(&[])?.required("not", "a rule")?;
                Ok(SegmentRule::Not(Box::new(self.rule(&inner, depth + 1)?)))
            }
            _ => {
                let inner = only(&[])?.required(kind, "a list of rules")?;
                let nodes = inner.list("rules", MAX_RULES)?;
                if nodes.is_empty() {
                    return Err(inner.error("the list is empty: give at least one rule"));
                }
                let rules = nodes.iter().map(|node| self.rule(node, depth + 1)).collect::<Result<_, _>>()?;
                Ok(if kind == "and" { SegmentRule::All(rules) } else { SegmentRule::Any(rules) })
            }
        }
    }

    fn did(&mut self, object: &Object<'_>) -> Result<SegmentRule, QueryFailure> {
        const OCCURRENCES: [(&str, Occurrence); 3] = [("any", Occurrence::Any), ("first", Occurrence::First), ("last", Occurrence::Last)];
        let events = names(object, "did")?;
        let times = times(object)?;
        let occurrence = object.get("occurrence");
        let which = occurrence.as_ref().map_or(Ok(Occurrence::Any), |node| node.choice(&OCCURRENCES))?;
        if let (Some(node), true) = (occurrence, which != Occurrence::Any)
            && times != (1, None)
        {
            return Err(node.error("the first or last time is one time: leave \"at_least\", \"at_most\" and \"exactly\" out"));
        }
        let did = self.counted(object, events, times)?;
        let beyond = match which {
            Occurrence::Any => return Ok(SegmentRule::Did(did)),
            // The first time lies in the window when there is one in it and none before.
            Occurrence::First => DidRule { from_ms: TimestampMs::MIN, to_ms: did.from_ms, ..did.clone() },
            Occurrence::Last => DidRule { from_ms: did.to_ms, to_ms: self.moment.before_ms, ..did.clone() },
        };
        Ok(SegmentRule::All(vec![SegmentRule::Did(did), SegmentRule::Not(Box::new(SegmentRule::Did(beyond)))]))
    }

    fn counted(
        &mut self,
        object: &Object<'_>,
        events: Option<Vec<String>>,
        (at_least, at_most): (u32, Option<u32>),
    ) -> Result<DidRule, QueryFailure> {
        let filter = self.filters(object)?;
        let period = period::period(object, self.zone, self.moment.now_ms, "all")?;
        self.rules.marks.extend(period.cache_mark);
        let to_ms = period.to_ms.min(self.moment.before_ms);
        Ok(DidRule { from_ms: period.from_ms, to_ms, events, filter, at_least, at_most })
    }

    fn cohort(&mut self, node: &Node<'_>, id: &str, depth: usize) -> Result<SegmentRule, QueryFailure> {
        let id = id.strip_prefix(COHORT_PREFIX).unwrap_or(id);
        if self.rules.open.iter().any(|open| open == id) {
            return Err(node.error(format!("the cohort \"{}\" would contain itself", shown(id))));
        }
        if self.rules.open.len() >= MAX_NESTING {
            return Err(node.error(format!("more than {MAX_NESTING} cohorts are made of one another")));
        }
        let app = self.app;
        let Some(saved) = app.cohorts.get(id) else {
            let message = format!("there is no cohort \"{}\": GET /cohorts lists those of the app", shown(id));
            return Err(node.clone().coded("unknown_cohort").error(message));
        };
        self.rules.open.push(id.to_owned());
        let rule = self.rule(&Node::root(&saved.rule).coded(CODE), depth + 1);
        self.rules.open.pop();
        // The place of the mistake is the cohort's, which the request does not show.
        rule.map_err(|failure| {
            let place = failure.field.map(|field| format!(" at {field}")).unwrap_or_default();
            let message = format!("in the cohort \"{}\"{place}: {}", shown(id), failure.message);
            QueryFailure { field: Some(node.path.clone()).filter(|path| !path.is_empty()), message, ..failure }
        })
    }

    /// A condition on what is known of a person, as rules.
    fn of_person(&self, node: &Node<'_>, condition: Filter) -> Result<SegmentRule, QueryFailure> {
        let each = |filters: Vec<Filter>| filters.into_iter().map(|filter| self.of_person(node, filter)).collect::<Result<_, _>>();
        Ok(match condition {
            Filter::And(filters) => SegmentRule::All(each(filters)?),
            Filter::Or(filters) => SegmentRule::Any(each(filters)?),
            Filter::Not(inner) => SegmentRule::Not(Box::new(self.of_person(node, *inner)?)),
            Filter::Compare(Field::UserProperty(property), op) => {
                SegmentRule::Has(HasRule { property, op, before_ms: self.moment.before_ms })
            }
            Filter::Compare(Field::InSegment(segment), op) => {
                let takes = |value: bool| matches!(&op, Op::In(values) if values.contains(&Value::Bool(value))) || op == Op::IsSet;
                let inside = segment.rule.clone();
                let outside = SegmentRule::Not(Box::new(inside.clone()));
                let parts = [(takes(true), inside), (takes(false), outside)];
                SegmentRule::Any(parts.into_iter().filter(|(takes, _)| *takes).map(|(_, rule)| rule).collect())
            }
            Filter::Compare(..) => {
                return Err(node.error(
                    "a rule about a person names a property of the person, such as user.plan; events are looked at with \"did\" and its \"filters\"",
                ));
            }
        })
    }
}

/// Holds for events of members.
pub(super) fn member(field: Field) -> Filter {
    Filter::Compare(field, Op::In(vec![Value::Bool(true)]))
}

/// One event name, a list of them, or null for any event.
fn names(object: &Object<'_>, key: &str) -> Result<Option<Vec<String>>, QueryFailure> {
    let node = object.required(key, "an event name, a list of them, or null for any event")?;
    if node.value.is_null() {
        return Ok(None);
    }
    let nodes = node.one_or_list("event names", MAX_EVENT_NAMES)?;
    if nodes.is_empty() {
        return Err(node.error("the list is empty: give at least one event name, or null for any event"));
    }
    nodes.iter().map(|node| event_name(node).map(str::to_owned)).collect::<Result<_, _>>().map(Some)
}

/// Fewest and most times; once at least unless told otherwise.
fn times(object: &Object<'_>) -> Result<(u32, Option<u32>), QueryFailure> {
    let read = |key: &str, min: usize| match object.get(key) {
        Some(node) => node.count(min, MAX_TIMES).map(|times| Some((times as u32, node))),
        None => Ok(None),
    };
    match (read("exactly", 0)?, read("at_least", 1)?, read("at_most", 0)?) {
        (Some((times, _)), None, None) => Ok((times, Some(times))),
        (Some((_, node)), ..) => Err(node.error("\"exactly\" says both ends: leave \"at_least\" and \"at_most\" out")),
        (None, Some((least, _)), Some((most, node))) if most < least => {
            Err(node.error(format!("at most {most} times and at least {least} is nobody")))
        }
        (None, least, most) => {
            // "At most" alone holds for whoever never did it, too.
            let default = if most.is_some() { 0 } else { 1 };
            Ok((least.map_or(default, |(times, _)| times), most.map(|(times, _)| times)))
        }
    }
}

fn listed(node: &Node<'_>) -> Result<SegmentRule, QueryFailure> {
    let nodes = node.list("persons", MAX_LISTED_PERSONS)?;
    let ids = nodes.iter().map(|node| max_named(node, "a person's id", MAX_ID_BYTES).map(str::to_owned));
    Ok(SegmentRule::Listed(ids.collect::<Result<Vec<_>, _>>()?.into()))
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
