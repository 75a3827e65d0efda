//! For strict funnels: where a person's other events stand between those of the steps.
//!
//! The other events are mostly all events of the app, so they are counted and not kept: one number for each event of a step, beside it
//! in the order of the lists.

use std::sync::atomic::{AtomicU32, Ordering};

use event_store::{FunnelPlan, QueryError, ScanStats};

use super::side::later_to_ms;
use super::streams::{Form, KeyedEvent, partition_of_key};
use crate::decoded::NO_PERSON;
use crate::exec::aggregate::add_stats;
use crate::exec::attempt::StepEvent;
use crate::exec::batch::{Batch, Fields, Persons};
use crate::exec::by_ordinal::partition_of;
use crate::exec::column_scan::{ColumnScan, Reading, TimeUse};
use crate::exec::mask::Mask;
use crate::exec::scan::{Query, Reserved};
use crate::exec::timeline::Timeline;

/// Set where some event comes before the events of this time and after those of the time before.
const BEFORE: u32 = 1 << 31;
/// More events of one time count as so many: an attempt has no more of them.
const MOST_COUNTED: u32 = 1 << 30;

/// By partition and event of a step: at the first of a time, how many events have that time, and [`BEFORE`].
pub(super) struct OtherEvents {
    partitions: Vec<Vec<AtomicU32>>,
    _memory: Reserved,
}

impl OtherEvents {
    /// Looks at every event from the first entry on.
    pub(super) fn find(
        query: &Query<'_>,
        plan: &FunnelPlan,
        timeline: Timeline,
        form: &Form,
        reading: &Reading,
        stats: &mut ScanStats,
    ) -> Result<Self, QueryError> {
        let lengths: Vec<usize> = match form {
            Form::Ordinals(partitions) => partitions.iter().map(|lists| lists.len()).collect(),
            Form::Keys(partitions) => partitions.iter().map(Vec::len).collect(),
        };
        let mut memory = Reserved::new(query.context);
        memory.grow(lengths.iter().sum::<usize>() * size_of::<AtomicU32>())?;
        let partitions = lengths.into_iter().map(|length| (0..length).map(|_| AtomicU32::new(0)).collect()).collect();
        let others = Self { partitions, _memory: memory };
        let fields = Fields::default();
        let scan = ColumnScan {
            app: &plan.scan.app,
            from_ms: plan.scan.from_ms,
            to_ms: later_to_ms(plan),
            events: None,
            fields: &fields,
            persons: true,
            times: TimeUse::Always,
            narrowing: None,
            reading,
        };
        let each = |(): &mut (), batch: &Batch, wanted: Option<&Mask>| {
            others.count(form, timeline, reading, batch, wanted);
            Ok(())
        };
        let (_, scanned) = query.scan_columns(&scan, &|| (), &each)?;
        // The events of the steps are among all events.
        let events = stats.scanned_events.max(scanned.scanned_events);
        add_stats(stats, scanned);
        stats.scanned_events = events;
        Ok(others)
    }

    fn count(&self, form: &Form, timeline: Timeline, reading: &Reading, batch: &Batch, wanted: Option<&Mask>) {
        let count = |row: usize, key: u64, ordinal: u32| {
            let payload = timeline.payload(batch.time(row), 0);
            match form {
                Form::Ordinals(partitions) => {
                    let (partition, place) = partition_of(ordinal);
                    let Some(lists) = partitions.get(partition) else { return };
                    let span = lists.span(place);
                    let at = lists.get(place).partition_point(|&other| other < payload);
                    let payload_at = |at: usize| lists.get(place).get(at).copied();
                    self.mark(partition, span.start + at, at > 0, payload_at(at), payload);
                }
                Form::Keys(partitions) => {
                    let partition = partition_of_key(key);
                    let events = &partitions[partition];
                    let at = events.partition_point(|event| (event.person, event.payload) < (key, payload));
                    let of_person = |at: usize| events.get(at).filter(|event: &&KeyedEvent| event.person == key);
                    let follows = at > 0 && of_person(at - 1).is_some();
                    self.mark(partition, at, follows, of_person(at).map(|event| event.payload), payload);
                }
            }
        };
        let is_wanted = |row: usize| wanted.is_none_or(|wanted| wanted.has(row));
        match (form, batch.persons()) {
            (Form::Ordinals(_), Persons::Ordinals(ordinals)) => {
                let rows = ordinals.values.iter().enumerate();
                rows.filter(|(row, ordinal)| **ordinal != NO_PERSON && is_wanted(*row)).for_each(|(row, &ordinal)| count(row, 0, ordinal));
            }
            (Form::Ordinals(_), _) => {}
            (Form::Keys(_), persons) => {
                let _: Result<(), std::convert::Infallible> = persons.try_for_each_key(reading, |row, key| {
                    if is_wanted(row) {
                        count(row, key, 0);
                    }
                    Ok(())
                });
            }
        }
    }

    /// Notes an event whose place among a person's events of steps is at `at`, where `next` is.
    fn mark(&self, partition: usize, at: usize, follows: bool, next: Option<u64>, payload: u64) {
        let Some(next) = next else { return };
        let number = &self.partitions[partition][at];
        if Timeline::parts(next).0 == Timeline::parts(payload).0 {
            if number.load(Ordering::Relaxed) & !BEFORE < MOST_COUNTED {
                number.fetch_add(1, Ordering::Relaxed);
            }
        } else if follows && number.load(Ordering::Relaxed) & BEFORE == 0 {
            number.fetch_or(BEFORE, Ordering::Relaxed);
        }
    }

    /// Tells one person's events where the others stand; the first is at a place of a partition.
    pub(super) fn place(&self, partition: usize, first: usize, events: &mut [StepEvent]) {
        let mut at = first;
        for group in events.chunk_by_mut(|a, b| a.time_ms == b.time_ms) {
            let number = self.partitions[partition][at].load(Ordering::Relaxed);
            at += group.len();
            let beside = (number & !BEFORE) as usize > group.len();
            group.iter_mut().for_each(|event| {
                event.others.before = number & BEFORE != 0;
                event.others.beside = beside;
            });
        }
    }
}
