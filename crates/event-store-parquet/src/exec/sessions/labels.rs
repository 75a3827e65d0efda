//! What matters of an event in a session, as a label.

use std::sync::{Mutex, PoisonError};

use event_store::{Field, Filter, QueryContext, QueryError, ScanStats, Selection, SessionsPlan, Value};
use rustc_hash::FxHashMap;

use crate::exec::aggregate::add_stats;
use crate::exec::batch::{Batch, Fields};
use crate::exec::column_scan::Reading;
use crate::exec::filter::{Memos, Predicate, Preparation};
use crate::exec::gather::Labeller;
use crate::exec::group::{GroupCoder, GroupTable};
use crate::exec::mask::Mask;
use crate::exec::person_property::PersonProperty;
use crate::exec::rows::{RowCells, Rows};
use crate::exec::scan::{Query, Reserved};
use crate::exec::timeline::Labels;
use crate::exec::value::compare_groups;
use crate::exec::value_table::ENTRY_BYTES;

/// Where an event has no group, or no page.
pub(super) const NONE: u32 = u32::MAX;
/// Bits of a number of a group or page, one more than it, in a thing.
const NUMBER_BITS: u32 = 31;

/// What events are looked at with.
pub(super) struct Side {
    pub(super) fields: Fields,
    pub(super) session_id: usize,
    matching: Predicate,
    counting: Option<Predicate>,
    page: Option<Predicate>,
    memo_count: usize,
    groups: GroupTable,
    pages: GroupTable,
    labels: Mutex<Labels<u64>>,
}

/// All that matters of an event beside its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The place of its group in order, where it matches; else [`NONE`].
    pub(super) group: u32,
    /// The place of the page it shows in order; else [`NONE`].
    pub(super) page: u32,
    /// Whether it counts against bouncing.
    pub(super) counts: bool,
}

/// The marks by label, and what the places in them stand for.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) by_label: Vec<Mark>,
    pub(super) groups: Vec<Vec<Value>>,
    pub(super) pages: Vec<Value>,
    _memory: Option<Reserved>,
}

impl Side {
    pub(super) fn new(query: &Query<'_>, plan: &SessionsPlan, reading: &Reading, stats: &mut ScanStats) -> Result<Self, QueryError> {
        let mut fields = Fields::default();
        let session_id = fields.add(&Field::SessionId);
        let keys = plan.group_by.iter().map(|field| fields.add(field)).collect();
        let page_fields = plan.pages.iter().map(|pages| fields.add(&pages.property)).collect();
        let mut preparation = Preparation::new(&mut fields);
        let matching = preparation.selection(plan.scan.events.as_deref(), &plan.scan.filter)?;
        let any = |any_of: &[Selection], preparation: &mut Preparation<'_>| {
            let any = any_of.iter().map(|(names, filter)| preparation.selection(names.as_deref(), filter));
            any.collect::<Result<_, QueryError>>().map(Predicate::Any)
        };
        let counting = (!plan.bounce.any_of.is_empty()).then(|| any(&plan.bounce.any_of, &mut preparation)).transpose()?;
        let page = match &plan.pages {
            None => None,
            Some(pages) => {
                let is_set = preparation.filter(&Filter::Compare(pages.property.clone(), event_store::Op::IsSet))?;
                let named = (!pages.any_of.is_empty()).then(|| any(&pages.any_of, &mut preparation)).transpose()?;
                Some(Predicate::All(named.into_iter().chain([is_set]).collect()))
            }
        };
        let memo_count = preparation.memo_count();
        add_stats(stats, PersonProperty::load_all(query, &plan.scan.app, &mut fields, Some(reading))?);
        let (groups, pages) = (GroupTable::new(keys, query.context), GroupTable::new(page_fields, query.context));
        Ok(Self { fields, session_id, matching, counting, page, memo_count, groups, pages, labels: Mutex::default() })
    }

    /// The marks of all labels so far.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    pub(super) fn marks(&self, context: &QueryContext) -> Result<Marks, QueryError> {
        let mut memory = Reserved::new(context);
        let (groups, group_places) = in_order(&self.groups, &mut memory)?;
        let (pages, page_places) = in_order(&self.pages, &mut memory)?;
        let labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        memory.grow(labels.list().len() * size_of::<Mark>())?;
        let by_label = labels.list().iter().map(|&thing| {
            let (group, page, counts) = parts(thing);
            let place = |number: u32, places: &[u32]| if number == NONE { NONE } else { places[number as usize] };
            Mark { group: place(group, &group_places), page: place(page, &page_places), counts }
        });
        let by_label = by_label.collect();
        let pages = pages.into_iter().map(|page| page.into_iter().next().unwrap_or(Value::Null)).collect();
        Ok(Marks { by_label, groups, pages, _memory: Some(memory) })
    }
}

