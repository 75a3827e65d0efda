//! The events of all steps and exclusions, person by person.

use std::sync::{Mutex, PoisonError};

use event_store::{FunnelMode, FunnelPlan, QueryContext, QueryError, ScanStats, Value};
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::first_values;
use super::others::OtherEvents;
use super::side::{Side, later_to_ms};
use crate::decoded::NO_PERSON;
use crate::exec::aggregate::add_stats;
use crate::exec::attempt::StepEvent;
use crate::exec::batch::{Batch, Persons};
use crate::exec::by_ordinal::{OrdinalLists, PARTITION_PERSONS, PersonLists};
use crate::exec::column_scan::{ColumnScan, Reading, TimeUse};
use crate::exec::filter::Memos;
use crate::exec::group::GroupCoder;
use crate::exec::mask::Mask;
use crate::exec::rows::{RowCells, Rows};
use crate::exec::scan::{Query, Reserved};
use crate::exec::timeline::{Labels, Timeline};
use crate::exec::value::compare_values;

/// Most labels where values are held constant: with more, events are kept with their values and labelled without.
const MAX_HELD_LABELS: usize = 1 << 16;

/// What is known of an event beside its time.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Label {
    /// What it matches.
    mask: u64,
    /// The number of its values where it matches one of [`Side::grouped`].
    group: u32,
    /// The values that are held constant, where they are few; 0 where none are.
    hold: u64,
}

/// The events of all persons.
pub(super) struct Streams {
    timeline: Timeline,
    /// By label; its group is the place of its values among all in order.
    labels: Vec<Label>,
    /// By place: the numbers of the values.
    pub(super) by_order: Vec<u32>,
    pub(super) form: Form,
    others: Option<OtherEvents>,
    _memory: Vec<Reserved>,
}

/// How persons are told apart.
pub(super) enum Form {
    /// By ordinal, in partitions.
    Ordinals(Vec<PersonLists>),
    /// By key; each partition ascending.
    Keys(Vec<Vec<KeyedEvent>>),
}

/// An event of a person known by key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyedEvent {
    pub(super) person: u64,
    /// Time and label.
    pub(super) payload: u64,
    /// Stands for the values held constant; 0 where nothing is.
    pub(super) hold: u64,
}

/// A person.
#[derive(Clone, Copy)]
pub(super) enum Person {
    Ordinal(u32),
    Key(u64),
}

impl Person {
    /// The person's key.
    pub(super) fn key(self, reading: &Reading) -> u64 {
        match self {
            Self::Key(key) => key,
            Self::Ordinal(ordinal) => reading.space.persons().with_keys(|keys| keys[ordinal as usize]),
        }
    }
}

/// What is done with the events of one person, in the state of the thread.
type EachPerson<'e, W> = dyn Fn(&mut W, Person, &[StepEvent]) -> Result<(), QueryError> + Sync + 'e;

impl Streams {
    /// Reads them.
    ///
    /// # Errors
    /// As for [`event_store::EventSource::aggregate`].
    pub(super) fn gather(
        query: &Query<'_>,
        plan: &FunnelPlan,
        side: &Side,
        reading: &Reading,
        stats: &mut ScanStats,
    ) -> Result<Self, QueryError> {
        let by_ordinal = reading.has_ordinals();
        match Self::gather_as(by_ordinal, query, plan, side, reading, stats) {
            Err(QueryError::Groups { limit: MAX_HELD_LABELS }) if by_ordinal => Self::gather_as(false, query, plan, side, reading, stats),
            gathered => gathered,
        }
    }

