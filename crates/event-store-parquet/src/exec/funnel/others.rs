//! For strict funnels: where a person's other events stand between those of the steps.
//!
//! The others are most events of the app, so they are not kept. They matter only where one step may follow another: between two
//! neighbouring times of a person's list, and at the later of the two. Few times are such a [`Gap`], and each other event is looked up
//! among the gaps of its person alone.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use event_store::{FunnelPlan, QueryError, ScanStats};

use super::side::later_to_ms;
use super::streams::{Form, Gathering, Matcher, Person, hold_of, partition_of_key};
use crate::decoded::NO_PERSON;
use crate::exec::aggregate::add_stats;
use crate::exec::attempt::StepEvent;
use crate::exec::batch::{Batch, Persons};
use crate::exec::by_ordinal::{PARTITION_PERSONS, partition_of};
use crate::exec::column_scan::{ColumnScan, TimeUse};
use crate::exec::mask::Mask;
use crate::exec::scan::{Query, Reserved};
use crate::exec::timeline::Timeline;

/// Some event comes after the first time of a gap and before the second.
const BEFORE: u8 = 1;
/// Some event has the second time.
const BESIDE: u8 = 1 << 1;

/// Two neighbouring times of a person's events of steps, the second of which may continue what the first began; offsets of the timeline.
#[derive(Clone, Copy)]
struct Gap {
    after: u64,
    at: u64,
}

/// The gaps of a partition's persons, each person's ascending.
#[derive(Default)]
struct Gaps {
    owners: Owners,
    gaps: Vec<Gap>,
    /// By gap: [`BEFORE`] and [`BESIDE`].
    found: Vec<AtomicU8>,
}

/// Whose gaps they are.
enum Owners {
    /// Where the gaps of each place begin; one more than there are places. Empty where nobody has any.
    Places(Vec<u32>),
    /// The key of each gap's person, ascending.
    Keys(Vec<u64>),
}

impl Default for Owners {
    fn default() -> Self {
        Self::Places(Vec::new())
    }
}

/// What was found of the other events, by partition.
pub(super) struct OtherEvents {
    timeline: Timeline,
    partitions: Vec<Gaps>,
    _memory: Vec<Reserved>,
}

impl OtherEvents {
    /// Looks at every event from the first entry on. `masks` has what each label matches.
    pub(super) fn find(
        query: &Query<'_>,
        plan: &FunnelPlan,
        gathering: &Gathering<'_>,
        masks: &[u64],
        form: &Form,
        stats: &mut ScanStats,
    ) -> Result<Self, QueryError> {
        let (partitions, memory) = gaps_of(query, form, masks)?;
        let others = Self { timeline: gathering.timeline, partitions, _memory: memory };
        if others.partitions.iter().all(|partition| partition.gaps.is_empty()) {
            return Ok(others);
        }
        let scan = ColumnScan {
            app: &plan.scan.app,
            from_ms: plan.scan.from_ms,
            to_ms: later_to_ms(plan),
            events: None,
            fields: &gathering.side.fields,
            persons: true,
            times: TimeUse::Always,
            narrowing: None,
            reading: gathering.reading,
        };
        let make = || Matcher::new(gathering.side, query.context);
        let each = |matcher: &mut Matcher, batch: &Batch, wanted: Option<&Mask>| {
            matcher.match_rows(gathering, batch, wanted);
            others.note(gathering, &matcher.masks, batch, wanted);
            Ok(())
        };
        let (_, scanned) = query.scan_columns(&scan, &make, &each)?;
        // The events of the steps are among all events.
        let events = stats.scanned_events.max(scanned.scanned_events);
        add_stats(stats, scanned);
        stats.scanned_events = events;
        Ok(others)
    }

    /// Notes the events of a batch that are in no list.
    fn note(&self, gathering: &Gathering<'_>, masks: &[u64], batch: &Batch, wanted: Option<&Mask>) {
        let is_other = |row: usize| {
            let is_listed = masks[row] != 0 && hold_of(gathering.side, batch, row).is_some();
            !is_listed && wanted.is_none_or(|wanted| wanted.has(row))
        };
        let offset = |row: usize| self.timeline.offset(batch.time(row));
        match batch.persons() {
            Persons::Ordinals(ordinals) if gathering.by_ordinal => {
                for (row, &ordinal) in ordinals.values.iter().enumerate() {
                    if ordinal == NO_PERSON || !is_other(row) {
                        continue;
                    }
                    let (partition, place) = partition_of(ordinal);
                    if let Some(gaps) = self.partitions.get(partition) {
                        gaps.note(gaps.of_place(place), offset(row));
                    }
                }
            }
            persons => {
                let _: Result<(), std::convert::Infallible> = persons.try_for_each_key(gathering.reading, |row, key| {
                    if is_other(row) {
                        let gaps = &self.partitions[partition_of_key(key)];
                        gaps.note(gaps.of_key(key), offset(row));
                    }
                    Ok(())
                });
            }
        }
    }

