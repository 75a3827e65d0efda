//! Dropping raw events that an app does not keep any longer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use event_store::{RollupSize, StoreError};

use crate::part::Part;
use crate::rollup::size_ms;
use crate::segment::{AppRows, Segment, day_name};
use crate::store::ParquetStore;

impl ParquetStore {
    /// Drops every segment whose apps have all passed their retention; false when there was none.
    pub(crate) fn drop_expired(&self, now_ms: i64) -> Result<bool, StoreError> {
        let mut expiry = Expiry::new(self, now_ms);
        let mut expired: Vec<Arc<Part>> = Vec::new();
        let mut dropped: Vec<AppRows> = Vec::new();
        for part in self.segments_to_maintain() {
            let Part::Segment(segment) = &*part else { continue };
            let apps = self.apps_of(segment)?;
            if !apps.is_empty() && apps.iter().all(|rows| expiry.is_past(rows)) {
                dropped.extend(apps);
                expired.push(part.clone());
            }
        }
        if expired.is_empty() {
            return Ok(false);
        }
        tracing::info!(segments = expired.len(), "dropping segments past their raw retention");
        self.replace(&expired, &[], &dropped)?;
        Ok(true)
    }

    /// Writes one shared segment again without the apps that have passed their retention; false when there was none.
    pub(crate) fn rewrite_expired(&self, now_ms: i64) -> Result<bool, StoreError> {
        let mut expiry = Expiry::new(self, now_ms);
        for part in self.segments_to_maintain() {
            let Part::Segment(segment) = &*part else { continue };
            let gone: Vec<AppRows> = self.apps_of(segment)?.into_iter().filter(|rows| expiry.is_past(rows)).collect();
            if gone.is_empty() || segment.damage().is_some() {
                continue;
            }
            let names: HashSet<Arc<str>> = gone.iter().map(|rows| rows.app.clone()).collect();
            if self.rewrite(std::slice::from_ref(&part), names, &gone)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn apps_of(&self, segment: &Segment) -> Result<Vec<AppRows>, StoreError> {
        match &segment.info().apps {
            Some(apps) => Ok(apps.clone()),
            None => self.manifest.apps_of(segment.info().id),
        }
    }

    pub(crate) fn segments_to_maintain(&self) -> Vec<Arc<Part>> {
        self.state().segments.clone()
    }
}

/// What an answer says when its range reaches back to dropped events.
pub(crate) fn dropped_before(floor_ms: i64) -> String {
    let day = day_name(floor_ms.div_euclid(size_ms(RollupSize::Day)));
    format!("events from before {day} (UTC) were dropped: the app keeps its raw events for a time only")
}

/// Which rows have passed their app's retention; each app is looked up once a round, not once a segment.
struct Expiry<'s> {
    store: &'s ParquetStore,
    now_ms: i64,
    kept_ms: HashMap<Arc<str>, Option<i64>>,
}

impl<'s> Expiry<'s> {
    fn new(store: &'s ParquetStore, now_ms: i64) -> Self {
        Self { store, now_ms, kept_ms: HashMap::new() }
    }

    fn is_past(&mut self, rows: &AppRows) -> bool {
        let kept_ms = self.kept_ms.entry(rows.app.clone()).or_insert_with(|| self.store.raw_retention_ms(&rows.app));
        kept_ms.is_some_and(|kept_ms| rows.max_ms < self.now_ms.saturating_sub(kept_ms))
    }
}