    /// Reads them by ordinal or by key. Values held constant are part of a label by ordinal.
    ///
    /// # Errors
    /// [`QueryError::Groups`] of [`MAX_HELD_LABELS`] where such values are too many to be part of labels.
    fn gather_as(
        by_ordinal: bool,
        query: &Query<'_>,
        plan: &FunnelPlan,
        side: &Side,
        reading: &Reading,
        stats: &mut ScanStats,
    ) -> Result<Self, QueryError> {
        let timeline = Timeline::from(plan.scan.from_ms);
        let scan = ColumnScan {
            app: &plan.scan.app,
            from_ms: plan.scan.from_ms,
            to_ms: later_to_ms(plan),
            events: side.names.as_deref(),
            fields: &side.fields,
            persons: true,
            times: TimeUse::Always,
            narrowing: None,
            reading,
        };
        // Of an ordered funnel, the first step is nothing but an entry.
        let entries_to_ms = if plan.mode == FunnelMode::Ordered { plan.scan.to_ms } else { i64::MAX };
        let gathering = Gathering { by_ordinal, reading, side, labels: Mutex::default(), timeline, entries_to_ms };
        let make = || Worker::new(&gathering, query.context);
        let each = |worker: &mut Worker<'_>, batch: &Batch, wanted: Option<&Mask>| worker.read(&gathering, batch, wanted);
        let (workers, scanned) = query.scan_columns(&scan, &make, &each)?;
        add_stats(stats, scanned);
        let (form, memory) = merge(workers, query)?;
        let labels = std::mem::take(&mut *gathering.labels.lock().unwrap_or_else(PoisonError::into_inner)).into_list();
        let others = match plan.mode {
            FunnelMode::Strict => {
                let masks: Vec<u64> = labels.iter().map(|label| label.mask).collect();
                Some(OtherEvents::find(query, plan, &gathering, &masks, &form, stats)?)
            }
            FunnelMode::Ordered | FunnelMode::Unordered => None,
        };
        let (labels, by_order) = in_order(labels, side);
        Ok(Self { timeline, labels, by_order, form, others, _memory: memory })
    }

    /// Calls `each` with every person's events in order of time.
    ///
    /// # Errors
    /// The first of `each`; limits of the query.
    pub(super) fn for_each<W: Send>(
        &self,
        query: &Query<'_>,
        make: &(dyn Fn() -> W + Sync),
        each: &EachPerson<'_, W>,
    ) -> Result<Vec<W>, QueryError> {
        /// Persons between two looks at the query's limits.
        const PERSONS_PER_CHECK: usize = 1_024;
        let make = || (make(), Vec::new());
        let partitions = match &self.form {
            Form::Ordinals(partitions) => partitions.len(),
            Form::Keys(partitions) => partitions.len(),
        };
        let states = query.parallel(partitions, &make, &|(state, events): &mut (W, Vec<StepEvent>), partition| {
            let mut seen = 0;
            let mut give = |person: Person, events: &[StepEvent]| {
                seen += 1;
                if seen % PERSONS_PER_CHECK == 0 {
                    query.context.check()?;
                }
                each(state, person, events)
            };
            match &self.form {
                Form::Ordinals(partitions) => (0..PARTITION_PERSONS).try_for_each(|place| {
                    let payloads = partitions[partition].get(place);
                    if payloads.is_empty() {
                        return Ok(());
                    }
                    let person = Person::Ordinal((partition * PARTITION_PERSONS + place) as u32);
                    self.step_events(partition, person, payloads.iter().map(|&payload| (payload, 0)), events);
                    give(person, events)
                }),
                Form::Keys(partitions) => partitions[partition].chunk_by(|a, b| a.person == b.person).try_for_each(|of_person| {
                    let person = Person::Key(of_person[0].person);
                    self.step_events(partition, person, of_person.iter().map(|event| (event.payload, event.hold)), events);
                    give(person, events)
                }),
            }
        })?;
        Ok(states.into_iter().map(|(state, _)| state).collect())
    }

    /// Unpacks the events of a person of a partition.
    fn step_events(&self, partition: usize, person: Person, payloads: impl Iterator<Item = (u64, u64)>, events: &mut Vec<StepEvent>) {
        events.clear();
        events.extend(payloads.map(|(payload, hold)| {
            let moment = self.timeline.moment(payload);
            let Label { mask, group: order, hold: of_label } = self.labels[moment.label as usize];
            StepEvent { time_ms: moment.time_ms, mask, order, hold: hold | of_label, ..StepEvent::default() }
        }));
        if let Some(others) = &self.others {
            others.place(partition, person, events);
        }
    }
}

/// The labels with their values numbered in order, and which values those are.
fn in_order(mut labels: Vec<Label>, side: &Side) -> (Vec<Label>, Vec<u32>) {
    let values: Vec<Value> = first_values(side.groups.groups());
    let mut by_order: Vec<u32> = (0..values.len() as u32).collect();
    by_order.sort_by(|&a, &b| compare_values(&values[a as usize], &values[b as usize]));
    let mut order_of = vec![0u32; values.len()];
    by_order.iter().zip(0..).for_each(|(&group, order)| order_of[group as usize] = order);
    labels.iter_mut().for_each(|label| label.group = order_of.get(label.group as usize).copied().unwrap_or(0));
    (labels, by_order)
}

