//! Funnels whose entry has event names of its own.
//!
//! An entry then serves no other step, so the later steps alone decide how far an entry at a given time gets: see [`Gates`]. Entries,
//! mostly the many events of a funnel, are looked at once, in any order, and sorted by nothing.

use std::sync::{Mutex, PoisonError};

use event_store::{FunnelPlan, QueryContext, QueryError, Scan, ScanStats};
use rustc_hash::FxHashMap;

use super::gates::{Gates, Way};
use super::side::{Side, later_to_ms};
use super::steps_before;
use super::tally::{Tallies, Tally};
use crate::decoded::NO_PERSON;
use crate::exec::aggregate::add_stats;
use crate::exec::attempt::{OrderedRule, Scope, StepEvent};
use crate::exec::batch::{Batch, Persons};
use crate::exec::by_ordinal::{OrdinalLists, PARTITION_PERSONS, PersonLists, partition_of};
use crate::exec::column_scan::{ColumnScan, Reading, TimeUse};
use crate::exec::filter::Memos;
use crate::exec::group::GroupCoder;
use crate::exec::mask::Mask;
use crate::exec::rows::{RowCells, Rows};
use crate::exec::scan::{Query, Reserved};
use crate::exec::timeline::{Labels, Timeline};

/// Bits of the time in the rank of an entry.
const TIME_BITS: u32 = 44;

/// Walks all persons.
pub(super) fn walk(
    query: &Query<'_>,
    plan: &FunnelPlan,
    entry: &Side,
    later: &Side,
    reading: &Reading,
    stats: &mut ScanStats,
) -> Result<Tallies, QueryError> {
    let events = LaterEvents::gather(query, plan, later, reading, stats)?;
    let persons = Later::new(query, plan, events)?;
    let bests = scan_entries(query, plan, entry, reading, &persons, stats)?;
    finish(query, plan, entry, &persons, &bests)
}

/// The events of later steps by person.
struct LaterEvents {
    timeline: Timeline,
    /// The steps of each label.
    masks: Vec<u64>,
    persons: Vec<PersonLists>,
    memory: Vec<Reserved>,
}

/// What one thread has read of them.
struct Gatherer {
    lists: OrdinalLists,
    memos: Memos,
    row_masks: Vec<u64>,
    labels: FxHashMap<u64, u32>,
}

impl LaterEvents {
    fn gather(query: &Query<'_>, plan: &FunnelPlan, later: &Side, reading: &Reading, stats: &mut ScanStats) -> Result<Self, QueryError> {
        let timeline = Timeline::from(plan.scan.from_ms);
        if later.is_empty() {
            return Ok(Self { timeline, masks: Vec::new(), persons: Vec::new(), memory: Vec::new() });
        }
        let scan = ColumnScan {
            app: &plan.scan.app,
            from_ms: plan.scan.from_ms,
            to_ms: later_to_ms(plan),
            events: later.names.as_deref(),
            fields: &later.fields,
            persons: true,
            times: TimeUse::Always,
            narrowing: None,
            reading,
        };
        let masks = Mutex::new(Labels::default());
        let make = || Gatherer {
            lists: OrdinalLists::new(query.context),
            memos: Memos::new(later.memo_count, query.context),
            row_masks: Vec::new(),
            labels: FxHashMap::default(),
        };
        let each = |gatherer: &mut Gatherer, batch: &Batch, wanted: Option<&Mask>| gatherer.add(later, batch, wanted, timeline, &masks);
        let (gatherers, scanned) = query.scan_columns(&scan, &make, &each)?;
        add_stats(stats, scanned);
        let (persons, memory) = OrdinalLists::merge(gatherers.into_iter().map(|gatherer| gatherer.lists).collect(), query)?;
        Ok(Self { timeline, masks: masks.into_inner().unwrap_or_else(PoisonError::into_inner).into_list(), persons, memory })
    }
}