/// The values of a table in order, and the place of each by number.
fn in_order(table: &GroupTable, memory: &mut Reserved) -> Result<(Vec<Vec<Value>>, Vec<u32>), QueryError> {
    let values = table.groups();
    let text_bytes = |value: &Value| if let Value::Str(text) = value { text.len() } else { 0 };
    memory.grow(values.iter().map(|group| group.iter().map(text_bytes).sum::<usize>() + ENTRY_BYTES).sum())?;
    let mut ordered: Vec<(Vec<Value>, usize)> = values.into_iter().zip(0..).collect();
    ordered.sort_unstable_by(|(a, _), (b, _)| compare_groups(a, b));
    let mut places = vec![0; ordered.len()];
    ordered.iter().zip(0..).for_each(|((_, number), place)| places[*number] = place);
    Ok((ordered.into_iter().map(|(values, _)| values).collect(), places))
}

/// The numbers of group and page, each [`NONE`] where there is none, and whether the event counts.
fn thing(group: u32, page: u32, counts: bool) -> u64 {
    let one_more = |number: u32| u64::from(number.wrapping_add(1));
    (one_more(group) << NUMBER_BITS | one_more(page)) << 1 | u64::from(counts)
}

/// What [`thing`] packed.
fn parts(thing: u64) -> (u32, u32, bool) {
    let number = |one_more: u64| (one_more as u32 & ((1 << NUMBER_BITS) - 1)).wrapping_sub(1);
    (number(thing >> (NUMBER_BITS + 1)), number(thing >> 1), thing & 1 == 1)
}

/// Labels events in the state of one thread.
pub(super) struct EventLabels<'s> {
    side: &'s Side,
    range: (i64, i64),
    memos: Memos,
    group_coder: GroupCoder<'s>,
    page_coder: GroupCoder<'s>,
    known: FxHashMap<u64, u32>,
    rows: Vec<u32>,
    numbers: Vec<u32>,
    groups: Vec<u32>,
    pages: Vec<u32>,
}

impl<'s> EventLabels<'s> {
    pub(super) fn new(side: &'s Side, plan: &SessionsPlan, context: &QueryContext) -> Self {
        Self {
            side,
            range: (plan.scan.from_ms, plan.scan.to_ms),
            memos: Memos::new(side.memo_count, context),
            group_coder: GroupCoder::new(&side.groups),
            page_coder: GroupCoder::new(&side.pages),
            known: FxHashMap::default(),
            rows: Vec::new(),
            numbers: Vec::new(),
            groups: Vec::new(),
            pages: Vec::new(),
        }
    }
}

impl Labeller for EventLabels<'_> {
    fn label(&mut self, batch: &Batch, wanted: Option<&Mask>, labels: &mut Vec<u32>) -> Result<bool, QueryError> {
        let Self { side, range, memos, group_coder, page_coder, known, rows, numbers, groups, pages } = self;
        let matching = side.matching.evaluate(batch, wanted, memos);
        let in_range = |row: &u32| (range.0..range.1).contains(&batch.time(*row as usize));
        rows.clear();
        rows.extend(matching.iter().filter(in_range));
        number_rows(batch, rows, group_coder, numbers, groups)?;
        if let Some(page) = &side.page {
            rows.clear();
            rows.extend(page.evaluate(batch, wanted, memos).iter());
            number_rows(batch, rows, page_coder, numbers, pages)?;
        }
        let counting = side.counting.as_ref().map(|counting| counting.evaluate(batch, wanted, memos));
        labels.clear();
        let mut last = None;
        for (row, &group) in groups.iter().enumerate() {
            let page = pages.get(row).copied().unwrap_or(NONE);
            let thing = thing(group, page, counting.as_ref().is_none_or(|counting| counting.has(row)));
            let label = match last {
                Some((same, label)) if same == thing => label,
                _ => Labels::find(&side.labels, known, thing)?,
            };
            last = Some((thing, label));
            labels.push(label);
        }
        Ok(true)
    }
}

/// The number of the group of each row of a batch, [`NONE`] where it is not among `rows`.
fn number_rows(
    batch: &Batch,
    rows: &[u32],
    coder: &mut GroupCoder<'_>,
    numbers: &mut Vec<u32>,
    by_row: &mut Vec<u32>,
) -> Result<(), QueryError> {
    by_row.clear();
    by_row.resize(batch.rows(), NONE);
    match coder.code(batch, Rows::Some(rows), numbers)? {
        RowCells::One(number) => rows.iter().for_each(|&row| by_row[row as usize] = number),
        RowCells::Each(numbers) => rows.iter().zip(numbers).for_each(|(&row, &number)| by_row[row as usize] = number),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_back() {
        for (group, page, counts) in [(NONE, NONE, false), (0, NONE, true), (NONE, 0, false), (999_999, 7, true), (1, 999_999, false)] {
            assert_eq!(parts(thing(group, page, counts)), (group, page, counts));
        }
    }
}
