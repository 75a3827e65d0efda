//! Rollups against a recount, an app and a UTC day at a time, and links against what events say, an app at a time, so that memory stays
//! bounded whatever is stored.

use std::collections::BTreeSet;
use std::sync::Arc;

use event::AppId;
use event_store::{RollupSize, StoreError};

use super::links::StoredLinks;
use super::{Finding, MAX_TOLD, NamedSegments, StoreCheck};
use crate::manifest::{Manifest, StoredRollup, first_whole_period};
use crate::part::Part;
use crate::recount::count_in;
use crate::rollup::{AppRollups, TOTAL, period_start, size_ms};

/// How often a day is looked at again because upkeep replaced a segment of it meanwhile.
const MAX_LOOKS: usize = 8;

/// What is derived from raw events, of all apps.
pub(super) struct Recount<'c, 'r> {
    check: &'c mut StoreCheck<'r>,
    /// That of the manifest when the list of segments was read.
    data_version: i64,
    /// Links that an app may have.
    max_links: usize,
    told: usize,
}

/// The rollups of an app between two times as the manifest has them.
struct StoredRollups {
    hours: Vec<StoredRollup>,
    days: Vec<StoredRollup>,
    floor_ms: i64,
    /// First milliseconds of UTC days whose sketches a deletion has still to count again.
    unsettled: BTreeSet<i64>,
}

impl<'c, 'r> Recount<'c, 'r> {
    pub(super) fn new(check: &'c mut StoreCheck<'r>, max_links: usize) -> Self {
        // No database has this version, so the first look reads the list.
        Self { check, data_version: i64::MIN, max_links, told: 0 }
    }

    /// Compares every rollup and every link whose raw events are still there; returns the number of apps.
    pub(super) fn run(mut self) -> Result<usize, StoreError> {
        let mut apps: BTreeSet<String> = self.check.manifest.apps(usize::MAX)?.into_iter().collect();
        for part in self.check.segments.clone() {
            if let Part::Segment(segment) = &*part {
                apps.extend(self.check.manifest.apps_of(segment.info().id)?.into_iter().map(|rows| rows.app.to_string()));
            }
        }
        for app in &apps {
            let Some(id) = AppId::new(app) else {
                let found = "the manifest names an app whose id cannot be one".to_owned();
                self.check.find(Finding::rollups(app, i64::MIN, i64::MAX, found));
                continue;
            };
            self.check_app(&id)?;
            self.check_links(&id)?;
        }
        if self.told > MAX_TOLD {
            let found = format!("{} more days or links differ", self.told - MAX_TOLD);
            self.check.find(Finding::problem("rollups", "all apps", found).remedy("as above"));
        }
        Ok(apps.len())
    }

    fn check_app(&mut self, app: &AppId) -> Result<(), StoreError> {
        let day_ms = size_ms(RollupSize::Day);
        let floor_ms = self.check.manifest.raw_floor(app.as_str())?;
        let first = first_whole_period(RollupSize::Day, floor_ms);
        // The day in which raw events begin has whole hours.
        let mut days: Vec<i64> = (first > i64::MIN && first > floor_ms).then(|| first - day_ms).into_iter().collect();
        days.extend(self.check.manifest.rollup_starts(app.as_str(), RollupSize::Day, first)?);
        let mut at = first;
        for day in days {
            // Between the days that have rollups there must be no raw events.
            if at < day {
                self.check_range(app, at, day)?;
            }
            at = day.saturating_add(day_ms);
            self.check_range(app, day, at)?;
        }
        self.check_range(app, at, i64::MAX)
    }

    fn check_range(&mut self, app: &AppId, start_ms: i64, end_ms: i64) -> Result<(), StoreError> {
        for look in 1.. {
            let stored = self.stored_rollups(app, start_ms, end_ms)?;
            let parts: Vec<Arc<Part>> = self.check.segments.iter().filter(|p| p.may_hold(app, start_ms, end_ms)).cloned().collect();
            if parts.iter().any(|part| self.check.is_out_of_reach(part)) {
                return Ok(());
            }
            match count_in(app, &parts, (start_ms, end_ms)) {
                Ok(counted) => {
                    if let Some(difference) = stored.difference(&counted, start_ms) {
                        self.tell(Finding::rollups(app.as_str(), start_ms, end_ms, difference));
                    }
                }
                Err(_) if look < MAX_LOOKS && self.is_replaced(&parts)? => continue,
                Err(reason) => self.tell(Finding::uncounted(app.as_str(), start_ms, end_ms, reason)),
            }
            break;
        }
        Ok(())
    }