impl Gatherer {
    fn add(
        &mut self,
        later: &Side,
        batch: &Batch,
        wanted: Option<&Mask>,
        timeline: Timeline,
        masks: &Mutex<Labels<u64>>,
    ) -> Result<(), QueryError> {
        let Persons::Ordinals(ordinals) = batch.persons() else { return Ok(()) };
        let Self { lists, memos, row_masks, labels } = self;
        row_masks.clear();
        row_masks.resize(batch.rows(), 0);
        later.match_rows(batch, wanted, memos, |step, rows| rows.iter().for_each(|row| row_masks[row as usize] |= 1 << step));
        let mut last = (0, 0);
        for (row, (&mask, &ordinal)) in row_masks.iter().zip(ordinals.values.iter()).enumerate() {
            if mask == 0 || ordinal == NO_PERSON {
                continue;
            }
            if last.0 != mask {
                last = (mask, Labels::find(masks, labels, mask)?);
            }
            lists.push(ordinal, timeline.payload(batch.time(row), last.1))?;
        }
        Ok(())
    }
}

/// The later steps of all persons.
struct Later {
    rule: OrderedRule,
    first_entry_only: bool,
    timeline: Timeline,
    /// The steps of each label.
    masks: Vec<u64>,
    partitions: Vec<Partition>,
    _memory: Vec<Reserved>,
}

#[derive(Default)]
struct Partition {
    events: PersonLists,
    /// By place; empty where nobody has any gates.
    ways: Vec<Way>,
    gates: Option<Gates>,
}

impl Later {
    fn new(query: &Query<'_>, plan: &FunnelPlan, events: LaterEvents) -> Result<Self, QueryError> {
        let LaterEvents { timeline, masks, persons: events, mut memory } = events;
        let Scan { from_ms, to_ms, .. } = plan.scan;
        let rule = OrderedRule { steps: plan.steps.len(), window_ms: plan.window_ms, from_ms, to_ms };
        let first_entry_only = plan.first_entry_only;
        let mut later = Self { rule, first_entry_only, timeline, masks, partitions: Vec::new(), _memory: Vec::new() };
        let slots: Vec<Mutex<Partition>> =
            events.into_iter().map(|events| Mutex::new(Partition { events, ..Partition::default() })).collect();
        let make = || (Vec::new(), Reserved::new(query.context));
        let reserved = query.parallel(slots.len(), &make, &|(events, reserved): &mut (Vec<StepEvent>, Reserved), slot| {
            let partition = &mut *slots[slot].lock().unwrap_or_else(PoisonError::into_inner);
            later.open_gates(partition, events);
            reserved.grow(partition.gates.as_ref().map_or(0, Gates::bytes) + partition.ways.len() * size_of::<Way>())
        })?;
        memory.extend(reserved.into_iter().map(|(_, reserved)| reserved));
        later._memory = memory;
        later.partitions = slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
        Ok(later)
    }

    fn open_gates(&self, partition: &mut Partition, events: &mut Vec<StepEvent>) {
        let mut gates = Gates::new(self.rule.steps);
        let mut ways = Vec::with_capacity(PARTITION_PERSONS);
        for place in 0..PARTITION_PERSONS {
            self.step_events(partition.events.get(place), events);
            ways.push(gates.add(&self.rule, events));
        }
        if ways.iter().any(|way| way.count > 0) {
            partition.ways = ways;
            partition.gates = Some(gates);
        }
    }

    fn step_events(&self, payloads: &[u64], events: &mut Vec<StepEvent>) {
        events.clear();
        events.extend(payloads.iter().map(|&payload| {
            let moment = self.timeline.moment(payload);
            StepEvent { time_ms: moment.time_ms, mask: self.masks[moment.label as usize], ..StepEvent::default() }
        }));
    }

    /// The gates of a person, and which of its partition's they are.
    #[inline]
    fn gates(&self, ordinal: u32) -> Option<(&Gates, Way)> {
        let (partition, place) = partition_of(ordinal);
        let partition = self.partitions.get(partition)?;
        Some((partition.gates.as_ref()?, partition.ways[place]))
    }
}

/// The best entry of each person, of one thread.
struct Bests<'e> {
    entry: &'e Side,
    memos: Memos,
    coder: GroupCoder<'e>,
    /// By ordinal.
    persons: Vec<Best>,
    /// With a breakdown: the group of each best entry.
    groups: Option<Vec<u32>>,
    memory: Reserved,
    row_numbers: Vec<u32>,
    row_groups: Vec<u32>,
}