    /// Tells one person's events where the others stand.
    pub(super) fn place(&self, partition: usize, person: Person, events: &mut [StepEvent]) {
        let gaps = &self.partitions[partition];
        let of_person = match person {
            Person::Ordinal(ordinal) => gaps.of_place(partition_of(ordinal).1),
            Person::Key(key) => gaps.of_key(key),
        };
        let mut of_person = of_person.peekable();
        for group in events.chunk_by_mut(|a, b| a.time_ms == b.time_ms) {
            let at = self.timeline.offset(group[0].time_ms);
            let Some(gap) = of_person.next_if(|&gap| gaps.gaps[gap].at == at) else { continue };
            let found = gaps.found[gap].load(Ordering::Relaxed);
            group.iter_mut().for_each(|event| {
                event.others.before = found & BEFORE != 0;
                event.others.beside = found & BESIDE != 0;
            });
        }
    }
}

impl Gaps {
    #[inline]
    fn of_place(&self, place: usize) -> std::ops::Range<usize> {
        match &self.owners {
            Owners::Places(starts) => match starts.get(place..place + 2) {
                Some(&[start, end]) => start as usize..end as usize,
                _ => 0..0,
            },
            Owners::Keys(_) => 0..0,
        }
    }

    fn of_key(&self, key: u64) -> std::ops::Range<usize> {
        match &self.owners {
            Owners::Keys(keys) => {
                let first = keys.partition_point(|&other| other < key);
                first..first + keys[first..].iter().take_while(|&&other| other == key).count()
            }
            Owners::Places(_) => 0..0,
        }
    }

    /// Notes an event at an offset, where it falls into one of a person's gaps.
    #[inline]
    fn note(&self, of_person: std::ops::Range<usize>, offset: u64) {
        let first = of_person.start;
        let Some(place) = self.gaps[of_person].iter().position(|gap| offset <= gap.at) else { return };
        let (gap, found) = (self.gaps[first + place], &self.found[first + place]);
        let bit = match offset {
            _ if offset == gap.at => BESIDE,
            _ if offset > gap.after => BEFORE,
            _ => return,
        };
        if found.load(Ordering::Relaxed) & bit == 0 {
            found.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Adds the gaps of one person's payloads.
    fn add(&mut self, masks: &[u64], payloads: impl Iterator<Item = u64>) {
        // What the events of the last time match, and those of the time before that.
        let mut last: Option<(u64, u64)> = None;
        let mut before: Option<(u64, u64)> = None;
        let mut close = |last: Option<(u64, u64)>, before: Option<(u64, u64)>| {
            if let (Some((at, matched)), Some((after, matched_before))) = (last, before)
                && (matched | matched_before) << 1 & matched != 0
            {
                self.gaps.push(Gap { after, at });
            }
        };
        for payload in payloads {
            let (offset, label) = Timeline::parts(payload);
            let mask = masks[label as usize];
            match &mut last {
                Some((at, matched)) if *at == offset => *matched |= mask,
                _ => {
                    close(last, before);
                    before = last;
                    last = Some((offset, mask));
                }
            }
        }
        close(last, before);
    }
}

/// The gaps of all persons. Their memory is given back with the second part.
fn gaps_of(query: &Query<'_>, form: &Form, masks: &[u64]) -> Result<(Vec<Gaps>, Vec<Reserved>), QueryError> {
    let count = match form {
        Form::Ordinals(partitions) => partitions.len(),
        Form::Keys(partitions) => partitions.len(),
    };
    let slots: Vec<Mutex<Gaps>> = (0..count).map(|_| Mutex::default()).collect();
    let reserved = query.parallel(count, &|| Reserved::new(query.context), &|reserved: &mut Reserved, partition| {
        let mut gaps = Gaps::default();
        match form {
            Form::Ordinals(partitions) => {
                let mut starts = vec![0];
                for place in 0..PARTITION_PERSONS {
                    gaps.add(masks, partitions[partition].get(place).iter().copied());
                    starts.push(gaps.gaps.len() as u32);
                }
                gaps.owners = Owners::Places(if gaps.gaps.is_empty() { Vec::new() } else { starts });
            }
            Form::Keys(partitions) => {
                let mut keys = Vec::new();
                for of_person in partitions[partition].chunk_by(|a, b| a.person == b.person) {
                    gaps.add(masks, of_person.iter().map(|event| event.payload));
                    keys.resize(gaps.gaps.len(), of_person[0].person);
                }
                gaps.owners = Owners::Keys(keys);
            }
        }
        gaps.found = gaps.gaps.iter().map(|_| AtomicU8::new(0)).collect();
        reserved.grow(gaps.bytes())?;
        *slots[partition].lock().unwrap_or_else(PoisonError::into_inner) = gaps;
        Ok(())
    })?;
    Ok((slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect(), reserved))
}

impl Gaps {
    fn bytes(&self) -> usize {
        let owners = match &self.owners {
            Owners::Places(starts) => starts.len() * size_of::<u32>(),
            Owners::Keys(keys) => keys.len() * size_of::<u64>(),
        };
        owners + self.gaps.len() * (size_of::<Gap>() + size_of::<AtomicU8>())
    }
}
