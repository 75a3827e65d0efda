//! Funnels whose entry has event names of its own.
//!
//! An entry then serves no other step, so the later steps alone decide how far an entry at a given time gets: see [`Gates`]. Entries,
//! mostly the many events of a funnel, are looked at once, in any order, and sorted by nothing.

use std::sync::{Mutex, PoisonError};

use event_store::{FunnelPlan, QueryContext, QueryError, ScanStats};
use rustc_hash::FxHashMap;

use super::gates::{Gates, Way};
use super::tally::{GroupTally, Tallies};
use super::{Side, later_to_ms, rule};
use crate::decoded::NO_PERSON;
use crate::exec::aggregate::add_stats;
use crate::exec::attempt::{FunnelRule, StepEvent};
use crate::exec::batch::{Batch, Persons};
use crate::exec::by_ordinal::{OrdinalLists, PARTITION_PERSONS, PersonLists, partition_of};
use crate::exec::column_scan::{ColumnScan, Reading, TimeUse};
use crate::exec::filter::Memos;
use crate::exec::group::GroupCoder;
use crate::exec::mask::Mask;
use crate::exec::rows::{RowCells, Rows, Selection};
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
        if later.steps.is_empty() {
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
        later.match_steps(batch, wanted, memos, |step, rows| rows.iter().for_each(|row| row_masks[row as usize] |= 1 << step));
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
    rule: FunnelRule,
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
        let mut later = Self { rule: rule(plan), timeline, masks, partitions: Vec::new(), _memory: Vec::new() };
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
            StepEvent { time_ms: moment.time_ms, mask: self.masks[moment.label as usize], order: 0 }
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
    has_breakdown: bool,
    memory: Reserved,
    row_numbers: Vec<u32>,
    row_groups: Vec<u32>,
}

/// The best entry of a person so far.
#[derive(Clone, Copy)]
struct Best {
    /// The smallest is the best: the most steps, then the earliest.
    rank: u64,
    /// Its group of the breakdown.
    group: u32,
    /// See [`Gates::level`].
    hint: u32,
}

const NO_ENTRY: Best = Best { rank: u64::MAX, group: 0, hint: 0 };

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
            has_breakdown,
            memory: Reserved::new(context),
            row_numbers: Vec::new(),
            row_groups: Vec::new(),
        }
    }

    fn add(&mut self, later: &Later, batch: &Batch, wanted: Option<&Mask>) -> Result<(), QueryError> {
        let Persons::Ordinals(ordinals) = batch.persons() else { return Ok(()) };
        self.make_room(ordinals.largest)?;
        let Self { entry, memos, coder, row_numbers, row_groups, persons, has_breakdown, .. } = self;
        row_numbers.clear();
        let mut is_all = false;
        entry.match_steps(batch, wanted, memos, |_, rows| {
            is_all = rows.count() == batch.rows();
            if !is_all {
                row_numbers.extend(rows.iter());
            }
        });
        let rows = if is_all { Rows::All(batch.rows()) } else { Rows::Some(row_numbers) };
        let groups = coder.code(batch, rows, row_groups)?;
        let each = |row: usize, group: u32| {
            let ordinal = ordinals.values[row];
            if ordinal != NO_PERSON {
                let is_before = |a, b| *has_breakdown && entry.groups.is_before(a, b);
                persons[ordinal as usize].consider(later, ordinal, batch.time(row), group, is_before);
            }
        };
        each_with_group(rows, groups, each);
        Ok(())
    }

    fn make_room(&mut self, largest: u32) -> Result<(), QueryError> {
        let needed = largest as usize + 1;
        if needed > self.persons.len() {
            let length = needed.next_multiple_of(PARTITION_PERSONS);
            self.memory.set(length * size_of::<Best>())?;
            self.persons.resize(length, NO_ENTRY);
        }
        Ok(())
    }
}

