//! Any funnel: the events of all steps by person, then each person's attempt.

use std::sync::{Mutex, PoisonError};

use event_store::{FunnelPlan, QueryContext, QueryError, ScanStats, Value};
use rustc_hash::FxHashMap;

use super::tally::{GroupTally, Tallies};
use super::{Side, later_to_ms, rule};
use crate::exec::aggregate::add_stats;
use crate::exec::attempt::StepEvent;
use crate::exec::batch::Batch;
use crate::exec::column_scan::{ColumnScan, Reading, TimeUse};
use crate::exec::filter::Memos;
use crate::exec::group::GroupCoder;
use crate::exec::mask::Mask;
use crate::exec::pairs::{self, PairList};
use crate::exec::rows::{RowCells, Rows};
use crate::exec::scan::{Query, Reserved};
use crate::exec::timeline::{Labels, Timeline};
use crate::exec::value::compare_values;

/// Walks all persons.
pub(super) fn walk(
    query: &Query<'_>,
    plan: &FunnelPlan,
    side: &Side,
    reading: &Reading,
    stats: &mut ScanStats,
) -> Result<Tallies, QueryError> {
    let scan = ColumnScan {
        app: &plan.scan.app,
        from_ms: plan.scan.from_ms,
        to_ms: later_to_ms(plan),
        events: side.names.as_deref(),
        fields: &side.fields,
        persons: true,
        times: TimeUse::Always,
        reading,
    };
    let gathering =
        Gathering { reading, side, labels: Mutex::default(), timeline: Timeline::from(plan.scan.from_ms), entries_to_ms: plan.scan.to_ms };
    let make = || Worker::new(side, query.context);
    let each = |worker: &mut Worker<'_>, batch: &Batch, wanted: Option<&Mask>| worker.read(&gathering, batch, wanted);
    let (workers, scanned) = query.scan_columns(&scan, &make, &each)?;
    add_stats(stats, scanned);
    let events = PairList::merge(workers.into_iter().map(|worker| worker.events).collect(), query)?;
    attempts(query, plan, gathering, &events)
}

/// The steps an event matches, and its value of the breakdown where it can be an entry.
type Label = (u64, u32);

/// What the threads share while they read.
struct Gathering<'g> {
    reading: &'g Reading,
    side: &'g Side,
    labels: Mutex<Labels<Label>>,
    timeline: Timeline,
    entries_to_ms: i64,
}

/// Events one thread has read.
struct Worker<'g> {
    memos: Memos,
    coder: GroupCoder<'g>,
    labels: FxHashMap<Label, u32>,
    events: PairList,
    masks: Vec<u64>,
    entries: Vec<u32>,
    entry_groups: Vec<u32>,
}

impl<'g> Worker<'g> {
    fn new(side: &'g Side, context: &QueryContext) -> Self {
        Self {
            memos: Memos::new(side.memo_count, context),
            coder: GroupCoder::new(&side.groups),
            labels: FxHashMap::default(),
            // Repeated events stay: steps "A, A" need two, however alike they are.
            events: PairList::repeating(context),
            masks: Vec::new(),
            entries: Vec::new(),
            entry_groups: Vec::new(),
        }
    }

    fn read(&mut self, gathering: &Gathering<'_>, batch: &Batch, wanted: Option<&Mask>) -> Result<(), QueryError> {
        self.match_steps(gathering, batch, wanted);
        let Self { masks, entries, entry_groups, labels, events, coder, .. } = self;
        entries.clear();
        entries.extend((0..batch.rows() as u32).filter(|&row| masks[row as usize] & 1 == 1));
        let groups = coder.code(batch, Rows::Some(entries), entry_groups)?;
        let mut entry = 0;
        let mut last: Option<(Label, u32)> = None;
        batch.persons().try_for_each_key(gathering.reading, |row, person| {
            let mask = masks[row];
            if mask == 0 {
                return Ok(());
            }
            let group = match groups {
                _ if mask & 1 == 0 => 0,
                RowCells::One(group) => group,
                RowCells::Each(groups) => groups[entry],
            };
            entry += usize::from(mask & 1 == 1);
            let label = match last {
                Some((known, label)) if known == (mask, group) => label,
                _ => Labels::find(&gathering.labels, labels, (mask, group))?,
            };
            last = Some(((mask, group), label));
            events.push(person, gathering.timeline.payload(batch.time(row), label))
        })
    }

    /// Fills `masks` with the steps each row matches; none where it has no person or comes too late for all it matches.
    fn match_steps(&mut self, gathering: &Gathering<'_>, batch: &Batch, wanted: Option<&Mask>) {
        let Self { masks, memos, .. } = self;
        masks.clear();
        masks.resize(batch.rows(), 0);
        gathering.side.match_steps(batch, wanted, memos, |step, rows| rows.iter().for_each(|row| masks[row as usize] |= 1 << step));
        for (row, mask) in masks.iter_mut().enumerate() {
            if *mask & 1 == 1 && batch.time(row) >= gathering.entries_to_ms {
                *mask &= !1;
            }
            if !batch.persons().is_set(row) {
                *mask = 0;
            }
        }
    }
}

/// What one thread has seen of the persons: attempts by group number of the breakdown.
struct Walker {
    groups: FxHashMap<u32, GroupTally>,
    events: Vec<StepEvent>,
    memory: Reserved,
}

fn attempts(query: &Query<'_>, plan: &FunnelPlan, gathering: Gathering<'_>, events: &pairs::SortedPairs) -> Result<Tallies, QueryError> {
    let rule = rule(plan);
    let values: Vec<Value> = gathering.side.groups.groups().into_iter().map(|mut group| group.pop().unwrap_or(Value::Null)).collect();
    let mut group_by_order: Vec<u32> = (0..values.len() as u32).collect();
    group_by_order.sort_by(|&a, &b| compare_values(&values[a as usize], &values[b as usize]));
    let mut order_of_group = vec![0u32; values.len()];
    group_by_order.iter().zip(0..).for_each(|(&group, order)| order_of_group[group as usize] = order);
    let labels = gathering.labels.into_inner().unwrap_or_else(PoisonError::into_inner).into_list();
    let order = |(mask, group): Label| (mask, order_of_group.get(group as usize).copied().unwrap_or(0));
    let labels: Vec<(u64, u32)> = labels.into_iter().map(order).collect();

    let make = || Walker { groups: FxHashMap::default(), events: Vec::new(), memory: Reserved::new(query.context) };
    let walkers = events.for_each_key(query, &make, &|walker, pairs| {
        walker.events.clear();
        walker.events.extend(pairs.iter().map(|&pair| {
            let moment = gathering.timeline.moment(pairs::payload(pair));
            let (mask, order) = labels[moment.label as usize];
            StepEvent { time_ms: moment.time_ms, mask, order }
        }));
        let Some(attempt) = rule.attempt(&walker.events) else { return Ok(()) };
        if attempt.times.len() > 1 {
            walker.memory.grow((attempt.times.len() - 1) * size_of::<f64>())?;
        }
        walker.groups.entry(group_by_order[attempt.entry_order as usize]).or_default().add(&attempt.times);
        Ok(())
    })?;
    let mut tallies = Tallies::default();
    walkers.into_iter().for_each(|walker| tallies.add(walker.groups, walker.memory));
    Ok(tallies)
}
