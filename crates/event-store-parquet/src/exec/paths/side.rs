//! Steps and anchors as a scan sees them.

use event_store::{Field, Filter, Op, PathBound, PathsPlan, QueryError, ScanStats, Selection, Value};

use crate::exec::aggregate::add_stats;
use crate::exec::batch::{Batch, Fields};
use crate::exec::column_scan::Reading;
use crate::exec::filter::{Memos, Predicate, Preparation};
use crate::exec::group::GroupTable;
use crate::exec::mask::Mask;
use crate::exec::person_property::PersonProperty;
use crate::exec::scan::Query;

/// What events are matched with.
pub(super) struct Side {
    pub(super) fields: Fields,
    filter: Predicate,
    step: Predicate,
    anchor: Option<Predicate>,
    pub(super) memo_count: usize,
    /// What steps are named by.
    pub(super) names: GroupTable,
    /// Where paths stay within sessions: the client's id of one.
    pub(super) session_id: Option<usize>,
    /// The event names that are read, `None` for all.
    pub(super) events: Option<Vec<String>>,
}

/// The rows of a batch that are steps, and those of them that match the anchor.
pub(super) struct Matched {
    pub(super) steps: Mask,
    pub(super) anchors: Option<Mask>,
}

impl Side {
    pub(super) fn new(query: &Query<'_>, plan: &PathsPlan, reading: &Reading, stats: &mut ScanStats) -> Result<Self, QueryError> {
        let mut fields = Fields::default();
        let step_by = fields.add(&plan.step_by);
        let session_id = matches!(plan.bound, PathBound::Session(_)).then(|| fields.add(&Field::SessionId));
        let mut preparation = Preparation::new(&mut fields);
        let filter = preparation.filter(&plan.scan.filter)?;
        let step = preparation.filter(&step_filter(plan))?;
        let anchor = plan.anchor.as_ref().map(|anchor| preparation.filter(&any_of(&anchor.any_of))).transpose()?;
        let memo_count = preparation.memo_count();
        add_stats(stats, PersonProperty::load_all(query, &plan.scan.app, &mut fields, Some(reading))?);
        let names = GroupTable::new(vec![step_by], query.context);
        Ok(Self { fields, filter, step, anchor, memo_count, names, session_id, events: events(plan) })
    }

    /// What the rows of a batch are.
    pub(super) fn matched(&self, batch: &Batch, wanted: Option<&Mask>, memos: &mut Memos) -> Matched {
        let candidates = self.filter.evaluate(batch, wanted, memos);
        let anchors = self.anchor.as_ref().map(|anchor| anchor.evaluate(batch, Some(&candidates), memos));
        let mut steps = self.step.evaluate(batch, Some(&candidates), memos);
        if let Some(anchors) = &anchors {
            steps.add(anchors);
        }
        Matched { steps, anchors }
    }
}

/// Holds for the events that are steps without being anchors.
fn step_filter(plan: &PathsPlan) -> Filter {
    let mut all: Vec<Filter> = plan.scan.events.iter().map(|names| named(names)).collect();
    if !plan.exclude.is_empty() {
        all.push(Filter::Not(Box::new(any_of(&plan.exclude))));
    }
    if plan.step_by != Field::Event {
        all.push(Filter::Compare(plan.step_by.clone(), Op::IsSet));
    }
    Filter::And(all)
}

fn any_of(selections: &[Selection]) -> Filter {
    let selection = |(names, filter): &Selection| match names {
        Some(names) => Filter::And(vec![named(names), filter.clone()]),
        None => filter.clone(),
    };
    Filter::Or(selections.iter().map(selection).collect())
}

fn named(names: &[String]) -> Filter {
    Filter::Compare(Field::Event, Op::In(names.iter().cloned().map(Value::Str).collect()))
}

/// Sessions are cut over all events; else only steps matter.
fn events(plan: &PathsPlan) -> Option<Vec<String>> {
    if matches!(plan.bound, PathBound::Session(_)) {
        return None;
    }
    let mut names = plan.scan.events.clone()?;
    for (of_anchor, _) in plan.anchor.iter().flat_map(|anchor| &anchor.any_of) {
        names.extend(of_anchor.clone()?);
    }
    names.sort();
    names.dedup();
    Some(names)
}