/// The best entry of a person so far.
#[derive(Clone, Copy)]
struct Best {
    /// The smallest is the best: the most steps, then the earliest.
    rank: u64,
    /// No entry after the best and before this time, an offset, gets farther.
    next_better: u64,
}

const NO_ENTRY: Best = Best { rank: u64::MAX, next_better: 0 };
const NO_BETTER: u64 = u64::MAX;
/// Rows that are looked at together: what is known of their persons is fetched at once, not one after the other.
const CHUNK_ROWS: usize = 256;

fn scan_entries<'e>(
    query: &Query<'_>,
    plan: &FunnelPlan,
    entry: &'e Side,
    reading: &Reading,
    later: &Later,
    stats: &mut ScanStats,
) -> Result<Vec<Bests<'e>>, QueryError> {
    let scan = ColumnScan {
        app: &plan.scan.app,
        from_ms: plan.scan.from_ms,
        to_ms: plan.scan.to_ms,
        events: entry.names.as_deref(),
        fields: &entry.fields,
        persons: true,
        times: TimeUse::Always,
        narrowing: None,
        reading,
    };
    let make = || Bests::new(entry, plan.breakdown.is_some(), query.context);
    let (bests, scanned) = query.scan_columns(&scan, &make, &|bests, batch, wanted| bests.add(later, batch, wanted))?;
    // Unlike the passes of other questions, these two read different events.
    let events = stats.scanned_events + scanned.scanned_events;
    add_stats(stats, scanned);
    stats.scanned_events = events;
    Ok(bests)
}

impl<'e> Bests<'e> {
    fn new(entry: &'e Side, has_breakdown: bool, context: &QueryContext) -> Self {
        Self {
            entry,
            memos: Memos::new(entry.memo_count, context),
            coder: GroupCoder::new(&entry.groups),
            persons: Vec::new(),
            groups: has_breakdown.then(Vec::new),
            memory: Reserved::new(context),
            row_numbers: Vec::new(),
            row_groups: Vec::new(),
        }
    }

    fn add(&mut self, later: &Later, batch: &Batch, wanted: Option<&Mask>) -> Result<(), QueryError> {
        let Persons::Ordinals(ordinals) = batch.persons() else { return Ok(()) };
        self.make_room(ordinals.largest)?;
        let Self { entry, memos, coder, row_numbers, row_groups, .. } = self;
        row_numbers.clear();
        let mut is_all = false;
        entry.match_rows(batch, wanted, memos, |_, rows| {
            is_all = rows.count() == batch.rows();
            if !is_all {
                row_numbers.extend(rows.iter());
            }
        });
        let row_numbers = std::mem::take(row_numbers);
        let mut row_groups = std::mem::take(row_groups);
        let rows = if is_all { Rows::All(batch.rows()) } else { Rows::Some(&row_numbers) };
        let groups = coder.code(batch, rows, &mut row_groups)?;
        let mut candidates = Vec::with_capacity(CHUNK_ROWS);
        for first in (0..rows.count()).step_by(CHUNK_ROWS) {
            let chunk = first..rows.count().min(first + CHUNK_ROWS);
            let places = chunk.map(|at| (at, rows.get(at)));
            self.candidates(later, batch, &ordinals.values, places, &mut candidates);
            for &at in &candidates {
                let row = rows.get(at);
                let group = match groups {
                    RowCells::One(group) => group,
                    RowCells::Each(groups) => groups[at],
                };
                self.consider(later, ordinals.values[row], batch.time(row), group);
            }
        }
        (self.row_numbers, self.row_groups) = (row_numbers, row_groups);
        Ok(())
    }

    /// Of places in the entries' rows, each with its row, those of entries that may be better than what is known. Without a branch, so
    /// that the processor waits for many persons at a time.
    fn candidates(
        &self,
        later: &Later,
        batch: &Batch,
        ordinals: &[u32],
        places: impl ExactSizeIterator<Item = (usize, usize)>,
        out: &mut Vec<usize>,
    ) {
        out.clear();
        out.resize(places.len(), 0);
        let mut count = 0;
        for (at, row) in places {
            let best = self.persons[ordinals[row] as usize];
            let offset = later.timeline.offset(batch.time(row));
            let is_worse = (offset > best.offset()) & (offset < best.next_better);
            out[count] = at;
            count += usize::from(!is_worse);
        }
        out.truncate(count);
    }