fn each_with_group(rows: Rows<'_>, groups: RowCells<'_>, mut each: impl FnMut(usize, u32)) {
    Selection { rows, cells: groups }.for_each(|row, group| each(row, group as u32));
}

impl Best {
    /// Looks at an entry; `is_before` decides between groups at the same time.
    #[inline]
    fn consider(&mut self, later: &Later, ordinal: u32, time_ms: i64, group: u32, is_before: impl Fn(u32, u32) -> bool) {
        let rule = &later.rule;
        let offset = later.timeline.offset(time_ms);
        let (known_steps, known_offset) = self.reached(rule);
        let way = later.gates(ordinal);
        let most_steps = way.map_or(1, |(_, way)| usize::from(way.most_steps));
        // Nobody gets farther, and it is later.
        if offset > known_offset && (known_steps >= most_steps || rule.first_entry_only) {
            return;
        }
        let level = match way {
            Some((gates, way)) if !rule.first_entry_only && way.count > 0 => gates.level(rule, way, time_ms, &mut self.hint),
            _ => 1,
        };
        let rank = ((rule.steps - level) as u64) << TIME_BITS | offset;
        if rank < self.rank || (rank == self.rank && is_before(group, self.group)) {
            (self.rank, self.group) = (rank, group);
        }
    }

    /// Steps and time of the best; 0 steps where there is none.
    #[inline]
    fn reached(&self, rule: &FunnelRule) -> (usize, u64) {
        let missing = (self.rank >> TIME_BITS) as usize;
        (rule.steps.saturating_sub(missing), self.rank & ((1 << TIME_BITS) - 1))
    }
}

/// The attempts of all persons.
fn finish(query: &Query<'_>, plan: &FunnelPlan, entry: &Side, later: &Later, bests: &[Bests<'_>]) -> Result<Tallies, QueryError> {
    struct Walker {
        groups: FxHashMap<u32, GroupTally>,
        events: Vec<StepEvent>,
        times: Vec<i64>,
        memory: Reserved,
    }
    let persons = bests.iter().map(|bests| bests.persons.len()).max().unwrap_or(0);
    let make = || Walker { groups: FxHashMap::default(), events: Vec::new(), times: Vec::new(), memory: Reserved::new(query.context) };
    let walkers = query.parallel(persons.div_ceil(PARTITION_PERSONS), &make, &|walker, partition| {
        let first = partition * PARTITION_PERSONS;
        for ordinal in first..first + PARTITION_PERSONS {
            let Some(best) = best_of(bests, ordinal, plan.breakdown.is_some(), entry) else { continue };
            let entry_ms = later.timeline.time_of(best.reached(&later.rule).1);
            walker.events.clear();
            if let Some(partition) = later.partitions.get(partition) {
                later.step_events(partition.events.get(ordinal - first), &mut walker.events);
            }
            later.rule.times_from(entry_ms, &walker.events, &mut walker.times);
            if walker.times.len() > 1 {
                walker.memory.grow((walker.times.len() - 1) * size_of::<f64>())?;
            }
            walker.groups.entry(best.group).or_default().add(&walker.times);
        }
        Ok(())
    })?;
    let mut tallies = Tallies::default();
    walkers.into_iter().for_each(|walker| tallies.add(walker.groups, walker.memory));
    Ok(tallies)
}

/// The best of what the threads have for a person.
fn best_of(bests: &[Bests<'_>], ordinal: usize, has_breakdown: bool, entry: &Side) -> Option<Best> {
    let mut best = NO_ENTRY;
    for other in bests.iter().filter_map(|bests| bests.persons.get(ordinal)) {
        let wins_tie = || has_breakdown && other.rank != NO_ENTRY.rank && entry.groups.is_before(other.group, best.group);
        if other.rank < best.rank || (other.rank == best.rank && wins_tie()) {
            best = *other;
        }
    }
    (best.rank != NO_ENTRY.rank).then_some(best)
}