/// What the threads share while they read.
pub(super) struct Gathering<'g> {
    /// Whether persons are told apart by ordinal; else by key.
    pub(super) by_ordinal: bool,
    pub(super) reading: &'g Reading,
    pub(super) side: &'g Side,
    labels: Mutex<Labels<Label>>,
    pub(super) timeline: Timeline,
    entries_to_ms: i64,
}

impl Gathering<'_> {
    /// The number of a label.
    fn label(&self, known: &mut FxHashMap<Label, u32>, label: Label) -> Result<u32, QueryError> {
        let number = Labels::find(&self.labels, known, label)?;
        let too_many = label.hold != 0 && number as usize >= MAX_HELD_LABELS;
        if too_many { Err(QueryError::Groups { limit: MAX_HELD_LABELS }) } else { Ok(number) }
    }
}

/// Tells which steps and exclusions rows match.
pub(super) struct Matcher {
    memos: Memos,
    /// What each row of the last batch matches.
    pub(super) masks: Vec<u64>,
}

impl Matcher {
    pub(super) fn new(side: &Side, context: &QueryContext) -> Self {
        Self { memos: Memos::new(side.memo_count, context), masks: Vec::new() }
    }

    /// Fills `masks` with what each row matches; nothing where it has no person or comes too late for all it matches.
    pub(super) fn match_rows(&mut self, gathering: &Gathering<'_>, batch: &Batch, wanted: Option<&Mask>) {
        let Self { masks, memos } = self;
        masks.clear();
        masks.resize(batch.rows(), 0);
        gathering.side.match_rows(batch, wanted, memos, |bit, rows| rows.iter().for_each(|row| masks[row as usize] |= 1 << bit));
        for (row, mask) in masks.iter_mut().enumerate().filter(|(_, mask)| **mask != 0) {
            if *mask & 1 == 1 && batch.time(row) >= gathering.entries_to_ms {
                *mask &= !1;
            }
            if !batch.persons().is_set(row) {
                *mask = 0;
            }
        }
    }
}

/// Events one thread has read.
struct Worker<'g> {
    matcher: Matcher,
    coder: GroupCoder<'g>,
    labels: FxHashMap<Label, u32>,
    list: List,
    rows: Vec<u32>,
    row_groups: Vec<u32>,
}

enum List {
    Ordinals(OrdinalLists),
    Keys(KeyedList),
}

impl<'g> Worker<'g> {
    fn new(gathering: &Gathering<'g>, context: &QueryContext) -> Self {
        let list = match gathering.by_ordinal {
            true => List::Ordinals(OrdinalLists::new(context)),
            false => List::Keys(KeyedList::new(context)),
        };
        Self {
            matcher: Matcher::new(gathering.side, context),
            coder: GroupCoder::new(&gathering.side.groups),
            labels: FxHashMap::default(),
            list,
            rows: Vec::new(),
            row_groups: Vec::new(),
        }
    }

    fn read(&mut self, gathering: &Gathering<'_>, batch: &Batch, wanted: Option<&Mask>) -> Result<(), QueryError> {
        let Gathering { reading, side, timeline, .. } = gathering;
        self.matcher.match_rows(gathering, batch, wanted);
        let Self { matcher: Matcher { masks, .. }, rows, row_groups, labels, list, coder } = self;
        rows.clear();
        rows.extend((0..batch.rows() as u32).filter(|&row| masks[row as usize] & side.grouped != 0));
        let groups = coder.code(batch, Rows::Some(rows), row_groups)?;
        let mut grouped = 0;
        let mut last: Option<(Label, u32)> = None;
        let mut label_of = |row: usize, hold: u64| {
            let mask = masks[row];
            let group = match groups {
                _ if mask & side.grouped == 0 => 0,
                RowCells::One(group) => group,
                RowCells::Each(groups) => groups[grouped],
            };
            grouped += usize::from(mask & side.grouped != 0);
            let label = Label { mask, group, hold };
            match last {
                Some((known, number)) if known == label => Ok(number),
                _ => {
                    let number = gathering.label(labels, label)?;
                    last = Some((label, number));
                    Ok::<u32, QueryError>(number)
                }
            }
        };
        match list {
            List::Ordinals(list) => {
                let Persons::Ordinals(ordinals) = batch.persons() else { return Ok(()) };
                (0..batch.rows()).filter(|&row| masks[row] != 0 && ordinals.values[row] != NO_PERSON).try_for_each(|row| {
                    let hold = hold_of(side, batch, row);
                    let label = label_of(row, hold.unwrap_or(0))?;
                    match hold {
                        Some(_) => list.push(ordinals.values[row], timeline.payload(batch.time(row), label)),
                        None => Ok(()),
                    }
                })
            }
            List::Keys(list) => batch.persons().try_for_each_key(reading, |row, person| {
                if masks[row] == 0 {
                    return Ok(());
                }
                let label = label_of(row, 0)?;
                match hold_of(side, batch, row) {
                    Some(hold) => list.push(KeyedEvent { person, payload: timeline.payload(batch.time(row), label), hold }),
                    None => Ok(()),
                }
            }),
        }
    }
}