    fn consider(&mut self, later: &Later, ordinal: u32, time_ms: i64, group: u32) {
        if ordinal == NO_PERSON {
            return;
        }
        let rule = &later.rule;
        let offset = later.timeline.offset(time_ms);
        let best = &mut self.persons[ordinal as usize];
        if offset > best.offset() && offset < best.next_better {
            return;
        }
        let way = later.gates(ordinal).filter(|_| !later.first_entry_only);
        let level = way.map_or(1, |(gates, way)| gates.level(rule, way, time_ms));
        let rank = ((rule.steps - level) as u64) << TIME_BITS | offset;
        let wins_tie = |of_best: u32| rank == best.rank && self.entry.groups.is_before(group, of_best);
        let wins = rank < best.rank || self.groups.as_ref().is_some_and(|groups| wins_tie(groups[ordinal as usize]));
        if wins {
            best.rank = rank;
            if let Some(groups) = &mut self.groups {
                groups[ordinal as usize] = group;
            }
            let next = way.and_then(|(gates, way)| gates.next_better(rule, way, time_ms, level));
            best.next_better = next.map_or(NO_BETTER, |time_ms| later.timeline.offset(time_ms));
        }
    }

    fn make_room(&mut self, largest: u32) -> Result<(), QueryError> {
        let needed = largest as usize + 1;
        if needed > self.persons.len() {
            let length = needed.next_multiple_of(PARTITION_PERSONS);
            let group_bytes = if self.groups.is_some() { size_of::<u32>() } else { 0 };
            self.memory.set(length * (size_of::<Best>() + group_bytes))?;
            self.persons.resize(length, NO_ENTRY);
            if let Some(groups) = &mut self.groups {
                groups.resize(length, 0);
            }
        }
        Ok(())
    }
}

impl Best {
    /// The time of the entry.
    #[inline]
    fn offset(self) -> u64 {
        self.rank & ((1 << TIME_BITS) - 1)
    }
}

/// The attempts of all persons.
fn finish(query: &Query<'_>, plan: &FunnelPlan, entry: &Side, later: &Later, bests: &[Bests<'_>]) -> Result<Tallies, QueryError> {
    struct Walker<'t> {
        tally: Tally<'t>,
        events: Vec<StepEvent>,
        times: Vec<i64>,
    }
    let before = steps_before(plan);
    let persons = bests.iter().map(|bests| bests.persons.len()).max().unwrap_or(0);
    let make = || Walker { tally: Tally::new(plan, &before, query.context), events: Vec::new(), times: Vec::new() };
    let walkers = query.parallel(persons.div_ceil(PARTITION_PERSONS), &make, &|walker, partition| {
        let first = partition * PARTITION_PERSONS;
        for ordinal in first..first + PARTITION_PERSONS {
            let Some((best, group)) = best_of(bests, ordinal, entry) else { continue };
            let entry_ms = later.timeline.time_of(best.offset());
            walker.events.clear();
            if let Some(partition) = later.partitions.get(partition) {
                later.step_events(partition.events.get(ordinal - first), &mut walker.events);
            }
            later.rule.times_from(entry_ms, &walker.events, &mut walker.times);
            walker.tally.add(Scope::Range, group, &walker.times)?;
        }
        Ok(())
    })?;
    let mut tallies = Tallies::default();
    walkers.into_iter().for_each(|walker| tallies.add(walker.tally));
    Ok(tallies)
}

/// The best of what the threads have for a person, and its group.
fn best_of(bests: &[Bests<'_>], ordinal: usize, entry: &Side) -> Option<(Best, u32)> {
    let mut best: Option<(Best, u32)> = None;
    for other in bests {
        let Some(&of_other) = other.persons.get(ordinal).filter(|of_other| of_other.rank != NO_ENTRY.rank) else { continue };
        let group = other.groups.as_ref().map_or(0, |groups| groups[ordinal]);
        let is_better = |(known, of_known): (Best, u32)| {
            of_other.rank < known.rank || (of_other.rank == known.rank && entry.groups.is_before(group, of_known))
        };
        if best.is_none_or(is_better) {
            best = Some((of_other, group));
        }
    }
    best
}