    fn tell(&mut self, finding: Finding) {
        self.told += 1;
        if self.told <= MAX_TOLD {
            self.check.find(finding);
        }
    }

    fn stored_rollups(&mut self, app: &AppId, start_ms: i64, end_ms: i64) -> Result<StoredRollups, StoreError> {
        self.at_one_moment(|manifest| {
            let of_size = |size| manifest.rollups(app.as_str(), size, start_ms, end_ms);
            let (hours, days) = (of_size(RollupSize::Hour)?, of_size(RollupSize::Day)?);
            let deletions = manifest.deletions_if_any(true)?.into_iter();
            let unsettled = deletions.filter(|deletion| *deletion.mark.app == *app.as_str()).flat_map(|deletion| deletion.days).collect();
            Ok(StoredRollups { hours, days, floor_ms: manifest.raw_floor(app.as_str())?, unsettled })
        })
    }

    fn check_links(&mut self, app: &AppId) -> Result<(), StoreError> {
        for look in 1.. {
            let stored = self.at_one_moment(|manifest| StoredLinks::read(manifest, app))?;
            let parts: Vec<Arc<Part>> = self.check.segments.iter().filter(|p| p.may_hold(app, i64::MIN, i64::MAX)).cloned().collect();
            if parts.iter().any(|part| self.check.is_out_of_reach(part)) {
                return Ok(());
            }
            match stored.differences(app, &parts, self.max_links) {
                Ok(differences) => differences.into_iter().for_each(|difference| self.tell(Finding::said_link(app.as_str(), &difference))),
                Err(_) if look < MAX_LOOKS && self.is_replaced(&parts)? => continue,
                // Rows that cannot be read are a finding of their segment.
                Err(_) => {}
            }
            break;
        }
        Ok(())
    }

    /// Reads from the manifest and, where it has changed since, the segments, all of one moment.
    fn at_one_moment<T>(&mut self, read: impl Fn(&Manifest) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let manifest = &self.check.manifest;
        let known_version = self.data_version;
        let (read, version, infos) = manifest.at_one_moment(|| {
            let read = read(manifest)?;
            let version = manifest.data_version()?;
            let infos = if version == known_version { None } else { Some(NamedSegments::read(manifest)?) };
            Ok((read, version, infos))
        })?;
        if let Some(infos) = infos {
            self.check.segments = self.check.parts(infos);
            self.data_version = version;
        }
        Ok(read)
    }

    /// True when one of the parts is not named any more, or is elsewhere; the list of segments is then read again.
    fn is_replaced(&mut self, parts: &[Arc<Part>]) -> Result<bool, StoreError> {
        for part in parts {
            if let Part::Segment(segment) = &**part
                && self.check.manifest.place_of(segment.info())?.is_none_or(|place| place.as_ref() != segment.object())
            {
                self.data_version = i64::MIN;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl StoredRollups {
    /// What differs between the stored rollups and those counted from raw events, of the periods whose raw events are all there.
    fn difference(&self, counted: &AppRollups, start_ms: i64) -> Option<String> {
        for (size, stored) in [(RollupSize::Hour, &self.hours), (RollupSize::Day, &self.days)] {
            let first = first_whole_period(size, self.floor_ms).max(start_ms);
            let is_settled = |start_ms: i64| !self.unsettled.contains(&period_start(RollupSize::Day, start_ms));
            let stored: Vec<&StoredRollup> = stored.iter().filter(|row| row.start_ms >= first && is_settled(row.start_ms)).collect();
            let counted_periods = counted.of_size(size).range(first..).filter(|(start_ms, _)| is_settled(**start_ms));
            let expected: usize = counted_periods.map(|(_, cells)| cells.len()).sum();
            let is_same =
                |row: &&&StoredRollup| counted.of_size(size).get(&row.start_ms).and_then(|cells| cells.get(&row.event)) == Some(&row.cell);
            let same = stored.iter().filter(is_same).count();
            if same != expected || same != stored.len() {
                let booked: u64 = stored.iter().filter(|row| &*row.event == TOTAL).map(|row| row.cell.events).sum();
                let totals = counted.of_size(size).range(first..).filter_map(|(_, cells)| cells.get(TOTAL));
                let raw: u64 = totals.map(|cell| cell.events).sum();
                return Some(format!(
                    "of {} stored {size:?} rows {same} equal one of the {expected} counted from raw events ({booked} events stored, {raw} counted)",
                    stored.len()
                ));
            }
        }
        None
    }
}