/// Stands for the values held constant: 0 where nothing is; `None` where one of them is missing.
pub(super) fn hold_of(side: &Side, batch: &Batch, row: usize) -> Option<u64> {
    if side.held.is_empty() {
        return Some(0);
    }
    let value = |hash: u64, &field: &usize| Some(xxh3_64_with_seed(&batch.column(field).get(row).distinct_hash()?.to_le_bytes(), hash));
    // Zero means that nothing is held.
    side.held.iter().try_fold(0, value).map(|hash| hash.max(1))
}

const PARTITION_BITS: u32 = 6;
const PARTITIONS: usize = 1 << PARTITION_BITS;

/// The partition of a person known by key.
pub(super) fn partition_of_key(person: u64) -> usize {
    (person >> (64 - PARTITION_BITS)) as usize
}

/// Events of persons known by key, as one thread has read them.
struct KeyedList {
    partitions: Vec<Vec<KeyedEvent>>,
    memory: Reserved,
}

impl KeyedList {
    fn new(context: &QueryContext) -> Self {
        Self { partitions: (0..PARTITIONS).map(|_| Vec::new()).collect(), memory: Reserved::new(context) }
    }

    fn push(&mut self, event: KeyedEvent) -> Result<(), QueryError> {
        let partition = &mut self.partitions[partition_of_key(event.person)];
        if partition.len() == partition.capacity() {
            let more = partition.capacity().max(64);
            self.memory.grow(more * size_of::<KeyedEvent>())?;
            partition.reserve_exact(more);
        }
        partition.push(event);
        Ok(())
    }
}

/// Joins what the threads have read; keyed events are sorted.
fn merge(workers: Vec<Worker<'_>>, query: &Query<'_>) -> Result<(Form, Vec<Reserved>), QueryError> {
    let (mut by_ordinal, mut by_key) = (Vec::new(), Vec::new());
    for worker in workers {
        match worker.list {
            List::Ordinals(list) => by_ordinal.push(list),
            List::Keys(list) => by_key.push(list),
        }
    }
    if by_key.is_empty() {
        let (lists, memory) = OrdinalLists::merge(by_ordinal, query)?;
        return Ok((Form::Ordinals(lists), memory));
    }
    let mut memory = Vec::new();
    let mut collected: Vec<Vec<Vec<KeyedEvent>>> = (0..PARTITIONS).map(|_| Vec::new()).collect();
    for list in by_key {
        memory.push(list.memory);
        collected.iter_mut().zip(list.partitions).for_each(|(all, partition)| all.push(partition));
    }
    let partitions: Vec<Mutex<Vec<Vec<KeyedEvent>>>> = collected.into_iter().map(Mutex::new).collect();
    query.parallel(PARTITIONS, &|| (), &|(), partition| {
        let mut lists = partitions[partition].lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = lists.pop().unwrap_or_default();
        lists.drain(..).for_each(|list| events.extend_from_slice(&list));
        // Stable on purpose: it finds the sorted runs and merges them.
        events.sort();
        *lists = vec![events];
        Ok(())
    })?;
    let sorted = partitions.into_iter().map(|lists| lists.into_inner().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default());
    Ok((Form::Keys(sorted.collect()), memory))
}
